"""Facts that are recorded without being waited for."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.core.event import Event, Kind
from hermes.spool.journal import MAX_WAITING, Journal
from hermes.spool.store import Spool
from tests.support.real_spool import begun, fact
from tests.support.worker import ImmediateWorker


class JournalTests(SynchronousTestCase):
    """Collected, stored in order, bounded."""

    def setUp(self) -> None:
        """Make a journal whose store is as slow as the test wants."""
        self.stored: list[list[Event]] = []
        self.storing: list[Deferred[None]] = []
        self.journal = Journal(self.store)

    def store(self, events: list[Event]) -> Deferred[None]:
        """Remember the events."""
        self.stored.append(events)
        self.storing.append(Deferred())
        return self.storing[-1]

    def test_collected(self) -> None:
        """While some are being stored, the others wait and then go together."""
        events = [fact(Kind.LOGIN, address=str(number)) for number in range(5)]
        for event in events:
            self.journal.record(event)
        self.assertEqual(self.stored, [events[:1]])
        self.storing[0].callback(None)
        self.assertEqual(self.stored, [events[:1], events[1:]])
        self.storing[1].callback(None)
        self.assertEqual(len(self.stored), 2)

    def test_flush(self) -> None:
        """flush() waits for all that came before it, and for nothing when there is nothing."""
        self.successResultOf(begun(self.journal.flush()))
        self.journal.record(fact(Kind.LOGIN))
        self.journal.record(fact(Kind.LOGIN))
        flushing, given_up = begun(self.journal.flush()), begun(self.journal.flush())
        given_up.cancel()
        self.failureResultOf(given_up)
        self.storing[0].callback(None)
        self.assertNoResult(flushing)
        self.storing[1].callback(None)
        self.successResultOf(flushing)

    def test_bounded(self) -> None:
        """At the limit facts are counted instead of kept; the log says how many, and later ones are stored again."""
        self.journal.record(fact(Kind.LOGIN))
        for _ in range(MAX_WAITING + 3):
            self.journal.record(fact(Kind.REFUSED))
        self.storing[0].callback(None)
        self.assertEqual(len(self.stored[1]), MAX_WAITING)
        self.journal.record(fact(Kind.LOGIN))
        self.assertEqual(self.journal.lost, 3)
        self.storing[1].callback(None)
        self.assertEqual(len(self.stored[2]), 1)

    def test_fault(self) -> None:
        """A fault in storing costs those facts only."""
        self.journal.record(fact(Kind.LOGIN))
        self.journal.record(fact(Kind.REFUSED))
        self.storing[0].errback(OSError("no disk"))
        self.assertEqual(self.stored[1], [fact(Kind.REFUSED)])
        self.assertEqual(self.journal.lost, 1)
        self.storing[1].callback(None)


class PatientWorker(ImmediateWorker):
    """Keeps what may wait until something comes that may not."""

    def __init__(self) -> None:
        super().__init__()
        self.patient: list[tuple[Any, Deferred[Any]]] = []

    @override
    def submit_patiently(self, item: Any, seconds: float) -> Deferred[Any]:
        """Keep it."""
        self.patient.append((item, Deferred()))
        return self.patient[-1][1]

    @override
    def submit(self, item: Any) -> Deferred[Any]:
        """Do what waits, and this."""
        for waiting, done in self.patient:
            super().submit(waiting).chainDeferred(done)
        self.patient.clear()
        return super().submit(item)


class PatienceTests(SynchronousTestCase):
    """The journal of a spool."""

    def test_patient(self) -> None:
        """A fact that nobody waits for goes with the next thing to be stored; one that somebody waits for is that thing."""
        worker = PatientWorker()
        observed: list[Event] = []
        spool = Spool(self.mktemp(), worker, ImmediateWorker(), now=lambda: 1_800_000_000.0, observer=observed.append)
        self.successResultOf(begun(spool.open()))
        login, deleted = fact(Kind.LOGIN), fact(Kind.DELETED)
        spool.journal.record(login)
        self.assertEqual(observed, [])
        self.successResultOf(begun(spool.record([deleted])))
        self.assertEqual(observed, [login, deleted])
        # Nor does the end wait until the patience is over.
        spool.journal.record(login)
        self.successResultOf(begun(spool.close()))
        self.assertEqual(observed, [login, deleted, login])
