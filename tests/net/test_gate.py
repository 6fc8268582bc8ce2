"""The gate: each limit below, at and above it."""

from __future__ import annotations

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.schema import LimitsSettings
from hermes.interfaces import IGate
from hermes.net import buckets, login_limits
from hermes.net.gate import Gate
from hermes.policy.offender_store import NoStore
from hermes.policy.offenders import Offenders

MANY = LimitsSettings(
    connections=1000,
    per_address=1000,
    per_network=1000,
    rate=1000,
    login_failures=1000,
    login_failures_network=1000,
)


class GateTests(SynchronousTestCase):
    """Who is admitted."""

    def gate(self, **limits: int | bool) -> Gate:
        """A gate with some limits, the others being high."""
        self.clock = Clock()
        return Gate(attrs.evolve(MANY, **limits), self.clock.seconds)

    def admitted(self, gate: Gate, peers: list[str]) -> list[str]:
        """The rule that refused each connection, or an empty string."""
        return ["" if (verdict := gate.admit(peer)).accepted else verdict.rule for peer in peers]

    def test_interface(self) -> None:
        """It is what services are given."""
        self.assertTrue(verifyObject(IGate, self.gate()))

    def test_total(self) -> None:
        """The connection above the limit is refused with 421; one that leaves makes room."""
        gate = self.gate(connections=2)
        peers = [f"192.0.{n}.1" for n in range(3)]
        self.assertEqual(self.admitted(gate, peers), ["", "", "limits.connections"])
        reply = gate.admit("198.51.100.1").reply
        self.assertEqual(reply and reply.code, 421)
        gate.left(peers[0])
        self.assertEqual(self.admitted(gate, peers[2:]), [""])

    def test_per_address(self) -> None:
        """One address has its share; another is not harmed."""
        gate = self.gate(per_address=2)
        self.assertEqual(
            self.admitted(gate, ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"]),
            ["", "", "limits.per_address", ""],
        )

    def test_per_address_ipv6(self) -> None:
        """An IPv6 /64 counts as one address."""
        gate = self.gate(per_address=1)
        self.assertEqual(
            self.admitted(gate, ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]), ["", "limits.per_address", ""]
        )

    def test_per_network(self) -> None:
        """An IPv4 /24 and an IPv6 /48 are networks."""
        gate = self.gate(per_network=1)
        self.assertEqual(
            self.admitted(gate, ["192.0.2.1", "192.0.2.200", "192.0.3.1", "2001:db8:1:1::1", "2001:db8:1:2::1"]),
            ["", "limits.per_network", "", "", "limits.per_network"],
        )

    def test_rate(self) -> None:
        """So many connections a minute, then one more as time passes."""
        gate = self.gate(rate=3)
        self.assertEqual(self.admitted(gate, ["192.0.2.1"] * 4), ["", "", "", "limits.rate"])
        self.clock.advance(21)
        self.assertEqual(self.admitted(gate, ["192.0.2.1"] * 2), ["", "limits.rate"])

    def test_a_refused_connection_is_not_counted(self) -> None:
        """Refusals do not fill the gate."""
        gate = self.gate(per_address=1)
        self.admitted(gate, ["192.0.2.1"] * 5)
        self.assertEqual(gate.connections, 1)

    def test_loopback_is_exempt(self) -> None:
        """This machine is free of limits, by every name it has."""
        gate = self.gate(connections=0, per_address=0, per_network=0, rate=0)
        self.assertEqual(self.admitted(gate, ["127.0.0.1", "127.8.9.1", "::1", "unix"]), ["", "", "", ""])

    def test_loopback_is_counted_when_configured(self) -> None:
        """Unless the configuration says otherwise."""
        gate = self.gate(per_address=1, exempt_loopback=False)
        self.assertEqual(self.admitted(gate, ["127.0.0.1", "127.0.0.1"]), ["", "limits.per_address"])
        self.assertEqual(self.admitted(gate, ["unix", "unix"]), ["", "limits.per_address"])

    def test_expected(self) -> None:
        """Connections whose client is not known yet have their place among all, and no share of an address."""
        gate = self.gate(connections=2, per_address=1, rate=1)
        self.assertEqual([gate.expect().rule for _ in range(3)], ["default", "default", "limits.connections"])
        self.assertEqual(gate.connections, 2)
        self.assertEqual(self.admitted(gate, ["192.0.2.1"]), ["limits.connections"])
        gate.expected()
        self.assertTrue(gate.admit("192.0.2.1").accepted)
        self.assertEqual(gate.connections, 2)

    def test_broken_tls(self) -> None:
        """Connections whose TLS broke are counted by server."""
        gate = self.gate()
        for server in ("smtp", "smtp", "pop3"):
            gate.tls_failed(server)
        family = gate.broken_tls.family("x", "X.")
        self.assertEqual([(each.labels["service"], each.value) for each in family.samples], [("smtp", 2), ("pop3", 1)])

    def test_counts_go_down_to_nothing(self) -> None:
        """What has left leaves nothing behind."""
        gate = self.gate()
        for peer in ("192.0.2.1", "2001:db8::1", "unix", "not-an-address"):
            gate.admit(peer)
            gate.left(peer)
        self.assertEqual((gate.connections, gate._counts.by_key), (0, {}))


class LoginTests(SynchronousTestCase):
    """Guessing passwords."""

    def setUp(self) -> None:
        """Three failures are allowed."""
        self.clock = Clock()
        self.gate = Gate(attrs.evolve(MANY, login_failures=3), self.clock.seconds)

    def test_limit(self) -> None:
        """Below the limit one may try; at it one must wait, and is told with 454 (RFC 4954 6)."""
        found = []
        for _ in range(4):
            found.append(self.gate.login_verdict("192.0.2.1").rule)
            self.gate.login_failed("192.0.2.1")
        self.assertEqual(found, ["default", "default", "default", "limits.login_failures"])
        reply = self.gate.login_verdict("192.0.2.1").reply
        self.assertEqual(reply and (reply.code, reply.enhanced), (454, "4.7.0"))

    def test_another_address(self) -> None:
        """Others are not harmed."""
        for _ in range(9):
            self.gate.login_failed("192.0.2.1")
        self.assertTrue(self.gate.login_verdict("192.0.2.2").accepted)

    def test_forgotten(self) -> None:
        """After ten minutes all is forgotten."""
        for _ in range(3):
            self.gate.login_failed("192.0.2.1")
        self.clock.advance(login_limits.WINDOW_SECONDS)
        self.assertTrue(self.gate.login_verdict("192.0.2.1").accepted)

    def test_loopback(self) -> None:
        """A webmail program on this machine is not shut out by one of its users."""
        for _ in range(9):
            self.gate.login_failed("127.0.0.1")
        self.assertTrue(self.gate.login_verdict("127.0.0.1").accepted)

    def test_bounded(self) -> None:
        """An attacker with many addresses does not fill the memory; the newest are remembered."""
        self.patch(buckets, "MAX_REMEMBERED", 10)
        for number in range(11):
            for _ in range(4):
                self.gate.login_failed(f"192.0.2.{number}")
        verdicts = [self.gate.login_verdict(f"192.0.2.{number}").accepted for number in range(11)]
        self.assertEqual(verdicts, [True] + [False] * 10)


class OffenderTests(SynchronousTestCase):
    """Those who are on the list of offenders, and how one comes onto it."""

    def setUp(self) -> None:
        """A gate with a list."""
        self.offenders = Offenders(NoStore(), lambda: 0.0)
        self.clock = Clock()
        self.gate = Gate(attrs.evolve(MANY, login_failures=3), self.clock.seconds, self.offenders)

    def test_listed(self) -> None:
        """Who is listed is refused before all limits, and takes no place."""
        self.offenders.report("192.0.2.1", "some.rule", "because")
        verdict = self.gate.admit("192.0.2.1")
        self.assertEqual((verdict.rule, verdict.reply and verdict.reply.code), ("offenders.listed", 421))
        self.assertEqual(self.gate.connections, 0)
        self.assertTrue(self.gate.admit("192.0.2.2").accepted)

    def test_exempt(self) -> None:
        """Who is exempt by connection control gets in, listed or not."""
        self.offenders.report("192.0.2.1", "some.rule", "")
        self.assertTrue(self.gate.admit("192.0.2.1", exempt=True).accepted)
        self.gate.offended("192.0.2.2", "logins", "", exempt=True)
        self.assertIsNone(self.offenders.entry("192.0.2.2"))

    def test_passwords(self) -> None:
        """As many wrong passwords as are allowed, and the address is listed; one less, and it is not."""
        for _ in range(2):
            self.gate.login_failed("192.0.2.1")
        self.assertIsNone(self.offenders.entry("192.0.2.1"))
        self.gate.login_failed("192.0.2.1")
        one = self.offenders.entry("192.0.2.1")
        self.assertEqual(one and one.rule, "limits.login_failures")

    def test_passwords_with_pauses(self) -> None:
        """Failures that come slowly are not added up for ever."""
        for _ in range(20):
            self.gate.login_failed("192.0.2.1")
            self.clock.advance(300)
        self.assertIsNone(self.offenders.entry("192.0.2.1"))
