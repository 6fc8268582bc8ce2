"""
A maildir, or a directory of ``.CNM`` files, as the target of an export: each message a file that is whole and durable, or not
there.

In a maildir a message keeps its name, by which it is known again; the flags that it has got there stay. A ``.CNM`` file has eight
letters for a name, made of what the message holds: it is known again as long as it stays there.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from hermes.config.durable import sync_directory
from hermes.core.archived import Keeping, Kept
from hermes.core.dropped import LineEnds
from hermes.core.identifiers import encode
from hermes.mailbox import folders, maildir
from hermes.mailbox.lock import lock_directory
from hermes.mailbox.sizes import open_regular
from hermes.mailbox.stored_mail import PIECE_OCTETS, OpenedMessage
from hermes.protocols.wire import WireEncoder

#: Names that are tried for a message; Mercury tries as many.
MAX_TRIES = 30

#: Letters of a name: Pegasus Mail runs where there are no more.
_NAME_LETTERS = 8

_PART = b".part"

#: Messages after which their names are made durable.
_GROUP = 64


class ExportError(ValueError):
    """The target cannot be used, or not just now; the text says why."""


class _Files:
    """Files that come into directories one after the other; one process at a time, by a lock on ``path``."""

    def __init__(self, path: str) -> None:
        self._touched: set[bytes] = set()
        self._written = 0
        self._lock = lock_directory(path)

    def write(self, temporary: bytes, final: bytes, pieces: Iterable[bytes], at: float) -> None:
        """Write a file, make it durable, and put it into its place; a temporary one is of an export that has died."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, maildir.FILE_MODE), "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.utime(file.fileno(), (at, at))
            os.fsync(file.fileno())
        os.rename(temporary, final)
        self._touched.add(os.path.dirname(final))
        self._written += 1
        if self._written % _GROUP == 0:
            self.finish()

    def finish(self) -> None:
        """Make the names durable."""
        for directory in sorted(self._touched):
            sync_directory(os.fsdecode(directory))
        self._touched.clear()

    def close(self) -> None:
        """Let others in."""
        os.close(self._lock)


class MaildirTarget:
    """The maildir at ``path``, which is made when it is not there."""

    def __init__(self, path: str) -> None:
        maildir.make(path)
        self._path = path
        self._files = _Files(os.path.join(path, "tmp"))
        self._present: dict[str, set[bytes]] = {}
        self._met: Counter[bytes] = Counter()

    def put(self, opened: OpenedMessage, folder: str) -> bool:
        """Add a message to a folder; False when it is there."""
        message = opened.message
        place = os.fsencode(folders.make(self._path, folder) if folder not in self._present else self._in(folder))
        if folder not in self._present:
            self._present[folder] = set(_bases(os.fsdecode(place)))
        name = self._name(folder, message.name)
        if maildir.base_part(name) in self._present[folder]:
            return False
        temporary = os.path.join(place, b"tmp", maildir.base_part(name))
        final = os.path.join(place, message.directory.encode(), name)
        self._files.write(temporary, final, opened.raw(), opened.at)
        return True

    def _in(self, folder: str) -> str:
        return os.path.join(self._path, folder) if folder else self._path

    def _name(self, folder: str, name: bytes) -> bytes:
        """Its own, or where another message of the folder has that name but for its flags, one like it."""
        key = os.fsencode(folder) + b"/" + maildir.base_part(name)
        self._met[key] += 1
        if self._met[key] == 1:
            return name
        unique = maildir.unique_part(name)
        return unique + b"_%d" % self._met[key] + name[len(unique) :]

    def finish(self) -> None:
        """Make all of it durable."""
        self._files.finish()

    def close(self) -> None:
        """Let others in."""
        self._files.close()


def _bases(path: str) -> Iterator[bytes]:
    for directory in ("new", "cur"):
        for entry in maildir.messages_in(os.fsencode(os.path.join(path, directory))):
            yield maildir.base_part(entry.name)


class CnmTarget:
    """The directory at ``path``, which is made when it is not there."""

    def __init__(self, path: str) -> None:
        os.makedirs(path, maildir.DIRECTORY_MODE, exist_ok=True)
        self._path = os.fsencode(path)
        self._files = _Files(path)
        self._met: Counter[bytes] = Counter()

    def put(self, opened: OpenedMessage, folder: str) -> bool:
        """Add a message; False when it is there."""
        digest = opened.digest()
        self._met[digest] += 1
        for attempt in range(MAX_TRIES):
            name = os.path.join(self._path, _cnm_name(digest, self._met[digest], attempt))
            if not os.path.lexists(name):
                self._files.write(name + _PART, name, _with_crlf(opened), opened.at)
                return True
            # Another copy of the same text has another name of its own.
            if _digest_of(name) == digest:
                return False
        raise ExportError(f"no name is free for a message, in {MAX_TRIES} tries")

    def finish(self) -> None:
        """Make all of it durable."""
        self._files.finish()

    def close(self) -> None:
        """Let others in."""
        self._files.close()


def _cnm_name(digest: bytes, ordinal: int, attempt: int) -> bytes:
    number = int.from_bytes(blake2b(digest + b"%d/%d" % (ordinal, attempt), digest_size=5).digest(), "big")
    return encode(number)[-_NAME_LETTERS:].encode("ascii") + b".CNM"


def _with_crlf(opened: OpenedMessage) -> Iterator[bytes]:
    encoder = WireEncoder(stuffing=False)
    for piece in opened.raw():
        yield encoder.encode(piece)
    yield encoder.finish()


def _digest_of(path: bytes) -> bytes | None:
    """By what the message in a file is known; None for what is no file."""
    kept, ends = Kept(Keeping.MAILDIR), LineEnds()
    try:
        descriptor = open_regular(path)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while piece := file.read(PIECE_OCTETS):
            kept.feed(ends.feed(piece))
    kept.feed(ends.finish())
    kept.finish()
    return kept.digest()
