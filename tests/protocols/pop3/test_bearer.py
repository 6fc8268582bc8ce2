"""The POP3 engine and tokens: shown, accepted, refused in two steps (RFC 5034 4, RFC 7628 3.2.3)."""

from __future__ import annotations

from base64 import b64decode, b64encode

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.pop3 import events
from hermes.protocols.pop3.parameters import MAX_COMMAND_OCTETS, MAX_SASL_OCTETS, ServerParameters
from hermes.protocols.pop3.server import POP3Server, State
from hermes.protocols.sasl import TokenHint, TokenShown

MESSAGE = b64encode(b"user=alice\x01auth=Bearer good\x01\x01")


class BearerTests(SynchronousTestCase):
    """The engine's part."""

    def setUp(self) -> None:
        """An engine under TLS."""
        self.engine = POP3Server(ServerParameters("mail.example.org", mechanisms=("XOAUTH2", "PLAIN")), tls=True)

    def event(self, line: bytes) -> events.Event | None:
        """What comes of a line."""
        self.engine.receive(line + b"\r\n")
        return self.engine.next_event()

    def test_accepted(self) -> None:
        """A positive reply begins the TRANSACTION state."""
        shown = self.event(b"AUTH XOAUTH2 " + MESSAGE)
        assert isinstance(shown, TokenShown)
        self.assertEqual((shown.name, shown.token), ("alice", "good"))
        self.engine.reply(events.accepted())
        self.assertIs(self.engine.state, State.TRANSACTION)

    def test_refused(self) -> None:
        """The JSON goes out as a challenge, and the empty answer leads to the failure."""
        self.event(b"AUTH XOAUTH2 " + MESSAGE)
        challenge = self.engine.challenge(TokenHint(scope="mail"))
        self.assertEqual(b64decode(challenge[2:]), b'{"status": "401", "schemes": "bearer", "scope": "mail"}')
        refused = self.event(b"")
        assert isinstance(refused, events.Refused)
        self.assertEqual(self.engine.reply(refused.response), b"-ERR [AUTH] the token is not accepted\r\n")
        self.assertEqual(self.event(b"QUIT"), events.Quit(update=False))

    def test_refused_at_once(self) -> None:
        """The owner may end the exchange with any refusal, and another may begin."""
        self.event(b"AUTH XOAUTH2 " + MESSAGE)
        self.engine.reply(events.refused("later", "SYS/TEMP"))
        self.assertIsInstance(self.event(b"AUTH XOAUTH2 " + MESSAGE), TokenShown)

    def test_no_token_was_shown(self) -> None:
        """To refuse a token that nobody has shown is a fault of the owner."""
        self.assertRaises(RuntimeError, self.engine.challenge, TokenHint())

    def test_long_initial_response(self) -> None:
        """A token as initial response makes a longer line than other commands may be (RFC 2449 4, RFC 5034 4)."""
        for octets, good in ((MAX_COMMAND_OCTETS + 1, True), (MAX_SASL_OCTETS, True), (MAX_SASL_OCTETS + 1, False)):
            filled = b"AUTH PLAIN " + b"A" * (octets - 13)
            event = self.event(filled)
            assert isinstance(event, events.Refused)
            self.assertEqual(event.rule == "command.too_long", not good, octets)
        for octets, good in ((MAX_COMMAND_OCTETS, True), (MAX_COMMAND_OCTETS + 1, False)):
            event = self.event(b"USER " + b"a" * (octets - 7))
            self.assertEqual(isinstance(event, events.Answered), good)

    def test_long_lines_after_the_login(self) -> None:
        """Who has logged in has no use for long lines."""
        self.event(b"AUTH XOAUTH2 " + MESSAGE)
        self.engine.reply(events.accepted())
        event = self.event(b"AUTH PLAIN " + b"A" * MAX_COMMAND_OCTETS)
        assert isinstance(event, events.Refused)
        self.assertEqual(event.rule, "command.too_long")
