"""The question where a message is, asked in every way, and what is forgotten when."""

from __future__ import annotations

from unittest.mock import patch

from hermes.core.event import Event, Kind
from hermes.core.message import Finished, Postponed
from hermes.spool import trace
from hermes.spool.trace import MAX_KEY_CHARACTERS
from tests.support.real_spool import SENDER, START, SpoolTestCase, envelope, fact

HOUR = 3600.0
DAY = 24 * HOUR


class TrackTests(SpoolTestCase):
    """track()."""

    def tracked(self, query: str, limit: int = 100) -> list[Event]:
        """What the running server says."""
        return self.done(self.spool.track(query, limit))

    def test_by_every_name(self) -> None:
        """Queue id, sender, each recipient and Message-ID lead to all that happened to a message, newest last."""
        committed = self.accept(envelope("a@example.com", "b@example.net"), message_id="<Abc@example.org>")
        other = self.accept(envelope("c@example.com", reverse_path="x@example.org"), message_id="<2@example.org>")
        steps = [
            fact(Kind.DEFERRED, committed.queue_id, "a@example.com"),
            fact(Kind.RELAYED, committed.queue_id, "b@example.net"),
        ]
        self.done(self.spool.settle(committed.queue_id, [Postponed(0, 1, START, ""), Finished(1)], steps))
        steps.append(fact(Kind.DELIVERED, committed.queue_id, "a@example.com"))
        self.done(self.spool.settle(committed.queue_id, [Finished(0)], steps[2:]))
        for query in (
            committed.queue_id,
            committed.queue_id.lower(),
            f" {committed.queue_id} ",
            SENDER,
            "a@example.com",
            "A@EXAMPLE.com",
            "<b@example.net>",
            "<Abc@example.org>",
            "abc@example.org",
        ):
            found = self.tracked(query)
            self.assertEqual(found[1:], steps, query)
            self.assertIs(found[0].kind, Kind.RECEIVED)
        self.assertEqual([event.queue_id for event in self.tracked("c@example.com")], [other.queue_id])
        for query in ("", "<>", "nobody@example.com", "000000000000", "a@example.co"):
            self.assertEqual(self.tracked(query), [], query)

    def test_thousand_recipients(self) -> None:
        """Every one of very many recipients can ask."""
        addresses = [f"user{number}@example.com" for number in range(1000)]
        committed = self.accept(envelope(*addresses))
        for address in (addresses[0], addresses[500], addresses[999]):
            self.assertEqual([event.queue_id for event in self.tracked(address)], [committed.queue_id])

    def test_repeated_recipient(self) -> None:
        """Addresses that are the same to us do not count twice, nor does a sender who writes to himself."""
        self.accept(envelope("a@example.com", "A@example.com", reverse_path="a@EXAMPLE.com"))
        self.assertEqual(len(self.tracked("a@example.com")), 1)

    def test_facts_that_stand_alone(self) -> None:
        """What never became a message is found by its addresses, and by the queue id that it would have had."""
        refused = Event(
            START,
            Kind.REFUSED,
            "",
            "nobody@example.com",
            "spam@example.net",
            "",
            {"rule": "recipient.unknown", "n": 1.5},
        )
        failed = Event(START + 1, Kind.REFUSED, "01K0PK33VJSH", "", "spam@example.net", "<9@example.net>", {})
        login = Event(START + 2, Kind.LOGIN, address="anna", facts={"ok": True, "tls": None})
        self.done(self.spool.record([refused, failed]))
        self.spool.journal.record(login)
        self.assertEqual(self.tracked("nobody@example.com"), [refused])
        self.assertEqual(self.tracked("spam@example.net"), [refused, failed])
        self.assertEqual(self.tracked("01K0PK33VJSH"), [failed])
        self.assertEqual(self.tracked("9@example.net"), [failed])
        self.assertEqual(self.tracked("ANNA"), [login])
        self.assertEqual(self.seen, [refused, failed, login])

    def test_hours_apart(self) -> None:
        """What happened hours or months apart is found together."""
        expected = []
        for pause in (0.0, 1.0, HOUR, 5 * DAY, 60 * DAY):
            self.time += pause
            expected.append(self.accept(envelope("a@example.com")).queue_id)
        self.assertEqual([event.queue_id for event in self.tracked("a@example.com")], expected)

    def test_limit(self) -> None:
        """No more than asked for, and then those of the latest messages."""
        ids = []
        for number in range(6):
            self.time = START + number * HOUR / 2
            ids.append(self.accept(envelope("a@example.com")).queue_id)
            self.spool.journal.record(fact(Kind.LOGIN, address="a@example.com", at=self.time))
        for limit in (1, 2, 3, 7, 11, 12, 13):
            found = self.tracked("a@example.com", limit)
            self.assertEqual(len(found), min(limit, 12))
            self.assertIs(found[-1].kind, Kind.LOGIN)
        self.assertEqual([event.queue_id for event in self.tracked("a@example.com", 4)], [ids[4], "", ids[5], ""])
        for _ in range(5):
            self.done(self.spool.settle(ids[0], [], [fact(Kind.DEFERRED, ids[0])]))
        self.assertEqual([event.kind for event in self.tracked(ids[0], 3)], [Kind.DEFERRED] * 3)

    def test_long_keys(self) -> None:
        """A Message-ID as long as a line may be does not make the index grow; it is found all the same."""
        for length in (MAX_KEY_CHARACTERS - 1, MAX_KEY_CHARACTERS, MAX_KEY_CHARACTERS + 1, 990):
            message_id = "m" * length
            committed = self.accept(envelope("a@example.com"), message_id=f"<{message_id}>")
            self.assertIn(committed.queue_id, [event.queue_id for event in self.tracked(message_id)])
        connection = self.spool._committer._connection
        (longest,) = connection.execute("SELECT max(length(key)) FROM trace_keys").fetchone()
        self.assertEqual(longest, MAX_KEY_CHARACTERS)

    def test_texts_from_anywhere(self) -> None:
        """Facts keep what other servers and clients wrote, whatever that was."""
        facts: dict[str, str | int | float | bool | None] = {
            "reply": '550 5.1.1 n\u00e3o \u0000 "existe" \udcff',
            "attempt": 3,
            "ok": False,
            "none": None,
        }
        event = Event(START, Kind.FAILED, "", "\udcff@example.com", None, "", facts)
        self.done(self.spool.record([event]))
        (found,) = self.tracked("\udcff@example.com")
        self.assertEqual(found.facts, facts)
        self.assertEqual(found.address, "?@example.com")
        self.assertIsNone(found.reverse_path)


class ExpiryTests(SpoolTestCase):
    """expire_trace()."""

    def expire(self, before: float) -> None:
        """Forget."""
        self.done(self.spool.expire_trace(before))

    def count(self, table: str) -> int:
        """How many rows there are."""
        (count,) = self.spool._committer._connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(count)

    def finished(self, address: str, at: float, settled_at: float) -> str:
        """A message that came and went."""
        self.time = at
        queue_id = self.accept(envelope(address)).queue_id
        delivered = fact(Kind.DELIVERED, queue_id, address, at=settled_at)
        self.done(self.spool.settle(queue_id, [Finished(0)], [delivered]))
        return queue_id

    def test_forgotten(self) -> None:
        """What is older goes, with its keys; what is as old or younger stays."""
        self.finished("old@example.com", START - 1, START - 0.5)
        self.finished("young@example.com", START, START)
        self.spool.journal.record(fact(Kind.LOGIN, address="anna", at=START - HOUR))
        self.spool.journal.record(fact(Kind.LOGIN, address="bert", at=START))
        self.expire(START)
        for query, count in (("old@example.com", 0), ("young@example.com", 2), ("anna", 0), ("bert", 1), (SENDER, 2)):
            self.assertEqual(len(self.done(self.spool.track(query, 10))), count, query)
        self.expire(START + HOUR)
        self.assertEqual((self.count("events"), self.count("trace_keys")), (0, 0))

    def test_kept_whole(self) -> None:
        """The story of a message is not cut: it stays while the message is queued or any of it is young."""
        self.finished("slow@example.com", START - 5 * DAY, START + DAY)
        self.time = START - 4 * DAY
        queued = self.accept(envelope("queued@example.com")).queue_id
        self.expire(START)
        self.assertEqual(len(self.done(self.spool.track("slow@example.com", 10))), 2)
        self.assertEqual(len(self.done(self.spool.track("queued@example.com", 10))), 1)
        self.done(self.spool.settle(queued, [Finished(0)], []))
        self.expire(START + 2 * DAY)
        self.assertEqual((self.count("events"), self.count("trace_keys")), (0, 0))

    def test_step_by_step(self) -> None:
        """However much there is to forget, each step is small and others get their turn between two."""
        for number in range(12):
            self.finished(f"user{number}@example.com", START + number, START + number)
        with patch.object(trace, "EXPIRE_STEP", 5):
            before = len(self.worker.groups)
            self.expire(START + 2 * HOUR)
            self.assertGreater(len(self.worker.groups) - before, 24 // 5 + 36 // 5)
        self.assertEqual((self.count("events"), self.count("trace_keys")), (0, 0))

    def test_asked_in_between(self) -> None:
        """Between two steps of forgetting, keys whose events are gone lead nowhere."""
        self.finished("a@example.com", START, START)
        self.spool._committer._connection.execute("DELETE FROM events WHERE kind = 'received'")
        self.assertEqual(self.done(self.spool.track("a@example.com", 10)), [])

    def test_nothing_to_forget(self) -> None:
        """When nothing is old enough, one look is all it takes."""
        for _ in range(5):
            self.finished("a@example.com", START, START)
        before = len(self.worker.groups)
        self.expire(START - DAY)
        self.assertEqual(len(self.worker.groups) - before, 2)
        self.assertEqual(self.count("events"), 10)
