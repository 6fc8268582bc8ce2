"""
The commands of the TRANSACTION state, from line to event (RFC 1939 5 and 7).

A keyword stands before its arguments with single spaces between them (RFC 2449 3); more spaces, or some at the end, are
accepted, because clients send them and they can mean nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from hermes.protocols.pop3 import events
from hermes.protocols.pop3.parameters import MAX_NUMBER_DIGITS


class MalformedError(Exception):
    """The arguments are not what the command takes; the text is for the client."""


def nothing(argument: bytes) -> None:
    """Make sure that a command without arguments has none."""
    if argument.strip():
        raise MalformedError("this command takes no argument")


def number_of(text: bytes) -> int:
    """Read a decimal number, which is all that POP3 has (RFC 1939 4)."""
    if not text.isdigit() or len(text) > MAX_NUMBER_DIGITS:
        raise MalformedError("that is not a number")
    return int(text)


def _one(argument: bytes) -> int:
    numbers = argument.split()
    if len(numbers) != 1:
        raise MalformedError("this command takes one message number")
    return number_of(numbers[0])


def _none_or_one(argument: bytes) -> int | None:
    return _one(argument) if argument.strip() else None


def _statistics(argument: bytes) -> events.Event:
    nothing(argument)
    return events.Statistics()


def _scan_listing(argument: bytes) -> events.Event:
    return events.ScanListing(_none_or_one(argument))


def _unique_ids(argument: bytes) -> events.Event:
    return events.UniqueIds(_none_or_one(argument))


def _retrieve(argument: bytes) -> events.Event:
    return events.Retrieve(_one(argument))


def _delete(argument: bytes) -> events.Event:
    return events.Delete(_one(argument))


def _reset(argument: bytes) -> events.Event:
    nothing(argument)
    return events.Reset()


def _top(argument: bytes) -> events.Event:
    numbers = argument.split()
    if len(numbers) != 2:
        raise MalformedError("TOP takes a message number and a number of lines")
    return events.Top(number_of(numbers[0]), number_of(numbers[1]))


#: The event for each keyword, or MalformedError, from what stands behind the keyword.
TRANSACTION_COMMANDS: dict[bytes, Callable[[bytes], events.Event]] = {
    b"STAT": _statistics,
    b"LIST": _scan_listing,
    b"UIDL": _unique_ids,
    b"RETR": _retrieve,
    b"TOP": _top,
    b"DELE": _delete,
    b"RSET": _reset,
}
