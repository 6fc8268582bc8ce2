"""
Dispatch: from a message to its deliveries, and from each delivery to what is written down about it.

A message that is taken up becomes *active*. Its recipients are grouped by destination, each group is one delivery, and each
delivery one call of an agent. When the agent has answered, its place is given to the next delivery, the outcome is settled
in the spool, and with its last delivery the message leaves the active set.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from itertools import chain
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hermes.core.message import QueuedMessage, QueuedRecipient
from hermes.core.outcome import FAULT, Outcome, Result
from hermes.interfaces import IDeliveryAgent, IRouter, ISpool, UnavailableError
from hermes.queue.active import ActiveMessage, ActiveSet, Delivery
from hermes.queue.destinations import Concurrency, Destinations
from hermes.queue.discard import DISCARD, Discard
from hermes.queue.due import DueWatch
from hermes.queue.errands import Errands
from hermes.queue.expansion import Expander
from hermes.queue.pauses import PAUSE, Pauses, Pausing
from hermes.queue.routed import HOLD, Hold
from hermes.queue.router import EXPAND, KEPT, LOCAL, NO_SUCH_ADDRESS, NO_WAY, UNROUTED, NoWay
from hermes.queue.settle import Settler

#: A server that is well has taken a message of usual size by now, or at least said something. One that has not is likely to hang
#: for minutes, and its place is given to another delivery.
WAITING_SECONDS = 2.0

#: The configuration changed while the delivery waited for its turn; the next attempt is routed anew.
_WAY_IS_GONE = Outcome.deferred("the way for this mail has been taken out of the configuration", "4.3.5")


def was_there(outcomes: list[Outcome] | None) -> bool | None:
    """
    Whether the other side was there for a delivery; None where nothing of that is known.

    A refusal is an answer like any other; no connection, one that breaks, and "too busy" (421) are none.
    """
    replies = [outcome.reply for outcome in outcomes or () if outcome.reply is not None]
    if replies:
        return any(reply.code != 421 for reply in replies)
    if any(outcome.address is not None and outcome.result is Result.DEFERRED for outcome in outcomes or ()):
        return False
    return None


class Dispatcher:
    """
    Works on at most ``most`` messages at once.

    ``claimed`` holds queue ids that must not be taken up now; :attr:`abandoned` is called when a message that was to be
    returned leaves the active set with recipients that may not be finished.
    """

    _log = Logger()

    def __init__(
        self,
        spool: ISpool,
        router: IRouter,
        agents: Mapping[str, IDeliveryAgent],
        settler: Settler,
        limits: Mapping[str, Concurrency],
        most: int,
        clock: IReactorTime,
        now: Callable[[], float],
        expander: Expander | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self._spool = spool
        self._pauses = pauses or Pauses()
        self._router = router
        self._expander = expander
        self._agents = agents
        self._own_agents: dict[str, IDeliveryAgent] = {
            NO_WAY: NoWay(),
            DISCARD: Discard(),
            HOLD: Hold(),
            PAUSE: Pausing(),
            UNROUTED.partition(":")[0]: NoWay(),
        }
        self._settler = settler
        self._most = most
        self._clock = clock
        self._now = now
        self.active = ActiveSet(most)
        self.claimed: set[str] = set()
        self.destinations = Destinations(limits, most)
        self.running: set[Delivery] = set()
        self.watch = DueWatch(
            spool,
            clock,
            now,
            room=lambda: self.active.free,
            busy=self.destinations.busy,
            active=self._untouchable,
            take=lambda message: self.take(message, fresh=False),
            looked=self.destinations.looked,
        )
        self.abandoned: Callable[[str, Collection[int] | None], Coroutine[Any, Any, object]] | None = None
        self.errands = Errands(self._check_idle, lambda: not self._started)
        self._started = False
        self._starting = False
        self._idle: Deferred[None] | None = None

    def use(
        self,
        router: IRouter,
        agents: Mapping[str, IDeliveryAgent],
        limits: Mapping[str, Concurrency],
        expander: Expander | None = None,
    ) -> None:
        """Take other ways from now on; deliveries that are under way end as they began."""
        self._router = router
        self._expander = expander
        self._agents = agents
        self.destinations.limit(limits)
        self._start_waiting()

    # Start and stop

    def start(self) -> None:
        """Begin with a look at the disk."""
        self._started = True
        self.watch.start()

    async def stop(self, grace_seconds: float, cancel_seconds: float) -> None:
        """Begin nothing more, wait for what is under way, cancel what takes too long and give it time to clean up."""
        self._started = False
        self.watch.stop()
        self.destinations.forget_waiting()
        await self._until_idle(grace_seconds)
        for task in [delivery.task for delivery in self.running]:
            if task is not None:
                task.cancel()
        self.errands.cancel()
        await self._until_idle(cancel_seconds)

    async def _until_idle(self, seconds: float) -> None:
        if not self.running and not self.errands.any:
            return
        self._idle = Deferred()
        try:
            await self._idle.addTimeout(seconds, self._clock)
        except DeferredTimeoutError:
            pass
        finally:
            self._idle = None

    def _check_idle(self) -> None:
        if self._idle is not None and not self.running and not self.errands.any:
            self._idle.callback(None)

    # Into the active set and out of it

    def _untouchable(self) -> tuple[str, ...]:
        return tuple(chain(self.active, self.claimed))

    def take(self, message: QueuedMessage, *, fresh: bool) -> None:
        """Make a message active if there is room; else it stays on disk, and the watch knows that there is more."""
        if message.queue_id in self.active or message.queue_id in self.claimed or not self._started:
            return
        # While mail waits on disk, fresh mail leaves a quarter of the places to it.
        if self.active.free <= (self._quarter if fresh and self.watch.more else 0):
            self.watch.more = True
            return
        active = self.active.add(message)
        self.watch.became_active(message.queue_id)
        if all(self._is_routed(recipient) for recipient in message.recipients):
            self._begin(active, {}, fresh=fresh)
        else:
            self.errands.begin(self._route(active), message.queue_id)

    @property
    def _quarter(self) -> int:
        """Of the places that are not taken by mail to other people's servers, however long that stays."""
        return (self._most - len(self.destinations.shares)) // 4

    def _is_routed(self, recipient: QueuedRecipient) -> bool:
        """The way that was found at acceptance is good for the first attempt, if it still exists."""
        return not recipient.attempts and recipient.destination.partition(":")[0] in self._agents

    async def _route(self, active: ActiveMessage) -> None:
        """Find the ways anew: the configuration or the directory may have changed since."""
        stored = {}
        sender, account = active.message.envelope.reverse_path, active.message.origin.account or ""
        for recipient in active.message.recipients:
            stored[recipient.ordinal] = recipient.destination
            agent = recipient.destination.partition(":")[0]
            if self._is_routed(recipient) or recipient.pinned or (agent in KEPT and agent in self._agents):
                continue
            try:
                way = await self._router.route(recipient.address, sender, account, released=recipient.released)
                # The account that it was accepted for may have another name since: the agent of mailboxes knows.
                if way != NO_SUCH_ADDRESS or agent != LOCAL:
                    recipient.destination = way
            except Exception as error:
                self._not_now(active.message, error, "routed")
                recipient.destination = UNROUTED
        if any(recipient.destination.startswith(f"{EXPAND}:") for recipient in active.message.recipients):
            await self._expand(active)
        # An order of the administrator may have ended the work on the message meanwhile.
        if self.active.get(active.message.queue_id) is active:
            self._begin(active, stored, fresh=False)

    async def _expand(self, active: ActiveMessage) -> None:
        """Put others in the place of the addresses that stand for them, before anything is delivered."""
        message = active.message
        queued: list[QueuedMessage] | None = []
        try:
            if self._expander is not None and await self._has_octets(message):
                queued = await self._expander.expand(message, self._settler.expanded)
        except Exception as error:
            self._not_now(message, error, "expanded")
            for recipient in message.recipients:
                if recipient.destination.startswith(f"{EXPAND}:"):
                    recipient.destination = UNROUTED
        if queued is None:
            # It was stopped or taken away; what is left of it is on disk.
            message.recipients = []
            return
        self.active.recount(active)
        for each in queued:
            self.take(each, fresh=True)

    def _begin(self, active: ActiveMessage, stored: Mapping[int, str], *, fresh: bool) -> None:
        """Make the deliveries; ``stored`` holds the destinations under which the spool knows recipients routed anew."""
        groups: dict[tuple[str, bool], list[QueuedRecipient]] = {}
        for recipient in active.message.recipients:
            paused = self._pauses.matching(recipient) if self._pauses.any else ""
            # Who goes although servers are paused is not delivered with who has to wait for them.
            key = (f"{PAUSE}:{paused}" if paused else recipient.destination, self._pauses.any and recipient.drained)
            groups.setdefault(key, []).append(recipient)
        free = self.active.free
        ready = []
        refused = 0
        for (destination, _), recipients in groups.items():
            if not self.destinations.admits(active, destination, free, fresh=fresh):
                refused += 1
                for recipient in recipients:
                    self.destinations.also_known_as(destination, stored.get(recipient.ordinal, destination))
                continue
            agent, _, next_hop = destination.partition(":")
            delivery = Delivery(active, destination, agent, next_hop, recipients)
            active.deliveries.append(delivery)
            if self.destinations.add(delivery):
                ready.append(delivery)
        if not active.deliveries:
            # All of it waits for destinations that have closed, and these say when they open again.
            self._leave(active)
        elif refused:
            # They may open while the look at the disk does not see this message.
            active.incomplete = True
        # Only now: a delivery may end at once, and the message must not leave while it has others.
        for delivery in ready:
            self._start(delivery)

    def _leave(self, active: ActiveMessage) -> None:
        self.active.remove(active)
        reopened = self.destinations.shares.left(active)
        if not self._started:
            return
        queue_id = active.message.queue_id
        if active.returning and queue_id not in self.claimed and self.abandoned is not None:
            self.errands.begin(self.abandoned(queue_id, active.returned_only), queue_id)
        # While it was active, the look at the disk saw none of its recipients.
        if active.incomplete:
            self.watch.at(self._now())
        elif active.next_attempt_at is not None:
            self.watch.at(active.next_attempt_at)
        if reopened or (self.watch.more and self.active.free >= max(self._quarter, 1)):
            self.watch.look()

    def withdraw(self, queue_id: str) -> None:
        """Take back the deliveries of a message that have not begun."""
        active = self.active.get(queue_id)
        if active is None:
            return
        for delivery in list(active.deliveries):
            if self.destinations.withdraw(delivery):
                active.deliveries.remove(delivery)
                active.incomplete = True
        if not active.deliveries:
            self._leave(active)
        self.watch.look()

    # One delivery

    def _start(self, delivery: Delivery) -> None:
        self.running.add(delivery)
        if self.destinations.may_keep_waiting(delivery):
            delivery.timer = self._clock.callLater(WAITING_SECONDS, self._keeps_waiting, delivery)
        delivery.task = Deferred.fromCoroutine(self._deliver(delivery))

    def _keeps_waiting(self, delivery: Delivery) -> None:
        """Whoever hangs shall not keep the others from their turn."""
        if self.destinations.keeps_waiting(delivery):
            self._start_waiting()

    def _start_waiting(self) -> None:
        """Give free places to those who wait. Deliveries that end at once come back here: one loop serves them all."""
        if self._starting or not self._started:
            return
        self._starting = True
        try:
            while (delivery := self.destinations.take()) is not None:
                self._start(delivery)
        finally:
            self._starting = False

    async def _deliver(self, delivery: Delivery) -> None:
        active = delivery.active
        try:
            outcomes = None
            try:
                outcomes = await self._attempt(delivery)
            finally:
                if delivery.timer is not None and delivery.timer.active():
                    delivery.timer.cancel()
                if self.destinations.ended(delivery, was_there(outcomes)):
                    self.watch.look()
                self._start_waiting()
            if outcomes is not None:
                at = await self.settle(active.message, delivery.recipients, outcomes, lambda: active.silent)
                if at is not None:
                    active.next_attempt_at = min(at, active.next_attempt_at or at)
        except Exception as error:
            if self._started or not isinstance(error, CancelledError):
                # Nobody knows what was written down. Taking it up again at once could deliver it again and again.
                self._log.failure("{queue_id} is set aside until the next start", queue_id=active.message.queue_id)
                return
            self._log.info("Delivery of {queue_id} was cut off by the stop", queue_id=active.message.queue_id)
        finally:
            self.running.discard(delivery)
            self._check_idle()
        active.deliveries.remove(delivery)
        if not active.deliveries:
            self._leave(active)

    async def _attempt(self, delivery: Delivery) -> list[Outcome] | None:
        """Call the agent; None when the message is gone, or goes another way. A fault is a temporary failure for all."""
        message = delivery.active.message
        try:
            if not await self._has_octets(message):
                return None
            if delivery.agent == PAUSE and delivery.next_hop not in self._pauses:
                # It was resumed while this waited, and the spool knew of no pause that it could end: it is taken up anew.
                delivery.active.incomplete = True
                return None
            agent = self._agents.get(delivery.agent) or self._own_agents.get(delivery.agent)
            if agent is None:
                return [_WAY_IS_GONE] * len(delivery.recipients)
            outcomes = await agent.deliver(delivery.next_hop, message, delivery.recipients)
            if len(outcomes) != len(delivery.recipients):
                raise RuntimeError(f"{len(outcomes)} outcomes for {len(delivery.recipients)} recipients")
        except CancelledError:
            if not self._started:
                raise
            self._log.failure("The attempt for {queue_id} cancelled itself", queue_id=message.queue_id)
        except UnavailableError as error:
            self._put_off(message, error)
            # RFC 3463 3.4: 4.3.0, other or undefined mail system status.
            return [Outcome.deferred(str(error), "4.3.0")] * len(delivery.recipients)
        except Exception:
            self._log.failure("The attempt for {queue_id} had a fault", queue_id=message.queue_id)
        else:
            return outcomes
        return [FAULT] * len(delivery.recipients)

    def _not_now(self, message: QueuedMessage, error: Exception, what: str) -> None:
        """A way could not be found; what was cancelled though nothing stops is a fault like any other, and no end."""
        if isinstance(error, CancelledError) and not self._started:
            raise error
        if isinstance(error, UnavailableError):
            self._put_off(message, error)
        else:
            self._log.failure("{queue_id} could not be {what}", queue_id=message.queue_id, what=what)

    def _put_off(self, message: QueuedMessage, error: UnavailableError) -> None:
        """What cannot be found out now is no fault of the message: it waits."""
        self._log.warn("{queue_id} has to wait: {error}", queue_id=message.queue_id, error=error)

    async def _has_octets(self, message: QueuedMessage) -> bool:
        """Ask for the octets of a message where they are not known; False when it is gone."""
        if message.content.data is None and message.content.path is None:
            try:
                message.content = await self._spool.content(message.queue_id)
            except KeyError:
                return False
        return True

    async def settle(
        self,
        message: QueuedMessage,
        recipients: list[QueuedRecipient],
        outcomes: list[Outcome],
        silent: Callable[[], bool],
    ) -> float | None:
        """Write down what became of recipients, and send the reports on their way; say when the next attempt is due."""
        reports, next_attempt_at = await self._settler.settle(message, recipients, outcomes, silent)
        for report in reports:
            self.take(report, fresh=True)
        return next_attempt_at
