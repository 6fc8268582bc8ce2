"""An address book as LDAP servers and many mail programs export it (LDIF, RFC 2849)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator

from hermes.core.phone_book import Entry, entry
from hermes.directory.books.lines import lines_of

# Attributes of inetOrgPerson and its kin, in lower case.
_ATTRIBUTES = {
    "uid": "alias",
    "cn": "name",
    "displayname": "name",
    "mail": "email",
    "mozillasecondemail": "email",
    "telephonenumber": "phone",
    "mobile": "phone",
    "homephone": "phone",
    "facsimiletelephonenumber": "fax",
    "ou": "department",
    "o": "department",
    "departmentnumber": "department",
    "title": "title",
    "street": "address",
    "physicaldeliveryofficename": "address",
    "postaladdress": "postal",
    "description": "other",
}


def read_ldif(text: str, wrong: Callable[[int, str], None]) -> list[Entry]:
    """All records with something in them that a phone book shows; values in other files are not fetched."""
    entries: list[Entry] = []
    values: dict[str, list[str]] = {}
    for number, line in [*_unfolded(text), (0, "")]:
        if not line:
            made = entry(values)
            if made:
                entries.append(made)
            values = {}
            continue
        # attrval-spec = AttributeDescription value-spec SEP   (RFC 2849, formal syntax)
        name, colon, value = line.partition(":")
        if not colon:
            wrong(number, "this is no line of LDIF: it has no colon")
            continue
        field = _ATTRIBUTES.get(name.partition(";")[0].strip().lower())
        if field is not None and not value.startswith("<"):
            try:
                values.setdefault(field, []).append(_value(value))
            except (binascii.Error, ValueError):
                wrong(number, f"the value of {name} is not the base64 of UTF-8 text")
    return entries


def _value(text: str) -> str:
    if text.startswith(":"):
        return base64.b64decode(text[1:].strip(), validate=True).decode("utf-8")
    return text.strip()


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Lines with the numbers of their beginnings; one that begins with a space goes on the one before it."""
    pending: tuple[int, list[str]] | None = None
    for number, line in enumerate(lines_of(text), 1):
        if line.startswith(" ") and pending is not None:
            pending[1].append(line[1:])
            continue
        if pending is not None:
            yield pending[0], "".join(pending[1])
        # A comment is folded like everything else; what it says is no value.
        pending = (number, ["#:"] if line.startswith("#") else [line])
    if pending is not None:
        yield pending[0], "".join(pending[1])
