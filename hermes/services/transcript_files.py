"""The files of transcripts: written and removed by a thread of their own, so that no session waits for the disk."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.interfaces import IGroupWorker

#: Octets that may wait for the disk, all transcripts together; what comes above that is lost, and not the mail.
MAX_WAITING_OCTETS = 8 * 1024**2

#: Time, then service, peer and number: in the order of the alphabet they are in that of time.
_NAME = re.compile(r"(\d{8}T\d{6})\.\d{6}Z-[a-z0-9]+-[0-9A-Za-z._]+-\d+\.txt\Z")

_UNFIT = re.compile(r"[^0-9A-Za-z.]")


@attrs.frozen
class Place:
    """Where transcripts go, how many are kept, and for how many seconds."""

    directory: str
    max_files: int
    keep_seconds: float


@attrs.frozen
class _Piece:
    """What is to be written behind what a file has; without a name, only old files are removed."""

    place: Place
    now: float
    name: str = ""
    octets: bytes = b""
    first: bool = False


class TranscriptFiles:
    """``worker`` performs :func:`perform_transcripts`; ``now`` gives seconds since the epoch."""

    _log = Logger()

    def __init__(self, worker: IGroupWorker, now: Callable[[], float]) -> None:
        self._worker = worker
        self._now = now
        self._waiting = 0
        self._number = 0
        self._broken = False
        self._stopped = False

    def open(self, place: Place, service: str, peer: str) -> Callable[[bytes], None]:
        """Name a new file; what is returned writes pieces into it, in their order."""
        self._number += 1
        at = datetime.fromtimestamp(self._now(), UTC)
        name = f"{at:%Y%m%dT%H%M%S.%f}Z-{service}-{_UNFIT.sub('_', peer)[:45] or 'unknown'}-{self._number}.txt"
        first = True

        def write(octets: bytes) -> None:
            nonlocal first
            self._submit(_Piece(place, self._now(), name, octets, first))
            first = False

        return write

    def tidy(self, place: Place) -> None:
        """Remove what is too old, or too much."""
        self._submit(_Piece(place, self._now()))

    def stop(self) -> None:
        """Take nothing more; what was taken is still written."""
        self._stopped = True

    def _submit(self, piece: _Piece) -> None:
        if self._stopped:
            return
        if self._waiting + len(piece.octets) > MAX_WAITING_OCTETS:
            self._report("the disk is too slow for them, and parts are missing")
            return
        self._waiting += len(piece.octets)
        _ = self._worker.submit(piece).addBoth(self._written, len(piece.octets))

    def _written(self, result: Any, octets: int) -> None:
        self._waiting -= octets
        if isinstance(result, Failure):
            error: Any = result.value
            self._report(f"{error.filename or ''}: {error.strerror}" if isinstance(error, OSError) else str(error))
        elif not self._waiting:
            self._broken = False

    def _report(self, why: str) -> None:
        # Once, until it works again: a full disk shall not fill the log as well.
        if not self._broken:
            self._broken = True
            self._log.error("Transcripts cannot be written: {why}. Mail is not held up by it.", why=why)


def perform_transcripts(pieces: list[_Piece]) -> list[Any]:
    """Write pieces; runs in the worker's thread. An error is the result of its piece."""
    return [_performed(piece) for piece in pieces]


def _performed(piece: _Piece) -> OSError | None:
    place = piece.place
    try:
        if piece.first:
            os.makedirs(place.directory, mode=0o700, exist_ok=True)
        if piece.name:
            new = os.O_EXCL if piece.first else 0
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | new
            descriptor = os.open(os.path.join(place.directory, piece.name), flags, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(piece.octets)
        if piece.first or not piece.name:
            _tidy(place, piece.now)
    except OSError as error:
        return error
    return None


def _tidy(place: Place, now: float) -> None:
    names = list_transcripts(place.directory)
    oldest = f"{datetime.fromtimestamp(max(now - place.keep_seconds, 0), UTC):%Y%m%dT%H%M%S}"
    for position, name in enumerate(names):
        if position < len(names) - place.max_files or name[: len(oldest)] < oldest:
            # Another worker may have done it.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(place.directory, name))


def list_transcripts(directory: str) -> list[str]:
    """The names of all transcripts, oldest first; none when there is no such directory."""
    try:
        return sorted(filter(_NAME.match, os.listdir(directory)))
    except FileNotFoundError:
        return []
