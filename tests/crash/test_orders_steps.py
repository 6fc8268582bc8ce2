"""The spool is killed at every step while an administrator's orders are carried out, and opened again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hermes.core.message import State
from tests.crash.orders_scenario import ORDERS
from tests.crash.spool_scenario import START
from tests.support.real_spool import SpoolTestCase

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


class OrderStepTests(SpoolTestCase):
    """Between any two disk steps."""

    def test_every_step(self) -> None:
        """An order whose end was told has been carried out on all, one that had not begun on nobody; nothing is half done."""
        base = os.path.abspath(self.mktemp())
        os.mkdir(base)
        command = [sys.executable, "-bb", "-W", "error", "-m", "tests.crash.orders_scenario", base]
        subprocess.run(command, cwd=Path(__file__).parents[2], timeout=120, check=True)
        steps = len(list(Path(base).glob("*.log")))
        # Each order is at least a commit, before and after which the process died.
        self.assertGreater(steps, 2 * len(ORDERS))
        cut_off = 0
        for number in range(1, steps + 1):
            self.done(self.spool.close())
            self.directory = os.path.join(base, str(number))
            self.spool = self.opened()
            cut_off += self.check(Path(f"{self.directory}.log"))
        self.assertGreater(cut_off, len(ORDERS))

    def check(self, log: Path) -> bool:
        """Compare what is there with what was told; True when an order had begun and not ended."""
        notes = [json.loads(line) for line in log.read_text().splitlines()]
        accepted = [note["id"] for note in notes if note["what"] == "accepted"]
        begun = sum(note["what"] == "ordering" for note in notes)
        ended = sum(note["what"] == "ordered" for note in notes)
        found = {message.queue_id: message for message in self.done(self.spool.select(None))}
        self.assertEqual(self.faults(), [])
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
