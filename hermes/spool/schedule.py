"""
Which messages are to be worked on next.

Two ways lead to the answer, each quick where the other is slow. Recipients in the order of time: the first that are not
excluded are wanted, usually the very first. But when a destination that takes no more connections has tens of thousands
of them, those stand before everything else; then the destinations are asked one by one, each for its own first.
"""

from __future__ import annotations

import heapq
import math
import sqlite3
from collections import deque
from collections.abc import Collection, Container, Iterator
from typing import NamedTuple

from hermes.core.message import QueuedMessage, State
from hermes.spool.rows import read_message

#: Recipients looked at in the order of time before the destinations are asked: about two milliseconds.
SCAN_RECIPIENTS = 2000

#: Recipients handed out at once. With a thousand to each message the queue would ask for more than memory should hold;
#: what is left is still due when it asks again.
MAX_RECIPIENTS = 10_000


class _Turn(NamedTuple):
    """A recipient's place in the order of time."""

    next_attempt_at: float
    queue_id: str
    destination: str


_BY_TIME = """
    SELECT next_attempt_at, queue_id, destination FROM recipients INDEXED BY recipients_by_time
    WHERE state = 'queued' AND next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?
"""
_OF_QUEUED = "FROM recipients INDEXED BY recipients_by_destination WHERE state = 'queued'"
_DESTINATIONS = f"""
    WITH RECURSIVE names (name) AS (
        SELECT min(destination) {_OF_QUEUED}
        UNION ALL
        SELECT (SELECT min(destination) {_OF_QUEUED} AND destination > names.name) FROM names WHERE names.name IS NOT NULL
    )
    SELECT (SELECT min(next_attempt_at) {_OF_QUEUED} AND destination = names.name) AS first, name
    FROM names WHERE name IS NOT NULL ORDER BY first
"""  # noqa: S608 - constants only
_BY_DESTINATION = """
    SELECT next_attempt_at, queue_id, destination FROM recipients INDEXED BY recipients_by_destination
    WHERE state = 'queued' AND destination = ? AND next_attempt_at <= ? ORDER BY next_attempt_at
"""


def due(
    connection: sqlite3.Connection, now: float, limit: int, busy: Container[str], active: Collection[str]
) -> list[QueuedMessage]:
    """See :meth:`hermes.interfaces.ISpool.due`."""
    chosen: list[QueuedMessage] = []
    count = 0
    for queue_id in _first_messages(connection, now, limit, busy, active):
        message = read_message(connection, queue_id)
        if message is None:
            continue
        message.recipients = [
            recipient
            for recipient in message.recipients
            if recipient.state is State.QUEUED
            and recipient.next_attempt_at <= now
            and recipient.destination not in busy
        ]
        chosen.append(message)
        count += len(message.recipients)
        if count >= MAX_RECIPIENTS:
            break
    return chosen


def next_due(connection: sqlite3.Connection, busy: Container[str], active: Collection[str]) -> float | None:
    """See :meth:`hermes.interfaces.ISpool.next_due`."""
    rows = connection.execute(_BY_TIME, (math.inf, SCAN_RECIPIENTS))
    seen = 0
    for turn in map(_Turn._make, rows):
        seen += 1
        if turn.destination not in busy and turn.queue_id not in active:
            return turn.next_attempt_at
    if seen < SCAN_RECIPIENTS:
        return None
    return next((turn.next_attempt_at for turn in _merged(connection, math.inf, busy, active)), None)


def _first_messages(
    connection: sqlite3.Connection, now: float, limit: int, busy: Container[str], active: Collection[str]
) -> list[str]:
    """The queue ids of the messages whose turn it is, longest due first."""
    # A dict for its order: the same message may have several recipients among those found.
    chosen: dict[str, None] = {}
    seen = 0
    for _, queue_id, destination in connection.execute(_BY_TIME, (now, SCAN_RECIPIENTS)):
        seen += 1
        if destination not in busy and queue_id not in active:
            chosen[queue_id] = None
            if len(chosen) >= limit:
                return list(chosen)
    if seen < SCAN_RECIPIENTS:
        return list(chosen)
    chosen.clear()
    for turn in _merged(connection, now, busy, active):
        chosen[turn.queue_id] = None
        if len(chosen) >= limit:
            break
    return list(chosen)


def _merged(
    connection: sqlite3.Connection, now: float, busy: Container[str], active: Collection[str]
) -> Iterator[_Turn]:
    """The turns of all destinations that are not busy, in the order of time; few destinations are asked for more than one."""
    rows = connection.execute(_DESTINATIONS).fetchall()
    unasked = deque((first, name) for first, name in rows if first <= now and name not in busy)
    waiting: list[tuple[_Turn, Iterator[_Turn]]] = []

    def put_back(turns: Iterator[_Turn]) -> None:
        if (turn := next(turns, None)) is not None:
            heapq.heappush(waiting, (turn, turns))

    while unasked or waiting:
        if unasked and (not waiting or unasked[0][0] <= waiting[0][0].next_attempt_at):
            put_back(_turns(connection, unasked.popleft()[1], now, active))
        else:
            turn, turns = heapq.heappop(waiting)
            yield turn
            put_back(turns)


def _turns(connection: sqlite3.Connection, destination: str, now: float, active: Collection[str]) -> Iterator[_Turn]:
    for turn in map(_Turn._make, connection.execute(_BY_DESTINATION, (destination, now))):
        if turn.queue_id not in active:
            yield turn
