"""The processes that these tests start and kill, seen from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

#: All that a child's work may take, every step of it: many times what it takes on a slow machine.
TIMEOUT_SECONDS = 120


def steps_of(child: ModuleType, *arguments: str) -> list[str]:
    """Have a child of :mod:`tests.crash.mortal` die at each step; the steps, before the ``n``-th of which the ``n``-th died."""
    done = subprocess.run(
        _command(child, arguments),
        env=_environment(),
        stdout=subprocess.PIPE,
        timeout=TIMEOUT_SECONDS,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()


def killed_after(child: ModuleType, count: int, *arguments: str) -> list[str]:
    """Kill a child when it has said so many lines; all that it said until it was dead."""
    said = []
    with subprocess.Popen(_command(child, arguments), env=_environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.strip())
            if len(said) == count:
                process.kill()
    assert len(said) >= count, f"{child.__name__} ended by itself after {len(said)} lines"
    return said


def _command(child: ModuleType, arguments: tuple[str, ...]) -> list[str]:
    # Warnings are faults there as well.
    return [sys.executable, "-bb", "-W", "error", "-m", child.__name__, *arguments]


def _environment() -> dict[str, str]:
    # Wherever this process found its modules, that one finds them as well.
    return {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ.get("PATH", "")}
