"""Where mail for a domain goes, as RFC 5321 5.1 and RFC 7505 say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.dns_answer import MailExchanger
from hermes.core.outcome import Outcome, Result
from hermes.services.mail_exchangers import MAX_HOSTS, MailExchangers, Stop
from tests.support.outgoing import Names


class LocateTests(SynchronousTestCase):
    """The places to try."""

    def locate(
        self,
        domain: str = "example.com",
        *exchangers: tuple[int, str],
        hosts: dict[str, tuple[str, ...] | None] | None = None,
        seed: int = 1,
        **options: Any,
    ) -> list[Stop] | Outcome:
        """The places for a domain with these MX records, whose hosts have these addresses."""
        names = Names(**(hosts or {}))
        if exchangers:
            names.exchangers[domain] = tuple(MailExchanger(*exchanger) for exchanger in exchangers)
        finder = MailExchangers(names, random.Random(seed), **options)  # type: ignore[arg-type]
        return self.successResultOf(finder.locate(domain))

    def assert_outcome(self, outcome: list[Stop] | Outcome, result: Result, status: str, words: str = "") -> None:
        """There is no place, and this is what it means."""
        self.assertIsInstance(outcome, Outcome)
        self.assertEqual((outcome.result, outcome.status), (result, status))
        self.assertIn(words, outcome.reason)

    def test_by_preference(self) -> None:
        """The lowest number comes first; all addresses of a host stand together."""
        hosts = {"a.test": ("192.0.2.1", "2001:db8::1"), "b.test": ("192.0.2.2",), "c.test": ("192.0.2.3",)}
        self.assertEqual(
            self.locate("example.com", (20, "b.test"), (10, "a.test"), (30, "c.test"), hosts=hosts),
            [
                Stop("a.test", "192.0.2.1"),
                Stop("a.test", "2001:db8::1"),
                Stop("b.test", "192.0.2.2"),
                Stop("c.test", "192.0.2.3"),
            ],
        )

    def test_equals_at_random(self) -> None:
        """Hosts of equal preference come in random order, so that they share the load; the others stay where they are."""
        hosts: dict[str, Any] = {f"h{number}.test": (f"192.0.2.{number}",) for number in range(1, 5)}
        exchangers = [(10, "h1.test"), (10, "h2.test"), (10, "h3.test"), (20, "h4.test")]
        orders = set()
        for seed in range(100):
            stops = self.locate("example.com", *exchangers, hosts=hosts, seed=seed)
            assert isinstance(stops, Sequence)
            self.assertEqual(stops[3].host, "h4.test")
            orders.add(tuple(stop.host for stop in stops[:3]))
        self.assertEqual(len(orders), 6)

    def test_implicit(self) -> None:
        """A domain without MX is its own exchanger."""
        self.assertEqual(
            self.locate("Example.COM", hosts={"Example.COM": (), "example.com": ("192.0.2.1",)}),
            [Stop("example.com", "192.0.2.1")],
        )

    def test_nothing_at_all(self) -> None:
        """Without MX and address a domain has no mail server."""
        self.assert_outcome(self.locate(hosts={"example.com": ()}), Result.FAILED, "5.1.2", "neither MX nor address")

    def test_no_such_domain(self) -> None:
        """A domain that does not exist is an error."""
        self.assert_outcome(self.locate("example.invalid"), Result.FAILED, "5.1.2", "does not exist")

    def test_null_mx(self) -> None:
        """A null MX says that there is no mail (RFC 7505); among others it says nothing."""
        self.assert_outcome(self.locate("example.com", (0, "")), Result.FAILED, "5.1.10", "null MX")
        hosts = {"a.test": ("192.0.2.1",)}
        self.assertEqual(
            self.locate("example.com", (0, ""), (10, "a.test"), hosts=hosts), [Stop("a.test", "192.0.2.1")]
        )

    def test_dns_is_not_available(self) -> None:
        """What could not be asked is tried again."""
        names = Names()
        names.exchangers["example.com"] = None
        finder = MailExchangers(names, random.Random(1))  # type: ignore[arg-type]
        self.assert_outcome(self.successResultOf(finder.locate("example.com")), Result.DEFERRED, "4.4.3")
        self.assert_outcome(
            self.locate("example.com", (1, "a.test"), (2, "b.test"), hosts={"b.test": None}), Result.DEFERRED, "4.4.3"
        )

    def test_some_are_not_available(self) -> None:
        """Hosts that can be found are used, even when others cannot."""
        hosts = {"a.test": None, "b.test": ("192.0.2.2",)}
        self.assertEqual(
            self.locate("example.com", (1, "a.test"), (2, "b.test"), hosts=hosts), [Stop("b.test", "192.0.2.2")]
        )

    def test_no_exchanger_has_an_address(self) -> None:
        """MX records of which none is usable are an error; the address of the domain is not used (RFC 5321 5.1)."""
        hosts = {"example.com": ("192.0.2.1",)}
        self.assert_outcome(self.locate("example.com", (1, "a.test"), hosts=hosts), Result.FAILED, "5.4.4")

    def test_own_name(self) -> None:
        """We and those of equal or higher preference number are not tried; nothing left is a loop."""
        hosts: dict[str, Any] = {f"h{number}.test": (f"192.0.2.{number}",) for number in range(1, 5)}
        exchangers = [(10, "h1.test"), (20, "h2.test"), (20, "h3.test"), (30, "h4.test")]
        for own, expected in (("H3.test.", ["h1.test"]), ("h4.test", ["h1.test", "h2.test", "h3.test"])):
            stops = self.locate("example.com", *exchangers, hosts=hosts, own_names=[own])
            assert isinstance(stops, Sequence)
            self.assertEqual(sorted(stop.host for stop in stops), expected)
        self.assert_outcome(
            self.locate("example.com", *exchangers, hosts=hosts, own_names=["h1.test"]), Result.FAILED, "5.4.6", "loops"
        )

    def test_own_address(self) -> None:
        """The same holds for a host that has one of our addresses, in whatever form it is written."""
        hosts = {"a.test": ("192.0.2.1",), "b.test": ("192.0.2.2", "2001:db8::2")}
        self.assertEqual(
            self.locate("example.com", (10, "a.test"), (20, "b.test"), hosts=hosts, own_addresses=["2001:DB8:0::2"]),
            [Stop("a.test", "192.0.2.1")],
        )
        self.assert_outcome(
            self.locate("example.com", (10, "b.test"), hosts=hosts, own_addresses=["192.0.2.2"]), Result.FAILED, "5.4.6"
        )
        self.assert_outcome(self.locate("b.test", hosts=hosts, own_addresses=["192.0.2.2"]), Result.FAILED, "5.4.6")

    def test_this_machine_and_nobody(self) -> None:
        """Addresses of this machine, of nobody and of everybody are not tried: a zone could make us talk to ourselves."""
        for address in (
            "127.0.0.1",
            "127.1.2.3",
            "::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ):
            self.assert_outcome(
                self.locate("example.com", (1, "a.test"), hosts={"a.test": (address,)}), Result.FAILED, "5.4.6"
            )
        hosts = {"a.test": ("127.0.0.1",), "b.test": ("10.1.2.3",)}
        self.assertEqual(
            self.locate("example.com", (1, "a.test"), (2, "b.test"), hosts=hosts), [Stop("b.test", "10.1.2.3")]
        )

    def test_loopback_when_allowed(self) -> None:
        """Tests may deliver to this machine; nobody is still nobody."""
        hosts = {"a.test": ("127.0.0.1", "0.0.0.0")}
        self.assertEqual(
            self.locate("example.com", (1, "a.test"), hosts=hosts, loopback=True), [Stop("a.test", "127.0.0.1")]
        )

    def test_literals(self) -> None:
        """Address literals need no DNS (RFC 5321 4.1.3)."""
        self.assertEqual(self.locate("[192.0.2.1]"), [Stop("[192.0.2.1]", "192.0.2.1")])
        self.assertEqual(self.locate("[IPv6:2001:DB8::1]"), [Stop("[IPv6:2001:DB8::1]", "2001:db8::1")])
        for literal in ("[192.0.2.1", "[]", "[192.0.2]", "[2001:db8::1]", "[IPv6:192.0.2.1]", "[X:1]"):
            self.assert_outcome(self.locate(literal), Result.FAILED, "5.1.2")
        for literal in ("[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]", "[0.0.0.0]"):
            self.assert_outcome(self.locate(literal), Result.FAILED, "5.4.6")
        self.assert_outcome(self.locate("[192.0.2.1]", own_addresses=["192.0.2.1"]), Result.FAILED, "5.4.6")

    def test_many_hosts(self) -> None:
        """Of a long list only the best are looked up."""
        for count in (MAX_HOSTS - 1, MAX_HOSTS, MAX_HOSTS + 1):
            hosts: dict[str, Any] = {f"h{number}.test": (f"192.0.2.{number}",) for number in range(count)}
            stops = self.locate("example.com", *((number, f"h{number}.test") for number in range(count)), hosts=hosts)
            assert isinstance(stops, Sequence)
            self.assertEqual(
                [stop.host for stop in stops], [f"h{number}.test" for number in range(min(count, MAX_HOSTS))]
            )

    def test_is_us(self) -> None:
        """A server that calls itself by our name is us, unless the name is one that many have."""
        finder = MailExchangers(Names(), random.Random(1), own_names=["mail.example.org", "localhost"])  # type: ignore[arg-type]
        self.assertTrue(finder.is_us("Mail.Example.org."))
        self.assertFalse(finder.is_us("mail.example.com"))
        self.assertFalse(finder.is_us("localhost"))
