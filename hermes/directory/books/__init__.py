"""Address books as programs export them, read as phone books: CSV, LDIF and vCard."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hermes.core.phone_book import MAX_ENTRIES, Entry
from hermes.directory.books.csv_book import read_csv
from hermes.directory.books.ldif_book import read_ldif
from hermes.directory.books.vcard_book import read_vcards

#: Says what is wrong with a line: its number, and words for the administrator.
Wrong = Callable[[int, str], None]

#: How a file is read, by the end of its name.
READERS: Mapping[str, Callable[[str, Wrong], list[Entry]]] = {
    ".csv": read_csv,
    ".ldif": read_ldif,
    ".vcf": read_vcards,
}


def read_book(path: str, text: str, wrong: Wrong) -> list[Entry]:
    """The entries of a book; the end of its name says how it is written."""
    for suffix, read in READERS.items():
        if path.lower().endswith(suffix):
            entries = read(text, wrong)
            if len(entries) > MAX_ENTRIES:
                wrong(1, f"has more than {MAX_ENTRIES} entries")
            return entries
    wrong(1, f"is no book: its name must end in {', '.join(READERS)}")
    return []
