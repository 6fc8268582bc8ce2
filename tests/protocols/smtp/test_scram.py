"""The SMTP engine and mechanisms that want keys in the middle of their exchange (RFC 4954 4, RFC 5802)."""

from __future__ import annotations

from base64 import b64decode, b64encode

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.reply import Reply
from hermes.protocols.sasl import Proof, ServerPart
from hermes.protocols.smtp import events
from hermes.protocols.smtp.parameters import ServerParameters
from hermes.protocols.smtp.server import SMTPServer
from tests.support.engines import replay
from tests.support.scram import ScramClient, quick_keys

KEYS = quick_keys("correct horse")
NONCE = "of-the-server"
WRONG = Reply.of(535, "5.7.8", "Wrong")
RIGHT = Reply.of(235, "2.7.0", "Logged in")


def engine() -> SMTPServer:
    """One whose client has said EHLO."""
    server = SMTPServer(ServerParameters("mx.example.org", mechanisms_in_clear=("SCRAM-SHA-256", "PLAIN")))
    server.receive(b"EHLO client.example.com\r\n")
    server.next_event()
    server.accept_hello("hello")
    return server


class ScramTests(SynchronousTestCase):
    """The engine's part."""

    def wanted(self, server: SMTPServer) -> events.KeysWanted:
        """The event that follows the first message."""
        server.receive(b"AUTH SCRAM-SHA-256 " + b64encode(ScramClient().first()) + b"\r\n")
        wanted = server.next_event()
        assert isinstance(wanted, events.KeysWanted)
        return wanted

    def test_whole_exchange_however_it_is_cut(self) -> None:
        """Keys, challenge, proof, the server's own proof, and the end: the session is logged in by a positive reply."""

        def answers() -> tuple[bytes, bytes]:
            scram, server = ScramClient(), engine()
            self.wanted(server)
            challenge = server.challenge(ServerPart(KEYS, NONCE))
            return challenge, scram.final(b64decode(challenge[4:]))

        challenge, final = answers()

        def run(pieces: list[bytes]) -> list[object]:
            server, seen = engine(), []
            for piece in pieces:
                server.receive(piece)
                while (event := server.next_event()) is not None:
                    match event:
                        case events.KeysWanted():
                            self.assertEqual(server.challenge(ServerPart(KEYS, NONCE)), challenge)
                        case events.Challenge():
                            server.reply(event.reply)
                        case events.Proof():
                            server.reply(RIGHT)
                        case _:
                            server.reply(Reply.of(250, "2.0.0", "Ok"))
                    seen.append(event)
            return [*seen, server.authenticated]

        data = b"AUTH SCRAM-SHA-256\r\n" + b64encode(ScramClient().first()) + b"\r\n"
        data += b64encode(final) + b"\r\n\r\nNOOP\r\n"
        *seen, authenticated = replay(data, run)
        kinds = [events.Challenge, events.KeysWanted, events.Challenge, events.Proof, events.Noop]
        self.assertEqual([type(event) for event in seen], kinds)
        self.assertEqual(seen[3], Proof("SCRAM-SHA-256", "alice", matches=True))
        self.assertTrue(authenticated)

    def test_nothing_is_read_while_keys_are_wanted(self) -> None:
        """The event wants its answer first, like any other."""
        server = engine()
        self.wanted(server)
        self.assertRaises(RuntimeError, server.next_event)

    def test_refused_instead_of_keys(self) -> None:
        """A refusal ends the exchange: the next line is a command, and a new exchange may begin."""
        server = engine()
        self.wanted(server)
        self.assertEqual(server.reply(WRONG), b"535 5.7.8 Wrong\r\n")
        server.receive(b"NOOP\r\n")
        self.assertEqual(server.next_event(), events.Noop())
        server.reply(RIGHT)
        self.wanted(server)

    def test_wrong_proof(self) -> None:
        """A proof that does not match is an event of its own, and does not log anybody in."""
        server = engine()
        self.wanted(server)
        challenge = server.challenge(ServerPart(quick_keys("other"), NONCE))
        server.receive(b64encode(ScramClient().final(b64decode(challenge[4:]))) + b"\r\n")
        self.assertEqual(server.next_event(), Proof("SCRAM-SHA-256", "alice", matches=False))
        server.reply(WRONG)
        self.assertFalse(server.authenticated)

    def test_keys_that_nobody_wants(self) -> None:
        """To give keys for nothing is a fault of the owner."""
        self.assertRaises(RuntimeError, engine().challenge, ServerPart(KEYS, NONCE))

    def test_plus_wants_tls(self) -> None:
        """-PLUS over a connection without TLS is refused: with 538 where TLS can be had, else as unknown."""
        first = b"AUTH SCRAM-SHA-256-PLUS " + b64encode(ScramClient(flag="p=tls-exporter").first()) + b"\r\n"
        names = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
        for starttls, code in ((True, 538), (False, 504)):
            server = SMTPServer(ServerParameters("mx.example.org", starttls=starttls, mechanisms=names))
            server.receive(b"EHLO client.example.com\r\n")
            server.next_event()
            server.accept_hello("hello")
            server.receive(first)
            refused = server.next_event()
            assert isinstance(refused, events.Refused)
            self.assertEqual(refused.reply.code, code)
