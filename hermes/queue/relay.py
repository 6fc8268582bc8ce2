"""
The relay manager: takes messages that are durable and sees to their delivery.

The spool is the truth; what is here is a window on it. Fresh messages are delivered from memory when there is room, without
asking the spool for anything; all others wait on disk until they are due and there is room for them. Whatever is in memory
may be lost at any time: after a restart everything that was not settled is found due again.

Orders of the administrator go to the spool first. Deliveries that have not begun are then taken back; one that is under way
is not cut off, because nobody could say what the other server made of it: it ends, and its result is recorded as always.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from random import Random

import attrs
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hermes.config.sections.queue import QueueSettings
from hermes.core.event import Event, Kind
from hermes.core.message import QueuedMessage
from hermes.core.order import KINDS, Action, Chosen, Done, Order
from hermes.core.outcome import Outcome
from hermes.core.pause import reason_of
from hermes.core.selection import Selection
from hermes.core.units import format_instant
from hermes.interfaces import IContentReader, IDeliveryAgent, IRelayManager, IRouter, ISpool
from hermes.queue.destinations import Concurrency
from hermes.queue.dispatch import Dispatcher
from hermes.queue.expansion import Expander
from hermes.queue.judgement import Judge
from hermes.queue.pauses import Pauses
from hermes.queue.reporting import Allowance, Reporting
from hermes.queue.reports import Reporter
from hermes.queue.router import UNROUTED
from hermes.queue.settle import Settler

#: How long deliveries may go on when the server stops.
GRACE_SECONDS = 20.0

#: How long those that are cancelled then may take to clean up.
CANCEL_SECONDS = 5.0

#: No status code of RFC 3463 says "by order of the administrator".
_RETURNED = Outcome.failed("returned by the administrator of this server", "5.0.0")


@implementer(IRelayManager)
class RelayManager:
    """
    Schedules, routes and dispatches.

    ``agents`` are known by the word before the colon of a destination, and ``limits`` says how many deliveries each may run;
    ``now`` is the time of day, and ``random`` lets pauses stray; ``expander`` puts recipients into the place of addresses that
    stand for them, ``pauses`` says what is not tried, and
    ``own_domains`` whose senders are ours.
    """

    def __init__(
        self,
        spool: ISpool,
        router: IRouter,
        agents: Mapping[str, IDeliveryAgent],
        settings: QueueSettings,
        clock: IReactorTime,
        *,
        now: Callable[[], float],
        random: Random,
        reader: IContentReader,
        hostname: str,
        postmaster: str,
        limits: Mapping[str, Concurrency],
        expander: Expander | None = None,
        reporting: Reporting | None = None,
        pauses: Pauses | None = None,
        own_domains: Collection[str] = (),
    ) -> None:
        self._spool = spool
        self._pauses = pauses or Pauses()
        self._own_domains = own_domains
        self._now = now
        self._random = random
        self._reader = reader
        self._settings = settings
        self._allowance = Allowance()
        reporter = self._reporter(settings, router, hostname, postmaster, reporting)
        self._settler = Settler(spool, self._judge(settings), reporter, clock, now)
        self._dispatcher = Dispatcher(
            spool, router, agents, self._settler, limits, settings.active, clock, now, expander, self._pauses
        )
        self._dispatcher.abandoned = self.return_now

    def _judge(self, settings: QueueSettings) -> Judge:
        return Judge(settings, lambda: self._random.uniform(-1, 1), self._own_domains)

    def _reporter(
        self, settings: QueueSettings, router: IRouter, hostname: str, postmaster: str, reporting: Reporting | None
    ) -> Reporter:
        return Reporter(
            self._spool,
            self._reader,
            router,
            settings,
            self._now,
            hostname=hostname,
            postmaster=postmaster,
            reporting=reporting or Reporting(),
            # How many reports there were is not forgotten by a reload.
            allowance=self._allowance,
        )

    def reconfigure(
        self,
        settings: QueueSettings,
        router: IRouter,
        agents: Mapping[str, IDeliveryAgent],
        limits: Mapping[str, Concurrency],
        *,
        hostname: str,
        postmaster: str,
        expander: Expander | None = None,
        reporting: Reporting | None = None,
        own_domains: Collection[str] = (),
    ) -> None:
        """
        Follow other settings from now on; deliveries that are under way end as they began.

        The size of the active set (``settings.active``) stays as it was.
        """
        self._settings = attrs.evolve(settings, active=self._settings.active)
        self._own_domains = own_domains
        self._settler.use(self._judge(settings), self._reporter(settings, router, hostname, postmaster, reporting))
        self._dispatcher.use(router, agents, limits, expander)

    def start(self) -> None:
        """Begin: everything that is due is taken up."""
        self._dispatcher.start()

    async def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """
        Begin nothing more, and wait for what is under way; cancel what takes longer than ``grace_seconds``.

        What was cancelled, and what had not begun, is in the spool as it was.
        """
        await self._dispatcher.stop(grace_seconds, CANCEL_SECONDS)

    def accepted(self, message: QueuedMessage) -> None:
        """A message has just become durable: deliver it now if there is room, else when it is its turn."""
        self._dispatcher.take(message, fresh=True)

    def wake(self) -> None:
        """Something changed in the spool: look again."""
        self._dispatcher.watch.look()

    @property
    def deliveries(self) -> int:
        """Attempts that are under way."""
        return len(self._dispatcher.running)

    def describe(self) -> dict[str, object]:
        """What is going on, ready for JSON."""
        dispatcher = self._dispatcher
        next_look_at = dispatcher.watch.next_at
        return {
            "active": len(dispatcher.active),
            "active_limit": self._settings.active,
            "octets": dispatcher.active.octets,
            "recipients": dispatcher.active.recipients,
            "running": len(dispatcher.running),
            "more_on_disk": dispatcher.watch.more,
            "next_look_at": None if next_look_at is None else format_instant(next_look_at),
            "counters": dict(self._settler.counters),
            "destinations": dispatcher.destinations.describe(),
        }

    async def hold(self, queue_id: str) -> bool:
        """Stop a message; False when there is no such message. An attempt that is under way ends as it will."""
        found = await self._spool.hold(queue_id, self._order(Kind.HELD, queue_id))
        self._dispatcher.withdraw(queue_id)
        return found

    async def release(self, queue_id: str) -> bool:
        """Let a held message go on, now."""
        found = await self._spool.release(queue_id, self._order(Kind.RELEASED, queue_id))
        self.wake()
        return found

    async def retry(self, queue_id: str | None) -> int:
        """Make one message, or all, due now (held ones stay held); how many messages that were."""
        touched = await self._spool.retry(queue_id, self._order(Kind.RETRIED, queue_id or ""), self._now())
        self.wake()
        return touched

    async def remove(self, queue_id: str) -> bool:
        """Take a message out of the queue and tell nobody, not even when an attempt that is under way fails."""
        found = await self._spool.remove(queue_id, self._order(Kind.REMOVED, queue_id))
        if (active := self._dispatcher.active.get(queue_id)) is not None:
            active.silent = True
        self._dispatcher.withdraw(queue_id)
        return found

    async def carry_out(self, order: Order) -> Done:
        """Do what an administrator wants with the messages that a selection names, step by step."""
        event = self._event(order)
        if order.action is Action.REROUTE and not order.destination:
            order = attrs.evolve(order, destination=UNROUTED, pinned=False)
        if order.action is Action.PAUSE:
            # First: what comes in from now on is paused when its turn comes.
            await self._pauses.add(order.selection.what, self._now())
        elif order.action is Action.RESUME:
            await self._pauses.remove(order.selection.what)
            if not self._pauses.any:
                # What was paused under another destination than it has now, too.
                order = attrs.evolve(order, selection=Selection())
        done = await self._step_by_step(order, event)
        if order.action in {Action.RESUME, Action.DRAIN} and order.selection.what:
            # What waits for a server does not say so by its destination, but by the reason that it was given.
            waiting = Selection(state="paused", reply=reason_of(order.selection.what))
            more = await self._step_by_step(attrs.evolve(order, selection=waiting), event)
            done = Done(done.messages + more.messages, done.recipients + more.recipients)
        self.wake()
        return done

    async def _step_by_step(self, order: Order, event: Event) -> Done:
        done, after = Done(), ""
        while True:
            if order.action is Action.RETURN:
                chosen = await self._spool.choose(order.selection, after)
                for queue_id, ordinals in chosen.recipients.items():
                    await self._return(queue_id, ordinals)
            else:
                chosen = await self._spool.change(order, event, after)
                self._take_back(order, chosen)
            done = Done(
                done.messages + len(chosen.recipients),
                done.recipients + sum(map(len, chosen.recipients.values())),
            )
            if chosen.after is None:
                return done
            after = chosen.after

    def _event(self, order: Order) -> Event:
        facts: dict[str, str | int | float | bool | None] = {"by": order.by}
        if order.action is Action.REROUTE:
            facts["destination"] = order.destination or "as configured"
        if order.selection.what:
            facts["what"] = order.selection.what
        if order.action is Action.EXPIRE:
            facts["expires_at"] = "as configured" if order.expires_at is None else format_instant(order.expires_at)
        return Event(self._now(), KINDS.get(order.action, Kind.RETURNED), facts=facts)

    def _take_back(self, order: Order, chosen: Chosen) -> None:
        """What has not begun goes by the order; what is under way ends as it will."""
        if order.action in {Action.RETRY, Action.RESUME, Action.DRAIN}:
            return
        for queue_id in chosen.recipients:
            active = self._dispatcher.active.get(queue_id)
            if active is None:
                continue
            if queue_id in chosen.gone:
                active.silent = True
            self._dispatcher.withdraw(queue_id)

    async def return_now(self, queue_id: str, ordinals: Collection[int] | None = None) -> bool:
        """
        Give a message up: every recipient that is not finished (or those of them) fails, and the sender is told.

        Recipients with whom an attempt is under way are given up when it has ended without success. False when there is no
        such message.
        """
        try:
            return await self._return(queue_id, ordinals)
        finally:
            self.wake()

    async def _return(self, queue_id: str, ordinals: Collection[int] | None) -> bool:
        dispatcher = self._dispatcher
        if queue_id in dispatcher.claimed:
            return True
        dispatcher.claimed.add(queue_id)
        try:
            return await dispatcher.errands.run(self._give_up(queue_id, ordinals))
        finally:
            dispatcher.claimed.discard(queue_id)

    async def _give_up(self, queue_id: str, ordinals: Collection[int] | None) -> bool:
        dispatcher = self._dispatcher
        found = False
        while True:
            if (active := dispatcher.active.get(queue_id)) is not None:
                active.give_up(ordinals)
            dispatcher.withdraw(queue_id)
            active = dispatcher.active.get(queue_id)
            under_way = {each.ordinal for run in active.deliveries for each in run.recipients} if active else set()
            for message in await self._spool.select(queue_id):
                found = True
                wanted = [each for each in message.recipients if ordinals is None or each.ordinal in ordinals]
                rest = [each for each in wanted if each.ordinal not in under_way]
                if rest:
                    await dispatcher.settle(message, rest, [_RETURNED] * len(rest), lambda: False)
            if not under_way or queue_id in dispatcher.active:
                # What is still under way is seen to when it leaves the active set.
                return found

    def _order(self, kind: Kind, queue_id: str) -> Event:
        return Event(self._now(), kind, queue_id, facts={"by": "administrator"})
