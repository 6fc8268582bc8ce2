"""What TOP lets pass (RFC 1939 7)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.pop3.top import TopLines
from tests.support.cuts import CUTS


def top(message: bytes, lines: int, cut: int | None = None) -> bytes:
    """The top of a message that comes in pieces of ``cut`` octets."""
    step = cut or max(1, len(message))
    limit = TopLines(lines)
    taken = b""
    for start in range(0, len(message), step):
        taken += limit.take(message[start : start + step])
        if limit.done:
            break
    return taken


class TopLinesTests(SynchronousTestCase):
    """However a message is cut, the same passes."""

    MESSAGE = b"Subject: a\nTo: b\n\none\ntwo\n\nthree"

    def check(self, message: bytes, lines: int, expected: bytes) -> None:
        """Whole, and in pieces of every size."""
        for cut in range(1, len(message) + 1):
            self.assertEqual(top(message, lines, cut), expected, f"pieces of {cut}")

    def test_no_lines(self) -> None:
        """With no lines it is the header and the blank line."""
        self.check(self.MESSAGE, 0, b"Subject: a\nTo: b\n\n")

    def test_some_lines(self) -> None:
        """So many lines of the body follow the blank line, blank ones among them."""
        self.check(self.MESSAGE, 1, b"Subject: a\nTo: b\n\none\n")
        self.check(self.MESSAGE, 3, b"Subject: a\nTo: b\n\none\ntwo\n\n")

    def test_more_than_there_are(self) -> None:
        """When more lines are asked for than there are, all of the message passes."""
        for lines in (4, 5, 2**31):
            self.check(self.MESSAGE, lines, self.MESSAGE)

    def test_crlf(self) -> None:
        """A message with CRLF line ends has its blank line too."""
        self.check(b"Subject: a\r\n\r\none\r\ntwo\r\n", 1, b"Subject: a\r\n\r\none\r\n")

    def test_no_header(self) -> None:
        """A message may begin with the blank line."""
        self.check(b"\none\ntwo\n", 1, b"\none\n")
        self.check(b"\r\none\r\ntwo\r\n", 1, b"\r\none\r\n")

    def test_no_body(self) -> None:
        """A message without a blank line is all header."""
        self.check(b"Subject: a\nTo: b\n", 0, b"Subject: a\nTo: b\n")

    def test_the_earlier_blank_line_counts(self) -> None:
        """Where both kinds of blank line occur, the first one ends the header."""
        self.check(b"A: 1\n\r\nx\n\ny\n", 0, b"A: 1\n\r\n")
        self.check(b"A: 1\n\nx\n\r\ny\n", 0, b"A: 1\n\n")

    def test_done(self) -> None:
        """It says that no more is wanted as soon as that is known, not before."""
        limit = TopLines(1)
        self.assertFalse(limit.done)
        limit.take(b"A: 1\n\n")
        self.assertFalse(limit.done)
        limit.take(b"one\ntw")
        self.assertTrue(limit.done)

    @given(
        st.lists(st.sampled_from([b"a", b".", b"", b"\r", b"longer line"]), max_size=12),
        st.integers(0, 8),
        st.sampled_from(CUTS),
    )
    def test_lines_as_they_are_counted_by_hand(self, lines: list[bytes], wanted: int, cut: object) -> None:
        """For any message it is the header, the blank line, and so many lines."""
        message = b"".join(line + b"\n" for line in lines)
        blank = next((number for number, line in enumerate(lines) if line in (b"", b"\r")), None)
        kept = lines if blank is None else lines[: blank + 1 + wanted]
        limit = TopLines(wanted)
        taken = b"".join(limit.take(piece) for piece in cut(message) if not limit.done)
        self.assertEqual(taken, b"".join(line + b"\n" for line in kept))
