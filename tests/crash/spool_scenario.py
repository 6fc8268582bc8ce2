"""
A day in the life of a spool, ended by SIGKILL before, or in the middle of, one chosen step on the disk.

``python -m tests.crash.spool_scenario BASE`` lives that day once for every step there is, each in a process of its own and
in a directory ``BASE/NUMBER``. What was tried and what was acknowledged stands in ``BASE/NUMBER.log``, one JSON object a
line, written before and after each operation.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import sys
from typing import Any

from twisted.internet.defer import Deferred

from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Event, Kind
from hermes.core.message import Finished, NewMessage, Postponed
from hermes.spool.bodies import Disk
from hermes.spool.store import Spool
from tests.support.worker import ImmediateWorker

START = 1_800_000_000.0

#: More than goes into a row, so that it takes several writes.
LARGE = b"large\n" * 50_000
SMALL = b"small\n"
REPORT = b"report\n" * 30_000

#: Where octets are inserted after the others, and how many.
HEAD = 2
INSERTED = 3

#: A body file that a run before has left behind.
ORPHAN = "000000000000"


class MortalDisk(Disk):
    """Dies before the step with the number ``last``; a write dies half done."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._step = 0

    def _next(self) -> None:
        self._step += 1
        if self._step == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def make_directory(self, path: str) -> None:
        """Create a directory."""
        self._next()
        super().make_directory(path)

    def open(self, path: str) -> int:
        """Create a file."""
        self._next()
        return super().open(path)

    def write(self, descriptor: int, octets: bytes) -> None:
        """Append octets, in two steps."""
        self._next()
        super().write(descriptor, octets[: len(octets) // 2])
        self._next()
        super().write(descriptor, octets[len(octets) // 2 :])

    def move(self, descriptor: int, begin: int, end: int, distance: int) -> None:
        """Make room in the middle of a file, in two steps."""
        self._next()
        middle = (begin + end) // 2
        super().move(descriptor, middle, end, distance)
        self._next()
        super().move(descriptor, begin, middle, distance)

    def write_at(self, descriptor: int, offset: int, octets: bytes) -> None:
        """Write into that room, in two steps."""
        self._next()
        half = len(octets) // 2
        super().write_at(descriptor, offset, octets[:half])
        self._next()
        super().write_at(descriptor, offset + half, octets[half:])

    def sync(self, descriptor: int) -> None:
        """Bring octets to the disk."""
        self._next()
        super().sync(descriptor)

    def sync_directory(self, path: str) -> None:
        """Bring names to the disk."""
        self._next()
        super().sync_directory(path)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        self._next()
        super().unlink(path)

    def commit(self, connection: sqlite3.Connection) -> None:
        """Make a transaction durable, and die before anybody hears of it."""
        self._next()
        super().commit(connection)
        self._next()


class Day:
    """What happens, and what is written down about it."""

    def __init__(self, directory: str, log: int, disk: Disk) -> None:
        self._log = log
        self._now = START
        self.spool = Spool(
            directory, ImmediateWorker(), ImmediateWorker(), now=lambda: self._now, observer=self._observe, disk=disk
        )

    def _observe(self, event: Event) -> None:
        self.note("observed", event.queue_id, kind=event.kind.value)

    def note(self, what: str, queue_id: str, **more: Any) -> None:
        """Write a line that the next SIGKILL cannot take back."""
        os.write(self._log, json.dumps({"what": what, "id": queue_id, **more}).encode("ascii") + b"\n")

    async def accept(self, octets: bytes, *addresses: str) -> str:
        """Commit a message."""
        envelope = Envelope("sender@example.org", tuple(Recipient(address) for address in addresses))
        writer = self.spool.create()
        digest = hashlib.sha256(octets).hexdigest()
        self.note("accepting", writer.queue_id, digest=digest, to=addresses)
        # What stands in the middle comes last, as it does when a check has something to say about the whole.
        without = octets[:HEAD] + octets[HEAD + INSERTED :]
        for start in range(0, len(without), 100_000):
            writer.write(without[start : start + 100_000])
            await writer.drained()
        await writer.insert(HEAD, octets[HEAD : HEAD + INSERTED])
        ways = {address: f"direct:{address}" for address in addresses}
        await writer.commit(envelope, Origin("ESMTP"), ways, "<1@example.org>", len(octets), 0, {})
        self.note("accepted", writer.queue_id)
        return str(writer.queue_id)

    async def settle(self, queue_id: str, *ordinals: int, reports: tuple[NewMessage, ...] = ()) -> None:
        """Finish recipients of a message."""
        self.note("settling", queue_id, ordinals=ordinals, reports=len(reports))
        delivered = [Event(START, Kind.DELIVERED, queue_id) for _ in ordinals]
        await self.spool.settle(queue_id, [Finished(ordinal) for ordinal in ordinals], delivered, reports)
        self.note("settled", queue_id)

    async def live(self) -> None:
        """From the morning to the evening."""
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


def die(base: str, number: int, day: type[Day] = Day) -> int:
    """Live a day in a child that dies before its step ``number``; return how it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    directory = os.path.join(base, str(number))
    left_over = os.path.join(directory, "bodies", ORPHAN[4:6])
    os.makedirs(left_over)
    with open(os.path.join(left_over, ORPHAN), "wb") as file:
        file.write(b"half a mess")
    log = os.open(f"{directory}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ended: list[object] = []
    _ = Deferred.fromCoroutine(day(directory, log, MortalDisk(number)).live()).addBoth(ended.append)
    os._exit(0 if ended == [None] else 1)


def main(base: str, day: type[Day] = Day) -> int:
    """Die at every step; the day that is survived is the last."""
    number = 0
    ended: int = -signal.SIGKILL
    while ended == -signal.SIGKILL:
        number += 1
        ended = die(base, number, day)
    return ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
