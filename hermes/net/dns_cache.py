"""What the resolver remembers: answers with their time, in a room that is bounded by number and by octets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from hermes.core.dns_answer import Answer

#: Answers kept, unless the settings say otherwise: what a busy site asks within an hour.
MAX_CACHED = 10_000

#: Octets kept, so that a stranger whose names have TXT records of 64 KiB does not fill the memory with them. An ordinary
#: answer has 300 with all that Python adds: this is more than MAX_CACHED of them take.
MAX_CACHED_OCTETS = 16 * 1024**2

#: What an entry costs before its values, roughly.
_ENTRY_OCTETS = 250

#: A name in lower case, and the number of a record type.
Key = tuple[bytes, int]


class AnswerCache:
    """Answers until their time is over; when there is no room, those that were put in first go."""

    def __init__(self, seconds: Callable[[], float], max_answers: int, max_octets: int = MAX_CACHED_OCTETS) -> None:
        self._seconds = seconds
        self._max_answers = max_answers
        self._max_octets = max_octets
        self._kept: OrderedDict[Key, tuple[float, int, Answer[Any]]] = OrderedDict()
        self.octets = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Answer[Any] | None:
        """The answer to a question, as long as it holds."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] <= self._seconds():
            self._forget(key)
            return None
        return kept[2]

    def put(self, key: Key, ttl_seconds: int, answer: Answer[Any]) -> None:
        """Remember an answer; one that holds for no time is not remembered."""
        self._forget(key)
        if ttl_seconds <= 0:
            return
        octets = _ENTRY_OCTETS + len(key[0]) + len(answer.reason) + sum(map(_octets, answer.values))
        self._kept[key] = (self._seconds() + ttl_seconds, octets, answer)
        self.octets += octets
        while len(self._kept) > self._max_answers or self.octets > self._max_octets:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.octets -= kept[1]


def _octets(value: Any) -> int:
    return 60 + len(
        value if isinstance(value, str | bytes) else getattr(value, "host", "") or getattr(value, "data", "")
    )
