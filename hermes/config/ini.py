"""
The lines of an INI file, with their numbers.

The rules are those of Python's ``configparser`` (no interpolation, ``strict``): ``[section]``, ``key = value`` or
``key: value``, keys in any case, an indented line goes on with the value above, ``#`` or ``;`` at the start of a line makes it a
comment. There are no comments behind a value, since a password may hold any character. ``configparser`` itself stops at the
first duplicate and forgets line numbers; here every problem is found and every value knows its line. A test holds the two
readers against each other.
"""

from __future__ import annotations

import re

import attrs

from hermes.config.errors import Problem

#: A generous configuration has a few thousand lines; what is larger is not one.
MAX_OCTETS = 1024**2

_LINE_END = re.compile(r"\r\n|\r|\n")
_HEADER = re.compile(r"\[(?P<name>[^\]]+)\]\s*\Z")
_ENTRY = re.compile(r"(?P<key>.*?)\s*[=:]\s*(?P<value>.*)\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@attrs.define
class Entry:
    """One key with its value as text; continuation lines are joined by newlines."""

    line: int
    section: str
    key: str
    text: str


@attrs.define
class Document:
    """What stands in a file: the lines of sections and keys, the entries in order, and what could not be understood."""

    sections: dict[str, int] = attrs.field(factory=dict)
    lines: dict[tuple[str, str], int] = attrs.field(factory=dict)
    entries: list[Entry] = attrs.field(factory=list)
    problems: list[Problem] = attrs.field(factory=list)


def decode(octets: bytes) -> str:
    """The text of a file; raise ValueError when it cannot be a configuration."""
    if len(octets) > MAX_OCTETS:
        raise ValueError(f"the file is larger than {MAX_OCTETS} octets: it cannot be a configuration")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8 text: save the file as UTF-8") from None


def scan(text: str) -> Document:
    """Read all lines, whatever is wrong with some of them."""
    document = Document()
    section: str | None = None
    current: Entry | None = None
    indentation = 0
    for number, line in enumerate(_LINE_END.split(text), 1):
        content = line.strip()
        if not content or content[0] in "#;":
            continue
        if _CONTROL.search(content):
            document.problems.append(Problem("a control character stands in this line: remove it", number))
            continue
        indented = len(line) - len(line.lstrip())
        if current is not None and indented > indentation:
            current.text = f"{current.text}\n{content}" if current.text else content
            continue
        indentation = indented
        current = None
        if content.startswith("["):
            section = _begin_section(document, number, content)
        elif (found := _ENTRY.match(content)) is None or not found["key"]:
            document.problems.append(Problem("not understood: write [section], key = value, or # comment", number))
        elif section is None:
            document.problems.append(Problem("stands before any [section]: put it into its section", number))
        else:
            current = Entry(number, section, found["key"].lower(), found["value"])
            _add(document, current)
    return document


def _add(document: Document, entry: Entry) -> None:
    # What follows a header that was not understood has no section to be judged by.
    if not entry.section:
        return
    first = document.lines.setdefault((entry.section, entry.key), entry.line)
    if first == entry.line:
        document.entries.append(entry)
    else:
        text = f"was set already in line {first}: remove one of the two"
        document.problems.append(Problem(text, entry.line, entry.section, entry.key))


def _begin_section(document: Document, number: int, content: str) -> str:
    found = _HEADER.match(content)
    if found is None:
        document.problems.append(Problem("a section begins with [name] alone in its line", number))
        return ""
    name = found["name"]
    first = document.sections.setdefault(name, number)
    if first != number:
        document.problems.append(Problem(f"began already in line {first}: join the two", number, name))
    return name
