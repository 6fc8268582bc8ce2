"""
How full mailboxes are.

The figure is kept in memory and found by adding up the ``,S=`` of the names, which costs no stat. Hermes counts what it
delivers and deletes itself; other programs may add and delete too, so the figure is made anew after some minutes, and always
before somebody is refused on account of it. Nothing on disk can be wrong, and mailboxes without a limit cost nothing.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator

import attrs

from hermes.core.outcome import FITS, Verdict
from hermes.core.reply import Reply
from hermes.interfaces import IGroupWorker
from hermes.mailbox import folders
from hermes.mailbox.maildir import messages_in, stored_size

#: Other programs' changes are noticed after this long: a mailbox can be overdrawn by what they add in five minutes.
FRESH_SECONDS = 300

#: The same where other processes of ours deliver too: what these put into a mailbox meanwhile may be too much for it.
SHARED_SECONDS = 10

#: Before a message is refused the mailbox is counted again, unless that was done just now: a sender that keeps asking for a
#: full mailbox must not keep the disk busy.
REFUSING_SECONDS = 5

#: Mailboxes remembered; for others the next question counts again.
MAX_REMEMBERED = 10_000


@attrs.define
class _Usage:
    octets: int
    counted_at: float


class Quota:
    """Says whether a message still fits. ``worker`` runs callables; ``now`` gives seconds, of which a sum is good for some."""

    def __init__(self, worker: IGroupWorker, now: Callable[[], float], fresh_seconds: float = FRESH_SECONDS) -> None:
        self._fresh_seconds = fresh_seconds
        self._worker = worker
        self._now = now
        self._usages: OrderedDict[str, _Usage] = OrderedDict()

    async def verdict(self, path: str, limit_octets: int, octets: int) -> Verdict:
        """FITS when ``octets`` more fit under the limit, else the refusal. ``octets`` is 0 when the size is not known."""
        if octets > limit_octets:
            # RFC 3463 3.3: message length exceeds administrative limit (of the mailbox).
            reply = Reply.of(552, "5.2.3", "The message is larger than the mailbox may ever hold")
            return Verdict(reply, "mailbox.quota", f"{octets} octets, the quota is {limit_octets}")
        used = await self._used(path, self._fresh_seconds)
        if _fits(used, octets, limit_octets):
            return FITS
        used = await self._used(path, REFUSING_SECONDS)
        if _fits(used, octets, limit_octets):
            return FITS
        # RFC 3463 3.3: mailbox full. Temporary, for its owner may make room (RFC 5321 4.2.3 on 452).
        reply = Reply.of(452, "4.2.2", "The mailbox is full")
        return Verdict(reply, "mailbox.quota", f"{used} octets and {octets} more, the quota is {limit_octets}")

    def count(self, path: str, octets: int) -> None:
        """Add what was delivered, or subtract what was deleted."""
        usage = self._usages.get(path)
        if usage is not None:
            usage.octets += octets

    async def _used(self, path: str, fresh_seconds: float) -> int:
        usage = self._usages.get(path)
        if usage is None or self._now() - usage.counted_at >= fresh_seconds:
            counted_at = self._now()
            octets: int = await self._worker.submit(lambda: used_octets(path))
            usage = self._usages[path] = _Usage(octets, counted_at)
            while len(self._usages) > MAX_REMEMBERED:
                self._usages.popitem(last=False)
        self._usages.move_to_end(path)
        return usage.octets


def _fits(used: int, octets: int, limit_octets: int) -> bool:
    return used < limit_octets and used + octets <= limit_octets


def used_octets(path: str) -> int:
    """The octets in all folders of the maildir; 0 when it does not exist yet."""
    total = 0
    for folder in _folders(path):
        for directory in ("new", "cur"):
            for entry in messages_in(os.fsencode(os.path.join(folder, directory))):
                size = stored_size(entry.name)
                total += _size(entry) if size is None else size
    return total


def _folders(path: str) -> Iterator[str]:
    """The mailbox itself and its folders."""
    yield path
    for name in folders.inside(path):
        yield os.path.join(path, name)


def _size(entry: os.DirEntry[bytes]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        # Renamed or deleted while we looked.
        return 0
