"""What a process of a :class:`hermes.net.process_worker.ProcessWorker` performs in tests."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def double(items: list[Any]) -> list[Any]:
    """Each twice, with the process that did it and the size of the group; an exception is its own result."""
    return [item if isinstance(item, Exception) else (item * 2, os.getpid(), len(items)) for item in items]


def fail(items: list[Any]) -> list[Any]:
    """Nothing."""
    raise OSError(28, "no space")


def print_much(items: list[Any]) -> list[Any]:
    """Do what no result is to be mistaken for."""
    os.write(1, b"\n")
    return items


def die_of(items: list[str]) -> list[str]:
    """Return them, or die when there is a "death" among them."""
    if "death" in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return items


def pass_gate(paths: list[str]) -> list[int]:
    """Leave the number of this process in each file, and go on when somebody has made the file beside it."""
    for path in paths:
        Path(path + ".new").write_text(str(os.getpid()))
        Path(path + ".new").rename(path)
        while not Path(path + ".open").exists():
            time.sleep(0.01)
    return [os.getpid()] * len(paths)
