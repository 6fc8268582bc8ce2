"""An address book as a table: the first line names the columns (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from hermes.core.phone_book import FIELDS, Entry, entry

# What other programs call the fields, in lower case.
_COLUMNS = {
    "nickname": "alias",
    "display name": "name",
    "full name": "name",
    "primary email": "email",
    "e-mail": "email",
    "e-mail address": "email",
    "mail": "email",
    "secondary email": "email",
    "telephone": "phone",
    "work phone": "phone",
    "business phone": "phone",
    "mobile": "phone",
    "mobile number": "phone",
    "mobile phone": "phone",
    "fax number": "fax",
    "business fax": "fax",
    "organization": "department",
    "organisation": "department",
    "company": "department",
    "job title": "title",
    "work address": "address",
    "home address": "postal",
    "notes": "other",
}


def read_csv(text: str, wrong: Callable[[int, str], None]) -> list[Entry]:
    """All rows; columns of other names are passed over, and a table without one that is known is wrong."""
    first = text.partition("\n")[0]
    # Programs of countries that write decimals with a comma put semicolons between values.
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    entries: list[Entry] = []
    try:
        columns = [_field(name) for name in next(rows, [])]
        if "name" not in columns and "email" not in columns:
            wrong(1, f"no column is called name or email: call them {', '.join(FIELDS)}")
            return []
        for row in rows:
            values: dict[str, list[str]] = {}
            for column, value in zip(columns, row, strict=False):
                if column:
                    values.setdefault(column, []).append(value)
            made = entry(values)
            if made:
                entries.append(made)
    except csv.Error as error:
        wrong(rows.line_num, f"this is no row of a table: {error}")
    return entries


def _field(column: str) -> str:
    name = column.strip().lower()
    return name if name in FIELDS else _COLUMNS.get(name, "")
