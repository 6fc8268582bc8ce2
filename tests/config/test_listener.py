"""Tests of the notation of listeners."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.listener import Listener, parse_listener


class ListenerTests(SynchronousTestCase):
    """The notation of listeners."""

    def test_each_form(self) -> None:
        """Every documented form is read, and written back as it was."""
        cases = {
            "127.0.0.1:25": Listener("tcp", host="127.0.0.1", port=25),
            "[::1]:25": Listener("tcp", host="::1", port=25),
            "*:25": Listener("tcp", host="*", port=25),
            "unix:/run/hermes/lmtp.sock": Listener("unix", path="/run/hermes/lmtp.sock"),
            "unix:lmtp.sock": Listener("unix", path="lmtp.sock"),
            "systemd:smtp": Listener("systemd", name="smtp"),
        }
        for text, expected in cases.items():
            self.assertEqual(parse_listener(text), expected, text)
            self.assertEqual(str(expected), text)

    def test_normalization(self) -> None:
        """Addresses are written in their shortest form, schemes in lower case, spaces around are dropped."""
        self.assertEqual(str(parse_listener(" [0:0:0:0:0:0:0:1]:25 ")), "[::1]:25")
        self.assertEqual(str(parse_listener("UNIX:/run/x")), "unix:/run/x")

    def test_refused(self) -> None:
        """What is no listener is refused with a text that shows how to write one."""
        for text in (
            "",
            "25",
            ":25",
            "localhost:25",
            "::1:25",
            "[127.0.0.1]:25",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:smtp",
            "127.0.0.1:-1",
            "127.0.0.1:٢٥",
            "[::1]",
            "unix:",
            "systemd:",
            "systemd:a b",
        ):
            error = self.assertRaises(ValueError, parse_listener, text)
            self.assertIn("write", str(error), text)

    def test_port_limit(self) -> None:
        """Ports go from 0 to 65535."""
        self.assertEqual(parse_listener("*:0").port, 0)
        self.assertEqual(parse_listener("*:65534").port, 65534)
        self.assertEqual(parse_listener("*:65535").port, 65535)
        for port in ("65536", "9" * 5000):
            self.assertRaises(ValueError, parse_listener, f"*:{port}")

    def test_socket_path_limit(self) -> None:
        """The path of a UNIX socket has 107 octets at most."""
        for length in (106, 107):
            self.assertEqual(len(parse_listener("unix:/" + "x" * (length - 1)).path), length)
        self.assertRaises(ValueError, parse_listener, "unix:/" + "x" * 107)
        self.assertRaises(ValueError, parse_listener, "unix:/" + "ä" * 54)

    def test_private(self) -> None:
        """Loopback addresses and UNIX sockets are private; everything else may be reached from elsewhere."""
        for text in ("127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "unix:/x"):
            self.assertTrue(parse_listener(text).is_private, text)
        for text in ("*:1", "0.0.0.0:1", "[::]:1", "192.0.2.1:1", "systemd:x"):
            self.assertFalse(parse_listener(text).is_private, text)

    def test_overlap(self) -> None:
        """Two listeners overlap when the second could not be opened beside the first."""

        def overlap(one: str, other: str) -> bool:
            answers = {
                parse_listener(one).overlaps(parse_listener(other)),
                parse_listener(other).overlaps(parse_listener(one)),
            }
            self.assertEqual(len(answers), 1, (one, other))
            return answers.pop()

        self.assertTrue(overlap("*:25", "*:25"))
        self.assertTrue(overlap("*:25", "127.0.0.1:25"))
        self.assertTrue(overlap("0.0.0.0:25", "127.0.0.1:25"))
        self.assertTrue(overlap("[::]:25", "[::1]:25"))
        self.assertTrue(overlap("[::1]:25", "[::1]:25"))
        self.assertTrue(overlap("unix:/a", "unix:/a"))
        self.assertTrue(overlap("systemd:a", "systemd:a"))
        self.assertFalse(overlap("127.0.0.1:25", "[::1]:25"))
        self.assertFalse(overlap("0.0.0.0:25", "[::1]:25"))
        self.assertFalse(overlap("*:25", "*:26"))
        self.assertFalse(overlap("127.0.0.1:0", "127.0.0.1:0"))
        self.assertFalse(overlap("unix:/a", "unix:/b"))
        self.assertFalse(overlap("unix:/a", "*:25"))

    @given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 65535))
    def test_roundtrip(self, address: object, port: int) -> None:
        """What is written is read back as the same."""
        listener = Listener("tcp", host=str(address), port=port)
        self.assertEqual(parse_listener(str(listener)), listener)
