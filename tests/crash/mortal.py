"""
Dying by SIGKILL before each step on the disk in turn: every call of ``os`` that changes the disk is such a step.

``python CHILD BASE`` does the same work once for every step there is, each time in a process of its own that dies before that
step, with ``BASE-1``, ``BASE-2`` and so on for its directory; in the last one it lives. The steps are printed, a line each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

#: What changes a disk, or makes it remember.
STEPS = ("open", "write", "fsync", "rename", "replace", "link", "unlink", "mkdir", "utime", "ftruncate", "fchmod")


def mortal(die_at: int) -> list[str]:
    """From now on the process dies before step number ``die_at``; the list of the steps that it has come to."""
    steps: list[str] = []
    kill = os.kill

    def before(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            steps.append(name)
            if len(steps) == die_at:
                kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        return step

    for name in STEPS:
        setattr(os, name, before(name, getattr(os, name)))
    return steps


def main(live: Callable[[str], None]) -> None:
    """Do the work once for each step."""
    base = sys.argv[1]
    for die_at in count(1):
        process = os.fork()
        if not process:
            steps = mortal(die_at)
            live(f"{base}-{die_at}")
            sys.stdout.write("\n".join(steps))
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if status == 0:
            return
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit(1)


def run(child: str, base: str) -> list[str]:
    """Have a child do its work; the steps, of which the process number ``n`` has died before the ``n``-th."""
    done = subprocess.run(
        [sys.executable, child, base],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ.get("PATH", "")},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout.split("\n")
