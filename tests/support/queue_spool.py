"""A queue store in memory, faithful to :class:`hermes.interfaces.ISpool`, with faults and pauses when a test asks for them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Container, Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from hermes.core.envelope import Envelope, Origin
from hermes.core.event import Event, Kind
from hermes.core.identifiers import QueueIds
from hermes.core.message import (
    Content,
    Held,
    NewMessage,
    Postponed,
    QueuedMessage,
    QueuedRecipient,
    Replaced,
    Settlement,
    State,
)
from hermes.core.order import Action, Chosen, Order
from hermes.core.selection import Selection
from hermes.interfaces import ISpool, ISpoolWriter

#: Messages looked at by one step of an order.
STEP = 2

PREFIX = b"Return-Path: <>\n"


def _on_disk(message: QueuedMessage, recipients: list[QueuedRecipient]) -> QueuedMessage:
    """A message as the store gives it: without its octets, and with nothing that the asker could change in the store."""
    content = attrs.evolve(message.content, data=None)
    return copy.deepcopy(attrs.evolve(message, recipients=recipients, content=content))


@implementer(ISpool)
class QueueSpool:
    """
    Keeps messages in a dict.

    ``faults`` are raised by the next calls of the methods they are listed under; when ``gates`` has a Deferred for a method,
    its calls read or write at once, and answer when the Deferred fires.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ids = QueueIds(now)
        self.messages: dict[str, QueuedMessage] = {}
        self.octets: dict[str, bytes] = {}
        self.events: list[Event] = []
        self.reports: list[QueuedMessage] = []
        self.calls: list[str] = []
        self.faults: dict[str, list[Exception]] = {}
        self.gates: dict[str, Deferred[None]] = {}

    # What tests use

    def add(
        self, envelope: Envelope, destinations: Sequence[str], octets: bytes, message_id: str = "<m@x.test>"
    ) -> QueuedMessage:
        """A message that has just become durable, as the SMTP service hands it over: with its octets."""
        now = self._now()
        queue_id = self._ids.next()
        recipients = [
            QueuedRecipient(number, each.address, each.notify, each.original, destination, 0, now)
            for number, (each, destination) in enumerate(zip(envelope.recipients, destinations, strict=True))
        ]
        stored = PREFIX + octets
        content = Content(len(stored), len(octets), len(PREFIX), data=stored)
        message = QueuedMessage(queue_id, now, envelope, Origin("local"), message_id, content, recipients)
        self.messages[queue_id] = copy.deepcopy(message)
        self.octets[queue_id] = stored
        return message

    def kinds(self, queue_id: str) -> list[Kind]:
        """The kinds of a message's events, in their order."""
        return [event.kind for event in self.events if event.queue_id == queue_id]

    def recipient(self, queue_id: str, ordinal: int = 0) -> QueuedRecipient:
        """An unfinished recipient."""
        return next(each for each in self.messages[queue_id].recipients if each.ordinal == ordinal)

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.faults.get(name):
            raise self.faults[name].pop(0)

    async def _pass(self, name: str) -> None:
        if name in self.gates:
            await self.gates[name]

    # ISpool

    def create(self) -> ISpoolWriter:
        """Messages come in by :meth:`add`."""
        raise AssertionError("nobody in the queue writes messages")

    async def content(self, queue_id: str) -> Content:
        """Where the octets are."""
        await self._call("content")
        await self._pass("content")
        stored = self.octets[queue_id]
        return Content(len(stored), len(stored) - len(PREFIX), len(PREFIX), data=stored)

    def _first(self, message: QueuedMessage, now: float, busy: Container[str]) -> list[QueuedRecipient]:
        return [
            each
            for each in message.recipients
            if each.state is State.QUEUED and each.next_attempt_at <= now and each.destination not in busy
        ]

    async def due(self, now: float, limit: int, busy: Container[str], active: Collection[str]) -> list[QueuedMessage]:
        """Messages that are due, longest due first."""
        await self._call("due")
        found = [
            _on_disk(message, recipients)
            for message in self.messages.values()
            if message.queue_id not in active and (recipients := self._first(message, now, busy))
        ]
        found.sort(key=lambda each: (min(one.next_attempt_at for one in each.recipients), each.queue_id))
        await self._pass("due")
        return found[:limit]

    async def next_due(self, busy: Container[str], active: Collection[str]) -> float | None:
        """When the next recipient is due."""
        await self._call("next_due")
        return min(
            (
                each.next_attempt_at
                for message in self.messages.values()
                if message.queue_id not in active
                for each in self._first(message, float("inf"), busy)
            ),
            default=None,
        )

    async def settle(
        self,
        queue_id: str,
        settlements: Sequence[Settlement],
        events: Sequence[Event],
        reports: Sequence[NewMessage] = (),
    ) -> list[QueuedMessage]:
        """The end of an attempt."""
        await self._call("settle")
        self.events += events
        message = self.messages.get(queue_id)
        for settlement in settlements if message is not None else ():
            assert message is not None
            recipient = next((each for each in message.recipients if each.ordinal == settlement.ordinal), None)
            if recipient is None:
                continue
            if isinstance(settlement, Postponed):
                recipient.attempts = settlement.attempts
                recipient.next_attempt_at = settlement.next_attempt_at
                recipient.last_reason = settlement.reason
                recipient.delays_reported = settlement.delays_reported
            elif isinstance(settlement, Held):
                recipient.state, recipient.last_reason = settlement.state, settlement.reason
            else:
                message.recipients.remove(recipient)
        if message is not None and not message.recipients:
            del self.messages[queue_id], self.octets[queue_id]
        queued = [
            self.add(
                report.envelope,
                [report.destinations[each.address] for each in report.envelope.recipients],
                report.octets,
                report.message_id,
            )
            for report in reports
        ]
        self.reports += queued
        await self._pass("settle")
        return queued

    async def replace(
        self, queue_id: str, replaced: Sequence[Replaced], events: Sequence[Event], messages: Sequence[NewMessage]
    ) -> list[QueuedMessage] | None:
        """Other recipients in the place of some, and new messages."""
        octets = [await self._octets(each) for each in messages]
        await self._call("replace")
        await self._pass("replace")
        message = self.messages.get(queue_id)
        by_ordinal = {each.ordinal: each for each in message.recipients} if message is not None else {}
        if message is None or any(
            each.ordinal not in by_ordinal or by_ordinal[each.ordinal].state is not State.QUEUED for each in replaced
        ):
            return None
        gone = {each.ordinal for each in replaced}
        message.recipients = [each for each in message.recipients if each.ordinal not in gone]
        message.recipients += [copy.deepcopy(new) for each in replaced for new in each.recipients]
        assert len({each.ordinal for each in message.recipients}) == len(message.recipients)
        if not message.recipients:
            del self.messages[queue_id], self.octets[queue_id]
        self.events += events
        queued = []
        for each, stored in zip(messages, octets, strict=True):
            ways = [each.destinations[one.address] for one in each.envelope.recipients]
            queued.append(self.add(each.envelope, ways, stored, each.message_id))
            if each.told_by is not None:
                facts = {**each.told_by.facts, "message": queued[-1].queue_id}
                self.events.append(attrs.evolve(each.told_by, facts=facts))
        self.reports += queued
        return queued

    @staticmethod
    async def _octets(message: NewMessage) -> bytes:
        octets = message.octets
        if message.rest is not None:
            async for piece in message.rest.pieces():
                octets += piece
        return octets

    async def select(self, queue_id: str | None, limit: int | None = None) -> list[QueuedMessage]:
        """One message, all, or so many."""
        await self._call("select")
        found = [_on_disk(each, each.recipients) for name, each in self.messages.items() if queue_id in {None, name}]
        await self._pass("select")
        return found[:limit]

    async def hold(self, queue_id: str, event: Event) -> bool:
        """Stop all recipients."""
        return await self._change(queue_id, event, lambda each: setattr(each, "state", State.HELD))

    async def release(self, queue_id: str, event: Event) -> bool:
        """Let held recipients go on."""

        def let_go(each: QueuedRecipient) -> None:
            if each.state is State.HELD:
                each.state = State.QUEUED
                each.next_attempt_at = event.at
                each.released = True

        return await self._change(queue_id, event, let_go)

    async def retry(self, queue_id: str | None, event: Event, now: float) -> int:
        """Make waiting recipients due now."""
        touched = 0
        for name, message in self.messages.items():
            waiting = [each for each in message.recipients if each.state is State.QUEUED]
            if queue_id in {None, name} and waiting:
                touched += 1
                for each in waiting:
                    each.next_attempt_at = now
                self.events.append(attrs.evolve(event, queue_id=name))
        return touched

    async def remove(self, queue_id: str, event: Event) -> bool:
        """Take a message out."""
        found = await self._change(queue_id, event, lambda _: None)
        if found:
            del self.messages[queue_id], self.octets[queue_id]
        return found

    async def _change(self, queue_id: str, event: Event, change: Callable[[QueuedRecipient], None]) -> bool:
        if queue_id not in self.messages:
            return False
        for each in self.messages[queue_id].recipients:
            change(each)
        self.events.append(event)
        return True

    async def choose(self, selection: Selection, after: str = "") -> Chosen:
        """Those that are meant among the next :data:`STEP` messages."""
        await self._call("choose")
        names = sorted(name for name in self.messages if name > after)
        found: dict[str, list[int]] = {}
        for name in names[:STEP]:
            message = self.messages[name]
            ordinals = [each.ordinal for each in message.recipients if selection.takes(message, each)]
            if ordinals:
                found[name] = ordinals
        return Chosen(found, names[STEP - 1] if len(names) >= STEP else None)

    async def change(self, order: Order, event: Event, after: str = "") -> Chosen:
        """Change them."""
        found = await self.choose(order.selection, after)
        about = {
            Action.HOLD: {State.QUEUED, State.PAUSED},
            Action.RELEASE: {State.HELD},
            Action.RETRY: {State.QUEUED},
            Action.PAUSE: {State.QUEUED},
            Action.RESUME: {State.PAUSED},
            Action.DRAIN: {State.QUEUED, State.PAUSED},
        }.get(order.action, set(State))
        chosen: dict[str, list[int]] = {}
        gone = []
        for name, ordinals in found.recipients.items():
            message = self.messages[name]
            meant = [e for e in message.recipients if e.ordinal in ordinals and e.state in about]
            for each in meant:
                self._obey(order, event.at, message, each)
            if meant:
                chosen[name] = [each.ordinal for each in meant]
                facts = {**event.facts, "recipients": len(meant)}
                self.events.append(attrs.evolve(event, queue_id=name, facts=facts))
            if not message.recipients:
                del self.messages[name], self.octets[name]
                gone.append(name)
        return Chosen(chosen, found.after, tuple(gone))

    @staticmethod
    def _obey(order: Order, now: float, message: QueuedMessage, each: QueuedRecipient) -> None:
        match order.action:
            case Action.HOLD:
                each.state = State.HELD
            case Action.RELEASE:
                each.state, each.next_attempt_at, each.released = State.QUEUED, now, True
            case Action.PAUSE:
                each.state = State.PAUSED
            case Action.RESUME:
                each.state, each.next_attempt_at = State.QUEUED, now
            case Action.DRAIN:
                each.state, each.next_attempt_at, each.drained = State.QUEUED, now, True
            case Action.RETRY:
                each.next_attempt_at = now
            case Action.REMOVE:
                message.recipients.remove(each)
            case Action.REROUTE:
                domain = each.address.rpartition("@")[2]
                each.destination = f"direct:{domain}" if order.destination == "direct" else order.destination
                each.next_attempt_at, each.pinned = now, order.pinned
                each.state = State.QUEUED if each.state is State.PAUSED else each.state
            case Action.EXPIRE:
                each.expires_at = order.expires_at
                each.next_attempt_at = min(each.next_attempt_at, order.expires_at or each.next_attempt_at)

    async def record(self, events: Sequence[Event]) -> None:
        """Facts that stand alone."""
        await self._call("record")
        self.events += events
        await self._pass("record")

    async def track(self, query: str, limit: int) -> list[Event]:
        """What is known about a queue id."""
        return [event for event in self.events if event.queue_id == query][-limit:]

    async def flush(self) -> None:
        """Everything is durable at once."""
