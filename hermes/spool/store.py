"""
The durable queue store: what Hermes has acknowledged is here until it is delivered or returned.

One thread owns the database and commits in groups (:mod:`hermes.spool.committer`); large bodies are files, written by a
thread of their own (:mod:`hermes.spool.bodies`). ``docs/flow.md`` has the table of the legal states of a message.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Container, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.core.envelope import BodyType
from hermes.core.event import Event
from hermes.core.identifiers import QueueIds
from hermes.core.message import Content, NewMessage, QueuedMessage, Replaced, Settlement, Signature
from hermes.core.order import Chosen, Order
from hermes.core.received import return_path
from hermes.core.selection import Selection
from hermes.interfaces import IGroupWorker, IJournal, ISignatures, ISpool, ISpoolWriter
from hermes.spool import operations, orders
from hermes.spool.bodies import BodyFiles, Disk, Step
from hermes.spool.committer import Committer, Found, Operation
from hermes.spool.database import DirectoryLock
from hermes.spool.errors import SpoolError, opening_words
from hermes.spool.figures import DiskFigures
from hermes.spool.journal import COLLECTING_SECONDS, Journal
from hermes.spool.writer import SpoolWriter, wire_octets_of

#: How long the record of what has been done waits. Nobody's answer hangs on it, and in this time a busy server has others to go
#: with it.
PATIENCE_SECONDS = 0.005


@implementer(ISpool, ISignatures)
class Spool:
    """
    See :class:`hermes.interfaces.ISpool`.

    ``observer`` is called in the reactor thread with each event that has become durable. The spool starts and stops
    both workers. ``shard`` is the number that its queue ids end in.
    """

    _log = Logger()

    def __init__(
        self,
        directory: str,
        worker: IGroupWorker,
        body_worker: IGroupWorker,
        *,
        now: Callable[[], float],
        observer: Callable[[Event], None],
        disk: Disk | None = None,
        shard: int = 0,
    ) -> None:
        disk = disk or Disk()
        self.directory = directory
        self._worker = worker
        self._body_worker = body_worker
        self._now = now
        self._observer = observer
        self._committer = Committer(directory, disk)
        self._files = BodyFiles(directory, disk)
        self._in_files: set[str] = set()
        self._shard = shard
        self._ids = QueueIds(now, shard=shard)
        self._lock: DirectoryLock | None = None
        self._closed = True
        self._journal = Journal(partial(self._store_events, patience=COLLECTING_SECONDS))

    @property
    def journal(self) -> IJournal:
        """Where facts that stand alone are recorded without being waited for."""
        return self._journal

    def figures(self) -> DiskFigures:
        """What is told of the disk."""
        return DiskFigures(self._committer.figures, self._files.faults, self._journal.lost)

    async def open(self) -> None:
        """Lock, open, bring up to date and clean up; raise SpoolError when that cannot be done."""
        self._worker.start(self._committer.perform)
        self._body_worker.start(self._files.perform)
        try:
            found: Found = await self._worker.submit(self._open)
            await self._body_worker.submit(partial(self._clean, found.in_files))
        except (OSError, sqlite3.Error, SpoolError) as error:
            await self._release()
            raise SpoolError(f"cannot open the spool {self.directory}: {opening_words(error)}") from error
        except BaseException:
            await self._release()
            raise
        self._in_files = set(found.in_files)
        self._ids = QueueIds(self._now, found.greatest_id, self._shard)
        self._closed = False

    async def close(self) -> None:
        """Finish what was handed over and let go of the directory. Nothing may be asked of the spool afterwards."""
        if not self._closed:
            await self.flush()
            self._closed = True
            await self._release()

    async def _release(self) -> None:
        await self._body_worker.stop()
        try:
            await self._worker.submit(self._committer.close)
        finally:
            await self._worker.stop()
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def _open(self) -> Found:
        # In the spool's thread.
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._lock = DirectoryLock(self.directory)
        return self._committer.open()

    def _clean(self, in_files: frozenset[str]) -> None:
        # In the body thread. A file without a row is of a message that was not committed, or that has been delivered.
        self._files.prepare()
        for queue_id in self._files.found() - in_files:
            self._files.remove(queue_id)

    def create(self) -> ISpoolWriter:
        """Begin a message."""
        return self._writer()

    def _writer(self) -> SpoolWriter:
        return SpoolWriter(
            self._ids.next(), files=self._files, submit=self._submit_body, accept=self._accept, now=self._now
        )

    def _accept(self, accepting: operations.Accept, undo: Callable[[], None]) -> Deferred[None]:
        def accepted(_: None) -> None:
            self._note_file(accepting.message)

        return self._durable(accepting, [accepting.received], accepted, undo)

    def _note_file(self, message: QueuedMessage) -> None:
        if message.content.path is not None:
            self._in_files.add(message.queue_id)

    async def content(self, queue_id: str) -> Content:
        """Where the octets of a message are; raise KeyError when it is gone."""
        content: Content = await self._submit(operations.ReadContent(queue_id, self._files.path))
        return content

    async def due(self, now: float, limit: int, busy: Container[str], active: Collection[str]) -> list[QueuedMessage]:
        """Messages with recipients that are due, longest due first."""
        operation = operations.Due(now, limit, busy, frozenset(active), self._files.path)
        found: list[QueuedMessage] = await self._submit(operation)
        return found

    async def next_due(self, busy: Container[str], active: Collection[str]) -> float | None:
        """When the next recipient is due."""
        at: float | None = await self._submit(operations.NextDue(busy, frozenset(active)))
        return at

    async def settle(
        self,
        queue_id: str,
        settlements: Sequence[Settlement],
        events: Sequence[Event],
        reports: Sequence[NewMessage] = (),
    ) -> list[QueuedMessage]:
        """Record the end of an attempt in one transaction."""
        accepting, undo = await self._finish_all(reports)

        def settled(file_is_free: bool) -> None:
            for each in accepting:
                self._note_file(each.message)
            if file_is_free:
                self._remove_file(queue_id)

        operation = operations.Settle(queue_id, settlements, events, accepting, queue_id in self._in_files)
        facts = [*(each.received for each in accepting), *events]
        # The delivery is done and would be found done again: only its record waits, for the next message to be accepted.
        await self._durable(operation, facts, settled, undo, patience=PATIENCE_SECONDS)
        return [each.message for each in accepting]

    async def replace(
        self, queue_id: str, replaced: Sequence[Replaced], events: Sequence[Event], messages: Sequence[NewMessage]
    ) -> list[QueuedMessage] | None:
        """Put other recipients in the place of some, in one transaction; None when one of them is not waiting any more."""
        accepting, undo = await self._finish_all(messages)
        told = [
            attrs.evolve(each.told_by, facts={**each.told_by.facts, "message": one.message.queue_id})
            for each, one in zip(messages, accepting, strict=True)
            if each.told_by is not None
        ]
        facts = [*events, *told]

        def replaced_or_not(result: tuple[bool, bool]) -> None:
            done, file_is_free = result
            if not done:
                undo()
                return
            for each in accepting:
                self._note_file(each.message)
            self._observe([*(each.received for each in accepting), *facts])
            if file_is_free:
                self._remove_file(queue_id)

        operation = operations.Replace(queue_id, replaced, facts, accepting, queue_id in self._in_files)
        done, _ = await self._durable(operation, (), replaced_or_not, undo)
        return [each.message for each in accepting] if done else None

    async def _finish_all(self, messages: Sequence[NewMessage]) -> tuple[list[operations.Accept], Callable[[], None]]:
        """Bring the octets of messages of our own to the disk; what is to be committed with them, and how to undo it."""
        writers: list[SpoolWriter] = []
        undo = partial(_undo_all, writers)
        try:
            accepting = []
            for message in messages:
                writers.append(self._writer())
                accepting.append(await self._finish_own(writers[-1], message))
        except BaseException:
            undo()
            raise
        return accepting, undo

    @staticmethod
    async def _finish_own(writer: SpoolWriter, message: NewMessage) -> operations.Accept:
        # RFC 5321 4.4: the return path is a line of its own; here it is what local delivery stores.
        newline = "\r\n" if message.envelope.body is BodyType.BINARY else "\n"
        prefix = f"{return_path(message.envelope.reverse_path)}{newline}".encode("utf-8", "replace")
        writer.write(prefix)
        writer.write(message.octets)
        await writer.drained()
        wire_octets = len(message.octets) if newline == "\r\n" else wire_octets_of(message.octets)
        if message.rest is not None:
            async with aclosing(message.rest.pieces()) as pieces:
                async for piece in pieces:
                    writer.write(piece)
                    await writer.drained()
            wire_octets += message.rest.wire_octets
        facts: dict[str, str | int | float | bool | None] = {
            "protocol": message.origin.protocol,
            "size_octets": wire_octets,
            "recipients": len(message.envelope.recipients),
            **message.facts,
        }
        return await writer.finish(
            message.envelope, message.origin, message.destinations, message.message_id, wire_octets, len(prefix), facts
        )

    async def select(self, queue_id: str | None, limit: int | None = None) -> list[QueuedMessage]:
        """One message or all, oldest first, with every unfinished recipient."""
        if queue_id is not None:
            message: QueuedMessage | None = await self._submit(operations.SelectOne(queue_id))
            return [] if message is None else [message]
        messages: list[QueuedMessage] = []
        while limit is None or len(messages) < limit:
            some = await self._submit(operations.SelectSome(messages[-1].queue_id if messages else ""))
            if not some:
                break
            messages += some
        return messages[:limit]

    async def hold(self, queue_id: str, event: Event) -> bool:
        """Stop all recipients of a message; False when there is no such message."""
        return bool(await self._durable_if(operations.Hold(queue_id, event), event))

    async def release(self, queue_id: str, event: Event) -> bool:
        """Let held recipients go on, now; False when there is no such message."""
        return bool(await self._durable_if(operations.Release(queue_id, event), event))

    async def retry(self, queue_id: str | None, event: Event, now: float) -> int:
        """Make waiting recipients due now; the number of messages that have some."""
        if queue_id is not None:
            return int(await self._durable_if(operations.Retry(queue_id, event, now), event))

        def observe(some: list[str]) -> None:
            self._observe([attrs.evolve(event, queue_id=each) for each in some])

        count, after = 0, ""
        while some := await self._durable(operations.RetrySome(after, event, now), (), observe):
            count += len(some)
            after = some[-1]
        return count

    async def remove(self, queue_id: str, event: Event) -> bool:
        """Take a message out of the queue without telling anybody."""
        removed = bool(await self._durable_if(operations.Remove(queue_id, event), event))
        if removed and queue_id in self._in_files:
            self._remove_file(queue_id)
        return removed

    async def keep_signature(self, queue_id: str, variant: str, signature: Signature) -> None:
        """Keep the signature of a message that waits."""
        await self._durable(operations.KeepSignature(queue_id, variant, signature), (), patience=PATIENCE_SECONDS)

    async def signature(self, queue_id: str, variant: str) -> Signature | None:
        """The signature that was kept."""
        kept: Signature | None = await self._submit(operations.ReadSignature(queue_id, variant))
        return kept

    async def choose(self, selection: Selection, after: str = "") -> Chosen:
        """The recipients that a selection names, among the next messages after one."""
        chosen: Chosen = await self._submit(orders.Choose(selection, after))
        return chosen

    async def change(self, order: Order, event: Event, after: str = "") -> Chosen:
        """Carry an order out on the next messages after one."""
        operation = orders.Change(order, event, after)

        def changed(chosen: Chosen) -> None:
            self._observe([operation.fact(*each) for each in chosen.recipients.items()])
            for queue_id in self._in_files.intersection(chosen.gone):
                self._remove_file(queue_id)

        done: Chosen = await self._durable(operation, (), changed)
        return done

    async def record(self, events: Sequence[Event]) -> None:
        """Store facts that stand alone."""
        await self._store_events(events)

    async def track(self, query: str, limit: int) -> list[Event]:
        """What is known about a queue id, an address or a Message-ID, newest last."""
        events: list[Event] = await self._submit(operations.Track(query, limit))
        return events

    async def expire_trace(self, before: float) -> None:
        """Forget what is older; step by step, so that messages can be committed in between."""
        event: int | None = 0
        while event is not None:
            event = await self._submit(operations.ExpireEvents(before, event))
        key: tuple[int, str, int] | None = (-1, "", 0)
        while key is not None:
            key = await self._submit(operations.ExpireKeys(before, key))

    async def flush(self) -> None:
        """Return when all that was handed over is durable."""
        # What is patient goes with what is not.
        await self._submit(operations.Nothing())
        await self._journal.flush()
        await self._submit(operations.Nothing())

    def _store_events(self, events: Sequence[Event], *, patience: float | None = None) -> Deferred[None]:
        return self._durable(operations.Record(events), events, patience=patience)

    async def _durable_if(self, operation: operations.Write, event: Event) -> Any:
        """The operation's result; the event is there when it is true."""

        def observe(result: object) -> None:
            if result:
                self._observe([event])

        return await self._durable(operation, (), observe)

    def _durable(
        self,
        operation: operations.Write,
        events: Sequence[Event],
        done: Callable[[Any], None] | None = None,
        undo: Callable[[], None] | None = None,
        *,
        patience: float | None = None,
    ) -> Deferred[Any]:
        """
        Have something written; with ``patience`` it may wait for others, so many seconds.

        Afterwards ``done`` is called with the result, and the events are shown to the observer; after a fault ``undo`` is
        called. Both happen even when nobody awaits the result any more: a session that has ended cannot take back what is
        being committed.
        """
        waiter: Deferred[Any] = Deferred()

        def succeeded(result: Any) -> None:
            if done is not None:
                done(result)
            self._observe(events)
            if not waiter.called:
                waiter.callback(result)

        def failed(failure: Failure) -> None:
            if undo is not None:
                undo()
            if not waiter.called:
                waiter.errback(failure)

        if patience is None or self._closed:
            submitted = self._submit(operation)
        else:
            submitted = self._worker.submit_patiently(operation, patience)
        _ = submitted.addCallbacks(succeeded, failed)
        return waiter

    def _observe(self, events: Sequence[Event]) -> None:
        for event in events:
            try:
                self._observer(event)
            except Exception:
                self._log.failure("event not shown to the observer")

    def _remove_file(self, queue_id: str) -> None:
        self._in_files.discard(queue_id)
        _ = self._submit_body(partial(self._files.remove, queue_id)).addErrback(self._file_not_removed, queue_id)

    def _file_not_removed(self, failure: Failure, queue_id: str) -> None:
        # It is removed when the spool is opened the next time.
        self._log.warn(
            "body file of {queue_id} not removed: {reason}", queue_id=queue_id, reason=failure.getErrorMessage()
        )

    def _submit(self, operation: Operation) -> Deferred[Any]:
        return fail(SpoolError("the spool is closed")) if self._closed else self._worker.submit(operation)

    def _submit_body(self, step: Step) -> Deferred[Any]:
        return fail(SpoolError("the spool is closed")) if self._closed else self._body_worker.submit(step)


def _undo_all(writers: list[SpoolWriter]) -> None:
    for writer in writers:
        writer.undo()
