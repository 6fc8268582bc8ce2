"""What a server does with its queue when it starts, alone: opens the spool, and looks at what is due."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from hermes.config.sections.queue import QueueSettings
from hermes.queue.relay import RelayManager
from hermes.queue.router import Router
from hermes.spool.store import Spool
from tests.support.queue_site import MemoryReader, SmallDirectory
from tests.support.worker import ImmediateWorker


def opened(directory: str, now: float) -> tuple[int, str | None]:
    """Start; how many messages are being worked on, and when the next look is due."""
    spool = Spool(directory, ImmediateWorker(), ImmediateWorker(), now=lambda: now, observer=lambda _: None)
    faults: list[object] = []
    _ = Deferred.fromCoroutine(spool.open()).addErrback(faults.append)
    assert not faults, faults
    relay = RelayManager(
        spool,
        Router(SmallDirectory(), direct_enabled=True),
        {},
        QueueSettings(),
        Clock(),
        now=lambda: now,
        random=Random(1),
        reader=MemoryReader(),
        hostname="mail.example.org",
        postmaster="",
        limits={},
    )
    relay.start()
    described = relay.describe()
    active, next_look_at = described["active"], described["next_look_at"]
    assert isinstance(active, int)
    assert next_look_at is not None, "the queue was not looked at"
    return active, str(next_look_at)
