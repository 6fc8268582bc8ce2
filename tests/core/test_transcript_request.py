"""X-Transcript-To: taken out of a message, and to whom the transcript then goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.transcript_request import receiver, taken_out

ME = "alice@example.org"


class TakenOutTests(SynchronousTestCase):
    """The header without the field."""

    def test_taken_out(self) -> None:
        """All of them go, in any case and folded, with whole lines; the first is what counts."""
        for header, rest, text in (
            (b"A: b\n", b"A: b\n", ""),
            (b"X-Transcript-To: <a@b>\nA: b\n", b"A: b\n", "<a@b>"),
            (b"A: b\nx-transcript-TO : a@b\n c\n\td\nC: d\nX-Transcript-To: z\n", b"A: b\nC: d\n", "a@b c\td"),
            (b"A: b\r\nX-Transcript-To: a@b\r\n c\r\nC: d\r\n", b"A: b\r\nC: d\r\n", "a@b c"),
            (b"X-Transcript-To: a@b", b"", "a@b"),
            (b"X-Transcript-To:\nA: b\n", b"A: b\n", ""),
            (b"A: b\n X-Transcript-To: a@b\n", b"A: b\n X-Transcript-To: a@b\n", ""),
        ):
            self.assertEqual(taken_out(header), (rest, text), header)

    @given(st.binary(max_size=200))
    def test_nothing_else(self, octets: bytes) -> None:
        """What has no such field is not changed."""
        if b"transcript" not in octets.lower():
            self.assertEqual(taken_out(octets), (octets, ""))

    @given(st.lists(st.sampled_from([b"X-Transcript-To: a@b\n", b" folded\n", b"A: b\n", b"\tc\n"]), max_size=8))
    def test_gone(self, lines: list[bytes]) -> None:
        """Afterwards there is none, and what is left are lines that were there."""
        rest, _ = taken_out(b"A: b\n" + b"".join(lines))
        self.assertFalse(any(line.startswith(b"X-T") for line in rest.split(b"\n")))
        self.assertTrue(rest.endswith(b"\n"))


class ReceiverTests(SynchronousTestCase):
    """Nobody can have others sent what they did not ask for."""

    def test_own_domain(self) -> None:
        """The sender, and others of the same domain, in any case."""
        self.assertEqual(receiver("alice@example.org", ME), ME)
        self.assertEqual(receiver("Log <log@EXAMPLE.org>", ME), "log@EXAMPLE.org")

    def test_nobody(self) -> None:
        """Other domains, several addresses, none, and what is no plain address."""
        for text in (
            "victim@example.net",
            "victim@sub.example.org",
            "a@example.org, b@example.org",
            "",
            "alice",
            "jürgen@example.org",
            '"a b"@example.org',
            "a@example.org@example.net",
        ):
            self.assertEqual(receiver(text, ME), "", text)
        self.assertEqual(receiver(ME, ""), "")
