"""How much mail an account, an address and a network may send."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.sections.rates import RatesSettings
from hermes.core.access_entry import AccessEntry
from hermes.core.policy import Case, Stage
from hermes.core.rate import Rate
from hermes.core.visit import Visit
from hermes.interfaces import ICheck
from hermes.policy import rates as module
from hermes.policy.rates import RateLimits, Rates, limits_of
from tests.support.smtp_site import ALICE, BOB, Client, Site, codes, plain

PEER = "203.0.113.7"

OFF = {f"account_{kind}": () for kind in ("messages", "recipients")}


class RatesTestCase(SynchronousTestCase):
    """Sites with rates."""

    def site(self, **settings: Any) -> Site:
        """A site with these rates and no others."""
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.settings = RatesSettings(**{**OFF, **settings})
        self.rates = Rates(self.clock.seconds)
        self.check = RateLimits(self.settings, self.rates)
        return Site(checks=[self.check], auth_without_tls="loopback")

    def used(self) -> list[tuple[str, str, str, int, str]]:
        """What is used."""
        usages = self.rates.usages(limits_of(self.settings))
        return [(one.scope, one.subject, one.kind, one.used, str(one.rate)) for one in usages]

    def send(self, client: Client, *recipients: str, sender: str = "a@example.com", body: str = "x") -> str:
        """Send a message; the first reply that is a refusal, or else the last one."""
        for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{each}>" for each in recipients), "DATA"):
            (reply,) = client.say(line)
            if reply[0] in "45":
                return reply
        (reply,) = client.say("Subject: x", "", body, ".")
        return reply

    def alice(self, site: Site) -> Client:
        """Somebody who has logged in, on this machine."""
        client = site.connect("127.0.0.1")
        assert codes(client.say(f"AUTH PLAIN {plain()}")) == ["235"]
        return client


class AccountTests(RatesTestCase):
    """What an account may send."""

    def test_interface(self) -> None:
        """It is what the pipeline is made of, and nothing that could be explained without a server."""
        self.site()
        self.assertTrue(verifyObject(ICheck, self.check))
        self.assertTrue(self.check.momentary)

    def test_messages(self) -> None:
        """Below and at the limit messages go through, above it they wait, until there is room again."""
        client = self.alice(self.site(account_messages=("3/minute",)))
        answers = [self.send(client, "bob@example.org", sender="alice@example.org")[:3] for _ in range(3)]
        self.assertEqual(answers, ["250"] * 3)
        reply = self.send(client, "bob@example.org", sender="alice@example.org")
        self.assertEqual(reply, "450 4.7.1 Your account may send 3 messages a minute: try again later")
        self.assertEqual(client.site.journal.refusals(), [("rates.account_messages", "")])
        self.clock.advance(60)
        self.assertEqual(self.send(client, "bob@example.org", sender="alice@example.org")[:3], "450")
        self.clock.advance(20)
        self.assertEqual(self.send(client, "bob@example.org", sender="alice@example.org")[:3], "250")

    def test_every_window(self) -> None:
        """The hour and the day hold beside the minute."""
        client = self.alice(self.site(account_messages=("2/minute", "3/hour", "4/day")))
        told = []
        for pause in (0, 0, 0, 120, 0, 7200, 0, 7200):
            self.clock.advance(pause)
            reply = self.send(client, "bob@example.org", sender="alice@example.org")
            told.append(reply[:3] if reply.startswith("250") else reply.partition(":")[0].rpartition(" ")[2])
        self.assertEqual(told, ["250", "250", "minute", "250", "hour", "250", "day", "day"])

    def test_recipients(self) -> None:
        """Recipients are counted one by one, over all messages; those above the limit wait, the others get theirs."""
        client = self.alice(self.site(account_recipients=("3/hour",)))
        client.say("MAIL FROM:<alice@example.org>")
        replies = client.say(*["RCPT TO:<bob@example.org>", "RCPT TO:<x@example.net>"] * 2)
        self.assertEqual(codes(replies), ["250", "250", "250", "450"])
        self.assertEqual(replies[-1], "450 4.7.1 Your account may send 3 recipients a hour: try again later")
        self.assertEqual(codes(client.say("DATA", "Subject: x", "", ".")), ["354", "250"])

    def test_octets(self) -> None:
        """A message that does not fit waits, by its declared size at MAIL, by its real one at its end."""
        client = self.alice(self.site(account_octets=("10K/hour",)))
        body = "x" * 900 + "\r\n"
        self.assertEqual(self.send(client, "bob@example.org", sender="alice@example.org", body=body * 6)[:3], "250")
        allowed = "Your account may send 10K octets a hour"
        self.assertEqual(
            client.say("MAIL FROM:<alice@example.org> SIZE=6000"), [f"451 4.7.1 {allowed}: try again later"]
        )
        self.assertEqual(
            client.say("MAIL FROM:<alice@example.org> SIZE=10241"), [f"552 5.3.4 {allowed}: this message alone is more"]
        )
        reply = self.send(client, "bob@example.org", sender="alice@example.org", body=body * 6)
        self.assertEqual(reply, f"451 4.7.1 {allowed}: try again later")
        reply = self.send(client, "bob@example.org", sender="alice@example.org", body=body * 12)
        self.assertEqual(reply, f"552 5.3.4 {allowed}: this message alone is more")
        self.assertEqual(len(client.site.spool.committed), 1)
        self.assertEqual(self.send(client, "bob@example.org", sender="alice@example.org", body=body)[:3], "250")

    def test_from_everywhere(self) -> None:
        """An account is one, however many connections it has; another account is not harmed."""
        self.site(account_messages=("1/minute",))
        answers = [
            self.check.judge(self.case(Visit(peer, account=account))).accepted
            for peer, account in ((PEER, ALICE), ("192.0.2.1", ALICE), ("unix", ALICE), ("192.0.2.1", BOB))
        ]
        self.assertEqual(answers, [True, False, False, True])

    def case(self, visit: Visit) -> Case:
        """MAIL."""
        site = Site()
        client = site.connect()
        client.say("MAIL FROM:<a@example.com>")
        return Case(Stage.SENDER, visit, transaction=client.session._intake.transaction)

    def test_no_transaction(self) -> None:
        """Without a transaction there is nothing to be judged."""
        self.site(account_messages=("1/minute",))
        self.assertTrue(self.check.judge(Case(Stage.SENDER, Visit(PEER, account=ALICE))).accepted)
        self.assertEqual(self.used(), [])


class PeerTests(RatesTestCase):
    """What those may send who have not logged in."""

    def test_address(self) -> None:
        """An address may send so much; its neighbor as much again. Of IPv6 a /64 is one address."""
        for one, same, other in ((PEER, PEER, "203.0.113.8"), ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")):
            site = self.site(address_messages=("1/minute",))
            answers = [self.send(site.connect(peer), "bob@example.org")[:3] for peer in (one, same, other)]
            self.assertEqual(answers, ["250", "450", "250"])
        reply = self.send(site.connect("2001:db8::1"), "bob@example.org")
        self.assertEqual(reply, "450 4.7.1 Your address may send 1 messages a minute: try again later")

    def test_network(self) -> None:
        """So may a network: IPv4 /24, IPv6 /48."""
        for one, same, other in (
            (PEER, "203.0.113.8", "203.0.114.1"),
            ("2001:db8::1", "2001:db8:0:1::1", "2001:db8:1::1"),
        ):
            site = self.site(network_recipients=("1/day",))
            answers = [self.send(site.connect(peer), "bob@example.org")[:3] for peer in (one, same, other)]
            self.assertEqual(answers, ["250", "450", "250"])

    def test_account_instead(self) -> None:
        """Who has logged in is not judged by an address that others have too; nor is this machine, or who is exempt."""
        site = self.site(address_messages=("1/minute",))
        client = self.alice(site)
        for _ in range(3):
            self.assertEqual(self.send(client, "bob@example.org", sender="alice@example.org")[:3], "250")
        case = AccountTests.case
        for visit in (
            Visit("127.0.0.1"),
            Visit("::1"),
            Visit("::ffff:127.0.0.1"),
            Visit("unix"),
            Visit(PEER, entry=AccessEntry("friends", exempt=True)),
        ):
            for _ in range(3):
                self.assertTrue(self.check.judge(case(self, visit)).accepted)  # type: ignore[arg-type]
        self.assertEqual(self.used(), [])

    def test_not_exempt(self) -> None:
        """An entry that only allows changes nothing; nor does the right to relay: a device may go mad."""
        self.site(address_messages=("1/minute",))
        visit = Visit(PEER, entry=AccessEntry("devices", relay=True), relays="access.devices")
        case = AccountTests.case(self, visit)  # type: ignore[arg-type]
        self.assertEqual([self.check.judge(case).accepted for _ in range(2)], [True, False])


class CountTests(RatesTestCase):
    """What administrators see and do, and what it costs."""

    def test_off(self) -> None:
        """Without limits nothing is judged, and nothing counted."""
        self.site()
        self.assertEqual(self.check.stages, frozenset())

    def test_stages(self) -> None:
        """Only the stages are judged at which something is limited."""
        for key, stages in (
            ("address_messages", {Stage.SENDER}),
            ("network_recipients", {Stage.RECIPIENT}),
            ("account_octets", {Stage.SENDER, Stage.MESSAGE}),
        ):
            self.site(**{key: ("1/minute",)})
            self.assertEqual(self.check.stages, stages)

    def test_what_is_refused_is_not_counted(self) -> None:
        """Who knocks without pause is let in as soon as who waits."""
        site = self.site(address_messages=("1/minute",))
        for _ in range(50):
            self.send(site.connect(PEER), "bob@example.org")
        self.assertEqual(self.used(), [("address", PEER, "messages", 1, "1/minute")])

    def test_used(self) -> None:
        """Everything that is used is shown, the nearest to its limit first."""
        site = self.site(account_messages=("10/minute", "2/day"), address_recipients=("4/hour",))
        self.send(self.alice(site), "bob@example.org", sender="alice@example.org")
        self.send(site.connect(PEER), "bob@example.org")
        self.assertEqual(
            self.used(),
            [
                ("account", "alice", "messages", 1, "2/day"),
                ("address", PEER, "recipients", 1, "4/hour"),
                ("account", "alice", "messages", 1, "10/minute"),
            ],
        )
        self.assertFalse(self.rates.usages(limits_of(self.settings))[0].over)

    def test_clear(self) -> None:
        """Accounts by their names, addresses and networks by theirs."""
        site = self.site(account_messages=("1/day",), address_messages=("1/day",), network_messages=("9/day",))
        client = self.alice(site)
        self.send(client, "bob@example.org", sender="alice@example.org")
        self.send(site.connect(PEER), "bob@example.org")
        self.assertEqual(self.send(client, "bob@example.org", sender="alice@example.org")[:3], "450")
        client.say("RSET")
        self.assertEqual(self.rates.clear_name("Alice"), ["rates of account alice"])
        self.assertEqual(self.send(client, "bob@example.org", sender="alice@example.org")[:3], "250")
        self.assertEqual(self.rates.clear_network(ip_network(PEER)), [f"rates of address {PEER}"])
        self.assertEqual(self.rates.clear_network(ip_network("203.0.113.0/24")), ["rates of network 203.0.113.0/24"])
        self.assertEqual(self.rates.clear_network(ip_network("203.0.113.0/24")), [])
        self.assertEqual(self.rates.clear_name("bob"), [])

    def test_bounded(self) -> None:
        """However many addresses send, so many are remembered, the latest."""
        self.patch(module, "MAX_REMEMBERED", 5)
        site = self.site(address_messages=("9/day",))
        for number in (*range(20), 15):
            self.send(site.connect(f"203.0.113.{number}"), "bob@example.org")
        self.assertEqual(sorted(subject for _, subject, *_ in self.used()), [f"203.0.113.{n}" for n in range(15, 20)])

    def test_kept(self) -> None:
        """What was counted for hours and days goes on after a restart; minutes, and what is over, do not."""
        limits = [Rate(9, seconds) for seconds in (60, 3600, 86400)]
        self.site(account_messages=("9/minute", "9/hour", "9/day"))
        self.rates.count("account", "alice", "messages", 5, limits)
        self.rates.count("account", "bob", "messages", 1, limits)
        rows, gone = self.rates.changes()
        expected = [(name, seconds) for name in ("alice", "bob") for seconds in (3600, 86400)]
        self.assertEqual(sorted((row[1], row[3]) for row in rows), expected)
        self.assertEqual((gone, self.rates.changes()), ([], ([], [])))
        self.clock.advance(7200)
        again = Rates(self.clock.seconds)
        again.load(rows)
        used = [(one.subject, str(one.rate), one.used) for one in again.usages(limits_of(self.settings))]
        self.assertEqual(used, [("alice", "9/day", 5), ("bob", "9/day", 1)])
        self.assertEqual(again.changes(), ([], []))
        again.clear_name("bob")
        self.assertEqual(again.changes(), ([], [("account", "bob")]))

    def test_kept_is_bounded(self) -> None:
        """No more is loaded than is remembered."""
        self.patch(module, "MAX_REMEMBERED", 3)
        rates = Rates(lambda: 100.0)
        rates.load([("address", f"203.0.113.{number}", "messages", 86400, 0, 0, 1) for number in range(9)])
        limits = {("address", "messages"): (Rate(9, 86400),)}
        self.assertEqual(len(rates.usages(limits)), 3)
        for number in range(20):
            rates.count("address", f"198.51.100.{number}", "messages", 1, [Rate(9, 86400)])
        rows, gone = rates.changes()
        self.assertEqual((len(rows), gone), (3, []))

    def test_new_settings(self) -> None:
        """What was counted counts on after a reload, for the times that are still limited."""
        site = self.site(account_messages=("9/day", "9/minute"))
        self.send(self.alice(site), "bob@example.org", sender="alice@example.org")
        settings = RatesSettings(**{**OFF, "account_messages": ("1/day", "9/hour")})
        check = RateLimits(settings, self.rates)
        case = AccountTests.case(self, Visit(PEER, account=ALICE))  # type: ignore[arg-type]
        self.assertEqual(check.judge(case).reason, "1/day for account alice")
        self.assertEqual([str(one.rate) for one in self.rates.usages(limits_of(settings))], ["1/day"])
