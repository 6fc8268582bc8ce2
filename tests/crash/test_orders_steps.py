"""The spool is killed at every step while an administrator's orders are carried out, and opened again."""

from __future__ import annotations

from hermes.core.message import State
from tests.crash import orders_scenario
from tests.crash.day_case import DayCase, Note, noted
from tests.crash.orders_scenario import ORDERS
from tests.support.real_spool import START

#: What is left when so many orders have been carried out: each recipient's domain, state, destination and time to expire.
_A, _B = ("a.example", State.QUEUED, "direct:x@a.example"), ("b.example", State.QUEUED, "direct:y@b.example")
_HELD, _AWAY = State.HELD, "smarthost:office"
STATES = (
    {(*_A, None), (*_B, None)},
    {(*_A, None), (_B[0], _HELD, _B[2], None)},
    {(*_A, None), (_B[0], _HELD, _AWAY, None)},
    {(*_A, START + 60), (_B[0], _HELD, _AWAY, None)},
    {(*_A, START + 60), (_B[0], State.QUEUED, _AWAY, None)},
    {(*_A, START + 60)},
    set(),
)


class OrdersStepsTests(DayCase):
    """Between any two disk steps."""

    def test_every_step(self) -> None:
        """An order whose end was told has been carried out on all, one that had not begun on nobody; nothing is half done."""
        cut_off = 0
        # Each order is at least a commit, before and after which the process died.
        for notes in self.ended_days(orders_scenario, 2 * len(ORDERS)):
            cut_off += self.check(notes)
        self.assertGreater(cut_off, len(ORDERS))

    def check(self, notes: list[Note]) -> bool:
        """Compare what is there with what was told; True when an order had begun and not ended."""
        accepted = noted(notes, "accepted")
        begun, ended = len(noted(notes, "ordering")), len(noted(notes, "ordered"))
        found = {message.queue_id: message for message in self.done(self.spool.select(None))}
        if not begun:
            return False
        for queue_id in accepted:
            recipients = found[queue_id].recipients if queue_id in found else []
            seen = {
                (each.address.partition("@")[2], each.state, each.destination, each.expires_at) for each in recipients
            }
            self.assertIn(seen, STATES[ended : begun + 1])
        self.assertEqual(self.body_files(), accepted[1:] if accepted[1] in found else [])
        return begun > ended
