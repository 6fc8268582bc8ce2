"""
What DNS says about mail: exchangers and addresses, with a bounded cache (RFC 1035, 2308, 5321 5.1, 7505).

An answer is a value: found, not there, or not to be had now. Answers that say "no" are kept as long as the zone allows, like
the others; those that could not be had are not kept.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, Generic, TypeVar

import attrs
import idna
from twisted.internet.defer import Deferred, gatherResults
from twisted.names import dns
from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath

from hermes.net.dns_query import NameServers, Unanswered
from hermes.net.peer import normal

#: Answers kept: some megabytes at most, and more destinations than a site writes to in an hour.
MAX_CACHED = 5000

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

HOSTS_FILE = "/etc/hosts"

#: How long the hosts file is not looked at again: every message to the smart host asks.
HOSTS_FILE_SECONDS = 60

#: Stands where record types of DNS stand; none has this number.
_HOSTS_FILE = 0

T = TypeVar("T")


class Status(enum.Enum):
    """How a look-up ended."""

    FOUND = "found"
    NO_DATA = "no such record"  #: the name exists, without records of this kind
    NO_NAME = "no such name"
    UNAVAILABLE = "not available"  #: it may work later


@attrs.frozen
class Answer(Generic[T]):
    """The end of a look-up: ``values`` when found, ``reason`` for people otherwise."""

    status: Status
    values: tuple[T, ...] = ()
    reason: str = ""


@attrs.frozen
class MailExchanger:
    """An MX record; ``host`` in lower case without the last dot, and empty in a null MX (RFC 7505)."""

    preference: int
    host: str


class Resolver:
    """Looks names up. ``name_servers`` is asked when the cache does not know."""

    def __init__(self, reactor: Any, nameservers: Sequence[str] = (), **options: Any) -> None:
        self._clock = reactor
        self._name_servers = NameServers(reactor, nameservers, **options)
        self._cache: OrderedDict[tuple[bytes, int], tuple[float, Answer[Any]]] = OrderedDict()
        self._running: dict[tuple[bytes, int], list[Deferred[Answer[Any]]]] = {}

    async def mail_exchangers(self, domain: str) -> Answer[MailExchanger]:
        """The MX records of a domain, in no order."""
        return await self._look_up(domain, dns.MX, lambda record: MailExchanger(record.preference, _text(record.name)))

    async def addresses(self, host: str) -> Answer[str]:
        """
        The addresses of a host, those of IPv4 and IPv6 in turn.

        IPv4 begins: many receivers trust a server less that comes by IPv6 without a name in reverse DNS, which is common.
        """
        found = await gatherResults(
            [
                Deferred.fromCoroutine(self._look_up(host, dns.A, lambda record: str(record.dottedQuad()))),
                Deferred.fromCoroutine(self._look_up(host, dns.AAAA, lambda record: normal(_ipv6(record)))),
            ],
            consumeErrors=True,
        )
        four, six = found
        longest = max(len(four.values), len(six.values))
        mixed = [answer.values[turn] for turn in range(longest) for answer in found if turn < len(answer.values)]
        if mixed:
            return Answer(Status.FOUND, tuple(dict.fromkeys(mixed)))
        # Neither has any. One that could not be asked may have some.
        return six if six.status is Status.UNAVAILABLE else four

    async def host_addresses(self, host: str, hosts_file: str = HOSTS_FILE) -> Answer[str]:
        """The addresses of a host that the administrator has named: it may be an address, or stand in the hosts file."""
        key = (host.encode("utf-8", "replace").lower(), _HOSTS_FILE)
        answer = self._kept(key)
        if answer is None:
            answer = self._keep(key, HOSTS_FILE_SECONDS, _listed(host, key[0], hosts_file))
        return answer if answer.status is Status.FOUND else await self.addresses(host)

    async def _look_up(self, host: str, record_type: int, read: Callable[[Any], T]) -> Answer[T]:
        try:
            name = encode_name(host)
        except ValueError as error:
            return Answer(Status.NO_NAME, reason=f"{host!r} is not a domain name: {error}")
        key = (name, record_type)
        kept = self._kept(key)
        if kept is not None:
            return kept
        waiting = self._running.get(key)
        mine: Deferred[Answer[T]] = Deferred()
        if waiting is not None:
            waiting.append(mine)
        else:
            # The question is asked by itself, so that whoever gives up waiting does not take it away from the others.
            self._running[key] = [mine]
            _ = Deferred.fromCoroutine(self._find(key, read)).addBoth(self._tell, key)
        return await mine

    def _kept(self, key: tuple[bytes, int]) -> Answer[Any] | None:
        kept = self._cache.get(key)
        return kept[1] if kept is not None and kept[0] > self._clock.seconds() else None

    def _tell(self, result: Any, key: tuple[bytes, int]) -> None:
        for waiting in self._running.pop(key):
            if not waiting.called:
                # A Failure goes to whoever waits: it is a fault of ours.
                waiting.callback(result)

    async def _find(self, key: tuple[bytes, int], read: Callable[[Any], T]) -> Answer[T]:
        name, record_type = key
        ttl = MAX_TTL_SECONDS
        for _ in range(MAX_ALIASES):
            message = await self._name_servers.ask(name, record_type)
            if isinstance(message, Unanswered):
                return Answer(Status.UNAVAILABLE, reason=message.reason)
            name, ttl = _follow(name, message.answers, ttl)
            records = [record for record in message.answers if record.type == record_type and _owner(record) == name]
            if records:
                ttl = min(ttl, *(record.ttl for record in records))
                values = tuple(read(record.payload) for record in records[:MAX_RECORDS])
                return self._keep(key, ttl, Answer(Status.FOUND, values))
            # The server may have told of an alias without what it stands for; a "no" then is about the alias's target.
            if message.rCode == dns.ENAME or name == bytes(message.queries[0].name.name).lower():
                return self._absent(key, ttl, message)
        return Answer(Status.UNAVAILABLE, reason=f"the aliases of {_text(key[0])} lead nowhere")

    def _absent(self, key: tuple[bytes, int], ttl: int, message: dns.Message) -> Answer[Any]:
        if message.rCode == dns.ENAME:
            answer: Answer[Any] = Answer(Status.NO_NAME, reason=f"{_text(key[0])} does not exist in DNS")
        else:
            kind = dns.QUERY_TYPES[key[1]]
            answer = Answer(Status.NO_DATA, reason=f"{_text(key[0])} has no {kind} record in DNS")
        # RFC 2308 5: the smaller of the SOA's TTL and its MINIMUM; without a SOA a "no" is not kept.
        zones: list[Any] = [record for record in message.authority if record.type == dns.SOA]
        negative = [min(zone.ttl, zone.payload.minimum) for zone in zones]
        return self._keep(key, min(ttl, MAX_NEGATIVE_TTL_SECONDS, *negative) if negative else 0, answer)

    def _keep(self, key: tuple[bytes, int], ttl: int, answer: Answer[Any]) -> Answer[Any]:
        if ttl > 0:
            self._cache[key] = (self._clock.seconds() + ttl, answer)
            self._cache.move_to_end(key)
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
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


def _ipv6(record: Any) -> str:
    return str(ip_address(record.address))


def _text(name: Any) -> str:
    octets = name if isinstance(name, bytes) else bytes(name.name)
    return octets.decode("ascii", "backslashreplace").rstrip(".").lower()


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
