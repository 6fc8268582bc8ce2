"""What the settings of the phone book must be."""

from __future__ import annotations

from collections.abc import Iterator

from hermes.config.finding import Finding
from hermes.config.schema import Settings
from hermes.core.phone_book import FIELDS

_SUFFIXES = (".csv", ".ldif", ".vcf")


def phonebook_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[phonebook]`` that are broken."""
    book = settings.phonebook
    for key, names in (("fields", book.fields), ("local_fields", book.local_fields)):
        for name in names:
            if name not in FIELDS:
                yield Finding((("phonebook", key),), f"{name!r} is no field: there are {', '.join(FIELDS)}")
    for path in book.books:
        if not path.lower().endswith(_SUFFIXES):
            remedy = f"a book's name must end in {', '.join(_SUFFIXES)}"
            yield Finding((("phonebook", "books"),), f"{path!r}: {remedy}")
    for name in book.directories:
        if name not in settings.ldap:
            yield Finding(
                (("phonebook", "directories"),), f"there is no [ldap:{name}]: write one, or take the name out"
            )
    if book.listen and not (book.books or book.accounts or book.directories):
        places = (("phonebook", "listen"), ("phonebook", "books"))
        yield Finding(places, "there is nothing to look up: name books or directories, or set accounts = yes")
