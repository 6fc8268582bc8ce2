"""A day's mail, counted in the trace: events have growing numbers, so a day is a stretch of them and nothing else is read."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter

from hermes.core.accountability import MAX_LINES, Lost, Tally, Waiting
from hermes.core.event import Kind

_AT = "SELECT id, at FROM events WHERE id >= ? ORDER BY id LIMIT 1"
_LAST = "SELECT coalesce(max(id), 0) FROM events"
_KINDS = "SELECT kind, count(*) FROM events WHERE id >= ? AND id < ? GROUP BY kind"
_RECEIVED = """
    SELECT json_extract(facts, '$.account'), json_extract(facts, '$.protocol'), count(*)
    FROM events WHERE id >= ? AND id < ? AND kind = 'received' GROUP BY 1, 2
"""
_RULES = """
    SELECT coalesce(json_extract(facts, '$.rule'), ''), count(*)
    FROM events WHERE id >= ? AND id < ? AND kind = 'refused' GROUP BY 1
"""
_LOST = """
    SELECT at, queue_id, coalesce(reverse_path, ''), address, facts FROM events
    WHERE id >= ? AND id < ? AND kind IN ('failed', 'expired') ORDER BY id LIMIT ?
"""
_WAITING = """
    SELECT destination, count(*), max(last_reason) FROM recipients
    WHERE state = 'queued' AND attempts > 0 GROUP BY destination ORDER BY 2 DESC, 1 LIMIT ?
"""
_QUEUE = "SELECT count(DISTINCT queue_id), count(*), total(state <> 'queued') FROM recipients"

#: Who wrote a message that has no client: this server.
_OWN = "local"


def tally(connection: sqlite3.Connection, since: float, until: float) -> Tally:
    """What happened from ``since`` on and before ``until``, and what is in the queue now."""
    span = (_first(connection, since), _first(connection, until))
    found = Tally(kinds=Counter(dict(connection.execute(_KINDS, span).fetchall())))
    for account, protocol, number in connection.execute(_RECEIVED, span):
        if account:
            found.accounts[str(account)] += number
        elif protocol == _OWN:
            found.own += number
        else:
            found.others += number
    found.rules = Counter({rule or Kind.REFUSED.value: number for rule, number in connection.execute(_RULES, span)})
    found.lost = [
        Lost(at, queue_id, sender, address, str(json.loads(facts).get("reason", "")))
        for at, queue_id, sender, address, facts in connection.execute(_LOST, (*span, MAX_LINES))
    ]
    found.waiting = [Waiting(*row) for row in connection.execute(_WAITING, (MAX_LINES,))]
    messages, recipients, held = connection.execute(_QUEUE).fetchone()
    found.waiting_messages, found.waiting_recipients, found.held = messages, recipients, int(held)
    return found


def _first(connection: sqlite3.Connection, at: float) -> int:
    """The number of the first event that is not older, found by halving: their times grow with their numbers, nearly."""
    (last,) = connection.execute(_LAST).fetchone()
    low, high = 0, int(last) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_AT, (middle,)).fetchone()
        if row is None or row[1] >= at:
            high = middle
        else:
            low = int(row[0]) + 1
    return low
