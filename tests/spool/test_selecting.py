"""Selections in the store: what is found, counted, listed and changed is what the selection means."""

from __future__ import annotations

import os
import sqlite3
from unittest.mock import patch

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.core.envelope import Origin
from hermes.core.event import Kind
from hermes.core.identifiers import encode
from hermes.core.message import Postponed, QueuedMessage, State
from hermes.core.order import KINDS, Action, Chosen, Order
from hermes.core.selection import STATES, Selection
from hermes.core.shape import AGES, By, Counted
from hermes.spool import schema, selecting
from hermes.spool.reader import SpoolReader
from hermes.spool.writer import MAX_ROW_OCTETS
from tests.support.real_spool import START, SpoolTestCase, envelope, fact

ADDRESSES = ("bob@example.net", "Joe@Example.NET", "news-1@sub.example.net", "ann@example.com")
PATTERNS = ("", "example.net", "*.example.net", "news-*@sub.example.net", "bob@EXAMPLE.net", "*", "<>")
WAYS = ("direct:example.net", "smarthost:Office", "local:bob", "smarthost:Ünder")
REASONS = ("", "452 Mailbox FULL", "451 später")

criteria = st.builds(
    Selection,
    ids=st.lists(st.integers(0, 3).map(lambda number: encode(int(START * 1e6) + number)), max_size=2).map(tuple),
    to=st.sampled_from(PATTERNS),
    sender=st.sampled_from(PATTERNS),
    destination=st.sampled_from(("", "direct", "smarthost:o*", "OFFICE", "smarthost:ünder", "example.net", "x")),
    accepted_before=st.sampled_from((None, START, START + 1)),
    accepted_after=st.sampled_from((None, START - 1, START)),
    reply=st.sampled_from(("", "mailbox", "SPÄTER", "später", "%")),
    state=st.sampled_from(("", *STATES)),
    account=st.sampled_from(("", "anna", "ANNA", "bob")),
    what=st.sampled_from(("", "smarthost", "example.net", "*.example.net", "bob@example.net", "*")),
)
recipients = st.lists(
    st.tuples(
        st.sampled_from(ADDRESSES), st.sampled_from(WAYS), st.sampled_from(REASONS), st.integers(0, 2), st.booleans()
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each[0],
)
messages = st.lists(
    st.tuples(
        st.sampled_from(("", "anna@example.org", *ADDRESSES)), st.sampled_from((None, "Anna", "bob")), recipients
    ),
    max_size=4,
)


class SelectingTestCase(SpoolTestCase):
    """A spool with messages in it."""

    def message(
        self, *recipients: tuple[str, str, str, int, bool], sender: str = "", account: str | None = None
    ) -> QueuedMessage:
        """A message with recipients: address, way, last reason, attempts, held."""
        committed = self.accept(
            envelope(*(each[0] for each in recipients), reverse_path=sender),
            destinations={each[0]: each[1] for each in recipients},
            origin=Origin("ESMTP", account=account),
        )
        settlements = [Postponed(n, each[3], START, each[2]) for n, each in enumerate(recipients)]
        self.done(self.spool.settle(committed.queue_id, settlements, []))
        for number, each in enumerate(recipients):
            if each[4]:
                self.worker_connection().execute(
                    "UPDATE recipients SET state = 'held' WHERE queue_id = ? AND ordinal = ?",
                    (committed.queue_id, number),
                )
        return committed

    def worker_connection(self) -> sqlite3.Connection:
        """The spool's own connection, which its thread would have."""
        return self.spool._committer._connection

    def walked(self, selection: Selection) -> dict[str, list[int]]:
        """All steps."""
        found: dict[str, list[int]] = {}
        after: str | None = ""
        while after is not None:
            chosen = self.done(self.spool.choose(selection, after))
            found |= chosen.recipients
            after = chosen.after
        return found

    def changed(self, action: Action, selection: Selection, **more: object) -> Chosen:
        """Carry out an order in one step."""
        order = Order(action, selection, **more)  # type: ignore[arg-type]
        return self.done(self.spool.change(order, fact(KINDS[action]), ""))


class StatesTests(SelectingTestCase):
    """What waits, by state."""

    def states(self) -> dict[str, Counted]:
        """As another process sees it."""
        with SpoolReader(self.directory) as reader:
            return reader.states()

    def test_states(self) -> None:
        """What was tried is deferred; a message with recipients in two states counts in both; the oldest one has its time."""
        self.assertEqual(self.states(), {})
        self.message(("a@example.com", "local:a", "", 0, False), ("b@example.com", "local:b", "", 2, False))
        self.time += 10
        self.message(("c@example.com", "local:c", "", 0, True), ("d@example.com", "local:d", "", 1, False))
        self.time += 10
        self.message(("e@example.com", "local:e", "", 0, False), ("f@example.com", "local:f", "", 0, False))
        self.assertEqual(
            self.states(),
            {
                "queued": Counted(2, 3, oldest_at=START),
                "deferred": Counted(2, 2, oldest_at=START),
                "held": Counted(1, 1, oldest_at=START + 10),
            },
        )

    def test_never_used(self) -> None:
        """A spool that was never used has nothing in it."""
        with SpoolReader(self.mktemp()) as reader:
            self.assertEqual(reader.states(), {})


class ModelTests(SelectingTestCase):
    """The store says the same as the selection itself."""

    @settings(max_examples=60, deadline=None)
    @given(messages, criteria, st.integers(1, 5))
    def test_same(
        self,
        queue: list[tuple[str, str | None, list[tuple[str, str, str, int, bool]]]],
        selection: Selection,
        step: int,
    ) -> None:
        """Whatever is in the queue, and whatever is asked: found, listed and counted are those whom the selection takes."""
        for message in self.done(self.spool.select(None)):
            self.done(self.spool.remove(message.queue_id, fact(Kind.REMOVED, message.queue_id)))
        for sender, account, to in queue:
            self.message(*to, sender=sender, account=account)
        everything = self.done(self.spool.select(None))
        expected = {
            message.queue_id: ordinals
            for message in everything
            if (ordinals := [each.ordinal for each in message.recipients if selection.takes(message, each)])
        }
        with patch.object(selecting, "STEP_RECIPIENTS", step):
            self.assertEqual(self.walked(selection), expected)
        with SpoolReader(self.directory) as reader:
            listed = list(reader.listed(selection))
            counted = reader.counted(selection)
            shape = reader.shape(selection, By.DOMAIN, START)
            self.assertEqual(list(reader.listed(selection, 2)), listed[:2])
        found = {message.queue_id: [each.ordinal for each in message.recipients] for message in listed}
        self.assertEqual(found, expected)
        number = sum(map(len, expected.values()))
        self.assertEqual((counted.messages, counted.recipients), (len(expected), number))
        self.assertEqual(sum(map(sum, shape.values())), number)
        if selection.is_everything:
            self.assertEqual(listed, everything)


class ReaderTests(SelectingTestCase):
    """Counts and shapes."""

    def test_nothing(self) -> None:
        """A queue that is empty, and one that there never was."""
        for directory in (self.directory, self.mktemp()):
            with SpoolReader(directory) as reader:
                self.assertEqual(reader.counted(Selection()), Counted())
                self.assertEqual(list(reader.listed(Selection())), [])
                self.assertEqual(reader.shape(Selection(), By.DESTINATION, START), {})

    def test_count(self) -> None:
        """Messages count once, their sizes too."""
        self.message(("a@x.example", "direct:x", "", 0, False), ("b@x.example", "direct:x", "", 0, True))
        self.time += 10
        self.message(("a@y.example", "direct:y", "", 0, False))
        with SpoolReader(self.directory) as reader:
            counted = reader.counted(Selection())
            octets = sum(each.content.wire_octets for each in reader.queue())
            self.assertEqual(counted, Counted(2, 3, 1, octets, START))
            self.assertEqual(reader.counted(Selection(to="y.example")).oldest_at, START + 10)

    def test_shape(self) -> None:
        """Each recipient stands in the column of its age, which begins at the age at the head of the one before."""
        self.message(
            ("a@x.example", "direct:X", "", 0, False), ("b@Y.example", "smarthost:o", "", 0, True), sender="s@Z.example"
        )
        with SpoolReader(self.directory) as reader:
            for by, names in (
                (By.DESTINATION, {"direct:X", "smarthost:o"}),
                (By.DOMAIN, {"x.example", "y.example"}),
                (By.SENDER, {"z.example"}),
            ):
                self.assertEqual(set(reader.shape(Selection(), by, START)), names)
            for number, age in enumerate(AGES):
                below, at = (reader.shape(Selection(), By.SENDER, START + age + more) for more in (-0.5, 0))
                self.assertEqual(below["z.example"][number], 2)
                self.assertEqual(at["z.example"][number + 1], 2)


class ChangeTests(SelectingTestCase):
    """Orders, and what they leave."""

    def setUp(self) -> None:
        """Two messages, of the first one two recipients."""
        super().setUp()
        self.first = self.message(
            ("a@x.example", "direct:x.example", "", 1, False), ("b@y.example", "direct:y.example", "", 1, False)
        ).queue_id
        self.second = self.message(("c@x.example", "direct:x.example", "", 1, False)).queue_id
        self.seen.clear()
        self.time += 100

    def states(self, queue_id: str) -> list[State]:
        """The states of a message's recipients."""
        (message,) = self.done(self.spool.select(queue_id))
        return [each.state for each in message.recipients]

    def test_hold_and_release(self) -> None:
        """Only the recipients that are meant are held; each message has the fact; nobody is held twice."""
        at_x = Selection(to="x.example")
        chosen = self.changed(Action.HOLD, at_x)
        self.assertEqual(chosen.recipients, {self.first: [0], self.second: [0]})
        self.assertEqual(self.states(self.first), [State.HELD, State.QUEUED])
        self.assertEqual(
            [(event.kind, event.queue_id) for event in self.seen], [(Kind.HELD, self.first), (Kind.HELD, self.second)]
        )
        self.assertEqual(self.done(self.spool.track(self.first, 10))[-1], self.seen[0])
        self.assertEqual(self.seen[0].facts["recipients"], 1)
        self.assertEqual(self.changed(Action.HOLD, at_x).recipients, {})
        self.assertEqual(self.changed(Action.RETRY, at_x).recipients, {})
        self.assertEqual(self.changed(Action.RELEASE, Selection()).recipients, chosen.recipients)
        (message,) = self.done(self.spool.select(self.first))
        self.assertEqual([each.released for each in message.recipients], [True, False])
        self.assertEqual(self.states(self.first), [State.QUEUED] * 2)

    def test_retry(self) -> None:
        """They are due at the time of the order."""
        later = [Postponed(0, 2, START + 5000, "")]
        self.done(self.spool.settle(self.second, later, []))
        self.changed(Action.RETRY, Selection(ids=(self.second,)))
        (message,) = self.done(self.spool.select(self.second))
        self.assertEqual(message.recipients[0].next_attempt_at, START)

    def test_remove(self) -> None:
        """A message goes with its last recipient, and its file with it."""
        large = self.accept(envelope("z@x.example"), bytes(MAX_ROW_OCTETS + 1)).queue_id
        self.assertEqual(self.body_files(), [large])
        chosen = self.changed(Action.REMOVE, Selection(to="x.example"))
        self.assertEqual(set(chosen.gone), {self.second, large})
        self.assertEqual(self.states(self.first), [State.QUEUED])
        self.assertEqual(self.done(self.spool.select(self.second)), [])
        self.assertEqual(self.body_files(), [])
        self.assertEqual(self.faults(), [])

    def test_pause(self) -> None:
        """Who is paused is not due, until that is resumed; held ones stay held; a drain takes those that wait, paused or not."""
        self.changed(Action.HOLD, Selection(to="y.example"))
        what = Selection(what="x.example")
        self.assertEqual(self.changed(Action.PAUSE, what).recipients, {self.first: [0], self.second: [0]})
        self.assertEqual(self.states(self.first), [State.PAUSED, State.HELD])
        self.reopen()
        self.assertEqual(self.due_ids(), [])
        self.assertEqual(self.walked(Selection(state="paused")), {self.first: [0], self.second: [0]})
        self.assertEqual(self.changed(Action.RETRY, Selection()).recipients, {})
        self.assertEqual(self.changed(Action.RESUME, Selection(ids=(self.second,))).recipients, {self.second: [0]})
        self.assertEqual(self.due_ids(), [self.second])
        self.assertEqual(self.changed(Action.DRAIN, what).recipients, {self.first: [0], self.second: [0]})
        (message,) = self.done(self.spool.select(self.first))
        self.assertEqual([each.drained for each in message.recipients], [True, False])
        self.assertFalse(message.recipients[0].released)
        self.changed(Action.HOLD, Selection())
        self.changed(Action.RELEASE, Selection())
        (message,) = self.done(self.spool.select(self.first))
        self.assertEqual([(each.released, each.drained) for each in message.recipients], [(True, True), (True, False)])

    def test_reroute_of_the_paused(self) -> None:
        """Another way need not be paused: it is looked at anew."""
        self.changed(Action.PAUSE, Selection())
        self.changed(Action.HOLD, Selection(to="y.example"))
        self.changed(Action.REROUTE, Selection(), destination="smarthost:o")
        self.assertEqual(self.states(self.first), [State.QUEUED, State.HELD])

    def test_reroute(self) -> None:
        """A way for all, or each recipient's own; due at once."""
        for order, ways, pinned in (
            (("smarthost:o", True), ["smarthost:o", "smarthost:o"], True),
            (("direct", True), ["direct:x.example", "direct:y.example"], True),
            (("unrouted:x", False), ["unrouted:x", "unrouted:x"], False),
        ):
            self.changed(Action.REROUTE, Selection(ids=(self.first,)), destination=order[0], pinned=order[1])
            (message,) = self.done(self.spool.select(self.first))
            self.assertEqual([each.destination for each in message.recipients], ways)
            self.assertEqual({(each.pinned, each.next_attempt_at) for each in message.recipients}, {(pinned, START)})

    def test_expire(self) -> None:
        """Another time, which is that of the last attempt at the latest; and the one that is configured again."""
        self.done(self.spool.settle(self.second, [Postponed(0, 2, START + 5000, "")], []))
        for expires_at, next_attempt_at in ((START + 9000, START + 5000), (START + 60, START + 60), (None, START + 60)):
            self.changed(Action.EXPIRE, Selection(ids=(self.second,)), expires_at=expires_at)
            (message,) = self.done(self.spool.select(self.second))
            (recipient,) = message.recipients
            self.assertEqual((recipient.expires_at, recipient.next_attempt_at), (expires_at, next_attempt_at))

    def test_kept(self) -> None:
        """What was said of a recipient outlives its next attempt, and a restart."""
        self.changed(Action.REROUTE, Selection(ids=(self.second,)), destination="smarthost:o")
        self.changed(Action.EXPIRE, Selection(ids=(self.second,)), expires_at=START + 60)
        self.done(self.spool.settle(self.second, [Postponed(0, 2, START + 30, "later")], []))
        self.reopen()
        (message,) = self.done(self.spool.select(self.second))
        (recipient,) = message.recipients
        self.assertEqual(
            (recipient.destination, recipient.pinned, recipient.expires_at), ("smarthost:o", True, START + 60)
        )


class MigrationTests(SpoolTestCase):
    """A spool of the first schema."""

    def test_older_spool(self) -> None:
        """Its recipients have no orders, and take some."""
        self.done(self.spool.close())
        self.directory = self.mktemp()
        with patch.object(schema, "MIGRATIONS", schema.MIGRATIONS[:1]):
            os.mkdir(self.directory)
            connection = sqlite3.connect(os.path.join(self.directory, "spool.sqlite"), isolation_level=None)
            schema.migrate(connection, schema.MIGRATIONS)
            connection.execute(
                "INSERT INTO messages VALUES ('000000000001', 1, '', '7BIT', 0, NULL, NULL,"
                " 'ESMTP', '', '', NULL, NULL, '', 3, 3, 0, 0)"
            )
            connection.execute(
                "INSERT INTO recipients VALUES ('000000000001', 0, 'a@example.org', NULL, NULL, 'local:a', 0, 1, 'queued', '', 0)"
            )
            connection.execute("INSERT INTO bodies VALUES ('000000000001', x'610a')")
            connection.close()
        self.spool = self.opened()
        (message,) = self.done(self.spool.select("000000000001"))
        (recipient,) = message.recipients
        self.assertEqual((recipient.pinned, recipient.released, recipient.expires_at), (False, False, None))
        order = Order(Action.EXPIRE, Selection(), expires_at=START)
        self.done(self.spool.change(order, fact(Kind.EXPIRY), ""))
        (message,) = self.done(self.spool.select("000000000001"))
        self.assertEqual(attrs.evolve(recipient, expires_at=START, next_attempt_at=1), message.recipients[0])
