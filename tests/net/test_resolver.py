"""Looking up mail exchangers and addresses, against a name server on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hermes.core.dns_answer import Answer, Budget, MailExchanger, Status
from hermes.net import dns_turns
from hermes.net import resolver as resolver_module
from hermes.net.dns_cache import AnswerCache
from hermes.net.dns_query import parse_server, read_resolv_conf
from hermes.net.resolver import Resolver, encode_name
from tests.support import dns_server
from tests.support.dns_server import NameServer, a, aaaa, cname, mx, ptr, reverse, settled, txt

#: Long enough for a busy machine: servers on it answer at once.
TIMEOUTS = (20.0, 20.0)

#: For servers that never answer.
SHORT_TIMEOUTS = (0.01, 0.01)


class Timed:
    """The reactor with a clock whose time a test can move for the cache, while the network's goes on."""

    def __init__(self) -> None:
        self.clock = Clock()

    def seconds(self) -> float:
        """The time that the cache sees."""
        return self.clock.seconds()

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class ResolverTests(TestCase):
    """A resolver with one server."""

    async def setUp(self) -> None:
        """A zone with everything."""
        self.server = NameServer(
            {
                "example.com": [mx(20, "mx2.example.com"), mx(10, "MX1.Example.COM"), a("192.0.2.1")],
                "null.example": [mx(0, "")],
                "plain.example": [a("192.0.2.2", ttl=10)],
                "both.example": [a("192.0.2.3"), a("192.0.2.4"), aaaa("2001:db8::3")],
                "six.example": [aaaa("2001:db8::6")],
                "mapped.example": [aaaa("::ffff:192.0.2.9"), a("192.0.2.9")],
                "alias.example": [cname("example.com", ttl=20)],
                "dangling.example": [cname("nowhere.example")],
                "loop.example": [cname("loop2.example")],
                "loop2.example": [cname("loop.example")],
                "xn--grn-ioa.example": [a("192.0.2.5")],
            }
        )
        self.server.start(reactor)
        self.time = Timed()
        self.resolver = Resolver(self.time, [self.server.address], timeouts_seconds=TIMEOUTS)

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await self.server.stop()

    async def test_mail_exchangers(self) -> None:
        """MX records come with preference and host, in lower case."""
        answer = await self.resolver.mail_exchangers("Example.COM.")
        self.assertIs(answer.status, Status.FOUND)
        self.assertEqual(
            sorted(answer.values, key=lambda record: record.preference),
            [MailExchanger(10, "mx1.example.com"), MailExchanger(20, "mx2.example.com")],
        )

    async def test_null_mx(self) -> None:
        """A null MX has an empty host (RFC 7505 3)."""
        self.assertEqual((await self.resolver.mail_exchangers("null.example")).values, (MailExchanger(0, ""),))

    async def test_no_data(self) -> None:
        """A name without the record exists all the same."""
        answer = await self.resolver.mail_exchangers("plain.example")
        self.assertEqual((answer.status, answer.reason), (Status.NO_DATA, "plain.example has no MX record in DNS"))

    async def test_no_name(self) -> None:
        """A name that does not exist."""
        answer = await self.resolver.mail_exchangers("nothing.example")
        self.assertEqual((answer.status, answer.reason), (Status.NO_NAME, "nothing.example does not exist in DNS"))

    async def test_addresses(self) -> None:
        """Addresses of both families, in turn, IPv4 first; a mapped one is IPv4, and none comes twice."""
        for host, expected in (
            ("plain.example", ("192.0.2.2",)),
            ("both.example", ("192.0.2.3", "2001:db8::3", "192.0.2.4")),
            ("six.example", ("2001:db8::6",)),
            ("mapped.example", ("192.0.2.9",)),
        ):
            self.assertEqual(await self.resolver.addresses(host), Answer(Status.FOUND, expected))

    async def test_no_addresses(self) -> None:
        """Without any address the answer says why; unavailable outweighs absent."""
        self.assertIs((await self.resolver.addresses("nothing.example")).status, Status.NO_NAME)
        self.assertIs((await self.resolver.addresses("null.example")).status, Status.NO_DATA)
        self.server.behaviors["broken.example"] = dns_server.SERVFAIL
        self.assertIs((await self.resolver.addresses("broken.example")).status, Status.UNAVAILABLE)

    async def test_alias(self) -> None:
        """An alias is followed, whether the server gives its target along or must be asked again (RFC 5321 5.1)."""
        answer = await self.resolver.mail_exchangers("alias.example")
        self.assertEqual(len(answer.values), 2)
        self.assertEqual(len(self.server.asked), 1)
        self.server.behaviors["example.com"] = "alone"
        self.assertEqual((await self.resolver.addresses("alias.example")).values, ("192.0.2.1",))
        self.assertIn(("example.com", "A", "UDP"), self.server.asked)

    async def test_alias_of_nothing(self) -> None:
        """An alias of a name that does not exist is a name that does not exist."""
        self.assertIs((await self.resolver.mail_exchangers("dangling.example")).status, Status.NO_NAME)

    async def test_alias_loop(self) -> None:
        """Aliases that go round come to an end."""
        self.server.behaviors = {"loop.example": "alone", "loop2.example": "alone"}
        answer = await self.resolver.mail_exchangers("loop.example")
        self.assertEqual((answer.status, answer.values), (Status.UNAVAILABLE, ()))
        self.assertLessEqual(len(self.server.asked), resolver_module.MAX_ALIASES)

    async def test_international(self) -> None:
        """A name in any script is asked for by its A-labels (RFC 5890)."""
        self.assertEqual((await self.resolver.addresses("GR\u00dcN.example")).values, ("192.0.2.5",))

    async def test_impossible_names(self) -> None:
        """What cannot be a name does not exist, and nobody is asked."""
        for name in ("", "a..b", "a" * 64 + ".example", "a b.example", "\u2603\u2603\udc80", "a\r\n.example"):
            self.assertIs((await self.resolver.mail_exchangers(name)).status, Status.NO_NAME, name)
        self.assertEqual(self.server.asked, [])

    async def test_server_fails(self) -> None:
        """A server that fails, refuses or answers something else gives a temporary answer."""
        for behavior, words in (
            (dns_server.SERVFAIL, "error 2"),
            (dns_server.REFUSED, "error 5"),
            (dns_server.WRONG_QUESTION, "what was asked"),
        ):
            name = behavior.replace(" ", "-").lower() + ".example"
            self.server.behaviors[name] = behavior
            answer = await self.resolver.mail_exchangers(name)
            self.assertIs(answer.status, Status.UNAVAILABLE)
            self.assertIn(words, answer.reason)
            self.assertEqual(len(self.server.asked), len(TIMEOUTS))
            self.server.asked.clear()

    async def test_silence(self) -> None:
        """A server that is silent is asked in every round, then the answer is a temporary one."""
        self.server.behaviors["example.com"] = dns_server.SILENCE
        resolver = Resolver(self.time, [self.server.address], timeouts_seconds=SHORT_TIMEOUTS)
        answer = await resolver.mail_exchangers("example.com")
        self.assertEqual((answer.status, answer.reason), (Status.UNAVAILABLE, "name server 127.0.0.1 does not answer"))

    async def test_unavailable_is_not_kept(self) -> None:
        """A server that failed is asked again at the next look-up."""
        self.server.behaviors["example.com"] = dns_server.SERVFAIL
        self.assertIs((await self.resolver.mail_exchangers("example.com")).status, Status.UNAVAILABLE)
        del self.server.behaviors["example.com"]
        self.assertIs((await self.resolver.mail_exchangers("example.com")).status, Status.FOUND)

    async def test_truncated(self) -> None:
        """An answer that does not fit in a datagram is fetched by TCP (RFC 7766)."""
        self.server.behaviors["example.com"] = dns_server.TRUNCATED
        self.assertEqual(len((await self.resolver.mail_exchangers("example.com")).values), 2)
        self.assertEqual([transport for _, _, transport in self.server.asked], ["UDP", "TCP"])

    async def test_truncated_and_cut(self) -> None:
        """A server that closes the TCP connection gives no answer."""
        self.server.behaviors["example.com"] = dns_server.CUT_BY_TCP
        resolver = Resolver(self.time, [self.server.address], timeouts_seconds=SHORT_TIMEOUTS)
        self.assertIs((await resolver.mail_exchangers("example.com")).status, Status.UNAVAILABLE)

    async def test_next_server(self) -> None:
        """When one server fails, the next one is asked."""
        broken = NameServer()
        broken.behaviors["example.com"] = dns_server.SERVFAIL
        broken.start(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(broken.stop()))
        resolver = Resolver(self.time, [broken.address, self.server.address], timeouts_seconds=TIMEOUTS)
        self.assertIs((await resolver.mail_exchangers("example.com")).status, Status.FOUND)
        self.assertEqual(len(broken.asked), 1)

    async def test_unreachable_server(self) -> None:
        """A server that cannot be asked at all is one that does not answer."""
        resolver = Resolver(self.time, ["255.255.255.255"], timeouts_seconds=TIMEOUTS)
        self.assertIs((await resolver.mail_exchangers("example.com")).status, Status.UNAVAILABLE)

    async def test_kept_for_its_ttl(self) -> None:
        """An answer is kept for its TTL and asked for again when that is over."""
        for moment, questions in ((0, 1), (9, 1), (10, 2)):
            self.time.clock.rightNow = float(moment)
            self.assertIs((await self.resolver._look_up("plain.example", 1, str)).status, Status.FOUND)
            self.assertEqual(len(self.server.asked), questions, moment)

    async def test_kept_for_the_shortest_ttl(self) -> None:
        """With an alias on the way the shortest TTL counts."""
        for moment, questions in ((0, 1), (19, 1), (20, 2)):
            self.time.clock.rightNow = float(moment)
            await self.resolver.mail_exchangers("alias.example")
            self.assertEqual(len(self.server.asked), questions, moment)

    async def test_no_is_kept(self) -> None:
        """A "no" is kept for as long as the SOA says (RFC 2308 5), and not at all without one."""
        for moment, questions in ((0, 1), (59, 1), (60, 2)):
            self.time.clock.rightNow = float(moment)
            await self.resolver.mail_exchangers("nothing.example")
            self.assertEqual(len(self.server.asked), questions, moment)
        self.server._negative_ttl = None
        for _ in range(2):
            await self.resolver.mail_exchangers("nothing2.example")
        self.assertEqual(len(self.server.asked), 4)

    async def test_bounded(self) -> None:
        """The cache forgets the oldest answers when it is full."""
        self.resolver = Resolver(self.time, [self.server.address], timeouts_seconds=TIMEOUTS, max_cached=2)
        for name in ("example.com", "null.example", "plain.example"):
            await self.resolver.mail_exchangers(name)
        self.assertEqual(self.resolver.describe()["kept"], 2)
        await self.resolver.mail_exchangers("plain.example")
        self.assertEqual(len(self.server.asked), 3)
        await self.resolver.mail_exchangers("example.com")
        self.assertEqual(len(self.server.asked), 4)

    async def test_asked_once(self) -> None:
        """Several who want to know the same at the same time cause one question; one that gives up harms nobody."""
        first = Deferred.fromCoroutine(self.resolver.mail_exchangers("example.com"))
        second = Deferred.fromCoroutine(self.resolver.mail_exchangers("example.com"))
        first.cancel()
        self.assertEqual(len((await second).values), 2)
        await self.assertFailure(first, CancelledError)
        self.assertEqual(len(self.server.asked), 1)

    async def test_named_by_the_administrator(self) -> None:
        """A host in the configuration may be an address, stand in the hosts file, or be in DNS."""
        hosts = Path(self.mktemp())
        hosts.write_text("192.0.2.77 relay relay.lan\n2001:db8::77 relay.lan\n")
        for host, expected in (
            ("192.0.2.1", ("192.0.2.1",)),
            ("2001:DB8::1", ("2001:db8::1",)),
            ("Relay.LAN", ("192.0.2.77", "2001:db8::77")),
            ("plain.example", ("192.0.2.2",)),
        ):
            self.assertEqual((await self.resolver.host_addresses(host, str(hosts))).values, expected)
        self.assertIs((await self.resolver.host_addresses("", str(hosts))).status, Status.NO_NAME)

    async def test_hosts_file_is_read_again(self) -> None:
        """A change of the hosts file is seen after a minute, and not looked for at every message."""
        hosts = Path(self.mktemp())
        hosts.write_text("192.0.2.77 relay.lan\n")
        for moment, expected in ((0, "192.0.2.77"), (59, "192.0.2.77"), (60, "192.0.2.78")):
            self.time.clock.rightNow = float(moment)
            self.assertEqual((await self.resolver.host_addresses("relay.lan", str(hosts))).values, (expected,))
            hosts.write_text("192.0.2.78 relay.lan\n")


class SenderTests(TestCase):
    """What is asked about a sender, and what it may cost."""

    async def setUp(self) -> None:
        """A zone with reverse names and texts."""
        self.server = NameServer(
            {
                reverse("192.0.2.1"): [ptr("Mail.Example.COM"), ptr("other.example.com")],
                reverse("2001:db8::1"): [ptr("six.example.com")],
                "example.com": [txt("v=spf1 ", "-all"), txt("another"), a("192.0.2.1"), aaaa("2001:db8::1")],
                "big.example": [txt(*["x" * 250] * 200)],
            }
        )
        self.server.start(reactor)
        self.time = Timed()
        self.resolver = Resolver(self.time, [self.server.address], timeouts_seconds=TIMEOUTS)

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await self.server.stop()

    async def test_reverse_names(self) -> None:
        """PTR records of both families (RFC 1035 3.5, RFC 3596 2.5), in lower case."""
        self.assertEqual((await self.resolver.names("192.0.2.1")).values, ("mail.example.com", "other.example.com"))
        self.assertEqual((await self.resolver.names("2001:db8::1")).values, ("six.example.com",))
        answer = await self.resolver.names("192.0.2.2")
        self.assertEqual((answer.status, answer.absent), (Status.NO_NAME, True))

    async def test_odd_octets(self) -> None:
        """Any octet may be in a name (RFC 2181 11); what comes out is printable, in one word (RFC 1035 5.1)."""
        odd = "a\r\nB c\x1b[1m\x7f\\.example.com"
        self.server.zone[reverse("192.0.2.9")] = [ptr(odd)]
        self.server.zone["odd.example"] = [mx(10, odd)]
        plain = "a\\013\\010b\\032c\\027[1m\\127\\092.example.com"
        self.assertEqual((await self.resolver.names("192.0.2.9")).values, (plain,))
        self.assertEqual((await self.resolver.mail_exchangers("odd.example")).values, (MailExchanger(10, plain),))

    async def test_texts(self) -> None:
        """The strings of one TXT record belong together (RFC 7208 3.3)."""
        self.assertEqual(sorted((await self.resolver.texts("example.com")).values), [b"another", b"v=spf1 -all"])

    async def test_one_family(self) -> None:
        """A and AAAA alone, one question each."""
        self.assertEqual((await self.resolver.ipv4_addresses("example.com")).values, ("192.0.2.1",))
        self.assertEqual((await self.resolver.ipv6_addresses("example.com")).values, ("2001:db8::1",))
        self.assertEqual([kind for _, kind, _ in self.server.asked], ["A", "AAAA"])

    async def test_budget(self) -> None:
        """Questions are counted and what the cache knows is free; beyond the budget nobody is asked."""
        budget = Budget(3)
        for name in ("example.com", "example.com", "EXAMPLE.com"):
            self.assertIs((await self.resolver.addresses(name, budget)).status, Status.FOUND)
        self.assertEqual(budget.left, 1)
        self.assertIs((await self.resolver.texts("example.com", budget)).status, Status.FOUND)
        answer = await self.resolver.mail_exchangers("example.com", budget)
        self.assertEqual((answer.status, answer.absent), (Status.UNAVAILABLE, False))
        self.assertIn("as many look-ups as it may", answer.reason)
        self.assertFalse(answer.asked)
        self.assertEqual(len(self.server.asked), 3)
        self.assertIs((await self.resolver.ipv4_addresses("example.com", budget)).status, Status.FOUND)

    async def test_late(self) -> None:
        """Whoever has a budget waits no longer than it says; the answer is kept when it comes."""
        self.server.behaviors["example.com"] = dns_server.SILENCE
        resolver = Resolver(reactor, [self.server.address], timeouts_seconds=(0.2,))
        patient = Deferred.fromCoroutine(resolver.texts("example.com"))
        answer = await resolver.texts("example.com", Budget(1, 0.01))
        self.assertEqual(
            (answer.status, answer.reason),
            (Status.UNAVAILABLE, "DNS gave no answer about example.com within 0.01 s"),
        )
        self.assertTrue(answer.asked)
        self.assertFalse(patient.called)
        silent = await patient
        self.assertIn("does not answer", silent.reason)
        self.assertTrue(silent.asked)
        self.assertEqual(resolver.describe(), {"questions": 1, "unanswered": 1, "running": 0, "kept": 0})

    async def test_late_without_a_turn(self) -> None:
        """A question whose turn has not come by then was not asked, and its answer says so: nobody was silent."""
        self.patch(dns_turns, "MAX_RUNNING", 1)
        self.server.behaviors["example.com"] = dns_server.SILENCE
        resolver = Resolver(reactor, [self.server.address], timeouts_seconds=(0.2,))
        first = Deferred.fromCoroutine(resolver.texts("example.com"))
        answer = await resolver.texts("two.example", Budget(1, 0.01))
        self.assertEqual(
            (answer.status, answer.reason, answer.asked),
            (Status.UNAVAILABLE, "DNS could not be asked about two.example within 0.01 s", False),
        )
        await first
        self.assertEqual([name for name, _, _ in self.server.asked], ["example.com"])
        await settled(resolver)
        self.assertEqual(resolver._asked, set())

    async def test_turns(self) -> None:
        """No more than so many questions are on their way at once, and the others wait for their turn."""
        self.patch(dns_turns, "MAX_RUNNING", 2)
        names = [f"n{number}.example" for number in range(7)]
        self.server.zone |= {name: [a("192.0.2.9")] for name in names}
        answers = await gatherResults([Deferred.fromCoroutine(self.resolver.ipv4_addresses(name)) for name in names])
        self.assertEqual([answer.values for answer in answers], [("192.0.2.9",)] * 7)
        self.assertEqual(self.resolver._turns.running, 0)

    async def test_too_many_wait(self) -> None:
        """When as many wait as may, one more is told that DNS is not available."""
        self.patch(dns_turns, "MAX_RUNNING", 1)
        self.patch(dns_turns, "MAX_WAITING", 1)
        looking = [Deferred.fromCoroutine(self.resolver.texts(name)) for name in ("example.com", "two.example")]
        answer = await self.resolver.texts("three.example")
        self.assertEqual((answer.status, answer.reason), (Status.UNAVAILABLE, "too many look-ups are waiting already"))
        self.assertFalse(answer.asked)
        self.assertEqual([each.status for each in await gatherResults(looking)], [Status.FOUND, Status.NO_NAME])

    async def test_nobody_waits(self) -> None:
        """A question that nobody waits for any more, when its turn comes, is not asked."""
        self.patch(dns_turns, "MAX_RUNNING", 1)
        first = Deferred.fromCoroutine(self.resolver.texts("example.com"))
        given_up = Deferred.fromCoroutine(self.resolver.texts("two.example"))
        third = Deferred.fromCoroutine(self.resolver.texts("three.example"))
        given_up.cancel()
        await self.assertFailure(given_up, CancelledError)
        await first
        await third
        self.assertEqual([name for name, _, _ in self.server.asked], ["example.com", "three.example"])

    async def test_called_off_while_connecting(self) -> None:
        """A question that is called off while it is asked by TCP is one without an answer, and no fault."""
        self.server.behaviors["example.com"] = dns_server.TRUNCATED
        connecting: Deferred[None] = Deferred()

        class Silent:
            def __getattr__(self, name: str) -> Any:
                return getattr(reactor, name)

            def connectTCP(self, host: str, port: int, factory: Any, *more: Any, **options: Any) -> None:
                factory.doStart()
                factory.startedConnecting(_Connector())
                reactor.callLater(0, connecting.callback, None)  # type: ignore[attr-defined]

        self.patch(dns_turns, "SLOW_SECONDS", 0.0)
        resolver = Resolver(Silent(), [self.server.address], timeouts_seconds=TIMEOUTS)
        asked = Deferred.fromCoroutine(resolver.texts("example.com"))
        await connecting
        await deferLater(reactor, 0)
        (slow,) = resolver._turns.slow
        slow.cancel()
        self.assertEqual((await asked).reason, "too many look-ups have no answer at the moment")

    async def test_big_answers(self) -> None:
        """An answer of 50 KB comes by TCP; it counts for what it is in the cache."""
        answer = await self.resolver.texts("big.example")
        self.assertEqual(len(answer.values[0]), 50_000)
        self.assertGreater(self.resolver._cache.octets, 50_000)


class _Connector:
    """A connection that comes to nothing."""

    def getDestination(self) -> str:
        """Where it would lead."""
        return "nowhere"

    def stopConnecting(self) -> None:
        """It is not wanted any more."""


class CacheTests(SynchronousTestCase):
    """The room that answers take."""

    def setUp(self) -> None:
        """A cache of three answers and 2000 octets."""
        self.clock = Clock()
        self.cache = AnswerCache(self.clock.seconds, 3, 2000)

    def test_time(self) -> None:
        """An answer holds for its time and is forgotten then; none is kept for no time."""
        self.cache.put((b"a", 1), 10, Answer(Status.FOUND, ("192.0.2.1",)))
        self.cache.put((b"b", 1), 0, Answer(Status.FOUND, ("192.0.2.1",)))
        self.assertIsNone(self.cache.get((b"b", 1)))
        self.clock.advance(9.9)
        self.assertIsNotNone(self.cache.get((b"a", 1)))
        self.clock.advance(0.1)
        self.assertIsNone(self.cache.get((b"a", 1)))
        self.assertEqual((len(self.cache), self.cache.octets), (0, 0))

    def test_number(self) -> None:
        """With one more than the number, the first one goes; the same one again takes no more room."""
        for name in (b"a", b"b", b"c", b"a"):
            self.cache.put((name, 1), 10, Answer(Status.NO_NAME))
        self.assertEqual(len(self.cache), 3)
        self.cache.put((b"d", 1), 10, Answer(Status.FOUND, (MailExchanger(1, "mx.example"),)))
        self.assertIsNone(self.cache.get((b"b", 1)))
        self.assertEqual(len(self.cache), 3)

    def test_octets(self) -> None:
        """Large answers go when there is no room for them, and one that is larger than the room is not kept at all."""
        for name in (b"a", b"b", b"c"):
            self.cache.put((name, 16), 10, Answer(Status.FOUND, (b"x" * 600,)))
        self.assertEqual(len(self.cache), 2)
        self.assertLessEqual(self.cache.octets, 2000)
        self.cache.put((b"d", 16), 10, Answer(Status.FOUND, (b"x" * 2000,)))
        self.assertEqual((len(self.cache), self.cache.octets), (0, 0))


class ServerListTests(SynchronousTestCase):
    """Which servers are asked."""

    def test_parse(self) -> None:
        """Servers are written as address, with or without a port."""
        for text, expected in (
            ("192.0.2.1", ("192.0.2.1", 53)),
            ("192.0.2.1:5353", ("192.0.2.1", 5353)),
            ("2001:db8::1", ("2001:db8::1", 53)),
            ("[2001:db8::1]", ("2001:db8::1", 53)),
            ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ):
            self.assertEqual(parse_server(text), expected)

    def test_resolv_conf(self) -> None:
        """The system's servers are the first three of the file; without any, the one on this machine."""
        path = Path(self.mktemp())
        self.assertEqual(read_resolv_conf(str(path)), [("127.0.0.1", 53)])
        path.write_text(
            "# comment\nsearch lan\nnameserver\n" + "".join(f"nameserver 192.0.2.{n}\n" for n in range(1, 5))
        )
        self.assertEqual(read_resolv_conf(str(path)), [(f"192.0.2.{n}", 53) for n in range(1, 4)])

    def test_read_again(self) -> None:
        """The file is looked at again after a minute: a machine may have moved to another network."""
        path = Path(self.mktemp())
        clock = Clock()
        servers = resolver_module.NameServers(clock, resolv_conf=str(path))
        path.write_text("nameserver 192.0.2.1\n")
        self.assertEqual(servers._servers(), [("192.0.2.1", 53)])
        path.write_text("nameserver 192.0.2.2\n")
        clock.advance(59.9)
        self.assertEqual(servers._servers(), [("192.0.2.1", 53)])
        clock.advance(0.1)
        self.assertEqual(servers._servers(), [("192.0.2.2", 53)])

    def test_encode_name(self) -> None:
        """Names as long as DNS allows, and not longer (RFC 1035 2.3.4)."""
        label = "a" * 63
        longest = ".".join([label, label, label, "b" * 61])
        self.assertEqual(len(longest), 253)
        self.assertEqual(encode_name(longest), longest.encode())
        self.assertEqual(encode_name("x" * 62 + ".example"), b"x" * 62 + b".example")
        self.assertRaises(ValueError, encode_name, longest + "b")
        self.assertRaises(ValueError, encode_name, "x" * 64)
