"""
The one resolver: what DNS says about destinations and about senders, with a bounded cache (RFC 1035, 2308, 5321 5.1, 7505).

An answer is a value: found, not there, or not to be had now. Answers that say "no" are kept as long as the zone allows, like
the others; those that could not be had are not kept. The same question of several is asked once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeVar

import idna
from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath
from zope.interface import implementer

from hermes.core.dns_answer import Answer, Budget, MailExchanger, Status
from hermes.core.tls_security import TLSA
from hermes.interfaces import IResolver
from hermes.net.dns_cache import MAX_CACHED, AnswerCache, Key
from hermes.net.dns_query import NameServers, Unanswered
from hermes.net.dns_turns import DNSTurns
from hermes.net.peer import normal
from hermes.net.together import together

#: Longest time an answer is kept, whatever its TTL: a mistake somewhere in DNS is over after an hour.
MAX_TTL_SECONDS = 3600

#: RFC 2308 5 has "no" kept for as long as the SOA says; more than this makes new domains wait for their first mail.
MAX_NEGATIVE_TTL_SECONDS = 300

#: Records of one answer: ten times what the largest sites have.
MAX_RECORDS = 256

#: CNAMEs followed in one look-up: a chain that is longer is a loop or a fault.
MAX_ALIASES = 8

#: RFC 1035 2.3.4
_MAX_NAME_OCTETS = 253
_MAX_LABEL_OCTETS = 63

# What stands for itself in a name, and what does not.
_PLAIN = re.compile(r"[!-\[\]-~]*\Z")
_ODD = re.compile(r"[^!-\[\]-~]")

HOSTS_FILE = "/etc/hosts"

#: How long the hosts file is not looked at again: every message to the smart host asks.
HOSTS_FILE_SECONDS = 60

#: The record type, which twisted.names does not know (RFC 6698 7.1).
_TLSA = 52

#: Stands where record types of DNS stand; none has this number.
_HOSTS_FILE = 0

T = TypeVar("T")

_EXHAUSTED: Answer[Any] = Answer(
    Status.UNAVAILABLE, reason="this message has caused as many look-ups as it may", asked=False
)


@implementer(IResolver)
class Resolver:
    """Looks names up; the name servers are asked when the cache does not know."""

    def __init__(
        self,
        reactor: Any,
        nameservers: Sequence[str] = (),
        *,
        max_cached: int = MAX_CACHED,
        **options: Any,
    ) -> None:
        self._clock = reactor
        self._name_servers = NameServers(reactor, nameservers, **options)
        self._cache = AnswerCache(reactor.seconds, max_cached)
        self._running: dict[Key, list[Deferred[Answer[Any]]]] = {}
        #: Of these the questions that have had their turn.
        self._asked: set[Key] = set()
        self._turns = DNSTurns(reactor)
        self._questions = 0
        self._unanswered = 0

    def describe(self) -> dict[str, int]:
        """Counters, for the administrator."""
        return {
            "questions": self._questions,
            "unanswered": self._unanswered,
            "running": len(self._running),
            "kept": len(self._cache),
        }

    async def mail_exchangers(self, domain: str, budget: Budget | None = None) -> Answer[MailExchanger]:
        """The MX records of a domain, in no order."""
        return await self._look_up(domain, dns.MX, _exchanger, budget)

    async def ipv4_addresses(self, host: str, budget: Budget | None = None) -> Answer[str]:
        """The A records of a host."""
        return await self._look_up(host, dns.A, _ipv4, budget)

    async def ipv6_addresses(self, host: str, budget: Budget | None = None) -> Answer[str]:
        """The AAAA records of a host."""
        return await self._look_up(host, dns.AAAA, _ipv6, budget)

    async def names(self, address: str, budget: Budget | None = None) -> Answer[str]:
        """The names that reverse DNS has for an address (RFC 1035 3.5, RFC 3596 2.5)."""
        return await self._look_up(
            ip_address(address).reverse_pointer, dns.PTR, lambda record: _text(record.name), budget
        )

    async def texts(self, name: str, budget: Budget | None = None) -> Answer[bytes]:
        """The TXT records of a name; the strings of one record are joined (RFC 7208 3.3)."""
        return await self._look_up(name, dns.TXT, lambda record: b"".join(record.data), budget)

    async def tlsa(self, host: str, port: int) -> Answer[TLSA]:
        """The TLSA records for a host's port (RFC 6698 3, RFC 7672 2.2.3)."""
        return await self._look_up(f"_{port}._tcp.{host}", _TLSA, _certificate)

    async def addresses(self, host: str, budget: Budget | None = None) -> Answer[str]:
        """
        The addresses of a host, those of IPv4 and IPv6 in turn.

        IPv4 begins: many receivers trust a server less that comes by IPv6 without a name in reverse DNS, which is common.
        """
        found = await together([self.ipv4_addresses(host, budget), self.ipv6_addresses(host, budget)])
        four, six = found
        longest = max(len(four.values), len(six.values))
        mixed = [
            normal(answer.values[turn]) for turn in range(longest) for answer in found if turn < len(answer.values)
        ]
        if mixed:
            return Answer(Status.FOUND, tuple(dict.fromkeys(mixed)), secure=four.secure and six.secure)
        # Neither has any. One that could not be asked may have some.
        return six if six.status is Status.UNAVAILABLE else four

    async def host_addresses(self, host: str, hosts_file: str = HOSTS_FILE) -> Answer[str]:
        """The addresses of a host that the administrator has named: it may be an address, or stand in the hosts file."""
        key = (host.encode("utf-8", "replace").lower(), _HOSTS_FILE)
        answer = self._cache.get(key)
        if answer is None:
            answer = self._keep(key, HOSTS_FILE_SECONDS, _listed(host, key[0], hosts_file))
        return answer if answer.status is Status.FOUND else await self.addresses(host)

    async def _look_up(
        self, host: str, record_type: int, read: Callable[[Any], T], budget: Budget | None = None
    ) -> Answer[T]:
        try:
            name = encode_name(host)
        except ValueError as error:
            return Answer(Status.NO_NAME, reason=f"{host!r} is not a domain name: {error}")
        key = (name, record_type)
        kept = self._cache.get(key)
        if kept is not None:
            return kept
        waiting = self._running.get(key)
        if waiting is None and budget is not None and not budget.spend():
            return _EXHAUSTED
        mine: Deferred[Answer[T]] = Deferred()
        if waiting is not None:
            waiting.append(mine)
        else:
            # The question is asked by itself, so that whoever gives up waiting does not take it away from the others.
            self._running[key] = [mine]
            _ = Deferred.fromCoroutine(self._find(key, read)).addBoth(self._tell, key)
        return await mine if budget is None else await self._in_time(mine, key, budget.timeout_seconds)

    async def _in_time(self, answer: Deferred[Answer[T]], key: Key, seconds: float) -> Answer[T]:
        """A client waits for this one, so it does not wait for the last try of the last name server."""

        def late() -> None:
            asked = key in self._asked
            what = "gave no answer" if asked else "could not be asked"
            reason = f"DNS {what} about {_text(key[0])} within {seconds:g} s"
            # Whoever tells the answer afterwards passes over those who have one.
            answer.callback(Answer(Status.UNAVAILABLE, reason=reason, asked=asked))

        timer = self._clock.callLater(seconds, late)
        try:
            return await answer
        finally:
            if timer.active():
                timer.cancel()

    def _tell(self, result: Any, key: Key) -> None:
        self._asked.discard(key)
        for waiting in self._running.pop(key):
            if not waiting.called:
                # A Failure goes to whoever waits: it is a fault of ours.
                waiting.callback(result)

    async def _find(self, key: Key, read: Callable[[Any], T]) -> Answer[T]:
        name, record_type = key
        ttl, secure = MAX_TTL_SECONDS, True
        for _ in range(MAX_ALIASES):
            message = await self._turns.take(partial(self._ask, key, name))
            if isinstance(message, Unanswered):
                return Answer(Status.UNAVAILABLE, reason=message.reason, asked=message.asked)
            secure = secure and bool(message.authenticData)
            name, ttl = _follow(name, message.answers, ttl)
            records = [record for record in message.answers if record.type == record_type and _owner(record) == name]
            if records:
                ttl = min(ttl, *(record.ttl for record in records))
                values = tuple(read(record.payload) for record in records[:MAX_RECORDS])
                return self._keep(key, ttl, Answer(Status.FOUND, values, secure=secure))
            # The server may have told of an alias without what it stands for; a "no" then is about the alias's target.
            if message.rCode == dns.ENAME or name == bytes(message.queries[0].name.name).lower():
                return self._absent(key, ttl, message, secure)
        return Answer(Status.UNAVAILABLE, reason=f"the aliases of {_text(key[0])} lead nowhere")

    async def _ask(self, key: Key, name: bytes) -> dns.Message | Unanswered:
        """Ask the name servers; it is our turn."""
        if all(waiting.called for waiting in self._running[key]):
            return Unanswered("nobody waits for it any more", asked=False)
        self._questions += 1
        self._asked.add(key)
        message = await self._name_servers.ask(name, key[1])
        self._unanswered += isinstance(message, Unanswered)
        return message

    def _absent(self, key: Key, ttl: int, message: dns.Message, secure: bool) -> Answer[Any]:
        if message.rCode == dns.ENAME:
            answer: Answer[Any] = Answer(Status.NO_NAME, reason=f"{_text(key[0])} does not exist in DNS", secure=secure)
        else:
            kind = dns.QUERY_TYPES.get(key[1], "TLSA")
            answer = Answer(Status.NO_DATA, reason=f"{_text(key[0])} has no {kind} record in DNS", secure=secure)
        # RFC 2308 5: the smaller of the SOA's TTL and its MINIMUM; without a SOA a "no" is not kept.
        zones: list[Any] = [record for record in message.authority if record.type == dns.SOA]
        negative = [min(zone.ttl, zone.payload.minimum) for zone in zones]
        return self._keep(key, min(ttl, MAX_NEGATIVE_TTL_SECONDS, *negative) if negative else 0, answer)

    def _keep(self, key: Key, ttl: int, answer: Answer[T]) -> Answer[T]:
        self._cache.put(key, ttl, answer)
        return answer


def _listed(host: str, name: bytes, hosts_file: str) -> Answer[str]:
    """What a host is without DNS: an address itself, or a line of the hosts file."""
    try:
        return Answer(Status.FOUND, (str(ip_address(host)),))
    except ValueError:
        listed = tuple(dict.fromkeys(map(normal, searchFileForAll(FilePath(hosts_file), name))))
    return Answer(Status.FOUND if listed else Status.NO_DATA, listed)


def _follow(name: bytes, answers: Sequence[Any], ttl: int) -> tuple[bytes, int]:
    """Go along the CNAMEs of an answer (RFC 1034 3.6.2); the name they end at, and the smallest TTL on the way."""
    for _ in range(MAX_ALIASES):
        for record in answers:
            if record.type == dns.CNAME and _owner(record) == name:
                name, ttl = bytes(record.payload.name.name).lower(), min(ttl, record.ttl)
                break
        else:
            break
    return name, ttl


def _owner(record: dns.RRHeader) -> bytes:
    return bytes(record.name.name).lower()


def _exchanger(record: Any) -> MailExchanger:
    return MailExchanger(record.preference, _text(record.name))


def _certificate(record: Any) -> TLSA:
    # RFC 6698 2.1: three octets, and the data. What is shorter is of no use.
    octets = bytes(record.data).ljust(3, b"\xff")
    return TLSA(octets[0], octets[1], octets[2], octets[3:])


def _ipv4(record: Any) -> str:
    return str(record.dottedQuad())


def _ipv6(record: Any) -> str:
    return str(ip_address(record.address))


def _text(name: Any) -> str:
    octets = name if isinstance(name, bytes) else bytes(name.name)
    text = octets.rstrip(b".").lower().decode("latin-1")
    # RFC 1035 5.1: any octet may be in a name, and its owner chooses them. Written like this none gets into a log or a terminal.
    return text if _PLAIN.match(text) else _ODD.sub(lambda found: f"\\{ord(found[0]):03d}", text)


def encode_name(host: str) -> bytes:
    """A name as DNS has it: lower case, A-labels (RFC 5890), no last dot; raise ValueError when it cannot be one."""
    text = host.rstrip(".").lower()
    # UTS 46 maps what people write (full-width letters, capitals outside ASCII) to what is registered.
    name = text.encode("ascii") if text.isascii() else idna.encode(text, uts46=True)
    labels = name.split(b".")
    if len(name) > _MAX_NAME_OCTETS or any(not 0 < len(label) <= _MAX_LABEL_OCTETS for label in labels):
        raise ValueError("its labels are too long, or empty")
    if not name.decode("ascii").isprintable() or b" " in name:
        raise ValueError("it has characters that no host name has")
    return name
