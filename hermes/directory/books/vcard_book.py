"""An address book as telephones and mail programs export it (vCard, RFC 6350; versions 2.1 and 3.0 as far as they are alike)."""

from __future__ import annotations

import quopri
import re
from collections.abc import Callable, Sequence

from hermes.core.phone_book import Entry, entry
from hermes.directory.books.lines import unfolded

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
    for number, line in unfolded(text, _goes_on):
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


def _goes_on(pieces: Sequence[str], line: str) -> str | None:
    """RFC 6350 3.2: a line with white space in front; in old cards, what is behind a quoted-printable one that ends in ``=``."""
    if line[:1] in {" ", "\t"}:
        return line[1:]
    return f"\n{line}" if pieces[-1].endswith("=") and "QUOTED-PRINTABLE" in pieces[0].upper() else None
