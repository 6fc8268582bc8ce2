"""The SMTP client's engine: sessions that go well, and how commands are put together (RFC 5321, 2920, 3207, 4954, 3030)."""

from __future__ import annotations

from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType
from hermes.core.outcome import Result
from hermes.core.reply import Reply
from hermes.protocols.sasl_client import Channel, Login, begin
from hermes.protocols.sasl_login import Derivation
from hermes.protocols.smtp.capabilities import Capabilities
from hermes.protocols.smtp.client import ClientEngine
from hermes.protocols.smtp.client_commands import UnsafeError
from hermes.protocols.smtp.client_events import (
    ContentWanted,
    Ended,
    LoggedIn,
    Peer,
    Ready,
    Refused,
    Stage,
    TLSReady,
    TransactionDone,
)
from tests.support.cuts import Cut, at_random, byte_by_byte, whole
from tests.support.smtp_engine import GREETING, Conversation, every_cut, parcel

#: The example of RFC 7677 3.
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


class OpeningTests(SynchronousTestCase):
    """From the greeting to a session that can be used."""

    def test_hostname(self) -> None:
        """Our own name is checked before anything is connected."""
        self.assertRaises(UnsafeError, ClientEngine, "bad name\r\n", Peer("mx", "192.0.2.1:25"))

    @every_cut
    def test_extended(self, cut: Cut) -> None:
        """A greeting is answered with EHLO, and its reply says what the server can do."""
        talk = Conversation(cut)
        self.assertIs(talk.engine.stage, Stage.GREETING)
        self.assertEqual(talk.sent(), b"")
        self.assertEqual(talk.server(GREETING), [])
        self.assertEqual(talk.sent(), b"EHLO client.example.org\r\n")
        self.assertIs(talk.engine.stage, Stage.HELLO)
        capabilities = Capabilities(name="mx.example.com", pipelining=True)
        self.assertEqual(talk.server(b"250-mx.example.com\r\n250 PIPELINING\r\n"), [Ready(capabilities)])
        self.assertEqual(talk.engine.capabilities, capabilities)
        self.assertIs(talk.engine.stage, Stage.IDLE)

    @every_cut
    def test_simple(self, cut: Cut) -> None:
        """A server that does not know EHLO is greeted with HELO, and has no extensions (RFC 5321 3.2)."""
        for refusal in (b"500 what?\r\n", b"502 no\r\n", b"550 no\r\n"):
            talk = Conversation(cut)
            talk.server(GREETING + b"")
            talk.server(refusal)
            self.assertEqual(talk.sent(), b"EHLO client.example.org\r\nHELO client.example.org\r\n")
            self.assertEqual(talk.server(b"250 old.example.com hi\r\n"), [Ready(Capabilities(name="old.example.com"))])

    def test_refused_greeting(self) -> None:
        """A 4xx or 5xx greeting refuses the session and leaves room for QUIT."""
        for code, result in ((b"450", Result.DEFERRED), (b"554", Result.FAILED)):
            talk = Conversation()
            (event,) = talk.server(code + b" go away\r\n")
            self.assertIsInstance(event, Refused)
            self.assertIs(event.stage, Stage.GREETING)
            self.assertIs(event.outcome.result, result)
            self.assertEqual(event.outcome.reply, Reply(int(code), None, ("go away",)))
            self.assertEqual((event.outcome.host, event.outcome.address), ("mx.example.com", "192.0.2.25:25"))
            self.assertFalse(talk.engine.ended)
            self.assertEqual(talk.sent(), b"")
            talk.engine.quit()
            self.assertEqual(talk.sent(), b"QUIT\r\n")

    def test_refused_hello(self) -> None:
        """A 4xx to EHLO refuses the session; a 5xx only when HELO is refused too."""
        talk = Conversation()
        talk.server(GREETING)
        (event,) = talk.server(b"451 4.7.1 later\r\n")
        self.assertEqual((event.stage, event.outcome.status), (Stage.HELLO, "4.7.1"))
        talk = Conversation()
        talk.server(GREETING)
        talk.server(b"550 no\r\n")
        (event,) = talk.server(b"550 5.7.1 no\r\n")
        self.assertEqual((event.stage, event.outcome.status), (Stage.HELLO, "5.7.1"))

    def test_quit(self) -> None:
        """QUIT ends the session with its reply, whatever that is."""
        talk = Conversation()
        talk.open()
        talk.engine.quit()
        self.assertIs(talk.engine.stage, Stage.QUIT)
        (event,) = talk.server(b"221 bye\r\n")
        self.assertIsInstance(event, Ended)
        self.assertIs(event.stage, Stage.QUIT)
        self.assertTrue(talk.engine.ended)


class StartTLSTests(SynchronousTestCase):
    """RFC 3207."""

    @every_cut
    def test_accepted(self, cut: Cut) -> None:
        """After 220 TLS begins, EHLO is said again and the old capabilities are gone."""
        talk = Conversation(cut)
        talk.open("STARTTLS", "PIPELINING")
        talk.engine.start_tls()
        self.assertEqual(talk.sent(), b"STARTTLS\r\n")
        self.assertEqual(talk.server(b"220 go\r\n"), [TLSReady()])
        talk.engine.tls_started("TLSv1.3 X")
        self.assertEqual(talk.engine.capabilities, Capabilities())
        self.assertEqual(talk.sent(), b"EHLO client.example.org\r\n")
        self.assertEqual(talk.server(b"250 mx.example.com\r\n"), [Ready(Capabilities(name="mx.example.com"))])
        self.assertEqual(talk.engine.peer.tls, "TLSv1.3 X")

    def test_nothing_survives(self) -> None:
        """What the server (or somebody in between) sent behind the 220 is not taken for a reply inside TLS."""
        talk = Conversation()
        talk.open("STARTTLS")
        talk.engine.start_tls()
        injected = b"250-evil.example\r\n250 AUTH PLAIN\r\n"
        self.assertEqual(talk.server(b"220 go\r\n" + injected), [TLSReady()])
        talk.server(injected)
        talk.engine.tls_started("TLSv1.3 X")
        self.assertEqual(talk.look(), [])
        self.assertEqual(talk.server(b"250 mx.example.com\r\n"), [Ready(Capabilities(name="mx.example.com"))])

    def test_refused(self) -> None:
        """A refusal leaves the session as it was."""
        talk = Conversation()
        talk.open("STARTTLS", "PIPELINING")
        talk.engine.start_tls()
        (event,) = talk.server(b"454 4.7.0 not now\r\n")
        self.assertEqual((event.stage, event.outcome.status), (Stage.STARTTLS, "4.7.0"))
        self.assertTrue(talk.engine.capabilities.pipelining)
        self.assertFalse(talk.engine.ended)

    def test_implicit(self) -> None:
        """With TLS from the first octet the greeting is still to come."""
        talk = Conversation()
        talk.engine.tls_started("TLSv1.3 X", implicit=True)
        self.assertEqual(talk.sent(), b"")
        talk.server(GREETING)
        self.assertEqual(talk.sent(), b"EHLO client.example.org\r\n")

    def test_no_helo_inside_tls(self) -> None:
        """A server that has done TLS knows EHLO: a refusal of it is one."""
        talk = Conversation()
        talk.engine.tls_started("TLSv1.3 X", implicit=True)
        talk.server(GREETING)
        (event,) = talk.server(b"550 no\r\n")
        self.assertIsInstance(event, Refused)


class LoginTests(SynchronousTestCase):
    """RFC 4954."""

    def start(self, mechanism: str, cut: Cut = whole) -> Conversation:
        """A conversation in which AUTH has just been sent."""
        talk = Conversation(cut)
        talk.open("AUTH " + mechanism)
        talk.engine.log_in(begin(mechanism, Login("tim", "tanstaaftanstaaf"), Channel()))
        return talk

    @every_cut
    def test_plain(self, cut: Cut) -> None:
        """PLAIN goes with the command."""
        talk = self.start("PLAIN", cut)
        self.assertEqual(talk.sent(), b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n")
        self.assertIs(talk.engine.stage, Stage.LOGIN)
        self.assertEqual(talk.server(b"235 2.7.0 welcome\r\n"), [LoggedIn()])

    @every_cut
    def test_login(self, cut: Cut) -> None:
        """LOGIN is asked twice."""
        talk = self.start("LOGIN", cut)
        self.assertEqual(talk.sent(), b"AUTH LOGIN\r\n")
        talk.server(b"334 VXNlcm5hbWU6\r\n")
        self.assertEqual(talk.sent(), b"dGlt\r\n")
        talk.server(b"334 UGFzc3dvcmQ6\r\n")
        self.assertEqual(talk.sent(), b"dGFuc3RhYWZ0YW5zdGFhZg==\r\n")
        self.assertEqual(talk.server(b"235 welcome\r\n"), [LoggedIn()])

    @every_cut
    def test_cram_md5(self, cut: Cut) -> None:
        """The example of RFC 2195 2, on the wire."""
        talk = self.start("CRAM-MD5", cut)
        self.assertEqual(talk.sent(), b"AUTH CRAM-MD5\r\n")
        talk.server(b"334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n")
        self.assertEqual(talk.sent(), b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n")
        self.assertEqual(talk.server(b"235 welcome\r\n"), [LoggedIn()])

    def test_wrong_password(self) -> None:
        """A refused login never returns a message: the configuration can be mended. The server's words are kept."""
        for words, status in ((b"535 5.7.8 wrong", "4.7.8"), (b"535 wrong", "4.7.8"), (b"454 4.7.0 later", "4.7.0")):
            talk = self.start("PLAIN")
            (event,) = talk.server(words + b"\r\n")
            self.assertIsInstance(event, Refused)
            self.assertEqual((event.stage, event.outcome.result), (Stage.LOGIN, Result.DEFERRED))
            self.assertEqual(event.outcome.status, status)
            self.assertIn(words.decode(), event.outcome.reason)
            self.assertFalse(talk.engine.ended)

    def test_called_off(self) -> None:
        """A challenge that is not base64, or one too many, ends the exchange with an asterisk."""
        for mechanism, challenge in (
            ("LOGIN", b"334 !!!\r\n"),
            ("PLAIN", b"334 AAAA\r\n"),
            ("LOGIN", b"334 \xc3\xbc\r\n"),
        ):
            for answer in (b"501 ok\r\n", b"235 never mind, welcome\r\n"):
                talk = self.start(mechanism)
                talk.sent()
                self.assertEqual(talk.server(challenge), [])
                self.assertEqual(talk.sent(), b"*\r\n")
                (event,) = talk.server(answer)
                self.assertIsInstance(event, Refused)
                self.assertIs(event.outcome.result, Result.DEFERRED)
                self.assertIn("does not know", event.outcome.reason)

    def test_challenged_for_ever(self) -> None:
        """A server that goes on after the asterisk is not talked to any longer."""
        talk = self.start("PLAIN")
        talk.server(b"334 AAAA\r\n")
        (event,) = talk.server(b"334 AAAA\r\n")
        self.assertIsInstance(event, Ended)

    def test_empty_initial_response(self) -> None:
        """An empty initial response is written as an equals sign (RFC 4954 4)."""

        class Empty:
            mechanism = "EXTERNAL"
            satisfied = True
            remark = ""

            def initial(self) -> bytes:
                return b""

            def respond(self, challenge: bytes) -> None:
                return None

        talk = Conversation()
        talk.open()
        talk.engine.log_in(Empty())
        self.assertEqual(talk.sent(), b"AUTH EXTERNAL =\r\n")

    def scram(self, cut: Cut) -> Conversation:
        """A conversation in which SCRAM has been begun with the example of RFC 7677 3."""
        talk = Conversation(cut)
        talk.open("AUTH SCRAM-SHA-256")
        channel = Channel(nonce="rOprNGfwEbeRWgbNEkqO")
        talk.engine.log_in(begin("SCRAM-SHA-256", Login("user", "pencil"), channel))
        self.assertEqual(talk.sent(), b"AUTH SCRAM-SHA-256 " + b64encode(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") + b"\r\n")
        return talk

    def prove(self, talk: Conversation) -> None:
        """The server's first message comes, and the work is done that it makes."""
        (wanted,) = talk.server(b"334 " + b64encode(SERVER_FIRST) + b"\r\n")
        assert isinstance(wanted, Derivation)
        talk.engine.derived(wanted, wanted.keys())

    @every_cut
    def test_said_meanwhile(self, cut: Cut) -> None:
        """What a server says while its proof is being computed is out of turn: the session ends, and nothing is proved to it."""
        for said in (b"235 welcome\r\n", b"334 " + b64encode(SERVER_FIRST) + b"\r\n", b"421 closing\r\n"):
            talk = self.scram(cut)
            (wanted,) = talk.server(b"334 " + b64encode(SERVER_FIRST) + b"\r\n")
            assert isinstance(wanted, Derivation)
            (event,) = talk.server(said)
            self.assertIsInstance(event, Ended)
            self.assertIs(event.outcome.result, Result.DEFERRED)
            talk.engine.derived(wanted, wanted.keys())
            self.assertEqual(talk.sent(), b"")

    @every_cut
    def test_scram(self, cut: Cut) -> None:
        """SCRAM goes through three answers, and ends with an empty one to the server's proof (RFC 4954 4)."""
        talk = self.scram(cut)
        self.prove(talk)
        self.assertEqual(talk.sent(), b64encode(CLIENT_FINAL) + b"\r\n")
        talk.server(b"334 " + b64encode(SERVER_FINAL) + b"\r\n")
        self.assertEqual(talk.sent(), b"\r\n")
        self.assertEqual(talk.server(b"235 welcome\r\n"), [LoggedIn()])

    @every_cut
    def test_server_without_proof(self, cut: Cut) -> None:
        """A server that says yes before it has proved itself is not believed, at any point: the session ends, the mail waits."""
        for challenges in ((), (SERVER_FIRST,)):
            talk = self.scram(cut)
            for _ in challenges:
                self.prove(talk)
            (event,) = talk.server(b"235 welcome\r\n")
            self.assertIsInstance(event, Ended)
            self.assertEqual((event.stage, event.outcome.result), (Stage.LOGIN, Result.DEFERRED))
            self.assertIn("without proving", event.outcome.reason)
            self.assertTrue(talk.engine.ended)

    def test_server_with_a_wrong_proof(self) -> None:
        """A wrong proof calls the exchange off, and the reason says what that may mean."""
        talk = self.scram(whole)
        self.prove(talk)
        talk.sent()
        talk.server(b"334 " + b64encode(b"v=" + b64encode(bytes(32))) + b"\r\n")
        self.assertEqual(talk.sent(), b"*\r\n")
        (event,) = talk.server(b"235 welcome all the same\r\n")
        self.assertIsInstance(event, Refused)
        self.assertIn("could not prove", event.outcome.reason)

    def token(self, length: int, cut: Cut = whole) -> Conversation:
        """A conversation that logs in with a token of so many octets."""
        talk = Conversation(cut)
        talk.open("AUTH XOAUTH2")
        talk.engine.log_in(begin("XOAUTH2", Login("joe", token="t" * length), Channel()))
        return talk

    @every_cut
    def test_refused_token(self, cut: Cut) -> None:
        """The JSON of a refusal is acknowledged with an empty line, and its status stands in the reason."""
        talk = self.token(20, cut)
        talk.sent()
        talk.server(b"334 " + b64encode(b'{"status":"401","schemes":"bearer"}') + b"\r\n")
        self.assertEqual(talk.sent(), b"\r\n")
        (event,) = talk.server(b"535 5.7.8 no\r\n")
        self.assertIsInstance(event, Refused)
        self.assertIn("535 5.7.8 no (the token was refused with status 401)", event.outcome.reason)

    def test_refused_and_let_in(self) -> None:
        """A server that refuses a token and then says yes is not spoken to any more."""
        talk = self.token(20)
        talk.server(b"334 " + b64encode(b'{"status":"401"}') + b"\r\n")
        (event,) = talk.server(b"235 welcome\r\n")
        self.assertIsInstance(event, Ended)
        self.assertIn("after all, although the token was refused with status 401", event.outcome.reason)

    def test_long_initial_response(self) -> None:
        """What does not fit into a command of 512 octets is the answer to an empty challenge (RFC 4954 4)."""
        message = b"user=joe\x01auth=Bearer %s\x01\x01"
        # "AUTH XOAUTH2 ", the response and CRLF: 12 + 1 + 496 + 2 = 511, which base64 makes of 372 octets.
        fits = 372 - len(message % b"")
        talk = self.token(fits)
        self.assertEqual(talk.sent(), b"AUTH XOAUTH2 " + b64encode(message % (b"t" * fits)) + b"\r\n")
        for length in (fits + 1, 4000):
            talk = self.token(length)
            self.assertEqual(talk.sent(), b"AUTH XOAUTH2\r\n")
            talk.server(b"334 \r\n")
            self.assertEqual(talk.sent(), b64encode(message % (b"t" * length)) + b"\r\n")
            self.assertEqual(talk.server(b"235 welcome\r\n"), [LoggedIn()])

    def test_long_initial_response_that_was_not_asked_for(self) -> None:
        """A server that lets us in, or refuses, before it has seen the token; the next login begins anew."""
        talk = self.token(4000)
        talk.sent()
        (event,) = talk.server(b"535 no\r\n")
        self.assertIsInstance(event, Refused)
        talk.engine.log_in(begin("PLAIN", Login("tim", "x"), Channel()))
        talk.sent()
        talk.server(b"334 AAAA\r\n")
        self.assertEqual(talk.sent(), b"*\r\n")


class SendingTests(SynchronousTestCase):
    """Transactions that go well."""

    @every_cut
    def test_one_command_at_a_time(self, cut: Cut) -> None:
        """Without PIPELINING every command waits for the reply to the one before."""
        talk = Conversation(cut)
        talk.open("SIZE 1000")
        talk.engine.begin(parcel("a@example.com", "b@example.com", octets=12))
        self.assertEqual(talk.sent(), b"MAIL FROM:<sender@example.org> SIZE=12\r\n")
        self.assertIs(talk.engine.stage, Stage.MAIL)
        talk.server(b"250 ok\r\n")
        self.assertEqual(talk.sent(), b"RCPT TO:<a@example.com>\r\n")
        self.assertIs(talk.engine.stage, Stage.RECIPIENT)
        talk.server(b"250 ok\r\n")
        self.assertEqual(talk.sent(), b"RCPT TO:<b@example.com>\r\n")
        talk.server(b"251 will forward\r\n")
        self.assertEqual(talk.sent(), b"DATA\r\n")
        self.assertIs(talk.engine.stage, Stage.DATA)
        self.assertEqual(talk.server(b"354 go\r\n"), [ContentWanted()])
        self.assertIs(talk.engine.stage, Stage.CONTENT)
        self.assertEqual(talk.send(b"A: b\n\n.x\n"), b"A: b\r\n\r\n..x\r\n.\r\n")
        self.assertIs(talk.engine.stage, Stage.FINAL)
        (done,) = talk.server(b"250 2.6.0 queued as 17\r\n")
        self.assertIsInstance(done, TransactionDone)
        self.assertEqual((done.elsewhere, done.again), (False, ()))
        for outcome in done.outcomes:
            self.assertIs(outcome.result, Result.RELAYED)
            self.assertEqual(outcome.status, "2.6.0")
            self.assertEqual(outcome.reply, Reply(250, "2.6.0", ("queued as 17",)))
            self.assertEqual((outcome.host, outcome.address), ("mx.example.com", "192.0.2.25:25"))
            self.assertIsNone(outcome.tls)
            self.assertFalse(outcome.dsn_passed)
        self.assertIs(talk.engine.stage, Stage.IDLE)

    @every_cut
    def test_pipelined(self, cut: Cut) -> None:
        """With PIPELINING the envelope and DATA leave in one group (RFC 2920 3.1)."""
        talk = Conversation(cut)
        talk.open("PIPELINING", "DSN")
        talk.engine.begin(parcel("a@example.com", "b@example.com"))
        self.assertEqual(
            talk.sent(),
            b"MAIL FROM:<sender@example.org>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
        )
        self.assertEqual(talk.server(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"), [ContentWanted()])
        self.assertEqual(talk.send(b"x"), b"x\r\n.\r\n")
        (done,) = talk.server(b"250\r\n")
        self.assertEqual([outcome.result for outcome in done.outcomes], [Result.RELAYED] * 2)
        self.assertEqual([outcome.status for outcome in done.outcomes], ["2.0.0"] * 2)
        self.assertEqual([outcome.dsn_passed for outcome in done.outcomes], [True] * 2)

    def test_second_message(self) -> None:
        """On a kept connection RSET comes first: in the group with PIPELINING, by itself without."""
        for extension, first in (("PIPELINING", b"RSET\r\nMAIL FROM:<"), ("HELP", b"RSET\r\n")):
            talk = Conversation()
            talk.open(extension)
            self.deliver(talk)
            talk.engine.begin(parcel("a@example.com"))
            sent = talk.sent()
            self.assertTrue(sent.startswith(first))
            if extension == "HELP":
                self.assertEqual(sent, first)
                self.assertIs(talk.engine.stage, Stage.RESET)
                talk.server(b"250 flushed\r\n")
                self.assertEqual(talk.sent(), b"MAIL FROM:<sender@example.org>\r\n")
            else:
                talk.server(b"250 flushed\r\n")
                self.assertEqual(talk.sent(), b"")
            self.assertEqual(talk.engine.transactions, 2)

    def deliver(self, talk: Conversation) -> None:
        """Send one message."""
        talk.engine.begin(parcel("a@example.com"))
        while not talk.look() and talk.engine.stage is not Stage.CONTENT:
            talk.server(b"354 go\r\n" if talk.engine.stage is Stage.DATA else b"250 ok\r\n")
        talk.send(b"x\n")
        (done,) = talk.server(b"250 ok\r\n")
        self.assertIs(done.outcomes[0].result, Result.RELAYED)
        talk.sent()

    def test_dots_however_cut(self) -> None:
        """A message full of dots and line ends cannot end early, however it is cut (RFC 5321 4.5.2)."""
        content = b".\n..\n\n.\r\n.\r\nend.\n.QUIT\n\r.\n.\n"
        expected = b"..\r\n...\r\n\r\n..\r\n..\r\nend.\r\n..QUIT\r\n\r\n..\r\n..\r\n.\r\n"
        for cut in (whole, byte_by_byte, at_random):
            talk = Conversation()
            talk.open("PIPELINING")
            talk.engine.begin(parcel("a@example.com"))
            talk.server(b"250 ok\r\n250 ok\r\n354 go\r\n")
            talk.sent()
            wire = talk.send(content, cut)
            self.assertEqual(wire, expected)
            self.assertEqual(wire.find(b"\r\n.\r\n"), len(wire) - 5)

    def test_tls_and_dsn_in_the_outcome(self) -> None:
        """The outcome says under which TLS the message went."""
        talk = Conversation()
        talk.engine.tls_started("TLSv1.3 X", implicit=True)
        talk.open("PIPELINING")
        talk.engine.begin(parcel("a@example.com"))
        talk.server(b"250 ok\r\n250 ok\r\n354 go\r\n")
        talk.send(b"x\n")
        (done,) = talk.server(b"250 ok\r\n")
        self.assertEqual(done.outcomes[0].tls, "TLSv1.3 X")


class BinaryTests(SynchronousTestCase):
    """RFC 3030: octets as they are."""

    EXTENSIONS = ("CHUNKING", "BINARYMIME")
    CONTENT = b".\n\r\x00\r\n.\r\n" + bytes(range(256))

    def test_sent_as_one_chunk(self) -> None:
        """One BDAT that is the last follows the recipients; its octets are not touched."""
        for extensions in (self.EXTENSIONS, ("PIPELINING", *self.EXTENSIONS)):
            talk = Conversation()
            talk.open(*extensions)
            talk.engine.begin(
                parcel("a@example.com", octets=len(self.CONTENT), binary=True, body=BodyType.BINARY),
            )
            self.assertIn(b" BODY=BINARYMIME\r\n", talk.sent())
            talk.server(b"250 ok\r\n")
            self.assertEqual(talk.server(b"250 ok\r\n"), [ContentWanted()])
            self.assertTrue(talk.sent().endswith(b"BDAT %d LAST\r\n" % len(self.CONTENT)))
            self.assertEqual(talk.send(self.CONTENT, at_random), self.CONTENT)
            (done,) = talk.server(b"250 ok\r\n")
            self.assertIs(done.outcomes[0].result, Result.RELAYED)

    def test_wrong_size(self) -> None:
        """More or fewer octets than announced would make the rest of the session nonsense: a fault of ours."""
        for octets in (2, 4):
            talk = Conversation()
            talk.open(*self.EXTENSIONS)
            talk.engine.begin(parcel("a@example.com", octets=octets, binary=True))
            talk.server(b"250 ok\r\n")
            talk.server(b"250 ok\r\n")
            self.assertRaises(ValueError, talk.send, b"abc")

    def test_nobody_accepted(self) -> None:
        """When every recipient is refused nothing is sent."""
        talk = Conversation()
        talk.open("PIPELINING", *self.EXTENSIONS)
        talk.engine.begin(parcel("a@example.com", binary=True))
        talk.server(b"250 ok\r\n")
        (done,) = talk.server(b"550 no\r\n")
        self.assertIs(done.outcomes[0].result, Result.FAILED)
        self.assertNotIn(b"BDAT", talk.sent())

    def test_server_cannot(self) -> None:
        """A server without BINARYMIME does not get a binary message (RFC 3030 3)."""
        for extensions in ((), ("CHUNKING",), ("BINARYMIME",)):
            talk = Conversation()
            talk.open("PIPELINING", *extensions)
            talk.engine.begin(parcel("a@example.com", binary=True))
            (done,) = talk.look()
            self.assertEqual((done.outcomes[0].result, done.outcomes[0].status), (Result.FAILED, "5.6.3"))
            self.assertEqual(talk.sent(), b"")
