"""
A file that an administrator edits while the server runs: what is in it is in force soon after it has been saved.

Whoever needs it asks for the current state, which costs a look at the clock; once a second the file itself is looked at, also
when nobody asks: or an edit would not hold for the next one to come, however late that is. A new one is read in a thread, so
that a long list keeps nobody waiting. One that cannot be understood leaves everything as it was, and
the log says which of its lines are wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.config.edited_text import read_text
from hermes.config.errors import ConfigError, Problem
from hermes.interfaces import IGroupWorker

#: How often the file is looked at.
LOOK_SECONDS = 1.0

#: 100,000 addresses take a quarter of this. What is larger is no list that somebody keeps.
MAX_OCTETS = 16 * 1024**2

#: Of a file that is something else altogether a few lines are examples enough.
MAX_PROBLEMS = 20

_Value = TypeVar("_Value")

#: Makes of a file's lines, with their numbers, what they mean; raises ValueError with what is wrong and what to write.
Parse = Callable[["Lines"], _Value]

#: What tells one state of a file from another.
_Stamp = tuple[int, int, int]


class Lines:
    """The lines of a file as they are being understood; ``path`` names it, ``text`` is all of it."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.text = text

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Those with something in them that is no comment: their numbers, and the text without space around."""
        for number, line in enumerate(self.text.split("\n"), 1):
            text = line.strip()
            if text and not text.startswith("#"):
                yield number, text
                if len(self.problems) >= MAX_PROBLEMS:
                    return

    def wrong(self, number: int, text: str) -> None:
        """Say what is wrong with a line, and what to do."""
        self.problems.append(Problem(text, number))


def read_lines(path: str, parse: Parse[_Value]) -> _Value:
    """What is in a file now; raise ConfigError."""
    lines = Lines(path, read_text(path, MAX_OCTETS, "a list"))
    value = parse(lines)
    if lines.problems:
        raise ConfigError(path, lines.problems)
    return value


class _State(Generic[_Value]):
    """What is in a file at a moment, and how to know that state again; raises ConfigError."""

    def __init__(self, path: str, parse: Parse[_Value]) -> None:
        # Before the text is read: a change while that goes on is then noticed at the next look.
        self.stamp = _stamp_of(path)
        self.value = read_lines(path, parse)


class EditedFile(Generic[_Value]):
    """
    One such file, read when this is made (ConfigError tells what is wrong then) unless its ``state`` is known.

    ``worker``, whose ``perform`` calls each item, reads it again; ``now`` gives seconds.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        parse: Parse[_Value],
        worker: IGroupWorker,
        now: Callable[[], float],
        state: _State[_Value] | None = None,
    ) -> None:
        self.path = path
        self.parse = parse
        self._worker = worker
        self._now = now
        self._looked_at = now()
        self._reading = False
        state = state or _State(path, parse)
        self._stamp = self._in_force = state.stamp
        self._value = state.value

    @classmethod
    async def read(
        cls, path: str, parse: Parse[_Value], worker: IGroupWorker, now: Callable[[], float]
    ) -> EditedFile[_Value]:
        """The same, read by the worker already the first time, so that nobody else waits for a long one."""
        return cls(path, parse, worker, now, await worker.submit(partial(_State, path, parse)))

    def current(self) -> _Value:
        """What is in force now."""
        # A clock that was set back must not keep us from looking.
        if not 0 <= self._now() - self._looked_at < LOOK_SECONDS:
            self.look()
        return self._value

    def look(self) -> None:
        """Look at the file; what has changed is read."""
        if self._reading:
            return
        self._looked_at = self._now()
        stamp = _stamp_of(self.path)
        if stamp != self._stamp:
            self._stamp = stamp
            self._read_again()

    def is_in_force(self) -> bool:
        """Whether the file is as it was when it was understood last: then it need not be read again."""
        return _stamp_of(self.path) == self._in_force

    def _read_again(self) -> None:
        self._reading = True
        reading: Deferred[_Value] = self._worker.submit(lambda: read_lines(self.path, self.parse))
        _ = reading.addCallbacks(self._read, self._refused, (self._stamp,)).addBoth(self._done)

    def _read(self, value: _Value, stamp: _Stamp | None) -> None:
        self._value = value
        self._in_force = stamp
        self._log.info("{path} has been read again", path=self.path)

    def _refused(self, fault: Failure) -> None:
        # Complained about once, and read again when it has changed again.
        if fault.check(ConfigError) is None:
            self._log.failure("{path} could not be read again", fault, path=self.path)
        else:
            text = "{path} stays in force as it was: {problems}"
            self._log.error(text, path=self.path, problems=fault.getErrorMessage())

    def _done(self, _: None) -> None:
        self._reading = False


def _stamp_of(path: str) -> _Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
