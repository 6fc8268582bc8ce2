"""Recipients in the place of others, in one transaction."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from hermes.core.envelope import BodyType, Envelope, Recipient
from hermes.core.event import Event, Kind
from hermes.core.message import Finished, NewMessage, QueuedMessage, QueuedRecipient, Replaced, Rest
from hermes.spool.writer import MAX_ROW_OCTETS
from tests.support.real_spool import SENDER, START, SpoolTestCase, begun, envelope, fact


def recipients(*addresses: str, start: int = 100) -> tuple[QueuedRecipient, ...]:
    """New recipients, numbered from ``start``."""
    return tuple(
        QueuedRecipient(
            start + number, address, frozenset({"FAILURE"}), "rfc822;list@example.com", "mailbox:x", 0, START
        )
        for number, address in enumerate(addresses)
    )


def sent_on(octets: bytes, *, about: str, body: BodyType = BodyType.SEVEN_BIT) -> NewMessage:
    """A message whose octets come in pieces."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(octets), 50_000):
            yield octets[start : start + 50_000]

    told_by = Event(START, Kind.FORWARDED, about, "list@example.com", SENDER, "", {"to": "z@example.net"})
    return NewMessage(
        Envelope("srs@example.com", (Recipient("z@example.net"),), body),
        b"X: y\n",
        {"z@example.net": "direct:example.net"},
        "<1@example.com>",
        rest=Rest(pieces, len(octets) + octets.count(b"\n")),
        facts={"sent_on_from": about},
        told_by=told_by,
    )


class ReplacingTests(SpoolTestCase):
    """replace()."""

    def replace(
        self, queue_id: str, replaced: Sequence[Replaced], messages: Sequence[NewMessage] = ()
    ) -> list[QueuedMessage] | None:
        """With an event."""
        found: list[QueuedMessage] | None = self.done(
            self.spool.replace(queue_id, replaced, [fact(Kind.EXPANDED, queue_id, "list@example.com")], messages)
        )
        return found

    def test_replaced(self) -> None:
        """The others stand there instead, with everything that belongs to them, and the event is found by their addresses."""
        committed = self.accept(envelope("list@example.com", "b@example.com"))
        new = recipients("c@example.com", "d@example.com")
        self.assertEqual(self.replace(committed.queue_id, [Replaced(0, new)]), [])
        self.reopen()
        (found,) = self.done(self.spool.select(committed.queue_id))
        self.assertEqual(found.recipients, [committed.recipients[1], *new])
        kinds = [event.kind for event in self.done(self.spool.track("D@example.com", 10))]
        self.assertEqual(kinds, [Kind.RECEIVED, Kind.EXPANDED])
        self.assertEqual(self.faults(), [])

    def test_message_of_its_own(self) -> None:
        """A new message is there with the replacement, whole, and both traces name the other."""
        committed = self.accept(envelope("list@example.com"))
        octets = b"line\n" * MAX_ROW_OCTETS
        found = self.replace(committed.queue_id, [Replaced(0, ())], [sent_on(octets, about=committed.queue_id)])
        assert found is not None
        (message,) = found
        self.assertEqual(self.done(self.spool.select(committed.queue_id)), [])
        content = self.done(self.spool.content(message.queue_id))
        prefix = b"Return-Path: <srs@example.com>\n"
        with open(content.path or "", "rb") as file:
            self.assertEqual(file.read(), prefix + b"X: y\n" + octets)
        self.assertEqual((content.size_octets, content.prefix_octets), (len(prefix) + 5 + len(octets), len(prefix)))
        self.assertEqual(content.wire_octets, 6 + 6 * MAX_ROW_OCTETS)
        (forwarded,) = [
            each for each in self.done(self.spool.track(committed.queue_id, 10)) if each.facts.get("message")
        ]
        self.assertEqual(forwarded.facts["message"], message.queue_id)
        (received,) = self.done(self.spool.track(message.queue_id, 10))
        self.assertEqual(received.facts["sent_on_from"], committed.queue_id)
        self.assertEqual(self.body_files(), [message.queue_id])
        self.assertEqual(self.faults(), [])

    def test_binary(self) -> None:
        """A binary message has its lines as they came, and its prefix ends in CRLF."""
        committed = self.accept(envelope("list@example.com"))
        new = sent_on(b"\r\nbody", about=committed.queue_id, body=BodyType.BINARY)
        found = self.replace(committed.queue_id, [Replaced(0, ())], [new])
        assert found is not None
        content = self.done(self.spool.content(found[0].queue_id))
        self.assertEqual(content.data, b"Return-Path: <srs@example.com>\r\nX: y\n\r\nbody")

    def test_file_goes(self) -> None:
        """With its last recipient a large message goes, and its file; while somebody is left it stays."""
        large = self.accept(envelope("list@example.com", "b@example.com"), b"x" * MAX_ROW_OCTETS * 2)
        self.replace(large.queue_id, [Replaced(0, ())])
        self.assertEqual(self.body_files(), [large.queue_id])
        self.replace(large.queue_id, [Replaced(1, ())])
        self.assertEqual(self.body_files(), [])
        self.assertEqual(self.faults(), [])

    def test_not_waiting(self) -> None:
        """Of a message that was held, removed or finished meanwhile nothing is replaced, and no new message comes to be."""
        for change in ("hold", "remove", "settle"):
            committed = self.accept(envelope("list@example.com", "b@example.com"))
            queue_id = committed.queue_id
            if change == "settle":
                self.done(self.spool.settle(queue_id, [Finished(0)], []))
            else:
                self.done(getattr(self.spool, change)(queue_id, fact(Kind.HELD, queue_id)))
            before = self.done(self.spool.select(None))
            self.seen.clear()
            new = sent_on(b"x" * MAX_ROW_OCTETS * 2, about=queue_id)
            self.assertIsNone(self.replace(queue_id, [Replaced(0, recipients("c@example.com"))], [new]))
            self.assertEqual(self.done(self.spool.select(None)), before)
            self.assertEqual(self.seen, [])
            self.assertEqual(self.body_files(), [])
            self.assertEqual(self.faults(), [])

    def test_observed(self) -> None:
        """The observer sees the facts once they are durable."""
        committed = self.accept(envelope("list@example.com"))
        self.seen.clear()
        self.worker.paused = True
        waiting = begun(self.spool.replace(committed.queue_id, [Replaced(0, ())], [fact(Kind.EXPANDED)], []))
        self.assertEqual(self.seen, [])
        self.worker.resume()
        self.assertEqual(self.successResultOf(waiting), [])
        self.assertEqual([event.kind for event in self.seen], [Kind.EXPANDED])
