"""Lists in the DNS, asked about senders, against a name server on this machine."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from hermes.app.crew.answers import merged
from hermes.config.sections.dnsbl import DNSBLSettings
from hermes.core.access_entry import AccessEntry
from hermes.core.dns_answer import Budget
from hermes.core.envelope import Origin, Recipient
from hermes.core.outcome import PASS, Then, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.interfaces import ICheck
from hermes.net import dns_turns
from hermes.net.resolver import Resolver
from hermes.policy.dnsbl import DNSListCheck, whitelisted
from hermes.policy.dnsbl_examination import examine, look_up
from hermes.policy.dnsbl_record import PAUSE_SECONDS, SILENCES, WARNING_SECONDS, Records, line_of
from hermes.policy.strangers import is_stranger
from tests.support import dns_server
from tests.support.dns_server import NameServer, a, settled, txt

PEER = "192.0.2.7"
ENTRY = "7.2.0.192."
RECIPIENT = Recipient("anna@example.org")


class Stranger:
    """A session with a check: what it says at each command."""

    def __init__(self, check: DNSListCheck, visit: Visit | None = None) -> None:
        self.check = check
        self.visit = visit or Visit(PEER, "127.0.0.1:25")

    async def say(
        self, stage: Stage, transaction: Transaction | None = None, recipient: Recipient | None = None
    ) -> Verdict:
        """One command."""
        answer = self.check.judge(Case(stage, self.visit, "", transaction, recipient))
        return answer if isinstance(answer, Verdict) else await answer

    async def send(self, sender: str = "x@from.example", *recipients: Recipient) -> tuple[Transaction, list[Verdict]]:
        """A session up to its recipients."""
        assert await self.say(Stage.CONNECT) == PASS
        self.visit.hello = "helo.example"
        assert await self.say(Stage.HELLO) == PASS
        transaction = Transaction(Origin("ESMTP", PEER, "helo.example"), "smtp", False, sender, visit=self.visit)
        assert await self.say(Stage.SENDER, transaction) == PASS
        said = [await self.say(Stage.RECIPIENT, transaction, each) for each in recipients or (RECIPIENT,)]
        return transaction, said


class ListTestCase(TestCase):
    """A name server with lists in it."""

    async def setUp(self) -> None:
        """Start it; nobody is in a list."""
        self.server = NameServer({"from.example": [a("192.0.2.1")]})
        self.server.start(reactor)
        self.clock = Clock()
        self.records = Records(self.clock.seconds)
        self.reported: list[tuple[str, str, str]] = []
        self.resolver = Resolver(reactor, [self.server.address], timeouts_seconds=(20.0,))

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await settled(self.resolver)
        await self.server.stop()

    def check(self, **lists: dict[str, Any]) -> DNSListCheck:
        """The check; each list's zone is its name."""
        sections = {name: DNSBLSettings(zone=f"{name}.example", **more) for name, more in lists.items()}
        check = DNSListCheck(sections, self.resolver, self.records, lambda *told: self.reported.append(told))
        self.records.keep([(name, f"{name}.example") for name in lists])
        return check

    def list(self, name: str, *records: Any, entry: str = ENTRY) -> None:
        """Put somebody into a list."""
        self.server.zone[f"{entry}{name}.example"] = records

    def asked(self) -> list[str]:
        """The names that were looked up."""
        return [name for name, _, _ in self.server.asked]


class DecisionTests(ListTestCase):
    """What becomes of a message."""

    async def test_interface(self) -> None:
        """It is a check whose answers depend on the moment."""
        check = self.check(one={})
        verifyObject(ICheck, check)
        self.assertTrue(check.momentary)

    async def test_not_listed(self) -> None:
        """Who is in no list passes, and there is nothing to tell."""
        transaction, said = await Stranger(self.check(one={}, two={})).send()
        self.assertEqual((said, transaction.findings.summary()), ([PASS], ""))
        self.assertEqual(
            {name: line_of(counters) for name, counters in self.records.describe().items()},
            dict.fromkeys(("one", "two"), "asked 1, listed 0, unanswered 0, refused 0"),
        )

    async def test_reject(self) -> None:
        """A refusal names the list and says what the list says; trace and log get the answer."""
        self.list("one", a("127.0.0.4"), txt("See http://one.example/?192.0.2.7"))
        transaction, (verdict,) = await Stranger(self.check(one={"score": 3})).send()
        self.assertEqual(str(verdict.reply), "554 5.7.1 Blocked by one: See http://one.example/?192.0.2.7")
        self.assertEqual((verdict.rule, verdict.then), ("dnsbl.one", Then.GO_ON))
        self.assertIn("7.2.0.192.one.example is 127.0.0.4", verdict.reason)
        self.assertEqual(transaction.findings.summary(), "dnsbl.one=listed")
        self.assertEqual(transaction.findings.score, 3.0)
        self.assertIn("listed 1", line_of(self.records.describe()["one"]))

    async def test_text(self) -> None:
        """Words of our own come before those of the list, which is not asked for any then; without either, the name will do."""
        self.list("one", a("127.0.0.2"), txt("theirs"))
        _, (verdict,) = await Stranger(self.check(one={"text": "Write to postmaster"})).send()
        self.assertEqual(str(verdict.reply), "554 5.7.1 Blocked by one: Write to postmaster")
        self.assertNotIn("TXT", [kind for _, kind, _ in self.server.asked])
        self.list("two", a("127.0.0.2"))
        _, (verdict,) = await Stranger(self.check(two={})).send()
        self.assertEqual(str(verdict.reply), "554 5.7.1 Blocked by two")

    async def test_hostile_text(self) -> None:
        """What a list says cannot break the reply, neither by its length nor by line ends."""
        self.list("one", a("127.0.0.2"), txt("bad\r\n250 Ok\x00", "x" * 250, "y" * 250))
        _, (verdict,) = await Stranger(self.check(one={})).send()
        assert verdict.reply is not None
        self.assertIn("bad??250 Ok?xxx", verdict.reply.text)
        octets = verdict.reply.encode()
        self.assertLess(len(octets), 512)
        self.assertEqual(octets.count(b"\n"), 1)

    async def test_tag(self) -> None:
        """A tagged message is taken, with a header that says by which list."""
        self.list("one", a("127.0.0.2"))
        transaction, said = await Stranger(self.check(one={"action": "tag"})).send()
        self.assertEqual((said, transaction.measures.headers), ([PASS], ["X-Blocked: Blocked by 'one'"]))
        transaction, said = await Stranger(self.check(one={"action": "tag", "header": "X-Spam: yes"})).send()
        self.assertEqual((said, transaction.measures.headers), ([PASS], ["X-Spam: yes"]))

    async def test_tagged_once(self) -> None:
        """However many recipients there are, there is one header, and each list is asked once."""
        self.list("one", a("127.0.0.2"))
        recipients = [Recipient(f"{name}@example.org") for name in "abc"]
        transaction, said = await Stranger(self.check(one={"action": "tag"})).send("x@from.example", *recipients)
        self.assertEqual((said, len(transaction.measures.headers)), ([PASS] * 3, 1))
        self.assertEqual(len(self.server.asked), 1)

    async def test_refused_to_each(self) -> None:
        """Every recipient is refused alike."""
        self.list("one", a("127.0.0.2"))
        recipients = [Recipient(f"{name}@example.org") for name in "abc"]
        _, said = await Stranger(self.check(one={})).send("x@from.example", *recipients)
        self.assertEqual([verdict.accepted for verdict in said], [False] * 3)
        self.assertIn("listed 1", line_of(self.records.describe()["one"]))

    async def test_redirect(self) -> None:
        """A redirected message goes to somebody else, tagged, and the trace has the rule."""
        self.list("one", a("127.0.0.2"))
        settings = {"action": "redirect", "redirect_to": "spam@example.org"}
        transaction, said = await Stranger(self.check(one=settings)).send()
        measures = transaction.measures
        self.assertEqual((said, measures.redirect, measures.redirect_rule), ([PASS], "spam@example.org", "dnsbl.one"))
        self.assertEqual(measures.headers, ["X-Blocked: Blocked by 'one'"])

    async def test_drop(self) -> None:
        """Who is dropped is told why, loses the connection, and is reported as an offender."""
        self.list("one", a("127.0.0.2"))
        check = self.check(one={"action": "drop"})
        _, (verdict,) = await Stranger(check).send()
        self.assertEqual((str(verdict.reply), verdict.then), ("554 5.7.1 Blocked by one", Then.CLOSE))
        self.assertEqual([told[:2] for told in self.reported], [(PEER, "dnsbl.one")])
        check._report = None
        _, (verdict,) = await Stranger(check).send()
        self.assertIs(verdict.then, Then.CLOSE)

    async def test_note(self) -> None:
        """A note adds its score and leaves the next list to decide."""
        for name in ("one", "two", "three"):
            self.list(name, a("127.0.0.2"))
        check = self.check(one={"action": "note", "score": 2}, two={"action": "note", "score": 1}, three={})
        transaction, (verdict,) = await Stranger(check).send()
        self.assertEqual(verdict.rule, "dnsbl.three")
        self.assertEqual(transaction.findings.score, 3.0)

    async def test_order(self) -> None:
        """The first list in the file decides, not the one that answers first."""
        for name in ("one", "two"):
            self.list(name, a("127.0.0.2"))
        for order in (("one", "two"), ("two", "one")):
            _, (verdict,) = await Stranger(self.check(**{name: {} for name in order})).send()
            self.assertEqual(verdict.rule, f"dnsbl.{order[0]}")

    async def test_whitelist(self) -> None:
        """A whitelist ends the search without harm; one behind a blacklist comes too late."""
        for name in ("good", "bad"):
            self.list(name, a("127.0.0.2"))
        transaction, said = await Stranger(self.check(good={"kind": "whitelist"}, bad={})).send()
        self.assertEqual((said, transaction.findings.summary()), ([PASS], "dnsbl.good=whitelisted"))
        self.assertTrue(whitelisted(transaction.findings))
        transaction, (verdict,) = await Stranger(self.check(bad={}, good={"kind": "whitelist"})).send()
        self.assertEqual((verdict.rule, whitelisted(transaction.findings)), ("dnsbl.bad", False))

    async def test_counted(self) -> None:
        """That a list has somebody is counted, also when an earlier one decides: what it has answered was not clear."""
        for name in ("good", "bad"):
            self.list(name, a("127.0.0.2"))
        self.assertEqual((await Stranger(self.check(good={"kind": "whitelist"}, bad={})).send())[1], [PASS])
        await settled(self.resolver)
        told = {tuple(sample.labels.values()): sample.value for sample in self.records.family().samples}
        self.assertEqual((told["bad", "listed"], told["bad", "clear"]), (1, 0))

    async def test_switched_off(self) -> None:
        """A list that is switched off is not asked."""
        self.list("one", a("127.0.0.2"))
        _, said = await Stranger(self.check(one={"enabled": False})).send()
        self.assertEqual((said, self.server.asked), ([PASS], []))


class SubjectTests(ListTestCase):
    """Whom it is about."""

    async def test_ipv6(self) -> None:
        """An IPv6 client is looked up by its nibbles (RFC 5782 2.4)."""
        nibbles = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
        self.list("one", a("127.0.0.2"), entry=nibbles)
        _, (verdict,) = await Stranger(self.check(one={}), Visit("2001:db8::7")).send()
        self.assertFalse(verdict.accepted)

    async def test_domain(self) -> None:
        """A list of domains is asked about the sender's; a null reverse-path has none, nor has an address literal."""
        check = self.check(one={"lookup": "domain"})
        self.list("one", a("127.0.0.2"), entry="from.example.")
        self.assertFalse((await Stranger(check).send())[1][0].accepted)
        self.server.asked.clear()
        for sender in ("", "x@[192.0.2.7]"):
            self.assertEqual((await Stranger(check).send(sender))[1], [PASS])
        self.assertEqual(self.server.asked, [])

    async def test_helo(self) -> None:
        """A list of names is asked about the one in HELO."""
        self.list("one", a("127.0.0.2"), entry="helo.example.")
        self.assertFalse((await Stranger(self.check(one={"lookup": "helo"})).send())[1][0].accepted)

    async def test_early(self) -> None:
        """The address is asked for at the connection, the name at the greeting, and neither again."""
        check = self.check(one={}, two={"lookup": "helo"}, three={"lookup": "domain"})
        stranger = Stranger(check)
        await stranger.say(Stage.CONNECT)
        await self.resolver.ipv4_addresses("7.2.0.192.one.example")
        self.assertEqual(self.asked(), ["7.2.0.192.one.example"])
        await stranger.send()
        self.assertEqual(
            sorted(self.asked()), ["7.2.0.192.one.example", "from.example.three.example", "helo.example.two.example"]
        )
        self.assertEqual(stranger.visit.budget.left, 48)

    async def test_postmaster(self) -> None:
        """The postmaster can be written to from everywhere (RFC 5321 4.5.1), in any case of letters."""
        self.list("one", a("127.0.0.2"))
        recipients = [Recipient("PostMaster"), Recipient("postmaster@example.org"), RECIPIENT]
        _, said = await Stranger(self.check(one={})).send("x@from.example", *recipients)
        self.assertEqual([verdict.accepted for verdict in said], [True, True, False])

    async def test_not_strangers(self) -> None:
        """Nobody is asked about clients of ours."""
        self.list("one", a("127.0.0.2"))
        for visit in (
            Visit(PEER, relays="smtp.relay_networks"),
            Visit(PEER, submission=True),
            Visit(PEER, entry=AccessEntry("office", False, exempt=True)),
            Visit(PEER, entry=AccessEntry("office", False, unfiltered=True)),
            Visit("127.0.0.1"),
            Visit("unix"),
            Visit("unknown"),
        ):
            self.assertFalse(is_stranger(visit))
            self.assertEqual((await Stranger(self.check(one={}), visit).send())[1], [PASS])
        self.assertEqual(self.server.asked, [])
        self.assertTrue(is_stranger(Visit(PEER, entry=AccessEntry("office", False))))


class TroubleTests(ListTestCase):
    """Lists that do not work block nobody."""

    def setUp(self) -> Any:
        """Listen to the log."""
        self.warnings: list[Any] = []
        globalLogPublisher.addObserver(self._listen)
        self.addCleanup(globalLogPublisher.removeObserver, self._listen)
        return Deferred.fromCoroutine(super().setUp())

    def _listen(self, event: Any) -> None:
        if event.get("log_namespace", "").startswith("hermes.policy"):
            self.warnings.append(event)

    async def test_you_may_not_ask(self) -> None:
        """An answer that means so is counted, told once an hour, and passes."""
        self.list("one", a("127.255.255.254"))
        check = self.check(one={})
        for _ in range(3):
            self.assertEqual((await Stranger(check).send())[1], [PASS])
        self.assertEqual(len(self.warnings), 1)
        self.assertIn(
            "refused 3 (127.255.255.254: that it is not told to public", line_of(self.records.describe()["one"])
        )
        self.clock.advance(WARNING_SECONDS - 0.1)
        await Stranger(check).send()
        self.assertEqual(len(self.warnings), 1)
        self.clock.advance(0.1)
        await Stranger(check).send()
        self.assertEqual(len(self.warnings), 2)

    async def test_everybody_is_there(self) -> None:
        """A resolver that makes up answers, or a domain that has been sold, lists nobody."""
        for answer in ("192.0.2.80", "127.0.0.1"):
            self.server.zone.clear()
            self.list("one", a(answer, ttl=0))
            self.assertEqual((await Stranger(self.check(one={})).send())[1], [PASS])

    async def test_time_out(self) -> None:
        """A list that is silent is passed over and counted; the others decide."""
        self.server.behaviors["7.2.0.192.one.example"] = dns_server.SILENCE
        self.list("two", a("127.0.0.2"))
        patient, self.resolver = self.resolver, Resolver(reactor, [self.server.address], timeouts_seconds=(0.05,))
        # A busy machine would not have the answer of the other one in that time.
        await patient.ipv4_addresses("7.2.0.192.two.example")
        self.resolver._cache = patient._cache
        visit = Visit(PEER, budget=Budget(10, 0.02))
        transaction, (verdict,) = await Stranger(self.check(one={}, two={}), visit).send()
        self.assertEqual(verdict.rule, "dnsbl.two")
        self.assertEqual(transaction.findings.summary(), "dnsbl.one=silent dnsbl.two=listed")
        self.assertIn("unanswered 1", line_of(self.records.describe()["one"]))
        # The question that nobody waits for any more ends by itself.
        await self.resolver.ipv4_addresses("7.2.0.192.one.example")

    async def test_pause(self) -> None:
        """A list that fails again and again is left alone for a minute, then asked again; one answer mends it."""
        self.server.behaviors["7.2.0.192.one.example"] = dns_server.SERVFAIL
        check = self.check(one={})
        for _ in range(SILENCES):
            self.assertEqual((await Stranger(check).send())[1], [PASS])
        self.assertEqual(len(self.warnings), 1)
        asked = len(self.server.asked)
        transaction, _ = await Stranger(check).send()
        self.assertEqual((len(self.server.asked), transaction.findings.summary()), (asked, "dnsbl.one=silent"))
        self.assertIn("passed over 1", line_of(self.records.describe()["one"]))
        self.clock.advance(PAUSE_SECONDS)
        await Stranger(check).send()
        self.assertEqual((len(self.server.asked), len(self.warnings)), (asked + 1, 1))
        self.clock.advance(PAUSE_SECONDS)
        self.server.behaviors.clear()
        self.list("one", a("127.0.0.2"))
        self.assertFalse((await Stranger(check).send())[1][0].accepted)
        self.server.behaviors["7.2.0.192.one.example"] = dns_server.SERVFAIL

    async def test_one_question_a_minute(self) -> None:
        """Of many messages at once one waits for a list that has been silent; as soon as it answers all ask again."""
        self.server.behaviors["7.2.0.192.one.example"] = dns_server.SERVFAIL
        check = self.check(one={})
        for _ in range(SILENCES):
            await Stranger(check).send()
        self.clock.advance(PAUSE_SECONDS)
        asked = len(self.server.asked)
        sent = [Deferred.fromCoroutine(Stranger(check).send()) for _ in range(3)]
        said = [(await each)[1] for each in sent]
        self.assertEqual((said, len(self.server.asked)), ([[PASS]] * 3, asked + 1))
        self.assertIn("passed over 2", line_of(self.records.describe()["one"]))
        self.clock.advance(PAUSE_SECONDS)
        self.server.behaviors.clear()
        self.list("one", a("127.0.0.2", ttl=0))
        for _ in range(2):
            self.assertFalse((await Stranger(check).send())[1][0].accepted)

    async def test_not_asked_after_pause(self) -> None:
        """A message that may not ask any more does not take away the one question a minute: the next one asks it."""
        self.server.behaviors["7.2.0.192.one.example"] = dns_server.SERVFAIL
        check = self.check(one={})
        for _ in range(SILENCES):
            await Stranger(check).send()
        self.server.behaviors.clear()
        self.list("one", a("127.0.0.2"))
        self.clock.advance(PAUSE_SECONDS)
        transaction, said = await Stranger(check, Visit(PEER, budget=Budget(0))).send()
        self.assertEqual((said, transaction.findings.summary()), ([PASS], "dnsbl.one=not_asked"))
        self.assertFalse((await Stranger(check).send())[1][0].accepted)

    async def test_strangers_cannot_pause(self) -> None:
        """A name that no name server can answer, chosen by the client, does not switch a list off for all others."""
        self.server.behaviors["from.example.one.example"] = dns_server.SERVFAIL
        check = self.check(one={"lookup": "domain"})
        for _ in range(SILENCES + 1):
            await Stranger(check).send()
        self.list("one", a("127.0.0.2"), entry="other.example.")
        self.assertFalse((await Stranger(check).send("x@other.example"))[1][0].accepted)

    async def test_budget(self) -> None:
        """A message asks no more than it may; what could not be asked passes."""
        for name in ("one", "two"):
            self.list(name, a("127.0.0.2"), entry="from.example.")
        check = self.check(one={"lookup": "domain", "action": "note"}, two={"lookup": "domain"})
        transaction, said = await Stranger(check, Visit(PEER, budget=Budget(1))).send()
        self.assertEqual((said, self.asked()), ([PASS], ["from.example.one.example"]))
        # Which lists have had no say in it is found in the trace.
        self.assertEqual(transaction.findings.summary(), "dnsbl.one=listed dnsbl.two=not_asked")
        self.assertIn(
            "asked 0, listed 0, unanswered 0, refused 0, not asked 1", line_of(self.records.describe()["two"])
        )

    async def test_flood(self) -> None:
        """Where too many questions wait already, a list is not asked, and that is not taken for its silence, however often."""
        self.patch(dns_turns, "MAX_RUNNING", 0)
        self.patch(dns_turns, "MAX_WAITING", 0)
        check = self.check(one={})
        for _ in range(SILENCES + 1):
            transaction, said = await Stranger(check).send()
            self.assertEqual((said, transaction.findings.summary()), ([PASS], "dnsbl.one=not_asked"))
        record = self.records.of("one", "one.example")
        self.assertEqual((record.not_asked, record.unanswered, self.warnings), (SILENCES + 1, 0, []))
        self.patch(dns_turns, "MAX_RUNNING", 10)
        self.list("one", a("127.0.0.2"))
        self.assertFalse((await Stranger(check).send())[1][0].accepted)

    async def test_reload(self) -> None:
        """Counters of lists that stay go on; those of lists that are gone are forgotten."""
        self.check(one={}, two={})
        self.records.of("one", "one.example").asked = 7
        self.records.keep([("one", "one.example")])
        self.assertEqual(list(self.records.describe()), ["one"])
        self.assertIn("asked 7", line_of(self.records.describe()["one"]))


class ExaminationTests(ListTestCase):
    """``hermes dnsbl test``: what RFC 5782 5 says about entries for tests."""

    async def examined(self, **more: Any) -> tuple[str, str]:
        """How the list does."""
        (entry,) = self.check(one=more)._entries
        result = await examine(entry.list, self.resolver)
        return result.level, result.text

    async def test_works(self) -> None:
        """127.0.0.2 is listed and 127.0.0.1 is not; lists of names have TEST and INVALID."""
        self.list("one", a("127.0.0.2"), entry="2.0.0.127.")
        self.assertEqual((await self.examined())[0], "ok")
        self.list("one", a("127.0.0.2"), entry="test.")
        self.assertEqual((await self.examined(lookup="domain"))[0], "ok")

    async def test_dead(self) -> None:
        """Without the test entry there is no list."""
        level, text = await self.examined()
        self.assertEqual(level, "fail")
        self.assertIn("does not list its test entry 127.0.0.2", text)

    async def test_lists_everybody(self) -> None:
        """A list that has 127.0.0.1 has ended."""
        for entry in ("2.0.0.127.", "1.0.0.127."):
            self.list("one", a("127.0.0.2"), entry=entry)
        level, text = await self.examined()
        self.assertEqual(level, "fail")
        self.assertIn("lists everybody", text)

    async def test_refuses(self) -> None:
        """A list that refuses says why, where it is known."""
        for answer, words in (
            ("127.255.255.252", "written wrong"),
            ("127.255.255.254", "public resolvers"),
            ("127.0.0.1", "you may not ask"),
            ("192.0.2.1", "not the list"),
        ):
            self.list("one", a(answer, ttl=0), entry="2.0.0.127.")
            level, text = await self.examined()
            self.assertEqual(level, "fail")
            self.assertIn(words, text)

    async def test_does_not_count(self) -> None:
        """A list whose test entry is not among the answers that count may be a mistake."""
        self.list("one", a("127.0.0.2"), entry="2.0.0.127.")
        self.assertEqual((await self.examined(answers="127.0.0.4"))[0], "warn")

    async def test_cannot_be_asked(self) -> None:
        """A name server that fails is named."""
        self.server.behaviors["2.0.0.127.one.example"] = dns_server.SERVFAIL
        level, text = await self.examined()
        self.assertEqual(level, "fail")
        self.assertIn("cannot be asked: name server 127.0.0.1", text)

    async def test_somebody(self) -> None:
        """What a list says about one address or name."""
        self.list("one", a("127.0.0.3"), txt("why"))
        self.list("one", a("127.0.0.2"), entry="bad.example.")
        self.server.behaviors["9.2.0.192.one.example"] = dns_server.SERVFAIL
        for settings, about, level, words in (
            ({}, PEER, "warn", "is 127.0.0.3 (why)"),
            ({"answers": "normal"}, PEER, "ok", "127.0.0.3 is not counted"),
            ({}, "192.0.2.8", "ok", "is not listed"),
            ({}, "192.0.2.9", "fail", "cannot be asked"),
            ({}, "bad.example", "ok", "is none"),
            ({"lookup": "helo"}, "bad.example", "warn", "is listed"),
            ({"lookup": "helo"}, PEER, "ok", "is none"),
        ):
            (entry,) = self.check(one=settings)._entries
            result = await look_up(entry.list, self.resolver, about)
            self.assertEqual(result.level, level, about)
            self.assertIn(words, result.text)


class RecordTests(SynchronousTestCase):
    """The counters."""

    def test_family(self) -> None:
        """Every question has one end; what was clear is what is left. Two zones of one name are told together."""
        records = Records(Clock().seconds)
        record = records.of("one", "a.example")
        record.asked, record.listed, record.unanswered, record.refused, record.passed_over = 10, 1, 2, 3, 4
        record.not_asked = 6
        records.of("one", "b.example").asked = 5
        records.keep([("one", "a.example"), ("one", "b.example")])
        told = {tuple(sample.labels.values()): sample.value for sample in records.family().samples}
        self.assertEqual(
            {result: value for (name, result), value in told.items() if name == "one"},
            {"clear": 9, "listed": 1, "unanswered": 2, "refused": 3, "passed_over": 4, "not_asked": 6},
        )

    def test_added(self) -> None:
        """Those of several processes are added up, and what one of them has been told holds for all."""
        both = [Records(Clock().seconds) for _ in range(2)]
        for number, records in enumerate(both):
            record = records.of("one", "a.example")
            record.asked, record.listed, record.refused, record.refusal = 3, 1, number, "127.0.0.1" * number
            records.keep([("one", "a.example")])
        line = line_of(merged([records.describe()["one"] for records in both]))
        self.assertTrue(
            line.startswith("asked 6, listed 2, unanswered 0, refused 1 (127.0.0.1: that you may not"), line
        )

    def test_other_zone(self) -> None:
        """Another zone under the same name begins to count anew."""
        records = Records(Clock().seconds)
        records.of("one", "a.example").asked = 3
        self.assertEqual(records.of("one", "b.example").asked, 0)
        self.assertEqual(records.of("one", "a.example").asked, 3)

    def test_new(self) -> None:
        """Lists of settings that are not in force are not told of, and take nothing from those that are."""
        records = Records(Clock().seconds)
        one = records.of("one", "a.example")
        records.keep([("one", "a.example")])
        two = records.of("two", "a.example")
        self.assertIs(records.of("one", "a.example"), one)
        self.assertEqual(list(records.describe()), ["one"])
        records.keep([("two", "a.example")])
        self.assertEqual(list(records.describe()), ["two"])
        self.assertIs(records.of("two", "a.example"), two)
        self.assertIsNot(records.of("one", "a.example"), one)
