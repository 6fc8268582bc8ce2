"""Asking the DNS from the command line, without the server but with its name servers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hermes.cli import in_reactor
from hermes.config.dns_rules import nameservers
from hermes.config.schema import Settings
from hermes.net.resolver import Resolver

T = TypeVar("T")


def asked(settings: Settings, ask: Callable[[Resolver], Coroutine[Any, Any, T]]) -> T:
    """Run what asks, to its end; it may be done once in a process."""
    return in_reactor.run(lambda reactor: ask(Resolver(reactor, nameservers(settings))))
