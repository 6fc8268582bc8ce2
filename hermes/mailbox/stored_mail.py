"""The messages of a mailbox, as an export reads them: beside a server and its readers, who may rename or remove any of them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import attrs

from hermes.core.archived import Keeping, Kept
from hermes.core.dropped import LineEnds
from hermes.mailbox import maildir
from hermes.mailbox.sizes import open_regular

#: Read at once.
PIECE_OCTETS = 256 * 1024


@attrs.define
class StoredMessage:
    """A message in a folder, which is the maildir at ``path``; where it is, and under what name, as far as is known."""

    path: str
    directory: str
    name: bytes

    @property
    def flags(self) -> str:
        """Those that all programs know, in order."""
        _, _, info = self.name.partition(b":2,")
        return "".join(letter for letter in "DFPRST" if letter.encode() in info.partition(b",")[0])

    def open(self) -> OpenedMessage:
        """Open it, also when somebody has renamed it; raise FileNotFoundError when it is gone."""
        try:
            return OpenedMessage(self, open_regular(self._place()))
        except FileNotFoundError:
            found = maildir.find(self.path, maildir.unique_part(self.name))
            if found is None:
                raise
            self.directory, self.name = found
            return OpenedMessage(self, open_regular(self._place()))

    def _place(self) -> bytes:
        return os.path.join(os.fsencode(self.path), self.directory.encode(), self.name)


class OpenedMessage:
    """The octets of a message, which may be read several times; whoever has opened it closes it."""

    def __init__(self, message: StoredMessage, descriptor: int) -> None:
        self.message = message
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        seconds = maildir.seconds_of(message.name)
        #: When it was delivered, as its name says; or, where that is older, its file.
        self.at = status.st_mtime if seconds is None else min(float(seconds), status.st_mtime)

    def __enter__(self) -> OpenedMessage:
        return self

    def __exit__(self, *fault: object) -> None:
        os.close(self._descriptor)

    def raw(self) -> Iterator[bytes]:
        """The octets as they are."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while piece := os.read(self._descriptor, PIECE_OCTETS):
            yield piece

    def text(self) -> Iterator[bytes]:
        """The same with LF line ends."""
        ends = LineEnds()
        for piece in self.raw():
            yield ends.feed(piece)
        yield ends.finish()

    def digest(self) -> bytes:
        """By what the message is known, see :class:`hermes.core.archived.Kept`."""
        kept = Kept(Keeping.MAILDIR)
        for piece in self.text():
            kept.feed(piece)
        kept.finish()
        return kept.digest()


def messages_of(path: str) -> list[StoredMessage]:
    """The messages of a folder, in the order in which they came."""
    found = [
        StoredMessage(path, directory, entry.name)
        for directory in ("new", "cur")
        for entry in maildir.messages_in(os.fsencode(os.path.join(path, directory)))
    ]
    found.sort(key=lambda message: (maildir.unique_part(message.name), message.name))
    return found
