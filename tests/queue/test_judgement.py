"""What follows from the settings for a recipient who could not be delivered to: when to try again, to give up, and to warn."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.core.envelope import Envelope, Origin
from hermes.core.event import Kind
from hermes.core.message import Content, Finished, Postponed, QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome
from hermes.queue.judgement import Judge, Judgement

BUSY = Outcome.deferred("busy", "4.3.2")
START = 1_000_000.0
HOUR = 3600.0


def message(sender: str = "anna@example.org", account: str | None = None) -> QueuedMessage:
    """A message without recipients."""
    origin = Origin("ESMTP", account=account)
    return QueuedMessage("0" * 12, START, Envelope(sender, ()), origin, "", Content(1, 1, 0), [])


def recipient(**more: Any) -> QueuedRecipient:
    """A recipient elsewhere."""
    given: dict[str, Any] = {"notify": None, "attempts": 0, **more}
    return QueuedRecipient(
        0, "bob@example.net", original=None, destination="direct:example.net", next_attempt_at=START, **given
    )


def judged(
    settings: QueueSettings,
    to: QueuedRecipient,
    *,
    sent: QueuedMessage | None = None,
    age: float = 60.0,
    outcome: Outcome = BUSY,
) -> Judgement:
    """What follows from an attempt at that age of the message."""
    judge = Judge(settings, lambda: 0.0, ("Example.ORG",))
    return judge.judge(sent or message(), [to], [outcome], START + age)


class ScheduleTests(SynchronousTestCase):
    """When the next attempt is, and when there is none."""

    def pauses(self, attempts: int, **settings: Any) -> list[float]:
        """The pauses after so many attempts, in minutes."""
        found = []
        for number in range(attempts):
            (settlement,) = judged(QueueSettings(**settings), recipient(attempts=number)).settlements
            assert isinstance(settlement, Postponed)
            found.append((settlement.next_attempt_at - START) / 60 - 1)
        return found

    def test_schedules(self) -> None:
        """By the list, flat, or progressive."""
        self.assertEqual(self.pauses(3, retry=(60, 120)), [1, 2, 2])
        self.assertEqual(self.pauses(3, schedule="flat", period=3600), [60] * 3)
        self.assertEqual(self.pauses(21, schedule="progressive")[9:], [15] * 11 + [30])

    def test_attempts(self) -> None:
        """After as many attempts as are allowed it is given up; what was no attempt does not count."""
        settings = QueueSettings(attempts=3)
        for before, kind in ((1, Kind.DEFERRED), (2, Kind.EXPIRED), (3, Kind.EXPIRED)):
            judgement = judged(settings, recipient(attempts=before))
            self.assertIs(judgement.events[0].kind, kind)
            self.assertIs(isinstance(judgement.settlements[0], Finished), kind is Kind.EXPIRED)
        waits = attrs.evolve(BUSY, wait_seconds=60.0)
        self.assertIs(judged(settings, recipient(attempts=5), outcome=waits).events[0].kind, Kind.DEFERRED)


class WarningTests(SynchronousTestCase):
    """Who is told of a delay, and when."""

    def test_ages(self) -> None:
        """After three hours, a day and three days, once each."""
        for age, reported, told in (
            (3 * HOUR - 1, 0, False),
            (3 * HOUR, 0, True),
            (24 * HOUR - 1, 1, False),
            (24 * HOUR, 1, True),
            (72 * HOUR - 1, 2, False),
            (72 * HOUR, 2, True),
            (100 * HOUR, 3, False),
        ):
            judgement = judged(QueueSettings(), recipient(delays_reported=reported), age=age)
            self.assertIs(bool(judgement.delayed), told, age)

    def test_whom(self) -> None:
        """Our own people, who sent by an address or an account of ours, and who has asked for it; all when that is set."""
        stranger = "eve@example.com"
        for sender, account, notify, local, every in (
            ("anna@EXAMPLE.org", None, None, True, True),
            (stranger, "anna", None, True, True),
            (stranger, None, None, False, True),
            (stranger, None, frozenset({"FAILURE", "DELAY"}), True, True),
            (stranger, None, frozenset({"FAILURE"}), False, False),
            ("anna@example.org", None, frozenset({"NEVER"}), False, False),
            ("", "anna", None, False, False),
        ):
            for to, expected in (("local", local), ("all", every)):
                settings = QueueSettings(delay_warning_to=to)
                judgement = judged(settings, recipient(notify=notify), sent=message(sender, account), age=4 * HOUR)
                self.assertIs(bool(judgement.delayed), expected, (sender, account, notify, to))
