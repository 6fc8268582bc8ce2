"""How a key of ``config.ini`` is declared; the kinds are those of :mod:`hermes.config.schema`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Any

import attrs

#: One value of the kind ``networks``.
Network = IPv4Network | IPv6Network


def setting(kind: str, default: Any, doc: str, *, choices: tuple[str, ...] = (), fixed: bool = False) -> Any:
    """Describe a setting; a ``fixed`` one cannot be changed while the server runs."""
    return attrs.field(default=default, metadata={"kind": kind, "doc": doc, "choices": choices, "fixed": fixed})
