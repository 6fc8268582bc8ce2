"""The phone book of one set of settings: files that are read again when they change, and the accounts where that is wanted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

from hermes.config.schema import Settings
from hermes.core.phone_book import Book
from hermes.directory.books import read_book
from hermes.directory.books.account_book import AccountBook
from hermes.directory.directory import AccountSource
from hermes.interfaces import IGroupWorker
from hermes.policy.edited_file import EditedFile, Lines, read_lines
from hermes.services.phonebook_server import PhoneBook


def parse_book(lines: Lines) -> Book:
    """A book of a file's text."""
    return Book(read_book(lines.path, lines.text, lines.wrong))


def book_paths(settings: Settings) -> list[str]:
    """The files, relative ones in the data directory."""
    return [os.path.join(settings.hermes.data, path) for path in settings.phonebook.books]


def phone_book(settings: Settings, source: AccountSource, reader: IGroupWorker, now: Callable[[], float]) -> PhoneBook:
    """What is looked up; ``reader`` is a worker that calls each item. ConfigError tells what is wrong with a file."""
    files = [EditedFile(path, parse_book, reader, now) for path in book_paths(settings)]
    accounts = AccountBook(source, settings.hermes.domains)

    async def books() -> list[Book]:
        own = [await accounts.current()] if settings.phonebook.accounts else []
        return own + [file.current() for file in files]

    hermes = settings.hermes
    domain = hermes.domains[0] if hermes.domains else ""
    return PhoneBook(settings.phonebook, books, reader.submit, domain, hermes.postmaster)


def book_files(settings: Settings) -> Iterator[tuple[str, str, Callable[[], tuple[int, str, str]]]]:
    """The files, for :func:`hermes.app.file_checks.rule_files`."""
    for path in book_paths(settings):
        yield "phonebook.books", path, partial(_counted, path)


def _counted(path: str) -> tuple[int, str, str]:
    return len(read_lines(path, parse_book).entries), "entry", "entries"
