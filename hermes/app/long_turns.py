"""
Long turns of the reactor: how often one piece of work has kept everybody else waiting, and what that was.

All sessions are answered in turns by one thread, so what takes long in one holds up all others. The time between two questions
to the poller is a turn: two looks at the clock for each. What runs is seen by a thread that looks at the reactor's stack when a
turn has become long; it sleeps while the reactor does. A collection of garbage tells of itself: no thread can look meanwhile.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.logger import Logger
from typing_extensions import override

import hermes
from hermes.app.staged import Module
from hermes.core.metric import Family, counter, gauge

#: Looks of the thread in the time that makes a turn long: one that is half as long again has been seen.
LOOKS = 2

#: Looks without a turn after which the thread sleeps until there is one: an idle server is not woken by it.
IDLE_LOOKS = 4

#: Long turns are told in the log one by one so often, and counted in between.
TOLD_SECONDS = 60.0

#: Different places that are remembered: the source has not many more that could take long.
MAX_PLACES = 100

#: Places in the status.
SHOWN_PLACES = 5

#: What there is to say about a turn that nobody has seen: it was too short, or code in C let no other thread look.
UNSEEN = "something that ended before it was seen"

COLLECTION = "a collection of garbage"

_NEVER = float("inf")

#: The reactor's own loop: what is below it on the stack has only started the server.
_LOOP = os.path.join("twisted", "internet", "base.py")

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(hermes.__file__))) + os.sep
_OURS = os.path.join(_ROOT, "hermes") + os.sep


class TimedPoller:
    """
    Stands in the place of the reactor's poller; ``began`` is when the turn began that goes on, or infinity.

    ``wake`` is called after the next answer when it is set, and wakes who watches.
    """

    def __init__(
        self, poller: Any, limit_seconds: float, ended: Callable[[float, float], None], seconds: Callable[[], float]
    ) -> None:
        self.began = _NEVER
        self.wake: Callable[[], None] | None = None
        self.poller = poller
        ask = poller.poll

        # It is called in every turn: what it needs is at hand.
        def poll(timeout: float, most: int) -> Any:
            now, began = seconds(), self.began
            if now - began > limit_seconds:
                ended(began, now - began)
            self.began = _NEVER
            try:
                return ask(timeout, most)
            finally:
                self.began = seconds()
                wake = self.wake
                if wake is not None:
                    wake()

        self.poll = poll

    def __getattr__(self, name: str) -> Any:
        return getattr(self.poller, name)


class LongTurns(Module):
    """Counts and names the turns that take more than ``limit_seconds``; with 0 nobody looks."""

    name = "long turns"
    _log = Logger()

    def __init__(self, reactor: Any, limit_seconds: float, seconds: Callable[[], float] = time.monotonic) -> None:
        self._reactor = reactor
        self._limit_seconds = limit_seconds
        self._seconds = seconds
        self.count = 0
        self.longest_seconds = 0.0
        self._places: Counter[str] = Counter()
        #: What was seen last: when the turn began, and where it was.
        self._seen = (_NEVER, "")
        self._collection_began = _NEVER
        self._told_at = float("-inf")
        self._untold = 0
        self._poller: TimedPoller | None = None
        self._thread: threading.Thread | None = None
        self._thread_of_reactor = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()

    @override
    async def start(self) -> None:
        poller = getattr(self._reactor, "_poller", None)
        if not self._limit_seconds or poller is None:
            # Only Twisted's usual reactor on Linux has one.
            return
        self._thread_of_reactor = threading.get_ident()
        self._poller = TimedPoller(poller, self._limit_seconds, self.ended, self._seconds)
        self._reactor._poller = self._poller
        gc.callbacks.append(self._collected)
        self._thread = threading.Thread(target=self._watch, args=(self._poller,), name="hermes-long-turns", daemon=True)
        self._thread.start()

    @override
    async def stop(self) -> None:
        if self._poller is None or self._thread is None:
            return
        gc.callbacks.remove(self._collected)
        if self._reactor._poller is self._poller:
            self._reactor._poller = self._poller.poller
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def describe(self) -> dict[str, object]:
        """For the status."""
        places = [f"{place}: {number}" for place, number in self._places.most_common(SHOWN_PLACES)]
        return {
            "long_turns": self.count,
            "longest_turn_ms": round(self.longest_seconds * 1000),
            "long_turns_in": places,
        }

    def families(self) -> list[Family]:
        """Figures."""
        return [
            counter("hermes_long_turns_total", "Turns of the reactor above [hermes] long_turn_ms.", self.count),
            gauge("hermes_longest_turn_seconds", "The longest of these since the start.", self.longest_seconds),
        ]

    def ended(self, began: float, took_seconds: float) -> None:
        """A turn that began then was long."""
        seen_began, place = self._seen
        if seen_began != began:
            place = UNSEEN
        self.count += 1
        self.longest_seconds = max(self.longest_seconds, took_seconds)
        if place in self._places or len(self._places) < MAX_PLACES:
            self._places[place] += 1
        now = self._seconds()
        if now - self._told_at < TOLD_SECONDS:
            self._untold += 1
            return
        self._told_at = now
        untold, self._untold = self._untold, 0
        self._log.warn(
            "Everybody had to wait for {milliseconds} ms: {place}{more}",
            milliseconds=round(took_seconds * 1000),
            place=place,
            more=f"; {untold} more such turns since the last line" if untold else "",
        )

    def look(self, poller: TimedPoller, frame: Callable[[], FrameType | None]) -> bool:
        """See whether a turn is long by now, and where it is; False when there is no turn."""
        began = poller.began
        if self._seconds() - began >= self._limit_seconds and self._seen[0] != began:
            found = frame()
            # Not what came after it.
            if found is not None and poller.began == began:
                self._seen = (began, place_of(found))
        return began != _NEVER

    def _watch(self, poller: TimedPoller) -> None:
        # In the thread.
        def frame() -> FrameType | None:
            return sys._current_frames().get(self._thread_of_reactor)

        idle, before = 0, _NEVER
        while not self._stopping.is_set():
            if self.look(poller, frame) or poller.began != before:
                idle = 0
            else:
                idle += 1
            before = poller.began
            if idle < IDLE_LOOKS:
                if self._wake.wait(self._limit_seconds / LOOKS):
                    # It came too late, or it is the end.
                    self._wake.clear()
                continue
            idle = 0
            self._wake.clear()
            if self._stopping.is_set():
                # Its sign may have been the one that was just cleared.
                break
            poller.wake = self._wake.set
            self._wake.wait()
            poller.wake = None

    def _collected(self, phase: str, facts: object) -> None:
        if threading.get_ident() != self._thread_of_reactor or self._poller is None:
            return
        if phase == "start":
            self._collection_began = self._seconds()
        elif self._seconds() - self._collection_began >= self._limit_seconds:
            self._seen = (self._poller.began, COLLECTION)


def place_of(frame: FrameType) -> str:
    """The innermost place in our own source, and what it has called when that is somebody else's."""
    innermost = _named(frame)
    at: FrameType | None = frame
    while at is not None and not at.f_code.co_filename.startswith(_OURS):
        at = at.f_back if not at.f_code.co_filename.endswith(_LOOP) else None
    if at is None or at is frame:
        return innermost
    return f"{_named(at)}, in {innermost}"


def _named(frame: FrameType) -> str:
    code = frame.f_code
    if code.co_filename.startswith(_OURS):
        file = code.co_filename.removeprefix(_ROOT)
    else:
        file = os.sep.join(code.co_filename.split(os.sep)[-2:])
    return f"{code.co_qualname} ({file}:{frame.f_lineno})"
