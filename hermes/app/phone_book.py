"""The phone book of one set of settings: files that are read again when they change, and the accounts where that is wanted."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from hermes.app.known_files import Key, read_known
from hermes.app.staged import Module
from hermes.config.errors import ConfigError
from hermes.config.schema import Settings
from hermes.core.phone_book import Book, Entry, Term
from hermes.directory.books import read_book
from hermes.directory.books.account_book import AccountBook
from hermes.directory.directory import AccountSource
from hermes.interfaces import IGroupWorker, UnavailableError
from hermes.policy.edited_file import EditedFile, Lines, read_lines
from hermes.services.lookups import Lookups
from hermes.services.phonebook_server import Find, PhoneBook

if TYPE_CHECKING:
    from hermes.app.stores import Stores


def parse_book(lines: Lines) -> Book:
    """A book of a file's text."""
    return Book(read_book(lines.path, lines.text, lines.wrong))


def book_paths(settings: Settings) -> list[str]:
    """The files, relative ones in the data directory."""
    return [os.path.join(settings.hermes.data, path) for path in settings.phonebook.books]


def books_of(settings: Settings) -> list[Key]:
    """The files that are to be read, and how; none where nobody asks for them."""
    return [(path, parse_book) for path in book_paths(settings)] if settings.phonebook.listen else []


class Books:
    """The address books of one set of settings, by their paths; they are there before the first who asks."""

    def __init__(self) -> None:
        self.files: dict[str, EditedFile[Book]] = {}

    async def read(
        self, settings: Settings, worker: IGroupWorker, now: Callable[[], float], before: Books | None = None
    ) -> None:
        """Have the worker read those that have changed since ``before``; ValueError tells what is wrong with a file."""
        kept = before.files.values() if before is not None else ()
        try:
            known = await read_known(books_of(settings), kept, worker, now)
        except ConfigError as error:
            # A file beside config.ini, with its lines.
            raise ValueError(str(error)) from None
        self.files = {path: file for (path, _), file in known.items()}


class FirstBooks(Module):
    """Reads the books of the first settings: before anybody can ask, and after the threads have been started."""

    name = "address books"

    def __init__(self, read: Callable[[], Awaitable[None]]) -> None:
        self._read = read

    @override
    async def start(self) -> None:
        await self._read()


def phone_book(settings: Settings, stores: Stores, lookups: Lookups, files: Books) -> PhoneBook:
    """What is looked up."""
    hermes = settings.hermes
    accounts = partial(_find_account, lookups, stores.source, AccountBook(hermes.domains))
    books: list[Find] = [partial(_find_in_file, lookups, files, path) for path in dict.fromkeys(book_paths(settings))]
    books += [partial(_find_in_directory, stores, name, hermes.domains) for name in settings.phonebook.directories]
    if settings.phonebook.accounts:
        books.insert(0, accounts)
    domain = hermes.domains[0] if hermes.domains else ""
    return PhoneBook(settings.phonebook, books, domain, hermes.postmaster)


async def _find_account(
    lookups: Lookups, source: AccountSource, accounts: AccountBook, terms: Sequence[Term], most: int
) -> list[Entry] | None:
    table = source.known()
    return await lookups.do(lambda: accounts.book(table).find(terms, most))


async def _find_in_file(
    lookups: Lookups, books: Books, path: str, terms: Sequence[Term], most: int
) -> list[Entry] | None:
    book = books.files[path].current()
    return await lookups.do(lambda: book.find(terms, most))


async def _find_in_directory(
    stores: Stores, name: str, domains: Sequence[str], terms: Sequence[Term], most: int
) -> list[Entry] | None:
    # Looked for each time: after a reload it may be another one, or none for those who are still connected.
    book = stores.directory_book(name)
    if book is None:
        raise UnavailableError(f"[ldap:{name}] is not asked any more")
    return await book.find(domains, terms, most)


def book_files(settings: Settings) -> Iterator[tuple[str, str, Callable[[], tuple[int, str, str]]]]:
    """The files, for :func:`hermes.app.file_checks.rule_files`."""
    for path in book_paths(settings):
        yield "phonebook.books", path, partial(_counted, path)


def _counted(path: str) -> tuple[int, str, str]:
    return len(read_lines(path, parse_book).entries), "entry", "entries"
