"""An address book as LDAP servers and many mail programs export it (LDIF, RFC 2849)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence

from hermes.core.phone_book import Entry, entry
from hermes.directory.books.lines import unfolded

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
    for number, line in [*unfolded(text, _goes_on), (0, "")]:
        if not line:
            made = entry(values)
            if made:
                entries.append(made)
            values = {}
            continue
        if line.startswith("#"):
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


def _goes_on(_: Sequence[str], line: str) -> str | None:
    """RFC 2849, note 2: a line that begins with a space goes on the one before it."""
    return line[1:] if line.startswith(" ") else None
