"""Messages that come in: what is kept of them, and where."""

from __future__ import annotations

import os
import tracemalloc

from twisted.internet.defer import CancelledError
from zope.interface.verify import verifyObject

from hermes.core.envelope import BodyType, Envelope, Origin, Recipient
from hermes.core.event import Event, Kind
from hermes.core.identifiers import is_queue_id
from hermes.core.message import State
from hermes.interfaces import IJournal, ISpool, ISpoolWriter
from hermes.spool.errors import SpoolError
from hermes.spool.writer import MAX_ROW_OCTETS
from tests.support.real_spool import FACTS, SENDER, START, SpoolTestCase, begun, envelope, octets_of


class AcceptingTests(SpoolTestCase):
    """What commit() makes durable."""

    def test_interfaces(self) -> None:
        """The spool, its journal and its writers keep what the interfaces promise."""
        self.assertTrue(verifyObject(ISpool, self.spool))
        self.assertTrue(verifyObject(IJournal, self.spool.journal))
        writer = self.spool.create()
        self.assertTrue(verifyObject(ISpoolWriter, writer))
        writer.write(b"12345")
        self.assertEqual(writer.size_octets, 5)
        writer.abort()

    def test_everything_survives(self) -> None:
        """Envelope, origin and state are the same after a restart, to the last parameter."""
        sent = Envelope(
            "börje@example.org",
            (
                Recipient("a@example.com", frozenset({"FAILURE", "DELAY"}), "rfc822;A@example.com"),
                Recipient("b@example.net", frozenset({"NEVER"})),
                Recipient("c@example.net"),
            ),
            BodyType.EIGHT_BIT,
            smtputf8=True,
            ret="HDRS",
            envid="QQ314159",
        )
        origin = Origin("UTF8SMTPSA", "2001:db8::1", "client.example.org", "TLSv1.3 TLS_AES_256_GCM_SHA384", "börje")
        committed = self.accept(sent, origin=origin)
        self.reopen()
        (found,) = self.done(self.spool.select(committed.queue_id))
        self.assertEqual(found.envelope, sent)
        self.assertEqual(found.origin, origin)
        self.assertEqual(found.accepted_at, START)
        self.assertEqual(found.message_id, "<1@example.org>")
        self.assertEqual(found.recipients, committed.recipients)
        self.assertEqual([recipient.ordinal for recipient in found.recipients], [0, 1, 2])
        self.assertEqual(
            [recipient.destination for recipient in found.recipients],
            ["direct:example.com", "direct:example.net", "direct:example.net"],
        )
        self.assertEqual({recipient.state for recipient in found.recipients}, {State.QUEUED})
        self.assertEqual({recipient.next_attempt_at for recipient in found.recipients}, {START})

    def test_null_sender(self) -> None:
        """The null reverse-path stays the null reverse-path (RFC 5321 4.5.5)."""
        committed = self.accept(envelope("a@example.com", reverse_path=""))
        (found,) = self.done(self.spool.select(committed.queue_id))
        self.assertEqual(found.envelope.reverse_path, "")

    def test_octets(self) -> None:
        """Octets come back as they were written, whichever way they are kept; none, below, at and above the limit."""
        for size in (0, 1, MAX_ROW_OCTETS - 1, MAX_ROW_OCTETS, MAX_ROW_OCTETS + 1, 3 * MAX_ROW_OCTETS):
            octets = os.urandom(size)
            committed = self.accept(envelope("a@example.com"), octets, prefix_octets=min(size, 10))
            content = self.done(self.spool.content(committed.queue_id))
            self.assertEqual(content, committed.content)
            self.assertEqual((content.size_octets, content.prefix_octets), (size, min(size, 10)))
            self.assertEqual(content.path is None, size <= MAX_ROW_OCTETS)
            self.assertEqual(octets_of(content), octets)
            self.reopen()
            self.assertEqual(octets_of(self.done(self.spool.content(committed.queue_id))), octets)
        self.assertEqual(self.faults(), [])

    def test_tiny_pieces(self) -> None:
        """Octets that come by twos take little more room than those that come at once, and are the same."""
        writer = self.spool.create()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(MAX_ROW_OCTETS // 2):
            writer.write(number.to_bytes(2, "big"))
        self.assertLess(tracemalloc.get_traced_memory()[1], 3 * MAX_ROW_OCTETS)
        committed = self.done(
            writer.commit(envelope("a@example.com"), Origin("ESMTP"), {"a@example.com": "local:a"}, "", 0, 0, {})
        )
        expected = b"".join(number.to_bytes(2, "big") for number in range(MAX_ROW_OCTETS // 2))
        self.assertEqual(self.done(self.spool.content(committed.queue_id)).data, expected)

    def test_binary(self) -> None:
        """Only the content of a BINARYMIME message must not be converted (RFC 3030)."""
        for body in BodyType:
            committed = self.accept(envelope("a@example.com", body=body))
            self.assertIs(committed.content.binary, body is BodyType.BINARY)
            self.assertIs(self.done(self.spool.content(committed.queue_id)).binary, body is BodyType.BINARY)

    def test_queue_id_known_from_the_start(self) -> None:
        """The writer's id is the message's id."""
        sent = envelope("a@example.com")
        writer = self.spool.create()
        self.assertTrue(is_queue_id(writer.queue_id))
        committed = self.done(writer.commit(sent, Origin("ESMTP"), {"a@example.com": "local:a"}, "", 0, 0, {}))
        self.assertEqual(committed.queue_id, writer.queue_id)

    def test_ids_never_repeat(self) -> None:
        """After a restart with a clock set back, ids go on after the last one, even when only the trace knows it."""
        first = self.accept(envelope("a@example.com")).queue_id
        self.time -= 3600
        self.reopen()
        second = self.accept(envelope("a@example.com")).queue_id
        self.assertGreater(second, first)
        event = Event(self.time, Kind.REMOVED, second)
        self.assertTrue(self.done(self.spool.remove(second, event)))
        self.reopen()
        self.assertGreater(self.accept(envelope("a@example.com")).queue_id, second)

    def test_received(self) -> None:
        """Commit records that the message came in, and the observer is told once it is durable."""
        committed = self.accept(envelope("a@example.com"))
        expected = Event(START, Kind.RECEIVED, committed.queue_id, "a@example.com", SENDER, "<1@example.org>", FACTS)
        self.assertEqual(self.seen, [expected])
        self.assertEqual(self.done(self.spool.track(committed.queue_id, 10)), [expected])

    def test_nothing_is_observed_before_it_is_durable(self) -> None:
        """The observer is called when the group has been committed, not when it was handed over."""
        self.worker.paused = True
        committing = begun(self.accepting(envelope("a@example.com")))
        self.assertNoResult(committing)
        self.assertEqual(self.seen, [])
        self.worker.resume()
        self.assertEqual([event.queue_id for event in self.seen], [self.successResultOf(committing).queue_id])

    def test_observer_at_fault(self) -> None:
        """A fault of the observer is logged and harms nobody."""

        def broken(event: Event) -> None:
            raise ValueError("no mail log today")

        self.done(self.spool.close())
        self.spool = self.opened(broken)
        committed = self.accept(envelope("a@example.com"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.due_ids(), [committed.queue_id])

    def test_session_gone_while_committing(self) -> None:
        """When nobody awaits a commit any more it is done all the same, and its octets stay, in a row or in a file."""
        for size in (10, MAX_ROW_OCTETS + 1):
            self.seen.clear()
            sent = envelope("a@example.com")
            writer = self.spool.create()
            writer.write(bytes(size))
            self.worker.paused = True
            committing = begun(writer.commit(sent, Origin("ESMTP"), {"a@example.com": "local:a"}, "", size, 0, {}))
            committing.cancel()
            self.failureResultOf(committing, CancelledError)
            writer.abort()
            self.worker.resume()
            self.assertEqual([event.queue_id for event in self.seen], [writer.queue_id])
            self.assertEqual(octets_of(self.done(self.spool.content(writer.queue_id))), bytes(size))
        self.assertEqual(self.faults(), [])

    def test_unknown_content(self) -> None:
        """Asking for the octets of what is not there is a KeyError."""
        self.failureResultOf(begun(self.spool.content("000000000000")), KeyError)

    def test_text_that_utf8_cannot_write(self) -> None:
        """Header octets that came in as lone surrogates do not keep a message out."""
        committed = self.accept(envelope("a@example.com"), message_id="<\udcff@example.org>")
        (found,) = self.done(self.spool.select(committed.queue_id))
        self.assertEqual(found.message_id, "<?@example.org>")
        self.assertEqual(len(self.done(self.spool.track("<\udcff@example.org>", 10))), 1)

    def test_writer_ends_once(self) -> None:
        """Nothing is written and nothing committed after the end."""
        sent = envelope("a@example.com")
        writer = self.spool.create()
        writer.abort()
        writer.write(b"more")
        again = begun(writer.commit(sent, Origin("ESMTP"), {"a@example.com": "local:a"}, "", 0, 0, {}))
        self.failureResultOf(again, RuntimeError)
        self.assertEqual(self.due_ids(), [])

    def test_closed(self) -> None:
        """A closed spool says so, and closing it again is harmless."""
        self.done(self.spool.close())
        self.done(self.spool.close())
        self.failureResultOf(begun(self.spool.flush()), SpoolError)
        self.failureResultOf(begun(self.accepting(envelope("a@example.com"))), SpoolError)
