"""``[rates]``: how much mail an address, a network and an account may send in a minute, an hour and a day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from hermes.config.finding import Finding
from hermes.config.setting import setting
from hermes.core.rate import Rate

if TYPE_CHECKING:
    from hermes.config.schema import Settings

#: By whom, and what: each pair is a key.
SCOPES = ("account", "address", "network")
KINDS = ("messages", "recipients", "octets")


@attrs.frozen
class RatesSettings:
    """How much mail may be sent, as lists like 60/minute, 500/hour, 2000/day. Who has logged in is judged by account alone."""

    account_messages: tuple[str, ...] = setting(
        "words",
        ("60/minute", "600/hour", "3000/day"),
        "Messages of one account: more than a busy person sends, and far less than a spammer wants who has its password.",
    )
    account_recipients: tuple[str, ...] = setting(
        "words",
        ("1500/hour", "6000/day"),
        "Recipients of one account's messages; a single message may have smtp.max_recipients.",
    )
    account_octets: tuple[str, ...] = setting("words", (), "Octets of one account's messages, like 500M/hour.")
    address_messages: tuple[str, ...] = setting(
        "words", (), "Messages from one address (IPv6: one /64) without a login, those that may relay included."
    )
    address_recipients: tuple[str, ...] = setting("words", (), "Recipients of messages from one address.")
    address_octets: tuple[str, ...] = setting("words", (), "Octets of messages from one address.")
    network_messages: tuple[str, ...] = setting(
        "words", (), "Messages from one network (IPv4 /24, IPv6 /48) without a login."
    )
    network_recipients: tuple[str, ...] = setting("words", (), "Recipients of messages from one network.")
    network_octets: tuple[str, ...] = setting("words", (), "Octets of messages from one network.")

    def of(self, scope: str, kind: str) -> tuple[Rate, ...]:
        """The limits of one key."""
        return tuple(Rate.parse(text) for text in getattr(self, f"{scope}_{kind}"))


def rates_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[rates]`` that are broken."""
    for scope in SCOPES:
        for kind in KINDS:
            about = (("rates", f"{scope}_{kind}"),)
            seen: set[int] = set()
            for text in getattr(settings.rates, f"{scope}_{kind}"):
                try:
                    rate = Rate.parse(text)
                except ValueError as error:
                    yield Finding(about, str(error))
                    continue
                if rate.seconds in seen:
                    yield Finding(about, f"{text!r} is a second limit for a {rate.window}: remove one of the two")
                seen.add(rate.seconds)
                if kind == "recipients" and rate.amount < settings.smtp.max_recipients:
                    remedy = f"write {settings.smtp.max_recipients} or more, or lower smtp.max_recipients"
                    also = (*about, ("smtp", "max_recipients"))
                    yield Finding(also, f"{text!r} is less than one message may have: {remedy}")
