"""
Files of aliases, synonyms and groups: one line for each address, and what it stands for.

    # comments begin with # or ; or *
    sales == joe@example.org
    info@example.org == FILE:answers/info.txt
    team: joe, ann@example.org,
        bob@example.net

The form with ``==`` is Mercury's (ALIAS.MER and SYNONYM.MER as its compilers read and export them), the one with a colon that
of other servers; both may stand in one file. A name without a domain holds at every domain of the server. Behind the colon a
line that begins with white space continues the one above it. In Mercury's form the first line about an address counts; behind
a colon a second one is a mistake.

What an address may stand for: addresses, names of accounts and of other aliases, with commas between them; or ``FILE:path``,
``TFILE:path``, ``FILTER:path``, ``PUBLIC:name`` and ``|command``, which take the whole line, or stand in double quotes between
commas.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from typing_extensions import override

from hermes.core.address import split
from hermes.directory.accounts import address_key, check_address, local_part_key

#: A file larger than this is none of aliases: a hundred thousand of them have four million octets.
MAX_OCTETS = 64 * 1024**2

#: More on one side of one alias is a mailing list, and belongs to one.
MAX_TARGETS = 10_000

#: Mistakes that are told at once: who has mended these asks again, and a file that is something else altogether has thousands.
MAX_PROBLEMS = 20

#: What people write in most lines, which then need no closer look. The address is bounded by the line, not by what may travel.
_PLAIN = re.compile(
    r"([A-Za-z0-9._+-]{1,64}(?:@[A-Za-z0-9.-]{1,150})?)[ \t]*(==|:)[ \t]*([A-Za-z0-9._+-]{1,64}(?:@[A-Za-z0-9.-]{1,150})?)\Z"
)

# 1*( quoted-item / item ) with commas between; a quoted item has \" and \\ for the two.
_ITEM = re.compile(r'[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^",][^,]*))?[ \t]*(?:,|\Z)')

_SPECIAL = re.compile(r"(FILE|TFILE|PUBLIC|FILTER|DAEMON):[ \t]*(.*)\Z|(\|)[ \t]*(.*)\Z", re.IGNORECASE | re.DOTALL)

# Below one directory, whatever it is called: neither hidden nor elsewhere.
_FOLDER = re.compile(r"[^\x00-\x1f/\\.][^\x00-\x1f/\\]{0,99}\Z")

_UNFIT = re.compile(r"[\x00-\x20\x7f,<>\"]")


class AliasFileError(Exception):
    """The file cannot be used; the text names file and line, and has one line for each of the ``others`` found with it."""

    def __init__(self, path: str, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")
        self.path = path
        self.line = line
        self.others: list[AliasFileError] = []

    @override
    def __str__(self) -> str:
        return "\n".join([super().__str__(), *map(str, self.others)])


class Problems:
    """Gathers what is wrong, so that one look is enough to mend it."""

    def __init__(self) -> None:
        self._found: list[AliasFileError] = []

    def add(self, error: AliasFileError) -> None:
        """One more, with what was found with it; raise all when there are :data:`MAX_PROBLEMS`."""
        others, error.others = error.others, []
        self._found += [error, *others]
        if len(self._found) >= MAX_PROBLEMS:
            self.tell()

    def tell(self) -> None:
        """Raise the first, with the others, if there are any."""
        if self._found:
            first, *rest = self._found[:MAX_PROBLEMS]
            first.others = rest
            raise first


class Entry(NamedTuple):
    """What one address stands for, and where that is written."""

    targets: tuple[str, ...]
    path: str
    line: int

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.path}:{self.line}"


def decoded(path: str, octets: bytes) -> str:
    """The text of a file, which may come from a Windows machine; raise AliasFileError for what is no text."""
    if b"\0" in octets:
        remedy = "if it is Mercury's own file, export it as text (MALIAS)"
        raise AliasFileError(path, octets.count(b"\n", 0, octets.index(b"\0")) + 1, f"this is no text: {remedy}")
    # DOS ends a text with control-Z.
    octets = octets.partition(b"\x1a")[0]
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def parse(path: str, text: str, *, programs: bool = False, domain: str = "") -> tuple[dict[str, Entry], list[str]]:
    """
    All entries by their keys, and remarks about lines that do not count. Raises AliasFileError.

    Keys are local parts, or addresses as :func:`~hermes.directory.accounts.address_key` makes them. With ``domain`` the file
    is about that domain alone. ``programs`` says whether ``|command`` is allowed.
    """
    entries: dict[str, Entry] = {}
    remarks: list[str] = []
    problems = Problems()
    for line, name, separator, right in _entries(path, text, problems):
        try:
            key, targets = _understood(path, name, separator, right, programs)
            if domain:
                key = _in_domain(key, domain)
        except ValueError as error:
            problems.add(AliasFileError(path, line, str(error)))
            continue
        first = entries.setdefault(key, Entry(targets, path, line))
        if first.line != line:
            if separator == ":":
                problems.add(AliasFileError(path, line, f"{name} stands in line {first.line} already: write one list"))
            elif first.targets != targets:
                remarks.append(f"{path}:{line}: {name} stands in line {first.line} already, and that one counts")
    problems.tell()
    return entries, remarks


def _entries(path: str, text: str, problems: Problems) -> Iterator[tuple[int, str, str, str]]:
    """Line, name, separator and what stands behind it; continued lines put together."""
    current: tuple[int, str, str, str] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip()
        if not content or content[0] in "#;*":
            continue
        if line[0] in " \t" and "==" not in content:
            if current is None or current[2] != ":":
                words = "a line that begins with white space has no list above to continue"
                problems.add(AliasFileError(path, number, words))
                continue
            # A list may go on without a comma; a command goes on as it is.
            current = (*current[:3], f"{current[3]}{' ' if _SPECIAL.match(current[3]) else ', '}{content}")
            continue
        if current is not None:
            yield current
        if found := _PLAIN.match(content):
            current = (number, found[1], found[2], found[3])
            continue
        name, separator, right = content.partition("==")
        if not separator:
            name, separator, right = content.partition(":")
            if not separator:
                words = f"{content[:60]!r} is neither name == target nor name: target, ..."
                problems.add(AliasFileError(path, number, words))
                current = None
                continue
        current = (number, name.rstrip(), separator, right.lstrip())
    if current is not None:
        yield current


def _understood(path: str, name: str, separator: str, right: str, programs: bool) -> tuple[str, tuple[str, ...]]:
    if not name:
        raise ValueError(f"there is no name before the {separator}")
    key = _key(name)
    if not right:
        raise ValueError(f"{name} stands for nothing: write what is behind the {separator}")
    if _SPECIAL.match(right):
        return key, (_target(path, right, programs),)
    targets = tuple(dict.fromkeys(_target(path, item, programs) for item in _items(right)))
    if not targets:
        raise ValueError(f"{name} stands for nothing: write what is behind the {separator}")
    if len(targets) > MAX_TARGETS:
        raise ValueError(f"{name} stands for {len(targets)} addresses; the most is {MAX_TARGETS}")
    return key, targets


def _items(right: str) -> Iterator[str]:
    at = 0
    while at < len(right):
        found = _ITEM.match(right, at)
        if found is None:
            raise ValueError(f"the quotes in {right[at : at + 60]!r} do not match")
        quoted, plain = found[1], (found[2] or "").strip()
        if quoted is not None:
            yield re.sub(r"\\(.)", r"\1", quoted)
        elif plain:
            yield plain
        at = found.end()


def _key(name: str) -> str:
    local_part, domain = split(name)
    if domain:
        return address_key(check_address(name))
    if "@" in name or _UNFIT.search(name) or len(name) > 64:
        raise ValueError(f"{name[:60]!r} is neither an address nor the part before the @ of one")
    return local_part_key(local_part)


def _in_domain(key: str, domain: str) -> str:
    local_part, of = split(key)
    if of and of != domain:
        raise ValueError(f"{key} is not at {domain}, and this file is about no other domain")
    return f"{local_part}@{domain}"


def _target(path: str, text: str, programs: bool) -> str:
    """The target as it is kept: paths in full, names of special targets in capitals."""
    found = _SPECIAL.match(text)
    if found is None:
        if "@" in text:
            return check_address(text)
        if _UNFIT.search(text) or not text:
            raise ValueError(f"{text[:60]!r} is neither an address nor a name")
        return text
    kind, argument = (found[1] or found[3]).upper(), (found[2] or found[4] or "").strip()
    return _SPECIALS[kind](path, argument, programs)


def _file(kind: str) -> Callable[[str, str, bool], str]:
    def read(path: str, argument: str, programs: bool) -> str:
        if not argument:
            raise ValueError(f"{kind}: needs the path of a file")
        return f"{kind}:{os.path.normpath(os.path.join(os.path.dirname(path), argument))}"

    return read


def _public(path: str, argument: str, programs: bool) -> str:
    if not _FOLDER.match(argument):
        raise ValueError("PUBLIC: needs the name of a folder below [directory] public, without / and not hidden")
    return f"PUBLIC:{argument}"


def _program(path: str, argument: str, programs: bool) -> str:
    if not programs:
        raise ValueError("programs are not allowed: write programs = yes in [directory], or take the line out")
    if not argument:
        raise ValueError("| needs a command")
    return f"|{argument}"


def _missing(kind: str, what: str) -> Callable[[str, str, bool], str]:
    def refuse(path: str, argument: str, programs: bool) -> str:
        raise ValueError(f"{kind}: {what}: take the line out, or name an address")

    return refuse


_SPECIALS: dict[str, Callable[[str, str, bool], str]] = {
    "FILE": _file("FILE"),
    "TFILE": _file("TFILE"),
    "PUBLIC": _public,
    "|": _program,
    # A set of rules takes the place of the delivery (mercury.md 3.5); whoever reads the files reads it, too.
    "FILTER": _file("FILTER"),
    "DAEMON": _missing("DAEMON", "libraries of Mercury cannot be loaded by Hermes"),
}
