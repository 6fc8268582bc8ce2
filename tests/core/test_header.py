"""The header of a message, field by field (RFC 5322)."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from hermes.core.header import Header

HEADER = b"""Received: from a.example
\tby b.example
From: Alice <alice@example.org>
SUBJECT :  =?utf-8?q?=C3=A9?=
 folded
To:
From: bob@example.net
X-Raw: caf\xc3\xa9 \xff
"""


class HeaderTests(TestCase):
    """Reading fields."""

    def test_all(self) -> None:
        """Every field of a name is found, in order and in any case of letters."""
        self.assertEqual(Header(HEADER).all("FROM"), ["Alice <alice@example.org>", "bob@example.net"])

    def test_first(self) -> None:
        """The first is found by itself; what is not there is None."""
        header = Header(HEADER)
        self.assertEqual(header.first("from"), "Alice <alice@example.org>")
        self.assertIsNone(header.first("date"))
        self.assertEqual(header.all("date"), [])

    def test_unfolded(self) -> None:
        """RFC 5322 2.2.3: a folded value loses its line ends and keeps its spaces."""
        self.assertEqual(Header(HEADER).first("received"), "from a.example\tby b.example")

    def test_space_before_colon(self) -> None:
        """RFC 5322 4.5.8: white space before the colon is tolerated."""
        self.assertEqual(Header(HEADER).first("subject"), "=?utf-8?q?=C3=A9?= folded")

    def test_empty(self) -> None:
        """A field without a value is there, and empty; that of the next line is not taken for it."""
        self.assertEqual(Header(HEADER).first("to"), "")

    def test_octets(self) -> None:
        """What is not UTF-8 is marked, not refused."""
        self.assertEqual(Header(HEADER).first("x-raw"), "caf\u00e9 \ufffd")

    def test_crlf(self) -> None:
        """Lines may end in CRLF."""
        header = Header(HEADER.replace(b"\n", b"\r\n"))
        self.assertEqual(header.first("received"), "from a.example\tby b.example")
        self.assertEqual(header.first("to"), "")

    def test_names(self) -> None:
        """The names of all fields are told once each."""
        self.assertEqual(Header(HEADER).names(), ["received", "from", "subject", "to", "x-raw"])

    def test_junk(self) -> None:
        """Lines that are no fields are passed over."""
        self.assertEqual(Header(b"junk\n: nameless\nwith space: x\nDate: now\n").names(), ["date"])

    @given(st.binary(max_size=300))
    def test_anything(self, octets: bytes) -> None:
        """Whatever a header is made of, reading it raises nothing, and values have no line ends of folding."""
        header = Header(octets)
        for name in header.names():
            self.assertTrue(all("\n" not in value for value in header.all(name)))
