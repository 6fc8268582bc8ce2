"""
The recipients that a selection names (:mod:`hermes.core.selection`): found, counted, shown, and changed, in SQL.

Everything is one way through ``recipients`` in the order of their messages: a tenth of a second for 100,000. In the server
that way is gone in steps, so that commits need not wait for its end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter

from hermes.core import address, address_pattern
from hermes.core.destination_pattern import destination_matches, what_matches
from hermes.core.message import QueuedMessage
from hermes.core.order import Chosen
from hermes.core.selection import Selection
from hermes.core.shape import AGES, By, Counted, Shape
from hermes.spool.rows import MESSAGE_COLUMNS, RECIPIENT_COLUMNS, Row, message_of

#: Recipients looked at by one step (and those of the last message beside): some milliseconds, for which commits wait.
STEP_RECIPIENTS = 2000

#: Destinations are few, and recipients many.
_REMEMBERED = 1024

#: The plus keeps the planner from going by the index of states, in which everything stands under one or two.
_STATES = {
    "queued": "+r.state = 'queued'",
    "deferred": "+r.state = 'queued' AND r.attempts > 0",
    "held": "+r.state = 'held'",
    "paused": "+r.state = 'paused'",
}

#: The order of the two is fixed: the planner would like to begin with the messages.
_FROM = "FROM recipients AS r CROSS JOIN messages AS m ON m.queue_id = r.queue_id WHERE"

_BOUND = "SELECT queue_id FROM recipients WHERE queue_id > ? ORDER BY queue_id LIMIT 1 OFFSET ?"
_MESSAGE_NAMES = ", ".join(f"m.{name.strip()}" for name in MESSAGE_COLUMNS.split(","))
_RECIPIENT_NAMES = ", ".join(f"r.{name.strip()}" for name in RECIPIENT_COLUMNS.split(","))
_MESSAGE_WIDTH = MESSAGE_COLUMNS.count(",") + 1


class Asked:
    """A selection as SQL: a condition on the rows ``r`` and ``m``, and its values."""

    def __init__(self, selection: Selection) -> None:
        self._conditions: list[str] = []
        self.values: list[object] = []
        s = selection
        if s.ids:
            self._add(f"r.queue_id IN ({', '.join('?' * len(s.ids))})", *s.ids)
        if s.state:
            self._add(_STATES[s.state])
        if s.accepted_before is not None:
            self._add("m.accepted_at <= ?", s.accepted_before)
        if s.accepted_after is not None:
            self._add("m.accepted_at > ?", s.accepted_after)
        if s.account:
            self._add("lower(m.account) = lower(?)", s.account)
        if s.reply:
            self._add("instr(lower(r.last_reason), lower(?)) > 0", s.reply)
        if s.destination:
            self._add("destination_matches(?, r.destination)", s.destination)
        if s.what:
            self._add("what_matches(?, r.destination, r.address)", s.what)
        if s.sender:
            self._add("address_matches(?, m.reverse_path)", s.sender)
        if s.to:
            self._add("address_matches(?, r.address)", s.to)

    def _add(self, condition: str, *values: object) -> None:
        self._conditions.append(condition)
        self.values += values

    def where(self, *more: str) -> str:
        """The condition, with others beside it."""
        return f"{_FROM} {' AND '.join([*more, *self._conditions]) or '1'}"


def prepare(connection: sqlite3.Connection) -> None:
    """Teach a connection what the conditions call."""
    connection.create_function("address_matches", 2, address_pattern.matches, deterministic=True)
    connection.create_function(
        "destination_matches", 2, lru_cache(_REMEMBERED)(destination_matches), deterministic=True
    )
    connection.create_function("what_matches", 3, what_matches, deterministic=True)
    connection.create_function("domain_of", 1, address.domain_of, deterministic=True)


def step(connection: sqlite3.Connection, selection: Selection, after: str) -> Chosen:
    """The recipients among the next ones after a message."""
    found = connection.execute(_BOUND, (after, STEP_RECIPIENTS - 1)).fetchone()
    more = ["r.queue_id > ?"]
    values: list[object] = [after]
    if found is not None:
        more.append("r.queue_id <= ?")
        values.append(found[0])
    asked = Asked(selection)
    rows = connection.execute(
        f"SELECT r.queue_id, r.ordinal {asked.where(*more)} ORDER BY r.queue_id, r.ordinal",
        (*values, *asked.values),
    )
    chosen = {queue_id: [ordinal for _, ordinal in some] for queue_id, some in groupby(rows, itemgetter(0))}
    return Chosen(chosen, found[0] if found is not None else None)


def count(connection: sqlite3.Connection, selection: Selection) -> Counted:
    """How many there are."""
    asked = Asked(selection)
    row = connection.execute(
        "SELECT count(*), total(n), total(held), total(octets), min(oldest) FROM ("  # noqa: S608
        "SELECT count(*) AS n, total(r.state = 'held') AS held, m.wire_octets AS octets, m.accepted_at AS oldest"
        f" {asked.where()} GROUP BY r.queue_id)",
        asked.values,
    ).fetchone()
    messages, recipients, held, octets, oldest = row
    return Counted(int(messages), int(recipients), int(held), int(octets), oldest)


#: The id of the oldest message is the smallest.
_BY_STATE = """
    SELECT state, messages, recipients, (SELECT accepted_at FROM messages WHERE queue_id = oldest) FROM (
        SELECT CASE WHEN state = 'queued' AND attempts > 0 THEN 'deferred' ELSE state END AS state,
            count(DISTINCT queue_id) AS messages, count(*) AS recipients, min(queue_id) AS oldest
        FROM recipients GROUP BY 1
    )
"""


def states(connection: sqlite3.Connection) -> dict[str, Counted]:
    """How many messages and recipients there are in each state, and when the oldest message was accepted."""
    return {
        state: Counted(messages, recipients, oldest_at=oldest_at)
        for state, messages, recipients, oldest_at in connection.execute(_BY_STATE)
    }


def listed(connection: sqlite3.Connection, selection: Selection, limit: int | None) -> Iterator[QueuedMessage]:
    """The messages, oldest first, with those of their recipients that are meant, and without their octets."""
    asked = Asked(selection)
    rows = connection.execute(
        f"SELECT {_MESSAGE_NAMES}, {_RECIPIENT_NAMES} {asked.where()} ORDER BY r.queue_id, r.ordinal",
        asked.values,
    )
    for _, some in islice(groupby(rows, itemgetter(0)), limit):
        group: list[Row] = list(some)
        yield message_of(group[0][:_MESSAGE_WIDTH], (row[_MESSAGE_WIDTH:] for row in group))


def shape(connection: sqlite3.Connection, selection: Selection, by: By, now: float) -> Shape:
    """How many recipients there are of each age, by what they have in common."""
    asked = Asked(selection)
    name = {
        By.DESTINATION: "r.destination",
        By.DOMAIN: "domain_of(r.address)",
        By.SENDER: "domain_of(m.reverse_path)",
    }[by]
    bounds = " ".join(f"WHEN ? - m.accepted_at < {age} THEN {number}" for number, age in enumerate(AGES))
    rows = connection.execute(
        f"SELECT {name} AS name, CASE {bounds} ELSE {len(AGES)} END AS age, count(*) {asked.where()} GROUP BY 1, 2",
        (*[now] * len(AGES), *asked.values),
    )
    table: Shape = {}
    for key, age, number in rows:
        table.setdefault(key, [0] * (len(AGES) + 1))[age] = number
    return table
