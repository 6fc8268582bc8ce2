"""The query of the finger protocol (RFC 1288 2.3)."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from hermes.protocols.finger import MAX_LINE_OCTETS, Event, FingerServer, Query, Unreadable


def asked(octets: bytes) -> Event | None:
    """What a client's octets mean."""
    server = FingerServer()
    server.receive(octets)
    return server.next_event()


class QueryTests(TestCase):
    """What a line means."""

    def test_grammar(self) -> None:
        """All forms of RFC 1288 2.3, the switch in any case, and line ends of both kinds."""
        for line, query in (
            (b"\r\n", Query(False, "")),
            (b"joe\r\n", Query(False, "joe")),
            (b"joe\n", Query(False, "joe")),
            (b"/W\r\n", Query(True, "")),
            (b"/W joe\r\n", Query(True, "joe")),
            (b"/w  joe\r\n", Query(True, "joe")),
            (b"joe smith\r\n", Query(False, "joe smith")),
            (b"@example.com\r\n", Query(False, "", ("example.com",))),
            (b"joe@example.com@example.net\r\n", Query(False, "joe", ("example.com", "example.net"))),
            (b"/W joe@example.com\r\n", Query(True, "joe", ("example.com",))),
            (b"/Wjoe\r\n", Query(False, "/Wjoe")),
            (b" joe \r\n", Query(False, "joe")),
        ):
            self.assertEqual(asked(line), query, line)

    def test_unreadable(self) -> None:
        """What is not a line of ASCII text is no query."""
        for line in (b"j\xf6e\n", b"j\x00e\n", b"\x1b[2J\n", b"j\roe\n"):
            self.assertEqual(asked(line), Unreadable(), line)

    def test_length(self) -> None:
        """A line has so many octets with its end, and no more."""
        self.assertEqual(asked(b"x" * (MAX_LINE_OCTETS - 1) + b"\n"), Query(False, "x" * (MAX_LINE_OCTETS - 1)))
        self.assertEqual(asked(b"x" * MAX_LINE_OCTETS + b"\n"), Unreadable())

    def test_once(self) -> None:
        """There is one query; what comes behind it is not looked at, and not kept."""
        server = FingerServer()
        server.receive(b"joe\nann\n")
        self.assertEqual(server.next_event(), Query(False, "joe"))
        self.assertIsNone(server.next_event())
        server.receive(b"ann\n" * 1000)
        self.assertIsNone(server.next_event())
        self.assertEqual(len(server._buffer), 0)

    def test_byte_by_byte(self) -> None:
        """However it is cut."""
        server = FingerServer()
        for octet in b"/W joe\r":
            server.receive(bytes([octet]))
            self.assertIsNone(server.next_event())
        server.receive(b"\n")
        self.assertEqual(server.next_event(), Query(True, "joe"))

    @given(st.binary(max_size=200))
    def test_anything(self, octets: bytes) -> None:
        """Whatever comes, the line is understood or said not to be."""
        self.assertIsInstance(asked(octets + b"\n"), Query | Unreadable)
