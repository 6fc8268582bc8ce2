"""
An mbox (mboxrd) as the target of an export: written beside its place, and moved into it when it is whole.

What was begun and not finished is beside it, as ``NAME.part``, and is gone on with: what there was in the target before, then
whole messages, then perhaps a part of one, which is cut off. What a file system has of a file that only grows is a beginning of
it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator

from hermes.config.durable import sync_directory
from hermes.core.archived import Keeping, Kept, status_lines
from hermes.core.header import Header
from hermes.core.mbox import MAX_LINE_OCTETS, MboxError, MboxQuoter, MboxReader, Separator, separator_line
from hermes.mailbox.export_files import ExportError
from hermes.mailbox.maildir import FILE_MODE
from hermes.mailbox.sizes import open_regular
from hermes.mailbox.stored_mail import PIECE_OCTETS, OpenedMessage

#: What is begun is called by this, behind the name that it will have.
PART = ".part"


class MboxTarget:
    """The file at ``path``."""

    def __init__(self, path: str) -> None:
        self._path = path
        #: What is in the file: how many messages of each digest.
        self._present: Counter[bytes] = Counter()
        #: The target as it was looked through.
        self._target: os.stat_result | None = None
        self._begun = False
        self._at_end = False
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path + PART, flags, FILE_MODE), "r+b")
        try:
            self._lock()
            self._look()
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        busy = ExportError("somebody is exporting into it just now: wait for that to end")
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = os.stat(self._path + PART, follow_symlinks=False)
        except (BlockingIOError, FileNotFoundError):
            raise busy from None
        if not os.path.samestat(os.fstat(self._file.fileno()), there):
            # Whoever had it has come to its end, and this is the target now.
            raise busy

    def _look(self) -> None:
        """Find out what is there: in the target, and in what was begun if it begins with all of the target."""
        size = 0
        try:
            target = os.fdopen(open_regular(self._path), "rb")
        except FileNotFoundError:
            target = None
        if target is not None:
            with target:
                for digest, _ in _messages(target.read):
                    self._present[digest] += 1
                size = target.tell()
                self._target = os.fstat(target.fileno())
                self._begun = self._begins_with(target.seek, target.read, size)
        elif self._size():
            self._begun = True
        if self._begun:
            self._file.seek(size)
            size += self._known_from_here(self._size() - size)
        else:
            size = 0
        self._file.truncate(size)
        self._file.seek(size)

    def _known_from_here(self, size: int) -> int:
        """Find out what was added, in the last octets of the file; how many of them are whole messages."""
        if size <= MAX_LINE_OCTETS:
            begin = self._file.read().lstrip(b"\n")
            self._file.seek(-size, os.SEEK_END)
            # The line in front of the first message, and not even all of it.
            if b"\n" not in begin and begin[: len(b"From ")] == b"From "[: len(begin)]:
                return 0
        found = list(_messages(self._file.read))
        # The last one may not be whole.
        for digest, _ in found[:-1]:
            self._present[digest] += 1
        return found[-1][1] if found else 0

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _begins_with(self, seek: Callable[[int], int], read: Callable[[int], bytes], size: int) -> bool:
        if not self._size() or self._size() < size:
            return False
        seek(0)
        self._file.seek(0)
        while piece := read(PIECE_OCTETS):
            if self._file.read(len(piece)) != piece:
                return False
        return True

    def put(self, opened: OpenedMessage, folder: str) -> bool:
        """Add a message; False when it is there."""
        digest = opened.digest()
        if self._present[digest]:
            self._present[digest] -= 1
            return False
        self._begin()
        for piece in _as_mbox(opened):
            self._file.write(piece)
        return True

    def _begin(self) -> None:
        """Before the first message: all that the target has, and the empty line that stands before a message."""
        if self._at_end:
            return
        self._at_end = True
        if not self._begun:
            self._copy()
            self._begun = True
        self._file.seek(max(0, self._size() - 3))
        end = self._file.read()
        if end and not end.endswith((b"\n\n", b"\n\r\n")):
            self._file.write(b"\n" if end.endswith(b"\n") else b"\n\n")
        self._file.flush()

    def _copy(self) -> None:
        try:
            target = os.fdopen(open_regular(self._path), "rb")
        except FileNotFoundError:
            return
        with target:
            while piece := target.read(PIECE_OCTETS):
                self._file.write(piece)
        self._file.flush()

    def finish(self) -> None:
        """Put the file into its place, whole and durable."""
        try:
            known = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            known = None
        if known is not None and not self._begun:
            # Nothing is new.
            os.unlink(self._path + PART)
            return
        if known is not None and (self._target is None or _version(known) != _version(self._target)):
            # A mail program may have put a message into it, which is not in what takes its place.
            raise ExportError("another program has changed it meanwhile, and it is left as it is")
        self._file.flush()
        if known is not None:
            # Only root may give files away; for everybody else the file stays their own.
            with contextlib.suppress(PermissionError):
                os.fchown(self._file.fileno(), known.st_uid, known.st_gid)
            os.fchmod(self._file.fileno(), stat.S_IMODE(known.st_mode))
        os.fsync(self._file.fileno())
        os.rename(self._path + PART, self._path)
        sync_directory(os.path.dirname(self._path) or ".")

    def close(self) -> None:
        """Let go of what was begun; what has not reached the disk comes again, and whoever writes has heard of the fault."""
        with contextlib.suppress(OSError):
            self._file.close()


def _version(status: os.stat_result) -> tuple[int, int, int]:
    """What is another one when a file has been written to, or replaced."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _messages(read: Callable[[int], bytes]) -> Iterator[tuple[bytes, int]]:
    """The digests of the messages of an mbox from here on, and how far behind it each begins."""
    reader, kept, offset = MboxReader(), None, 0
    at_end = False
    while not at_end:
        piece = read(PIECE_OCTETS)
        at_end = not piece
        try:
            items = reader.finish() if at_end else reader.feed(piece)
        except MboxError as error:
            raise ExportError(f"this is no mbox, and is left as it is: {error}") from None
        for item in items:
            if not isinstance(item, Separator):
                assert kept is not None
                kept.feed(item)
                continue
            if kept is not None:
                yield _digest(kept), offset
            kept, offset = Kept(Keeping.MBOX), item.offset
    if kept is not None:
        yield _digest(kept), offset


def _digest(kept: Kept) -> bytes:
    kept.finish()
    return kept.digest()


def _as_mbox(opened: OpenedMessage) -> Iterator[bytes]:
    """A message with the line in front of it, what its flags say in its header, and the empty line behind it."""
    kept, quoter, begun = Kept(Keeping.MBOX), MboxQuoter(), False
    for octets in _kept_text(opened, kept):
        text = octets
        if not begun:
            begun = True
            header = kept.header
            yield separator_line(_sender(header), opened.at)
            status = status_lines(opened.message.flags, is_old=opened.message.directory == "cur")
            text = header + status + octets[len(header) :]
        yield quoter.feed(text)
    yield quoter.finish() + b"\n"


def _kept_text(opened: OpenedMessage, kept: Kept) -> Iterator[bytes]:
    """The text of a message in pieces, of which there is one at least: also of an empty one there is what stands around it."""
    given = False
    for piece in opened.text():
        if octets := kept.feed(piece):
            given = True
            yield octets
    if (octets := kept.finish()) or not given:
        yield octets


def _sender(header: bytes) -> str:
    return (Header(header).first("return-path") or "").strip().removeprefix("<").removesuffix(">")
