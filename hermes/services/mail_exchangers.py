"""
Where mail for a domain goes: its exchangers, their addresses, and the order in which to try them.

RFC 5321 5.1 (MX, the implicit MX, loops), 5.2 (IPv6), 4.1.3 (address literals); RFC 7505 (null MX); RFC 3463 (the codes).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import groupby

import attrs

from hermes.core.dns_answer import Answer, MailExchanger, Status
from hermes.core.outcome import Outcome
from hermes.net.peer import normal
from hermes.net.resolver import Resolver
from hermes.net.together import together

#: Hosts whose addresses are looked up. More than a handful is never tried, and a zone may list hundreds to keep us busy.
MAX_HOSTS = 10


@attrs.frozen
class Stop:
    """
    One place to try: the host's name and one of its addresses.

    ``certain`` says that nobody can have made up the host's name (the DNS is secured, or was not asked), ``secure`` that the
    same holds for its addresses.
    """

    host: str
    address: str
    certain: bool = attrs.field(default=False, eq=False)
    secure: bool = attrs.field(default=False, eq=False)


class MailExchangers:
    """
    Finds the way to domains.

    ``own_names`` and ``own_addresses`` are those under which this server is known; ``loopback`` says that this machine may be
    a destination. ``named`` has the host, or its address, for domains whose MX records are not asked for. ``dice`` puts
    hosts of equal preference in random order.
    """

    def __init__(
        self,
        resolver: Resolver,
        dice: random.Random,
        *,
        own_names: Collection[str] = (),
        own_addresses: Collection[str] = (),
        loopback: bool = False,
        named: Mapping[str, str] | None = None,
    ) -> None:
        self._resolver = resolver
        self._dice = dice
        self._own_names = frozenset(name.lower().rstrip(".") for name in own_names)
        self._own_addresses = frozenset(normal(address) for address in own_addresses)
        self._loopback = loopback
        self._named = named or {}

    async def locate(self, domain: str) -> list[Stop] | Outcome:
        """The places to try, best first; or what it means that there are none."""
        if domain.startswith("["):
            return self._literal(domain)
        named = self._named.get(domain.lower())
        if named is not None:
            return await self._host(domain, named)
        answer = await self._resolver.mail_exchangers(domain)
        if answer.status is Status.UNAVAILABLE:
            return Outcome.deferred(f"DNS for {domain} is not available: {answer.reason}", "4.4.3")
        if answer.status is Status.NO_NAME:
            return Outcome.failed(f"the domain {domain} does not exist: {answer.reason}", "5.1.2")
        exchangers = answer.values
        if answer.status is Status.NO_DATA:
            # RFC 5321 5.1: the domain itself is its exchanger.
            exchangers = (MailExchanger(0, domain.lower().rstrip(".")),)
        elif all(not exchanger.host for exchanger in exchangers):
            # RFC 7505 4.1 and 4.2
            return Outcome.failed(f"the domain {domain} does not accept mail (null MX)", "5.1.10")
        exchangers = self._before_us(exchangers)
        if not exchangers:
            return self._loop(domain)
        return await self._addresses(
            domain, exchangers, implicit=answer.status is Status.NO_DATA, certain=answer.secure
        )

    async def _host(self, domain: str, host: str) -> list[Stop] | Outcome:
        try:
            address = str(ip_address(host))
        except ValueError:
            return await self._addresses(domain, [MailExchanger(0, host.lower())], implicit=False, certain=True)
        return [Stop(host, address, certain=True)]

    def is_us(self, name: str) -> bool:
        """Whether a server that calls itself so is this one. A name without a dot is not unique enough to tell."""
        return "." in name and name.lower().rstrip(".") in self._own_names

    def _before_us(self, exchangers: Sequence[MailExchanger]) -> tuple[MailExchanger, ...]:
        """RFC 5321 5.1: those at our own preference and behind it are not for us to try; a null MX among others says nothing."""
        ours = [exchanger.preference for exchanger in exchangers if exchanger.host in self._own_names]
        limit = min(ours, default=65536)
        return tuple(exchanger for exchanger in exchangers if exchanger.host and exchanger.preference < limit)

    async def _addresses(
        self, domain: str, exchangers: Sequence[MailExchanger], *, implicit: bool, certain: bool
    ) -> list[Stop] | Outcome:
        ordered = self._in_order(exchangers)[:MAX_HOSTS]
        answers = await together(self._resolver.addresses(exchanger.host) for exchanger in ordered)
        found = list(zip(ordered, answers, strict=True))
        limit = min(
            (exchanger.preference for exchanger, answer in found if not self._own_addresses.isdisjoint(answer.values)),
            default=65536,
        )
        before = [(exchanger, answer) for exchanger, answer in found if exchanger.preference < limit]
        if not before:
            return self._loop(domain)
        stops = [
            Stop(exchanger.host, address, certain, certain and answer.secure)
            for exchanger, answer in before
            for address in answer.values
            if self._may_be_tried(address)
        ]
        return stops or self._nowhere(domain, [answer for _, answer in before], implicit=implicit)

    def _in_order(self, exchangers: Sequence[MailExchanger]) -> list[MailExchanger]:
        """By preference; equals at random, so that they share the load (RFC 5321 5.1)."""
        ordered: list[MailExchanger] = []
        for _, equals in groupby(sorted(exchangers, key=_preference), key=_preference):
            group = list(equals)
            self._dice.shuffle(group)
            ordered += group
        return ordered

    @staticmethod
    def _nowhere(domain: str, answers: Sequence[Answer[str]], *, implicit: bool) -> Outcome:
        """No address can be tried: which answer says why?"""
        for answer in answers:
            if answer.status is Status.UNAVAILABLE:
                return Outcome.deferred(
                    f"DNS for the mail servers of {domain} is not available: {answer.reason}", "4.4.3"
                )
        if any(answer.values for answer in answers):
            return Outcome.failed(
                f"the mail servers of {domain} have only addresses that lead back to this machine", "5.4.6"
            )
        if implicit:
            return Outcome.failed(f"the domain {domain} has no mail server: neither MX nor address", "5.1.2")
        # RFC 5321 5.1: MX records of which none is usable are an error.
        return Outcome.failed(f"none of the mail servers of {domain} has an address: {answers[0].reason}", "5.4.4")

    @staticmethod
    def _loop(domain: str) -> Outcome:
        return Outcome.failed(f"mail for {domain} loops back to this server, which does not take it", "5.4.6")

    def _literal(self, literal: str) -> list[Stop] | Outcome:
        """RFC 5321 4.1.3: ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]``."""
        text = literal[1:-1] if literal.endswith("]") else ""
        tagged = text[:5].lower() == "ipv6:"
        try:
            parsed = IPv6Address(text[5:]) if tagged else IPv4Address(text)
        except ValueError:
            return Outcome.failed(f"{literal} is not an address that mail can be sent to", "5.1.2")
        address = normal(str(parsed))
        if address in self._own_addresses or not self._may_be_tried(address):
            return self._loop(literal)
        return [Stop(literal, address, certain=True)]

    def _may_be_tried(self, address: str) -> bool:
        """Not this machine, nobody and everybody: whoever writes a zone could make us talk to ourselves."""
        parsed = ip_address(address)
        if parsed.is_loopback:
            return self._loopback
        # 0.0.0.0/8 and :: mean this machine; multicast and 240.0.0.0/4 are no hosts.
        nobody = (
            parsed.is_unspecified
            or parsed.is_multicast
            or (parsed.version == 4 and parsed.packed[0] in (0, *range(240, 256)))
        )
        return not nobody


def _preference(exchanger: MailExchanger) -> int:
    return exchanger.preference
