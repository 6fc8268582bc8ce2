"""An address book as telephones and mail programs export it (vCard, RFC 6350; versions 2.1 and 3.0 as far as they are alike)."""

from __future__ import annotations

import quopri
import re
from collections.abc import Callable, Iterator

from hermes.core.phone_book import Entry, entry
from hermes.directory.books.lines import lines_of

_PROPERTIES = {
    "NICKNAME": "alias",
    "FN": "name",
    "EMAIL": "email",
    "TEL": "phone",
    "ORG": "department",
    "TITLE": "title",
    "ADR": "address",
    "NOTE": "other",
}

# contentline = [group "."] name *(";" param) ":" value CRLF   (RFC 6350 3.3)
_LINE = re.compile(r"(?:[A-Za-z0-9-]+\.)?([A-Za-z0-9-]+)((?:;(?:[^\":;]|\"[^\"]*\")*)*):(.*)\Z", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PARTS = re.compile(r"(?<!\\)[;,]")


def read_vcards(text: str, wrong: Callable[[int, str], None]) -> list[Entry]:
    """All cards."""
    entries: list[Entry] = []
    values: dict[str, list[str]] | None = None
    for number, line in _unfolded(text):
        found = _LINE.match(line)
        if found is None:
            if line.strip():
                wrong(number, "this is no line of a vCard: it has no colon")
            continue
        name, parameters, value = found[1].upper(), found[2].upper(), found[3]
        if name == "BEGIN":
            values = {}
        elif values is None:
            wrong(number, "this stands in no card: BEGIN:VCARD is missing")
            return entries
        elif name == "END":
            entries += [made] if (made := entry(values)) else []
            values = None
        elif name in _PROPERTIES:
            field = "fax" if name == "TEL" and "FAX" in parameters else _PROPERTIES[name]
            if "QUOTED-PRINTABLE" in parameters:
                value = quopri.decodestring(value.encode("utf-8")).decode("utf-8", "replace")
            values.setdefault(field, []).append(_plain(value))
    if values is not None:
        wrong(1, "the last card does not end: END:VCARD is missing")
    return entries


def _plain(value: str) -> str:
    """RFC 6350 3.4: parts behind one another; a line end of the value is a space here."""
    value = value.removeprefix("tel:")
    parts = (part.strip() for part in _PARTS.split(value))
    return _ESCAPED.sub(lambda escaped: " " if escaped[1] in "nN" else escaped[1], ", ".join(filter(None, parts)))


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Lines with the numbers of their beginnings (RFC 6350 3.2); quoted-printable ones of old cards end in ``=``."""
    pending: tuple[int, list[str]] | None = None
    for number, line in enumerate(lines_of(text), 1):
        if pending is not None and line[:1] in (" ", "\t"):
            pending[1].append(line[1:])
        elif pending is not None and pending[1][-1].endswith("=") and "QUOTED-PRINTABLE" in pending[1][0].upper():
            pending[1].append("\n" + line)
        else:
            if pending is not None:
                yield pending[0], "".join(pending[1])
            pending = (number, [line])
    if pending is not None:
        yield pending[0], "".join(pending[1])
