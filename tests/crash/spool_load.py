"""
Commits and deliveries at full speed, with the real threads, until somebody kills the process.

``python -m tests.crash.spool_load DIRECTORY`` writes to standard output what was acknowledged: ``+ID`` for a message that is
durable, ``?ID`` for one about to be finished, ``-ID`` for one that is.
"""

from __future__ import annotations

import os
import sys
import time
from typing import cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Event, Kind
from hermes.core.identifiers import decode
from hermes.core.message import Finished
from hermes.net.worker import GroupWorker
from hermes.spool.store import Spool

#: Sessions at once, so that groups form.
SESSIONS = 20

ENVELOPE = Envelope("sender@example.org", (Recipient("a@example.com"),))


def octets_with(queue_id: str) -> bytes:
    """What a message holds; every seventh is large."""
    line = f"{queue_id}\n".encode("ascii")
    return line * (20_000 if decode(queue_id) % 7 == 0 else 200)


def ignore(event: Event) -> None:
    """Observe nothing."""


def say(word: str, queue_id: str) -> None:
    """Tell whoever will kill us."""
    os.write(1, f"{word}{queue_id}\n".encode("ascii"))


async def session(spool: Spool) -> None:
    """Accept for ever, and deliver every other message."""
    deliver = False
    while True:
        writer = spool.create()
        octets = octets_with(writer.queue_id)
        writer.write(octets)
        await writer.drained()
        ways = {"a@example.com": "local:a"}
        message = await writer.commit(ENVELOPE, Origin("ESMTP"), ways, "", len(octets), 0, {})
        say("+", message.queue_id)
        deliver = not deliver
        if deliver:
            say("?", message.queue_id)
            await spool.settle(message.queue_id, [Finished(0)], [Event(time.time(), Kind.DELIVERED, message.queue_id)])
            say("-", message.queue_id)


async def run(directory: str) -> None:
    """Open the spool and begin."""
    threads = cast(IReactorFromThreads, reactor)
    workers = GroupWorker(threads, "spool"), GroupWorker(threads, "bodies")
    spool = Spool(directory, *workers, now=time.time, observer=ignore)
    await spool.open()
    for _ in range(SESSIONS):
        _ = Deferred.fromCoroutine(session(spool)).addErrback(fault)


def fault(reason: object) -> None:
    """A fault ends the process, and with it the test."""
    os.write(2, f"{reason}\n".encode("utf-8", "replace"))
    os._exit(1)


if __name__ == "__main__":
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(run(sys.argv[1])).addErrback(fault))
    reactor.run()
