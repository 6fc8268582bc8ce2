"""
The mail log: one line for each fact, in a file that turns over by size.

The trace in the spool is the durable record; this is what people follow with ``tail -f`` and what log readers read.

Several processes may write one log: each appends whole lines in one call, and the file is turned over by whoever finds it full.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hermes.core.event import Event
from hermes.core.event_text import as_json, as_text

#: A file of this size is renamed to ``mail.log.1`` and so on; ten of them are kept, so that the log never fills a disk.
ROTATE_OCTETS = 50 * 1024**2
FILES_KEPT = 10

#: For the server alone, and the group that reads logs: who writes to whom is not for everybody.
FILE_MODE = 0o640

#: Lines are handed to the system together, this long after the first: nobody who follows the log notices.
FLUSH_SECONDS = 0.1


class MailLog:
    """Writes events; a fault in writing is reported once and never harms the mail."""

    _log = Logger()

    def __init__(self, path: str, form: str, clock: IReactorTime) -> None:
        self._path = path
        self._clock = clock
        self._render: Callable[[Event], str] = as_json if form == "json" else as_text
        self._waiting: list[str] = []
        self._flush_call: IDelayedCall | None = None
        self._broken = False
        self._descriptor = self._open()

    def write(self, event: Event) -> None:
        """Write one event."""
        self._waiting.append(self._render(event))
        if self._flush_call is None:
            self._flush_call = self._clock.callLater(FLUSH_SECONDS, self._flush)

    def reopen(self) -> None:
        """Open the file anew, after something else has moved it away; when that cannot be done, the old one goes on."""
        try:
            opened = self._open()
        except OSError as error:
            self._report(error)
            return
        self.close()
        self._descriptor = opened

    def close(self) -> None:
        """Write what waits and close the file."""
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush()
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)

    def _flush(self) -> None:
        self._flush_call = None
        lines, self._waiting = self._waiting, []
        try:
            self._follow()
            _append(self._descriptor, "".join(f"{line}\n" for line in lines).encode())
            if os.fstat(self._descriptor).st_size >= ROTATE_OCTETS:
                self._turn_over()
            self._broken = False
        except OSError as error:
            self._report(error)

    def _follow(self) -> None:
        """Go on in the new file when another process has turned the log over."""
        if os.path.exists(f"{self._path}.1") and not self._is_current():
            self._exchange()

    def _is_current(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def _turn_over(self) -> None:
        # Only one process does it: who comes second finds that the file has another name already.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            if self._is_current():
                for number in range(FILES_KEPT - 1, 0, -1):
                    if os.path.exists(f"{self._path}.{number}"):
                        os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
                os.replace(self._path, f"{self._path}.1")
        finally:
            # Closing it lets the next one in.
            self._exchange()

    def _exchange(self) -> None:
        before, self._descriptor = self._descriptor, self._open()
        os.close(before)

    def _report(self, error: OSError) -> None:
        if not self._broken:
            self._broken = True
            self._log.error(
                "The mail log {path} cannot be written: {error}. Mail goes on; 'hermes track' still knows everything.",
                path=self._path,
                error=error.strerror,
            )


def _append(descriptor: int, octets: bytes) -> None:
    """Write all of it, in one call unless the disk is nearly full: so no line of another process stands inside one of ours."""
    while octets:
        octets = octets[os.write(descriptor, octets) :]
