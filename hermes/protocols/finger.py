"""The finger protocol's one line, without a network (RFC 1288 2.3)."""

from __future__ import annotations

import re

import attrs

from hermes.protocols.receive_buffer import Line, ReceiveBuffer

#: Octets of a query with its end. RFC 1288 names no limit; a name and some host names are much shorter.
MAX_LINE_OCTETS = 512


@attrs.frozen
class Query:
    """``[/W] [name][@host[@host...]]``: ``verbose`` is the switch, ``hosts`` where the query is to be sent on to."""

    verbose: bool
    name: str
    hosts: tuple[str, ...] = ()


@attrs.frozen
class Unreadable:
    """A line that is no query: too long, or not ASCII."""


Event = Query | Unreadable

# {Q1} ::= [{W}|{W}{S}{U}]{C}   {Q2} ::= [{W}{S}][{U}]{H}{C}   {W} ::= /W   {H} ::= @hostname | @hostname{H}   (RFC 1288 2.3)
# The switch is known in any case, and {U} may come without it, as all clients send it.
_QUERY = re.compile(r"(?:(?P<switch>/W)(?:[ \t]+|\Z))?(?P<name>[^@]*)(?P<hosts>(?:@[^@]*)*)\Z", re.IGNORECASE)


class FingerServer:
    """One session: one line in, one event out."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()
        self._asked = False

    def receive(self, data: bytes) -> None:
        """Take octets from the client; behind its line there is nothing to say."""
        if not self._asked:
            self._buffer.feed(data)

    def next_event(self) -> Event | None:
        """The query, once."""
        if self._asked:
            return None
        line = self._buffer.line(MAX_LINE_OCTETS)
        if line is Line.INCOMPLETE:
            return None
        self._asked = True
        self._buffer.clear()
        return Unreadable() if line is Line.TOO_LONG else _parsed(line)


def _parsed(line: bytes) -> Event:
    try:
        text = line.decode("ascii").strip()
    except UnicodeDecodeError:
        return Unreadable()
    found = _QUERY.match(text)
    if found is None or not text.isprintable():
        return Unreadable()
    hosts = tuple(host.strip() for host in found["hosts"].split("@")[1:])
    return Query(found["switch"] is not None, found["name"].strip(), hosts)
