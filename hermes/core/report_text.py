"""
The part of a report that people read (RFC 6522 3): who, when, what the other server said in its own words, what to do.

Plain text, lines of at most 76 characters where words allow it, LF line ends. The words come from templates
(:mod:`hermes.core.report_wording`); it may hold characters outside ASCII where these or a server used them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from hermes.core.encoded_words import decoded
from hermes.core.header import Header
from hermes.core.header_facts import header_end
from hermes.core.outcome import Outcome
from hermes.core.printable import one_line
from hermes.core.report import Action, Fate, Report, date_time, words_for_each
from hermes.core.report_fields import reply_lines, status_of
from hermes.core.report_parts import fits
from hermes.core.report_wording import MAX_SUBJECT, Template, Text, Wording
from hermes.core.template import substituted
from hermes.core.units import format_time

#: Explanations in full; of the recipients after that only the addresses are listed. The other part has them all.
MAX_EXPLAINED = 50

#: Lines that ``~G`` repeats of a message, and octets that ``~B`` and ``~M`` repeat: they are an excerpt beside the attached
#: original, and must not double it.
EXCERPT_LINES = 20
MAX_EXCERPT_OCTETS = 16 * 1024

#: RFC 5322 2.1.1: what a line should have at most, less two that quoting adds.
WIDTH = 76

_INDENT = "    "

_TEXTS = {
    Action.FAILED: Text.FAILURE,
    Action.DELAYED: Text.DELAY,
    Action.DELIVERED: Text.SUCCESS,
    Action.RELAYED: Text.RELAY,
}


def template_of(report: Report) -> Template:
    """The template for this kind of report."""
    return report.wording.templates[Text.POSTMASTER if report.for_postmaster else _TEXTS[report.kind]]


def subject(report: Report) -> str:
    """The subject of the report."""
    values = _values(report)
    return one_line(substituted(template_of(report).subject, values), MAX_SUBJECT)


def explanation(report: Report) -> str:
    """The whole text."""
    values = {**_values(report), "r": _results(report)}
    text = template_of(report).text
    if report.kind is Action.FAILED and not report.for_postmaster:
        values.update(_excerpts(report))
    return folded(substituted(text, values))


def folded(text: str) -> str:
    """The text as its author has laid it out, with lines that are too long folded at spaces."""
    lines: list[str] = []
    for line in text.rstrip().split("\n"):
        if len(line) <= WIDTH:
            lines.append(line.rstrip())
            continue
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
    return "\n".join(lines) + "\n"


def has_utf8_header(report: Report) -> bool:
    """True for an original that only SMTPUTF8 could carry (RFC 6532)."""
    return report.envelope.smtputf8 and not header_of(report.returned).isascii()


def returns_all(report: Report) -> bool:
    """True when the original goes back whole: with failures only, where it is lines of mail (RFC 3461 6.2, RFC 2045 2.7)."""
    if report.kind is not Action.FAILED or report.binary:
        return False
    if report.whole is None:
        return report.complete and fits(report.returned)
    # What is too large for memory is not encoded.
    return not has_utf8_header(report) or not report.to.isascii()


def _values(report: Report) -> dict[str, str]:
    """What the substitutions stand for that fit into one line."""
    wording = report.wording
    return {
        "~": "~",
        "d": date_time(report.written_at),
        "t": one_line(report.to, 320),
        "n": report.hostname,
        "h": report.hostname,
        "s": subject_of(header_of(report.returned), wording),
        "p0": date_time(report.accepted_at),
        "p1": format_time(max(0, int(report.written_at - report.accepted_at)) // 60 * 60),
        "p2": subject_of(header_of(report.returned), wording),
        "p3": report.queue_id,
        "p4": one_line(report.envelope.reverse_path, 320) or wording.phrase("nobody"),
        "p5": date_time(report.retry_until) if report.retry_until is not None else "",
        "p6": one_line(report.contact, 320),
        "p7": wording.phrase("whole" if returns_all(report) else "header"),
    }


def subject_of(header: bytes, wording: Wording) -> str:
    """The subject of the original, for people."""
    found = decoded(Header(header).first("subject") or "").strip()
    return one_line(" ".join(found.split()), MAX_SUBJECT) or wording.phrase("no-subject")


def header_of(data: bytes) -> bytes:
    """The header section of a message, with LF line ends, up to the empty line (or to the last line end there is)."""
    end = header_end(data)
    return data[: end if end >= 0 else data.rfind(b"\n") + 1].replace(b"\r\n", b"\n")


def _excerpts(report: Report) -> dict[str, str]:
    """What ``~M``, ``~B`` and ``~G`` repeat; no more than the header where no more is returned (RFC 3461 4.3)."""
    beginning = report.returned[:MAX_EXCERPT_OCTETS].replace(b"\r\n", b"\n").decode("utf-8", "replace")
    lines = [one_line(line, MAX_EXCERPT_OCTETS) for line in beginning.split("\n")]
    end = lines.index("") if "" in lines else len(lines)
    complete = report.complete or report.whole is not None
    body = lines[end + 1 :] if complete else []
    return {
        "m": "\n".join(lines if complete else lines[:end]),
        "b": "\n".join(body),
        "g": "\n".join(body[:EXCERPT_LINES]),
    }


def _results(report: Report) -> str:
    groups: dict[tuple[Action, bool, Outcome], list[Fate]] = {}
    for fate in report.fates:
        groups.setdefault((fate.action, fate.expired, fate.outcome), []).append(fate)
    most = words_for_each(report)
    told = list(groups.values())
    paragraphs = []
    for fates in told[:MAX_EXPLAINED]:
        paragraphs += [_addresses(fates), *_explained(fates[0], most, report.wording)]
    if rest := [fate for fates in told[MAX_EXPLAINED:] for fate in fates]:
        paragraphs += [report.wording.phrase("more", n=str(len(rest))), _addresses(rest)]
    return "\n\n".join(paragraphs)


def _addresses(fates: list[Fate]) -> str:
    return "\n".join(_INDENT + one_line(fate.address, 320) for fate in fates)


def _explained(fate: Fate, most: int, wording: Wording) -> Iterator[str]:
    """Say of one recipient (and all others with the same fate) what happened and what can be done."""
    outcome = fate.outcome
    if fate.action in {Action.DELIVERED, Action.EXPANDED}:
        yield wording.phrase(fate.action.value)
    elif fate.action is Action.RELAYED:
        yield _by_server("relayed", outcome, wording)
    else:
        if fate.expired:
            yield wording.phrase("expired")
        if outcome.reply is None:
            yield wording.phrase("wrong")
            yield quoted(outcome.reason, most, wording)
        else:
            yield _by_server("answered", outcome, wording)
            yield _reply(outcome, most, wording)
        if fate.action is Action.FAILED and (advice := wording.advice(status_of(fate))):
            yield advice


def _by_server(name: str, outcome: Outcome, wording: Wording) -> str:
    """A phrase about a server, whose name and address it has where they are known."""
    if not outcome.host:
        return wording.phrase(f"{name}-unnamed")
    address = f" ({one_line(outcome.address, 80)})" if outcome.address else ""
    return wording.phrase(name, h=f"{one_line(outcome.host, 255)}{address}")


def _reply(outcome: Outcome, most: int, wording: Wording) -> str:
    assert outcome.reply is not None
    lines = []
    rest = most
    for number, text in reply_lines(outcome.reply):
        lines.append(quoted(f"{number}{text}", max(rest, 16), wording))
        rest -= len(text)
        if rest <= 0:
            break
    return "\n".join(lines)


def quoted(text: str, most: int, wording: Wording) -> str:
    """Somebody else's words, indented; an empty text is still a line."""
    plain = " ".join(one_line(text, most).split())
    lines = textwrap.wrap(plain, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)
    return "\n".join(lines) or _INDENT + wording.phrase("nothing")
