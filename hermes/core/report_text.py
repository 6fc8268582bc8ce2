"""
The part of a report that people read (RFC 6522 3): who, when, what the other server said in its own words, what to do.

Plain text, lines of at most 76 characters, LF line ends. It may hold characters outside ASCII where a server used them.
"""

from __future__ import annotations

import textwrap

from hermes.core.outcome import Outcome
from hermes.core.printable import one_line
from hermes.core.report import Action, Fate, Report, date_time, words_for_each
from hermes.core.report_fields import reply_lines, status_of

#: Explanations in full; of the recipients after that only the addresses are listed. The other part has them all.
MAX_EXPLAINED = 50

#: What a person can do, by the status code's last two numbers (RFC 3463 3), or by the first of them alone.
_ADVICE = {
    "1": "There is something wrong with the address. Compare it with one that you know to be right.",
    "1.1": "There is no such mailbox. Look for a typing error in the part before the @, and send the message again.",
    "1.2": "There is no such domain. Look for a typing error in the part after the @, and send the message again.",
    "1.8": "The other server did not like your own address. Ask whoever looks after your mail.",
    "1.10": "The domain does not take mail at all. Look for a typing error in the part after the @.",
    "2": "The mailbox cannot take mail at present. Try to reach the recipient in another way.",
    "2.1": "The mailbox is closed. Try to reach the recipient in another way.",
    "2.2": "The mailbox is full. Try again later, or reach the recipient in another way.",
    "2.3": "The message is too large for this mailbox. Send something smaller, or a link to it.",
    "3": "The other server could not handle the message. Try again later.",
    "3.4": "The message is too large. Send something smaller, or a link to it.",
    "4": "The other server could not be reached. It may be out of order, or the domain may be misspelt.",
    "4.4": "Nobody could say which server takes mail for this domain. Look for a typing error after the @.",
    "5": "The two servers did not understand one another. Tell whoever looks after your mail.",
    "6": "The other server cannot handle this kind of content. Send it in another form.",
    "6.7": "The other server cannot handle addresses with letters outside English. Ask for another address.",
    "7": "The other server refused the message by one of its rules; its words above may say which one.",
}

_INDENT = "    "


def subject(report: Report) -> str:
    """The subject of the report."""
    match report.kind:
        case Action.FAILED if report.for_postmaster:
            return "Copy for the postmaster: a message could not be delivered"
        case Action.FAILED:
            return "Your message could not be delivered"
        case Action.DELAYED:
            return "Your message has not been delivered yet"
        case _:
            return "Your message has been delivered"


def explanation(report: Report) -> str:
    """The whole text."""
    paragraphs = [f"This is the mail server {report.hostname}.", _opening(report)]
    groups: dict[tuple[Action, bool, Outcome], list[Fate]] = {}
    for fate in report.fates:
        groups.setdefault((fate.action, fate.expired, fate.outcome), []).append(fate)
    most = words_for_each(report)
    told = list(groups.values())
    for fates in told[:MAX_EXPLAINED]:
        paragraphs += [_addresses(fates), *_explained(fates[0], most)]
    if rest := [fate for fates in told[MAX_EXPLAINED:] for fate in fates]:
        paragraphs += [f"And {len(rest)} more; the second part of this report says why:", _addresses(rest)]
    paragraphs.append(_closing(report))
    return (
        "\n\n".join(paragraph if paragraph.startswith(_INDENT) else _wrapped(paragraph) for paragraph in paragraphs)
        + "\n"
    )


def _opening(report: Report) -> str:
    date = date_time(report.accepted_at)
    if report.for_postmaster:
        sender = one_line(report.envelope.reverse_path, 320) or "<> (the null sender: it was a report itself)"
        return f"A message from {sender}, accepted on {date}, could not be delivered. Hermes will not try again."
    match report.kind:
        case Action.FAILED:
            return f"Your message of {date} could not be delivered. It will not be tried again."
        case Action.DELAYED:
            until = "" if report.retry_until is None else f" until {date_time(report.retry_until)}"
            return (
                f"Your message of {date} has not been delivered yet. You need not send it again: delivery will be tried"
                f"{until}, and you will be told if it fails."
            )
        case _:
            return f"You asked to be told when your message of {date} is delivered."


def _addresses(fates: list[Fate]) -> str:
    return "\n".join(_INDENT + one_line(fate.address, 320) for fate in fates)


def _explained(fate: Fate, most: int) -> list[str]:
    """Say of one recipient (and all others with the same fate) what happened and what can be done."""
    outcome = fate.outcome
    if fate.action is Action.DELIVERED:
        return ["The message is in the mailbox. That does not mean that it has been read."]
    if fate.action is Action.EXPANDED:
        return [
            "The address stands for several recipients, and the message is on its way to each. This is the last report."
        ]
    where = _server(outcome)
    if fate.action is Action.RELAYED:
        return [f"{where} has taken the message. That server sends no confirmations, so this is the last one."]
    paragraphs = []
    if fate.expired:
        paragraphs.append("It was tried again and again, for as long as this server does. At the last attempt:")
    if outcome.reply is None:
        paragraphs += ["What went wrong:", _quoted(outcome.reason, most)]
    else:
        paragraphs += [f"{where} answered:", _reply(outcome, most)]
    status = status_of(fate).partition(".")[2]
    advice = _ADVICE.get(status) or _ADVICE.get(status.partition(".")[0])
    if advice is not None and fate.action is Action.FAILED:
        paragraphs.append(advice)
    return paragraphs


def _server(outcome: Outcome) -> str:
    if not outcome.host:
        return "The other server"
    address = f" ({one_line(outcome.address, 80)})" if outcome.address else ""
    return f"The server {one_line(outcome.host, 255)}{address}"


def _reply(outcome: Outcome, most: int) -> str:
    assert outcome.reply is not None
    lines = []
    rest = most
    for number, text in reply_lines(outcome.reply):
        lines.append(_quoted(f"{number}{text}", max(rest, 16)))
        rest -= len(text)
        if rest <= 0:
            break
    return "\n".join(lines)


def _closing(report: Report) -> str:
    # RFC 3461 6.2: more than the header goes back only with a failure, and only what is not too large.
    attached = "Your message" if report.complete else "The header of your message"
    if report.for_postmaster:
        attached = "The message" if report.complete else "The header of the message"
    text = f"{attached} is attached. Its number on this server was {report.queue_id}."
    if report.postmaster and not report.for_postmaster:
        text += f" If you need help, forward this whole report to {one_line(report.postmaster, 320)}."
    return text


def _quoted(text: str, most: int) -> str:
    """Somebody else's words, indented; an empty text is still a line."""
    plain = " ".join(one_line(text, most).split())
    lines = textwrap.wrap(plain, 76, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)
    return "\n".join(lines) or f"{_INDENT}(nothing)"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 76, break_on_hyphens=False, break_long_words=False)
