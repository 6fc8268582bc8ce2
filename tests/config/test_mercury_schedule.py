"""Mercury's schedule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import MercuryFileError
from hermes.config.loader import load
from hermes.config.mercury_schedule import schedule_of
from hermes.core.connection_schedule import parse_day
from tests.support.configuration import MINIMAL, write_config

#: As Mercury writes it.
WHOLE = """
[Protocols]
C:\\MERCURY\\MERCURYS.DLL
C:\\MERCURY\\MERCURYX.DLL   # the scheduler

[MercuryC]
host: mail.example.net

[MercuryX]
Cmd_Before: C:\\DIAL\\DIAL.EXE provider
Cmd_After:
Cmd_Delay: 20
Cmd_Wait: 0
IE4_Dialling: 1
Use_ETRN: 1
Clients_only: 0
Drain_queues: 0
Sunday: 1500,1900,2,30,5,30
Monday: 0800,1800,3,15,30,60   # peak in office hours
Saturday: 0900,1900,2,30,0,0

[MercuryS]
Debug: 1
"""


class MercuryScheduleTests(SynchronousTestCase):
    """``[MercuryX]`` of ``MERCURY.INI``."""

    def test_whole(self) -> None:
        """What is printed can be put into config.ini as it is, and says what Mercury's section said."""
        printed = schedule_of(WHOLE, "MERCURY.INI")
        schedule = load(write_config(self, MINIMAL + printed)).schedule
        self.assertTrue(schedule.enabled)
        for day, expected in (
            ("sunday", "1500,1900,2,30,5,30"),
            ("monday", "0800,1800,3,15,30,60"),
            ("saturday", "09:00-19:00 every 30m for 2m"),
            ("tuesday", ""),
        ):
            self.assertEqual(parse_day(getattr(schedule, day)), parse_day(expected), day)
        self.assertEqual((schedule.before, schedule.after, schedule.before_delay), ("", "", 20))
        self.assertEqual((schedule.drain, schedule.etrn), (False, ()))
        self.assertEqual(schedule.servers, ("smtp", "pop3", "phonebook", "finger"))
        for words in (r"# before = C:\DIAL\DIAL.EXE provider", "did not wait", "dialed by Windows", "ETRN.DAT"):
            self.assertIn(words, printed)
        self.assertNotIn("after =", printed)

    def test_plain(self) -> None:
        """What is not set is not written; flags that are set by any number are set."""
        text = "[protocols]\nmercuryx\n[MERCURYX]\nclients_only: 2\nDrain_Queues: 1\nCmd_Wait: 1\nCmd_Delay: 0\n"
        text += "IE4_Dialling: 0\nUse_ETRN: 0\nCmd_After: hangup\n"
        self.assertEqual(
            schedule_of(text, "M"),
            "[schedule]\nenabled = yes\n# Mercury ran this after going off line; write a command of this system:\n"
            "# after = hangup\ndrain = yes\n",
        )

    def test_not_loaded(self) -> None:
        """A scheduler that Mercury does not load is off."""
        for before in ("", "[Protocols]\n# MERCURYX.DLL\nMERCURYS.DLL\n"):
            printed = schedule_of(before + "[MercuryX]\nMonday: 0800,1800,3,15,30,60\n", "M")
            schedule = load(write_config(self, MINIMAL + printed)).schedule
            self.assertFalse(schedule.enabled)
            self.assertIn("every 15m for 3m", schedule.monday)

    def test_unknown(self) -> None:
        """What nobody knows is left out, and that is said with file and line."""
        printed = schedule_of("[MercuryX]\nFoo: 1\nnothing\n", "M.INI")
        self.assertIn("# M.INI:2: 'Foo: 1' is nothing that is known", printed)
        self.assertIn("# M.INI:3: 'nothing' is nothing that is known", printed)

    def test_wrong(self) -> None:
        """What cannot be read is told with file and line, all at once."""
        text = "[MercuryX]\nMonday: 1031,1035,2,45,-1,0\nTuesday: 9\nDrain_queues: yes\nCmd_Delay: 3601\n"
        text += "Use_ETRN: 1\nuse_etrn: 0\n"
        with self.assertRaises(MercuryFileError) as caught:
            schedule_of(text, "M.INI")
        told = str(caught.exception).splitlines()
        self.assertEqual(
            [" ".join(line.split(": ")[:2]) for line in told],
            [
                "M.INI:2 monday",
                "M.INI:3 tuesday",
                "M.INI:4 drain_queues",
                "M.INI:5 cmd_delay",
                "M.INI:7 use_etrn is there twice",
            ],
        )
        with self.assertRaisesRegex(MercuryFileError, r"M.INI: there is no section \[MercuryX\]"):
            schedule_of("[MercuryS]\nMonday: 1\n", "M.INI")

    def test_limit(self) -> None:
        """An hour is the longest delay."""
        self.assertIn("before_delay = 3600s", schedule_of("[MercuryX]\nCmd_Delay: 3600\n", "M"))

    @given(st.text(alphabet="[]MercuyXx:#\n 0189,-Mondaywitrn_", max_size=80))
    def test_anything(self, text: str) -> None:
        """Whatever stands there, there is a section or an error."""
        try:
            schedule_of("[MercuryX]\n" + text, "f")
        except MercuryFileError as error:
            self.assertTrue(str(error))
