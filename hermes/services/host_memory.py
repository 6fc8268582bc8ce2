"""Which hosts something was wrong with lately, so that others are tried first; forgotten after some minutes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

#: As long as the first pause of the queue: by then it is worth another look.
SECONDS = 300.0

#: Hosts remembered; the oldest is forgotten first.
MAX_HOSTS = 1000


class HostMemory:
    """A set that forgets."""

    def __init__(self, now: Callable[[], float], *, seconds: float = SECONDS, max_hosts: int = MAX_HOSTS) -> None:
        self._now = now
        self._seconds = seconds
        self._max_hosts = max_hosts
        self._until: OrderedDict[str, float] = OrderedDict()

    def remember(self, host: str) -> None:
        """Something is wrong with this host."""
        self._until[host] = self._now() + self._seconds
        self._until.move_to_end(host)
        if len(self._until) > self._max_hosts:
            self._until.popitem(last=False)

    def forget(self, host: str) -> None:
        """It is well again."""
        self._until.pop(host, None)

    def __contains__(self, host: str) -> bool:
        until = self._until.get(host)
        if until is None:
            return False
        if until <= self._now():
            del self._until[host]
            return False
        return True
