"""
Whose turn it is to ask the name servers: so many questions at once, and none that holds the others up.

Strangers choose many of the names that are asked for, and can choose such as nobody answers. A question that has been out for a
while without an answer goes on beside the others, and its place is given to the next; of very many of these the oldest ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from hermes.net.dns_query import Unanswered

#: Questions on their way at once, each with a socket of its own, and those that may wait for their turn. A thousand clients
#: who come at once, each with a handful of lists, find room; more than that are told that DNS is not available.
MAX_RUNNING = 58
MAX_WAITING = 5000

#: Most answers come within this time. What takes longer does not keep others waiting: a client waits for five seconds, and four
#: hundred names that nobody answers, which sixty sessions can ask for at once, are through before that.
SLOW_SECONDS = 0.3

#: Questions that take longer, each with a socket too: with those above no more than there are descriptors for where the system
#: allows 1024. When the first name server is down, and the second answers after three seconds, these are thirty a second.
MAX_SLOW = 60

T = TypeVar("T")


class DNSTurns:
    """Lets questions go out in their order; ``running`` counts those that take a place, ``slow`` are the others, oldest first."""

    def __init__(self, clock: IReactorTime) -> None:
        self.running = 0
        self.slow: dict[Deferred[Any], None] = {}
        self._clock = clock
        self._waiting: deque[Deferred[None]] = deque()

    async def take(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T | Unanswered:
        """Ask when it is our turn."""
        if self.running < MAX_RUNNING:
            self.running += 1
        elif len(self._waiting) >= MAX_WAITING:
            return Unanswered("too many look-ups are waiting already", asked=False)
        else:
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            await turn
        asking = Deferred.fromCoroutine(ask())
        timer = self._clock.callLater(SLOW_SECONDS, self._make_way, asking)
        try:
            return await asking
        except CancelledError:
            # It was asked, and had longer than most: of a server that is dead all questions end like this one.
            return Unanswered("too many look-ups have no answer at the moment")
        finally:
            if timer.active():
                timer.cancel()
                self._next()
            else:
                self.slow.pop(asking, None)

    def _make_way(self, asking: Deferred[Any]) -> None:
        self.slow[asking] = None
        self._next()
        if len(self.slow) > MAX_SLOW:
            oldest = next(iter(self.slow))
            # Not again: it may take a moment to close its socket.
            del self.slow[oldest]
            oldest.cancel()

    def _next(self) -> None:
        if self._waiting:
            # Not at once: servers that fail at once would call one look-up out of the other, thousands deep.
            self._clock.callLater(0, self._waiting.popleft().callback, None)
        else:
            self.running -= 1
