"""
A day on which addresses are replaced by those that they stand for, ended like each of :mod:`tests.crash.day`.

``python -m tests.crash.expansion_scenario BASE`` lives it once for every step there is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from typing_extensions import override

from hermes.core.envelope import Envelope, Recipient
from hermes.core.event import Event, Kind
from hermes.core.message import NewMessage, QueuedRecipient, Replaced, Rest
from tests.crash.day import LARGE, SMALL, Day, run
from tests.support.real_spool import START

#: Of the recipients that come in the place of the list.
MEMBERS = (100, 101)


class ListDay(Day):
    """Messages to a list with two members here and one elsewhere."""

    @override
    async def live(self) -> None:
        """A small message and a large one, each also to somebody who is nobody's member."""
        await self.spool.open()
        for octets in (SMALL, LARGE):
            queue_id = await self.accept(octets, "list@example.com", "b@example.com")
            await self.expand(queue_id, octets)
            await self.settle(queue_id, 1)
            await self.settle(queue_id, *MEMBERS)
        await self.spool.close()

    async def expand(self, queue_id: str, octets: bytes) -> None:
        """Put the members into the place of the list."""

        async def pieces() -> AsyncGenerator[bytes, None]:
            for start in range(0, len(octets), 100_000):
                yield octets[start : start + 100_000]

        members = [QueuedRecipient(each, f"m{each}@example.com", None, None, "mailbox:m", 0, START) for each in MEMBERS]
        sent_on = NewMessage(
            Envelope("srs@example.com", (Recipient("far@example.net"),)),
            b"",
            {"far@example.net": "direct:example.net"},
            "",
            rest=Rest(pieces, len(octets)),
            told_by=Event(START, Kind.FORWARDED, queue_id),
        )
        self.note("expanding", queue_id)
        expanded = [Event(START, Kind.EXPANDED, queue_id)]
        await self.spool.replace(queue_id, [Replaced(0, tuple(members))], expanded, [sent_on])
        self.note("expanded", queue_id)


if __name__ == "__main__":
    run(ListDay)
