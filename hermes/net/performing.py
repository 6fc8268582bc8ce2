"""
The process behind a :class:`hermes.net.process_worker.ProcessWorker`: performs groups that come in, until nobody sends any.

It is started as ``python -m hermes.net.performing MODULE:FUNCTION`` and loads nothing but that. A group, and its results, are a
pickle behind its length in 8 octets.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

#: Octets of the length in front of each pickle.
LENGTH_OCTETS = 8

_PR_SET_PDEATHSIG = 1


def packed(content: Any) -> bytes:
    """A group, or its results, as they are sent."""
    octets = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
    return len(octets).to_bytes(LENGTH_OCTETS, "big") + octets


def unpacked(octets: bytes | memoryview) -> Any:
    """What was packed, from what stands behind the length."""
    # Both ends are this server.
    return pickle.loads(octets)  # noqa: S301


def name_of(perform: Callable[[list[Any]], list[Any]]) -> str:
    """How a function of a module is named to the process."""
    return f"{perform.__module__}:{perform.__qualname__}"


def serve(perform: Callable[[list[Any]], list[Any]], groups: BinaryIO, results: BinaryIO) -> None:
    """Perform groups until no more can come; an exception is the result of every item of its group."""
    while len(length := groups.read(LENGTH_OCTETS)) == LENGTH_OCTETS:
        octets = groups.read(int.from_bytes(length, "big"))
        if len(octets) < int.from_bytes(length, "big"):
            return
        group = unpacked(octets)
        try:
            done = perform(group)
        except Exception as error:
            done = [error] * len(group)
        with suppress(BrokenPipeError):
            results.write(packed(done))
            results.flush()


def _end_with(parent: int) -> None:
    """
    Take no step after the server's end, however that comes.

    At its next start it does what was not recorded again, and nobody else may be writing the same files then.
    """
    with suppress(OSError, AttributeError):
        # Linux only; elsewhere the group that is being performed is brought to its end.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


def main(arguments: list[str]) -> None:
    """Serve the process ``arguments[1]`` at standard input and output with the function that ``arguments[0]`` names."""
    function, parent = arguments
    _end_with(int(parent))
    # They are for the server, which lets this process finish what it has begun: a terminal and systemd send them to all.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    module, _, name = function.partition(":")
    perform = getattr(importlib.import_module(module), name)
    groups, results = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    # What something prints shall not be taken for results.
    os.dup2(2, 1)
    serve(perform, groups, results)


if __name__ == "__main__":
    main(sys.argv[1:])
