"""Limits on wrong passwords: for accounts, addresses and networks; how long answers wait, and whom nobody can lock out."""

from __future__ import annotations

from ipaddress import ip_network

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.schema import LimitsSettings
from hermes.net import buckets, login_limits
from hermes.net.gate import Gate
from hermes.net.login_limits import LoginLimits

HOME, OFFICE, STRANGER = "192.0.2.1", "198.51.100.1", "203.0.113.1"

MANY = LimitsSettings(login_failures=1000, login_failures_network=1000, login_failures_account=1000)


class LimitsTestCase(SynchronousTestCase):
    """Limits of the test's making."""

    def limits(self, **some: int) -> LoginLimits:
        """Some limits, the others being high."""
        self.clock = Clock()
        self.clock.advance(1000)
        return LoginLimits(attrs.evolve(MANY, **some), self.clock.seconds)

    def guess(self, limits: LoginLimits, peer: str, name: str, count: int) -> None:
        """So many wrong passwords."""
        for _ in range(count):
            limits.failed(peer, name)

    def strangers(self, limits: LoginLimits, name: str, count: int) -> None:
        """So many wrong passwords, each from a network of its own."""
        for number in range(count):
            limits.failed(f"10.0.{number}.1", name)


class CountTests(LimitsTestCase):
    """Each limit below, at and above it."""

    def test_address(self) -> None:
        """An address may fail so often, whatever names it tries; others are not harmed."""
        limits = self.limits(login_failures=3)
        self.guess(limits, STRANGER, "anna", 2)
        self.assertTrue(limits.verdict(STRANGER, "anna").accepted)
        limits.failed(STRANGER, "bob")
        verdict = limits.verdict(STRANGER, "carl")
        text = "454 4.7.0 Too many wrong passwords from your address: try again in some minutes"
        self.assertEqual((verdict.rule, str(verdict.reply)), ("limits.login_failures", text))
        self.assertEqual(verdict.reason, f"3 in 10 minutes for address {STRANGER}")
        self.assertTrue(limits.verdict(HOME, "carl").accepted)

    def test_ipv6(self) -> None:
        """Of IPv6 a /64 is an address, and a /48 a network."""
        limits = self.limits(login_failures=2, login_failures_network=4)
        self.guess(limits, "2001:db8::1", "anna", 1)
        self.guess(limits, "2001:db8::2", "anna", 1)
        self.assertEqual(limits.verdict("2001:db8::3", "bob").rule, "limits.login_failures")
        self.assertTrue(limits.verdict("2001:db8:0:1::1", "bob").accepted)
        self.guess(limits, "2001:db8:0:1::1", "anna", 2)
        self.assertEqual(limits.verdict("2001:db8:0:2::1", "bob").rule, "limits.login_failures_network")
        self.assertTrue(limits.verdict("2001:db8:1::1", "bob").accepted)

    def test_network(self) -> None:
        """A network may fail so often, from whichever of its addresses."""
        limits = self.limits(login_failures_network=3)
        for number in range(2):
            limits.failed(f"203.0.113.{number}", f"user{number}")
        self.assertTrue(limits.verdict("203.0.113.77", "anna").accepted)
        limits.failed("203.0.113.2", "anna")
        self.assertEqual(limits.verdict("203.0.113.77", "anna").rule, "limits.login_failures_network")
        self.assertTrue(limits.verdict("203.0.114.1", "anna").accepted)

    def test_account(self) -> None:
        """An account may be failed at so often, from anywhere, in whatever case; other accounts are not harmed."""
        limits = self.limits(login_failures_account=4)
        self.strangers(limits, "Anna", 3)
        self.assertTrue(limits.verdict(STRANGER, "anna").accepted)
        self.strangers(limits, " anna ", 1)
        verdict = limits.verdict(STRANGER, "ANNA")
        self.assertEqual(verdict.rule, "limits.login_failures_account")
        self.assertIn("for that name", str(verdict.reply))
        self.assertTrue(limits.verdict(STRANGER, "bob").accepted)

    def test_without_a_name(self) -> None:
        """Where no name was typed there is no account to be counted."""
        limits = self.limits(login_failures_account=1)
        self.guess(limits, STRANGER, "", 3)
        self.assertTrue(limits.verdict(HOME, "").accepted)

    def test_time(self) -> None:
        """What was counted drains away: an address is free again after ten minutes, an account after an hour."""
        limits = self.limits(login_failures=4, login_failures_account=4)
        self.guess(limits, STRANGER, "anna", 4)
        self.clock.advance(149)
        self.assertEqual(limits.verdict(STRANGER, "bob").rule, "limits.login_failures")
        self.clock.advance(1)
        self.assertTrue(limits.verdict(STRANGER, "bob").accepted)
        self.assertEqual(limits.verdict(STRANGER, "anna").rule, "limits.login_failures_account")
        self.clock.advance(750)
        self.assertTrue(limits.verdict(STRANGER, "anna").accepted)
        self.clock.advance(3600)
        self.assertEqual(limits.counts(), [])

    def test_bounded(self) -> None:
        """However many names and addresses are tried, so many are remembered."""
        self.patch(buckets, "MAX_REMEMBERED", 5)
        limits = self.limits()
        for number in range(50):
            limits.failed(f"10.0.{number}.1", f"user{number}" * 1000)
            limits.succeeded(f"10.1.{number}.1", f"user{number}" * 1000)
        self.assertEqual(len(limits.counts()), 15)
        self.assertLessEqual(max(len(count.subject) for count in limits.counts()), 128)
        self.assertEqual(len(limits._known), 5)


class DelayTests(LimitsTestCase):
    """How long the answer to a wrong password waits."""

    def delays(self, limits: LoginLimits, peers: list[str], names: list[str]) -> list[float]:
        """The seconds for each of these failures."""
        return [round(limits.failed(peer, name)[0], 3) for peer, name in zip(peers, names, strict=True)]

    def test_grows(self) -> None:
        """It doubles with each failure, up to the longest."""
        limits = self.limits(login_delay=30)
        self.assertEqual(self.delays(limits, [STRANGER] * 8, ["anna"] * 8), [1, 2, 4, 8, 16, 30, 30, 30])
        self.guess(limits, STRANGER, "anna", 900)
        self.assertEqual(limits.failed(STRANGER, "anna")[0], 30)

    def test_from_everywhere(self) -> None:
        """It grows as well when each comes from another address, and when each tries another name."""
        limits = self.limits(login_delay=30)
        peers, names = [f"10.0.{number}.1" for number in range(4)], [f"user{number}" for number in range(4)]
        self.assertEqual(self.delays(limits, peers, ["anna"] * 4), [1, 2, 4, 8])
        self.assertEqual(self.delays(limits, [STRANGER] * 4, names), [1, 2, 4, 8])

    def test_network(self) -> None:
        """The neighbors of an offender wait only when there have been more failures than one address may have."""
        limits = self.limits(login_failures=3, login_delay=30)
        peers, names = [f"203.0.113.{number}" for number in range(6)], [f"user{number}" for number in range(6)]
        self.assertEqual(self.delays(limits, peers, names), [1, 1, 1, 1, 2, 4])

    def test_a_right_password_never_waits(self) -> None:
        """It is the failure that tells how long its answer waits: what succeeds is not asked."""
        limits = self.limits()
        self.guess(limits, STRANGER, "anna", 9)
        self.assertIsNone(limits.succeeded(STRANGER, "anna"))
        self.assertTrue(limits.verdict(STRANGER, "anna").accepted)


class OwnerTests(LimitsTestCase):
    """Nobody is locked out of an account by strangers."""

    def test_from_home(self) -> None:
        """While an account is attacked, its owner gets in from where he was lately; from elsewhere nobody does."""
        limits = self.limits(login_failures_account=4)
        limits.succeeded(HOME, "anna@example.org", "anna")
        self.strangers(limits, "anna", 100)
        self.assertTrue(limits.verdict(HOME, "anna").accepted)
        self.assertTrue(limits.verdict(HOME, "ANNA@example.org").accepted)
        self.assertFalse(limits.verdict(STRANGER, "anna").accepted)
        self.assertFalse(limits.verdict(OFFICE, "anna").accepted)

    def test_not_for_ever(self) -> None:
        """An address is known for a month, counted from the last login."""
        limits = self.limits(login_failures_account=1)
        limits.succeeded(HOME, "anna")
        self.clock.advance(login_limits.KNOWN_SECONDS - 1)
        limits.succeeded(HOME, "anna")
        self.clock.advance(login_limits.KNOWN_SECONDS - 1)
        limits.failed(STRANGER, "anna")
        self.assertTrue(limits.verdict(HOME, "anna").accepted)
        self.clock.advance(1)
        limits.failed(STRANGER, "anna")
        self.assertFalse(limits.verdict(HOME, "anna").accepted)

    def test_neighbors_at_the_same_address(self) -> None:
        """Behind one address, one with an old password does no harm to those who are known there."""
        limits = self.limits(login_failures=3)
        for name in ("anna", "bob"):
            limits.succeeded(OFFICE, name)
        self.guess(limits, OFFICE, "anna", 5)
        self.assertFalse(limits.verdict(OFFICE, "anna").accepted)
        self.assertTrue(limits.verdict(OFFICE, "bob").accepted)
        self.assertTrue(limits.verdict(OFFICE, "a newcomer").accepted)
        self.assertTrue(limits.verdict(HOME, "anna").accepted)
        self.assertEqual([(count.kind, count.subject) for count in limits.counts()], [("login", f"anna from {OFFICE}")])

    def test_a_burglar_at_home(self) -> None:
        """Who guesses from the owner's own address has one allowance there, like anybody."""
        limits = self.limits(login_failures=3)
        limits.succeeded(HOME, "anna")
        self.guess(limits, HOME, "anna", 2)
        self.assertTrue(limits.verdict(HOME, "anna").accepted)
        self.guess(limits, HOME, "anna", 1)
        self.assertEqual(limits.verdict(HOME, "anna").rule, "limits.login_failures")

    def test_own_account_is_no_key(self) -> None:
        """Who can log in to one account gains nothing for guessing at another, and clears no count."""
        limits = self.limits(login_failures=3, login_failures_account=3)
        self.guess(limits, STRANGER, "anna", 2)
        limits.succeeded(STRANGER, "mallory")
        self.guess(limits, STRANGER, "anna", 1)
        self.assertFalse(limits.verdict(STRANGER, "anna").accepted)

    def test_unknown_names(self) -> None:
        """Nothing tells a name that does not exist from one that does: the counts know only what was typed."""
        limits = self.limits(login_failures_account=3)
        told = []
        for name in ("anna", "nobody"):
            seconds = [limits.failed(f"10.{number}.{len(name)}.1", name) for number in range(3)]
            told.append((seconds, str(limits.verdict(STRANGER, name).reply)))
        self.assertEqual(told[0], told[1])

    def test_listed(self) -> None:
        """An address is reported when it has used up what it is allowed, unless somebody has logged in from there lately."""
        limits = self.limits(login_failures=3)
        self.assertEqual([limits.failed(STRANGER, "anna")[1] for _ in range(4)], [False, False, True, True])
        limits.succeeded(OFFICE, "bob")
        self.assertEqual([limits.failed(OFFICE, "anna")[1] for _ in range(4)], [False] * 4)
        self.assertFalse(limits.verdict(OFFICE, "anna").accepted)


class ClearTests(LimitsTestCase):
    """What administrators see and do."""

    def setUp(self) -> None:
        """Something is counted of each kind."""
        self.one = self.limits(login_failures=3)
        self.one.succeeded(HOME, "anna")
        self.guess(self.one, HOME, "anna", 1)
        self.guess(self.one, STRANGER, "anna", 3)
        self.guess(self.one, "2001:db8::1", "bob", 1)

    def subjects(self) -> list[str]:
        """What is counted."""
        return sorted(f"{count.kind} {count.subject}" for count in self.one.counts())

    def test_counts(self) -> None:
        """Everything is there; what refuses somebody stands first."""
        self.assertEqual(
            self.subjects(),
            [
                *(
                    "account anna",
                    "account bob",
                    "address 2001:db8::/64",
                    f"address {STRANGER}",
                    f"login anna from {HOME}",
                ),
                *("network 2001:db8::/48", "network 203.0.113.0/24"),
            ],
        )
        first = self.one.counts()[0]
        self.assertEqual((first.kind, first.subject, first.limit, first.refused), ("address", STRANGER, 3, True))

    def test_name(self) -> None:
        """An account is cleared wherever it is counted, and no other that begins like it."""
        self.guess(self.one, HOME, "annabel", 1)
        self.assertEqual(sorted(self.one.clear_name("Anna")), ["account anna", f"login anna from {HOME}"])
        self.assertEqual(self.one.clear_name("anna"), [])
        self.assertIn("account annabel", self.subjects())

    def test_network(self) -> None:
        """An address is cleared, and a network with all in it."""
        self.assertEqual(self.one.clear_network(ip_network(STRANGER)), [f"address {STRANGER}"])
        self.assertTrue(self.one.verdict(STRANGER, "bob").accepted)
        self.assertEqual(self.one.clear_network(ip_network("203.0.113.0/24")), ["network 203.0.113.0/24"])
        self.assertEqual(self.one.clear_network(ip_network(HOME)), [f"login anna from {HOME}"])
        self.assertEqual(len(self.one.clear_network(ip_network("2001:db8::/32"))), 2)
        self.assertEqual(self.subjects(), ["account anna", "account bob"])

    def test_all(self) -> None:
        """Everything."""
        self.assertEqual(len(self.one.clear()), 7)
        self.assertEqual(self.subjects(), [])

    @given(st.text(max_size=300), st.text(max_size=300))
    def test_any_name(self, name: str, other: str) -> None:
        """Whatever is typed as a name is counted, shown and cleared under that name."""
        limits = self.limits(login_failures_account=1)
        limits.succeeded(HOME, other)
        limits.failed(HOME, name)
        limits.failed(STRANGER, name)
        limits.verdict(STRANGER, name)
        limits.clear_name(name)
        self.assertLessEqual({count.kind for count in limits.counts()} & {"account"}, set())


class GateTests(SynchronousTestCase):
    """The limits at the gate, which all servers share."""

    def test_new_settings(self) -> None:
        """Other settings hold at once, and what was counted counts on."""
        gate = Gate(MANY, Clock().seconds)
        for _ in range(5):
            gate.login_failed(STRANGER, "anna")
        self.assertTrue(gate.login_verdict(STRANGER, "anna").accepted)
        gate.settings = attrs.evolve(MANY, login_failures=5)
        self.assertIs(gate.settings.login_failures, 5)
        self.assertFalse(gate.login_verdict(STRANGER, "anna").accepted)

    def test_exempt(self) -> None:
        """Who is exempt is neither counted nor made to wait."""
        gate = Gate(attrs.evolve(MANY, login_failures=1), Clock().seconds)
        for peer, exempt in (("127.0.0.1", False), (STRANGER, True)):
            self.assertEqual(gate.login_failed(peer, "anna", exempt=exempt), 0.0)
            self.assertTrue(gate.login_verdict(peer, "anna", exempt=exempt).accepted)
        self.assertEqual(gate.logins.counts(), [])
