"""Tests of :mod:`hermes.protocols.wire`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.wire import WireEncoder
from tests.support.engines import cuts

#: Pieces made of what matters: line ends, halves of them, dots, and one letter for everything else.
PIECES = st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a"]), max_size=6).map(b"".join), max_size=6)


def encoded(pieces: list[bytes], *, stuffing: bool = True) -> bytes:
    """Pieces of stored text as they go over the wire."""
    encoder = WireEncoder(stuffing=stuffing)
    return b"".join(encoder.encode(piece) for piece in pieces) + encoder.finish()


class WireEncoderTests(SynchronousTestCase):
    """What goes over the wire."""

    def check(self, stored: bytes, wire: bytes) -> None:
        """The text becomes those octets, however it is cut."""
        for pieces in cuts(stored):
            self.assertEqual(encoded(pieces), wire, pieces)

    def test_line_ends(self) -> None:
        """LF and CRLF both become CRLF."""
        self.check(b"one\ntwo\r\nthree\n", b"one\r\ntwo\r\nthree\r\n.\r\n")

    def test_nothing(self) -> None:
        """An empty text is only its end: the CRLF before the dot is that of the command."""
        self.check(b"", b".\r\n")

    def test_last_line_without_end(self) -> None:
        """The last line gets the end that it lacks."""
        self.check(b"one\ntwo", b"one\r\ntwo\r\n.\r\n")

    def test_dots(self) -> None:
        """A line that begins with a dot gets another one; other dots are let alone (RFC 5321 4.5.2)."""
        self.check(b".\n..\na.\n.b\n", b"..\r\n...\r\na.\r\n..b\r\n.\r\n")

    def test_bare_cr(self) -> None:
        """A CR that stands alone becomes a line end: no bare CR may be sent (RFC 5321 2.3.8)."""
        self.check(b"a\rb\n", b"a\r\nb\r\n.\r\n")
        self.check(b"a\r\r\nb", b"a\r\n\r\nb\r\n.\r\n")
        self.check(b"a\r", b"a\r\n.\r\n")

    def test_terminator_in_disguise(self) -> None:
        """No mixture of CR, LF and dot in the text becomes the end of the message for anybody."""
        for ending in (b"\n.\n", b"\r.\r", b"\r.\r\n", b"\n.\r", b"\r\n.\r\n", b"\n.\r\n"):
            self.check(b"a" + ending + b"MAIL", b"a\r\n..\r\nMAIL\r\n.\r\n")

    def test_without_stuffing(self) -> None:
        """Without stuffing only the line ends are made right, and there is no last dot."""
        self.assertEqual(encoded([b".a\r", b"\n.b"], stuffing=False), b".a\r\n.b\r\n")
        self.assertEqual(encoded([b"a\n"], stuffing=False), b"a\r\n")

    @given(PIECES)
    def test_only_the_end_ends(self, pieces: list[bytes]) -> None:
        """The terminator is at the end and nowhere else, CR and LF stand only together, and cuts do not matter."""
        wire = encoded(pieces)
        self.assertEqual(wire, encoded([b"".join(pieces)]))
        self.assertTrue(wire.endswith(b".\r\n"))
        self.assertEqual((b"\r\n" + wire).find(b"\r\n.\r\n"), len(wire) - 3)
        rest = wire.replace(b"\r\n", b"")
        self.assertNotIn(b"\r", rest)
        self.assertNotIn(b"\n", rest)
