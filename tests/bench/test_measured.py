"""What is made of measurements: medians, growth, the page."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench import table
from bench.load import Load, check_mailbox
from bench.mailboxes import check_fetched, fill, message
from bench.pairs import Options, Row, figure, in_turn
from bench.pop3_client import messages_of
from bench.steady_rows import MAX_OCTETS_A_MESSAGE, MIN_MESSAGES, NOISE_OCTETS, Sample, growth


class RowTests(SynchronousTestCase):
    """One row of a table."""

    def test_medians(self) -> None:
        """The ratio is the median of the ratios of the pairs, not the ratio of the medians."""
        row = Row("a row", [10.0, 20.0, 90.0], [10.0, 10.0, 30.0])
        self.assertEqual(row.ratios, [1.0, 2.0, 3.0])
        self.assertEqual(row.cells(), ["a row", "20", "10", "2.00", "1.00 - 3.00"])

    def test_turns(self) -> None:
        """Who goes first changes from pair to pair, and each result belongs to its own."""
        order: list[str] = []

        def turn(who: str, rate: float) -> float:
            order.append(who)
            return rate

        row = in_turn("a row", 3, lambda: turn("ours", 2.0), lambda: turn("theirs", 1.0))
        self.assertEqual(order, ["ours", "theirs", "theirs", "ours", "ours", "theirs"])
        self.assertEqual((row.hermes, row.peer), ([2.0] * 3, [1.0] * 3))

    def test_figures(self) -> None:
        """Small rates keep their digits."""
        self.assertEqual([figure(rate) for rate in (1234.5, 10.0, 9.99, 0.5)], ["1234", "10", "9.99", "0.50"])

    def test_scaled(self) -> None:
        """Nothing becomes less than the least that makes sense."""
        self.assertEqual([Options(scale=0.01).scaled(count, 10) for count in (100_000, 500)], [1000, 10])


class GrowthTests(SynchronousTestCase):
    """Whether memory is flat."""

    def samples(self, octets_a_message: float, messages: int = 1_000_000, warm: int = 0) -> list[Sample]:
        """A hundred samples of a server that grows so fast, after ``warm`` octets in the first tenth."""
        return [
            Sample(
                float(n),
                n * messages // 100,
                70 * 1024**2 + int(n * messages / 100 * octets_a_message) + (warm if n > 9 else 0),
            )
            for n in range(100)
        ]

    def test_limits(self) -> None:
        """What grows by less than any object for each message is flat, and what grows by more is not."""
        for octets, flat in (
            (-20.0, True),
            (0.0, True),
            (MAX_OCTETS_A_MESSAGE - 1, True),
            (MAX_OCTETS_A_MESSAGE + 1, False),
        ):
            found = growth(self.samples(octets))
            self.assertAlmostEqual(found.octets_a_message, octets, delta=0.1)
            self.assertEqual(found.is_flat, flat, octets)

    def test_short(self) -> None:
        """In a shorter run the memory may move by what it moves by itself, and no more."""
        few = 150_000
        counted = few * 0.79
        for octets, flat in ((NOISE_OCTETS / counted * 0.9, True), (NOISE_OCTETS / counted * 1.1, False)):
            self.assertEqual(growth(self.samples(octets, few)).is_flat, flat)

    def test_too_short(self) -> None:
        """A run of few messages is told, and not judged."""
        for messages, enough in ((MIN_MESSAGES * 100 // 79 + 1000, True), (MIN_MESSAGES * 100 // 79 - 1000, False)):
            self.assertEqual(growth(self.samples(100.0, messages)).is_long_enough, enough, messages)

    def test_warm_up(self) -> None:
        """What it takes at the beginning is not counted."""
        self.assertTrue(growth(self.samples(0.0, warm=50 * 1024**2)).is_flat)

    def test_nothing_arrived(self) -> None:
        """Without messages there is nothing to tell."""
        self.assertRaises(AssertionError, growth, self.samples(0.0, messages=0))


class PageTests(SynchronousTestCase):
    """``docs/performance.md``."""

    def setUp(self) -> None:
        """A page with two places."""
        self.page = Path(self.mktemp())
        self.page.write_text(
            "before\n<!-- one: begin -->\nold\n<!-- one: end -->\n<!-- two: begin -->\nkept\n<!-- two: end -->\n"
        )
        self.patch(table, "PAGE", self.page)

    def test_written(self) -> None:
        """What was measured stands between its markers, and all else as it was."""
        table.write(
            table.Section(
                "one", "Another", Options(), ["Hermes 1"], [Row("a row", [2.0], [1.0])], ["A note."], "messages/s"
            )
        )
        text = self.page.read_text()
        self.assertNotIn("old", text)
        self.assertTrue(text.startswith("before\n<!-- one: begin -->\nMeasured on "))
        self.assertIn("| what | Hermes, messages/s | Another, messages/s | ratio, median | ratio, range |", text)
        self.assertIn("| a row | 2.00 | 1.00 | 2.00 | 2.00 - 2.00 |\n\nA note.\n<!-- one: end -->\n", text)
        self.assertTrue(text.endswith("<!-- two: begin -->\nkept\n<!-- two: end -->\n"))

    def test_no_place(self) -> None:
        """What has no place is not lost without a word."""
        self.assertRaises(AssertionError, table.write, table.Section("three", "", Options(), ["Hermes 1"]))


class MailboxTests(SynchronousTestCase):
    """What is fetched, and what is there."""

    def test_compared(self) -> None:
        """Every message with CRLF, in any order; one octet more or less, or one message, is told."""
        mailbox = Path(self.mktemp())
        fill(mailbox, 3, 500)
        there = [message(number, 500).replace(b"\n", b"\r\n") for number in (2, 0, 1)]
        check_fetched("somebody", there, mailbox)
        for wrong in (there[:2], [*there, there[0]], [*there[:2], there[2] + b"x"], [*there[:2], there[0]]):
            self.assertRaises(AssertionError, check_fetched, "somebody", wrong, mailbox)

    def test_names(self) -> None:
        """The sizes in the names are those on disk and on the wire."""
        mailbox = Path(self.mktemp())
        fill(mailbox, 1, 1000)
        (path,) = (mailbox / "cur").iterdir()
        octets = path.read_bytes()
        wire = octets.replace(b"\n", b"\r\n")
        self.assertTrue(path.name.endswith(f",S={len(octets)},W={len(wire)}:2,S"))
        self.assertIn(b"\n.\n", octets)

    def test_received(self) -> None:
        """Exactly what smtp-source sends, as often as it was sent: a changed octet, or one message less or more, is told."""
        one, maildir = Load(3, 170, 1, False), Path(self.mktemp())
        (maildir / "new").mkdir(parents=True)
        lines = [b"1" + b"X" * 77, b"2" + b"X" * 77, b"X" * 10]
        right = b"Return-Path: <>\nSubject: x\n\n" + b"\n".join(lines) + b"\n"
        for number in range(3):
            (maildir / "new" / str(number)).write_bytes(right)
        check_mailbox("somebody", maildir, one)
        for wrong in (right.replace(b"2X", b"3X"), right[:-2], right.replace(b"\n1", b"\n\n1"), b""):
            (maildir / "new" / "2").write_bytes(wrong)
            self.assertRaises(AssertionError, check_mailbox, "somebody", maildir, one)
        (maildir / "new" / "2").unlink()
        self.assertRaises(AssertionError, check_mailbox, "somebody", maildir, one)
        for name in ("2", "3"):
            (maildir / "new" / name).write_bytes(right)
        self.assertRaises(AssertionError, check_mailbox, "somebody", maildir, one)

    def test_copy(self) -> None:
        """Messages that were written down come back, empty ones and such with any octets too."""
        copy = Path(self.mktemp())
        copy.write_bytes(b"5\na\r\n\r\n0\n3\n7\r\n")
        self.assertEqual(messages_of(copy), [b"a\r\n\r\n", b"", b"7\r\n"])
