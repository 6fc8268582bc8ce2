"""A client's session on a transport and a clock of the test's own: time limits, back-pressure, and the end."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.outcome import Result
from hermes.net.client_handshake import HANDSHAKE_SECONDS
from hermes.net.client_session import (
    CLOSE_SECONDS,
    CONTENT_SECONDS,
    ENVELOPE_SECONDS,
    TIMEOUTS_SECONDS,
    ClientSession,
    Setback,
)
from hermes.net.client_tls import TLSAttempt, opportunistic_context
from hermes.protocols.sasl_client import Channel, Login, begin
from hermes.protocols.sasl_login import Derivation, Keys
from hermes.protocols.smtp.client_events import Ended, Peer, Stage, TransactionDone
from tests.support.smtp_engine import parcel

OK = b"250 ok\r\n"


class Wire:
    """A transport that keeps what is written, and is closed when the test says so."""

    def __init__(self) -> None:
        self.written = b""
        self.producer: Any = None
        self.aborted = False
        self.losing = False
        self.tls: Any = None
        self.full_at: int | None = None
        self.writes = 0

    def write(self, data: bytes) -> None:
        """Keep it; ask for a pause when there is too much."""
        self.written += data
        self.writes += 1
        if self.full_at is not None and len(self.written) >= self.full_at:
            self.producer.pauseProducing()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Small segments are to leave at once."""
        self.no_delay = enabled

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Somebody wants to be paused."""
        self.producer = producer

    def startTLS(self, attempt: Any) -> None:
        """TLS is to begin."""
        self.tls = attempt

    def loseConnection(self) -> None:
        """The connection is to end when everything is written."""
        self.losing = True

    def abortConnection(self) -> None:
        """The connection is to end at once."""
        self.aborted = True


class SessionCase(SynchronousTestCase):
    """A session that has been connected."""

    def setUp(self) -> None:
        """The session is connected, and nothing has been said."""
        self.clock = Clock()
        self.wire = Wire()
        self.session = ClientSession(self.clock, "client.example.org", Peer("mx.example.com", "192.0.2.25:25"))
        self.session.makeConnection(self.wire)  # type: ignore[arg-type]

    def say(self, octets: bytes) -> None:
        """The server says this."""
        self.session.dataReceived(octets)

    def lose(self, error: Exception | None = None) -> None:
        """The connection is gone."""
        self.session.connectionLost(Failure(error or ConnectionDone()))

    def greet(self, *extensions: str) -> None:
        """Greeting and EHLO."""
        greeting = Deferred.fromCoroutine(self.session.greet())
        self.say(b"220 mx.example.com\r\n")
        lines = "".join(f"250-{extension}\r\n" for extension in extensions)
        self.say(b"250-mx.example.com\r\n" + lines.encode() + b"250 HELP\r\n")
        self.assertIsNone(self.successResultOf(greeting))
        self.wire.written = b""

    def deliver(self, *pieces: bytes, octets: int = 0, recipients: int = 1) -> Deferred[TransactionDone]:
        """Begin to deliver a message."""
        addresses = [f"r{number}@example.com" for number in range(recipients)]

        async def chunks() -> AsyncIterator[bytes]:
            for piece in pieces:
                self.taken += 1
                yield piece

        self.taken = 0
        return Deferred.fromCoroutine(self.session.deliver(parcel(*addresses, octets=octets), chunks()))


class TimeoutTests(SessionCase):
    """Nothing takes for ever (RFC 5321 4.5.3.2)."""

    def test_values(self) -> None:
        """No limit is shorter than the standard's."""
        for stage, seconds in (
            (Stage.GREETING, 300),
            (Stage.MAIL, 300),
            (Stage.RECIPIENT, 300),
            (Stage.DATA, 120),
            (Stage.CONTENT, 180),
            (Stage.FINAL, 600),
        ):
            self.assertGreaterEqual(TIMEOUTS_SECONDS[stage], seconds)

    def test_greeting(self) -> None:
        """A server that does not greet in time is given up."""
        greeting = Deferred.fromCoroutine(self.session.greet())
        self.clock.advance(299.9)
        self.assertNoResult(greeting)
        self.clock.advance(0.1)
        ended = self.successResultOf(greeting)
        self.assertIsInstance(ended, Ended)
        self.assertIn("more than 300 seconds", ended.outcome.reason)
        self.assertTrue(self.wire.aborted)

    def test_dripping(self) -> None:
        """Octets without a whole reply do not move the limit."""
        greeting = Deferred.fromCoroutine(self.session.greet())
        for _ in range(299):
            self.clock.advance(1)
            self.say(b"2")
        self.assertNoResult(greeting)
        self.clock.advance(1)
        self.assertIsInstance(self.successResultOf(greeting), Ended)

    def test_each_reply_has_its_own(self) -> None:
        """The limit begins anew with each reply: at EHLO, and within an envelope."""
        greeting = Deferred.fromCoroutine(self.session.greet())
        self.clock.advance(200)
        self.say(b"220 mx.example.com\r\n")
        self.clock.advance(200)
        self.say(b"250-mx.example.com\r\n250 PIPELINING\r\n")
        self.assertIsNone(self.successResultOf(greeting))
        sending = self.deliver(b"x\n")
        for _ in range(2):
            self.clock.advance(200)
            self.say(OK)
        self.clock.advance(119.9)
        self.assertNoResult(sending)
        self.clock.advance(0.2)
        done = self.successResultOf(sending)
        self.assertIn("more than 120 seconds for the answer to DATA", done.outcomes[0].reason)
        self.assertTrue(done.elsewhere)

    def test_whole_envelope(self) -> None:
        """Slow answers to an envelope are limited together, too."""
        self.greet("PIPELINING")
        sending = self.deliver(recipients=50)
        for _ in range(int(ENVELOPE_SECONDS // 299)):
            self.clock.advance(299)
            self.say(OK)
        self.assertNoResult(sending)
        self.clock.advance(ENVELOPE_SECONDS % 299)
        self.assertIs(self.successResultOf(sending).outcomes[0].result, Result.DEFERRED)
        self.assertTrue(self.wire.aborted)

    def test_final_reply(self) -> None:
        """After the message the server has ten minutes, and then nobody knows."""
        self.greet("PIPELINING")
        sending = self.deliver(b"x\n")
        self.say(OK * 2 + b"354 go\r\n")
        self.clock.advance(599.9)
        self.assertNoResult(sending)
        self.clock.advance(0.1)
        done = self.successResultOf(sending)
        self.assertIn("may have been delivered", done.outcomes[0].reason)
        self.assertFalse(done.elsewhere)

    def test_nothing_is_left(self) -> None:
        """A session that waits for nothing has no timer."""
        self.greet()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ContentTests(SessionCase):
    """Sending no faster than the server reads."""

    def start(self, *pieces: bytes, octets: int = 0) -> Deferred[TransactionDone]:
        """The server wants the message."""
        self.greet("PIPELINING")
        sending = self.deliver(*pieces, octets=octets)
        self.wire.written = b""
        self.wire.full_at = 1
        self.say(OK * 2 + b"354 go\r\n")
        return sending

    def test_waits_for_reading(self) -> None:
        """While the transport's buffer is full no more content is taken than the one piece that is held ready."""
        sending = self.start(b"one\n", b"two\n", b"three\n", b"four\n")
        self.assertEqual((self.taken, self.wire.written), (2, b"one\r\n"))
        self.session.resumeProducing()
        self.assertEqual((self.taken, self.wire.written), (3, b"one\r\ntwo\r\n"))
        self.wire.full_at = None
        self.session.resumeProducing()
        self.assertEqual(self.wire.written, b"one\r\ntwo\r\nthree\r\nfour\r\n.\r\n")
        self.say(OK)
        self.assertIs(self.successResultOf(sending).outcomes[0].result, Result.RELAYED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_small_message_is_one_write(self) -> None:
        """The end of a message goes with its last piece: what fits into one piece is sent by one call."""
        self.greet("PIPELINING")
        sending = self.deliver(b"one\n.two\n")
        self.wire.written, self.wire.writes = b"", 0
        self.say(OK * 2 + b"354 go\r\n")
        self.assertEqual((self.wire.writes, self.wire.written), (1, b"one\r\n..two\r\n.\r\n"))
        self.say(OK)
        self.assertIs(self.successResultOf(sending).outcomes[0].result, Result.RELAYED)

    def test_does_not_read(self) -> None:
        """A server that does not read for three minutes is given up, and the message is not ended."""
        sending = self.start(b"one\n", b"two\n")
        self.clock.advance(179.9)
        self.assertNoResult(sending)
        self.clock.advance(0.1)
        done = self.successResultOf(sending)
        self.assertIn("more than 180 seconds", done.outcomes[0].reason)
        self.assertNotIn(b"\r\n.\r\n", self.wire.written)
        self.assertTrue(self.wire.aborted)

    def test_reads_too_slowly(self) -> None:
        """One that reads a little every now and then has a limit for the whole message."""
        pieces = [b"x\n"] * 1000
        sending = self.start(*pieces, octets=1024 * 100)
        while self.clock.seconds() < CONTENT_SECONDS + 100:
            self.clock.advance(100)
            self.session.resumeProducing()
        self.assertNoResult(sending)
        self.clock.advance(1)
        self.session.resumeProducing()
        done = self.successResultOf(sending)
        self.assertIn("more than 1900 seconds", done.outcomes[0].reason)

    def test_refused_meanwhile(self) -> None:
        """A refusal that comes while the server does not read ends the sending."""
        sending = self.start(b"one\n", b"two\n", b"three\n")
        self.say(b"552 5.3.4 too big\r\n")
        self.assertIs(self.successResultOf(sending).outcomes[0].result, Result.FAILED)
        self.assertEqual((self.taken, self.wire.written), (2, b"one\r\n"))
        self.assertTrue(self.wire.aborted)

    def test_lost_meanwhile(self) -> None:
        """So does the end of the connection."""
        sending = self.start(b"one\n", b"two\n")
        self.lose(ConnectionLost("reset by peer"))
        done = self.successResultOf(sending)
        self.assertIn("reset by peer", done.outcomes[0].reason)
        self.assertTrue(done.elsewhere)

    def test_given_up(self) -> None:
        """A delivery that is cancelled cuts the connection: the message must not seem whole."""
        sending = self.start(b"one\n", b"two\n")
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        self.assertTrue(self.wire.aborted)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class EndTests(SessionCase):
    """How sessions end."""

    def test_interfaces(self) -> None:
        """The session is what transports and TLS want, and small segments leave at once."""
        self.assertTrue(verifyObject(IPushProducer, self.session))
        self.assertTrue(verifyObject(IHandshakeListener, self.session))
        self.assertTrue(self.wire.no_delay)
        self.session.stopProducing()

    def test_quit(self) -> None:
        """QUIT is answered, then the connection is closed and its end awaited (RFC 5321 4.1.1.10)."""
        self.greet()
        leaving = Deferred.fromCoroutine(self.session.quit())
        self.assertEqual(self.wire.written, b"QUIT\r\n")
        self.say(b"221 bye\r\n")
        self.assertEqual((self.wire.losing, self.wire.aborted), (True, False))
        self.assertNoResult(leaving)
        self.lose()
        self.successResultOf(leaving)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_quit_without_an_answer(self) -> None:
        """Who does not answer QUIT is not waited for; who does not close is cut off."""
        self.greet()
        leaving = Deferred.fromCoroutine(self.session.quit())
        self.clock.advance(TIMEOUTS_SECONDS[Stage.QUIT])
        self.assertTrue(self.wire.losing)
        self.clock.advance(CLOSE_SECONDS)
        self.assertTrue(self.wire.aborted)
        self.lose()
        self.successResultOf(leaving)

    def test_quit_is_cancelled(self) -> None:
        """Who no longer waits for the answer to QUIT leaves no connection behind."""
        self.greet()
        leaving = Deferred.fromCoroutine(self.session.quit())
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.assertTrue(self.wire.aborted)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_quit_and_more(self) -> None:
        """What comes after the end of the session is not looked at."""
        self.greet()
        Deferred.fromCoroutine(self.session.quit())
        self.say(b"221 bye\r\n")
        self.say(b"250 more\r\n" * 100)
        self.assertFalse(self.wire.aborted)
        self.lose()

    def test_quit_when_it_is_over(self) -> None:
        """A session that has ended is only cut off."""
        self.greet()
        self.say(b"421 bye\r\n")
        leaving = Deferred.fromCoroutine(self.session.quit())
        self.lose()
        self.successResultOf(leaving)
        self.assertEqual(self.wire.written, b"")
        self.successResultOf(self.session.quit())
        self.session.abort()

    def test_left_while_idle(self) -> None:
        """The owner of an idle session hears when the server ends it, once, whichever way."""
        for end in (lambda: self.say(b"421 bye\r\n"), lambda: self.say(b"250 what?\r\n"), self.lose):
            self.setUp()
            self.greet()
            left: list[bool] = []
            self.session.when_left = lambda: left.append(True)  # noqa: B023
            self.assertTrue(self.session.usable)
            end()
            self.assertEqual((left, self.session.usable, self.session.ended), ([True], False, True))
            if end != self.lose:
                self.assertTrue(self.wire.aborted)
                self.lose()
            self.assertEqual(left, [True])

    def test_nothing_more_is_delivered(self) -> None:
        """To deliver over a session that has ended is a fault."""
        self.greet()
        self.lose()
        self.failureResultOf(self.deliver(b"x\n"), RuntimeError)

    def test_used_up(self) -> None:
        """A session that may carry one message only is not usable for another (RFC 9422)."""
        self.greet("PIPELINING", "LIMITS MAILMAX=1")
        self.assertTrue(self.session.usable)
        sending = self.deliver(b"x\n")
        self.say(OK * 2 + b"354 go\r\n")
        self.say(OK)
        self.successResultOf(sending)
        self.assertEqual((self.session.usable, self.session.ended), (False, False))

    def test_given_up_while_waiting(self) -> None:
        """A cancelled wait leaves no timer."""
        greeting = Deferred.fromCoroutine(self.session.greet())
        greeting.cancel()
        self.failureResultOf(greeting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.say(b"220 mx.example.com\r\n")

    def test_login(self) -> None:
        """A login is a wait like the others."""
        self.greet("AUTH PLAIN")
        login = Deferred.fromCoroutine(self.log_in("PLAIN", []))
        self.say(b"235 welcome\r\n")
        self.assertIsNone(self.successResultOf(login))

    async def log_in(self, mechanism: str, working: list[Deferred[Keys]]) -> Setback | None:
        """Log in; what is computed is waited for in ``working``."""

        def derive(wanted: Derivation) -> Deferred[Keys]:
            working.append(Deferred())
            return working[-1]

        channel = Channel(nonce="rOprNGfwEbeRWgbNEkqO")
        return await self.session.log_in(begin(mechanism, Login("user", "pencil"), channel), derive)

    def test_work_of_a_login(self) -> None:
        """While keys are made the session waits for them and no timer runs; then it goes on, or says that the server is gone."""
        first = b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        for gone in (False, True):
            self.setUp()
            self.greet("AUTH SCRAM-SHA-256")
            working: list[Deferred[Keys]] = []
            login = Deferred.fromCoroutine(self.log_in("SCRAM-SHA-256", working))
            self.wire.written = b""
            self.say(b"334 " + b64encode(first) + b"\r\n")
            self.assertEqual((self.wire.written, self.clock.getDelayedCalls()), (b"", []))
            if gone:
                self.lose()
            working[0].callback((bytes(32), bytes(32)))
            self.assertEqual(self.wire.written == b"", gone)
            if gone:
                setback = self.successResultOf(login)
                self.assertIn("was lost", setback.outcome.reason)
            else:
                self.say(b"535 5.7.8 wrong\r\n")
                self.assertIn("wrong", self.successResultOf(login).outcome.reason)


class HandshakeTests(SessionCase):
    """TLS that does not come about; what does is tested over sockets, with the agents."""

    def start(self) -> Deferred[Any]:
        """STARTTLS has been accepted."""
        self.greet("STARTTLS")
        starting = Deferred.fromCoroutine(
            self.session.start_tls(TLSAttempt(opportunistic_context(), "mx.example.com", verify=False))
        )
        self.say(b"220 go\r\n")
        self.assertIsNotNone(self.wire.tls)
        return starting

    def test_takes_too_long(self) -> None:
        """A handshake has a limit of its own."""
        starting = self.start()
        self.clock.advance(HANDSHAKE_SECONDS - 0.1)
        self.assertFalse(self.wire.aborted)
        self.clock.advance(0.1)
        self.assertTrue(self.wire.aborted)
        self.lose()
        ended = self.successResultOf(starting)
        self.assertEqual((ended.stage, ended.outcome.status), (Stage.STARTTLS, "4.7.0"))
        self.assertIn("no answer within 60 seconds", ended.outcome.reason)

    def test_closed(self) -> None:
        """A server that closes the connection in the handshake."""
        starting = self.start()
        self.lose()
        ended = self.successResultOf(starting)
        self.assertIn("closed by the other side", ended.outcome.reason)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_given_up(self) -> None:
        """A cancelled handshake leaves no timer."""
        starting = self.start()
        starting.cancel()
        self.failureResultOf(starting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.session.handshakeCompleted()
        self.lose()

    def test_unused_attempt(self) -> None:
        """An attempt that never came to a handshake has nothing to check and little to say."""
        attempt = TLSAttempt(opportunistic_context(), "mx.example.com", verify=True)
        self.assertTrue(attempt.check_name())
        self.assertEqual(attempt.description, "TLS")
