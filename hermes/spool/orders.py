"""
Orders for a selection, as operations of the spool's thread: each is one step of a way through the queue.

Whoever gives the order asks for step after step. A step is durable by itself; an order that is cut off has been carried out on
the first messages and not on the others, and can be given again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import attrs
from typing_extensions import override

from hermes.core.event import Event
from hermes.core.order import Action, Chosen, Order
from hermes.core.selection import Selection
from hermes.spool import selecting
from hermes.spool.operations import Read, Write
from hermes.spool.transaction import Transaction

_THIS = "WHERE queue_id = ? AND ordinal = ?"
_STATEMENTS = {
    Action.HOLD: f"UPDATE recipients SET state = 'held' {_THIS}",  # noqa: S608
    Action.RELEASE: f"UPDATE recipients SET state = 'queued', next_attempt_at = ?, released = released | 1 {_THIS}",  # noqa: S608
    Action.PAUSE: f"UPDATE recipients SET state = 'paused' {_THIS}",  # noqa: S608
    Action.RESUME: f"UPDATE recipients SET state = 'queued', next_attempt_at = ? {_THIS}",  # noqa: S608
    Action.DRAIN: f"UPDATE recipients SET state = 'queued', next_attempt_at = ?, released = released | 2 {_THIS}",  # noqa: S608
    Action.RETRY: f"UPDATE recipients SET next_attempt_at = ? {_THIS}",  # noqa: S608
    Action.REROUTE: """
        UPDATE recipients SET next_attempt_at = ?3, pinned = ?2,
            state = CASE state WHEN 'paused' THEN 'queued' ELSE state END,
            destination = CASE ?1 WHEN 'direct' THEN 'direct:' || domain_of(address) ELSE ?1 END
        WHERE queue_id = ?4 AND ordinal = ?5
    """,
    # The last attempt is made when the time is over.
    Action.EXPIRE: """
        UPDATE recipients SET expires_at = ?1, next_attempt_at = min(next_attempt_at, coalesce(?1, next_attempt_at))
        WHERE queue_id = ?2 AND ordinal = ?3
    """,
    Action.REMOVE: f"DELETE FROM recipients {_THIS}",  # noqa: S608
}

#: Of those that are chosen, whom an action is about.
_STATES_OF = "SELECT ordinal, state FROM recipients WHERE queue_id = ?"
_ABOUT = {
    Action.HOLD: {"queued", "paused"},
    Action.RELEASE: {"held"},
    Action.RETRY: {"queued"},
    Action.PAUSE: {"queued"},
    Action.RESUME: {"paused"},
    Action.DRAIN: {"queued", "paused"},
}

_NOBODY_LEFT = "queue_id = ?1 AND NOT EXISTS (SELECT 1 FROM recipients WHERE queue_id = ?1)"
_DELETE = tuple(f"DELETE FROM {table} WHERE {_NOBODY_LEFT}" for table in ("bodies", "signatures", "messages"))  # noqa: S608 - constants


@attrs.define
class Choose(Read):
    """The recipients that a selection names, among the next messages after ``after``."""

    selection: Selection
    after: str

    @override
    def read(self, connection: sqlite3.Connection) -> Chosen:
        """Find them."""
        selecting.prepare(connection)
        return selecting.step(connection, self.selection, self.after)


@attrs.define
class Change(Write):
    """Carry an order out on the next messages; ``event`` is left for each, with its queue id and how many it was about."""

    order: Order
    event: Event
    after: str

    @override
    def apply(self, transaction: Transaction) -> Chosen:
        """Change them."""
        transaction.write()
        connection = transaction.connection
        selecting.prepare(connection)
        found = selecting.step(connection, self.order.selection, self.after)
        chosen = dict(self._about(connection, found))
        rows = [(queue_id, ordinal) for queue_id, ordinals in chosen.items() for ordinal in ordinals]
        values = self._values()
        connection.executemany(_STATEMENTS[self.order.action], [(*values, *row) for row in rows])
        for queue_id, ordinals in chosen.items():
            transaction.add_event(self.fact(queue_id, ordinals))
        return attrs.evolve(found, recipients=chosen, gone=self._gone(connection, chosen))

    def fact(self, queue_id: str, ordinals: list[int]) -> Event:
        """What the trace says of one message."""
        return attrs.evolve(self.event, queue_id=queue_id, facts={**self.event.facts, "recipients": len(ordinals)})

    def _about(self, connection: sqlite3.Connection, found: Chosen) -> Iterable[tuple[str, list[int]]]:
        states = _ABOUT.get(self.order.action)
        for queue_id, ordinals in found.recipients.items():
            if states is None:
                yield queue_id, ordinals
                continue
            right = {ordinal for ordinal, state in connection.execute(_STATES_OF, (queue_id,)) if state in states}
            if some := [ordinal for ordinal in ordinals if ordinal in right]:
                yield queue_id, some

    def _values(self) -> tuple[object, ...]:
        order, now = self.order, self.event.at
        match order.action:
            case Action.RELEASE | Action.RETRY | Action.RESUME | Action.DRAIN:
                return (now,)
            case Action.REROUTE:
                return (order.destination, order.pinned, now)
            case Action.EXPIRE:
                return (order.expires_at,)
            case _:
                return ()

    def _gone(self, connection: sqlite3.Connection, chosen: Iterable[str]) -> tuple[str, ...]:
        """The messages that nobody is left of."""
        if self.order.action is not Action.REMOVE:
            return ()
        gone = []
        for queue_id in chosen:
            rows = [connection.execute(statement, (queue_id,)).rowcount for statement in _DELETE]
            if rows[-1]:
                gone.append(queue_id)
        return tuple(gone)
