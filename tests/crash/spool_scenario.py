"""
A day on which messages are accepted, put off, delivered, reported and removed, each small and large.

``python -m tests.crash.spool_scenario BASE`` lives it once for every step there is: see :mod:`tests.crash.day`.
"""

from __future__ import annotations

from typing_extensions import override

from hermes.core.envelope import Envelope, Recipient
from hermes.core.event import Event, Kind
from hermes.core.message import NewMessage, Postponed
from tests.crash.day import LARGE, SMALL, Day, run
from tests.support.real_spool import START

REPORT = b"report\n" * 30_000


class SpoolDay(Day):
    """Whatever a spool is asked for when nothing is expanded and nobody gives orders."""

    @override
    async def live(self) -> None:
        await self.spool.open()
        small = await self.accept(SMALL, "a@example.com", "b@example.com")
        large = await self.accept(LARGE, "a@example.com", "b@example.com")
        await self.accept(LARGE, "c@example.com")
        await self.accept(SMALL, "c@example.com")
        given_up = self.spool.create()
        given_up.write(LARGE)
        given_up.abort()
        await self.settle(small, 0)
        await self.spool.settle(large, [Postponed(0, 1, START + 60, "later"), Postponed(1, 1, START + 60, "later")], [])
        await self.settle(large, 1, 0)
        to_sender = Envelope("", (Recipient("sender@example.org"),))
        report = NewMessage(to_sender, REPORT, {"sender@example.org": "local:sender"}, "")
        await self.settle(small, 1, reports=(report,))
        last = await self.accept(LARGE, "d@example.com")
        self.note("settling", last, ordinals=[0], reports=0)
        await self.spool.remove(last, Event(START, Kind.REMOVED, last))
        self.note("settled", last)
        await self.spool.close()


if __name__ == "__main__":
    run(SpoolDay)
