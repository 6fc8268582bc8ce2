"""
What became of a day's mail: how much came in and from whom, what was delivered, what is still tried, what went back and why.

For the person in charge, as a letter; every number is one that the trace can be asked about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import attrs

from hermes.core.event import Kind
from hermes.core.printable import one_line

#: Lines of each list: a letter that is read, and not a log.
MAX_LINES = 50

#: A reason is cut here; the trace has all of it.
MAX_REASON = 160


@attrs.frozen
class Lost:
    """A recipient who did not get a message: the sender, and why."""

    at: float
    queue_id: str
    sender: str
    recipient: str
    reason: str


@attrs.frozen
class Waiting:
    """What waits for one destination after it has been tried: recipients, and the last reason of one of them."""

    destination: str
    recipients: int
    reason: str


@attrs.define
class Tally:
    """
    A day.

    ``kinds`` counts events by the names of their kinds; ``accounts`` messages by who sent them with a login, ``others`` those
    that came without one, and ``own`` those that this server wrote; ``rules`` refusals. ``lost`` and ``waiting`` are the first of
    each: how many there are say the counts.
    """

    kinds: Counter[str] = attrs.field(factory=Counter)
    accounts: Counter[str] = attrs.field(factory=Counter)
    others: int = 0
    own: int = 0
    rules: Counter[str] = attrs.field(factory=Counter)
    lost: list[Lost] = attrs.field(factory=list)
    waiting: list[Waiting] = attrs.field(factory=list)
    waiting_messages: int = 0
    waiting_recipients: int = 0
    held: int = 0


def merged(parts: Iterable[Tally]) -> Tally:
    """The tallies of several stores as one."""
    whole = Tally()
    by_destination: dict[str, Waiting] = {}
    for part in parts:
        whole.kinds += part.kinds
        whole.accounts += part.accounts
        whole.rules += part.rules
        whole.others += part.others
        whole.own += part.own
        whole.lost += part.lost
        whole.waiting_messages += part.waiting_messages
        whole.waiting_recipients += part.waiting_recipients
        whole.held += part.held
        for each in part.waiting:
            before = by_destination.get(each.destination)
            count = each.recipients + (before.recipients if before else 0)
            by_destination[each.destination] = attrs.evolve(each, recipients=count)
    whole.lost.sort(key=lambda each: each.at)
    whole.lost = whole.lost[:MAX_LINES]
    whole.waiting = sorted(by_destination.values(), key=lambda each: (-each.recipients, each.destination))[:MAX_LINES]
    return whole


def lines(tally: Tally, day: str, hostname: str) -> Iterator[str]:
    """The letter, without its header."""
    kinds = tally.kinds
    given_up = kinds[Kind.FAILED.value] + kinds[Kind.EXPIRED.value]
    yield f"Mail at {hostname} on {day}"
    yield ""
    sent = sum(tally.accounts.values())
    yield from _numbers(
        ("messages accepted", sent + tally.others + tally.own),
        ("  from people who had logged in", sent),
        ("  from other servers and programs", tally.others),
        ("  written by this server (reports)", tally.own),
        ("recipients delivered to mailboxes here", kinds[Kind.DELIVERED.value]),
        ("recipients handed on to other servers", kinds[Kind.RELAYED.value]),
        ("recipients given up", given_up),
        ("recipients discarded by a rule", kinds[Kind.DISCARDED.value]),
        ("reports sent to senders", kinds[Kind.RETURNED.value]),
        ("attempts that will be repeated", kinds[Kind.DEFERRED.value]),
        ("refused before they were accepted", kinds[Kind.REFUSED.value]),
    )
    yield ""
    yield "In the queue now"
    yield from _numbers(
        ("messages", tally.waiting_messages),
        ("recipients", tally.waiting_recipients),
        ("of these held or paused", tally.held),
    )
    yield from _listed(
        "Still trying", (f"{w.recipients:>6}  {w.destination}  {_reason(w.reason)}" for w in tally.waiting)
    )
    yield from _listed(
        "Given up",
        (f"{each.queue_id}  <{each.sender}> to <{each.recipient}>  {_reason(each.reason)}" for each in tally.lost),
        given_up - len(tally.lost),
    )
    yield from _most("Who sent", tally.accounts)
    yield from _most("Refused, by rule", tally.rules)
    yield ""
    yield "'hermes track ID-OR-ADDRESS' says all about each."


def _numbers(*rows: tuple[str, int]) -> Iterator[str]:
    for text, number in rows:
        yield f"{number:>8}  {text}"


def _listed(title: str, rows: Iterable[str], more: int = 0) -> Iterator[str]:
    found = list(rows)
    if found:
        yield ""
        yield title
        yield from (one_line(row, 400) for row in found)
        if more > 0:
            yield f"... and {more} more"


def _most(title: str, counts: Counter[str]) -> Iterator[str]:
    rows = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    rest = sum(number for _, number in rows[MAX_LINES:])
    yield from _listed(title, (f"{number:>8}  {name}" for name, number in rows[:MAX_LINES]), rest)


def _reason(text: str) -> str:
    short = one_line(text, MAX_REASON)
    return short.strip()
