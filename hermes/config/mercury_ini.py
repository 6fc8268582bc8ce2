"""
``MERCURY.INI`` as it is written: sections with ``key: value``, ``#`` before comments.

Keys are the same in any case. Some sections are lists of lines without keys; what a section means is for others to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

#: Mercury's own is a few kibibytes; lists of domains make some a hundred.
MAX_OCTETS = 1024 * 1024

_HEADING = re.compile(r"\[([^\]]*)\]\Z")


@attrs.frozen
class Line:
    """One line of a section, without comment and space around; ``key`` is in small letters, and empty where there is no colon."""

    number: int
    text: str
    key: str = ""
    value: str = ""


def lines_of(text: str, section: str) -> list[Line] | None:
    """The lines of a section that say something; None when there is no such section."""
    found: list[Line] | None = None
    for heading, line in _lines(text):
        if heading == section.lower():
            found = found or []
            if line is not None:
                found.append(line)
    return found


def _lines(text: str) -> Iterator[tuple[str, Line | None]]:
    """Each line with the section that it is in, which begins with None."""
    heading = ""
    for number, raw in enumerate(text.splitlines(), 1):
        said = raw.partition("#")[0].strip()
        begins = _HEADING.match(said)
        if begins is not None:
            heading = begins[1].strip().lower()
            yield heading, None
        elif said:
            key, colon, value = said.partition(":")
            yield heading, Line(number, said, key.strip().lower(), value.strip()) if colon else Line(number, said)
