"""The SMTP engine and tokens: shown, accepted, refused in two steps (RFC 4954 4, RFC 7628 3.2.3)."""

from __future__ import annotations

from base64 import b64decode, b64encode

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.reply import Reply
from hermes.protocols.sasl import TokenHint
from hermes.protocols.smtp import events
from hermes.protocols.smtp.parameters import MAX_SASL_OCTETS, ServerParameters
from hermes.protocols.smtp.server import SMTPServer
from tests.support.engines import replay

MESSAGE = b64encode(b"n,a=alice,\x01auth=Bearer good\x01\x01")
RIGHT = Reply.of(235, "2.7.0", "Logged in")


def engine() -> SMTPServer:
    """One whose client has said EHLO."""
    server = SMTPServer(ServerParameters("mx.example.org", mechanisms_in_clear=("OAUTHBEARER", "XOAUTH2", "PLAIN")))
    server.receive(b"EHLO client.example.com\r\n")
    server.next_event()
    server.accept_hello("hello")
    return server


class BearerTests(SynchronousTestCase):
    """The engine's part."""

    def shown(self, server: SMTPServer, line: bytes = b"AUTH OAUTHBEARER " + MESSAGE) -> events.TokenShown:
        """The event that follows."""
        server.receive(line + b"\r\n")
        event = server.next_event()
        assert isinstance(event, events.TokenShown), event
        return event

    def refusal(self, server: SMTPServer, line: bytes) -> tuple[str, int]:
        """Rule and code of what the engine refuses."""
        server.receive(line + b"\r\n")
        event = server.next_event()
        assert isinstance(event, events.Refused)
        server.reply(event.reply)
        return event.rule, event.reply.code

    def test_accepted(self) -> None:
        """A positive reply logs in."""
        server = engine()
        self.assertEqual(self.shown(server).token, "good")
        server.reply(RIGHT)
        self.assertTrue(server.authenticated)

    def test_whole_refusal_however_it_is_cut(self) -> None:
        """The JSON goes out as a challenge, the client's answer leads to 535, and the next line is a command."""

        def run(pieces: list[bytes]) -> list[object]:
            server, seen = engine(), []
            for piece in pieces:
                server.receive(piece)
                while (event := server.next_event()) is not None:
                    match event:
                        case events.TokenShown():
                            sent = server.challenge(TokenHint())
                            self.assertEqual(b64decode(sent[4:]), b'{"status": "invalid_token"}')
                        case events.Challenge() | events.Refused():
                            server.reply(event.reply)
                        case _:
                            server.reply(Reply.of(250, "2.0.0", "Ok"))
                    seen.append(event.reply.code if isinstance(event, events.Refused) else type(event))
            return [*seen, server.authenticated]

        seen = replay(b"AUTH OAUTHBEARER\r\n" + MESSAGE + b"\r\nAQ==\r\nNOOP\r\n", run)
        self.assertEqual(seen, [events.Challenge, events.TokenShown, 535, events.Noop, False])

    def test_canceled_after_the_refusal(self) -> None:
        """The client may call the exchange off instead (RFC 7628 3.2.3): 501 (RFC 4954 4)."""
        server = engine()
        self.shown(server)
        server.challenge(TokenHint())
        self.assertEqual(self.refusal(server, b"*"), ("auth.canceled", 501))

    def test_refused_at_once(self) -> None:
        """The owner may end the exchange with any refusal, and another may begin."""
        server = engine()
        self.shown(server)
        server.reply(Reply.of(454, "4.7.0", "Later"))
        self.assertFalse(server.authenticated)
        self.shown(server)

    def test_no_token_was_shown(self) -> None:
        """To refuse a token that nobody has shown is a fault of the owner."""
        self.assertRaises(RuntimeError, engine().challenge, TokenHint())

    def test_line_limit(self) -> None:
        """A line of an exchange has 12288 octets at most (RFC 4954 4), in the command and after it."""
        around = len(b"n,,\x01auth=Bearer \x01\x01")
        for octets, good in ((MAX_SASL_OCTETS - 4, True), (MAX_SASL_OCTETS, True), (MAX_SASL_OCTETS + 4, False)):
            # The line end counts; since base64 makes four octets of three, no line has just the limit.
            token = b"a" * ((octets - 4) // 4 * 3 - around)
            line = b64encode(b"n,,\x01auth=Bearer " + token + b"\x01\x01")
            server = engine()
            server.receive(b"AUTH OAUTHBEARER\r\n")
            challenge = server.next_event()
            assert isinstance(challenge, events.Challenge)
            server.reply(challenge.reply)
            if good:
                self.assertEqual(len(self.shown(server, line).token), len(token))
            else:
                self.assertEqual(self.refusal(server, line), ("auth.line_too_long", 500))
