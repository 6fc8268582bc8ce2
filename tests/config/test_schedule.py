"""``[schedule]``: what is read, what is refused, and who follows it."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.sections import schedule
from hermes.config.sections.schedule import ScheduleSettings, host_and_port, zone_of
from hermes.core.connection_schedule import parse_day
from tests.support.configuration import write_config


class SectionTests(SynchronousTestCase):
    """The section as it stands in the file."""

    def read(self, text: str) -> ScheduleSettings:
        """The settings."""
        return load(write_config(self, f"[schedule]\n{text}")).schedule

    def refused(self, text: str, *words: str) -> None:
        """It cannot be used, in these words."""
        problem = str(self.assertRaises(ConfigError, self.read, text))
        for word in words:
            self.assertIn(word, problem)

    def test_off(self) -> None:
        """As shipped there is none, and nobody follows it."""
        settings = self.read("")
        self.assertIsNone(settings.week())
        self.assertFalse(settings.follows("direct"))

    def test_week(self) -> None:
        """The days in their order, in the zone."""
        week = self.read(
            "enabled = yes\ntime_zone = Europe/Berlin\nmonday = open\nsunday = 0800,1800,3,15,30,60\n"
        ).week()
        assert week is not None
        self.assertEqual(week.zone, ZoneInfo("Europe/Berlin"))
        self.assertEqual([len(day) for day in week.days], [1, 1, 1, 1, 1, 1, 3])
        self.assertEqual(week.days[0], parse_day("open"))

    def test_refused(self) -> None:
        """Each mistake with its key and what to do."""
        for text, words in (
            ("monday = sometimes", ("[schedule] monday", "write open, closed")),
            ("time_zone = Middle/Earth", ("time_zone", "Europe/Berlin")),
            ("time_zone = ../../etc/passwd", ("time_zone",)),
            ("enabled = yes", ("enabled", "no day")),
            ("enabled = yes\ntuesday = closed", ("no day",)),
            ("clients = smarthosts", ("clients", "did you mean smarthost")),
            ("clients = smarthost:office", ("clients",)),
            ("servers = imap", ("servers", "smtp")),
            ("before = sh -c 'echo", ("before", "no closing quotation")),
            ("etrn = mx.example.net:0", ("etrn", "HOST:PORT")),
            ("etrn = mx_example", ("etrn",)),
            ("etrn_domains = example..org", ("etrn_domains",)),
            ("drain_time = 0", ("drain_time",)),
        ):
            with self.subTest(text=text):
                self.refused(text, *words)

    def test_one_smarthost(self) -> None:
        """A single smart host can follow it, when there is one of that name."""
        more = "[smarthost:office]\nhost = mx.example.net\n"
        settings = self.read(f"enabled = yes\nmonday = open\nclients = smarthost:office\n{more}")
        self.assertTrue(settings.follows("smarthost:office"))
        self.assertFalse(settings.follows("smarthost:home"))


class HostTests(SynchronousTestCase):
    """:func:`host_and_port`."""

    def test_hosts(self) -> None:
        """A name or an address of IPv4, with a port or without."""
        self.assertEqual(host_and_port("MX.example.net"), ("mx.example.net", 25))
        self.assertEqual(host_and_port("192.0.2.7:65535"), ("192.0.2.7", 65535))
        for text in (
            "",
            ":25",
            "mx.example.net:65536",
            "mx.example.net:smtp",
            "192.0.2.256",
            "mx.example.net:99999999",
        ):
            self.assertRaises(ValueError, host_and_port, text)


class ZoneTests(SynchronousTestCase):
    """The system's own zone."""

    def test_local(self) -> None:
        """It is that of the file in which the system has it, and UTC where there is none, or none that can be read."""
        path = self.mktemp()
        self.patch(schedule, "LOCAL_TIME", path)
        self.assertIs(zone_of(""), UTC)
        Path(path).write_text("no zone")
        self.assertIs(zone_of(""), UTC)
