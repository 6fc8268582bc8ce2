"""
The list of a mailbox's messages, read quickly and kept small.

A mailbox of 100,000 messages takes a third of a second and eight megabytes: names stand one behind another in one string of
octets, numbers in arrays, and there is no object for a message.
"""

from __future__ import annotations

import os
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate, islice
from operator import methodcaller

from hermes.mailbox import sizes
from hermes.mailbox.maildir import base_part, messages_in, unique_part

#: Messages listed; a POP3 client cannot use more, and the memory of a session has to have an end.
MAX_MESSAGES = 1_000_000

# unique-id = 1*70( %x21-7E )   (RFC 1939 7)
_UNIQUE_ID = re.compile(rb"[\x21-\x7e]{1,70}\Z")

# An entry of a listing is a message's name and where it is. No name holds a slash.
_IN_NEW = b"/n"
_IN_CUR = b"/c"

# UNIQUE [",S=" OCTETS] [",W=" OCTETS] and whatever follows: the order in which programs write them.
_ENTRY_UNIQUE = re.compile(rb"([^,:/]*)[^/]*/.")
_ENTRY_WIRE_SIZE = re.compile(rb"[^,:/]*(?:,S=\d+)?(?:,W=(\d{1,15})(?=[,:/]))?[^/]*/.")

_WIRE_SIZE = re.compile(rb",W=(\d{1,15})(?=[,:]|\Z)")

#: For sorting: what ends the unique part comes before what continues it, so that equal unique parts are neighbors.
_ENDS_FIRST = bytes(0 if octet in b",:/" else octet for octet in range(256))


class Listing:
    """
    Messages counted from 0, in the order of ``entries``; ``wire_sizes`` are those of the same messages.

    The names begin with the time of delivery: in the order of their names messages are in the order in which they came.
    """

    def __init__(self, entries: Sequence[bytes], wire_sizes: array[int]) -> None:
        self.wire_sizes = wire_sizes
        self._entries = b"".join(entries)
        self._ends = array("Q", accumulate(map(len, entries)))
        self._ambiguous = _ambiguous(entries, _ENTRY_UNIQUE.findall(self._entries))
        #: Messages found under another name since.
        self._moved: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def name(self, number: int) -> bytes:
        """The name under which the message was last seen."""
        return self._entry(number)[: -len(_IN_CUR)]

    def directory(self, number: int) -> str:
        """``new`` or ``cur``."""
        return "cur" if self._entry(number).endswith(_IN_CUR) else "new"

    def moved(self, number: int, directory: str, name: bytes) -> None:
        """Remember where the message is now."""
        self._moved[number] = name + (_IN_CUR if directory == "cur" else _IN_NEW)

    def is_ambiguous(self, number: int) -> bool:
        """True when the unique part of the name is another message's too: then it cannot be found by it."""
        return number in self._ambiguous

    def unique_id(self, number: int) -> str:
        """The UIDL: the unique part of the name, or a digest where that does not fit RFC 1939 or does not tell apart."""
        if number in self._ambiguous:
            return self._ambiguous[number]
        unique = unique_part(self.name(number))
        return unique.decode("ascii") if _UNIQUE_ID.match(unique) else _digest(unique)

    def _entry(self, number: int) -> bytes:
        moved = self._moved.get(number)
        if moved is not None:
            return moved
        return self._entries[self._ends[number - 1] if number else 0 : self._ends[number]]


def _ambiguous(entries: Sequence[bytes], uniques: Sequence[bytes]) -> dict[int, str]:
    """
    Digests for messages that share a unique part: of the name without flags, or where that is shared too, of all of it.

    All of them get one, the first too: were it to keep the plain id and then be deleted, the id would pass to another.
    """
    twins = [number for number in range(1, len(uniques)) if uniques[number] == uniques[number - 1]]
    bases = {
        number: base_part(entries[number][: -len(_IN_CUR)])
        for number in sorted({*twins, *(twin - 1 for twin in twins)})
    }
    shared = Counter(bases.values())
    return {number: _digest(base if shared[base] == 1 else entries[number]) for number, base in bases.items()}


def _digest(text: bytes) -> str:
    return blake2b(text, digest_size=16).hexdigest()


def scan(path: str) -> Listing:
    """List the maildir at ``path``; files whose names do not tell their size on the wire are measured, once."""
    entries = list(islice(_entries(os.fsencode(path)), MAX_MESSAGES))
    entries.sort(key=methodcaller("translate", _ENDS_FIRST))
    found = _ENTRY_WIRE_SIZE.findall(b"".join(entries))
    if b"" in found:
        return Listing(*_measured(path, entries, found))
    return Listing(entries, array("Q", map(int, found)))


def _entries(path: bytes) -> Iterator[bytes]:
    for directory, where in ((b"new", _IN_NEW), (b"cur", _IN_CUR)):
        for entry in messages_in(os.path.join(path, directory)):
            yield entry.name + where


def _measured(path: str, entries: Sequence[bytes], found: Sequence[bytes]) -> tuple[list[bytes], array[int]]:
    """The entries and their sizes, where those that were not found are known or measured; what cannot be read is left out."""
    known = sizes.load(path)
    kept: dict[bytes, int] = {}
    complete: list[bytes] = []
    wire_sizes = array("Q")
    for entry, digits in zip(entries, found, strict=True):
        size = int(digits) if digits else _size_elsewhere(entry)
        if size is None:
            base = base_part(entry[: -len(_IN_CUR)])
            size = known[base] if base in known else _measure(path, entry)
            if size is None:
                continue
            kept[base] = size
        complete.append(entry)
        wire_sizes.append(size)
    if kept != known:
        sizes.save(path, kept)
    return complete, wire_sizes


def _size_elsewhere(entry: bytes) -> int | None:
    """The size when the name tells it, but not where it usually stands."""
    found = _WIRE_SIZE.search(base_part(entry[: -len(_IN_CUR)]))
    return int(found[1]) if found is not None else None


def _measure(path: str, entry: bytes) -> int | None:
    directory = b"cur" if entry.endswith(_IN_CUR) else b"new"
    try:
        return sizes.wire_size_of_file(os.path.join(os.fsencode(path), directory, entry[: -len(_IN_CUR)]))
    except OSError:
        # Gone meanwhile, a link, or not ours to read.
        return None
