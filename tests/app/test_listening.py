"""Doors and sessions: opened, switched and closed."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.listening import SESSION_GRACE_SECONDS, Closing, Door, Listening
from hermes.config.listener import parse_listener
from hermes.net.listen import bind


class Session:
    """Somebody who is connected; leaves when asked, unless the test says otherwise."""

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self.transport = self
        self.obstinate = False
        self.asked = 0
        self.aborted = False
        factory.sessions.append(self)

    def shut_down(self) -> None:
        """Go."""
        self.asked += 1
        if not self.obstinate:
            self.leave()

    def leave(self) -> None:
        """Be gone."""
        self._factory.sessions.remove(self)

    def abortConnection(self) -> None:
        """Be thrown out."""
        self.aborted = True
        self.leave()

    def describe(self) -> dict[str, object]:
        """Nothing to say."""
        return {}


class Factory:
    """Makes sessions."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []

    def buildProtocol(self, addr: object) -> Session:
        """Let somebody in."""
        return Session(self)


class ListeningTests(SynchronousTestCase):
    """One protocol with two doors, at a reactor in memory."""

    def setUp(self) -> None:
        """Not yet started."""
        self.reactor = MemoryReactorClock()
        self.listening = Listening("smtp", self.reactor)
        self.events: list[str] = []

    def door(self, place: str, factory: Factory) -> Door:
        """A bound socket; ``place`` is only its name."""
        opened = bind(parse_listener("127.0.0.1:0"), {}.__getitem__)
        self.addCleanup(opened.close)
        return Door(place, opened, factory)

    def start(self) -> None:
        """Start as the service does."""
        self.successResultOf(Deferred.fromCoroutine(self.listening.start()))
        self.listening.running = True

    def enter(self, number: int) -> Any:
        """Somebody connects at the port that was opened as this one."""
        return self.reactor.adoptedPorts[number][2].buildProtocol(None)

    def test_nothing_is_accepted_before_the_start(self) -> None:
        """Doors that are opened before the start wait for it; those that are opened later do not."""
        self.listening.open(self.door("127.0.0.1:25", Factory()))
        self.assertEqual((len(self.reactor.adoptedPorts), self.listening.places), (0, {"127.0.0.1:25"}))
        self.start()
        self.assertEqual(len(self.reactor.adoptedPorts), 1)
        self.listening.open(self.door("127.0.0.1:26", Factory()))
        self.assertEqual(len(self.reactor.adoptedPorts), 2)
        self.assertEqual(self.listening.places, {"127.0.0.1:25", "127.0.0.1:26"})

    def test_switch(self) -> None:
        """New sessions come from the new factory; those of any earlier one are known until they leave."""
        self.start()
        factories = [Factory() for _ in range(6)]
        self.listening.open(self.door("a", factories[0]))
        self.listening.open(self.door("b", factories[1]))
        sessions = [self.enter(0)]
        for number in (2, 4):
            self.listening.switch("a", factories[number])
            self.listening.switch("b", factories[number + 1])
            sessions += [self.enter(0), self.enter(1)]
        self.assertEqual([len(factory.sessions) for factory in factories], [1, 0, 1, 1, 1, 1])
        self.assertEqual(set(self.listening.sessions()), set(sessions))
        for session in sessions:
            session.leave()
        self.assertEqual(self.listening.sessions(), [])
        self.listening.switch("a", Factory())
        self.assertEqual(self.listening._retired, [])

    def test_close(self) -> None:
        """A door that is closed is no place any more; its sessions go on."""
        self.start()
        self.listening.open(self.door("a", Factory()))
        session = self.enter(0)
        self.successResultOf(Deferred.fromCoroutine(self.listening.close("a")))
        self.assertEqual((self.listening.places, self.listening.sessions()), (set(), [session]))
        self.assertEqual(session.asked, 0)

    def stopping(self) -> Deferred[None]:
        """Begin to stop."""
        return Deferred.fromCoroutine(self.listening.stop())

    def test_stop(self) -> None:
        """Sessions are asked to leave, and when they have gone the stop is over at once."""
        self.start()
        self.listening.open(self.door("a", Factory()))
        session = self.enter(0)
        self.successResultOf(self.stopping())
        self.assertEqual((session.asked, session.aborted), (1, False))

    def test_stop_waits(self) -> None:
        """A session that is in the middle of a message is waited for."""
        self.start()
        self.listening.open(self.door("a", Factory()))
        session = self.enter(0)
        session.obstinate = True
        stopped = self.stopping()
        self.reactor.advance(SESSION_GRACE_SECONDS / 2)
        self.assertNoResult(stopped)
        session.leave()
        self.reactor.advance(0.1)
        self.successResultOf(stopped)
        self.assertFalse(session.aborted)

    def test_stop_does_not_wait_for_ever(self) -> None:
        """One that does not leave is thrown out after its time, not before."""
        self.start()
        self.listening.open(self.door("a", Factory()))
        session = self.enter(0)
        session.obstinate = True
        stopped = self.stopping()
        for _ in range(int(SESSION_GRACE_SECONDS) - 1):
            self.reactor.advance(1)
        self.assertFalse(session.aborted)
        self.reactor.advance(1)
        self.successResultOf(stopped)
        self.assertTrue(session.aborted)

    def test_time_begins_when_all_are_asked(self) -> None:
        """The time of a session's grace runs from when it was asked to leave: that of one protocol is not added to another's."""
        self.start()
        self.listening.open(self.door("a", Factory()))
        session = self.enter(0)
        session.obstinate = True
        self.successResultOf(Deferred.fromCoroutine(self.listening.leave()))
        self.reactor.advance(SESSION_GRACE_SECONDS - 1)
        stopped = self.stopping()
        self.assertNoResult(stopped)
        self.reactor.advance(1)
        self.successResultOf(stopped)
        self.assertTrue(session.aborted)

    def test_abandoned(self) -> None:
        """A start that never comes leaves no socket behind, and a door that is open is not touched."""
        directory = mkdtemp(prefix="hermes-")
        self.addCleanup(Path(directory).rmdir)
        place = f"unix:{directory}/s"
        opened = bind(parse_listener(place), {}.__getitem__)
        self.listening.open(Door(place, opened, Factory()))
        self.listening.abandon()
        self.assertEqual((opened.fileno(), self.listening.places), (-1, set()))
        self.start()
        self.listening.open(self.door("a", Factory()))
        self.listening.abandon()
        self.assertEqual(self.listening.places, {"a"})

    def test_all_close_before_anybody_is_waited_for(self) -> None:
        """The doors of every protocol are closed together, and all sessions are asked to leave."""
        pop3 = Listening("pop3", self.reactor)
        self.successResultOf(Deferred.fromCoroutine(pop3.start()))
        pop3.running = True
        self.start()
        self.listening.open(self.door("a", Factory()))
        pop3.open(self.door("b", Factory()))
        sessions = self.enter(0), self.enter(1)
        for session in sessions:
            session.obstinate = True
        self.successResultOf(Deferred.fromCoroutine(Closing([self.listening, pop3]).stop()))
        self.assertEqual((self.listening.places, pop3.places), (set(), set()))
        self.assertEqual([session.asked for session in sessions], [1, 1])
