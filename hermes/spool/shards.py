"""All shards of a spool as one: for the command line, and for whoever answers "where is my message?"."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Sequence
from itertools import islice, permutations
from types import TracebackType
from typing import Self

from hermes.core.accountability import Tally
from hermes.core.accountability import merged as merged_tallies
from hermes.core.event import Event
from hermes.core.message import QueuedMessage
from hermes.core.period import Period
from hermes.core.selection import Selection
from hermes.core.shape import By, Counted, Shape, merged, sum_of
from hermes.spool.reader import SpoolReader


class ShardsReader:
    """
    Reads the spools in ``directories``, as :class:`hermes.spool.reader.SpoolReader` reads one.

    Every method raises SpoolError when one of them cannot be read: half an answer would be taken for the whole.
    """

    def __init__(self, directories: Sequence[str]) -> None:
        with contextlib.ExitStack() as opened:
            self._readers = [opened.enter_context(SpoolReader(directory)) for directory in directories]
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the databases."""
        self._opened.close()

    def queue(self, queue_id: str | None = None, limit: int | None = None) -> list[QueuedMessage]:
        """One message or all, oldest first, with every unfinished recipient; without their octets."""
        return merged_queue([reader.queue(queue_id, limit) for reader in self._readers])[:limit]

    def count(self) -> int:
        """How many messages are in the queue."""
        return sum(reader.count() for reader in self._readers)

    def listed(self, selection: Selection, limit: int | None = None) -> Iterator[QueuedMessage]:
        """The messages that a selection names, oldest first, with those of their recipients; without their octets."""
        parts = [reader.listed(selection, limit) for reader in self._readers]
        return islice(heapq.merge(*parts, key=lambda message: message.queue_id), limit)

    def counted(self, selection: Selection) -> Counted:
        """How much of the queue a selection names."""
        return sum_of(reader.counted(selection) for reader in self._readers)

    def shape(self, selection: Selection, by: By, now: float) -> Shape:
        """How many recipients there are of each age, by what they have in common."""
        return merged(reader.shape(selection, by, now) for reader in self._readers)

    def tally(self, since: float, until: float) -> Tally:
        """What happened in a time, and what is in the queue now."""
        return merged_tallies(reader.tally(since, until) for reader in self._readers)

    def track(self, query: str, limit: int = 1000) -> list[Event]:
        """What is known about a queue id, an address or a Message-ID, newest last."""
        found = [reader.track(query, limit) for reader in self._readers]
        if len(self._readers) > 1:
            # A message is in one shard, but who fetched it may have been a guest of another worker.
            ids = {event.queue_id for events in found for event in events if event.queue_id}
            for reader, events in zip(self._readers, found, strict=True):
                known = {event.queue_id for event in events}
                for queue_id in sorted(ids - known):
                    events.extend(reader.track(queue_id, limit))
        return merged_events(found)[-limit:]

    def history(self, periods: Sequence[Period]) -> Iterator[Event]:
        """All that is known about addresses and names, each in its time, newest last, however much it is."""
        for reader in self._readers:
            reader.want_history(periods)
        for reader, other in permutations(self._readers, 2):
            # As for track().
            for queue_id in reader.wanted_messages():
                other.want_message(queue_id)
        return heapq.merge(*(reader.wanted_events() for reader in self._readers), key=lambda event: event.at)

    def count_others(self, name: str) -> int:
        """How many events tell about an address or a name and are not in the history that was asked for last."""
        return sum(reader.count_others(name) for reader in self._readers)


def merged_queue(parts: Sequence[Sequence[QueuedMessage]]) -> list[QueuedMessage]:
    """The messages of several shards, oldest first."""
    return sorted((message for part in parts for message in part), key=lambda message: message.queue_id)


def merged_events(parts: Sequence[Sequence[Event]]) -> list[Event]:
    """The events of several shards, newest last; those of one shard keep their order when their times are the same."""
    return sorted((event for part in parts for event in part), key=lambda event: event.at)
