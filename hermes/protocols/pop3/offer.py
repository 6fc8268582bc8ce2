"""What a POP3 server says it can do, read from its answer to CAPA (RFC 2449 5, RFC 2595 4, RFC 5034 6)."""

from __future__ import annotations

from collections.abc import Iterable

import attrs


@attrs.frozen
class Offer:
    """
    The capabilities; ``known`` is false where the server does not understand CAPA, and so may know more than it says.

    ``delay_seconds`` is how long to wait between logins (RFC 2449 6.7).
    """

    known: bool = False
    stls: bool = False
    uidl: bool = False
    top: bool = False
    pipelining: bool = False
    mechanisms: tuple[str, ...] = ()
    delay_seconds: int = 0


def offer_of(lines: Iterable[str]) -> Offer:
    """Read the lines; what is not understood is left out."""
    words: dict[str, list[str]] = {}
    for line in lines:
        name, *parameters = line.upper().split()[:40] or [""]
        words.setdefault(name, parameters)
    delay = words.get("LOGIN-DELAY", ["0"])[:1]
    return Offer(
        known=True,
        stls="STLS" in words,
        uidl="UIDL" in words,
        top="TOP" in words,
        pipelining="PIPELINING" in words,
        mechanisms=tuple(words.get("SASL", ())),
        delay_seconds=int(delay[0]) if delay and delay[0].isascii() and delay[0].isdigit() and len(delay[0]) < 7 else 0,
    )
