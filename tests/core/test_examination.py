"""Looking through a message that is returned (RFC 2045 2.7, 2.8)."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.examination import Examination
from hermes.core.report import Whole
from hermes.core.report_parts import fits


def examined(*pieces: bytes) -> Whole | None:
    """What is found in these pieces."""
    examination = Examination()
    for piece in pieces:
        examination.add(piece)
    return examination.result()


class ExaminationTests(SynchronousTestCase):
    """Piece by piece."""

    def test_lines_of_mail(self) -> None:
        """Lines of 998 octets are mail, one octet more is not, wherever the pieces are cut."""
        self.assertEqual(examined(b"a" * 500, b"b" * 498, b"\nc\n"), examined(b"a" * 500 + b"b" * 498 + b"\nc\n"))
        self.assertIsNotNone(examined(b"a" * 500, b"b" * 498, b"\nc\n"))
        self.assertIsNone(examined(b"a" * 500, b"b" * 499, b"\nc\n"))
        self.assertIsNone(examined(b"a" * 2000))

    def test_eight_bit(self) -> None:
        """It says whether 8BITMIME is needed."""
        self.assertEqual(
            [found and found.ascii for found in (examined(b"a\n"), examined(b"a", b"\xfc\n"))], [True, False]
        )

    @given(st.lists(st.binary(max_size=40).map(lambda octets: octets * 40), max_size=8))
    def test_like_the_whole(self, pieces: list[bytes]) -> None:
        """It finds what a look at the whole finds."""
        octets = b"".join(pieces)
        found = Whole(hashlib.sha256(octets).digest(), octets.isascii()) if fits(octets) else None
        self.assertEqual(examined(*pieces), found)
