"""How many reports there are, and how much of a message goes back (RFC 3461 6.2)."""

from __future__ import annotations

import email
import email.policy
import tracemalloc
from collections.abc import AsyncGenerator

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.config.sections.queue import QueueSettings
from hermes.config.sections.reports import ReportsSettings
from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Kind
from hermes.core.message import Content, QueuedMessage
from hermes.core.outcome import Outcome
from hermes.core.report import Action, Fate
from hermes.interfaces import IContentReader
from hermes.queue.judgement import Judgement
from hermes.queue.reporting import DOMAIN_FACTOR, MAX_COUNTED, Allowance, Reporting
from hermes.queue.reports import MAX_RETURNED_OCTETS, Reporter, Told
from hermes.queue.router import Router
from tests.support.queue_site import FAILED, START, Site, SmallDirectory
from tests.support.queue_spool import QueueSpool

HEADER = b"From: a@example.org\nSubject: test\n\n"
PIECE = 64 * 1024
GIGABYTE = 1024**3
MEGABYTE = 1024**2


class AllowanceTests(SynchronousTestCase):
    """A sliding hour for each address and each domain."""

    def test_address(self) -> None:
        """So many reports go to an address in an hour, in whatever case it is written, and not one more."""
        allowance = Allowance()
        taken = [allowance.take(each, START, 3) for each in ("a@example.net", "A@Example.NET", "a@example.net")]
        self.assertEqual(taken, [True, True, True])
        self.assertFalse(allowance.take("a@example.net", START, 3))
        self.assertTrue(allowance.take("b@example.net", START, 3))
        self.assertTrue(allowance.take("a@example.net", START + 2 * 3600, 3))

    def test_domain(self) -> None:
        """Names that are made up do not help: the domain has a limit, too."""
        allowance = Allowance()
        taken = [allowance.take(f"n{number}@example.net", START, 2) for number in range(2 * DOMAIN_FACTOR)]
        self.assertTrue(all(taken))
        self.assertFalse(allowance.take("another@example.net", START, 2))
        self.assertTrue(allowance.take("another@example.com", START, 2))

    def test_memory(self) -> None:
        """However many addresses there are, so many are remembered; the longest unused go."""
        allowance = Allowance()
        for number in range(MAX_COUNTED // 2):
            allowance.take(f"a@{number}.example.net", START, 1)
        self.assertEqual(len(allowance), MAX_COUNTED)
        self.assertFalse(allowance.take("a@0.example.net", START, 1))
        allowance.take("a@another.example.net", START, 1)
        self.assertEqual(len(allowance), MAX_COUNTED)
        self.assertTrue(allowance.take("a@1.example.net", START, 1))
        self.assertFalse(allowance.take("a@0.example.net", START, 1))


class FloodTests(SynchronousTestCase):
    """Mail with forged senders makes few reports."""

    def setUp(self) -> None:
        """A site where everything for other domains fails, and two reports an hour are allowed."""
        self.site = Site(reporting=Reporting(ReportsSettings(per_address=2, double_bounces=False)))
        self.site.direct.default = FAILED
        self.site.manager.start()

    def sent(self, sender: str, account: str | None = None) -> str:
        """A message that fails."""
        return self.site.accept("x@example.com", sender=sender, account=account)

    def test_said_in_the_trace(self) -> None:
        """What is not reported is in the trace, with the reason, and the message is finished all the same."""
        for _ in range(2):
            self.sent("victim@example.net")
        reports = [one for one in self.site.spool.reports if one.envelope.recipients[0].address == "victim@example.net"]
        self.assertEqual(len(reports), 2)
        queue_id = self.sent("victim@example.net")
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.FAILED, Kind.UNREPORTED])
        event = self.site.spool.events[-1]
        self.assertEqual((event.address, event.facts["action"]), ("victim@example.net", "failed"))
        self.assertIn("reports.per_address is 2", str(event.facts["reason"]))
        self.assertNotIn(queue_id, self.site.spool.messages)

    def test_who_has_logged_in(self) -> None:
        """An account sends with its own address: of its failures it is always told."""
        for _ in range(5):
            self.sent("a@example.org", account="a")
        self.assertEqual(len(self.site.spool.reports), 5)

    def test_reload_forgets_nothing(self) -> None:
        """A reload does not begin to count anew."""
        for _ in range(2):
            self.sent("a@example.org")
        self.site.manager.reconfigure(
            QueueSettings(),
            Router(self.site.directory, direct_enabled=True),
            {"local": self.site.local, "direct": self.site.direct},
            self.site.limits,
            hostname="mail.example.org",
            postmaster="",
            reporting=self.site.reporting,
        )
        self.assertEqual(self.site.spool.kinds(self.sent("a@example.org")), [Kind.FAILED, Kind.UNREPORTED])


@implementer(IContentReader)
class Endless:
    """Gives as many octets as the content says, out of nothing: lines of 63 octets."""

    line = b"y" * 63 + b"\n"

    async def chunks(self, content: Content, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Pieces of 64 KiB."""
        first = HEADER[offset:]
        rest = content.size_octets - len(HEADER)
        yield first
        piece = self.line * (PIECE // len(self.line))
        while rest:
            count = min(rest, PIECE)
            yield piece[:count]
            rest -= count


class ReturnedTests(SynchronousTestCase):
    """What goes back of a large message."""

    def setUp(self) -> None:
        """A reporter that may return two gigabytes."""
        self.reporting = Reporting(ReportsSettings(return_size=2 * GIGABYTE))
        self.spool = QueueSpool(lambda: START)

    def told(self, reader: IContentReader, octets: int, *, ret: str | None = None) -> Told:
        """The report about a message of this size."""
        reporter = Reporter(
            self.spool,
            reader,
            Router(SmallDirectory("a")),
            QueueSettings(),
            lambda: START,
            hostname="mail.example.org",
            postmaster="",
            reporting=self.reporting,
            allowance=Allowance(),
        )
        content = Content(octets, octets + octets // 64, 0, path="body")
        envelope = Envelope("a@example.org", (Recipient("x@example.net"),), ret=ret)
        message = QueuedMessage("0123456789AB", START, envelope, Origin("ESMTP"), "", content, [])
        fate = Fate("x@example.net", None, Action.FAILED, Outcome.failed("refused"))
        (told,) = self.successResultOf(Deferred.fromCoroutine(reporter.reports(message, Judgement(failed=[fate]))))
        return told

    def test_large(self) -> None:
        """A message that is larger than what is kept in memory goes back whole, as a part of a well-formed report."""
        size = len(HEADER) + 3 * PIECE
        # Every line end is on the disk as LF.
        lines = HEADER.count(b"\n") + 3 * PIECE // 64
        told = self.told(Endless(), size)
        rest = told.report.rest
        assert rest is not None
        tail = b"".join(self.pieces(told))[size:]
        self.assertEqual(rest.wire_octets, size + size // 64 + len(tail) + tail.count(b"\n"))
        octets = told.report.octets + b"".join(self.pieces(told))
        message = email.message_from_bytes(octets, policy=email.policy.default)
        self.assertEqual(message.defects, [])
        parts = message.get_payload()
        assert isinstance(parts, list)
        self.assertEqual([part.get_content_type() for part in parts][2], "message/rfc822")
        original = parts[2].get_payload()
        assert isinstance(original, list)
        self.assertEqual(original[0]["Subject"], "test")
        self.assertEqual(original[0].get_payload().count("\n"), lines - HEADER.count(b"\n"))

    def pieces(self, told: Told) -> list[bytes]:
        """What follows the octets of the report."""
        rest = told.report.rest
        assert rest is not None

        async def read() -> list[bytes]:
            return [piece async for piece in rest.pieces()]

        return self.successResultOf(Deferred.fromCoroutine(read()))

    def test_memory(self) -> None:
        """Memory does not grow with the message that goes back: 64 MiB take less than two."""

        async def count(told: Told) -> int:
            assert told.report.rest is not None
            total = 0
            async for piece in told.report.rest.pieces():
                total += len(piece)
            return total

        size = len(HEADER) + GIGABYTE // 16
        tracemalloc.start()
        try:
            told = self.told(Endless(), size)
            total = self.successResultOf(Deferred.fromCoroutine(count(told)))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertGreater(total, size)
        self.assertLess(most, 2 * MEGABYTE)

    def test_bounds(self) -> None:
        """Up to the size that is set a message goes back whole, one octet more and only its header does."""
        size = len(HEADER) + 2 * PIECE
        for most, whole in ((size - 1, False), (size, True), (size + 1, True)):
            self.reporting = attrs.evolve(self.reporting, settings=ReportsSettings(return_size=most))
            told = self.told(Endless(), size)
            self.assertEqual(told.report.rest is not None, whole)
            self.assertEqual(b"message/rfc822" in told.report.octets, whole)

    def test_small_bound(self) -> None:
        """The bound may be smaller than what is kept in memory."""
        self.assertLess(len(HEADER) + 100, MAX_RETURNED_OCTETS)
        self.reporting = Reporting(ReportsSettings(return_size=len(HEADER) + 99))
        self.assertIn(b"text/rfc822-headers", self.told(Endless(), len(HEADER) + 100).report.octets)
        self.assertIn(b"message/rfc822", self.told(Endless(), len(HEADER) + 99).report.octets)

    def test_header_only(self) -> None:
        """RET=HDRS asks for the header (RFC 3461 4.3), and the rest is not even read."""
        told = self.told(Endless(), GIGABYTE, ret="HDRS")
        self.assertIn(b"text/rfc822-headers", told.report.octets)
        self.assertIsNone(told.report.rest)
