"""Addresses that stand for others, in the queue."""

from __future__ import annotations

from email import message_from_bytes
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.config.sections.queue import QueueSettings
from hermes.config.sections.reports import ReportsSettings
from hermes.core.account import Account
from hermes.core.answer import MAX_TEXT_OCTETS
from hermes.core.envelope import BodyType, Recipient
from hermes.core.event import Event, Kind
from hermes.core.message import QueuedMessage
from hermes.core.srs import SRS
from hermes.directory.accounts import Record
from hermes.directory.directory import Directory
from hermes.directory.lookup import Rules
from hermes.net.content import ContentReader
from hermes.queue.active import ActiveSet
from hermes.queue.answering import (
    ANSWER_PAUSE_SECONDS,
    MAX_ANSWERS,
    MAX_ANSWERS_TO_ONE,
    MAX_REMEMBERED,
    AnsweredLately,
)
from hermes.queue.derived import MAX_TOLD_CHARACTERS
from hermes.queue.expansion import MAX_TOLD_LINES, ORDINAL_BITS, Expander
from hermes.queue.relay import RelayManager
from hermes.queue.reporting import DOMAIN_FACTOR
from hermes.queue.router import Router
from hermes.queue.rule_sets import RuleSets
from tests.directory.test_expansion import MemoryRedirects
from tests.support.accounts import MemorySource, passwords_with
from tests.support.maildirs import calling_worker
from tests.support.queue_site import DEFERRED, FAILED, ScriptedAgent, Site

ALIASES = """\
far == joe@example.net
team: ann, bob@example.org, joe@example.net
dead: ann, nobody
both: ann, bob
info == FILE:{info}
form == TFILE:{info}
board == PUBLIC:board
run == |program
loop == pool
pool == loop
süd == joe@example.net
"""


class ExpandingSite(Site):
    """A site whose directory has aliases; ``mailbox`` is the agent of those who are reached by them."""

    def __init__(self, aliases: str, srs: bool) -> None:
        self.mailbox = ScriptedAgent()
        self.srs = SRS(b"key", "example.org") if srs else None
        self.redirects = MemoryRedirects(aliases)
        people = [Account("ann", ()), Account("bob", (), forward=("bob@example.com",), deliver_also=True)]
        people += [Account("away", (), forward=("away@example.com",)), Account("postmaster", ())]
        self.people = MemorySource(*map(Record, people))
        self.answered = AnsweredLately()
        super().__init__(QueueSettings(), postmaster="postmaster@example.org")

    @override
    def make_manager(self) -> RelayManager:
        """With an expander."""
        directory = Directory(
            self.people,
            ("example.org",),
            self.postmaster,
            passwords_with(),
            rules=Rules(()),
            redirects=self.redirects,
            srs=lambda: self.srs,
            now=self.now,
        )
        self.router = Router(directory, direct_enabled=True, postmaster=self.postmaster)
        self.reader = ContentReader(calling_worker())
        expander = Expander(
            directory,
            self.router,
            self._used_spool,
            self.reader,
            self.now,
            hostname="mail.example.org",
            own_domains=("example.org",),
            srs=lambda: self.srs,
            answered=self.answered,
            rules=RuleSets(calling_worker(), directory.account),
        )
        return self.manager_with(self.router, dict.fromkeys(("mailbox", "public", "program"), self.mailbox), expander)


class ExpansionTestCase(SynchronousTestCase):
    """A site, and mail that comes in."""

    @override
    def setUp(self) -> None:
        self.info = Path(self.mktemp()).resolve()
        self.info.write_text("Hours: 9 to 5 for ~T\n")
        self.make()

    def make(self, srs: bool = True) -> None:
        """Make and start it."""
        self.site = ExpandingSite(ALIASES.format(info=self.info), srs)
        self.spool = self.site.spool
        self.site.manager.start()

    def send(self, *recipients: Recipient | str, sender: str = "sender@example.com", **more: Any) -> str:
        """A message comes in, routed as at acceptance; its queue id."""
        named = [each if isinstance(each, Recipient) else Recipient(each) for each in recipients]
        ways = [self.successResultOf(Deferred.fromCoroutine(self.site.router.route(each.address))) for each in named]
        message = self.site.message(*named, sender=sender, **more)
        for stored in (message, self.spool.messages[message.queue_id]):
            for recipient, way in zip(stored.recipients, ways, strict=True):
                recipient.destination = way
        self.site.manager.accepted(message)
        return message.queue_id

    def events(self, queue_id: str, kind: Kind) -> list[Event]:
        """A message's events of one kind."""
        return [event for event in self.spool.events if event.queue_id == queue_id and event.kind is kind]

    def delivered(self) -> list[tuple[str, str]]:
        """Who has got something in a mailbox or beside one: next hop and address."""
        return [(run.next_hop, each) for run in self.site.mailbox.attempts for each in run.addresses]

    def sent_on(self) -> list[tuple[str, list[str]]]:
        """What has gone to other servers: sender and recipients."""
        return [(run.message.envelope.reverse_path, run.addresses) for run in self.site.direct.attempts]


class ReplacingTests(ExpansionTestCase):
    """Recipients in the place of others."""

    def test_list(self) -> None:
        """Everybody gets it: mailboxes here as recipients of the message, others by a message of its own."""
        queue_id = self.send("team@example.org")
        self.assertEqual(self.delivered(), [("ann", "ann@example.org"), ("bob", "bob@example.org")])
        (expanded,) = self.events(queue_id, Kind.EXPANDED)
        self.assertEqual(expanded.address, "team@example.org")
        self.assertIn("aliases:2", str(expanded.facts["reason"]))
        (forwarded,) = self.events(queue_id, Kind.FORWARDED)
        self.assertEqual({run.message.queue_id for run in self.site.direct.attempts}, {forwarded.facts["message"]})
        self.assertEqual(self.spool.messages, {})

    def test_beside_others(self) -> None:
        """Recipients who are nobody's aliases are delivered to as always, and get one copy, as everybody does."""
        self.send("ann@example.org", "both@example.org", "x@example.com", "team@example.org")
        self.assertEqual([run.next_hop for run in self.site.local.attempts], ["ann"])
        self.assertEqual(self.delivered(), [("bob", "bob@example.org")])
        self.assertIn(["x@example.com"], [addresses for _, addresses in self.sent_on()])

    def test_numbers(self) -> None:
        """No number of a recipient is ever used for another one."""
        self.site.mailbox.hangs = lambda _: True
        queue_id = self.send("x@example.org", "both@example.org")
        ordinals = [each.ordinal for each in self.spool.messages[queue_id].recipients]
        self.assertEqual(ordinals, [2 << ORDINAL_BITS, (2 << ORDINAL_BITS) + 1])

    def test_retried(self) -> None:
        """Who could not be delivered to is tried again alone: the list is not sent to once more."""
        self.site.mailbox.outcomes["ann"] = DEFERRED
        self.send("team@example.org")
        self.assertEqual(len(self.delivered()), 2)
        self.assertEqual(len(self.sent_on()), 2)
        self.site.mailbox.outcomes.clear()
        self.site.advance(1000, steps=10)
        self.assertEqual(self.delivered()[2:], [("ann", "ann@example.org")])
        self.assertEqual(len(self.sent_on()), 2)
        self.assertEqual(self.spool.messages, {})

    def test_large(self) -> None:
        """A list of many is delivered to each, and is not written out in the trace for each of its messages."""
        members = [f"m{number}@example.org" for number in range(MAX_TOLD_LINES)] + [
            f"far{n}@example.net" for n in range(99)
        ]
        for count, more in ((MAX_TOLD_LINES - 2, False), (MAX_TOLD_LINES - 1, True), (len(members), True)):
            self.site.redirects.table = MemoryRedirects(f"many: {', '.join(members[:count])}, ann").table
            queue_id = self.send("many@example.org", sender="")
            (expanded,) = self.events(queue_id, Kind.EXPANDED)
            lines = str(expanded.facts["reason"]).split("\n")
            self.assertEqual(lines[-1].startswith("and "), more, count)
            self.assertLessEqual(max(map(len, lines)), MAX_TOLD_CHARACTERS)
        (forwarded,) = self.events(queue_id, Kind.FORWARDED)
        self.assertLessEqual(len(str(forwarded.facts["to"])), MAX_TOLD_CHARACTERS)
        self.assertEqual([len(to) for _, to in self.sent_on()], [99])

    def test_counted(self) -> None:
        """The recipients that are worked on are counted as they are, and none is left over when a message has left."""
        self.site.mailbox.hangs = lambda _: True
        self.send("both@example.org")
        self.assertEqual(self.site.manager.describe()["recipients"], 2)
        actives = ActiveSet(10)
        gone = actives.add(self.site.message("a@example.org"))
        actives.remove(gone)
        gone.message.recipients *= 3
        actives.recount(gone)
        self.assertEqual(actives.recipients, 0)

    def test_special(self) -> None:
        """Folders and programs have agents of their own, and keep the address that was written to."""
        self.send("board@example.org", "run@example.org")
        self.assertEqual(self.delivered(), [("board", "board@example.org"), ("program", "run@example.org")])

    def test_missing_member(self) -> None:
        """A member who does not exist is reported to the sender, with the address that was written to (ORCPT)."""
        self.send("dead@example.org")
        (report,) = self.spool.reports
        text = self.site.direct.attempts[-1].message.content.data or b""
        self.assertEqual(report.envelope.recipients[0].address, "sender@example.com")
        self.assertIn(b"Original-Recipient: rfc822; dead@example.org", text)
        self.assertIn(b"Final-Recipient: rfc822; nobody@example.org", text)

    def test_loop(self) -> None:
        """What leads back to itself waits to be mended, and then goes on."""
        queue_id = self.send("loop@example.org")
        self.assertEqual([event.facts["status"] for event in self.events(queue_id, Kind.DEFERRED)], ["4.3.5"])
        self.site.redirects.table = MemoryRedirects("loop == ann\nx: ann, bob").table
        self.site.advance(1000, steps=10)
        self.assertEqual(self.spool.messages, {})

    def test_fault(self) -> None:
        """A directory or a disk that fails costs nothing but time."""
        self.spool.faults["replace"] = [OSError("no")]
        queue_id = self.send("both@example.org")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(len(self.events(queue_id, Kind.DEFERRED)), 1)
        self.site.advance(1000, steps=10)
        self.assertEqual(len(self.events(queue_id, Kind.EXPANDED)), 1)
        self.assertEqual(self.spool.messages.keys() & {queue_id}, set())

    def test_restart(self) -> None:
        """A server that stops before the replacement finds the one address, and after it the others; all get one copy."""
        self.site.mailbox.hangs = lambda _: True
        queue_id = self.send("both@example.org")
        destinations = [each.destination for each in self.spool.messages[queue_id].recipients]
        self.assertEqual(destinations, ["mailbox:ann", "mailbox:bob"])
        stopping = Deferred.fromCoroutine(self.site.manager.stop())
        self.site.advance(60, steps=6)
        self.successResultOf(stopping)
        self.site.mailbox.attempts.clear()
        self.site.mailbox.hangs = lambda _: False
        self.site.make_manager().start()
        self.assertEqual(sorted(self.delivered()), [("ann", "ann@example.org"), ("bob", "bob@example.org")])
        self.assertEqual(len(self.events(queue_id, Kind.EXPANDED)), 1)

    def test_stopped_meanwhile(self) -> None:
        """What an administrator holds or removes while it is being expanded stays as it is."""
        for order in ("hold", "remove"):
            gate: Deferred[None] = Deferred()
            self.spool.gates["replace"] = gate
            queue_id = self.send("both@example.org")
            _ = Deferred.fromCoroutine(getattr(self.site.manager, order)(queue_id))
            del self.spool.gates["replace"]
            gate.callback(None)
            self.assertEqual(self.delivered(), [])
            self.assertEqual(len(self.spool.messages), 1)
            self.assertEqual(self.site.active, 0)
        (held,) = self.spool.messages.values()
        self.assertEqual([each.address for each in held.recipients], ["both@example.org"])
        _ = Deferred.fromCoroutine(self.site.manager.release(held.queue_id))
        self.assertEqual(len(self.delivered()), 2)


class ForwardingTests(ExpansionTestCase):
    """To other servers."""

    def message(self) -> QueuedMessage:
        """The last that went out."""
        return self.site.direct.attempts[-1].message

    def test_sender(self) -> None:
        """The sender is rewritten, unless it is ours, or nobody, or the settings say no; the way back leads to it."""
        self.send("far@example.org")
        rewritten = self.message().envelope.reverse_path
        self.assertTrue(rewritten.startswith("SRS0="))
        self.send(rewritten, sender="")
        self.assertEqual(self.sent_on()[-1], ("", ["sender@example.com"]))
        for sender in ("ann@example.org", ""):
            self.send("far@example.org", sender=sender)
            self.assertEqual(self.sent_on()[-1], (sender, ["joe@example.net"]))
        self.make(srs=False)
        self.send("far@example.org")
        self.assertEqual(self.sent_on()[-1], ("sender@example.com", ["joe@example.net"]))

    def test_octets(self) -> None:
        """The message as it came, with a line that says from where it was sent on, and Mercury's for an account's forward."""
        self.send("far@example.org", octets=b"Subject: x\n\nbody\n")
        data = (self.message().content.data or b"").partition(b"\n")[2]
        self.assertEqual(data, b"Delivered-To: far@example.org\nSubject: x\n\nbody\n")
        self.send("away@example.org", octets=b"Subject: x\n\nbody\n")
        self.assertEqual(self.delivered(), [])
        self.assertIn(b"\nX-Autoforward: 1\n", self.message().content.data or b"")

    def test_binary(self) -> None:
        """A binary message is sent on with its own line ends, and so is the line before it."""
        self.send("far@example.org", octets=b"Subject: x\r\n\r\nbody", body=BodyType.BINARY)
        self.assertIn(b"Delivered-To: far@example.org\r\nSubject", self.message().content.data or b"")

    def test_round(self) -> None:
        """A message that comes back to where it was sent on fails, with 5.4.6, and does not go round."""
        for line in (b"Delivered-To: far@example.org\n", b"X: y\ndelivered-to:\n <FAR@example.org>\n"):
            queue_id = self.send("far@example.org", octets=line + b"Subject: x\n\nbody\n")
            (failed,) = self.events(queue_id, Kind.FAILED)
            self.assertEqual(failed.facts["status"], "5.4.6")
        self.send("far@example.org", octets=b"Delivered-To: other@example.org\n\nDelivered-To: far@example.org\n")
        self.assertEqual(self.sent_on()[-1][1], ["joe@example.net"])

    def test_both(self) -> None:
        """An account that has its mail sent on as well keeps it, and the copy has a failure of its own."""
        self.site.direct.outcomes["example.com"] = FAILED
        self.send("bob@example.org", sender="x@example.net")
        self.assertEqual(self.delivered(), [("bob", "bob@example.org")])
        (report,) = self.spool.reports[1:2]
        self.assertTrue(report.envelope.recipients[0].address.startswith("SRS0="))
        # It is ours, and so goes on to the first sender.
        self.assertIn(("", ["x@example.net"]), self.sent_on())


class NotifyTests(ExpansionTestCase):
    """RFC 3461 5.2.7."""

    def test_one(self) -> None:
        """An address that stands for one other passes everything on (5.2.7.2), and no report is made here."""
        notify = frozenset({"SUCCESS", "DELAY"})
        self.send(Recipient("far@example.org", notify, "rfc822;first@example.org"), ret="HDRS", envid="e1")
        first = self.site.direct.attempts[0].message.envelope
        self.assertEqual(first.recipients[0], Recipient("joe@example.net", notify, "rfc822;first@example.org"))
        self.assertEqual((first.ret, first.envid), ("HDRS", "e1"))
        # The other server knew no DSN: then it is for us to say "relayed", of the message that was sent on; and that report
        # goes to the rewritten sender, and from there to the first.
        self.assertEqual([report.envelope.reverse_path for report in self.spool.reports[1:]], ["", ""])

    def test_several(self) -> None:
        """One that stands for several keeps SUCCESS to itself, and says "expanded" at once (5.2.7.3 c)."""
        queue_id = self.send(Recipient("team@example.org", frozenset({"SUCCESS", "FAILURE"})))
        sent = {run.recipients[0].address: run for run in self.site.direct.attempts}
        self.assertEqual(sent["joe@example.net"].recipients[0].notify, {"FAILURE"})
        report = message_from_bytes(sent["sender@example.com"].message.content.data or b"")
        self.assertIn("Action: expanded", report.as_string())
        self.assertEqual(report["Subject"], "Your message has been passed on")
        self.assertIn("stands for several", report.as_string())
        (returned,) = self.events(queue_id, Kind.RETURNED)
        self.assertEqual(returned.facts["action"], "expanded")

    def test_answered(self) -> None:
        """An address that only answers has had the message: that is "delivered" (5.2.3 a)."""
        queue_id = self.send(Recipient("info@example.org", frozenset({"SUCCESS"})))
        (returned,) = self.events(queue_id, Kind.RETURNED)
        self.assertEqual(returned.facts["action"], "delivered")

    def test_outside_ascii(self) -> None:
        """The address that the sender wrote is named by the type for what is not ASCII (RFC 6533 3)."""
        self.send(Recipient("süd@example.org"), smtputf8=True)
        self.assertEqual(self.site.direct.attempts[0].recipients[0].original, "utf-8;süd@example.org")

    def test_too_many_reports(self) -> None:
        """A sender who has had enough reports is not told of expansions either, and the trace says so."""
        most = ReportsSettings().per_address
        for _ in range(most):
            self.send(Recipient("info@example.org", frozenset({"SUCCESS"})))
        queue_id = self.send(Recipient("info@example.org", frozenset({"SUCCESS"})))
        self.assertEqual(len(self.events(queue_id, Kind.UNREPORTED)), 1)
        self.assertEqual(self.events(queue_id, Kind.RETURNED), [])

    def test_success_alone(self) -> None:
        """Who wanted to hear of success alone hears of nothing else; NEVER stays; what was not said is not made up."""
        for given, passed in (({"SUCCESS"}, {"NEVER"}), ({"NEVER"}, {"NEVER"}), (None, None)):
            self.send(Recipient("team@example.org", None if given is None else frozenset(given)), sender="")
            run = next(each for each in reversed(self.site.direct.attempts) if "joe@example.net" in each.addresses)
            self.assertEqual(run.recipients[0].notify, passed)
        self.assertEqual([each for each in self.spool.events if each.kind is Kind.RETURNED], [])


class AnswerTests(ExpansionTestCase):
    """Addresses that stand for a text."""

    def answer(self) -> Any:
        """The last that was sent."""
        return message_from_bytes(self.site.direct.attempts[-1].message.content.data or b"")

    def test_answer(self) -> None:
        """The sender gets the text from the null sender, and the message is not delivered."""
        queue_id = self.send("info@example.org")
        self.assertEqual(self.sent_on(), [("", ["sender@example.com"])])
        self.assertEqual(self.answer().get_payload(), "Hours: 9 to 5 for ~T\n")
        (answered,) = self.events(queue_id, Kind.ANSWERED)
        self.assertEqual(answered.facts["message"], self.site.direct.attempts[-1].message.queue_id)
        self.send("form@example.org")
        self.assertEqual(self.answer().get_payload(), "Hours: 9 to 5 for sender@example.com\n")

    def test_once(self) -> None:
        """The same sender has one answer of an address in so long."""
        for _ in range(3):
            queue_id = self.send("info@example.org")
        self.assertEqual(len(self.sent_on()), 1)
        self.assertIn("already", str(self.events(queue_id, Kind.ANSWERED)[0].facts["reason"]))
        self.send("info@example.org", sender="other@example.com")
        self.assertEqual(len(self.sent_on()), 2)
        self.site.advance(ANSWER_PAUSE_SECONDS)
        self.send("info@example.org")
        self.assertEqual(len(self.sent_on()), 3)

    def test_no_answer(self) -> None:
        """A report is not answered, and is gone all the same."""
        queue_id = self.send("info@example.org", sender="")
        self.assertEqual(self.sent_on(), [])
        self.assertEqual(len(self.events(queue_id, Kind.ANSWERED)), 1)
        self.assertEqual(self.spool.messages, {})

    def test_no_text(self) -> None:
        """While the text cannot be read the message waits."""
        self.info.rename(self.info.with_suffix(".away"))
        queue_id = self.send("info@example.org")
        self.assertEqual(len(self.events(queue_id, Kind.DEFERRED)), 1)
        self.info.write_bytes("Grüße".encode("cp1252"))
        self.site.advance(1000, steps=10)
        self.assertEqual(len(self.sent_on()), 1)
        self.assertEqual(self.answer().get_payload(decode=True).decode(), "Grüße\n")

    def test_long_text(self) -> None:
        """A text is sent as far as the limit goes, and no further."""
        for octets in (MAX_TEXT_OCTETS, MAX_TEXT_OCTETS + 1):
            self.info.write_bytes(b"line\n" * (octets // 5) + b"x" * (octets % 5))
            self.make()
            self.send("info@example.org")
            text = self.answer().get_payload(decode=True)
            self.assertEqual(len(text), MAX_TEXT_OCTETS + 1)

    def test_remembered(self) -> None:
        """So many senders are remembered, and the oldest forgotten."""
        answered = AnsweredLately()
        for number in range(MAX_REMEMBERED):
            self.assertEqual(answered.why_not("a", f"s{number}", 0.0, logged_in=True), "")
        self.assertIn("already", answered.why_not("A", "S0", 0.0, logged_in=True))
        self.assertEqual(answered.why_not("a", "one more", 0.0, logged_in=True), "")
        self.assertEqual(answered.why_not("a", "s0", 0.0, logged_in=True), "")

    def test_flood(self) -> None:
        """Strangers' mail has so many answers of one address an hour, and so many to one domain; who has logged in has all."""
        answered = AnsweredLately()
        for number in range(MAX_ANSWERS):
            asked = ("info@example.org", f"s@d{number}.test", 0.0)
            self.assertEqual(answered.why_not(*asked, logged_in=False), "")
        self.assertIn("1000 answers", answered.why_not("info@example.org", "s@other.test", 0.0, logged_in=False))
        self.assertEqual(answered.why_not("info@example.org", "s@other.test", 0.0, logged_in=True), "")
        self.assertEqual(answered.why_not("form@example.org", "s@more.test", 0.0, logged_in=False), "")
        self.assertEqual(answered.why_not("info@example.org", "s@again.test", 7200.0, logged_in=False), "")
        for number in range(MAX_ANSWERS_TO_ONE * DOMAIN_FACTOR):
            self.assertEqual(answered.why_not(f"a{number}@x.org", f"s{number}@d.test", 0.0, logged_in=False), "")
        self.assertIn("as many answers", answered.why_not("a@x.org", "another@d.test", 0.0, logged_in=False))

    def test_flood_of_forged_senders(self) -> None:
        """What has no answer any more is gone as the others are, and its trace says why."""
        for number in range(MAX_ANSWERS_TO_ONE * DOMAIN_FACTOR + 1):
            queue_id = self.send("info@example.org", sender=f"s{number}@example.com")
        self.assertEqual(len(self.sent_on()), MAX_ANSWERS_TO_ONE * DOMAIN_FACTOR)
        (event,) = self.events(queue_id, Kind.ANSWERED)
        self.assertIn("as many answers", str(event.facts["reason"]))
        self.assertEqual(self.spool.messages, {})
        self.send("info@example.org", sender="joe@example.com", account="joe")
        self.assertEqual(len(self.sent_on()), MAX_ANSWERS_TO_ONE * DOMAIN_FACTOR + 1)
