"""Queue ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.identifiers import MAX_SHARDS, QueueIds, decode, encode, is_queue_id


class QueueIdTests(SynchronousTestCase):
    """Unique, sorted by time, readable."""

    def test_never_equal(self) -> None:
        """Ids grow while the clock stands still, and while it is set back."""
        times = iter([1000.0, 1000.0, 10.0, 1000.000005])
        ids = QueueIds(lambda: next(times))
        made = [ids.next() for _ in range(4)]
        self.assertEqual(made, sorted(set(made)))

    def test_after_a_restart(self) -> None:
        """An id is greater than the greatest of the run before, though the clock was set back between."""
        greatest = QueueIds(lambda: 2_000_000_000.0).next()
        self.assertGreater(QueueIds(lambda: 1_000_000_000.0, after=greatest).next(), greatest)

    def test_form(self) -> None:
        """Twelve characters without those that are misread."""
        made = QueueIds(lambda: 1_800_000_000.123456).next()
        self.assertRegex(made, r"\A[0-9A-HJKMNP-TV-Z]{12}\Z")
        self.assertTrue(is_queue_id(made))

    def test_not_an_id(self) -> None:
        """Other texts are not taken for one, whatever they could do in a file name."""
        for text in ("", "0" * 11, "0" * 13, "00000000000I", "../../../etc", "00000000000\n", "00000000000a"):
            self.assertFalse(is_queue_id(text), text)

    @given(st.integers(0, 32**12 - 1))
    def test_round_trip(self, number: int) -> None:
        """A number is read back from its id."""
        self.assertEqual(decode(encode(number)), number)

    @given(st.integers(0, 32**12 - 1), st.integers(0, 32**12 - 1))
    def test_sorted(self, one: int, other: int) -> None:
        """Ids sort as their numbers."""
        self.assertEqual(encode(one) < encode(other), one < other)


class ShardTests(SynchronousTestCase):
    """Ids that are made by several processes at once."""

    def test_never_equal(self) -> None:
        """Processes that make ids at the same moments never make the same one, though an earlier one has any last digit."""
        earlier = encode(1_000_000_000_000_017)
        makers = [QueueIds(lambda: 1000.0, earlier, shard) for shard in range(MAX_SHARDS)]
        made = [maker.next() for _ in range(3) for maker in makers]
        self.assertEqual(len(set(made)), len(made))
        self.assertTrue(all(each > earlier for each in made))

    @given(st.integers(0, MAX_SHARDS - 1), st.floats(0, 4e9))
    def test_last_digit(self, shard: int, now: float) -> None:
        """The last digit says for which shard an id was made."""
        ids = QueueIds(lambda: now, shard=shard)
        self.assertEqual([decode(ids.next()) % MAX_SHARDS for _ in range(3)], [shard] * 3)

    def test_range(self) -> None:
        """There are as many shards as a digit has values."""
        QueueIds(lambda: 0.0, shard=MAX_SHARDS - 1)
        for shard in (-1, MAX_SHARDS):
            self.assertRaises(ValueError, QueueIds, lambda: 0.0, "", shard)
