"""
The part of a report that programs read: ``message/delivery-status`` (RFC 3464 2) and its UTF-8 form (RFC 6533 4.1).

Lines end in LF. Whatever another server said, a field stays one field: unprintable characters are gone, and lines are
folded at spaces.
"""

from __future__ import annotations

import re
import textwrap

from hermes.core.printable import one_line
from hermes.core.reply import Reply
from hermes.core.report import Action, Fate, Report, date_time, words_for_each

#: An address fits (RFC 5321 4.5.3.1, RFC 3461 5.4: 500 characters of ORCPT) and the line stays below 998 octets (RFC 5322 2.1.1).
MAX_ADDRESS = 600

# status-code = DIGIT "." 1*3DIGIT "." 1*3DIGIT, without leading zeros   (RFC 3464 2.3.4)
_STATUS = re.compile(r"[245]\.(?:0|[1-9]\d{0,2})\.(?:0|[1-9]\d{0,2})\Z", re.ASCII)

_UNKNOWN_STATUS = {
    Action.FAILED: "5.0.0",
    Action.DELAYED: "4.0.0",
    Action.DELIVERED: "2.0.0",
    Action.RELAYED: "2.0.0",
    Action.EXPANDED: "2.0.0",
}

#: 240 characters of four octets each still leave room in a line of 998 (RFC 5322 2.1.1).
_LONG_WORD = re.compile(r"(\S{240})")

# EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"   (RFC 6533 3)
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


def status_of(fate: Fate) -> str:
    """The status code for the report: the outcome's when it is one, else the general one (RFC 3461 6.3 g)."""
    status = fate.outcome.status
    return status if _STATUS.match(status) else _UNKNOWN_STATUS[fate.action]


def original_recipient(original: str) -> str:
    """``type;address`` with the characters that RFC 6533 3 embeds written out, where that gives an address."""
    address_type, _, address = original.partition(";")
    if address_type.strip().lower() != "utf-8":
        return original
    try:
        plain = _EMBEDDED.sub(lambda found: chr(int(found[1], 16)), address)
    except ValueError:
        return original
    # "If an address does not conform to utf-8 syntax, it MUST be copied without alteration" (RFC 6533 3).
    return f"{address_type};{plain}" if plain.isprintable() else original


def is_global(report: Report) -> bool:
    """True when an address is outside ASCII, so that the form of RFC 6533 is needed."""
    return not all(
        fate.address.isascii() and (fate.original is None or original_recipient(fate.original).isascii())
        for fate in report.fates
    )


def delivery_status(report: Report) -> bytes:
    """Write the fields: those of the message, then a group for each recipient."""
    utf8 = is_global(report)
    # A name without a dot is no name in the DNS (RFC 3461 6.3 b).
    name_type = "dns" if "." in report.hostname else "x-local-hostname"
    lines = [f"Reporting-MTA: {name_type}; {_ascii(report.hostname, 255)}"]
    if report.envelope.envid is not None:
        # ENVID is copied decoded, and only when there was one (RFC 3461 6.3 a).
        lines.insert(0, f"Original-Envelope-Id: {_exact(report.envelope.envid, utf8)}")
    origin = report.origin
    if origin is not None and origin.peer and origin.hello:
        # RFC 3464 2.2.4: what it said of itself, and its address as a comment.
        name = re.sub(r"[\s()\\]", "_", _ascii(origin.hello, 255))
        lines.append(f"Received-From-MTA: dns; {name} ({_ascii(origin.peer, 80)})")
    lines += [f"Arrival-Date: {date_time(report.accepted_at)}", f"X-Hermes-Queue-Id: {report.queue_id}"]
    for fate in report.fates:
        lines.append("")
        lines += _recipient(report, fate, utf8)
    text = "\n".join(lines) + "\n"
    return text.encode("utf-8")


def _recipient(report: Report, fate: Fate, utf8: bool) -> list[str]:
    """The group of one recipient, in the order of RFC 3464 2.3."""
    lines = []
    if fate.original is not None:
        address_type, _, address = original_recipient(fate.original).partition(";")
        lines.append(f"Original-Recipient: {_exact(address_type, utf8)}; {_exact(address, utf8)}")
    kind = "rfc822" if fate.address.isascii() else "utf-8"
    lines += [
        f"Final-Recipient: {kind}; {_exact(fate.address, utf8)}",
        f"Action: {fate.action.value}",
        f"Status: {status_of(fate)}",
    ]
    outcome, most = fate.outcome, words_for_each(report)
    if outcome.reply is not None:
        # Remote-MTA says that the code was issued there (RFC 3464 2.3.6).
        if outcome.host:
            lines.append(f"Remote-MTA: dns; {_ascii(outcome.host, 255)}")
        lines += _smtp_diagnostic(outcome.reply, most, utf8)
    elif fate.action in {Action.FAILED, Action.DELAYED}:
        lines += _folded(f"Diagnostic-Code: x-hermes; {_text(outcome.reason, most, utf8)}")
    lines.append(f"Last-Attempt-Date: {date_time(report.attempted_at)}")
    if fate.action is Action.DELAYED and report.retry_until is not None:
        lines.append(f"Will-Retry-Until: {date_time(report.retry_until)}")
    return lines


def _smtp_diagnostic(reply: Reply, most: int, utf8: bool) -> list[str]:
    """Every line of the reply begins a line of the field (RFC 3461 9.2)."""
    lines: list[str] = []
    rest = most
    for number, text in reply_lines(reply):
        shown = _text(text, rest, utf8)
        lines += _folded(f"{' ' if lines else 'Diagnostic-Code: smtp; '}{number}{shown}")
        rest -= len(text)
        if rest <= 0:
            break
    return lines


def reply_lines(reply: Reply) -> list[tuple[str, str]]:
    """The lines of a reply as the server sent them, each as its code with separator, and its text."""
    prefix = f"{reply.enhanced} " if reply.enhanced else ""
    last = len(reply.lines) - 1
    return [
        (f"{reply.code}{' ' if number == last else '-'}", f"{prefix}{line}") for number, line in enumerate(reply.lines)
    ]


def _exact(text: str, utf8: bool) -> str:
    """An address or id as it is, but for what a field cannot hold (RFC 3464 2.3.2)."""
    text = one_line(text, MAX_ADDRESS).strip()
    return text if utf8 else text.encode("ascii", "backslashreplace").decode("ascii")


def _ascii(text: str, most: int) -> str:
    return one_line(text, most).encode("ascii", "backslashreplace").decode("ascii")


def _text(text: str, most: int, utf8: bool) -> str:
    return one_line(text, most) if utf8 else _ascii(text, most)


def _folded(line: str) -> list[str]:
    """Fold at spaces; a continuation begins with one (RFC 5322 2.2.3). A word that no line can hold is cut."""
    line = _LONG_WORD.sub(r"\1 ", line)
    return textwrap.wrap(line, 76, subsequent_indent=" ", break_long_words=False, break_on_hyphens=False)
