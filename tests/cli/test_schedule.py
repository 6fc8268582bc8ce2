"""``hermes schedule``: the coming week."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hermes.config.loader import load
from hermes.config.mercury_ini import MAX_OCTETS
from tests.support.command import CommandTestCase

SECTION = """
[schedule]
enabled = yes
time_zone = Europe/Berlin
monday = 0800,1800,3,15,30,60
sunday = 01:00-04:00 open
"""


class ScheduleTests(CommandTestCase):
    """The command, on a Saturday before clocks are set forward."""

    def setUp(self) -> None:
        """It is noon in Berlin."""
        super().setUp()
        at = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
        self.patch(time, "time", lambda: at)

    def test_off(self) -> None:
        """Without a schedule it says what that means."""
        said = self.run_hermes("schedule", "-c", self.site()).output
        self.assertIn("everything is always open", said)

    def test_week(self) -> None:
        """Seven days with their windows, and the day on which clocks are set."""
        said = self.run_hermes("schedule", "-c", self.site(SECTION)).output
        rows = {line[:3]: line for line in said.splitlines()}
        self.assertIn("Sat 2026-03-28", rows["Sat"])
        self.assertIn("closed", rows["Sat"])
        self.assertIn("01:00-04:00 open", rows["Sun"])
        self.assertIn("2h 00m", rows["Sun"])
        self.assertIn("the day has 23 hours", rows["Sun"])
        self.assertIn("08:00-18:00 every 15m for 3m", rows["Mon"])
        self.assertIn("closed now, until Sun 01:00", said)

    def test_json(self) -> None:
        """Programs get every period, with its offset from UTC, and as many days as they want."""
        found = json.loads(self.run_hermes("schedule", "-c", self.site(SECTION), "--json", "--days", "2").output)
        self.assertEqual([day["day"] for day in found["days"]], ["saturday", "sunday"])
        self.assertEqual(
            found["days"][1]["periods"],
            [{"start": "2026-03-29T01:00:00+01:00", "end": "2026-03-29T04:00:00+02:00", "seconds": 7200}],
        )
        self.assertEqual(json.loads(self.run_hermes("schedule", "-c", self.site(), "--json").output)["days"], [])

    def test_import(self) -> None:
        """What is printed of Mercury's section can be put into the configuration as it is; nothing else is done."""
        config = self.site()
        file = Path(config).parent / "MERCURY.INI"
        file.write_bytes(b"[Protocols]\r\nMERCURYX.DLL\r\n[MercuryX]\r\nMonday: 0800,1800,3,15,30,60 # \xe4\r\n")
        printed = self.run_hermes("schedule", "-c", config, "--import", str(file)).output
        with open(config, "a") as section:
            section.write(printed)
        self.assertEqual(
            load(config).schedule.monday,
            "00:00-08:00 every 1h for 30m, 08:00-18:00 every 15m for 3m, 18:00-24:00 every 1h for 30m",
        )
        file.write_text("[MercuryX]\nMonday: 9\n")
        result = self.run_hermes("schedule", "-c", config, "--import", str(file), exit_code=1)
        self.assertIn("MERCURY.INI:2: monday: ", result.stderr)
        file.write_bytes(b"#" * (MAX_OCTETS + 1))
        self.run_hermes("schedule", "-c", config, "--import", str(file), exit_code=1)

    def test_always_open(self) -> None:
        """A week without an end of opening has none."""
        days = "".join(
            f"{day} = open\n" for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
        )
        said = self.run_hermes("schedule", "-c", self.site(f"[schedule]\nenabled = yes\n{days}")).output
        self.assertIn("It is open now. ", said)
