"""
A day in the life of a spool, ended by SIGKILL before, or in the middle of, one chosen step on the disk.

What was tried and what was acknowledged stands in a log beside the spool's directory, one JSON object a line, written before
and after each operation. :mod:`tests.crash.day_case` reads it; :mod:`tests.crash.mortal` says how a day is run.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from typing_extensions import override

from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Event, Kind
from hermes.core.message import Finished, NewMessage
from hermes.spool.bodies import Disk
from hermes.spool.store import Spool
from tests.crash.mortal import Death, main
from tests.support.real_spool import START
from tests.support.worker import ImmediateWorker

#: More than goes into a row, so that it takes several writes.
LARGE = b"large\n" * 50_000
SMALL = b"small\n"

#: Where octets are inserted after the others, and how many.
HEAD = 2
INSERTED = 3

#: A body file that a run before has left behind.
ORPHAN = "000000000000"


class Log:
    """What is written down about a day, beside the directory of its spool."""

    def __init__(self, directory: str) -> None:
        self._descriptor = os.open(f"{directory}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, about: str, **more: Any) -> None:
        """Write a line that the next SIGKILL cannot take back; mostly it is about a message, by its queue id."""
        os.write(self._descriptor, json.dumps({"what": what, "id": about, **more}).encode("ascii") + b"\n")


class MortalDisk(Disk):
    """Dies before a step; a write dies half done."""

    def __init__(self, death: Death) -> None:
        self._death = death

    @override
    def make_directory(self, path: str) -> None:
        self._death.before("make directory")
        super().make_directory(path)

    @override
    def open(self, path: str) -> int:
        self._death.before("open")
        return super().open(path)

    @override
    def write(self, descriptor: int, octets: bytes) -> None:
        self._death.before("write")
        super().write(descriptor, octets[: len(octets) // 2])
        self._death.before("write the rest")
        super().write(descriptor, octets[len(octets) // 2 :])

    @override
    def move(self, descriptor: int, begin: int, end: int, distance: int) -> None:
        self._death.before("move")
        middle = (begin + end) // 2
        super().move(descriptor, middle, end, distance)
        self._death.before("move the rest")
        super().move(descriptor, begin, middle, distance)

    @override
    def write_at(self, descriptor: int, offset: int, octets: bytes) -> None:
        self._death.before("write at")
        half = len(octets) // 2
        super().write_at(descriptor, offset, octets[:half])
        self._death.before("write the rest at")
        super().write_at(descriptor, offset + half, octets[half:])

    @override
    def sync(self, descriptor: int) -> None:
        self._death.before("sync")
        super().sync(descriptor)

    @override
    def sync_directory(self, path: str) -> None:
        self._death.before("sync directory")
        super().sync_directory(path)

    @override
    def unlink(self, path: str) -> None:
        self._death.before("unlink")
        super().unlink(path)

    @override
    def commit(self, connection: sqlite3.Connection) -> None:
        """Make a transaction durable, and die before anybody hears of it."""
        self._death.before("commit")
        super().commit(connection)
        self._death.before("tell of the commit")


class Day:
    """What happens, and what is written down about it."""

    def __init__(self, death: Death, directory: str) -> None:
        self.death = death
        self.directory = directory
        self.note = Log(directory).note
        self.spool = Spool(
            directory,
            ImmediateWorker(),
            ImmediateWorker(),
            now=lambda: START,
            observer=self._observe,
            disk=MortalDisk(death),
        )

    def _observe(self, event: Event) -> None:
        self.note("observed", event.queue_id, kind=event.kind.value)

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
        """From the morning, when the spool is opened, to the evening, when it is closed."""
        raise NotImplementedError


def run(day: type[Day]) -> None:
    """Live a day once for every step there is."""

    def live(death: Death, directory: str) -> None:
        left_over = os.path.join(directory, "bodies", ORPHAN[4:6])
        os.makedirs(left_over)
        with open(os.path.join(left_over, ORPHAN), "wb") as file:
            file.write(b"half a mess")
        ended: list[object] = []
        _ = Deferred.fromCoroutine(day(death, directory).live()).addBoth(ended.append)
        (end,) = ended
        if isinstance(end, Failure):
            end.raiseException()

    main(live)
