"""A command of the administrator's that may take only so long, and whose output is kept for the log; there is no shell."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

import attrs
from twisted.python.failure import Failure
from typing_extensions import override

from hermes.core.printable import one_line
from hermes.services.bounded_process import BoundedProcess

#: What is kept of the output: some lines of a dialer. The rest is read and forgotten.
MAX_OUTPUT_OCTETS = 4096

_START = """\
import os, sys
os.setsid()
try:
    os.execvp(sys.argv[1], sys.argv[1:])
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error.strerror}")
"""


@attrs.frozen
class Ran:
    """How a command ended: ``problem`` says what went wrong, or is empty; ``lines`` are its output."""

    problem: str = ""
    lines: tuple[str, ...] = ()


async def run_command(reactor: Any, command: str, seconds: float, directory: str) -> Ran:
    """Run a command, split into words as a shell would split it, for at most so long."""
    running = _Running(reactor, seconds, MAX_OUTPUT_OCTETS)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": directory}
    arguments = [sys.executable, "-I", "-S", "-c", _START, *shlex.split(command)]
    with open(os.devnull, "rb") as nothing:
        descriptors = {0: nothing.fileno(), 1: "r", 2: "r"}
        reactor.spawnProcess(running, sys.executable, arguments, environment, directory, childFDs=descriptors)
    return await running.end()


class _Running(BoundedProcess[Ran]):
    @override
    def left_behind(self) -> None:
        # A daemon that it has started goes on.
        self.do_not_listen()

    @override
    def conclude(self, reason: Failure) -> Ran:
        text = self.output.decode("utf-8", "replace")
        lines = tuple(one_line(line, 500) for line in text.splitlines() if line.strip())
        return Ran(self._problem(reason), lines)

    def _problem(self, reason: Failure) -> str:
        if self.is_late:
            return f"it took longer than {self.seconds:g} s"
        code, signalled = getattr(reason.value, "exitCode", None), getattr(reason.value, "signal", None)
        if signalled is not None:
            return f"it was ended by signal {signalled}"
        return f"it ended with {code}" if code else ""
