"""The life of a POP3 session: connecting, time, faults, and the mailbox that is always given back once."""

from __future__ import annotations

import json

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.schema import POP3Settings
from hermes.core.event import Kind
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.services.pop3_connection import LINGER_SECONDS
from hermes.services.turned_away import MAX_RECORDED, WINDOW_SECONDS
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.pop3 import Site, Wire

MESSAGE = b"Subject: one\n\nfirst line\n"


class SessionTestCase(SynchronousTestCase):
    """A server with one account."""

    def setUp(self) -> None:
        """Ada has two messages."""
        self.mailbox = MemoryMailbox(MESSAGE, b"Subject: two\n\n")
        self.realm = MailboxRealm(ada=self.mailbox)
        self.site = Site(self.realm)

    def settings(self, **changes: object) -> None:
        """Change settings for the sessions to come."""
        self.site.factory.settings = attrs.evolve(self.site.factory.settings, **changes)

    def assert_nothing_left(self) -> None:
        """No session, no connection, no timer, and a mailbox that was closed as often as opened."""
        self.assertEqual(self.site.factory.sessions, set())
        self.assertEqual(self.site.gate.inside, 0)
        self.assertEqual(self.site.clock.getDelayedCalls(), [])
        self.assertEqual(self.mailbox.calls.count("close"), self.mailbox.calls.count("open"))
        self.assertEqual(len(self.realm.logouts), self.mailbox.calls.count("open"))


class ConnectionTests(SessionTestCase):
    """From the connection to its end."""

    def test_admitted(self) -> None:
        """A connection is counted while it lasts."""
        client = self.site.connect()
        self.assertEqual(self.site.gate.inside, 1)
        self.assertEqual(self.site.factory.sessions, {client.session})
        client.wire.drop()
        self.assert_nothing_left()

    def test_barred(self) -> None:
        """Whom connection control refuses is told that coming again is of no use (RFC 3206 4)."""
        self.site.gate.admission = Verdict(Reply.of(554, "5.7.1", "You may not connect"), "access.foe")
        client = self.site.connect()
        self.assertEqual(client.greeting, b"-ERR [SYS/PERM] You may not connect\r\n")
        self.assertEqual([event.facts["rule"] for event in self.site.journal.events], ["access.foe"])
        self.assertTrue(client.wire.disconnecting)
        self.assert_nothing_left()

    def test_refused(self) -> None:
        """A connection that the gate refuses is told so, closed, and not counted; what it says is not looked at."""
        self.site.gate.admission = Verdict(Reply.of(421, "4.7.0", "too many connections"), "limits.connections")
        client = self.site.connect(Wire(lingering=True))
        self.assertEqual(client.greeting, b"-ERR [SYS/TEMP] too many connections\r\n")
        (event,) = self.site.journal.events
        self.assertEqual(event.kind, Kind.REFUSED)
        self.assertEqual(
            {key: value for key, value in event.facts.items() if value is not None},
            {
                "service": "pop3",
                "peer": "192.0.2.7",
                "rule": "limits.connections",
                "reply": "-ERR [SYS/TEMP] too many connections",
                "command": "connect",
                "listener": "pop3",
            },
        )
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(client.say("QUIT"), b"")
        self.assertEqual(self.site.factory.sessions, set())
        self.site.clock.advance(LINGER_SECONDS)
        self.assertTrue(client.wire.aborted)
        self.assert_nothing_left()

    def test_flood(self) -> None:
        """Of a flood of connections the trace keeps the first ones and the number of the others."""
        self.site.gate.admission = Verdict(Reply.of(421, "4.7.0", "too many connections"), "limits.rate")
        for _ in range(MAX_RECORDED + 2):
            self.site.connect()
        self.assertEqual(len(self.site.journal.events), MAX_RECORDED)
        self.site.clock.advance(WINDOW_SECONDS)
        self.site.connect()
        self.assertEqual(self.site.journal.events[-1].facts["unrecorded"], 2)

    def test_broken_tls(self) -> None:
        """A connection that ends with an error of TLS is counted as that, and cleared away; one that is closed is not."""
        client = self.site.connect()
        client.wire.lost = True
        client.session.connectionLost(Failure(SSL.Error([("ssl", "", "handshake failure")])))
        self.site.connect().wire.drop()
        self.assertEqual(self.site.gate.broken_tls, 1)
        self.assert_nothing_left()

    def test_lingering_peer(self) -> None:
        """A client that does not close after QUIT is cut off; its mailbox is free long before."""
        client = self.site.log_in(wire=Wire("127.0.0.1", lingering=True))
        self.assertEqual(client.say("QUIT"), b"+OK goodbye\r\n")
        self.assertFalse(self.mailbox.locked)
        self.site.clock.advance(LINGER_SECONDS - 1)
        self.assertFalse(client.wire.lost)
        self.site.clock.advance(1)
        self.assertTrue(client.wire.aborted)
        self.assert_nothing_left()

    def test_describe(self) -> None:
        """An administrator sees who is there and what they are doing."""
        self.site.clock.advance(1000)
        client = self.site.connect()
        expected = {
            "service": "pop3",
            "peer": "127.0.0.1",
            "via": None,
            "listener": "pop3",
            "account": "",
            "tls": None,
            "state": "authorization",
            "since": 1000.0,
            "commands": 0,
        }
        self.assertEqual(client.session.describe(), expected)
        client.say("USER ada", "PASS secret", "STAT")
        expected |= {"account": "ada", "state": "transaction", "commands": 3}
        self.assertEqual(json.loads(json.dumps(client.session.describe())), expected)

    def test_describe_closing(self) -> None:
        """A session whose client does not close is seen as closing."""
        client = self.site.log_in(wire=Wire("127.0.0.1", lingering=True))
        client.say("QUIT")
        self.assertEqual(client.session.describe()["state"], "closing")

    def test_many_sessions(self) -> None:
        """Sessions know nothing of one another."""
        self.realm.avatars["bob"] = MemoryMailbox()
        self.site.checker.passwords["bob"] = "secret"
        ada, bob = self.site.log_in("ada"), self.site.log_in("bob")
        ada.say("DELE 1")
        self.assertEqual(bob.say("STAT"), b"+OK 0 0\r\n")
        self.assertEqual(bob.say("QUIT"), b"+OK goodbye\r\n")
        self.assertEqual(ada.say("STAT"), b"+OK 1 16\r\n")


class TimeTests(SessionTestCase):
    """RFC 1939 3: the autologout timer."""

    def test_silence(self) -> None:
        """After the silence that is allowed, and not before, the connection is closed without a word or a deletion."""
        client = self.site.log_in()
        client.say("DELE 1")
        self.site.clock.advance(599)
        self.assertFalse(client.wire.lost)
        self.site.clock.advance(1)
        self.assertTrue(client.wire.lost)
        self.assertEqual(client.take(), b"")
        self.assertEqual(self.mailbox.messages[0], MESSAGE)
        self.assertNotIn("update", self.mailbox.calls)
        self.assert_nothing_left()

    def test_default(self) -> None:
        """The timer is of ten minutes at least (RFC 1939 3)."""
        self.assertGreaterEqual(POP3Settings().timeout, 600)

    def test_commands_keep_it_open(self) -> None:
        """Any command begins the time anew."""
        client = self.site.log_in()
        for _ in range(10):
            self.site.clock.advance(599)
            self.assertEqual(client.say("NOOP"), b"+OK\r\n")
        client.wire.drop()
        self.assert_nothing_left()

    def test_talking_without_logging_in(self) -> None:
        """Who has not logged in by then is not kept, however much was said."""
        client = self.site.connect()
        self.site.clock.advance(400)
        client.say("CAPA")
        self.site.clock.advance(199)
        self.assertFalse(client.wire.lost)
        self.site.clock.advance(1)
        self.assertTrue(client.wire.lost)
        self.assert_nothing_left()

    def test_silent_peer_that_does_not_close(self) -> None:
        """A peer that is gone without a word is cut off, and its mailbox is free at once."""
        client = self.site.log_in(wire=Wire("127.0.0.1", lingering=True))
        self.site.clock.advance(600)
        self.assertFalse(self.mailbox.locked)
        self.site.clock.advance(LINGER_SECONDS)
        self.assertTrue(client.wire.aborted)
        self.assert_nothing_left()

    def test_slow_answers_are_not_silence(self) -> None:
        """While the server itself takes its time, the client's silence is not counted."""
        self.mailbox.updating = Deferred()
        client = self.site.log_in()
        client.say("DELE 1", "QUIT")
        self.site.clock.advance(10_000)
        self.assertFalse(client.wire.lost)
        self.mailbox.updating.callback(None)
        self.assertEqual(client.take(), b"+OK goodbye\r\n")
        self.assert_nothing_left()


class ErrorTests(SessionTestCase):
    """Errors of the client, and faults of ours."""

    def test_too_many_errors(self) -> None:
        """The last error that is allowed is answered; the next one ends the session, and nothing is deleted."""
        self.settings(max_errors=3)
        client = self.site.log_in()
        client.say("DELE 1")
        self.assertEqual(client.say("BOGUS", "BOGUS"), b"-ERR there is no such command\r\n" * 2)
        self.assertFalse(client.wire.lost)
        self.assertEqual(client.say("BOGUS", "NOOP"), b"-ERR too many errors, goodbye\r\n")
        self.assertTrue(client.wire.lost)
        self.assertNotIn("update", self.mailbox.calls)
        self.assert_nothing_left()

    def test_wrong_passwords_are_errors(self) -> None:
        """Wrong passwords count as well."""
        self.settings(max_errors=2)
        client = self.site.connect()
        for _ in range(2):
            client.say("USER ada", "PASS wrong")
            self.site.clock.advance(1)
        self.assertTrue(client.take().endswith(b"-ERR too many errors, goodbye\r\n"))
        self.assert_nothing_left()

    def test_missing_messages_are_not_errors(self) -> None:
        """Asking for messages that are not there is no reason to end a session."""
        self.settings(max_errors=2)
        client = self.site.log_in()
        self.assertEqual(client.say(*["RETR 9"] * 10).count(b"-ERR there is no such message\r\n"), 10)
        self.assertFalse(client.wire.lost)

    def test_fault_before_the_answer(self) -> None:
        """After a fault of ours the client is asked to try later, the fault is logged, and the session goes on."""
        client = self.site.log_in()

        def broken() -> tuple[int, int]:
            raise RuntimeError("broken")

        self.mailbox.total = broken  # type: ignore[method-assign]
        self.assertEqual(
            client.say("STAT", "NOOP"), b"-ERR [SYS/TEMP] something went wrong here, try again later\r\n+OK\r\n"
        )
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_fault_of_the_engine(self) -> None:
        """Should the engine itself fail, the session ends and the mailbox is given back."""
        client = self.site.log_in()

        def broken() -> None:
            raise RuntimeError("broken")

        client.session._engine.next_event = broken  # type: ignore[assignment, method-assign]
        client.say("STAT")
        self.assertTrue(client.wire.aborted)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assert_nothing_left()


class MailboxIsGivenBackTests(SessionTestCase):
    """Exactly once, whatever happens."""

    def test_dropped_connection(self) -> None:
        """A connection that drops deletes nothing (RFC 1939 6)."""
        client = self.site.log_in()
        client.say("DELE 1")
        client.wire.drop()
        self.assertEqual(self.mailbox.calls, ["open", "close"])
        self.assertEqual(self.mailbox.messages[0], MESSAGE)
        self.assert_nothing_left()

    def test_quit(self) -> None:
        """QUIT updates, then closes the mailbox, then answers: who comes back at once finds it free."""
        client = self.site.log_in()
        self.mailbox.closing = Deferred()
        self.assertEqual(client.say("DELE 1", "QUIT"), b"+OK message 1 marked\r\n")
        self.assertEqual(self.mailbox.calls, ["open", "update", "close"])
        self.assertEqual(client.take(), b"")
        self.mailbox.closing.callback(None)
        self.assertEqual(client.take(), b"+OK goodbye\r\n")
        self.assertIsNone(self.mailbox.messages[0])
        self.assert_nothing_left()

    def test_dropped_during_login(self) -> None:
        """A mailbox that arrives after its client has left is closed at once."""
        self.realm.delay = Deferred()
        client = self.site.connect()
        client.say("USER ada", "PASS secret")
        client.wire.drop()
        self.assertEqual(self.site.factory.sessions, {client.session}, "it is still waited for")
        self.realm.delay.callback(None)
        self.assertEqual(self.mailbox.calls, ["open", "close"])
        self.assert_nothing_left()

    def test_login_fails_after_the_client_has_left(self) -> None:
        """When the login comes to nothing, only the log hears of it."""
        self.realm.delay = Deferred()
        client = self.site.connect()
        client.say("USER ada", "PASS secret")
        client.wire.drop()
        self.realm.delay.errback(RuntimeError("the disk is broken"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assert_nothing_left()

    def test_deadline_during_login(self) -> None:
        """A login that hangs for too long is given up; its mailbox is closed when it comes."""
        self.realm.delay = Deferred()
        client = self.site.connect()
        client.say("USER ada", "PASS secret")
        self.site.clock.advance(600)
        self.assertTrue(client.wire.lost)
        self.realm.delay.callback(None)
        self.assert_nothing_left()

    def test_dropped_during_the_delay(self) -> None:
        """A client that does not wait for the answer to its wrong password leaves nothing behind."""
        client = self.site.connect()
        client.say("USER ada", "PASS wrong")
        client.wire.drop()
        self.assert_nothing_left()

    def test_dropped_during_the_update(self) -> None:
        """Once QUIT has been said, the update is carried out even if the client leaves."""
        client = self.site.log_in()
        self.mailbox.updating = Deferred()
        client.say("DELE 1", "QUIT")
        client.wire.drop()
        self.assertEqual(self.mailbox.calls, ["open", "update"])
        self.mailbox.updating.callback(None)
        self.assertEqual(self.mailbox.calls, ["open", "update", "close"])
        self.assertIsNone(self.mailbox.messages[0])
        self.assert_nothing_left()

    def test_released_twice(self) -> None:
        """A maildrop that is released again is left alone."""
        client = self.site.log_in()
        maildrop = client.session._maildrop
        assert maildrop is not None
        for _ in range(2):
            self.successResultOf(maildrop.release())
        client.wire.drop()
        self.assert_nothing_left()

    def test_close_fails(self) -> None:
        """A mailbox that cannot be closed is logged, and the client is logged out all the same."""
        client = self.site.log_in()
        self.mailbox.closing = Deferred()
        self.mailbox.closing.errback(RuntimeError("broken"))
        self.assertEqual(client.say("QUIT"), b"+OK goodbye\r\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assert_nothing_left()

    def test_logout_fails(self) -> None:
        """A logout that fails is logged."""

        def broken(name: str) -> None:
            raise RuntimeError("broken")

        client = self.site.log_in()
        self.realm.logouts = FailingList()
        client.wire.drop()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.site.factory.sessions, set())


class FailingList(list[str]):
    """Takes nothing."""

    def append(self, name: str) -> None:
        """Fail."""
        raise RuntimeError(name)


class UpdateTests(SessionTestCase):
    """RFC 1939 6."""

    def test_some_not_deleted(self) -> None:
        """When some messages could not be deleted, QUIT says so, and the session is over all the same."""
        self.mailbox.undeletable = {1}
        client = self.site.log_in()
        answer = client.say("DELE 1", "DELE 2", "QUIT").splitlines()[-1]
        self.assertEqual(answer, b"-ERR [SYS/TEMP] 1 of the marked messages could not be removed")
        self.assertTrue(client.wire.lost)
        self.assertIsNone(self.mailbox.messages[0])
        self.assertEqual([facts["uid"] for facts in self.site.journal.facts("deleted")], ["uid-1"])
        self.assert_nothing_left()

    def test_update_fails(self) -> None:
        """When the update fails as a whole, QUIT says so, the fault is logged, and the mailbox is given back."""
        self.mailbox.update_fault = OSError("the disk is broken")
        client = self.site.log_in()
        answer = client.say("DELE 1", "QUIT").splitlines()[-1]
        self.assertEqual(answer, b"-ERR [SYS/TEMP] the marked messages could not be removed")
        self.assertTrue(client.wire.lost)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(self.site.journal.facts("deleted"), [])
        self.assert_nothing_left()

    def test_fault_in_the_trace(self) -> None:
        """A fact that cannot be recorded harms neither a message on its way nor a deletion that is done."""

        def broken(event: object) -> None:
            raise RuntimeError("broken")

        client = self.site.log_in()
        self.site.journal.record = broken  # type: ignore[method-assign]
        self.assertTrue(client.say("RETR 1").endswith(b"\r\n.\r\n"))
        self.assertEqual(client.say("DELE 1", "QUIT"), b"+OK message 1 marked\r\n+OK goodbye\r\n")
        self.assertIsNone(self.mailbox.messages[0])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assert_nothing_left()

    def test_quit_without_a_login(self) -> None:
        """QUIT before the login touches no mailbox."""
        client = self.site.connect()
        self.assertEqual(client.say("QUIT"), b"+OK goodbye\r\n")
        self.assertEqual(self.mailbox.calls, [])
        self.assert_nothing_left()

    def test_reset_takes_marks_back(self) -> None:
        """After RSET nothing is deleted or recorded as deleted."""
        client = self.site.log_in()
        client.say("DELE 1", "RSET", "QUIT")
        self.assertEqual(self.mailbox.messages[0], MESSAGE)
        self.assertEqual(self.site.journal.facts("deleted"), [])

    def test_many_deletions(self) -> None:
        """Every one of many deletions is recorded, and other sessions run in between."""
        self.mailbox.messages = [MESSAGE] * 1200
        client = self.site.log_in()
        self.mailbox.deleted = set(range(1200))
        client.session._maildrop.deleted = set(range(1200))  # type: ignore[union-attr]
        client.session.dataReceived(b"QUIT\r\n")
        self.assertEqual(len(self.site.journal.facts("deleted")), 500)
        self.assertEqual(client.send(b""), b"+OK goodbye\r\n")
        self.assertEqual(len(self.site.journal.facts("deleted")), 1200)
        self.assert_nothing_left()


class ShutDownTests(SessionTestCase):
    """The server stops."""

    def test_idle(self) -> None:
        """A session whose client is silent is closed at once; nothing is said and nothing deleted."""
        client = self.site.log_in()
        client.say("DELE 1")
        client.session.shut_down()
        self.assertEqual(client.take(), b"")
        self.assertTrue(client.wire.lost)
        self.assertNotIn("update", self.mailbox.calls)
        self.assert_nothing_left()

    def test_answering(self) -> None:
        """An answer that is on its way is given to its end, and the command behind it is not looked at."""
        self.mailbox.messages[0] = b"x" * 300_000
        client = self.site.log_in()
        client.session._turns.pauseProducing()
        first = client.say("RETR 1", "DELE 1")
        client.session.shut_down()
        self.assertFalse(client.wire.lost)
        client.session._turns.resumeProducing()
        answer = first + client.take()
        self.assertTrue(answer.endswith(b"\r\n.\r\n"))
        self.assertNotIn(b"marked", answer)
        self.assertTrue(client.wire.lost)
        self.assert_nothing_left()

    def test_updating(self) -> None:
        """An update that is under way is finished and answered."""
        client = self.site.log_in()
        self.mailbox.updating = Deferred()
        client.say("DELE 1", "QUIT")
        client.session.shut_down()
        self.mailbox.updating.callback(None)
        self.assertEqual(client.take(), b"+OK goodbye\r\n")
        self.assert_nothing_left()

    def test_twice(self) -> None:
        """Being told twice does no harm."""
        client = self.site.log_in(wire=Wire("127.0.0.1", lingering=True))
        client.session.shut_down()
        client.session.shut_down()
        client.wire.drop()
        self.assert_nothing_left()
