"""The list of offenders: who comes onto it, who never does, and how it is cleared."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.schema import AccessSettings, HermesSettings, Settings, SMTPSettings
from hermes.config.sections.offenders import OffendersSettings
from hermes.core.address_range import AddressRange
from hermes.core.offender import Network, Offender
from hermes.interfaces import IOffenders, IOffenderStore
from hermes.policy import offenders as module
from hermes.policy.access import Access
from hermes.policy.offender_store import NoStore
from hermes.policy.offenders import Offenders

PEER = "203.0.113.7"

NETWORKS = ("192.0.2.9", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32")

SETTINGS = Settings(
    hermes=HermesSettings(hostname="mail.example.org", postmaster="anna@example.org"),
    smtp=SMTPSettings(relay_networks=(ip_network("192.0.2.0/28"),), front_ends=(ip_network("192.0.2.250"),)),
    offenders=OffendersSettings(exempt=(ip_network("198.51.100.0/24"), ip_network("2001:db8:1::/48"))),
    access={"friends": AccessSettings((AddressRange.parse("203.0.113.80"),), exempt=True, servers=("pop3",))},
)


class Recording(NoStore):
    """A store that remembers what it was told, and can be told to fail."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.failure: Exception | None = None
        self.by_others: list[list[Offender] | None] = []
        self.rows: list[Offender] = []
        self.waiting: Deferred[None] | None = None

    def _done(self, what: str, network: Network) -> Deferred[None]:
        self.told.append((what, str(network)))
        return succeed(None) if self.failure is None else fail(self.failure)

    def put(self, one: Offender) -> Deferred[None]:
        """Remember."""
        return self._done("put", one.network)

    def remove(self, network: Network) -> Deferred[None]:
        """Remember."""
        return self._done("remove", network)

    async def changed(self) -> list[Offender] | None:
        """What the test has prepared, when it says so."""
        if self.waiting is not None:
            await self.waiting
        return self.by_others.pop(0) if self.by_others else None

    async def read(self) -> list[Offender]:
        """All."""
        return self.rows


class OffendersTestCase(SynchronousTestCase):
    """A list, with a clock of its own."""

    def setUp(self) -> None:
        """An empty list."""
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.store = Recording()
        self.offenders = Offenders(self.store, self.clock.seconds)
        self.offenders.reconfigure(SETTINGS, Access(SETTINGS.access))

    def listed(self) -> list[str]:
        """Who is on it."""
        return [one.network_text for one in self.offenders.entries()]


class ReportTests(OffendersTestCase):
    """What rules put on the list."""

    def test_interfaces(self) -> None:
        """It is what services are given."""
        self.assertTrue(verifyObject(IOffenders, self.offenders))
        self.assertTrue(verifyObject(IOffenderStore, self.store))

    def test_half_an_hour(self) -> None:
        """Who is reported is blocked at once, for the time that is configured, and not longer."""
        self.assertIsNone(self.offenders.refusal(PEER))
        self.assertTrue(self.offenders.report(PEER, "some.rule", "because"))
        verdict = self.offenders.refusal(PEER)
        assert verdict is not None
        self.assertIn("421 4.7.0", str(verdict.reply))
        self.assertIn("anna@example.org", str(verdict.reply))
        self.assertIsNone(self.offenders.refusal("203.0.113.8"))
        self.clock.advance(1799)
        self.assertIsNotNone(self.offenders.refusal(PEER))
        self.clock.advance(1)
        self.assertIsNone(self.offenders.refusal(PEER))
        self.assertEqual(self.listed(), [])

    def test_facts(self) -> None:
        """Who, since when, until when, why, and how often."""
        for _ in range(3):
            self.offenders.report(PEER, "some.rule", "because", 600)
        (one,) = self.offenders.entries()
        now = self.clock.seconds()
        self.assertEqual(one, Offender(ip_network(PEER), now, now + 600, "some.rule", "because", times=3))

    def test_again(self) -> None:
        """A further report prolongs, never shortens; and one that changes little is not written."""
        self.offenders.report(PEER, "some.rule", "", 600)
        for later, seconds, until, writes in ((59, 600, 600, 1), (1, 600, 660, 2), (0, 60, 660, 2), (0, 800, 860, 3)):
            self.clock.advance(later)
            self.offenders.report(PEER, "other.rule", "", seconds)
            (one,) = self.offenders.entries()
            self.assertEqual((one.until or 0) - one.since, until)
            self.assertEqual(len(self.store.told), writes, until)
        self.assertEqual(one.rule, "some.rule")

    def test_prolonged_in_small_steps(self) -> None:
        """Many small steps are written too, once they are worth it."""
        self.offenders.report(PEER, "some.rule", "", 600)
        for _ in range(100):
            self.clock.advance(10)
            self.offenders.report(PEER, "some.rule", "", 600)
        self.assertGreaterEqual(len(self.store.told), 15)
        self.assertLessEqual(len(self.store.told), 18)
        (one,) = self.offenders.entries()
        self.assertGreater((one.until or 0) - self.clock.seconds(), 540)

    def test_ipv6(self) -> None:
        """Of IPv6 the whole /64 is blocked, and nobody else."""
        self.offenders.report("2001:db8::1", "some.rule", "")
        self.assertEqual(self.listed(), ["2001:db8::/64"])
        self.assertIsNotNone(self.offenders.entry("2001:db8::ffff:1"))
        self.assertIsNone(self.offenders.entry("2001:db8:0:1::1"))

    def test_mapped(self) -> None:
        """IPv4 in the form of IPv6 is IPv4."""
        self.offenders.report(f"::ffff:{PEER}", "some.rule", "")
        self.assertEqual(self.listed(), [PEER])
        self.assertIsNotNone(self.offenders.entry(f"::ffff:{PEER}"))

    def test_exempt(self) -> None:
        """This machine, trusted networks, front ends, those named, and what has no address are never listed."""
        for peer in (
            *("127.0.0.1", "127.1.2.3", "::1", "unix", "unknown", "192.0.2.1", "192.0.2.250", "198.51.100.9"),
            *("2001:db8:1:2::3", "203.0.113.80", "::ffff:192.0.2.1", "::ffff:127.0.0.1"),
        ):
            self.assertTrue(self.offenders.exempt(peer), peer)
            self.assertFalse(self.offenders.report(peer, "some.rule", ""), peer)
        self.assertEqual(self.listed(), [])
        for peer in ("192.0.2.16", "192.0.2.251", "203.0.113.81", "2001:db8:2::1"):
            self.assertFalse(self.offenders.exempt(peer), peer)
            self.assertTrue(self.offenders.report(peer, "some.rule", ""), peer)

    def test_exempt_within(self) -> None:
        """Who is exempt gets in although a network around is blocked, and although it was listed before it was exempt."""
        self.offenders.add(ip_network("203.0.113.0/24"), None, "")
        self.assertIsNone(self.offenders.refusal("203.0.113.80"))
        self.assertIsNotNone(self.offenders.refusal("203.0.113.81"))
        exempt = attrs.evolve(SETTINGS, offenders=OffendersSettings(exempt=(ip_network("203.0.113.0/24"),)))
        self.offenders.reconfigure(exempt, Access({}))
        self.assertIsNone(self.offenders.refusal("203.0.113.81"))

    def test_causes(self) -> None:
        """What is not configured to be reported is not."""
        self.assertTrue(self.offenders.offended(PEER, "logins", "ten wrong passwords"))
        (one,) = self.offenders.entries()
        self.assertEqual((one.rule, one.reason), ("limits.login_failures", "ten wrong passwords"))
        self.offenders.reconfigure(attrs.evolve(SETTINGS, offenders=OffendersSettings(report=())), Access({}))
        self.assertFalse(self.offenders.offended("203.0.113.9", "logins", ""))
        self.assertEqual(self.listed(), [PEER])

    def test_bounded(self) -> None:
        """When the list is full the one that has the least time left goes; an administrator's stays."""
        self.patch(module, "MAX_LISTED", 3)
        self.offenders.add(ip_network("203.0.113.0"), None, "")
        for number in (1, 2, 3):
            self.offenders.report(f"203.0.113.{number}", "some.rule", "")
        self.assertEqual(len(self.listed()), 4)
        self.offenders.report("203.0.113.1", "some.rule", "")
        self.offenders.report("203.0.113.4", "some.rule", "")
        self.assertEqual(sorted(self.listed()), [f"203.0.113.{number}" for number in (0, 1, 3, 4)])
        self.assertIn(("remove", "203.0.113.2/32"), self.store.told)
        self.assertIsNone(self.offenders.entry("203.0.113.2"))

    def test_unwritable(self) -> None:
        """What cannot be written holds all the same, and the log says so."""
        self.store.failure = OSError("the disk is full")
        self.offenders.report(PEER, "some.rule", "")
        self.assertIsNotNone(self.offenders.refusal(PEER))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class AdministratorTests(OffendersTestCase):
    """What administrators do."""

    def test_network(self) -> None:
        """A network is blocked as a whole, for good or for a while."""
        self.offenders.add(ip_network("203.0.113.0/24"), None, "a bad neighborhood")
        verdict = self.offenders.refusal(PEER)
        assert verdict is not None
        self.assertTrue(str(verdict.reply).startswith("554 5.7.1"))
        self.offenders.add(ip_network("203.0.113.0/24"), 60, "only for a moment")
        verdict = self.offenders.refusal(PEER)
        assert verdict is not None
        self.assertTrue(str(verdict.reply).startswith("421 4.7.0"))
        self.clock.advance(60)
        self.assertIsNone(self.offenders.refusal(PEER))

    def test_the_longest_decides(self) -> None:
        """Of several entries that hold a peer, that which lasts longest."""
        self.offenders.add(ip_network("203.0.113.0/24"), 600, "")
        self.offenders.add(ip_network("203.0.0.0/16"), 60, "")
        self.offenders.report(PEER, "some.rule", "", 300)
        one = self.offenders.entry(PEER)
        self.assertEqual(one and one.network_text, "203.0.113.0/24")
        self.offenders.add(ip_network("203.0.0.0/16"), None, "")
        one = self.offenders.entry(PEER)
        self.assertEqual(one and one.network_text, "203.0.0.0/16")

    def test_takes_over(self) -> None:
        """What a rule has listed becomes an administrator's; and a rule's report never changes an entry without an end."""
        self.offenders.report(PEER, "some.rule", "")
        self.offenders.add(ip_network(PEER), None, "mine")
        self.offenders.report(PEER, "some.rule", "")
        (one,) = self.offenders.entries()
        self.assertEqual((one.by_administrator, one.until, one.reason, one.times), (True, None, "mine", 2))
        self.assertEqual(self.store.told, [("put", f"{PEER}/32")] * 2)

    def test_after_it_has_ended(self) -> None:
        """Who offends when the administrator's entry has just ended is blocked by the rule, and stays so."""
        self.offenders.add(ip_network(PEER), 60, "")
        self.clock.advance(60)
        self.assertTrue(self.offenders.report(PEER, "some.rule", "", 600))
        self.assertIsNotNone(self.offenders.entry(PEER))
        self.successResultOf(Deferred.fromCoroutine(self.offenders.follow()))
        self.assertIsNotNone(self.offenders.entry(PEER))

    def test_exempt_as_a_whole(self) -> None:
        """What would change nothing is refused, with what exempts it: nobody locks himself out of his own machine."""
        for text, why in (
            ("127.0.0.1", "loopback"),
            ("192.0.2.0/28", "smtp.relay_networks"),
            ("203.0.113.80", "access.friends"),
        ):
            with self.assertRaises(ValueError) as raised:
                self.offenders.add(ip_network(text), None, "")
            self.assertIn(why, str(raised.exception))
        self.assertEqual(self.listed(), [])

    def test_bounded(self) -> None:
        """An administrator who has reached the bound is told, and may still change what is there."""
        self.patch(module, "MAX_ADDED", 1)
        self.offenders.add(ip_network(PEER), 60, "")
        self.assertRaises(ValueError, self.offenders.add, ip_network("203.0.113.8"), 60, "")
        self.offenders.add(ip_network(PEER), None, "")

    def test_remove(self) -> None:
        """What is removed may come in; a network takes along all that is within it, and nothing around it."""
        for text in ("203.0.113.1", "203.0.113.2", "203.0.114.1", "2001:db8:2::/64"):
            self.offenders.report(text.removesuffix("/64"), "some.rule", "")
        self.offenders.add(ip_network("203.0.0.0/16"), None, "")
        gone = self.offenders.remove(ip_network("203.0.113.0/24"))
        self.assertEqual([one.network_text for one in gone], ["203.0.113.1", "203.0.113.2"])
        self.assertEqual(self.offenders.remove(ip_network("203.0.113.0/24")), [])
        self.assertEqual(sorted(self.listed()), ["2001:db8:2::/64", "203.0.0.0/16", "203.0.114.1"])

    def test_clear(self) -> None:
        """All that rules have listed goes; administrators' entries stay."""
        self.offenders.report(PEER, "some.rule", "")
        self.offenders.add(ip_network("203.0.114.0/24"), None, "")
        self.assertEqual([one.network_text for one in self.offenders.clear()], [PEER])
        self.assertEqual(self.listed(), ["203.0.114.0/24"])

    @given(
        st.lists(
            st.tuples(st.booleans(), st.sampled_from(NETWORKS)),
            max_size=30,
        )
    )
    def test_model(self, steps: list[tuple[bool, str]]) -> None:
        """Whatever is added and removed, a look-up finds what a search through all networks finds."""
        offenders = Offenders(NoStore(), lambda: 0.0)
        there: set[Any] = set()
        for adds, text in steps:
            network: Any = ip_network(text)
            if adds:
                offenders.add(network, None, "")
                there.add(network)
            else:
                offenders.remove(network)
                there = {one for one in there if one.version != network.version or not one.subnet_of(network)}
        for peer in ("192.0.2.9", "10.1.2.3", "10.1.9.9", "10.9.9.9", "11.0.0.1", "2001:db8::1"):
            address = ip_network(peer).network_address
            self.assertEqual(offenders.entry(peer) is not None, any(address in one for one in there), peer)


class FollowTests(OffendersTestCase):
    """What is done by the clock."""

    def follow(self) -> Deferred[None]:
        """Once."""
        return Deferred.fromCoroutine(self.offenders.follow())

    def test_forgets(self) -> None:
        """What has ended is forgotten, here and in the store; not too many at once."""
        self.patch(module, "MAX_FORGOTTEN", 2)
        for number in range(3):
            self.offenders.report(f"203.0.113.{number}", "some.rule", "", 60)
        self.offenders.report(PEER, "some.rule", "", 600)
        self.clock.advance(60)
        self.store.told.clear()
        self.successResultOf(self.follow())
        self.assertEqual([what for what, _ in self.store.told], ["remove"] * 2)
        self.successResultOf(self.follow())
        self.assertEqual([what for what, _ in self.store.told], ["remove"] * 3)
        self.assertEqual(self.listed(), [PEER])

    def test_learns(self) -> None:
        """What another process has changed holds here."""
        self.offenders.report(PEER, "some.rule", "")
        now = self.clock.seconds()
        theirs = [
            Offender(ip_network("203.0.113.9"), now, now + 60, "some.rule"),
            Offender(ip_network("203.0.113.10"), now - 60, now, "some.rule"),
        ]
        self.store.by_others = [theirs]
        self.successResultOf(self.follow())
        self.assertEqual(self.listed(), ["203.0.113.9"])

    def test_changed_meanwhile(self) -> None:
        """What is listed here while the store is being read is not lost."""
        now = self.clock.seconds()
        self.store.waiting = Deferred()
        self.store.by_others = [[]]
        self.store.rows = [Offender(ip_network(PEER), now, now + 60, "some.rule")]
        following = self.follow()
        self.offenders.report(PEER, "some.rule", "")
        self.store.waiting.callback(None)
        self.successResultOf(following)
        self.assertEqual(self.listed(), [PEER])
