"""Kept mail for tests of import and export, and an import without a command."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence

from hermes.core.archived import Keeping
from hermes.core.event import Event
from hermes.mailbox import maildir
from hermes.mailbox.import_record import ImportRecord
from hermes.mailbox.importing import Imported, Importer, Limits, Place
from hermes.mailbox.kept_mail import Heading, Item, Source
from tests.support.maildirs import NOW, files_in, read

NO_LIMITS = Limits(10**9, 0)


class Messages:
    """A source of headings and texts, each text cut into pieces of ``cut`` octets."""

    def __init__(self, *messages: tuple[Heading, bytes], keeping: Keeping = Keeping.MBOX, cut: int = 1000) -> None:
        self._messages = messages
        self._cut = cut
        self.keeping = keeping
        self.done = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self._messages)

    def items(self) -> Iterator[Item]:
        """Them."""
        for heading, text in self._messages:
            yield heading
            file = io.BytesIO(text)
            while piece := file.read(self._cut):
                yield piece


def numbered(count: int, size: int = 100) -> Messages:
    """So many messages, all different; every seventh is large."""
    return Messages(
        *(
            (
                Heading(
                    f"message {number}", at=NOW - number, is_old=number % 2 == 0, flags="S" if number % 4 == 0 else ""
                ),
                f"Message-ID: <{number}@example.org>\n\n".encode() + b"x\n" * (300_000 if number % 7 == 0 else size),
            )
            for number in range(1, count + 1)
        ),
        cut=50_000,
    )


def import_into(
    path: str,
    source: Source,
    *,
    folder: str = "",
    limits: Limits = NO_LIMITS,
    tell: Callable[[Sequence[Event], int], None] = lambda events, octets: None,
) -> Imported:
    """Import; what has been done."""
    maildir.make(path)
    record = ImportRecord(path)
    importer = Importer(Place("joe", path, folder), record, limits, tell=tell, now=lambda: NOW)
    try:
        importer.run(source)
    finally:
        record.close()
    return importer.so_far


def stored(path: str) -> list[bytes]:
    """The messages of a folder, in no order."""
    return sorted(read(path, directory, name) for directory in ("new", "cur") for name in files_in(path, directory))


def in_tmp(path: str) -> list[str]:
    """What has been left in tmp."""
    return sorted(os.listdir(os.path.join(path, "tmp")))
