"""All workers: started together, replaced when they die, stopped together."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from hermes.app.crew.link import Begin, Echo, Failed, Open, Ready, Stop
from hermes.app.crew.lives import HEALTHY_SECONDS
from hermes.app.crew.member import Member, State, UnavailableError
from hermes.app.crew.nursery import Born, Died, Nursery
from hermes.app.staged import Module
from hermes.app.station import Station
from hermes.config.schema import Settings
from hermes.net.counts import SharedTables

#: The parent looks after its workers so often.
TICK_SECONDS = 5.0

#: A worker says every two seconds that its reactor turns. One that has said nothing for half a minute never will: nothing that a
#: reactor does takes that long. Ticks are counted and not seconds, so that a machine that was asleep kills nobody.
SILENT_TICKS = 6

#: How long workers may take to stop: sessions 20 s, deliveries 25 s, adopted shards and stores, each less than a minute.
STOP_SECONDS = 80.0


class CrewError(Exception):
    """The workers cannot start; the text says why, for the administrator."""


@implementer(IReadDescriptor)
class _News:
    """What the reactor is given to watch the nursery with."""

    def __init__(self, nursery: Nursery, arrived: Callable[[], None]) -> None:
        self._nursery = nursery
        self.doRead = arrived

    def fileno(self) -> int:
        return self._nursery.fileno()

    def connectionLost(self, reason: Failure) -> None:
        """Nothing: who takes it away knows it."""

    def logPrefix(self) -> str:  # noqa: N802 - Twisted calls it
        return "nursery"


class Crew(Module):
    """
    The workers.

    ``begin`` gives the settings and the listening sockets with which a worker begins at that moment. ``broken`` is called with
    the reason when there is no way to go on.
    """

    name = "workers"
    stop_seconds = STOP_SECONDS + 5
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        nursery: Nursery,
        tables: SharedTables,
        begin: Callable[[], tuple[Settings, Mapping[str, socket.socket]]],
        broken: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._nursery = nursery
        self._tables = tables
        self._begin = begin
        self._broken = broken
        self._news = _News(nursery, self._take_news)
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = reactor
        #: Without the nursery nobody tells of deaths: then the end of a link has to do.
        self._alone = False
        self._starting: Deferred[None] | None = None
        self._stopping: Deferred[None] | None = None
        self._tasks: set[Deferred[None]] = set()
        self.members = [Member(number, self._heard, self._silenced) for number in range(tables.processes)]

    @override
    async def start(self) -> None:
        self._reactor.addReader(self._news)
        self._task(self._keep_ticking())
        self._starting = Deferred()
        for member in self.members:
            self._bear(member)
        try:
            await self._starting
        except BaseException:
            await self.stop()
            raise
        finally:
            self._starting = None

    @override
    async def stop(self) -> None:
        self._stopping = Deferred()
        for member in self.members:
            if member.state in (State.STARTING, State.READY):
                member.state = State.STOPPING
                member.tell(Stop())
        too_late = self._reactor.callLater(STOP_SECONDS, self._kill_all)
        self._look_for_end()
        await self._stopping
        if too_late.active():
            too_late.cancel()
        if self._ticks.running:
            self._ticks.stop()
        self.abandon()

    @override
    def abandon(self) -> None:
        self._reactor.removeReader(self._news)
        self._nursery.close()

    def ready(self) -> list[Member]:
        """Those that can be asked something."""
        return [member for member in self.members if member.state is State.READY]

    def all_ready(self) -> list[Member]:
        """The same when none is missing; raise UnavailableError when one is."""
        if missing := self.missing():
            raise UnavailableError(f"worker {missing[0].number} is {missing[0].state.value}: try again in a moment")
        return self.ready()

    def missing(self) -> list[Member]:
        """Those that should be there, and are not ready."""
        return [member for member in self.members if member.state not in (State.READY, State.GIVEN_UP)]

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = Deferred.fromCoroutine(work)
        self._tasks.add(task)
        _ = task.addErrback(lambda failure: self._log.failure("Looking after the workers failed", failure))
        _ = task.addBoth(lambda _: self._tasks.discard(task))

    async def _keep_ticking(self) -> None:
        await self._ticks.start(TICK_SECONDS, now=False)

    # Being born

    def _bear(self, member: Member) -> None:
        if self._stopping is not None:
            return
        self._tables.clear(member.number)
        end = member.connect(self._reactor)
        try:
            self._nursery.order(member.number, end)
        except OSError as error:
            member.gone(State.DEAD)
            self._nursery_lost(f"the nursery cannot be reached: {error.strerror}")
            return
        finally:
            end.close()
        settings, sockets = self._begin()
        member.tell(Begin(settings, len(self.members), tuple(sockets)), list(sockets.values()))

    def _heard(self, member: Member, value: object) -> None:
        if isinstance(value, Ready) and member.state is State.STARTING:
            member.state, member.ready_at = State.READY, self._reactor.seconds()
            if self._starting is None:
                self._open([member])
                self._log.info("Worker {number} is there again, process {process}", **member.describe())
            elif all(each.state is State.READY for each in self.members):
                self._open(self.members)
                self._starting.callback(None)
        elif isinstance(value, Failed):
            member.refusal = value.reason
        elif isinstance(value, Echo):
            for other in self.ready():
                if other is not member:
                    other.tell(value)

    def _open(self, members: Sequence[Member]) -> None:
        for member in members:
            self._tables.accepting[member.number] = 1
            member.tell(Open())

    # Dying

    def _take_news(self) -> None:
        news = self._nursery.news()
        if news is None:
            self._reactor.removeReader(self._news)
            self._nursery_lost("the nursery has ended")
            return
        for one in news:
            member = self.members[one.number]
            if isinstance(one, Born):
                member.process = one.process
            elif member.linked:
                # What it said last, why it cannot start perhaps, may still be on its way.
                member.death = one
            else:
                self._died(member, one)

    def _died(self, member: Member, death: Died) -> None:
        how = f"killed by signal {-death.status}" if death.status < 0 else f"ended with {death.status}"
        why = f": {member.refusal}" if member.refusal else ""
        lived_seconds = self._reactor.seconds() - member.ready_at if member.state is State.READY else 0.0
        adopted, member.adopted = member.adopted, {}
        member.gone(State.DEAD)
        self._tables.clear(member.number)
        if self._stopping is not None:
            self._look_for_end()
            return
        if self._starting is not None:
            if not self._starting.called:
                reason = member.refusal or f"worker {member.number} could not start: {how}"
                self._starting.errback(CrewError(reason))
            return
        self._log.error(
            "Worker {number}, process {process}, is dead: {how}{why}",
            number=member.number,
            process=death.process,
            how=how,
            why=why,
        )
        pause_seconds = member.lives.died(lived_seconds)
        if pause_seconds is None:
            self._give_up(member)
        else:
            self._reactor.callLater(pause_seconds, self._bear, member)
        for shard, since in adopted.items():
            self._go_on_with(shard, self._reactor.seconds() - since)

    def _give_up(self, member: Member) -> None:
        member.state = State.GIVEN_UP
        self._log.error(
            "Worker {number} has died too often: there is none until the server is started again", number=member.number
        )
        if all(each.state is State.GIVEN_UP for each in self.members):
            self._lost("all workers have died too often")
            return
        if not member.number:
            self._log.error(
                "Until then no mail is fetched or removed for its age, the drop directory is not looked at, the commands of the "
                "schedule are not run, tokens are not refreshed, and no summary is sent: worker 0 does that for all"
            )
        settings, _ = self._begin()
        # Its own, and those that it has taken care of since it began.
        for shard in (member.number, *Station(member.number, len(self.members)).orphans(settings)):
            self._task(self._have_adopted(shard))

    def _go_on_with(self, shard: int, seconds: float) -> None:
        """Find another one for a shard whose adopter has died."""
        if seconds < HEALTHY_SECONDS:
            # It may be the shard that kills: it shall not kill one worker after the other.
            self._log.error("Shard {shard} of the spool waits until the server is started again", shard=shard)
        else:
            self._task(self._have_adopted(shard))

    async def _have_adopted(self, shard: int) -> None:
        able = self.ready()
        if not able:
            self._log.error("Shard {shard} of the spool waits: there is nobody to take care of it", shard=shard)
            return
        member = min(able, key=lambda member: len(member.adopted))
        try:
            await member.adopt(shard, self._reactor.seconds())
        except (ValueError, RuntimeError) as error:
            self._log.error("Shard {shard} of the spool waits: {reason}", shard=shard, reason=str(error))

    def _silenced(self, member: Member) -> None:
        death, member.death = member.death, None
        if death is not None:
            self._died(member, death)
        elif self._alone and member.state in (State.STARTING, State.READY, State.STOPPING):
            member.gone(State.DEAD)
            self._look_for_end()

    def _nursery_lost(self, reason: str) -> None:
        self._alone = True
        self._lost(reason)

    def _lost(self, reason: str) -> None:
        if self._starting is not None and not self._starting.called:
            self._starting.errback(CrewError(reason))
        elif self._stopping is None:
            self._broken(reason)

    def _tick(self) -> None:
        for member in self.members:
            if member.state in (State.STARTING, State.READY):
                member.silent += 1
                if member.silent > SILENT_TICKS:
                    self._log.error("Worker {number}, process {process}, hangs: it is killed", **member.describe())
                    member.kill()

    def _kill_all(self) -> None:
        for member in self.members:
            if member.process:
                self._log.error("Worker {number} does not stop: it is killed", number=member.number)
                member.kill()
            if self._alone and member.state is State.STOPPING:
                member.gone(State.DEAD)
        self._look_for_end()

    def _look_for_end(self) -> None:
        if (
            self._stopping is not None
            and not self._stopping.called
            and all(member.state in (State.DEAD, State.GIVEN_UP) for member in self.members)
        ):
            self._stopping.callback(None)
