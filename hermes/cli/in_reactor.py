"""Waiting in a command: a reactor that runs until one piece of work is done. A process can do this once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

_T = TypeVar("_T")


def run(work: Callable[[Any], Coroutine[Any, Any, _T]]) -> _T:
    """Do the work, which is given the reactor, and return what it returns or raise what it raises."""
    from twisted.internet import reactor as installed  # noqa: PLC0415 - other commands need none

    reactor: Any = installed
    ends: list[Any] = []

    def begin() -> None:
        done = Deferred.fromCoroutine(work(reactor))
        _ = done.addBoth(ends.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if not ends:
        raise click.Abort  # somebody has pressed Ctrl-C
    end = ends[0]
    if isinstance(end, Failure):
        end.raiseException()
    result: _T = end
    return result
