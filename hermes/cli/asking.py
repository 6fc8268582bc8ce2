"""Asking the DNS from the command line, without the server but with its name servers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hermes.config.dns_rules import nameservers
from hermes.config.schema import Settings
from hermes.net.resolver import Resolver

T = TypeVar("T")


def asked(settings: Settings, ask: Callable[[Resolver], Coroutine[Any, Any, T]]) -> T:
    """Run what asks, to its end; it may be done once in a process."""
    from twisted.internet import reactor  # noqa: PLC0415 - the other commands need none

    loop: Any = reactor
    results: list[T | Failure] = []

    def begin() -> None:
        resolver = Resolver(loop, nameservers(settings))
        _ = Deferred.fromCoroutine(ask(resolver)).addBoth(results.append).addBoth(lambda _: loop.stop())

    loop.callWhenRunning(begin)
    loop.run()
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    assert not isinstance(result, Failure)
    return result
