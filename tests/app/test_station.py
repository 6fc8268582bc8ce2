"""What one of several workers is given."""

from __future__ import annotations

import os

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.crew.parent import listeners_of
from hermes.app.station import Station, settings_of_worker, share
from hermes.config.loader import load
from hermes.config.places import spool_directory
from hermes.config.schema import Settings
from hermes.config.worker_rules import worker_findings, workers_of
from hermes.net.listen import ListenError
from tests.support.configuration import MINIMAL, write_config


class ShareTests(SynchronousTestCase):
    """Limits that all workers keep together."""

    @given(st.integers(1, 2000), st.integers(1, 32))
    def test_share(self, total: int, count: int) -> None:
        """The shares are the whole, unless there are more workers than that: each needs one."""
        shares = [share(total, number, count) for number in range(count)]
        self.assertEqual(sum(shares), max(total, count))
        self.assertLessEqual(max(shares) - min(shares), 1)

    def test_settings(self) -> None:
        """What goes to other servers is divided, manhole and metrics are the parent's; alone, all stays as it is."""
        slow = "[destination:slow]\ndomains = slow.example\nconnections = 7\n"
        doors = "[manhole]\nlisten = 127.0.0.1:2022\n[metrics]\nlisten = 127.0.0.1:9025\n"
        settings = load(write_config(self, f"{MINIMAL}{doors}{slow}"))
        parts = [settings_of_worker(settings, number, 3) for number in range(3)]
        for section, key in (
            ("queue", "active"),
            ("direct", "connections"),
            ("direct", "connections_per_destination"),
            ("direct", "waiting"),
            ("smarthost", "connections"),
        ):
            values = [getattr(getattr(part, section), key) for part in parts]
            self.assertEqual(sum(values), max(3, getattr(getattr(settings, section), key)), key)
        self.assertEqual([part.destination["slow"].connections for part in parts], [3, 2, 2])
        self.assertEqual([part.manhole.listen for part in parts], [()] * 3)
        self.assertEqual([part.metrics.listen for part in parts], [()] * 3)
        self.assertEqual(list(listeners_of(settings)), [])
        self.assertEqual([part.limits for part in parts], [settings.limits] * 3)
        alone = settings_of_worker(settings, 0, 1)
        self.assertEqual(attrs.evolve(alone, manhole=settings.manhole, metrics=settings.metrics), settings)


class OrphanTests(SynchronousTestCase):
    """Shards that are nobody's."""

    def test_dealt_out(self) -> None:
        """Every shard that exists has exactly one worker, however many there are."""
        settings = load(write_config(self, MINIMAL))
        for shard in (0, 1, 4, 5, 31):
            os.makedirs(spool_directory(settings, shard))
        for count in (1, 2, 3, 32):
            stations = [Station(number, count) for number in range(count)]
            taken = [shard for station in stations for shard in (station.number, *station.orphans(settings))]
            self.assertEqual(len(taken), len(set(taken)))
            self.assertEqual({0, 1, 4, 5, 31} - set(taken), set())

    def test_never_used(self) -> None:
        """A site without a spool has no orphans."""
        self.assertEqual(Station().orphans(load(write_config(self, MINIMAL))), [])

    def test_no_socket(self) -> None:
        """A place at which the parent has opened nothing is named."""
        with self.assertRaisesRegex(ListenError, r"127\.0\.0\.1:25: the parent has opened no socket"):
            Station(sockets={}).socket("127.0.0.1:25")


class NumberTests(SynchronousTestCase):
    """``[hermes] workers``."""

    def settings(self, text: str) -> Settings:
        """Settings with that number."""
        settings = Settings()
        return attrs.evolve(settings, hermes=attrs.evolve(settings.hermes, workers=text))

    def test_right(self) -> None:
        """From one to 32, or as many as there are cores; one where nothing is said."""
        self.assertEqual(workers_of(Settings()), 1)
        for text, expected in (("1", 1), ("32", 32), ("cores", len(os.sched_getaffinity(0)))):
            self.assertEqual(list(worker_findings(self.settings(text))), [])
            self.assertEqual(workers_of(self.settings(text)), expected)

    def test_wrong(self) -> None:
        """Everything else is refused with what to write instead."""
        for text in ("0", "33", "-1", "many", "", "1.5", "\N{SUPERSCRIPT TWO}"):
            (finding,) = worker_findings(self.settings(text))
            self.assertIn("write 1 to 32, or cores", finding.text)
