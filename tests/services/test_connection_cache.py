"""Connections that are kept for the next message: for a while, so many, and not for ever."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.outgoing import Target
from hermes.protocols.smtp.client_events import Peer, Stage
from hermes.services.connection_cache import MAX_AGE_SECONDS, ConnectionCache

HERE = Target("mx.example.com", "192.0.2.1", 25)
THERE = Target("mx.example.net", "192.0.2.2", 25)


class Session:
    """What the cache sees of a session."""

    def __init__(self, opened_at: float = 0.0) -> None:
        self.usable = True
        self.messages = 1
        self.opened_at = opened_at
        self.when_left: Any = None
        self.peer = Peer("mx.example.com", "192.0.2.1:25", "TLSv1.3 X")
        self.stage = Stage.MAIL
        self.aborted = False
        self.leaving: Deferred[None] | None = None

    async def quit(self) -> None:
        """Wait until the test lets it go."""
        self.leaving = Deferred()
        await self.leaving

    def abort(self) -> None:
        """Cut."""
        self.aborted = True


class ConnectionCacheTests(SynchronousTestCase):
    """A cache of three, ten seconds, five uses."""

    def setUp(self) -> None:
        """Nothing is open."""
        self.clock = Clock()
        self.cache = ConnectionCache(self.clock, idle_seconds=10, max_idle=3, max_uses=5)

    def keep(self, target: Target = HERE, **state: Any) -> Any:
        """A session that was opened, used, and given back."""
        session: Any = Session(self.clock.seconds())
        for name, value in state.items():
            setattr(session, name, value)
        self.cache.opened(target, session)
        self.cache.give_back(session)
        return session

    def test_same_target(self) -> None:
        """A kept connection is for the same host and address only."""
        session = self.keep()
        self.assertIsNone(self.cache.take(THERE))
        self.assertIsNone(self.cache.take(Target("mx.example.org", HERE.address, HERE.port)))
        self.assertIs(self.cache.take(HERE), session)
        self.assertIsNone(self.cache.take(HERE))

    def test_last_used_first(self) -> None:
        """Of several the one used last is taken, so that the others may go."""
        self.keep()
        last = self.keep()
        self.keep(THERE)
        self.assertIs(self.cache.take(HERE), last)

    def test_idle_for_too_long(self) -> None:
        """A connection that nobody wants for its time ends with QUIT."""
        session = self.keep()
        self.clock.advance(9.9)
        self.assertIsNone(session.leaving)
        self.clock.advance(0.1)
        self.assertIsNotNone(session.leaving)
        self.assertIsNone(self.cache.take(HERE))
        self.assertEqual(self.cache.describe(), [])

    def test_taken_in_time(self) -> None:
        """One that is taken is not ended by the time it waited before."""
        session = self.keep()
        self.clock.advance(9)
        self.cache.take(HERE)
        self.clock.advance(9)
        self.assertIsNone(session.leaving)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many(self) -> None:
        """The one that has waited longest gives way."""
        sessions = [self.keep() for _ in range(3)]
        self.assertEqual([session.leaving is None for session in sessions], [True] * 3)
        self.keep()
        self.assertEqual([session.leaving is None for session in sessions], [False, True, True])

    def test_uses(self) -> None:
        """A connection is kept until it has been used as often as allowed."""
        for messages, kept in ((4, True), (5, False), (6, False)):
            self.assertEqual(self.keep(messages=messages).leaving is None, kept)

    def test_age(self) -> None:
        """A connection is not kept for ever, however busy."""
        for age, kept in ((MAX_AGE_SECONDS - 1, True), (MAX_AGE_SECONDS, False)):
            self.assertEqual(self.keep(opened_at=self.clock.seconds() - age).leaving is None, kept)

    def test_not_usable(self) -> None:
        """One that can carry no more is not kept."""
        self.assertIsNotNone(self.keep(usable=False).leaving)

    def test_left_by_the_server(self) -> None:
        """One that the server ends is forgotten."""
        session = self.keep()
        session.when_left()
        self.assertIsNone(self.cache.take(HERE))
        self.assertIsNone(session.when_left)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_discarded(self) -> None:
        """One that something went wrong with is cut."""
        session: Any = Session()
        self.cache.opened(HERE, session)
        self.cache.discard(session)
        self.assertTrue(session.aborted)
        self.assertEqual(self.cache.describe(), [])

    def test_describe(self) -> None:
        """What is open, at work and idle."""
        self.keep()
        self.clock.advance(1.26)
        session: Any = Session(self.clock.seconds())
        self.cache.opened(THERE, session)
        facts = {"host": "mx.example.com", "address": "192.0.2.1:25", "tls": "TLSv1.3 X", "messages": 1}
        self.assertEqual(
            self.cache.describe(),
            [
                {**facts, "state": "waiting for MAIL", "age_seconds": 0.0},
                {**facts, "state": "idle", "age_seconds": 1.3},
            ],
        )

    def test_stop(self) -> None:
        """Stopping says goodbye on each and waits for all; what is given back afterwards is not kept."""
        sessions = [self.keep(), self.keep()]
        busy: Any = Session()
        self.cache.opened(HERE, busy)
        stopping = Deferred.fromCoroutine(self.cache.stop())
        self.assertNoResult(stopping)
        for session in sessions:
            session.leaving.callback(None)
        self.successResultOf(stopping)
        self.cache.give_back(busy)
        self.assertIsNotNone(busy.leaving)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_leaving_fails(self) -> None:
        """A fault while leaving is logged and harms nobody."""
        session = self.keep(usable=False)
        session.leaving.errback(RuntimeError("a fault"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.successResultOf(self.cache.stop())
