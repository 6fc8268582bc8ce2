"""Tests of :mod:`hermes.protocols.receive_buffer`."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.receive_buffer import Line, ReceiveBuffer


def filled(data: bytes) -> ReceiveBuffer:
    """A buffer with these octets in it."""
    buffer = ReceiveBuffer()
    buffer.feed(data)
    return buffer


def lines_of(pieces: list[bytes], limit: int) -> list[bytes | Line]:
    """All lines of octets that come in pieces."""
    buffer, lines = ReceiveBuffer(), []
    for piece in pieces:
        buffer.feed(piece)
        while (line := buffer.line(limit)) is not Line.INCOMPLETE:
            lines.append(line)
    return lines


class LineTests(SynchronousTestCase):
    """Taking lines."""

    def test_line_with_its_end(self) -> None:
        """A line comes with its line end; what is behind it stays."""
        buffer = filled(b"one\r\ntwo")
        self.assertEqual(buffer.line(100), b"one\r\n")
        self.assertEqual(buffer.line(100), Line.INCOMPLETE)
        self.assertEqual(len(buffer), 3)

    def test_limit(self) -> None:
        """The limit counts the line end: at it a line passes, above it does not."""
        self.assertEqual(filled(b"ab\r\n").line(5), b"ab\r\n")
        self.assertEqual(filled(b"abc\r\n").line(5), b"abc\r\n")
        self.assertEqual(filled(b"abcd\r\n").line(5), Line.TOO_LONG)

    def test_too_long_is_told_once(self) -> None:
        """A line far above the limit is reported once, and the next line is whole again."""
        pieces = [b"x" * 50, b"x" * 50, b"\r\nnext\r\n"]
        self.assertEqual(lines_of(pieces, 10), [Line.TOO_LONG, b"next\r\n"])

    def test_too_long_takes_no_memory(self) -> None:
        """What cannot become a line any more is not kept."""
        buffer = ReceiveBuffer()
        for _ in range(100):
            buffer.feed(b"x" * 9)
            self.assertEqual(buffer.line(10), Line.INCOMPLETE)
            self.assertLess(len(buffer), 10)

    def test_full_without_an_end(self) -> None:
        """A line that fills the limit and has no end yet is too long already."""
        buffer = filled(b"x" * 10)
        self.assertEqual(buffer.line(10), Line.INCOMPLETE)
        self.assertEqual(len(buffer), 0)
        buffer.feed(b"\n")
        self.assertEqual(buffer.line(10), Line.TOO_LONG)

    def test_clear_while_skipping(self) -> None:
        """After clearing nothing of a too long line is remembered."""
        buffer = filled(b"x" * 20)
        buffer.line(10)
        buffer.clear()
        buffer.feed(b"NOOP\r\n")
        self.assertEqual(buffer.line(10), b"NOOP\r\n")

    @given(st.lists(st.binary(max_size=6).map(lambda piece: piece.replace(b"a", b"\n"))), st.integers(1, 8))
    def test_cuts_do_not_matter(self, pieces: list[bytes], limit: int) -> None:
        """The same lines come out however the octets are cut."""
        self.assertEqual(lines_of(pieces, limit), lines_of([b"".join(pieces)], limit))


class OctetTests(SynchronousTestCase):
    """Taking counted octets, and looking."""

    def test_take(self) -> None:
        """Up to so many octets are taken from the front."""
        buffer = filled(b"abcdef")
        self.assertEqual(buffer.take(0), b"")
        self.assertEqual(buffer.take(2), b"ab")
        self.assertEqual(buffer.take(4), b"cdef")
        self.assertEqual(buffer.take(4), b"")

    def test_take_behind_a_search(self) -> None:
        """Octets that were searched for a line end are searched again when others have been taken from before them."""
        buffer = filled(b"abcd")
        buffer.line(100)
        buffer.take(3)
        buffer.feed(b"\n")
        self.assertEqual(buffer.line(100), b"d\n")

    def test_skip(self) -> None:
        """Up to so many octets are thrown away, and it says how many."""
        buffer = filled(b"abcdef")
        self.assertEqual(buffer.skip(2), 2)
        self.assertEqual(buffer.skip(9), 4)
        self.assertEqual(len(buffer), 0)

    def test_put_back(self) -> None:
        """What is put back comes next."""
        buffer = filled(b"cd\n")
        buffer.put_back(b"ab")
        self.assertEqual(buffer.line(100), b"abcd\n")

    def test_looking(self) -> None:
        """Looking takes nothing away."""
        buffer = filled(b"abcabc")
        self.assertEqual(buffer.find(b"bc"), 1)
        self.assertEqual(buffer.find(b"bc", 2), 4)
        self.assertEqual(buffer.find(b"x"), -1)
        self.assertEqual(buffer.search(re.compile(b"c.")), 2)
        self.assertEqual(buffer.search(re.compile(b"x")), -1)
        self.assertTrue(buffer.startswith(b"ab"))
        self.assertFalse(buffer.startswith(b"b"))
        self.assertTrue(buffer.endswith(b"bc"))
        self.assertFalse(buffer.endswith(b"ab"))
        self.assertEqual(buffer.take(6), b"abcabc")
