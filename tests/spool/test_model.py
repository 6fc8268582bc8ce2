"""The spool against a model of it: whatever is done in whatever order, both say the same."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable
from typing import TypeVar

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import Origin
from hermes.core.event import Event, Kind
from hermes.core.message import Finished, Postponed, Settlement
from hermes.spool import schedule
from hermes.spool.reader import SpoolReader
from hermes.spool.store import Spool
from tests.support.real_spool import START, begun, envelope, fact
from tests.support.worker import ImmediateWorker

T = TypeVar("T")

DESTINATIONS = ("direct:a", "direct:b", "local:c", "smarthost:d")

times = st.integers(min_value=0, max_value=5).map(lambda minutes: START + 60 * minutes)
destinations = st.lists(st.sampled_from(DESTINATIONS), min_size=1, max_size=4)
sizes = st.sampled_from((0, 17, 128 * 1024, 128 * 1024 + 1))


@attrs.define
class Waiting:
    """A recipient as the model knows it."""

    destination: str
    next_attempt_at: float
    attempts: int = 0
    held: bool = False


@attrs.define
class Known:
    """A message as the model knows it."""

    octets: bytes
    recipients: dict[int, Waiting]


class SpoolMachine(RuleBasedStateMachine):
    """Does to the spool what the queue and an administrator may do."""

    messages: Bundle[str] = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp()
        self.now = START
        self.model: dict[str, Known] = {}
        self.events: dict[str, list[Kind]] = {}
        self.scan = schedule.SCAN_RECIPIENTS
        self.open()

    def open(self) -> None:
        """Open the spool."""
        workers = ImmediateWorker(), ImmediateWorker()
        self.spool = Spool(self.directory, *workers, now=lambda: self.now, observer=self.observe)
        self.done(self.spool.open())

    def observe(self, event: Event) -> None:
        """Note what became durable."""
        self.events.setdefault(event.queue_id, []).append(event.kind)

    def done(self, awaitable: Awaitable[T]) -> T:
        """The result of what does not have to wait."""
        results: list[T] = []
        deferred: Deferred[None] = begun(awaitable).addCallback(results.append)
        faults: list[object] = []
        _ = deferred.addErrback(faults.append)
        assert not faults, faults
        return results[0]

    @rule(target=messages, ways=destinations, size=sizes)
    def accept(self, ways: list[str], size: int) -> str:
        """A message comes in."""
        addresses = {f"user{number}@example.com": way for number, way in enumerate(ways)}
        sent = envelope(*addresses)
        writer = self.spool.create()
        octets = (writer.queue_id.encode("ascii") * (size // 12 + 1))[:size]
        writer.write(octets)
        message = self.done(writer.commit(sent, Origin("ESMTP"), addresses, "", size, 0, {}))
        waiting = {number: Waiting(way, self.now) for number, way in enumerate(ways)}
        self.model[message.queue_id] = Known(octets, waiting)
        return str(message.queue_id)

    @rule(size=sizes)
    def give_up(self, size: int) -> None:
        """A message comes in and is refused."""
        writer = self.spool.create()
        writer.write(bytes(size))
        writer.abort()

    @rule(queue_id=messages, data=st.data(), at=times)
    def settle(self, queue_id: str, data: st.DataObject, at: float) -> None:
        """An attempt at some of the recipients ends."""
        known = self.model.get(queue_id)
        tried = data.draw(st.sets(st.sampled_from(sorted(known.recipients)))) if known else {0}
        settlements: list[Settlement] = []
        for ordinal in sorted(tried):
            waiting = known.recipients[ordinal] if known else Waiting("", at)
            if data.draw(st.booleans()):
                settlements.append(Finished(ordinal))
                if known:
                    del known.recipients[ordinal]
            else:
                waiting.attempts += 1
                waiting.next_attempt_at = at
                settlements.append(Postponed(ordinal, waiting.attempts, at, "later"))
        self.done(self.spool.settle(queue_id, settlements, [fact(Kind.DEFERRED, queue_id)]))
        if known and not known.recipients:
            del self.model[queue_id]

    @rule(queue_id=messages)
    def hold(self, queue_id: str) -> None:
        """An administrator stops a message."""
        there = queue_id in self.model
        assert self.done(self.spool.hold(queue_id, fact(Kind.HELD, queue_id))) is there
        for waiting in self.model[queue_id].recipients.values() if there else ():
            waiting.held = True

    @rule(queue_id=messages, at=times)
    def release(self, queue_id: str, at: float) -> None:
        """An administrator lets a message go on."""
        there = queue_id in self.model
        assert self.done(self.spool.release(queue_id, fact(Kind.RELEASED, queue_id, at=at))) is there
        for waiting in self.model[queue_id].recipients.values() if there else ():
            if waiting.held:
                waiting.held, waiting.next_attempt_at = False, at

    @rule(queue_id=consumes(messages))
    def remove(self, queue_id: str) -> None:
        """An administrator takes a message out."""
        there = self.model.pop(queue_id, None) is not None
        assert self.done(self.spool.remove(queue_id, fact(Kind.REMOVED, queue_id))) is there

    @rule(queue_id=st.one_of(st.none(), messages))
    def retry(self, queue_id: str | None) -> None:
        """An administrator wants an attempt now."""
        asked = [queue_id] if queue_id is not None else list(self.model)
        touched = 0
        for name in asked:
            waiting = (
                [each for each in self.model[name].recipients.values() if not each.held] if name in self.model else []
            )
            touched += bool(waiting)
            for each in waiting:
                each.next_attempt_at = self.now
        assert self.done(self.spool.retry(queue_id, fact(Kind.RETRIED, queue_id or ""), self.now)) == touched

    @rule(at=times)
    def wait(self, at: float) -> None:
        """Time passes, or the clock is set back."""
        self.now = at

    @rule()
    def restart(self) -> None:
        """The server is stopped and started."""
        self.done(self.spool.close())
        self.open()

    @rule(scan=st.sampled_from((1, 2, 2000)))
    def long_line(self, scan: int) -> None:
        """So many wait in front that the other way of looking is taken."""
        schedule.SCAN_RECIPIENTS = scan

    @rule(busy=st.sets(st.sampled_from(DESTINATIONS)), limit=st.integers(1, 4), data=st.data())
    def due(self, busy: set[str], limit: int, data: st.DataObject) -> None:
        """The queue asks what is due."""
        active = data.draw(st.sets(st.sampled_from(sorted(self.model)))) if self.model else set()
        free = {
            queue_id: {
                ordinal: waiting.next_attempt_at
                for ordinal, waiting in known.recipients.items()
                if not waiting.held and waiting.destination not in busy
            }
            for queue_id, known in self.model.items()
            if queue_id not in active
        }
        first = min((at for recipients in free.values() for at in recipients.values()), default=None)
        assert self.done(self.spool.next_due(busy, active)) == first
        expected = {
            queue_id: {ordinal: at for ordinal, at in recipients.items() if at <= self.now}
            for queue_id, recipients in free.items()
        }
        expected = {queue_id: recipients for queue_id, recipients in expected.items() if recipients}
        found = self.done(self.spool.due(self.now, limit, busy, active))
        assert len(found) == min(limit, len(expected))
        for message in found:
            assert {each.ordinal: each.next_attempt_at for each in message.recipients} == expected[message.queue_id]
        oldest = [min(expected[message.queue_id].values()) for message in found]
        assert oldest == sorted(min(recipients.values()) for recipients in expected.values())[:limit]

    @invariant()
    def same(self) -> None:
        """Spool and model hold the same, and the spool is sound."""
        found = {message.queue_id: message for message in self.done(self.spool.select(None))}
        assert list(found) == sorted(self.model)
        for queue_id, known in self.model.items():
            recipients = {each.ordinal: each for each in found[queue_id].recipients}
            assert recipients.keys() == known.recipients.keys()
            for ordinal, waiting in known.recipients.items():
                each = recipients[ordinal]
                assert (each.destination, each.next_attempt_at) == (waiting.destination, waiting.next_attempt_at)
                assert (each.attempts, each.state.value) == (waiting.attempts, "held" if waiting.held else "queued")
            content = self.done(self.spool.content(queue_id))
            if content.path is not None:
                with open(content.path, "rb") as file:
                    assert file.read() == known.octets
            else:
                assert content.data == known.octets
        with SpoolReader(self.directory) as reader:
            assert reader.integrity() == []
            assert reader.count() == len(self.model)

    def teardown(self) -> None:
        """Everything that was observed is in the trace; close the spool."""
        schedule.SCAN_RECIPIENTS = self.scan
        for queue_id, kinds in self.events.items():
            if queue_id:
                assert [event.kind for event in self.done(self.spool.track(queue_id, 1000))] == kinds
        self.done(self.spool.close())
        shutil.rmtree(self.directory)


class ModelTests(SynchronousTestCase):
    """The machine, run by trial."""

    def test_same(self) -> None:
        """Spool and model agree."""
        case = SpoolMachine.TestCase
        case.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, database=None)
        case("runTest").debug()
