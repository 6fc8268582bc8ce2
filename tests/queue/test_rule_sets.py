"""Addresses that stand for sets of rules, in the queue."""

from __future__ import annotations

import os
from email import message_from_bytes
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.core.account import Account
from hermes.core.envelope import BodyType, Recipient
from hermes.core.event import Kind
from hermes.core.message import Content
from hermes.core.rule_set import MAX_LOOKED_AT, Ran
from hermes.queue import rule_sets
from hermes.queue.rule_sets import MAX_KEPT_SETS, PIECE_OCTETS, RuleSets
from tests.queue.test_expansion import ExpandingSite, ExpansionTestCase
from tests.support.maildirs import calling_worker

ALIASES = """\
sales == FILTER:{rules}
desk: ann, "FILTER:{rules}"
far == joe@example.net
"""

ORDER = b"Subject: an order\n\nfive boxes\n"


class RulesTestCase(ExpansionTestCase):
    """A site with addresses that stand for a set of rules."""

    @override
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.rules = self.directory / "sales.rul"
        self.write("Always Exit")
        self.site = ExpandingSite(ALIASES.format(rules=self.rules), srs=True)
        self.spool = self.site.spool
        self.site.manager.start()

    def write(self, text: str) -> None:
        """Replace the set, as an editor does."""
        (self.directory / "new~").write_text(text)
        os.rename(self.directory / "new~", self.rules)

    def copies(self) -> list[tuple[str, bytes]]:
        """What has got into mailboxes and folders, without our own line."""
        found = []
        for run in self.site.mailbox.attempts:
            data = run.message.content.data or b""
            found.append((run.next_hop, data[run.message.content.prefix_octets :]))
        return found


class DeliveryTests(RulesTestCase):
    """Where mail goes."""

    def test_copy_and_move(self) -> None:
        """Into mailboxes, whatever their forwards are, and public folders; the address that was written to is kept."""
        self.write(
            'If header "S" contains "order" Copy "PUBLIC:orders"\nAlways Copy "away"\nAlways Move "Ann"\nAlways Copy "bob"'
        )
        queue_id = self.send("sales@example.org", octets=ORDER)
        expected = [("orders", "sales@example.org"), ("away", "sales@example.org"), ("ann", "sales@example.org")]
        self.assertEqual(self.delivered(), expected)
        self.assertEqual(self.sent_on(), [])
        self.assertEqual(self.spool.messages, {})
        (expanded,) = self.events(queue_id, Kind.EXPANDED)
        told = str(expanded.facts["reason"]).split("\n")
        self.assertIn(f'{self.rules}:1: If header "S" contains "order" Copy "PUBLIC:orders"', told)
        self.assertIn(f'{self.rules}:3: Always Move "Ann"', told)

    def test_nothing_else(self) -> None:
        """What no rule sends anywhere nobody has, and the trace says by which rules; nobody is told of success."""
        for rules in ("Always Delete", "Always Exit", 'If header "S" contains "invoice" Copy "ann"'):
            self.write(rules)
            queue_id = self.send(Recipient("sales@example.org", frozenset({"SUCCESS"})), octets=ORDER)
            self.assertEqual(self.delivered(), [])
            (discarded,) = self.events(queue_id, Kind.DISCARDED)
            self.assertIn("the rules of sales@example.org", str(discarded.facts["reason"]))
            self.assertEqual(self.events(queue_id, Kind.RETURNED), [])
        self.assertEqual(self.spool.messages, {})

    def test_success(self) -> None:
        """Who wants to hear of success hears of the one copy's, and of several that the message was passed on."""
        for rules, action in (('Always Copy "ann"', "delivered"), ('Always Copy "ann"\nAlways Copy "bob"', "expanded")):
            self.write(rules)
            queue_id = self.send(Recipient("sales@example.org", frozenset({"SUCCESS"})))
            (returned,) = self.events(queue_id, Kind.RETURNED)
            self.assertEqual(returned.facts["action"], action)

    def test_beside_others(self) -> None:
        """In a list the others get the message as ever, and a mailbox gets one copy."""
        self.write('Always Copy "ann"\nAlways Copy "PUBLIC:desk"')
        self.send("desk@example.org")
        self.assertEqual(self.delivered(), [("ann", "ann@example.org"), ("desk", "desk@example.org")])

    def test_forward(self) -> None:
        """To another server with a rewritten sender and the lines by which loops are found; the rules go on."""
        self.write('Always Forward "x@example.com"\nAlways Copy "ann"\nAlways Forward "y@example.com"')
        self.send("sales@example.org", octets=ORDER)
        ((sender, to),) = self.sent_on()
        self.assertTrue(sender.startswith("SRS0="))
        self.assertEqual(to, ["x@example.com", "y@example.com"])
        data = (self.site.direct.attempts[0].message.content.data or b"").partition(b"\n")[2]
        self.assertEqual(data, b"Delivered-To: sales@example.org\nX-Autoforward: 1\n" + ORDER)
        self.assertEqual(self.delivered(), [("ann", "sales@example.org")])

    def test_forward_to_ours(self) -> None:
        """An address of ours gets it from the same sender, and is followed like any other."""
        self.write('Always Forward "ann@example.org"\nAlways Forward "far@example.org"\nAlways Forward "x@example.com"')
        self.send("sales@example.org", sender="s@example.com")
        (run,) = self.site.local.attempts
        self.assertEqual((run.next_hop, run.message.envelope.reverse_path), ("ann", "s@example.com"))
        self.assertEqual(sorted(to for _, to in self.sent_on()), [["joe@example.net"], ["x@example.com"]])
        self.assertTrue(all(sender.startswith("SRS0=") for sender, _ in self.sent_on()))

    def test_loop(self) -> None:
        """What is forwarded to the same address again does not go round; it is returned with 5.4.6."""
        self.write('Always Forward "sales@example.org"\nAlways Copy "ann"')
        self.send("sales@example.org", sender="s@example.com")
        failed = [event for event in self.spool.events if event.kind is Kind.FAILED]
        self.assertEqual([event.facts["status"] for event in failed], ["5.4.6"])
        self.assertEqual(len(self.delivered()), 1)
        self.assertEqual(self.spool.messages, {})

    def test_fields(self) -> None:
        """Copies behind AddHeader have the field, in mailboxes as in what is sent on; the others have not."""
        self.write('Always Copy "ann"\nAlways AddHeader "X-Seen: 1"\nAlways Copy "bob"\nAlways Forward "x@example.com"')
        queue_id = self.send("sales@example.org", octets=ORDER)
        self.assertEqual(sorted(self.copies()), [("ann", ORDER), ("bob", b"X-Seen: 1\n" + ORDER)])
        data = (self.site.direct.attempts[0].message.content.data or b"").partition(b"\n")[2]
        self.assertEqual(data, b"Delivered-To: sales@example.org\nX-Seen: 1\nX-Autoforward: 1\n" + ORDER)
        told = [event.facts["to"] for event in self.events(queue_id, Kind.FORWARDED)]
        self.assertEqual(told, ["mailbox:bob", "x@example.com"])

    def test_fields_of_a_binary_message(self) -> None:
        """They end as the message's own lines do."""
        self.write('Always AddHeader "X-Seen: 1"\nAlways Copy "bob"')
        self.send("sales@example.org", octets=b"A: b\r\n\r\nc", body=BodyType.BINARY)
        self.assertEqual(self.copies(), [("bob", b"X-Seen: 1\r\nA: b\r\n\r\nc")])

    def test_answers(self) -> None:
        """SendTextFile and SendTemplate answer the sender, once, and neither reports nor lists."""
        (self.directory / "hours.txt").write_text("For ~T: 9 to 5\n")
        for verb, sender, text in (
            ("SendTextFile", "s@example.com", "For ~T: 9 to 5\n"),
            ("SendTemplate", "t@example.com", "For t@example.com: 9 to 5\n"),
        ):
            self.write(f'Always {verb} "hours.txt"\nAlways Copy "ann"')
            for _ in range(2):
                self.send("sales@example.org", sender=sender, octets=ORDER)
            self.send("sales@example.org", sender="", octets=ORDER)
            self.send("sales@example.org", sender="list@example.com", octets=b"List-Id: <x>\n" + ORDER)
            (answer,) = self.site.direct.attempts
            self.assertEqual((answer.addresses, answer.message.envelope.reverse_path), ([sender], ""))
            self.assertEqual(message_from_bytes(answer.message.content.data or b"").get_payload(), text)
            self.site.direct.attempts.clear()
        self.assertEqual(len(self.delivered()), 8)


class MistakeTests(RulesTestCase):
    """Sets that cannot be carried out."""

    def test_turned_bad(self) -> None:
        """A set that turns bad puts the mail off, with its line in the log, and an edit lets it go on."""
        (self.directory / "hours.txt").write_text("9 to 5\n")
        for rules, words in (
            ('Always Copy "ann"\nAlways Print "x"', f"{self.rules}:2: Print is no action"),
            ('Always Copy "nobody"', "there is no account nobody"),
            ('Label again\nAlways Copy "ann"\nAlways Goto "again"', "loop"),
        ):
            self.write(rules)
            ran = self.successResultOf(
                Deferred.fromCoroutine(self.sets().run(str(self.rules), Content(1, 1, 0, data=b"\n")))
            )
            self.assertIn(words, ran.problem)
            queue_id = self.send("sales@example.org")
            (deferred,) = self.events(queue_id, Kind.DEFERRED)
            self.assertEqual(deferred.facts["status"], "4.3.5")
            self.assertNotIn(str(self.rules), str(deferred.facts["reason"]))
            self.assertEqual(self.delivered(), [])
            self.write('Always Copy "ann"')
            self.site.advance(4000, steps=10)
            self.assertEqual(self.delivered(), [("ann", "sales@example.org")])
            self.site.mailbox.attempts.clear()
        self.assertEqual(self.spool.messages, {})

    def test_gone(self) -> None:
        """A file that is gone puts the mail off, too, also when the set is known."""
        self.write('Always Copy "ann"')
        self.send("sales@example.org")
        os.unlink(self.rules)
        queue_id = self.send("sales@example.org")
        self.assertEqual(len(self.events(queue_id, Kind.DEFERRED)), 1)
        self.assertEqual(len(self.delivered()), 1)

    def test_text_gone(self) -> None:
        """An answer whose text is gone by now waits, and nothing else of the set is done before."""
        (self.directory / "hours.txt").write_text("9 to 5\n")
        self.write('Always Copy "ann"\nAlways SendTextFile "hours.txt"')
        self.send("sales@example.org")
        os.unlink(self.directory / "hours.txt")
        queue_id = self.send("sales@example.org")
        self.assertEqual(len(self.events(queue_id, Kind.DEFERRED)), 1)
        self.assertEqual(len(self.delivered()), 1)

    def sets(self) -> RuleSets:
        """As the site has them."""
        return sets_with("ann")


class SetsTests(SynchronousTestCase):
    """The files, and what is read of a message."""

    @override
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.sets = sets_with("ann", "bob")

    def run_set(self, path: Path, content: Content) -> Ran:
        """What it does."""
        return self.successResultOf(Deferred.fromCoroutine(self.sets.run(str(path), content)))

    def test_edit(self) -> None:
        """The set is that of now, also when it was edited a moment ago."""
        path = self.directory / "a.rul"
        for name in ("ann", "bob"):
            (self.directory / "new~").write_text(f'Always Copy "{name}"')
            os.rename(self.directory / "new~", path)
            for _ in range(2):
                (act,) = self.run_set(path, Content(1, 1, 0, data=b"\n")).acts
                self.assertEqual(act.target.value, name)

    def test_kept(self) -> None:
        """So many sets are kept as they were understood, and those that were used last stay."""
        read: list[str] = []
        original = rule_sets.read_rules

        def counting(path: str) -> Any:
            read.append(path)
            return original(path)

        self.patch(rule_sets, "read_rules", counting)
        for number in range(MAX_KEPT_SETS + 1):
            (self.directory / str(number)).write_text('Always Copy "ann"')
        content = Content(1, 1, 0, data=b"\n")
        for _ in range(2):
            for number in range(MAX_KEPT_SETS):
                self.run_set(self.directory / str(number), content)
        self.assertEqual(len(read), MAX_KEPT_SETS)
        self.run_set(self.directory / str(MAX_KEPT_SETS), content)
        self.run_set(self.directory / "1", content)
        self.assertEqual(len(read), MAX_KEPT_SETS + 1)
        self.run_set(self.directory / "0", content)
        self.assertEqual(len(read), MAX_KEPT_SETS + 2)

    def test_where_octets_are(self) -> None:
        """In memory or in a file, behind our own line, and not before they are known."""
        path, stored = self.directory / "a.rul", self.directory / "message"
        path.write_text(
            'If header "S" is "x" Copy "ann"\nIf expression headers matches "return-path*" Copy "bob"\nIf size > 9 Copy "bob"'
        )
        octets = b"Return-Path: <>\nSubject: x\n\n" + b"y" * MAX_LOOKED_AT
        stored.write_bytes(octets)
        for content in (Content(50, 9, 16, data=octets), Content(50, 9, 16, path=str(stored))):
            self.assertEqual([act.target.value for act in self.run_set(path, content).acts], ["ann"])
        failing = Deferred.fromCoroutine(self.sets.run(str(path), Content(1, 1, 0)))
        self.failureResultOf(failing, ValueError)

    def test_attachments(self) -> None:
        """The names of files, wherever they stand in a large message, in memory or in a file."""
        path, stored = self.directory / "a.rul", self.directory / "message"
        path.write_text('If attachment ExtnPart matches "exe" Move "ann"\nAlways Move "bob"')
        header = b"Return-Path: <>\nContent-Type: multipart/mixed; boundary=b\n\n"
        part = b"--b\nContent-Disposition: attachment; filename=%s\n\n" + b"y" * (PIECE_OCTETS - 10) + b"\n"
        for names, expected in (((b"a.txt", b"b.txt", b"c.exe"), "ann"), ((b"a.txt", b"exe"), "bob")):
            octets = header + b"".join(part % name for name in names) + b"--b--\n"
            stored.write_bytes(octets)
            for content in (Content(50, 9, 16, data=octets), Content(50, 9, 16, path=str(stored))):
                self.assertEqual([act.target.value for act in self.run_set(path, content).acts], [expected])


def sets_with(*names: str) -> RuleSets:
    """Sets at a site with these accounts."""

    async def account(name: str) -> Account | None:
        return Account(name, ()) if name in names else None

    return RuleSets(calling_worker(), account)
