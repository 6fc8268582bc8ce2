"""When to try again and when to give up (RFC 5321 4.5.4.1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.queue.schedule import DEFAULT_PAUSE_SECONDS, JITTER, is_expired, next_attempt_at, pauses_of, warnings_due

NEVER = 10.0**9


class PauseTests(SynchronousTestCase):
    """The pauses between attempts."""

    def test_pauses_are_those_configured(self) -> None:
        """After the first attempt the first pause, after the second the second, and the last is repeated."""
        pauses = [next_attempt_at(0, attempts, (300, 600, 1200), 0, 0, NEVER) for attempts in range(1, 6)]
        self.assertEqual(pauses, [300, 600, 1200, 1200, 1200])

    def test_without_pauses(self) -> None:
        """An empty list means the half hour of the standard."""
        self.assertEqual(next_attempt_at(0, 3, (), 0, 0, NEVER), DEFAULT_PAUSE_SECONDS)

    def test_schedules(self) -> None:
        """Flat is the same pause for ever; progressive begins with it, never shrinks, and ends at seven times as much."""
        self.assertEqual(list(pauses_of("list", (1, 2), 900)), [1, 2])
        self.assertEqual(list(pauses_of("flat", (1, 2), 3600)), [3600])
        pauses = list(pauses_of("progressive", (1, 2), 900))
        self.assertEqual(pauses[:10], [900] * 10)
        self.assertEqual(pauses, sorted(pauses))
        self.assertEqual(pauses[-1], 7 * 900)

    def test_progression(self) -> None:
        """Mercury's manual: 99 attempts at 15 minutes take about four days."""
        pauses = list(pauses_of("progressive", (), 900))
        self.assertLess(abs(sum(pauses[:99]) / 86400 - 4), 0.2)

    @given(
        attempts=st.integers(min_value=1, max_value=50),
        stray=st.floats(min_value=-1, max_value=1),
        following=st.floats(min_value=-1, max_value=1),
    )
    def test_pauses_grow_whatever_the_jitter(self, attempts: int, stray: float, following: float) -> None:
        """With the default settings a pause strays by a tenth at most, and none is shorter than the one before it."""
        retry = QueueSettings().retry
        pause = next_attempt_at(0, attempts, retry, stray, 0, NEVER)
        plain = retry[min(attempts, len(retry)) - 1]
        self.assertLessEqual(abs(pause - plain), plain * JITTER + 1e-6)
        if attempts < len(retry):
            self.assertGreater(next_attempt_at(0, attempts + 1, retry, following, 0, NEVER), pause)

    def test_last_attempt_is_at_the_end(self) -> None:
        """The last attempt is made when the message expires, not a pause later."""
        self.assertEqual(next_attempt_at(900, 1, (300,), 0, 0, 1000), 1000)
        self.assertEqual(next_attempt_at(700, 1, (300,), 0, 0, 1000), 1000)
        self.assertEqual(next_attempt_at(699, 1, (300,), 0, 0, 1000), 999)

    def test_pause_after_the_end(self) -> None:
        """What is put off after its end (no report could be written) still gets a whole pause."""
        self.assertEqual(next_attempt_at(1000, 1, (300,), 0, 0, 1000), 1300)


class AgeTests(SynchronousTestCase):
    """What age brings."""

    def test_expiry(self) -> None:
        """A message expires at the configured age, not a second before."""
        self.assertFalse(is_expired(1099, 100, 1000))
        self.assertTrue(is_expired(1100, 100, 1000))
        self.assertTrue(is_expired(1101, 100, 1000))

    def test_warnings(self) -> None:
        """Each configured age adds a warning when it is reached."""
        ages = (100, 200)
        self.assertEqual([warnings_due(now, 0, ages) for now in (99, 100, 199, 200, 500)], [0, 1, 1, 2, 2])
        self.assertEqual(warnings_due(500, 0, ()), 0)
