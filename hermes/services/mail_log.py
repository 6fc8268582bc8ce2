"""
The mail log: one line for each fact, in a file that turns over by size.

The trace in the spool is the durable record; this is what people follow with ``tail -f`` and what log readers read.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.logfile import LogFile

from hermes.core.event import Event
from hermes.core.event_text import as_json, as_text

#: A file of this size is renamed to ``mail.log.1`` and so on; ten of them are kept, so that the log never fills a disk.
ROTATE_OCTETS = 50 * 1024**2
FILES_KEPT = 10

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
        self._file = self._open()

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
        self._file = opened

    def close(self) -> None:
        """Write what waits and close the file."""
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush()
        if not self._file.closed:
            self._file.close()

    def _open(self) -> LogFile:
        directory, name = os.path.split(self._path)
        return LogFile(name, directory, rotateLength=ROTATE_OCTETS, maxRotatedFiles=FILES_KEPT, defaultMode=0o640)

    def _flush(self) -> None:
        self._flush_call = None
        lines, self._waiting = self._waiting, []
        try:
            self._file.write("".join(f"{line}\n" for line in lines).encode())
            self._file.flush()
            self._broken = False
        except OSError as error:
            self._report(error)

    def _report(self, error: OSError) -> None:
        if not self._broken:
            self._broken = True
            self._log.error(
                "The mail log {path} cannot be written: {error}. Mail goes on; 'hermes track' still knows everything.",
                path=self._path,
                error=error.strerror,
            )
