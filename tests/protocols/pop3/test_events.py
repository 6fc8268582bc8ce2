"""Response lines, and events that hold secrets."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.pop3.events import MAX_RESPONSE_OCTETS, accepted, refused
from hermes.protocols.sasl import Credentials


class ResponseTests(SynchronousTestCase):
    """RFC 1939 3, RFC 2449 3 and 8."""

    def test_positive(self) -> None:
        """A positive response begins with +OK, and its text follows after a space."""
        self.assertEqual(accepted("2 320").encode(), b"+OK 2 320\r\n")

    def test_without_text(self) -> None:
        """A response without text has no space at its end."""
        self.assertEqual(accepted().encode(), b"+OK\r\n")
        self.assertEqual(refused("").encode(), b"-ERR\r\n")

    def test_response_code(self) -> None:
        """An extended response code stands in brackets before the text."""
        self.assertEqual(refused("come later", "SYS/TEMP").encode(), b"-ERR [SYS/TEMP] come later\r\n")

    def test_outside_ascii(self) -> None:
        """What cannot be sent in ASCII is replaced."""
        self.assertEqual(refused("gr\u00fc\u00df").encode(), b"-ERR gr??\r\n")

    def test_longest(self) -> None:
        """A line as long as RFC 2449 4 allows goes out whole; a longer one is cut and keeps its end."""
        room = MAX_RESPONSE_OCTETS - len("+OK \r\n")
        self.assertEqual(len(accepted("x" * (room - 1)).encode()), MAX_RESPONSE_OCTETS - 1)
        self.assertEqual(accepted("x" * room).encode(), b"+OK " + b"x" * room + b"\r\n")
        self.assertEqual(accepted("x" * (room + 1)).encode(), b"+OK " + b"x" * room + b"\r\n")

    def test_password_is_not_shown(self) -> None:
        """Credentials can be logged without their password."""
        self.assertNotIn("secret", repr(Credentials("USER", "ada", "secret")))
