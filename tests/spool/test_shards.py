"""Several shards read as one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Event, Kind
from hermes.core.message import QueuedMessage
from hermes.core.selection import Selection
from hermes.core.shape import By
from hermes.spool.errors import SpoolError
from hermes.spool.shards import ShardsReader
from hermes.spool.store import Spool
from tests.support.real_spool import START, SpoolTestCase, envelope
from tests.support.worker import ImmediateWorker


class ShardsTests(SpoolTestCase):
    """Two shards, with a message in each."""

    def setUp(self) -> None:
        """Open a second shard beside the first."""
        super().setUp()
        self.other_directory = self.mktemp()
        self.other = Spool(
            self.other_directory,
            ImmediateWorker(),
            ImmediateWorker(),
            now=lambda: self.time,
            observer=self.seen.append,
            shard=1,
        )
        self.done(self.other.open())
        self.addCleanup(lambda: self.done(self.other.close()))
        self.first = self.accept(envelope("a@example.com"))
        self.time += 1
        self.second = self.accept_there("a@example.com")

    def accept_there(self, recipient: str) -> QueuedMessage:
        """A message in the other shard."""
        here, self.spool = self.spool, self.other
        try:
            return self.accept(envelope(recipient))
        finally:
            self.spool = here

    def look(self) -> ShardsReader:
        """A reader of both, in the wrong order."""
        reader = ShardsReader([self.other_directory, self.directory])
        self.addCleanup(reader.close)
        return reader

    def test_queue(self) -> None:
        """All messages, oldest first, or one, or so many; and how many there are."""
        with self.look() as reader:
            ids = [self.first.queue_id, self.second.queue_id]
            self.assertEqual([message.queue_id for message in reader.queue()], ids)
            self.assertEqual([message.queue_id for message in reader.queue(limit=1)], ids[:1])
            self.assertEqual([message.queue_id for message in reader.queue(ids[1])], ids[1:])
            self.assertEqual(reader.count(), 2)

    def test_selected(self) -> None:
        """What a selection names is listed in order, counted, and seen by age, over all shards."""
        reader, everything = self.look(), Selection()
        ids = [self.first.queue_id, self.second.queue_id]
        self.assertEqual([message.queue_id for message in reader.listed(everything)], ids)
        self.assertEqual([message.queue_id for message in reader.listed(everything, 1)], ids[:1])
        counted = reader.counted(everything)
        self.assertEqual((counted.messages, counted.oldest_at), (2, self.first.accepted_at))
        (numbers,) = reader.shape(everything, By.DOMAIN, self.time).values()
        self.assertEqual(sum(numbers), 2)

    def test_track(self) -> None:
        """What is known in any shard, newest last; of more than is wanted the newest."""
        reader = self.look()
        for query in ("a@example.com", "sender@example.org", "<1@example.org>"):
            self.assertEqual(
                [event.queue_id for event in reader.track(query)], [self.first.queue_id, self.second.queue_id]
            )
        self.assertEqual([event.queue_id for event in reader.track("a@example.com", 1)], [self.second.queue_id])
        self.assertEqual(len(reader.track(self.first.queue_id)), 1)

    def test_read_at_another_worker(self) -> None:
        """Who fetched a message is told with it, though the session was another worker's than the message."""
        self.done(self.other.record([Event(START + 9, Kind.RETRIEVED, self.first.queue_id, "anna")]))
        for query in ("a@example.com", self.first.queue_id):
            found = [(event.kind, event.queue_id) for event in self.look().track(query)]
            self.assertIn((Kind.RETRIEVED, self.first.queue_id), found)
            self.assertEqual(found[-1][0], Kind.RETRIEVED)

    def test_one_that_cannot_be_read(self) -> None:
        """Half an answer is none; and nothing stays open."""
        self.done(self.other.close())
        with open(f"{self.other_directory}/spool.sqlite", "wb") as file:
            file.write(b"no database" * 1000)
        self.assertRaises(SpoolError, ShardsReader, [self.directory, self.other_directory])
        self.assertRaises(SpoolError, ShardsReader, [self.other_directory, self.directory])


class NoneTests(SynchronousTestCase):
    """A site that was never used."""

    def test_empty(self) -> None:
        """There is nothing in it."""
        with ShardsReader([self.mktemp(), self.mktemp()]) as reader:
            self.assertEqual((reader.queue(), reader.count(), reader.track("a@example.com")), ([], 0, []))
