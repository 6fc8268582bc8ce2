"""The daily summary: when it is sent, to whom, and that it is sent once."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.summary import ROUND_SECONDS, Summary, day_before, day_of
from hermes.config.schema import HermesSettings, Settings
from hermes.config.sections.summary import SummarySettings
from tests.services.test_drop import Router
from tests.support.command import CommandTestCase, queue_message
from tests.support.spool import MemorySpool
from tests.support.worker import ImmediateWorker

#: Noon, by the clock of this machine.
NOON = datetime(2026, 3, 1, 12).timestamp()


class DayTests(SynchronousTestCase):
    """day_before() and day_of()."""

    def test_days(self) -> None:
        """A day goes from midnight to midnight, by the clock of this machine."""
        self.assertEqual(day_of("2026-02-28")[1:], (NOON - 36 * 3600, NOON - 12 * 3600))
        for now in (NOON, NOON - 12 * 3600, NOON + 12 * 3600 - 1):
            self.assertEqual(day_before(now), day_of("2026-02-28"))
        self.assertEqual(day_before(NOON - 12 * 3600 - 1)[0], "2026-02-27")
        for text in ("", "yesterday", "2026-02-30", "9999-12-31"):
            self.assertRaises(ValueError, day_of, text)


class Relay:
    """Remembers what it was handed."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def accepted(self, message: Any) -> None:
        """Remember it."""
        self.messages.append(message)


class SummaryTests(SynchronousTestCase):
    """The module."""

    def setUp(self) -> None:
        """A site whose postmaster wants it at six."""
        self.clock, self.spool, self.relay = Clock(), MemorySpool(), Relay()
        self.now = NOON
        self.known: list[str] = []
        self.data = os.path.abspath(self.mktemp())
        self.use()
        spool: Any = self.spool
        spool.track = self.track
        relay: Any = self.relay
        self.summary = Summary(
            self.clock, lambda: self.now, spool, relay, lambda: (self.settings, Router()), ImmediateWorker()
        )
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.summary.stop())))

    def use(self, postmaster: str = "pm@example.org", **settings: Any) -> None:
        """Other settings."""
        hermes = HermesSettings(hostname="mail.example.org", postmaster=postmaster, data=self.data)
        self.settings = Settings(hermes=hermes, summary=SummarySettings(**{"send": True, **settings}))

    async def track(self, query: str, limit: int) -> list[str]:
        """What has been sent."""
        return [each for each in self.known if each == query]

    @property
    def sent(self) -> list[str]:
        """To whom letters have gone."""
        return [each.message.envelope.recipients[0].address for each in self.spool.committed]

    def test_sent_once(self) -> None:
        """The day before is told of, by the server to the postmaster, and never twice; the next day's letter is another one."""
        self.successResultOf(Deferred.fromCoroutine(self.summary.start()))
        (committed,) = self.spool.committed
        self.assertEqual((self.sent, self.relay.messages), (["pm@example.org"], [committed.message]))
        self.assertEqual(committed.message.envelope.reverse_path, "")
        for part in (
            "Subject: Mail at mail.example.org on 2026-02-28\n",
            "Auto-Submitted: auto-generated\n",
            "To: <pm@example.org>\n",
        ):
            self.assertIn(part, committed.text)
        self.assertEqual(committed.message.message_id, "<summary.2026-02-28@mail.example.org>")
        self.known.append(committed.message.message_id)
        self.clock.advance(ROUND_SECONDS)
        self.assertEqual(len(self.sent), 1)
        self.now += 24 * 3600
        self.clock.advance(ROUND_SECONDS)
        self.assertEqual(len(self.sent), 2)
        self.assertIn("on 2026-03-01", self.spool.committed[1].text)

    def test_when(self) -> None:
        """Not before its hour, and not when nobody wants it or nobody would get it."""
        self.use(hour=13)
        self.successResultOf(Deferred.fromCoroutine(self.summary.start()))
        self.use(send=False)
        self.clock.advance(ROUND_SECONDS)
        self.use(postmaster="")
        self.clock.advance(ROUND_SECONDS)
        self.assertEqual(self.sent, [])
        self.use(hour=12, to="boss@example.net", postmaster="")
        self.clock.advance(ROUND_SECONDS)
        self.assertEqual(self.sent, ["boss@example.net"])

    def test_fault(self) -> None:
        """What fails is tried again."""
        self.spool.fault = OSError("no room")
        self.successResultOf(Deferred.fromCoroutine(self.summary.start()))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.spool.fault = None
        self.clock.advance(ROUND_SECONDS)
        self.assertEqual(len(self.sent), 1)


class CommandTests(CommandTestCase):
    """``hermes summary``."""

    def test_command(self) -> None:
        """A day's letter, for people and for programs; without a day, that of yesterday."""
        config = self.site()
        queue_message(self, config)
        day = datetime.fromtimestamp(1_800_000_000.0).astimezone().date().isoformat()
        output = self.run_hermes("summary", "-c", config, "--day", day).stdout
        self.assertIn("       1    from people who had logged in\n", output)
        self.assertIn("       1  anna\n", output)
        told = self.run_json("summary", "-c", config, "--day", day)
        self.assertEqual((told["day"], told["accounts"], told["waiting_messages"]), (day, {"anna": 1}, 1))
        self.patch(time, "time", lambda: 1_800_000_000.0 + 24 * 3600)
        self.assertEqual(self.run_json("summary", "-c", config), told)
        self.assertEqual(self.run_json("summary", "-c", config, "--day", "yesterday"), told)
        self.patch(time, "time", lambda: 1_800_000_000.0)
        self.assertEqual(self.run_json("summary", "-c", config, "--day", "today"), told)
        self.assertIn("is not a date", self.run_hermes("summary", "-c", config, "--day", "soon", exit_code=2).stderr)
