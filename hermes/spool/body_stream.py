"""The reactor's side of a body file: octets go to the thread as fast as the disk takes them, and never many at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.spool.bodies import BodyFile, BodyFiles, Step
from hermes.spool.errors import translated

#: Octets on their way to the disk above which a stream is congested, and below which it has drained: enough that the
#: disk always has the next write waiting, little enough for a thousand sessions.
CONGESTED_OCTETS = 1024 * 1024
DRAINED_OCTETS = 256 * 1024

#: What is written by one step, unless somebody waits for the end: as much as a message that is no file has in memory. A turn
#: of the thread for each piece that comes from the network costs more than the writing.
STEP_OCTETS = 128 * 1024

#: Hands a step to the thread of the body files.
Submit = Callable[[Step], Deferred[Any]]


class BodyStream:
    """
    Writes one body file.

    One step is in the thread at a time; what comes meanwhile is joined for the next, which begins when there is enough. After
    a fault the rest of the octets is thrown away, the file removed, and :meth:`drained` and :meth:`finish` raise it.
    """

    _log = Logger()

    def __init__(self, queue_id: str, files: BodyFiles, submit: Submit) -> None:
        self._queue_id = queue_id
        self._files = files
        self._submit = submit
        self._file: BodyFile | None = None
        self._pending: list[bytes] = []
        self._outstanding = 0
        self._busy = False
        self._discarded = False
        self._fault: BaseException | None = None
        self._waiting: list[tuple[int, Deferred[None]]] = []

    @property
    def congested(self) -> bool:
        """True while more than should be is on its way to the disk."""
        return self._outstanding > CONGESTED_OCTETS

    def write(self, octets: bytes) -> None:
        """Append octets."""
        if self._discarded:
            return
        self._pending.append(octets)
        self._outstanding += len(octets)
        if not self._busy:
            self._go_on()

    async def drained(self) -> None:
        """Return when writing has nearly caught up."""
        await self._down_to(DRAINED_OCTETS)

    async def caught_up(self) -> None:
        """Return when everything has been written, durable or not."""
        await self._down_to(0)

    async def insert(self, offset: int, octets: bytes) -> None:
        """Put octets between those that have been written."""
        await self._last_step(lambda file: partial(file.insert, offset, octets))

    async def finish(self) -> None:
        """Return when everything is durable."""
        await self._last_step(lambda file: file)

    async def _last_step(self, step: Callable[[BodyFile], Step]) -> None:
        """Let the thread do something with the file, when everything has been written."""
        await self._down_to(0)
        file = self._file
        assert file is not None
        self._busy = True
        try:
            await self._submit(step(file))
        except OSError as error:
            raise translated(error) from error
        finally:
            self._busy = False
            self._idle()

    def discard(self) -> None:
        """Remove the file, as soon as the thread is done with it."""
        if not self._discarded:
            self._discarded = True
            self._pending.clear()
            self._outstanding = 0
            self._idle()

    async def _down_to(self, octets: int) -> None:
        if self._fault is None and self._outstanding > octets:
            waiter: Deferred[None] = Deferred()
            self._waiting.append((octets, waiter))
            if not self._busy:
                self._go_on()
            await waiter
        if self._fault is not None:
            raise self._fault

    def _go_on(self) -> None:
        """Write what there is, if that is enough or somebody waits for it."""
        if self._pending and (self._waiting or self._outstanding >= STEP_OCTETS):
            self._next_step()

    def _next_step(self) -> None:
        octets = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending.clear()
        self._busy = True
        _ = self._submit(lambda: self._write(octets)).addCallbacks(self._written, self._failed)

    def _write(self, octets: bytes) -> int:
        # In the thread.
        if self._file is None:
            self._file = self._files.create(self._queue_id)
        self._file.write(octets)
        return len(octets)

    def _written(self, octets: int) -> None:
        self._busy = False
        if not self._discarded:
            self._outstanding -= octets
            self._go_on()
        self._idle()

    def _failed(self, failure: Failure) -> None:
        self._busy = False
        self._fault = translated(failure.value or RuntimeError(failure))
        self.discard()
        self._idle()

    def _idle(self) -> None:
        """Tell those who wait, and remove the file when that has been asked for and nobody works on it."""
        ready = [waiter for octets, waiter in self._waiting if self._fault is not None or self._outstanding <= octets]
        self._waiting = [
            (octets, waiter) for octets, waiter in self._waiting if self._fault is None and self._outstanding > octets
        ]
        if self._discarded and not self._busy and self._file is not None:
            file, self._file = self._file, None
            _ = self._submit(file.discard).addErrback(self._not_removed)
        for waiter in ready:
            if not waiter.called:
                waiter.callback(None)

    def _not_removed(self, failure: Failure) -> None:
        # It is removed when the spool is opened the next time.
        self._log.warn(
            "body file of {queue_id} not removed: {reason}", queue_id=self._queue_id, reason=failure.getErrorMessage()
        )
