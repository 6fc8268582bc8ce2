"""Sessions that go wrong too often: slowed down, then ended, then listed."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.schema import Settings, SMTPSettings
from hermes.config.sections.offenders import REPORTED, OffendersSettings
from hermes.core.outcome import PASS, Then, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.core.visit import Visit
from hermes.interfaces import ICheck
from hermes.policy.access import Access
from hermes.policy.misconduct import FREE_ERRORS, FREE_UNKNOWN, Misconduct
from hermes.policy.offender_store import NoStore
from hermes.policy.offenders import Offenders
from tests.support.smtp_site import ALICE, Client, Site, codes, plain

PEER, TRUSTED = "203.0.113.7", "198.51.100.7"

SETTINGS = Settings(smtp=SMTPSettings(relay_networks=(ip_network("198.51.100.0/24"),)))


def offenders(*report: str) -> Offenders:
    """A list onto which these causes lead."""
    made = Offenders(NoStore(), lambda: 0.0)
    made.reconfigure(attrs.evolve(SETTINGS, offenders=OffendersSettings(report=report)), Access({}))
    return made


class CheckTests(SynchronousTestCase):
    """The check by itself."""

    def check(self, *report: str, **smtp: Any) -> Misconduct:
        """A check."""
        self.offenders = offenders(*report)
        return Misconduct(SMTPSettings(**smtp), self.offenders)

    def refused(self, check: Misconduct, visit: Visit, rule: str = "test.no", **more: Any) -> Verdict:
        """What is said about one more refusal."""
        visit.errors += 1
        verdict = Verdict(Reply.of(550, "5.1.1", "No"), rule, "because", **more)
        return check.judge(Case(Stage.REFUSED, visit, "RCPT TO:<x@example.org>", verdict=verdict))

    def delays(self, check: Misconduct, count: int, rule: str = "test.no", visit: Visit | None = None) -> list[float]:
        """How long so many refusals wait."""
        visit = visit or Visit(PEER)
        return [self.refused(check, visit, rule).delay_seconds for _ in range(count)]

    def test_interface(self) -> None:
        """It is what the pipeline is made of, and nothing that could be explained without a session."""
        check = self.check()
        self.assertTrue(verifyObject(ICheck, check))
        self.assertTrue(check.momentary)

    def test_errors(self) -> None:
        """The first refusals cost nothing; then their answers wait, twice as long each time, up to the most."""
        self.assertEqual(self.delays(self.check(), FREE_ERRORS + 6), [0.0] * FREE_ERRORS + [1, 2, 4, 8, 10, 10])
        self.assertEqual(self.delays(self.check(error_delay=3), FREE_ERRORS + 3), [0.0] * FREE_ERRORS + [1, 2, 3])
        self.assertEqual(self.delays(self.check(max_errors=10**6), 5000)[-1], 10)

    def test_the_refusal_stays(self) -> None:
        """A refusal that waits says what it would have said, and what becomes of the session stays as well."""
        visit = Visit(PEER, errors=FREE_ERRORS)
        said = self.refused(self.check(), visit, then=Then.ONLY_QUIT, place="filters:7")
        expected = Verdict(Reply.of(550, "5.1.1", "No"), "test.no", "because", Then.ONLY_QUIT, 1.0, "filters:7")
        self.assertEqual(said, expected)

    def test_longer_waits(self) -> None:
        """A refusal that waits longer by itself is left alone."""
        visit = Visit(PEER, errors=FREE_ERRORS)
        self.assertIs(self.refused(self.check(), visit, delay_seconds=1.0), PASS)

    def test_a_new_start(self) -> None:
        """A message that was accepted makes errors good, as it does for the session's limit."""
        check, visit = self.check(), Visit(PEER)
        self.assertEqual(self.delays(check, FREE_ERRORS + 1, visit=visit)[-1], 1)
        visit.errors = 0
        self.assertEqual(self.delays(check, FREE_ERRORS, visit=visit)[-1], 0)

    def test_unknown_recipients(self) -> None:
        """One below the limit goes on; at the limit the session ends with 421, so that an honest server may come again."""
        check, visit = self.check("recipients", max_unknown_recipients=FREE_UNKNOWN + 3), Visit(PEER)
        rules = ["relay.unknown_user", "relay.disabled"]
        delays = [self.delays(check, 1, rules[number % 2], visit)[0] for number in range(FREE_UNKNOWN + 2)]
        self.assertEqual(delays, [0.0] * FREE_UNKNOWN + [1, 2])
        self.assertIsNone(self.offenders.entry(PEER))
        last = self.refused(check, visit, "relay.unknown_user")
        self.assertEqual((last.reply and last.reply.code, last.rule), (421, "smtp.max_unknown_recipients"))
        self.assertEqual((last.then, last.delay_seconds), (Then.CLOSE, 4))
        one = self.offenders.entry(PEER)
        self.assertEqual(one and one.rule, "smtp.max_unknown_recipients")

    def test_unknown_recipients_add_up(self) -> None:
        """A message that goes through in between makes no dictionary attack good."""
        check, visit = self.check(max_unknown_recipients=3), Visit(PEER)
        for _ in range(2):
            self.refused(check, visit, "relay.unknown_user")
            visit.errors = 0
        self.assertIs(self.refused(check, visit, "relay.unknown_user").then, Then.CLOSE)

    def test_relay_attempts(self) -> None:
        """Each waits, the first a second; the last is 554, for to come again would change nothing."""
        check, visit = self.check("relaying"), Visit(PEER)
        self.assertEqual(self.delays(check, 3, "relay.denied", visit), [1, 2, 4])
        self.assertIsNone(self.offenders.entry(PEER))
        last = self.refused(check, visit, "relay.denied")
        self.assertEqual((last.reply and last.reply.code, last.rule), (554, "smtp.max_relay_attempts"))
        self.assertEqual((last.then, last.delay_seconds), (Then.CLOSE, 8))
        one = self.offenders.entry(PEER)
        self.assertEqual(one and one.rule, "smtp.max_relay_attempts")

    def test_too_many_errors(self) -> None:
        """At the session's limit of errors the peer is listed, where that is configured; one below it is not."""
        check = self.check("errors", max_errors=4)
        self.delays(check, 3)
        self.assertIsNone(self.offenders.entry(PEER))
        self.delays(check, 4)
        one = self.offenders.entry(PEER)
        self.assertEqual(one and one.rule, "smtp.max_errors")

    def test_not_configured(self) -> None:
        """What is not in [offenders] report leads to no list; the session ends all the same."""
        for cause, rule in (("recipients", "relay.unknown_user"), ("relaying", "relay.denied"), ("errors", "test.no")):
            check = self.check(*(other for other in REPORTED if other != cause), max_errors=15)
            self.delays(check, 15, rule)
            listed = self.offenders.entries()
            self.assertNotIn(REPORTED[cause], [one.rule for one in listed], cause)

    def test_exempt(self) -> None:
        """Who is never listed is not slowed down: this machine, and those who may relay."""
        for peer in ("127.0.0.1", "unix", TRUSTED):
            check = self.check(*REPORTED)
            for rule in ("relay.unknown_user", "relay.denied", "test.no"):
                self.assertEqual(self.delays(check, 30, rule, Visit(peer)), [0.0] * 30)
            self.assertEqual(self.offenders.entries(), [])

    def test_accounts(self) -> None:
        """Who has logged in is slowed down by errors alone."""
        check, visit = self.check(*REPORTED, max_unknown_recipients=3), Visit(PEER, account=ALICE)
        for _ in range(4):
            self.assertIs(self.refused(check, visit, "relay.unknown_user"), PASS)


class SessionTests(SynchronousTestCase):
    """The same in whole sessions."""

    def connect(self, *report: str, peer: str = PEER, **smtp: Any) -> Client:
        """A session of a stranger."""
        self.offenders = offenders(*report)
        self.site = Site(checks=[Misconduct(SMTPSettings(**smtp), self.offenders)], **smtp)
        return self.site.connect(peer)

    def test_dictionary(self) -> None:
        """Who tries names one after the other hears fewer and fewer answers, and then nothing more."""
        client = self.connect("recipients")
        client.say("MAIL FROM:<a@example.com>")
        replies = client.say(*(f"RCPT TO:<x{number}@example.org>" for number in range(100)))
        self.assertEqual(codes(replies), ["550"] * FREE_UNKNOWN)
        self.assertEqual(client.say("NOOP"), [])
        self.assertTrue(client.wire.paused)
        seconds = 0
        while not client.wire.disconnecting:
            self.site.clock.advance(1)
            seconds += 1
            replies += client.heard()
        self.assertEqual(codes(replies), ["550"] * 14 + ["421"])
        self.assertEqual(seconds, 1 + 2 + 4 + 8 + 6 * 10)
        rules = [rule for rule, _ in self.site.journal.refusals()]
        self.assertEqual(rules, ["relay.unknown_user"] * 14 + ["smtp.max_unknown_recipients"])
        self.assertIsNotNone(self.offenders.entry(PEER))

    def test_an_old_list(self) -> None:
        """A list with a few dead addresses is delivered without a pause to all others."""
        client = self.connect()
        client.say("MAIL FROM:<list@example.com>")
        replies = client.say(*["RCPT TO:<gone@example.org>"] * FREE_UNKNOWN, "RCPT TO:<alice@example.org>")
        self.assertEqual(codes(replies), ["550"] * FREE_UNKNOWN + ["250"])

    def test_relaying(self) -> None:
        """Four attempts to relay, and the session is over."""
        client = self.connect("relaying")
        client.say("MAIL FROM:<a@example.com>")
        replies = client.say(*["RCPT TO:<x@example.net>"] * 9)
        for seconds in (1, 2, 4, 8):
            self.assertFalse(client.wire.disconnecting)
            self.site.clock.advance(seconds)
            replies += client.heard()
        self.assertEqual(codes(replies), ["550", "550", "550", "554"])
        self.assertTrue(client.wire.disconnecting)
        self.assertIsNotNone(self.offenders.entry(PEER))

    def test_errors(self) -> None:
        """Nonsense is answered ever more slowly, and the session ends as it always has."""
        client = self.connect("errors", max_errors=FREE_ERRORS + 2)
        replies = client.say(*["NONSENSE"] * 20)
        self.assertEqual(codes(replies), ["500"] * FREE_ERRORS)
        self.site.clock.advance(1)
        self.assertEqual(codes(client.heard()), ["500"])
        self.site.clock.advance(2)
        self.assertEqual(codes(client.heard()), ["421"])
        self.assertTrue(client.wire.disconnecting)
        self.assertIsNotNone(self.offenders.entry(PEER))

    def test_leaving(self) -> None:
        """A client that leaves while it waits costs nothing more."""
        client = self.connect()
        client.say(*["NONSENSE"] * (FREE_ERRORS + 1))
        client.leave()
        self.assertEqual([call for call in self.site.clock.getDelayedCalls() if call.active()], [])

    def test_login(self) -> None:
        """After a login recipients may be unknown."""
        client = self.connect(max_unknown_recipients=3, auth_without_tls="loopback", peer="127.0.0.1")
        self.assertEqual(codes(client.say(f"AUTH PLAIN {plain()}")), ["235"])
        client.say("MAIL FROM:<alice@example.org>")
        self.assertEqual(codes(client.say(*["RCPT TO:<nobody@example.org>"] * 4)), ["550"] * 4)
