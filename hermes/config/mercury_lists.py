"""
Mercury's definitions of lists in the DNS, ``MS_SPAM.MER``, as sections ``[dnsbl:NAME]``.

Each stands between ``Begin`` and ``End``, a line ``Key: value`` for each property; lines that begin with ``#`` are comments.
Whatever is not understood is told with its line: a list that is asked otherwise than before would be worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import attrs

from hermes.config.dnsbl_rules import is_header, is_text
from hermes.config.errors import MercuryFileError
from hermes.core.dns_list import parse_counting

#: A file of Mercury has some dozens of definitions at the most.
MAX_OCTETS = 256 * 1024

_MAX_NAME_CHARACTERS = 40
_RANGE = re.compile(r"range\s+(\S+)\s*-\s*(\S+)\Z", re.IGNORECASE)


@attrs.define
class _Definition:
    """One definition: the line of its ``Begin``, and its properties with their lines."""

    line: int
    values: dict[str, tuple[str, int]] = attrs.field(factory=dict)


def sections_of_mercury(text: str, path: str) -> str:
    """The sections that say the same, in the same order; raise :class:`MercuryFileError`."""
    problems: list[tuple[int, str]] = []
    definitions = _scan(text, problems)
    sections: dict[str, dict[str, str]] = {}
    for definition in definitions:
        name, values = _section(definition, problems, sections)
        sections[name] = values
    if problems:
        raise MercuryFileError("\n".join(f"{path}:{line}: {what}" for line, what in sorted(problems)))
    return "\n".join(
        f"[dnsbl:{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
        for name, values in sections.items()
    )


def _scan(text: str, problems: list[tuple[int, str]]) -> list[_Definition]:
    definitions: list[_Definition] = []
    current: _Definition | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        word = line.lower()
        if word == "begin":
            if current is not None:
                problems.append((number, f"the definition of line {current.line} has no End before this Begin"))
            current = _Definition(number)
            definitions.append(current)
        elif word == "end":
            if current is None:
                problems.append((number, "there is no Begin before this End"))
            current = None
        elif current is None:
            problems.append((number, f"{line[:60]!r} stands outside of Begin and End"))
        else:
            key, colon, value = line.partition(":")
            if not colon or key.strip().lower() not in _PROPERTIES:
                problems.append((number, f"{line[:60]!r} is not a property: there are {', '.join(_PROPERTIES)}"))
            else:
                current.values[key.strip().lower()] = value.strip(), number
    if current is not None:
        problems.append((current.line, "this Begin has no End"))
    return definitions


def _section(
    definition: _Definition, problems: list[tuple[int, str]], taken: Mapping[str, object]
) -> tuple[str, dict[str, str]]:
    values: dict[str, str] = {}
    for key, convert in _PROPERTIES.items():
        if convert is None or key not in definition.values:
            continue
        text, line = definition.values[key]
        try:
            values |= convert(text)
        except ValueError as error:
            problems.append((line, f"{key}: {error}"))
    parameter, line = definition.values.get("parameter", ("", 0))
    if parameter:
        try:
            values |= _parameter(values.get("action", "reject"), parameter)
        except ValueError as error:
            problems.append((line, f"parameter: {error}"))
    if "zone" not in values:
        problems.append((definition.line, "the definition has no Hostname"))
    # Where nothing is said, what blocks less.
    values.setdefault("answers", "normal")
    name, _ = definition.values.get("name", ("", 0))
    return _label(name or values.get("zone", ""), taken), values


def _label(name: str, taken: Mapping[str, object]) -> str:
    """A name that a section may have, and that no other has."""
    label = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:_MAX_NAME_CHARACTERS] or "list"
    number, unique = 1, label
    while unique in taken:
        number += 1
        unique = f"{label[: _MAX_NAME_CHARACTERS - 4]}-{number}"
    return unique


def _enabled(text: str) -> dict[str, str]:
    return _word(text, {"y": {}, "yes": {}, "n": {"enabled": "no"}, "no": {"enabled": "no"}})


def _type(text: str) -> dict[str, str]:
    return _word(text, {"blacklist": {}, "whitelist": {"kind": "whitelist"}})


def _form(text: str) -> dict[str, str]:
    return _word(text, {"address": {}, "domain": {"lookup": "domain"}})


def _action(text: str) -> dict[str, str]:
    return _word(text, {word: {"action": word} for word in ("reject", "tag", "redirect", "drop")})


def _strictness(text: str) -> dict[str, str]:
    if found := _RANGE.match(text):
        answers = f"{found[1]}-{found[2]}"
        parse_counting(answers)
        return {"answers": answers}
    # What Mercury calls draconian counts every answer, as we do unless told otherwise.
    return _word(text, {"normal": {"answers": "normal"}, "draconian": {"answers": "any"}})


def _zone(text: str) -> dict[str, str]:
    if not text:
        raise ValueError("is empty")
    return {"zone": text}


def _word(text: str, meanings: Mapping[str, dict[str, str]]) -> dict[str, str]:
    if text.lower() not in meanings:
        raise ValueError(f"{text[:60]!r} is not one of {', '.join(meanings)}")
    return meanings[text.lower()]


def _parameter(action: str, text: str) -> dict[str, str]:
    if action == "redirect":
        return {"redirect_to": text}
    if action == "tag":
        if not is_header(text):
            raise ValueError(f"{text[:60]!r} is not a header: write NAME: TEXT")
        return {"header": text}
    if not is_text(text):
        raise ValueError("is said in a reply: write ASCII, 400 characters at most")
    return {"text": text}


#: The properties of a definition, and what becomes of each; those without are looked at together with others.
_PROPERTIES: dict[str, Callable[[str], dict[str, str]] | None] = {
    "name": None,
    "enabled": _enabled,
    "querytype": _type,
    "queryform": _form,
    "hostname": _zone,
    "strictness": _strictness,
    "action": _action,
    "parameter": None,
}
