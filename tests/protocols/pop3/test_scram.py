"""The POP3 engine and mechanisms that want keys in the middle of their exchange (RFC 5034 4, RFC 5802)."""

from __future__ import annotations

from base64 import b64decode, b64encode

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.pop3 import events
from hermes.protocols.pop3.parameters import ServerParameters
from hermes.protocols.pop3.server import POP3Server, State
from hermes.protocols.sasl import KeysWanted, Proof, ServerPart
from tests.support.scram import ScramClient, quick_keys

KEYS = quick_keys("correct horse")
PART = ServerPart(KEYS, "of-the-server")


class ScramTests(SynchronousTestCase):
    """The engine's part."""

    def setUp(self) -> None:
        """An engine under TLS."""
        names = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN")
        self.engine = POP3Server(ServerParameters("mail.example.org", mechanisms=names), tls=True)
        self.scram = ScramClient()

    def event(self, line: bytes) -> events.Event | None:
        """What comes of a line."""
        self.engine.receive(line + b"\r\n")
        return self.engine.next_event()

    def begin(self) -> KeysWanted:
        """The first message."""
        wanted = self.event(b"AUTH SCRAM-SHA-256 " + b64encode(self.scram.first()))
        assert isinstance(wanted, KeysWanted)
        return wanted

    def test_whole_exchange(self) -> None:
        """Keys, challenge, proof, the server's own proof, and the end: a positive reply begins the TRANSACTION state."""
        self.assertEqual(self.begin().name, "alice")
        self.assertTrue(self.engine.awaits_reply)
        challenge = self.engine.challenge(PART)
        self.assertEqual(challenge[:2], b"+ ")
        self.assertFalse(self.engine.awaits_reply)
        final = self.event(b64encode(self.scram.final(b64decode(challenge[2:]))))
        assert isinstance(final, events.Answered)
        self.assertTrue(self.scram.trusts(b64decode(final.octets[2:])))
        self.assertEqual(self.event(b""), Proof("SCRAM-SHA-256", "alice", matches=True))
        self.engine.reply(events.accepted())
        self.assertIs(self.engine.state, State.TRANSACTION)

    def test_refused_instead_of_keys(self) -> None:
        """A refusal ends the exchange: the next line is a command, and a new exchange may begin."""
        self.begin()
        self.engine.reply(events.refused("no"))
        self.assertEqual(self.event(b"QUIT"), events.Quit(update=False))
        self.setUp()
        self.begin()
        self.engine.reply(events.refused("no"))
        self.begin()

    def test_wrong_proof(self) -> None:
        """A proof that does not match leaves everything as it was."""
        self.begin()
        challenge = self.engine.challenge(ServerPart(quick_keys("other"), "n"))
        proof = self.event(b64encode(self.scram.final(b64decode(challenge[2:]))))
        self.assertEqual(proof, Proof("SCRAM-SHA-256", "alice", matches=False))
        self.engine.reply(events.refused("wrong"))
        self.assertIs(self.engine.state, State.AUTHORIZATION)

    def test_keys_that_nobody_wants(self) -> None:
        """To give keys for nothing is a fault of the owner."""
        self.assertRaises(RuntimeError, self.engine.challenge, PART)

    def test_downgrade(self) -> None:
        """Under TLS -PLUS is offered, and a client that thinks it is not has been lied to (RFC 5802 6)."""
        self.scram = ScramClient(flag="y")
        refused = self.event(b"AUTH SCRAM-SHA-256 " + b64encode(self.scram.first()))
        assert isinstance(refused, events.Refused)
        self.assertEqual(refused.rule, "auth.malformed")
