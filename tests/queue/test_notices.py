"""Confirmations of delivery (Return-Receipt-To) and transcripts (X-Transcript-To)."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.reports import ReportsSettings
from hermes.core.attempts_text import MAX_ATTEMPTS, attempts
from hermes.core.envelope import Recipient
from hermes.core.event import Event, Kind
from hermes.core.message import QueuedMessage
from hermes.core.report_wording import ENGLISH
from hermes.queue.reporting import Reporting
from tests.support.queue_site import DEFERRED, FAILED, RELAYED, START, Site

ASKING = (
    b"From: Ann <ann@example.net>\nReturn-Receipt-To: Ann <Ann@Example.NET>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
    b"Message-ID: <m@example.org>\n\nbody\n"
)


def read(report: QueuedMessage) -> EmailMessage:
    """A letter as a mail program reads it."""
    octets = (report.content.data or b"")[report.content.prefix_octets :]
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


class ConfirmationTests(SynchronousTestCase):
    """Return-Receipt-To."""

    def site(self, **settings: Any) -> Site:
        """A site that confirms, unless it is told otherwise."""
        reporting = Reporting(ReportsSettings(**{"confirmations": True, "double_bounces": False, **settings}))
        made = Site(reporting=reporting)
        made.local.hangs = lambda next_hop: next_hop == "ann"
        made.manager.start()
        return made

    def confirmed(
        self, *recipients: Recipient | str, octets: bytes = ASKING, sender: str = "ann@example.net", **settings: Any
    ) -> list[QueuedMessage]:
        """What is sent when somebody sends this to bob."""
        made = self.site(**settings)
        made.accept(*(recipients or ("bob@example.org",)), sender=sender, octets=octets)
        self.spool = made.spool
        return made.spool.reports

    def test_letter(self) -> None:
        """It is a plain text, from the postmaster and the null sender, to the reverse-path, and says that a program wrote it."""
        (report,) = self.confirmed()
        self.assertEqual(report.envelope.reverse_path, "")
        self.assertEqual(report.envelope.recipients, (Recipient("ann@example.net", frozenset({"NEVER"})),))
        letter = read(report)
        self.assertEqual(letter.get_content_type(), "text/plain")
        self.assertEqual(letter["Auto-Submitted"], "auto-replied")
        self.assertEqual(letter["Subject"], "Your message has arrived")
        self.assertEqual(letter["In-Reply-To"], "<m@example.org>")
        self.assertEqual(letter["From"].addresses[0].addr_spec, "postmaster@example.org")
        text = letter.get_content()
        self.assertIn("\n    bob@example.org\n", text)
        self.assertIn('Your message "Grüße"', text)
        self.assertIn("That does not mean that it has been read.", text)

    def test_trace(self) -> None:
        """The trace of the message has it."""
        (report,) = self.confirmed()
        (event,) = (event for event in self.spool.events if event.kind is Kind.RETURNED)
        self.assertEqual(event.address, "ann@example.net")
        self.assertEqual(event.facts, {"report": report.queue_id, "action": "confirmed", "recipients": 1})

    def test_off(self) -> None:
        """It is off by default."""
        self.assertFalse(ReportsSettings().confirmations)
        self.assertEqual(self.confirmed(confirmations=False), [])

    def test_who_asks_for_somebody_else(self) -> None:
        """Only who has sent the message can ask, and for itself."""
        self.assertEqual(self.confirmed(sender="victim@example.com"), [])
        self.assertEqual(self.confirmed(sender=""), [])
        self.assertEqual(
            self.confirmed(octets=ASKING.replace(b"Return-Receipt-To", b"Disposition-Notification-To")), []
        )

    def test_programs_and_lists(self) -> None:
        """What RFC 3834 2 says of automatic answers."""
        for field in (b"List-Id: <l.example.net>", b"Precedence: bulk", b"Auto-Submitted: auto-generated"):
            self.assertEqual(self.confirmed(octets=field + b"\n" + ASKING), [])

    def test_notify(self) -> None:
        """Who says by NOTIFY what it wants to hear gets nothing else (RFC 3461 5.2.3 b)."""
        self.assertEqual(self.confirmed(Recipient("bob@example.org", frozenset({"FAILURE"}))), [])

    def test_only_mailboxes(self) -> None:
        """What goes to another server is not confirmed, nor what failed."""
        self.assertEqual(self.confirmed("x@example.com"), [])

    def test_names(self) -> None:
        """Who stands behind an address is not told (RFC 3461 5.2.7.4)."""
        (report,) = self.confirmed(Recipient("bob@example.org", None, "rfc822;sales@example.org"))
        self.assertIn("    sales@example.org\n", read(report).get_content())
        self.assertNotIn("bob", read(report).get_content())

    def test_bounded(self) -> None:
        """They count as reports."""
        made = self.site(per_address=1)
        for _ in range(2):
            made.accept("bob@example.org", sender="ann@example.net", octets=ASKING)
        self.assertEqual(len(made.spool.reports), 1)
        self.assertIn(Kind.UNREPORTED, [event.kind for event in made.spool.events])

    def test_fault(self) -> None:
        """A fault costs the confirmation, and nothing else."""
        made = self.site()
        made.spool.faults["content"] = [OSError("x")]

        def broken(*_: object) -> None:
            raise ZeroDivisionError

        self.patch(type(made.manager._settler._reporter), "beginning", broken)
        queue_id = made.accept("bob@example.org", sender="ann@example.net", octets=ASKING)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(made.spool.kinds(queue_id), [Kind.DELIVERED])
        self.assertEqual(made.spool.messages, {})


class TranscriptTests(SynchronousTestCase):
    """X-Transcript-To, as it was noted when the message came in."""

    def site(self, *, transcripts: bool = True) -> Site:
        """A site that writes transcripts."""
        made = Site(reporting=Reporting(ReportsSettings(transcripts=transcripts, double_bounces=False)))
        made.local.hangs = lambda next_hop: next_hop == "a"
        made.manager.start()
        return made

    def accept(self, made: Site, *recipients: str, account: str | None = "a", to: str = "log@example.org") -> str:
        """A message with a request in its trace."""
        message = made.message(*recipients, account=account)
        facts = {"transcript_to": to} if to else {}
        made.spool.events.append(Event(made.now(), Kind.RECEIVED, message.queue_id, facts=facts))
        made.manager.accepted(message)
        return message.queue_id

    def test_attempts(self) -> None:
        """Every attempt is told, with time, host, encryption and answer, when the recipient is finished."""
        made = self.site()
        made.direct.outcomes["example.net"] = DEFERRED
        queue_id = self.accept(made, "x@example.net")
        self.assertEqual(made.spool.reports, [])
        made.direct.outcomes["example.net"] = RELAYED
        made.advance(400)
        (report,) = made.spool.reports
        self.assertEqual(report.envelope.recipients, (Recipient("log@example.org", frozenset({"NEVER"})),))
        self.assertEqual(report.envelope.reverse_path, "")
        letter = read(report)
        self.assertEqual(letter["Subject"], "How your message was delivered")
        text = letter.get_content()
        for part in (
            queue_id,
            'your message "test"',
            "Attempt 1 at Tue, 14 Nov 2023 22:13:21 +0000\n  To: x@example.net\n  Server: mx.test\n  Encryption: none\n"
            "  Result: deferred\n  Answer:\n    451 4.3.2 Busy\n  Next attempt: Tue, 14 Nov 2023 22:",
            "Attempt 2 at Tue, 14 Nov 2023 22:20:01 +0000\n  To: x@example.net\n  Server: mx.test (192.0.2.1:25)\n"
            "  Encryption: TLSv1.3\n  Result: relayed\n  Answer:\n    250 2.0.0 ok\n",
        ):
            self.assertIn(part, text)
        self.assertEqual(
            [each.facts["action"] for each in made.spool.events if each.kind is Kind.RETURNED], ["transcript"]
        )

    def test_each_delivery(self) -> None:
        """Each delivery has its own, with the recipients that it was about; a failure has its report beside it."""
        made = self.site()
        made.direct.outcomes["example.com"] = FAILED
        self.accept(made, "x@example.net", "y@example.com", "bob@example.org")
        to = [each.envelope.recipients[0].address for each in made.spool.reports]
        self.assertEqual(sorted(to), ["a@example.org", *["log@example.org"] * 3])
        texts = [read(each).get_content() for each in made.spool.reports if not read(each).is_multipart()]
        for address in ("x@example.net", "y@example.com", "bob@example.org"):
            self.assertEqual(sum(f"To: {address}\n" in text for text in texts), 1)
        self.assertEqual(sum("stored" in text for text in texts), 1)

    def test_who_gets_none(self) -> None:
        """Nobody who has not logged in, or has not asked; and nobody where it is off, which it is by default."""
        self.assertFalse(ReportsSettings().transcripts)
        for made, account, to in (
            (self.site(), None, "log@example.org"),
            (self.site(), "a", ""),
            (self.site(transcripts=False), "a", "log@example.org"),
        ):
            self.accept(made, "x@example.net", account=account, to=to)
            self.assertEqual(made.spool.reports, [])

    def test_bounded(self) -> None:
        """So many attempts are told, the last ones."""
        events = [
            Event(START, Kind.DEFERRED, "1", "x@example.net", facts={"attempt": number, "reason": "busy"})
            for number in range(1, MAX_ATTEMPTS + 3)
        ]
        for count in (MAX_ATTEMPTS - 1, MAX_ATTEMPTS):
            self.assertIn("Attempt 1 at", attempts(events[:count], {"x@example.net"}, ENGLISH))
        text = attempts(events, {"x@example.net"}, ENGLISH)
        self.assertEqual(text.count("Attempt"), MAX_ATTEMPTS)
        self.assertIn(f"Attempt {MAX_ATTEMPTS + 2} at", text)
        self.assertNotIn("Attempt 2 at", text)

    def test_other_events(self) -> None:
        """What is no attempt, or about somebody else, is left out; without words there is no answer."""
        mine = Event(START, Kind.DISCARDED, "1", "x@example.net")
        events = [attrs.evolve(mine, kind=Kind.HELD), attrs.evolve(mine, address="y@example.net"), mine]
        text = attempts(events, {"x@example.net"}, ENGLISH)
        self.assertEqual(text, "Attempt 1 at Tue, 14 Nov 2023 22:13:20 +0000\n  To: x@example.net\n  Result: discarded")
