"""Tests of AUTH (RFC 4954) and STARTTLS (RFC 3207), through the engine."""

from __future__ import annotations

from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.reply import Reply
from hermes.protocols.sasl import Credentials
from hermes.protocols.smtp import events
from hermes.protocols.smtp.parameters import MAX_COMMAND_OCTETS, MAX_SASL_OCTETS, ServerParameters
from hermes.protocols.smtp.server import SMTPServer
from tests.support.smtp_owner import HOSTNAME, Owner, ready, replayed

BOTH = {"mechanisms_in_clear": ("PLAIN", "LOGIN")}
TLS_ONLY = {"starttls": True, "mechanisms": ("PLAIN", "LOGIN")}

RIGHT = b64encode(b"\0tim\0secret")
WRONG = b64encode(b"\0tim\0guess")


class AuthTests(SynchronousTestCase):
    """Logging in."""

    def test_initial_response(self) -> None:
        """PLAIN in one line."""
        owner = replayed(b"AUTH PLAIN " + RIGHT + b"\r\n", **BOTH)
        self.assertEqual(owner.events, [Credentials("PLAIN", "tim", "secret")])
        self.assertEqual(owner.output, b"235 2.7.0 Logged in\r\n")
        self.assertTrue(owner.engine.authenticated)

    def test_no_initial_response(self) -> None:
        """PLAIN asks with an empty challenge, which has a space all the same (RFC 4954 4)."""
        owner = replayed(b"auth plain\r\n" + RIGHT + b"\r\n", **BOTH)
        self.assertEqual(owner.output, b"334 \r\n235 2.7.0 Logged in\r\n")

    def test_login(self) -> None:
        """LOGIN asks twice."""
        owner = replayed(b"AUTH LOGIN\r\ndGlt\r\nc2VjcmV0\r\n", **BOTH)
        self.assertEqual(owner.output, b"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 2.7.0 Logged in\r\n")
        self.assertEqual(owner.last, Credentials("LOGIN", "tim", "secret"))

    def test_login_with_name(self) -> None:
        """LOGIN with the name as initial response asks once."""
        owner = replayed(b"AUTH LOGIN dGlt\r\nc2VjcmV0 \r\n", **BOTH)
        self.assertEqual(owner.output, b"334 UGFzc3dvcmQ6\r\n235 2.7.0 Logged in\r\n")

    def test_wrong(self) -> None:
        """After a wrong password another one may be tried."""
        owner = replayed(b"AUTH PLAIN " + WRONG + b"\r\nAUTH PLAIN " + RIGHT + b"\r\n", **BOTH)
        self.assertEqual(owner.output, b"535 5.7.8 Wrong\r\n235 2.7.0 Logged in\r\n")

    def test_empty_initial_response(self) -> None:
        """``=`` is an empty response, which PLAIN and LOGIN do not want."""
        for mechanism in (b"PLAIN", b"LOGIN"):
            owner = replayed(b"AUTH " + mechanism + b" =\r\nNOOP\r\n", **BOTH)
            self.assertEqual(owner.output[:9], b"501 5.5.2")
            self.assertEqual(owner.last, events.Noop())

    def test_canceled(self) -> None:
        """``*`` ends the exchange with 501 (RFC 4954 4), and the next line is a command."""
        owner = replayed(b"AUTH LOGIN\r\n*\r\nNOOP\r\n", **BOTH)
        self.assertEqual(owner.output.splitlines()[1][:9], b"501 5.7.0")
        self.assertEqual(owner.last, events.Noop())

    def test_not_base64(self) -> None:
        """What is not base64 ends the exchange with 501 5.5.2."""
        for line in (b"tim", b"a b", b"\xff\xff", b"QUIT\x00"):
            owner = replayed(b"AUTH LOGIN\r\n" + line + b"\r\nNOOP\r\n", **BOTH)
            self.assertEqual(owner.output.splitlines()[1][:9], b"501 5.5.2")
            self.assertEqual(owner.last, events.Noop())
        owner = replayed(b"AUTH PLAIN abc\r\nNOOP\r\n", **BOTH)
        self.assertEqual(owner.output[:9], b"501 5.5.2")

    def test_malformed_response(self) -> None:
        """What the mechanism does not understand ends the exchange."""
        owner = replayed(b"AUTH PLAIN " + b64encode(b"tim") + b"\r\nNOOP\r\n", **BOTH)
        assert isinstance(owner.events[0], events.Refused)
        self.assertEqual(owner.events[0].rule, "auth.malformed")

    def test_bare_newline(self) -> None:
        """A response that ends in LF alone ends the exchange."""
        owner = replayed(b"AUTH LOGIN\r\ndGlt\nNOOP\r\n", **BOTH)
        self.assertEqual(owner.output.splitlines()[1][:9], b"500 5.5.2")
        self.assertEqual(owner.last, events.Noop())

    def test_line_limit(self) -> None:
        """A response has at most 12288 octets with its end (RFC 4954 4)."""
        for size, code in ((MAX_SASL_OCTETS, b"501 5.5.2"), (MAX_SASL_OCTETS + 1, b"500 5.5.6")):
            owner = replayed(b"AUTH LOGIN\r\n" + b"A" * (size - 2) + b"\r\nNOOP\r\n", **BOTH)
            self.assertEqual(owner.output.splitlines()[1][:9], code)
            self.assertEqual(owner.last, events.Noop())

    def test_command_limit(self) -> None:
        """AUTH with an initial response may be as long as that; other commands may not."""
        long = b"A" * (MAX_COMMAND_OCTETS * 4)
        self.assertEqual(ready(**BOTH).lines(b"AUTH PLAIN " + long)[0][:9], b"501 5.5.2")
        self.assertEqual(ready(**BOTH).lines(b"NOOP " + long)[0][:9], b"500 5.5.2")
        self.assertEqual(ready(**BOTH).lines(b"AUTH PLAIN " + b"A" * MAX_SASL_OCTETS)[0][:9], b"500 5.5.2")

    def test_only_once(self) -> None:
        """Who has logged in cannot do it again (RFC 4954 4), and is not asked to."""
        owner = ready(**BOTH)
        owner.lines(b"AUTH PLAIN " + RIGHT)
        self.assertEqual(owner.lines(b"AUTH PLAIN " + RIGHT)[0][:9], b"503 5.5.1")
        self.assertFalse([line for line in owner.lines(b"EHLO x") if b"AUTH" in line])

    def test_not_in_a_transaction(self) -> None:
        """AUTH has no place in a transaction (RFC 4954 4)."""
        owner = ready(**BOTH)
        self.assertEqual(owner.lines(b"MAIL FROM:<>", b"AUTH PLAIN " + RIGHT)[1][:9], b"503 5.5.1")

    def test_unknown_mechanism(self) -> None:
        """A mechanism that is not offered is answered 504 5.5.4."""
        owner = ready(mechanisms_in_clear=("PLAIN", "NONSENSE"))
        for mechanism in (b"LOGIN", b"GSSAPI", b"NONSENSE"):
            self.assertEqual(owner.lines(b"AUTH " + mechanism)[0][:9], b"504 5.5.4")

    def test_no_login_here(self) -> None:
        """Where nobody can log in AUTH is not offered."""
        self.assertEqual(ready().lines(b"AUTH PLAIN " + RIGHT)[0][:9], b"502 5.5.1")

    def test_only_under_tls(self) -> None:
        """A mechanism that is offered under TLS only is answered 538 5.7.11 without (RFC 4954 6)."""
        owner = ready(**TLS_ONLY)
        self.assertEqual(owner.lines(b"AUTH PLAIN " + RIGHT)[0][:10], b"538 5.7.11")
        self.assertEqual(owner.lines(b"AUTH GSSAPI")[0][:9], b"504 5.5.4")

    def test_announced(self) -> None:
        """EHLO names those mechanisms that can be used now and that exist."""
        owner = Owner(mechanisms_in_clear=("LOGIN", "NONSENSE"), mechanisms=("PLAIN", "LOGIN"))
        self.assertEqual(owner.lines(b"EHLO x")[-1], b"250 AUTH LOGIN")
        owner.engine.tls_started()
        self.assertEqual(owner.lines(b"EHLO x")[-1], b"250 AUTH PLAIN LOGIN")

    def test_goodbye_in_an_exchange(self) -> None:
        """421 ends an exchange and the session."""
        owner = ready(**BOTH)
        owner.lines(b"AUTH LOGIN")
        owner.engine.reply(Reply.of(421, "4.4.2", "Too slow"))
        self.assertEqual(owner.lines(b"dGlt"), [])


class StartTLSTests(SynchronousTestCase):
    """STARTTLS."""

    def test_announced(self) -> None:
        """STARTTLS is announced where it is possible, and not once TLS is on (RFC 3207 4.2)."""
        owner = Owner(**TLS_ONLY)
        self.assertIn(b"250 STARTTLS", owner.lines(b"EHLO x"))
        owner.engine.tls_started()
        self.assertFalse([line for line in owner.lines(b"EHLO x") if b"STARTTLS" in line])

    def test_everything_is_forgotten(self) -> None:
        """What was said before TLS does not count (RFC 3207 4.2)."""
        owner = ready(starttls=True, **BOTH)
        owner.lines(b"AUTH PLAIN " + RIGHT, b"MAIL FROM:<> SMTPUTF8", b"RCPT TO:<b@example.org>", b"STARTTLS")
        engine = owner.engine
        self.assertTrue(engine.tls_active)
        self.assertFalse(engine.authenticated)
        self.assertFalse(engine.in_transaction)
        self.assertFalse(engine.smtputf8)
        self.assertEqual(engine.hello_name, "")
        self.assertEqual([line[:3] for line in owner.lines(b"DATA", b"MAIL FROM:<>")], [b"503", b"503"])

    def test_nothing_survives_in_the_buffer(self) -> None:
        """What came behind STARTTLS in the clear is never executed, whether it came with it or a little later."""
        engine = SMTPServer(ServerParameters(HOSTNAME, starttls=True))
        engine.receive(b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<evil@example.com>\r\nRSE")
        engine.next_event()
        engine.accept_hello("")
        self.assertEqual(engine.next_event(), events.StartTLS())
        self.assertEqual(engine.reply(Reply.of(220, "2.0.0", "Go")), b"220 2.0.0 Go\r\n")
        self.assertIsNone(engine.next_event())
        engine.receive(b"RCPT TO:<b@example.org>\r\n")
        self.assertIsNone(engine.next_event())
        engine.tls_started()
        self.assertIsNone(engine.next_event())
        engine.receive(b"T\r\n")
        event = engine.next_event()
        assert isinstance(event, events.Refused)
        self.assertEqual(event.reply.code, 500)

    def test_refused_by_the_owner(self) -> None:
        """When the owner cannot do it now, the session goes on in the clear with what it had."""
        engine = SMTPServer(ServerParameters(HOSTNAME, starttls=True))
        engine.receive(b"EHLO x\r\nSTARTTLS\r\nNOOP\r\n")
        engine.next_event()
        engine.accept_hello("")
        engine.next_event()
        engine.reply(Reply.of(454, "4.7.0", "Not now"))
        self.assertEqual(engine.next_event(), events.Noop())
        self.assertFalse(engine.tls_active)
        self.assertEqual(engine.hello_name, "x")

    def test_not_twice(self) -> None:
        """TLS inside TLS is out of sequence."""
        owner = ready(starttls=True)
        owner.lines(b"STARTTLS")
        self.assertEqual(owner.lines(b"EHLO x", b"STARTTLS")[-1][:9], b"503 5.5.1")

    def test_not_offered(self) -> None:
        """Without a certificate it is not implemented."""
        self.assertEqual(ready().lines(b"STARTTLS")[0][:9], b"502 5.5.1")

    def test_implicit(self) -> None:
        """With implicit TLS the session begins with it."""
        owner = Owner(mechanisms=("PLAIN",))
        owner.engine.tls_started()
        self.assertIn(b"250 AUTH PLAIN", owner.lines(b"EHLO x"))
        self.assertEqual(owner.lines(b"AUTH PLAIN " + RIGHT), [b"235 2.7.0 Logged in"])
        self.assertEqual(owner.engine.protocol_keyword, "ESMTPSA")

    def test_web_client_under_tls(self) -> None:
        """A web client that speaks TLS is sent away too."""
        owner = Owner()
        owner.engine.tls_started()
        self.assertEqual(owner.lines(b"GET / HTTP/1.1")[0][:3], b"421")
