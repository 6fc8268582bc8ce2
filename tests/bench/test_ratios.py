"""What a measurement is compared with, and what is told of it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench import quick, ratios
from bench.ratios import Comparison, compare


class ComparisonTests(SynchronousTestCase):
    """One row."""

    def test_limits(self) -> None:
        """More than a fifth less is told, half is bad; a fifth exactly, or anything better, is neither."""
        for ratio, fallen, halved in (
            (2.0, False, False),
            (1.0, False, False),
            (0.8, False, False),
            (0.79, True, False),
            (0.51, True, False),
            (0.5, True, True),
            (0.1, True, True),
        ):
            found = Comparison("a row", 1.0, ratio)
            self.assertEqual((found.has_fallen, found.is_bad), (fallen, halved), ratio)

    def test_busy(self) -> None:
        """On a busy machine a quarter is what is bad, and what fell by more than a fifth is told all the same."""
        for ratio, bad in ((0.5, False), (0.26, False), (0.25, True)):
            (found,) = compare({"a row": 1.0}, {"a row": ratio}, ratios.BAD_FROM_WHEN_BUSY)
            self.assertEqual((found.has_fallen, found.is_bad), (True, bad), ratio)

    def test_beside_what_it_was(self) -> None:
        """What counts is the change, not whether Hermes is the faster one."""
        self.assertFalse(Comparison("slow as ever", 0.3, 0.3).has_fallen)
        self.assertTrue(Comparison("faster than the other, but slower than it was", 4.0, 1.9).is_bad)

    def test_new(self) -> None:
        """A row that was never stored cannot have fallen, and is shown."""
        (found,) = compare({"another": 2.0}, {"new": 0.01})
        self.assertFalse(found.has_fallen or found.is_bad)
        self.assertIn("none stored", str(found))

    def test_told(self) -> None:
        """The line of each row has both ratios, and says in words what fell."""
        lines = [str(each) for each in compare({"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 0.9, "b": 0.7, "c": 0.4})]
        self.assertNotIn("fell", lines[0].lower())
        self.assertIn("fell by more than a fifth", lines[1])
        self.assertIn("FELL TO 40%", lines[2])
        for line, ratio in zip(lines, ("0.90", "0.70", "0.40"), strict=True):
            self.assertIn(ratio, line)
            self.assertIn("was 1.00", line)

    def test_summary(self) -> None:
        """One sentence, by the worst."""
        one, two, three = (Comparison("", 1.0, ratio) for ratio in (0.9, 0.7, 0.4))
        self.assertEqual(ratios.summary([one]), "no row fell by more than a fifth")
        self.assertIn("1 of 2 rows fell by more than a fifth", ratios.summary([one, two]))
        self.assertIn("1 of 3 rows fell by half or more", ratios.summary([one, two, three]))


class StoredTests(SynchronousTestCase):
    """``ratios.json``."""

    def test_stored(self) -> None:
        """What is stored is read again, to two digits."""
        file = Path(self.mktemp())
        ratios.store({"a row": 1.23456, "another": 2.0}, file)
        self.assertEqual(ratios.load(file), {"a row": 1.23, "another": 2.0})

    def test_none(self) -> None:
        """Without the file nothing is stored."""
        self.assertEqual(ratios.load(Path(self.mktemp())), {})

    def test_nonsense(self) -> None:
        """A ratio of zero would let everything pass: it is refused, and the remedy told."""
        file = Path(self.mktemp())
        for nonsense in (0, -1.0, "1.0", None):
            file.write_text(json.dumps({"a row": nonsense}))
            self.assertIn("--store", str(self.assertRaises(ValueError, ratios.load, file)))


class LookTests(SynchronousTestCase):
    """Rounds, and the second look."""

    def pair(self, *own: float) -> quick.Pair:
        """A row whose other server always has a rate of 1; after the last rate of Hermes's it stays."""
        rates = itertools.chain(own, itertools.repeat(own[-1]))
        return lambda: next(rates), lambda: 1.0

    def test_one_disturbed_pair(self) -> None:
        """The median does not see it."""
        self.assertEqual(quick.look({"a row": self.pair(1.0, 0.01, 1.0)}, {"a row": 1.0}), {"a row": 1.0})

    def test_disturbed_once(self) -> None:
        """What fell by half is measured again, and the better one counts."""
        slow = [0.2] * quick.MAX_ROUNDS
        self.assertEqual(quick.look({"a row": self.pair(*slow, 1.0)}, {"a row": 1.0}), {"a row": 1.0})

    def test_slow_twice(self) -> None:
        """What is slow both times is slow; the other rows are left as they were."""
        found = quick.look({"slow": self.pair(0.3), "fast": self.pair(1.5)}, {"slow": 1.0, "fast": 1.5})
        self.assertEqual(found, {"slow": 0.3, "fast": 1.5})

    def test_busy_part(self) -> None:
        """Waiting for the disk is not work, what the host takes away is."""
        before, rest = "cpu  100 100 100 1000 100 100 100 100 0 0", "\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
        for after, part in (
            ("cpu  100 100 100 1090 110 100 100 100 0 0", 0.0),
            ("cpu  110 110 110 1040 110 110 110 110 0 0", 0.6 * 100 / 110),
            ("cpu  100 100 100 1000 100 100 100 150 0 0", 1.0),
            (before, 1.0),
        ):
            self.assertAlmostEqual(quick.busy_part(before + rest, after + rest), part, delta=0.001)

    def test_rounds(self) -> None:
        """Without time left each row has the fewest pairs, and all the same number; with time it has the most."""
        for budget, rounds in ((-1.0, quick.MIN_ROUNDS), (1000.0, quick.MAX_ROUNDS)):
            counts = {"a": 0, "b": 0}

            def ours(what: str, counts: dict[str, int] = counts) -> float:
                counts[what] += 1
                return 1.0

            quick.measure(
                {what: (lambda what=what: ours(what), lambda: 1.0) for what in counts}, quick.MAX_ROUNDS, budget
            )
            self.assertEqual(counts, {"a": rounds, "b": rounds})

    def test_turns(self) -> None:
        """Who goes first changes from round to round."""
        order: list[str] = []

        def turn(who: str) -> float:
            order.append(who)
            return 1.0

        quick.measure({"a row": (lambda: turn("ours"), lambda: turn("theirs"))}, 2, 1000.0)
        self.assertEqual(order, ["ours", "theirs", "theirs", "ours"])
