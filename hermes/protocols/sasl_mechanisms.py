"""The mechanisms by which a client can log in here, by name (RFC 4422)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from hermes.protocols.sasl import Login, Mechanism, Plain
from hermes.protocols.scram import SCRAM, SCRAM_PLUS, ScramServer

#: What a client may use when the server also has keys for SCRAM, the best first: RFC 5802 6 asks a client to prefer -PLUS, and
#: many take the first one that they know.
WITH_KEYS = (SCRAM_PLUS, SCRAM)

#: What a client may use that shows its password.
WITH_PASSWORD = ("PLAIN", "LOGIN")


def _scram(name: str, offered: Collection[str]) -> Mechanism:
    return ScramServer(name, plus_offered=SCRAM_PLUS in offered)


_MAKERS: Mapping[str, Callable[[Collection[str]], Mechanism]] = {
    SCRAM_PLUS: lambda offered: _scram(SCRAM_PLUS, offered),
    SCRAM: lambda offered: _scram(SCRAM, offered),
    "PLAIN": lambda _: Plain(),
    "LOGIN": lambda _: Login(),
}


def begin(name: str, offered: Collection[str]) -> Mechanism:
    """Start an exchange by a mechanism out of those that are offered now."""
    return _MAKERS[name](offered)


def usable(names: Collection[str], *, tls: bool) -> list[str]:
    """Those of the mechanisms that exist and can be used; without TLS there is no channel to be bound to."""
    return [name for name in names if name in _MAKERS and (tls or name != SCRAM_PLUS)]
