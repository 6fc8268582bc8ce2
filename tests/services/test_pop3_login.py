"""Logging in to the POP3 server: portal, gate, trace, and who may do it without TLS."""

from __future__ import annotations

import attrs
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.internet.defer import Deferred, fail
from twisted.mail.pop3 import IMailbox
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.interfaces import MailboxDepartedError, MailboxInUseError, TooBusyError
from hermes.services.login_trace import MAX_NAME_CHARACTERS
from hermes.services.pop3_connection import WRONG_PASSWORD_SECONDS
from hermes.services.pop3_session import POP3Session
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.pop3 import Client, Site, Wire
from tests.support.surroundings import TokenTLS

WRONG = b"-ERR [AUTH] wrong name or password\r\n"


class LoginTestCase(SynchronousTestCase):
    """A server with one account."""

    def setUp(self) -> None:
        """Ada has a mailbox."""
        self.mailbox = MemoryMailbox(b"Subject: one\n\n")
        self.realm = MailboxRealm(ada=self.mailbox)
        self.site = Site(self.realm)

    def answer(self, client: Client, name: str = "ada", password: str = "secret") -> bytes:
        """The answer to PASS, however long it takes."""
        client.say(f"USER {name}")
        heard = client.say(f"PASS {password}")
        self.site.clock.advance(WRONG_PASSWORD_SECONDS)
        return heard + client.take()


class JudgementTests(LoginTestCase):
    """What each outcome is answered with (RFC 2449 8, RFC 3206)."""

    def test_right(self) -> None:
        """The right password opens the mailbox."""
        self.assertEqual(self.answer(self.site.connect()), b"+OK mailbox open\r\n")
        self.assertEqual(self.mailbox.calls, ["open"])

    def test_portal_gets_octets(self) -> None:
        """The portal is asked with octets in UTF-8, as by Twisted's own server, for an ``IMailbox``."""
        asked: list[tuple[bytes, bytes, tuple[object, ...]]] = []

        def login(credentials: IUsernamePassword, mind: object, *interfaces: object) -> Deferred[object]:
            asked.append((credentials.username, credentials.password, interfaces))
            return fail(UnauthorizedLogin())

        self.site.factory.portal.login = login  # type: ignore[method-assign, assignment]
        self.assertEqual(self.answer(self.site.connect(), "jos\u00e9", "gr\u00fc\u00df e"), WRONG)
        self.assertEqual(asked, [("jos\u00e9".encode(), "gr\u00fc\u00df e".encode(), (IMailbox,))])

    def test_wrong_password_waits(self) -> None:
        """The answer to a wrong password comes after a second, and what is pipelined behind it waits."""
        client = self.site.connect()
        self.assertEqual(client.say("USER ada", "PASS wrong", "CAPA"), b"+OK send PASS\r\n")
        self.site.clock.advance(WRONG_PASSWORD_SECONDS - 0.1)
        self.assertEqual(client.take(), b"")
        self.site.clock.advance(0.1)
        self.assertTrue(client.take().startswith(WRONG + b"+OK capability"))

    def test_unknown_name_is_answered_alike(self) -> None:
        """Nobody learns whether a name exists: neither from the words nor from the time."""
        for name in ("ada", "nobody"):
            client = self.site.connect()
            self.assertEqual(client.say(f"USER {name}", "PASS wrong"), b"+OK send PASS\r\n")
            self.site.clock.advance(WRONG_PASSWORD_SECONDS)
            self.assertEqual(client.take(), WRONG)

    def test_denied(self) -> None:
        """A realm that denies the login is answered like a wrong password."""
        self.realm.fault = LoginDenied()
        self.assertEqual(self.answer(self.site.connect()), WRONG)

    def test_in_use(self) -> None:
        """A mailbox that another session has open is [IN-USE]; when it is free the login succeeds."""
        first, second = self.site.log_in(), self.site.connect()
        self.assertEqual(self.answer(second), b"-ERR [IN-USE] another session has the mailbox open\r\n")
        first.say("QUIT")
        self.assertEqual(self.answer(second), b"+OK mailbox open\r\n")

    def test_departed(self) -> None:
        """Where there can be no mailbox yet the client hears when to come again: no fault, and no wrong password."""
        self.realm.fault = MailboxDepartedError("an account of that name was erased", 2531)
        client = self.site.connect()
        self.assertEqual(
            self.answer(client), b"-ERR [SYS/TEMP] an account of that name was erased: log in again in 2531 s\r\n"
        )
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(self.site.gate.failures, [])
        (facts,) = self.site.journal.facts("login")
        self.assertEqual((facts["result"], facts["rule"]), ("refused", "login.departed"))
        self.assertEqual(facts["reason"], "an account of that name was erased: log in again in 2531 s")
        self.realm.fault = None
        self.assertEqual(self.answer(client), b"+OK mailbox open\r\n")

    def test_too_busy(self) -> None:
        """When too many wait to have their passwords checked, the client is asked to come later."""
        self.site.checker.fault = TooBusyError()
        self.assertEqual(
            self.answer(self.site.connect()), b"-ERR [SYS/TEMP] too many are logging in, try again later\r\n"
        )
        self.assertEqual(self.site.gate.failures, [])

    def test_fault(self) -> None:
        """A fault of ours is no wrong password: it is logged, and the client is asked to come later."""
        self.realm.fault = RuntimeError("broken")
        client = self.site.connect()
        self.assertEqual(self.answer(client), b"-ERR [SYS/TEMP] something went wrong here, try again later\r\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.site.gate.failures, [])
        self.realm.fault = None
        self.assertEqual(self.answer(client), b"+OK mailbox open\r\n")

    def test_acting_for_oneself(self) -> None:
        """An authorization identity that is one's own is accepted, in any case."""
        self.assertEqual(self.site.connect().say("AUTH PLAIN QURBAGFkYQBzZWNyZXQ="), b"+OK mailbox open\r\n")

    def test_acting_for_others(self) -> None:
        """Nobody logs in as somebody else, and the password is not even looked at."""
        client = self.site.connect()
        client.say("AUTH PLAIN Ym9iAGFkYQBzZWNyZXQ=")
        self.site.clock.advance(WRONG_PASSWORD_SECONDS)
        self.assertEqual(client.take(), WRONG)
        self.assertEqual(self.site.checker.asked, [])

    def test_own_authentication(self) -> None:
        """A session class of one's own may override ``authenticateUserPASS``, as with Twisted's."""

        class Own(POP3Session):
            def authenticateUserPASS(self, user: bytes, password: bytes) -> object:
                return IMailbox, mailbox, lambda: None

        mailbox = MemoryMailbox()
        site = self.site
        site.factory.buildProtocol = lambda addr: Own(site.factory)  # type: ignore[method-assign]
        self.assertEqual(self.answer(site.connect(), "anybody", "anything"), b"+OK mailbox open\r\n")


class GateTests(LoginTestCase):
    """The gate counts wrong passwords."""

    def test_failures_are_counted(self) -> None:
        """Each wrong password is reported to the gate, a right one is not."""
        client = self.site.connect()
        self.answer(client, password="wrong")
        self.answer(client, name="nobody")
        self.answer(client)
        self.assertEqual(self.site.gate.failures, ["127.0.0.1"] * 2)

    def test_too_many(self) -> None:
        """A peer that must wait is told so, and its password is not looked at."""
        self.site.gate.login = Verdict(Reply.of(454, "4.7.0", "too many wrong passwords"), "limits.login_failures")
        self.assertEqual(self.answer(self.site.connect()), b"-ERR [SYS/TEMP] too many wrong passwords\r\n")
        self.assertEqual(self.site.checker.asked, [])
        self.assertEqual(self.site.journal.facts("login")[0]["rule"], "limits.login_failures")


class LeavingTests(LoginTestCase):
    """Clients that are gone before their password has been looked at."""

    def left(self, outcome: Exception) -> None:
        """A client logs in and leaves; then its login comes to that outcome."""
        login: Deferred[object] = Deferred()
        self.patch(self.site.factory.portal, "login", lambda *arguments: login)
        client = self.site.connect()
        client.say("USER ada", "PASS secret")
        client.wire.drop()
        login.errback(outcome)
        self.assertEqual(set(), self.site.factory.sessions)

    def test_counted(self) -> None:
        """It has cost the work all the same: the gate counts it, and the trace has it."""
        self.left(UnauthorizedLogin())
        self.assertEqual(self.site.gate.failures, ["127.0.0.1"])
        (facts,) = self.site.journal.facts("login")
        self.assertEqual((facts["result"], facts["rule"]), ("refused", "login.left"))

    def test_refusals_are_no_faults(self) -> None:
        """That nobody hears a refusal makes no fault of it: the server's log says nothing."""
        departed = MailboxDepartedError("erased", 1)
        for outcome in (UnauthorizedLogin(), LoginDenied(), MailboxInUseError(), TooBusyError(), departed):
            self.left(outcome)
        self.assertEqual([], self.flushLoggedErrors())

    def test_faults(self) -> None:
        """A fault is one, whether anybody waits for it or not."""
        self.left(RuntimeError())
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))


class TraceTests(LoginTestCase):
    """LOGIN events."""

    def test_accepted(self) -> None:
        """A login is recorded: who, from where, how."""
        self.site.clock.advance(1000)
        self.answer(self.site.connect())
        (event,) = self.site.journal.events
        self.assertEqual((event.at, event.kind.value, event.address), (1000.0, "login", "ada"))
        self.assertEqual(
            event.facts,
            {
                "service": "pop3",
                "peer": "127.0.0.1",
                "result": "accepted",
                "mechanism": "USER",
                "tls": None,
                "rule": None,
                "reason": None,
            },
        )

    def test_name_of_the_account(self) -> None:
        """The trace knows an account by its name, in whatever form or by which of its addresses somebody logged in."""
        self.mailbox.account = "ada.l"
        client = self.site.connect()
        self.answer(client)
        self.mailbox.messages.append(b"Subject: x\n\n")
        client.say("RETR 1", "DELE 1", "QUIT")
        self.assertEqual(
            [(event.kind.value, event.address) for event in self.site.journal.events],
            [("login", "ada.l"), ("retrieved", "ada.l"), ("deleted", "ada.l")],
        )

    def test_refused(self) -> None:
        """So is one that failed, by the rule that decided."""
        client = self.site.connect()
        self.answer(client, password="wrong")
        client.say("AUTH PLAIN Ym9iAGFkYQBzZWNyZXQ=")
        facts = self.site.journal.facts("login")
        self.assertEqual([fact["result"] for fact in facts], ["refused", "refused"])
        self.assertEqual([fact["rule"] for fact in facts], ["login.wrong", "login.authorization"])
        self.assertEqual([fact["mechanism"] for fact in facts], ["USER", "PLAIN"])

    def test_other_outcomes(self) -> None:
        """Logins that failed for other reasons are told apart."""
        self.mailbox.locked = True
        client = self.site.connect()
        self.answer(client)
        self.site.checker.fault = TooBusyError()
        self.answer(client)
        self.site.checker.fault = RuntimeError()
        self.answer(client)
        self.flushLoggedErrors(RuntimeError)
        rules = [fact["rule"] for fact in self.site.journal.facts("login")]
        self.assertEqual(rules, ["login.in_use", "login.busy", "login.fault"])

    def test_no_password(self) -> None:
        """No event holds a password, right or wrong."""
        client = self.site.connect()
        self.answer(client, password="hunter2 and more")
        self.answer(client)
        for event in self.site.journal.events:
            self.assertNotIn("secret", repr(event))
            self.assertNotIn("hunter2", repr(event))

    def test_long_name(self) -> None:
        """Of a long name only the beginning is kept."""
        self.answer(self.site.connect(), name="x" * (MAX_NAME_CHARACTERS + 1))
        self.assertEqual(self.site.journal.events[0].address, "x" * MAX_NAME_CHARACTERS)


class InTheClearTests(LoginTestCase):
    """``auth_without_tls``."""

    def allowed(self, setting: str, wire: Wire) -> bool:
        """Whether one may log in."""
        self.site.factory.settings = attrs.evolve(self.site.factory.settings, auth_without_tls=setting)
        answer = self.site.connect(wire).say("USER ada")
        if answer == b"+OK send PASS\r\n":
            return True
        self.assertTrue(answer.startswith(b"-ERR [AUTH] "))
        return False

    def test_never(self) -> None:
        """By default nobody logs in without TLS, from this machine neither."""
        self.assertFalse(self.allowed("never", Wire("127.0.0.1")))
        self.assertFalse(self.allowed("never", Wire("192.0.2.7")))

    def test_loopback(self) -> None:
        """If so configured, this machine itself may, and nobody else."""
        self.assertTrue(self.allowed("loopback", Wire("127.0.0.1")))
        self.assertTrue(self.allowed("loopback", Wire("::1")))
        self.assertTrue(self.allowed("loopback", Wire("::ffff:127.0.0.1")))
        self.assertFalse(self.allowed("loopback", Wire("192.0.2.7")))
        self.assertFalse(self.allowed("loopback", Wire("2001:db8::1")))

    def test_after_stls(self) -> None:
        """After STLS everybody may; what was sent in the clear behind STLS is not looked at."""
        self.site.factory.tls = TokenTLS()
        client = self.site.connect(Wire("192.0.2.7"))
        client.say("STLS", "USER ada", "PASS secret")
        self.assertEqual(client.wire.starts, ["context"])
        self.assertTrue(client.wire.clear_text.endswith(b"+OK go ahead with TLS\r\n"))
        self.assertEqual(client.take(), b"")
        self.assertTrue(client.say("PASS secret").startswith(b"-ERR send USER first"))
        self.assertEqual(self.answer(client), b"+OK mailbox open\r\n")

    def test_implicit_tls(self) -> None:
        """Where TLS comes first everybody may, and it does come first."""
        self.site.factory.tls = TokenTLS()
        self.site.factory.implicit_tls = True
        client = self.site.connect(Wire("192.0.2.7"))
        self.assertEqual((client.wire.starts, client.wire.clear_text), (["context"], b""))
        self.assertNotIn(b"STLS", client.say("CAPA"))
        self.assertEqual(self.answer(client), b"+OK mailbox open\r\n")

    def test_certificate_trouble(self) -> None:
        """When TLS cannot be started the client is told, and the session goes on in the clear."""

        def broken() -> str:
            raise RuntimeError("no certificate")

        self.site.factory.tls = TokenTLS()
        self.site.factory.tls.context_factory = broken  # type: ignore[method-assign]
        client = self.site.connect()
        self.assertTrue(client.say("STLS").startswith(b"-ERR [SYS/TEMP] "))
        self.assertEqual(client.wire.starts, [])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.answer(client), b"+OK mailbox open\r\n")
