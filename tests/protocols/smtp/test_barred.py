"""The session after a 554 greeting (RFC 5321 3.1)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.smtp.barred import MAX_COMMANDS, Barred
from hermes.protocols.smtp.parameters import MAX_COMMAND_OCTETS

REFUSED = b"503 5.5.1 You have been refused: there is nothing but QUIT\r\n"
GOODBYE = b"221 2.0.0 Goodbye\r\n"


class BarredTests(SynchronousTestCase):
    """Nothing but QUIT."""

    def test_quit(self) -> None:
        """QUIT is answered 221 and ends it, in any case, also in pieces; what follows is not answered."""
        for command in (b"QUIT\r\n", b"quit \r\n", b"QUIT\n"):
            barred = Barred()
            heard = b"".join(barred.receive(bytes([octet])) for octet in command)
            self.assertEqual((heard, barred.over), (GOODBYE, True), command)
            self.assertEqual(barred.receive(b"NOOP\r\n"), b"")
        barred = Barred()
        self.assertEqual(barred.receive(b"QUIT\r\nNOOP\r\n"), GOODBYE)

    def test_everything_else(self) -> None:
        """Every other command is answered 503, pipelined or not, and the session goes on."""
        barred = Barred()
        self.assertEqual(barred.receive(b"EHLO x.example\r\nMAIL FROM:<>\r\n"), REFUSED * 2)
        self.assertEqual(barred.receive(b"QUITE\r\n\xff\x00\r\n"), REFUSED * 2)
        self.assertFalse(barred.over)
        self.assertEqual(barred.receive(b"QUIT\r\n"), GOODBYE)

    def test_limit_of_commands(self) -> None:
        """The last command of the limit is answered and ends it; the one before does not."""
        barred = Barred()
        self.assertEqual(barred.receive(b"NOOP\r\n" * (MAX_COMMANDS - 1)), REFUSED * (MAX_COMMANDS - 1))
        self.assertFalse(barred.over)
        self.assertEqual(barred.receive(b"NOOP\r\n" * 5), REFUSED)
        self.assertTrue(barred.over)

    def test_long_lines(self) -> None:
        """A line without an end takes no memory, and is one command when it ends."""
        barred = Barred()
        for _ in range(100):
            self.assertEqual(barred.receive(b"x" * MAX_COMMAND_OCTETS), b"")
            self.assertLessEqual(len(barred._buffer), MAX_COMMAND_OCTETS)
        self.assertEqual(barred.receive(b"\r\nQUIT\r\n"), REFUSED + GOODBYE)
