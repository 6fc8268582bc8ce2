"""
Work that goes on to its end although nobody waits for it any more: the end of a session must not stop it half-way.

A message that is being committed, a mailbox that is being opened or cleared, an order of the administrator: each is either
done or not begun.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()

_T = TypeVar("_T")


def shielded(work: Coroutine[Deferred[Any], Any, _T], about: str) -> Deferred[_T]:
    """
    Run ``work`` to its end: to cancel the result is to stop waiting, not to stop the work.

    A failure that nobody waits for any more is logged; ``about`` says there what was being done.
    """
    waiting: Deferred[_T] = Deferred()
    # The work is held by what it waits for, and answers to the functions below.
    _ = Deferred.fromCoroutine(work).addCallbacks(_succeeded, _failed, (waiting,), {}, (waiting, about))
    return waiting


def _succeeded(result: _T, waiting: Deferred[_T]) -> None:
    if not waiting.called:
        waiting.callback(result)


def _failed(failure: Failure, waiting: Deferred[Any], about: str) -> None:
    if waiting.called:
        _log.failure("{about}, for somebody who has left meanwhile", failure, about=about)
    else:
        waiting.errback(failure)
