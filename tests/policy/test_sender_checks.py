"""Reverse DNS, HELO and the domain of the sender, against a name server on this machine."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from hermes.config.sections.sender_checks import SenderChecksSettings
from hermes.core.dns_answer import Budget
from hermes.core.envelope import Origin, Recipient
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.interfaces import ICheck
from hermes.net.resolver import Resolver
from hermes.policy.score import ScoreCheck
from hermes.policy.sender_checks import MAX_NAMES, SenderChecks
from tests.support import dns_server
from tests.support.dns_server import NameServer, a, aaaa, mx, ptr, reverse, settled

PEER = "192.0.2.7"
RECIPIENT = Recipient("anna@example.org")

#: Every test refuses.
STRICT = dict.fromkeys(
    (
        *("no_reverse_name", "unconfirmed_reverse_name", "own_hello", "address_hello", "unqualified_hello"),
        *("unknown_hello", "unknown_sender", "null_mx_sender"),
    ),
    "refuse",
)


class SenderTestCase(TestCase):
    """A name server that knows an honest client."""

    async def setUp(self) -> None:
        """Start it."""
        self.server = NameServer(
            {
                reverse(PEER): [ptr("client.example.com")],
                "client.example.com": [a(PEER)],
                "from.example": [mx(10, "client.example.com")],
                "plain.example": [a("192.0.2.1")],
                "null.example": [mx(0, ""), a("192.0.2.1")],
                "mail.example.org": [a("192.0.2.250")],
            }
        )
        self.server.start(reactor)
        self.resolver = Resolver(reactor, [self.server.address], timeouts_seconds=(20.0,))

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await settled(self.resolver)
        await self.server.stop()

    def check(self, **settings: Any) -> SenderChecks:
        """The check of mail.example.org, which listens at 192.0.2.251."""
        values = SenderChecksSettings(**settings)
        return SenderChecks(values, self.resolver, "mail.example.org", ("example.org",), ("192.0.2.251",))

    async def judge(
        self,
        check: SenderChecks,
        *,
        peer: str = PEER,
        hello: str = "client.example.com",
        sender: str = "x@from.example",
        recipient: Recipient = RECIPIENT,
        budget: Budget | None = None,
    ) -> tuple[Verdict, str]:
        """A session up to a recipient; the verdict, and what was found."""
        visit = Visit(peer, hello=hello, budget=budget or Budget())
        transaction = Transaction(Origin("ESMTP", peer, hello), "smtp", False, sender, visit=visit)
        for case in (
            Case(Stage.CONNECT, visit),
            Case(Stage.SENDER, visit, "", transaction),
            Case(Stage.RECIPIENT, visit, "", transaction, recipient),
        ):
            said = check.judge(case)
            verdict = said if isinstance(said, Verdict) else await said
        self.transaction = transaction
        return verdict, transaction.findings.summary()

    async def found(self, **session: Any) -> str:
        """What is found when everything is noted; nothing is refused for it."""
        verdict, summary = await self.judge(self.check(), **session)
        self.assertEqual(verdict, PASS)
        return summary


class FindingTests(SenderTestCase):
    """What each test finds."""

    async def test_honest(self) -> None:
        """An honest client has a name that leads back to it, and nothing else is found, however strict the tests are."""
        self.assertEqual(await self.judge(self.check(**STRICT)), (PASS, "rdns=confirmed"))
        verifyObject(ICheck, self.check())

    async def test_reverse_names(self) -> None:
        """No name, a name that leads elsewhere, several names of which one leads back; the same for IPv6."""
        zone = self.server.zone
        zone[reverse("192.0.2.8")] = [ptr("other.example.com")]
        zone["other.example.com"] = [a("192.0.2.99")]
        zone[reverse("192.0.2.9")] = [ptr("other.example.com"), ptr("gone.example.com"), ptr("nine.example.com")]
        zone["nine.example.com"] = [a("192.0.2.99"), a("192.0.2.9")]
        zone[reverse("2001:db8::9")] = [ptr("six.example.com")]
        zone["six.example.com"] = [aaaa("2001:db8::9")]
        for peer, expected in (
            ("192.0.2.6", "none"),
            ("192.0.2.8", "unconfirmed"),
            ("192.0.2.9", "confirmed"),
            ("2001:db8::9", "confirmed"),
            ("2001:db8::8", "none"),
        ):
            self.assertEqual(await self.found(peer=peer), f"rdns={expected}", peer)

    async def test_many_names(self) -> None:
        """Only so many names of one address are looked at."""
        names = [f"n{number}.example.com" for number in range(MAX_NAMES + 1)]
        self.server.zone[reverse("192.0.2.8")] = [ptr(name) for name in names]
        self.server.zone[names[-1]] = [a("192.0.2.8")]
        self.assertEqual(await self.found(peer="192.0.2.8"), "rdns=unconfirmed")
        self.server.zone[names[-2]] = [a("192.0.2.8")]
        await settled(self.resolver)
        self.resolver = Resolver(reactor, [self.server.address])
        self.assertEqual(await self.found(peer="192.0.2.8"), "rdns=confirmed")

    async def test_hello(self) -> None:
        """Our own name and address, addresses without brackets, names without a dot, and names that nobody knows."""
        for hello, expected in (
            ("Mail.Example.ORG.", "own"),
            ("example.org", "own"),
            ("192.0.2.250", "own"),
            ("[192.0.2.250]", "own"),
            ("192.0.2.251", "own"),
            ("192.0.2.7", "address"),
            ("2001:db8::7", "address"),
            ("localhost", "unqualified"),
            ("WIN-1", "unqualified"),
            ("nobody.example.com", "unknown"),
        ):
            self.assertEqual(await self.found(hello=hello), f"rdns=confirmed helo={expected}", hello)
        for hello in ("client.example.com", "from.example", "[192.0.2.7]", "[IPv6:2001:db8::7]", "null.example", "[x]"):
            self.assertEqual(await self.found(hello=hello), "rdns=confirmed", hello)

    async def test_sender(self) -> None:
        """A domain without MX and address, and one with a null MX (RFC 7505); an address alone will do (RFC 5321 5.1)."""
        for domain, expected in (("nowhere.example", " sender=unknown"), ("null.example", " sender=null-mx")):
            self.assertEqual(await self.found(sender=f"x@{domain}"), f"rdns=confirmed{expected}")
        for sender in ("x@plain.example", "", "x@[192.0.2.7]"):
            self.assertEqual(await self.found(sender=sender), "rdns=confirmed", sender)


class ConsequenceTests(SenderTestCase):
    """What follows."""

    async def test_refusals(self) -> None:
        """Each test can refuse, with the codes of RFC 7372, 7505 and 3463."""
        self.server.zone[reverse("192.0.2.8")] = [ptr("client.example.com")]
        check = self.check(**STRICT)
        for session, code, rule in (
            ({"peer": "192.0.2.6"}, "550 5.7.25", "no_reverse_name"),
            ({"peer": "192.0.2.8"}, "550 5.7.25", "unconfirmed_reverse_name"),
            ({"hello": "mail.example.org"}, "550 5.7.1", "own_hello"),
            ({"hello": "192.0.2.7"}, "550 5.7.1", "address_hello"),
            ({"hello": "localhost"}, "550 5.7.1", "unqualified_hello"),
            ({"hello": "nobody.example.com"}, "550 5.7.1", "unknown_hello"),
            ({"sender": "x@nowhere.example"}, "550 5.1.8", "unknown_sender"),
            ({"sender": "x@null.example"}, "550 5.7.27", "null_mx_sender"),
        ):
            verdict, _ = await self.judge(check, **session)
            self.assertEqual(str(verdict.reply)[: len(code)], code)
            self.assertEqual(verdict.rule, f"sender_checks.{rule}")

    async def test_score(self) -> None:
        """Points add up, and above the limit the message is refused, not at it; not for postmaster, nor for clients of ours."""
        check = self.check(no_reverse_name="score 2", unknown_sender="score")
        await self.judge(check, peer="192.0.2.6", sender="x@nowhere.example")
        transaction = self.transaction
        self.assertEqual(transaction.findings.score, 3.0)
        case = Case(Stage.RECIPIENT, transaction.visit, "", transaction, RECIPIENT)
        self.assertEqual(ScoreCheck(3).judge(case), PASS)
        verdict = ScoreCheck(2).judge(case)
        self.assertEqual((verdict.rule, verdict.reason), ("score", "3 points: rdns=none 2, sender=unknown 1"))
        self.assertEqual(str(verdict.reply)[:10], "550 5.7.1 ")
        case.recipient = Recipient("postmaster")
        self.assertEqual(ScoreCheck(2).judge(case), PASS)
        case.recipient, transaction.visit.relays = RECIPIENT, "smtp.relay_networks"
        self.assertEqual(ScoreCheck(2).judge(case), PASS)

    async def test_off(self) -> None:
        """A test that is off finds nothing, and with all of them off nobody is asked."""
        check = self.check(**{**dict.fromkeys(STRICT, "off"), "unqualified_hello": "note"})
        session = {"peer": "192.0.2.6", "hello": "nobody.example.com", "sender": "x@nowhere.example"}
        self.assertEqual(await self.judge(check, **session), (PASS, ""))
        self.assertEqual(self.server.asked, [])
        self.assertEqual((await self.judge(check, hello="localhost"))[1], "helo=unqualified")
        self.assertEqual((await self.judge(check, hello="192.0.2.7"))[1], "")

    async def test_dns_failure(self) -> None:
        """Without an answer of DNS nobody is refused for good: it passes, or may come again (451 4.4.3)."""
        for name, session in (
            (reverse(PEER), {}),
            ("client.example.com", {}),
            ("broken.example", {"hello": "broken.example"}),
            ("broken.example", {"sender": "x@broken.example"}),
        ):
            await settled(self.resolver)
            self.server.behaviors = {name: dns_server.SERVFAIL}
            self.resolver = Resolver(reactor, [self.server.address], timeouts_seconds=(20.0,))
            verdict, summary = await self.judge(self.check(**STRICT), **session)
            self.assertEqual(verdict, PASS, name)
            self.assertIn("=unavailable", summary)
            verdict, _ = await self.judge(self.check(**STRICT, dns_failure="later"), **session)
            self.assertEqual((str(verdict.reply)[:9], verdict.rule), ("451 4.4.3", "sender_checks.dns_failure"))
            # What only notes has nothing to wait for.
            self.assertEqual((await self.judge(self.check(dns_failure="later"), **session))[0], PASS)

    async def test_certain_first(self) -> None:
        """What is certain is said before what might be different later."""
        self.server.behaviors = {reverse(PEER): dns_server.SERVFAIL}
        check = self.check(**STRICT, dns_failure="later")
        verdict, _ = await self.judge(check, sender="x@nowhere.example")
        self.assertEqual(verdict.rule, "sender_checks.unknown_sender")

    async def test_postmaster(self) -> None:
        """Mail for postmaster is taken."""
        check = self.check(**STRICT)
        self.assertEqual(
            (await self.judge(check, peer="192.0.2.6", recipient=Recipient("Postmaster@example.org")))[0], PASS
        )

    async def test_not_strangers(self) -> None:
        """Nobody is asked about this machine."""
        self.assertEqual(await self.judge(self.check(**STRICT), peer="127.0.0.1", hello="x"), (PASS, ""))
        self.assertEqual(self.server.asked, [])

    async def test_private_address(self) -> None:
        """What has an address that means something else at every site has no name to be found."""
        self.assertEqual((await self.judge(self.check(**STRICT), peer="192.168.1.1"))[1], "")

    async def test_cost(self) -> None:
        """All tests of an honest message take no more than ten questions, whatever the sender chooses thirty."""
        budget = Budget(30)
        await self.judge(self.check(), hello="nobody.example.com", sender="x@nowhere.example", budget=budget)
        self.assertLessEqual(len(self.server.asked), 10)
        names = [f"n{number}.example.com" for number in range(50)]
        self.server.zone[reverse("192.0.2.8")] = [ptr(name) for name in names]
        self.server.asked.clear()
        await self.judge(
            self.check(), peer="192.0.2.8", hello="no.example.com", sender="x@nobody.example", budget=Budget(30)
        )
        self.assertLessEqual(len(self.server.asked), 30)
