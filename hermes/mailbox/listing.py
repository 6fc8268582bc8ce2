"""
The list of a mailbox's messages, read quickly and kept small.

A mailbox of 100,000 messages is a few megabytes here: names stand one behind another in one string of octets, numbers in
arrays, and there is no object for a message.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice

from hermes.mailbox import sizes
from hermes.mailbox.maildir import base_part, messages_in, unique_part

#: Messages listed; a POP3 client cannot use more, and the memory of a session has to have an end.
MAX_MESSAGES = 1_000_000

# unique-id = 1*70( %x21-7E )   (RFC 1939 7)
_UNIQUE_ID = re.compile(rb"[\x21-\x7e]{1,70}\Z")

# UNIQUE [",S=" OCTETS] [",W=" OCTETS] and whatever follows: the order in which every program writes them.
_NAME = re.compile(rb"((\d{0,15})[^,:]*)(?:,S=\d+)?(?:,W=(\d{1,15}))?(?=[,:]|\Z)")
_WIRE_SIZE = re.compile(rb",W=(\d{1,15})(?=[,:]|\Z)")

#: Time of delivery as the name tells it, unique part, whole name, whether it is in cur, size on the wire or -1.
_Row = tuple[int, bytes, bytes, bool, int]


class Listing:
    """The messages in the order of their delivery, counted from 0."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._names = b"".join(row[2] for row in rows)
        self._ends = array("Q")
        self._in_cur = bytearray(row[3] for row in rows)
        self.wire_sizes = array("Q", (row[4] for row in rows))
        #: Messages found under another name since.
        self._moved: dict[int, tuple[str, bytes]] = {}
        self._ambiguous: dict[int, str] = {}
        end = 0
        for row in rows:
            end += len(row[2])
            self._ends.append(end)
        self._find_ambiguous(rows)

    def __len__(self) -> int:
        return len(self._ends)

    def name(self, number: int) -> bytes:
        """The name under which the message was last seen."""
        if number in self._moved:
            return self._moved[number][1]
        return self._names[self._ends[number - 1] if number else 0 : self._ends[number]]

    def directory(self, number: int) -> str:
        """``new`` or ``cur``."""
        if number in self._moved:
            return self._moved[number][0]
        return "cur" if self._in_cur[number] else "new"

    def moved(self, number: int, directory: str, name: bytes) -> None:
        """Remember where the message is now."""
        self._moved[number] = (directory, name)

    def is_ambiguous(self, number: int) -> bool:
        """True when the unique part of the name is another message's too: then it cannot be found by it."""
        return number in self._ambiguous

    def unique_id(self, number: int) -> str:
        """The UIDL: the unique part of the name, or a digest where that does not fit RFC 1939 or does not tell apart."""
        if number in self._ambiguous:
            return self._ambiguous[number]
        unique = unique_part(self.name(number))
        return unique.decode("ascii") if _UNIQUE_ID.match(unique) else _digest(unique)

    def _find_ambiguous(self, rows: Sequence[_Row]) -> None:
        # Equal unique parts are neighbors. All that share one get a digest, the first too: were it to keep the plain id
        # and then be deleted, the id would pass to another message.
        for number in range(1, len(rows)):
            if rows[number][1] == rows[number - 1][1]:
                for which in (number - 1, number):
                    directory = b"cur" if rows[which][3] else b"new"
                    same_base = base_part(rows[number][2]) == base_part(rows[number - 1][2])
                    self._ambiguous[which] = _digest(
                        rows[which][2] + b"/" + directory if same_base else base_part(rows[which][2])
                    )


def _digest(text: bytes) -> str:
    return blake2b(text, digest_size=16).hexdigest()


def scan(path: str) -> Listing:
    """List the maildir at ``path``; files whose names do not tell their size on the wire are measured, once."""
    rows = [_row(name, in_cur) for name, in_cur in islice(_names(path), MAX_MESSAGES)]
    if any(row[4] < 0 for row in rows):
        rows = _measured(path, rows)
    rows.sort()
    return Listing(rows)


def _names(path: str) -> Iterator[tuple[bytes, bool]]:
    for directory in ("new", "cur"):
        in_cur = directory == "cur"
        for entry in messages_in(os.fsencode(os.path.join(path, directory))):
            yield entry.name, in_cur


def _row(name: bytes, in_cur: bool) -> _Row:
    found = _NAME.match(name)
    assert found is not None  # every part of the pattern may be empty
    wire = found[3]
    if wire is None:
        later = _WIRE_SIZE.search(base_part(name))
        wire = later[1] if later is not None else None
    return int(found[2] or b"0"), found[1], name, in_cur, -1 if wire is None else int(wire)


def _measured(path: str, rows: list[_Row]) -> list[_Row]:
    """The rows with their sizes; those without that cannot be read are left out."""
    known = sizes.load(path)
    kept: dict[bytes, int] = {}
    changed = False
    complete: list[_Row] = []
    for row in rows:
        if row[4] >= 0:
            complete.append(row)
            continue
        base = base_part(row[2])
        size = known.get(base)
        if size is None:
            changed = True
            try:
                directory = "cur" if row[3] else "new"
                size = sizes.wire_size_of_file(os.path.join(os.fsencode(path), directory.encode(), row[2]))
            except OSError:
                # Gone meanwhile, a link, or not ours to read.
                continue
        kept[base] = size
        complete.append((*row[:4], size))
    if changed or len(kept) != len(known):
        sizes.save(path, kept)
    return complete
