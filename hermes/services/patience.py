"""
How long an attempt may go on in which the other side says nothing, when many do so at the same time.

RFC 5321 4.5.3.2 gives a server five minutes for most of its answers, and a connection has half a minute: with several addresses
a host that hangs holds its place for long. A few may. When more are silent, those that come on top end after
:data:`SILENCE_SECONDS`, as attempts that have failed: so places become free as fast as they are taken, however many
destinations hang.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: A server that is well has said something by now, even one that makes strangers wait for a few seconds on purpose. Longer, and a
#: crowd of those that hang would take all places: in the two seconds for which each of them has one of the fifty connections,
#: twenty-five come in a second.
SILENCE_SECONDS = 10.0

#: How often that is looked at: who falls silent between two looks has half as long again.
LOOK_SECONDS = SILENCE_SECONDS / 2

#: For so many of the deliveries that may keep us waiting there is one that may do so to the end: the others are then fast enough
#: not to fill the rest, and who is slow on purpose gets his turn.
PATIENT_PART = 8


@attrs.define(eq=False)
class _Trial:
    """One attempt; ``patient`` when it may go on to the end, ``ended`` when it was ended here."""

    task: Deferred[None]
    progress: Callable[[], Hashable]
    seen: Hashable
    silent_seconds: float = 0.0
    timer: IDelayedCall | None = None
    patient: bool = False
    ended: bool = False


class Patience:
    """For ``waiting`` deliveries that may keep us waiting; with 0 none is looked at."""

    def __init__(self, clock: IReactorTime, waiting: int) -> None:
        self._clock = clock
        self._most = max(1, waiting // PATIENT_PART) if waiting else 0
        self._patient = 0

    async def spend(self, work: Coroutine[Any, Any, None], progress: Callable[[], Hashable]) -> bool:
        """
        Do the work of an attempt to its end: True. False when it was ended because it was silent for too long.

        ``progress`` gives something that changes with each word of the other side; None while the attempt must not be ended.
        """
        if not self._most:
            await work
            return True
        # The beginning is no word of the other side.
        trial = _Trial(Deferred.fromCoroutine(work), progress, progress())
        trial.timer = self._clock.callLater(LOOK_SECONDS, self._look, trial)
        try:
            await trial.task
        except CancelledError:
            if not trial.ended:
                raise
            return False
        finally:
            if trial.timer.active():
                trial.timer.cancel()
            self._patient -= trial.patient
        return True

    def _look(self, trial: _Trial) -> None:
        seen = trial.progress()
        silent = seen is not None and seen == trial.seen
        trial.seen = seen
        trial.silent_seconds = trial.silent_seconds + LOOK_SECONDS if silent else 0.0
        if trial.silent_seconds < SILENCE_SECONDS:
            trial.timer = self._clock.callLater(LOOK_SECONDS, self._look, trial)
        elif self._patient < self._most:
            self._patient += 1
            trial.patient = True
        else:
            trial.ended = True
            trial.task.cancel()
