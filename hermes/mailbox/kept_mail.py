"""
Mail as other programs keep it, to be read message by message: an mbox, a maildir with its folders, or a directory of ``.CNM``
files.

A source gives out a :class:`Heading` for each message, and then its text in pieces, with LF line ends. Whoever owns a directory
may change it while it is read, so links are not followed, and nothing but regular files is opened.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from email.utils import mktime_tz, parsedate_tz
from typing import BinaryIO, Protocol

import attrs

from hermes.core.archived import Keeping
from hermes.core.dropped import LineEnds
from hermes.core.header import Header
from hermes.core.mbox import MboxError, MboxReader, Quoting, Separator
from hermes.mailbox import folders, maildir
from hermes.mailbox.listing import MAX_MESSAGES
from hermes.mailbox.sizes import open_regular

#: Read at once.
PIECE_OCTETS = 256 * 1024

#: One RFC 5322 message, as Mercury and Pegasus Mail keep new mail.
CNM_SUFFIX = b".cnm"

# Small letters are keywords, whose meaning stands in a file of the program that wrote them.
_FLAGS = re.compile(rb":2,([A-Z]*)")


@attrs.frozen
class Heading:
    """
    A message begins.

    ``label`` says for people where it is kept. ``folder`` is the directory of a folder of a maildir, empty for the mailbox
    itself. ``at`` is when it was delivered, in seconds since the epoch, None when only its header may say so. ``sender`` is its
    reverse-path, where that is kept beside the header. ``flags`` are those of a maildir, and ``is_old`` says that it has been
    shown; both may also stand in the header, see :class:`hermes.core.archived.State`.
    """

    label: str
    folder: str = ""
    at: float | None = None
    sender: str = ""
    flags: str = ""
    is_old: bool = False


@attrs.frozen
class Unreadable:
    """Something that should be a message and cannot be read."""

    label: str
    reason: str


Item = Heading | bytes | Unreadable


class Source(Protocol):
    """Where messages come from: how they are kept, how much there is, and how much of that has been read; 0 for not known."""

    keeping: Keeping
    done: int

    @property
    def total(self) -> int:
        """All of it."""

    def items(self) -> Iterator[Item]:
        """The messages."""


class KeptMailError(ValueError):
    """There is no mail, or none that can be read; the text says why and what to do."""


class MboxSource:
    """An mbox of ``total`` octets, which is read from its beginning to its end; of a pipe the size is not known."""

    keeping = Keeping.MBOX

    def __init__(self, file: BinaryIO, quoting: Quoting, total: int = 0) -> None:
        self._file = file
        self._quoting = quoting
        self.total = total
        self.done = 0

    def items(self) -> Iterator[Item]:
        """The messages; raises :class:`KeptMailError` when it is no mbox."""
        reader, number = MboxReader(self._quoting), 0
        try:
            while piece := self._file.read(PIECE_OCTETS):
                for item in reader.feed(piece):
                    number += isinstance(item, Separator)
                    yield _of_mbox(item, number)
                self.done += len(piece)
            for item in reader.finish():
                number += isinstance(item, Separator)
                yield _of_mbox(item, number)
        except MboxError as error:
            raise KeptMailError(f"this is no mbox: {error}") from None


def _of_mbox(item: Separator | bytes, number: int) -> Item:
    return item if isinstance(item, bytes) else Heading(f"message {number}", at=item.at, sender=item.sender)


@attrs.frozen
class _File:
    """A message in a file of its own: the directory, below the source, and the name in it."""

    directory: str
    name: bytes
    folder: str
    in_cur: bool = False


class _FilesSource:
    """Messages that are files."""

    keeping = Keeping.MAILDIR

    def __init__(self, path: str) -> None:
        self._path = path
        self._unreadable: list[Unreadable] = []
        self._files: list[_File] = []
        self.done = 0

    @property
    def total(self) -> int:
        """How many messages there are."""
        return len(self._files)

    def items(self) -> Iterator[Item]:
        """The messages."""
        yield from self._unreadable
        at = ""
        with contextlib.ExitStack() as opened:
            descriptor = -1
            for file in self._files:
                if descriptor < 0 or file.directory != at:
                    opened.close()
                    at, descriptor = file.directory, open_directory(self._path, file.directory)
                    opened.callback(os.close, descriptor)
                yield from self._message(descriptor, file)
                self.done += 1

    def _message(self, directory: int, file: _File) -> Iterator[Item]:
        label = os.path.join(file.directory, os.fsdecode(file.name))
        try:
            descriptor = open_regular(file.name, directory)
        except OSError as error:
            yield Unreadable(label, error.strerror or "it cannot be read")
            return
        with os.fdopen(descriptor, "rb", buffering=0) as opened:
            ends = LineEnds()
            try:
                piece = opened.read(PIECE_OCTETS)
                yield self._heading(label, file, piece, os.fstat(descriptor).st_mtime)
                while piece:
                    yield ends.feed(piece)
                    piece = opened.read(PIECE_OCTETS)
            except OSError as error:
                yield Unreadable(label, error.strerror or "it cannot be read")
                return
            yield ends.finish()

    def _heading(self, label: str, file: _File, beginning: bytes, modified_at: float) -> Heading:
        # A file gets older by no copy: what is told by the name, and by the time of the file, is true for the older of the two.
        seconds = maildir.seconds_of(file.name)
        flags = _FLAGS.search(file.name)
        letters = "".join(sorted(set(flags[1].decode("ascii")))) if flags and file.in_cur else ""
        at = modified_at if seconds is None else min(modified_at, float(seconds))
        return Heading(label, file.folder, at, flags=letters, is_old=file.in_cur)

    def _list(self, directory: str, folder: str, *, in_cur: bool = False, suffix: bytes = b"") -> None:
        descriptor = open_directory(self._path, directory)
        try:
            with os.scandir(descriptor) as entries:
                names = []
                for entry in entries:
                    name = os.fsencode(entry.name)
                    if name.startswith(b".") or not name.lower().endswith(suffix):
                        continue
                    if entry.is_file(follow_symlinks=False):
                        names.append(name)
                    elif not entry.is_dir(follow_symlinks=False):
                        label = os.path.join(directory, entry.name)
                        self._unreadable.append(Unreadable(label, "it is a link, or no file"))
                    if len(names) + len(self._files) > MAX_MESSAGES:
                        raise KeptMailError(f"{self._path} has more than {MAX_MESSAGES} messages: move some elsewhere")
        finally:
            os.close(descriptor)
        self._files += [_File(directory, name, folder, in_cur) for name in sorted(names)]


class MaildirSource(_FilesSource):
    """A maildir, and the folders in it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        names = sorted(folders.inside(path))
        if len(names) > folders.MAX_FOLDERS:
            raise KeptMailError(f"{path} has more than {folders.MAX_FOLDERS} folders")
        for name in ["", *names]:
            if name and not is_maildir(os.path.join(path, name)):
                continue
            try:
                if name:
                    folders.check(name)
            except ValueError as error:
                self._unreadable.append(Unreadable(name, str(error)))
                continue
            for directory in ("cur", "new"):
                below = os.path.join(name, directory)
                try:
                    self._list(below, name, in_cur=directory == "cur")
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self._unreadable.append(Unreadable(below, error.strerror or "it cannot be read"))


class CnmSource(_FilesSource):
    """A directory of ``.CNM`` files, or one of them."""

    keeping = Keeping.CNM

    def __init__(self, path: str) -> None:
        directory, name = os.path.split(path)
        if os.path.isdir(path):
            super().__init__(path)
            self._list("", "", suffix=CNM_SUFFIX)
        else:
            super().__init__(directory or ".")
            self._files.append(_File("", os.fsencode(name), ""))

    def _heading(self, label: str, file: _File, beginning: bytes, modified_at: float) -> Heading:
        return Heading(label, at=received_at(beginning) or modified_at)


def received_at(beginning: bytes) -> float | None:
    """When the last server had the message, as the first Received field says (RFC 5321 4.4); None where it does not."""
    value = Header(beginning.partition(b"\r\n\r\n")[0].partition(b"\n\n")[0].replace(b"\r\n", b"\n")).first("received")
    if value is None or ";" not in value:
        return None
    try:
        parsed = parsedate_tz(value.rpartition(";")[2].strip()[:100])
        return None if parsed is None else float(mktime_tz(parsed))
    except (ValueError, OverflowError, IndexError, TypeError):
        # What strangers write into a date.
        return None


def open_directory(path: str, below: str) -> int:
    """Open a directory below one that somebody has named, whose parts are no links."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in filter(None, below.split("/")):
        outer = descriptor
        try:
            descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=outer)
        finally:
            os.close(outer)
    return descriptor


def is_maildir(path: str) -> bool:
    """Whether it looks like one."""
    return any(os.path.isdir(os.path.join(path, name)) for name in ("cur", "new"))
