"""
Templates: texts that an administrator writes, in which ``~`` and a letter stand for something (Mercury's substitutions).

A template may begin with fields of a header and an empty line. One implementation serves the answers of addresses, which take
any text as it is, and reports, whose templates are checked when they are loaded. Filling one in never fails.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

# "~" ("p" DIGIT / any character); case does not matter. A "~" at the end of a line stands for nothing.
_SUBSTITUTION = re.compile(r"~(p[0-9]|.|$)", re.IGNORECASE | re.MULTILINE)

_FIELD_LINE = re.compile(r"([!-9;-~]+)[ \t]*:(.*)\Z")


def substituted(text: str, values: Mapping[str, str]) -> str:
    """The text with its substitutions; ``values`` has them by their letters in lower case, and what is none of them stays."""
    return _SUBSTITUTION.sub(lambda found: values.get(found[1].lower(), found[0]), text)


def unknown(text: str, known: Collection[str]) -> Iterator[tuple[int, str]]:
    """Each substitution that is not ``known``, as it is written, with the number of its line, which counts from 0."""
    for number, line in enumerate(text.split("\n")):
        for found in _SUBSTITUTION.finditer(line):
            if found[1].lower() not in known:
                yield number, found[0]


def taken_apart(text: str) -> tuple[list[tuple[str, str]], str]:
    """The fields that a template begins with, unfolded, and its text; all text when it does not begin with a header."""
    head, empty, body = text.replace("\r\n", "\n").partition("\n\n")
    lines = re.sub(r"\n[ \t]+", " ", head).split("\n")
    found = [_FIELD_LINE.match(line) for line in lines]
    fields = [(each[1].lower(), each[2].strip()) for each in found if each is not None]
    if not empty or len(fields) < len(lines):
        return [], text
    return fields, body
