"""
Dying by SIGKILL before each step on the disk in turn: nothing that Python would still do at its end is done.

A child is a module of this package that ends in ``main(live)``. ``python -m CHILD BASE`` does the same work once for every step
there is, each time in a process of its own that dies before that step, with ``BASE-1``, ``BASE-2`` and so on for its path; in
the last one it lives. The steps are printed, a line each. :mod:`tests.crash.children` is the side of the tests.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Octets

#: What changes a disk, or makes it remember; beside writing, which can end in the middle.
STEPS = ("open", "fsync", "rename", "replace", "link", "unlink", "mkdir", "utime", "ftruncate", "fchmod")


class Death:
    """Comes before the step with one number."""

    def __init__(self, die_at: int) -> None:
        self._die_at = die_at
        #: What has been come to.
        self.steps: list[str] = []

    def before(self, step: str) -> None:
        """Come to a step, or die."""
        self.steps.append(step)
        if len(self.steps) == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def in_halves(self, octets: Octets, write: Callable[[memoryview], int]) -> int:
        """Write in two steps; how much was written."""
        view = memoryview(octets).cast("B")
        half = len(view) // 2
        self.before("write")
        written = write(view[:half])
        self.before("write the rest")
        return written + write(view[half:])

    def on_disk(self) -> None:
        """From now on every call of ``os`` that changes the disk is a step, and what files that it has opened write is, too."""
        for name in STEPS:
            setattr(os, name, self._mortal(name, getattr(os, name)))
        write, fdopen = os.write, os.fdopen

        def opened(descriptor: int, mode: str = "r", *more: Any, **named: Any) -> Any:
            match mode:
                case "wb":
                    return io.BufferedWriter(_MortalFile(self, descriptor, mode))
                case "r+b":
                    return io.BufferedRandom(_MortalFile(self, descriptor, mode))
                case _:
                    return fdopen(descriptor, mode, *more, **named)

        os.write = lambda descriptor, octets: self.in_halves(octets, partial(write, descriptor))
        os.fdopen = opened

    def _mortal(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            self.before(name)
            return original(*arguments, **named)

        return step


class _MortalFile(io.FileIO):
    """A file that is no longer written when death has come."""

    def __init__(self, death: Death, descriptor: int, mode: str) -> None:
        super().__init__(descriptor, mode)
        self._death = death

    @override
    def write(self, octets: Octets) -> int:
        return self._death.in_halves(octets, super().write)

    @override
    def truncate(self, size: int | None = None) -> int:
        self._death.before("truncate")
        return super().truncate(size)


def main(live: Callable[[Death, str], None]) -> None:
    """Do the work once for each step."""
    base = sys.argv[1]
    for die_at in count(1):
        process = os.fork()
        if not process:
            death = Death(die_at)
            live(death, f"{base}-{die_at}")
            sys.stdout.write("\n".join(death.steps))
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if status == 0:
            return
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit(1)
