"""
The words of reports: one template for each kind of report, and the phrases of which ``~R`` is made (RFC 6522 3).

All of them can be replaced by files in another language; what is not replaced stays English. What is wrong with a file is
found when it is read: filling in a template cannot fail. The part of a report that programs read is not made of templates.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping

import attrs

from hermes.core import template
from hermes.core.report_english import PHRASES, TEXTS

#: Who a report comes from, beside the address.
SENDER = "Mail Delivery System"

#: A subject is shown in one line of a list.
MAX_SUBJECT = 200


class Text(enum.Enum):
    """What a template is for; the value is the name of its file, without ``.txt``."""

    FAILURE = "failure"
    DELAY = "delay"
    SUCCESS = "success"
    RELAY = "relay"
    POSTMASTER = "postmaster"
    CONFIRMATION = "confirmation"
    TRANSCRIPT = "transcript"


#: Told of what is wrong with a file: the number of the line, which counts from 1, and words that say what to do.
Fault = Callable[[int, str], None]

# What each kind knows, in lower case. Mercury's numbers where it had some: DWARN.MER, and ME_TS.MER for transcripts.
_EVERYWHERE = frozenset("~dtnhsr") | {"p0", "p1", "p2", "p3", "p4", "p6"}
_KNOWN = {
    Text.FAILURE: _EVERYWHERE | {"p7", "g", "b", "m"},
    Text.DELAY: _EVERYWHERE | {"p5", "p7"},
    Text.SUCCESS: _EVERYWHERE | {"p7"},
    Text.RELAY: _EVERYWHERE | {"p7"},
    Text.POSTMASTER: _EVERYWHERE,
    Text.CONFIRMATION: _EVERYWHERE,
    Text.TRANSCRIPT: _EVERYWHERE | {"p5"},
}

#: Of several lines each: these make no header field.
_LONG = frozenset("rgbm")

_REMEDIES = {
    "~y": "the parts of a report are put together by Hermes: write only the text",
    "~g": "only failure.txt returns something of the message",
    "~b": "only failure.txt returns something of the message",
    "~m": "only failure.txt returns something of the message",
}

# Further status codes may be explained.
_ADVICE = re.compile(r"advice-[1-9]\d{0,2}(?:\.(?:0|[1-9]\d{0,2}))?\Z", re.ASCII)

_PHRASE = re.compile(r"([a-z0-9.-]+)\s*=\s*(.*)\Z")

# Which substitutions a phrase knows.
_IN_PHRASES = {"answered": {"h"}, "relayed": {"h"}, "more": {"n"}, "attempt": {"n", "d"}}

_NO_FIELD = "this is no header field: begin with a line like Subject: Your message, and an empty line before the text"


@attrs.frozen
class Template:
    """A text with its subject; ``sender`` is the name beside the address that the report comes from."""

    subject: str
    text: str
    sender: str = SENDER


@attrs.frozen
class Wording:
    """Everything that is said in reports, in one language (RFC 5646), written in ``charset`` where that can hold it."""

    templates: Mapping[Text, Template]
    phrases: Mapping[str, str]
    language: str = "en"
    charset: str = "utf-8"

    def phrase(self, name: str, **values: str) -> str:
        """A phrase with its substitutions."""
        return template.substituted(self.phrases[name], {"~": "~", **values})

    def advice(self, status: str) -> str:
        """What can be done, by the status code (RFC 3463 3): by its last two numbers, or by the first of them alone."""
        detail = status.partition(".")[2]
        return self.phrases.get(f"advice-{detail}") or self.phrases.get(f"advice-{detail.partition('.')[0]}", "")


def parse_template(kind: Text, text: str, fault: Fault) -> Template:
    """Read a template; what is wrong with it is told to ``fault``. Lines that begin with ``;`` are comments."""
    lines = _lines(text)
    fields: dict[str, str] = {}
    for number, line in lines:
        if not line.strip():
            break
        name, value = _field(number, line, fault)
        if name in fields:
            fault(number, f"{name} is there twice")
        fields[name] = value
        _check(number, line, _KNOWN[kind] - _LONG, fault)
    if not fields.get("subject"):
        fault(1, "there is no subject: begin with a line like Subject: Your message")
    body = []
    for number, line in lines:
        _check(number, line, _KNOWN[kind], fault)
        body.append(line)
    said = "\n".join(body).strip("\n")
    if not said.strip():
        fault(1, "there is no text behind the header and an empty line")
    elif kind is not Text.TRANSCRIPT and "~r" not in said.lower():
        fault(1, "~R is missing, which tells of whom the report is and what happened")
    return Template(fields.get("subject", ""), said, fields.get("from") or SENDER)


def _field(number: int, line: str, fault: Fault) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name, value = name.strip().lower(), value.strip()
    if not colon or line[:1].isspace():
        fault(number, _NO_FIELD)
    elif name not in {"subject", "from"}:
        fault(number, f"{name} is written by Hermes: only Subject and From can stand here")
    elif name == "from" and not re.fullmatch(r"[^@<>\",;:\\()\[\]~]+", value):
        fault(number, "From is the name beside the address, in plain words and without an address")
    return name, value


def parse_phrases(text: str, fault: Fault) -> dict[str, str]:
    """Read phrases, one ``name = text`` a line, which take the place of those that are built in."""
    phrases: dict[str, str] = {}
    for number, line in _lines(text):
        if not line.strip():
            continue
        found = _PHRASE.match(line.strip())
        if found is None or not found[2]:
            fault(number, "write the name of a phrase, an equals sign and its text")
            continue
        name, value = found.groups()
        if _BUILT_IN and name not in _BUILT_IN and not _ADVICE.match(name):
            fault(number, f"there is no phrase {name}")
        elif name in phrases:
            fault(number, f"{name} is there twice")
        _check(number, value, _IN_PHRASES.get(name, set()) | {"~"}, fault)
        phrases[name] = value
    return phrases


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith(";"):
            yield number, line.rstrip()


def _check(number: int, line: str, known: frozenset[str] | set[str], fault: Fault) -> None:
    for _, written in template.unknown(line, known):
        remedy = _REMEDIES.get(written.lower(), "write ~~ for the sign itself")
        fault(number, f"{written} stands for nothing here: {remedy}")


def _never(number: int, text: str) -> None:
    raise AssertionError(f"line {number}: {text}")


_BUILT_IN: dict[str, str] = {}
_BUILT_IN.update(parse_phrases(PHRASES, _never))

#: What is said where nothing else is configured.
ENGLISH = Wording({kind: parse_template(kind, TEXTS[kind.value], _never) for kind in Text}, _BUILT_IN)
