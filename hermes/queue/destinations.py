"""
Destinations: how many deliveries each may run, how many may wait, and whose turn it is.

The active set is shared by all destinations. One that hangs may fill its share and no more; then it is ``busy``, its mail
stays on disk, and the others go on. Shares shrink as the set fills, so that even many hanging destinations leave room
for one more. The same holds for the connections of an agent that many destinations share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import attrs

from hermes.queue.active import Delivery


@attrs.frozen
class Concurrency:
    """
    How many deliveries run at once: ``total`` for the agent, ``per_destination`` for each next hop at most.

    With ``initial`` a next hop begins with so many; it gets one more after as many successes as it has, up to the most, and half
    after each failure, down to one. ``most_of`` says for a next hop how many it may have at most, where that differs (0: it does
    not). So many deliveries that keep us waiting (:meth:`Destinations.keeps_waiting`) are not counted in the total: ``waiting``.
    """

    total: int
    per_destination: int
    initial: int | None = None
    most_of: Callable[[str], int] | None = None
    waiting: int = 0

    def most(self, next_hop: str) -> int:
        """How many deliveries a next hop may have at most."""
        own = self.most_of(next_hop) if self.most_of is not None else 0
        return own or self.per_destination


#: For agents that nothing is said about.
DEFAULT_CONCURRENCY = Concurrency(total=50, per_destination=5)


class _Lane:
    """One destination."""

    __slots__ = (
        "aliases",
        "allowed",
        "asked",
        "closed",
        "crowd",
        "crowded",
        "name",
        "next_hop",
        "queued",
        "reopen_at",
        "running",
        "waiting",
        "well",
    )

    def __init__(self, name: str, crowd: _Crowd) -> None:
        self.name = name
        self.next_hop = name.partition(":")[2]
        self.crowd = crowd
        self.allowed = crowd.limit.initial  #: deliveries that it may have now, as far as it goes by success and failure
        self.well = 0  #: successes since that was changed
        self.running = 0
        self.waiting: deque[Delivery] = deque()
        self.queued = False  #: stands in the crowd's queue
        self.closed = False  #: its share is used up
        self.reopen_at = 0
        self.crowded = False  #: there is mail on disk for it that could not be taken
        self.asked = False  #: that mail is being asked for
        self.aliases: set[str] = set()  #: other names under which the spool knows mail for it

    @property
    def size(self) -> int:
        return self.running + len(self.waiting)

    @property
    def limit(self) -> int:
        """How many deliveries it may have now."""
        most = self.crowd.limit.most(self.next_hop)
        return most if self.allowed is None else max(1, min(self.allowed, most))

    def learn(self, well: bool) -> None:
        """A delivery has ended, well or not."""
        if self.allowed is None:
            return
        limit = self.limit
        self.well = self.well + 1 if well else 0
        if not well:
            self.allowed = max(1, limit // 2)
        elif self.well >= limit:
            self.allowed, self.well = limit + 1, 0


class _Crowd:
    """All destinations of one agent; ``queue`` holds those that have something to start and may."""

    __slots__ = ("limit", "queue", "running", "waiting")

    def __init__(self, limit: Concurrency) -> None:
        self.limit = limit
        self.running = 0
        self.waiting = 0  #: deliveries under way that are not counted in running
        self.queue: deque[_Lane] = deque()

    def may_start(self, lane: _Lane) -> bool:
        free = self.limit.total - self.running
        if free <= 0 or lane.running >= lane.limit:
            return False
        # A destination may not have more than what is left for the others.
        return lane.running == 0 or lane.running < free


class Destinations:
    """Every destination that has deliveries running or waiting. ``most`` is the size of the active set, in messages."""

    def __init__(self, limits: Mapping[str, Concurrency], most: int) -> None:
        self._limits = limits
        self._most = most
        self._lanes: dict[str, _Lane] = {}
        self._crowds: dict[str, _Crowd] = {}

    def limit(self, limits: Mapping[str, Concurrency]) -> None:
        """Take other limits; what runs already goes on."""
        self._limits = limits
        for agent, crowd in self._crowds.items():
            crowd.limit = limits.get(agent, DEFAULT_CONCURRENCY)
        for lane in self._lanes.values():
            lane.allowed = lane.crowd.limit.initial
            self._enqueue(lane)

    def has_room(self, destination: str, free: int, *, fresh: bool) -> bool:
        """
        True when one more delivery for the destination may be taken while ``free`` places are left in the active set.

        When the answer is no, its mail stays on disk, and :meth:`ended` says when it is time to look for it. ``fresh``
        mail leaves a quarter of the share to what waits on disk already.
        """
        lane = self._lanes.get(destination)
        if lane is None:
            return True
        share = self._share(lane, free)
        if fresh and lane.crowded:
            share = share * 3 // 4
        # What was asked for before the destination closed is taken all the same while it fits.
        has_room = lane.size < share and not (fresh and lane.closed)
        if not has_room:
            lane.crowded = True
            lane.asked = False
            if not lane.closed:
                lane.closed = True
                lane.reopen_at = lane.size // 2
        return has_room

    def also_known_as(self, destination: str, stored: str) -> None:
        """Mail that the spool has under another name would go to this busy destination, too."""
        if stored != destination and (lane := self._lanes.get(destination)) is not None:
            lane.aliases.add(stored)

    def _share(self, lane: _Lane, free: int) -> int:
        """A quarter of the active set; twice what may run, when that is more; never more than half of what is free."""
        wanted = max(2 * lane.crowd.limit.most(lane.next_hop), self._most // 4)
        return max(1, min(wanted, self._most // 2, free // 2))

    def add(self, delivery: Delivery) -> bool:
        """Take a delivery: True when it may start now, False when it waits for :meth:`take`."""
        lane = self._lanes.get(delivery.destination)
        if lane is None:
            lane = self._lanes[delivery.destination] = _Lane(delivery.destination, self._crowd(delivery.agent))
        if lane.crowd.may_start(lane):
            lane.running += 1
            lane.crowd.running += 1
            return True
        lane.waiting.append(delivery)
        self._enqueue(lane)
        return False

    def take(self) -> Delivery | None:
        """The next delivery that may start, destinations taking turns; None when none may."""
        for crowd in self._crowds.values():
            for _ in range(len(crowd.queue)):
                lane = crowd.queue.popleft()
                if crowd.may_start(lane):
                    delivery = lane.waiting.popleft()
                    lane.running += 1
                    crowd.running += 1
                    lane.queued = False
                    self._enqueue(lane)
                    return delivery
                crowd.queue.append(lane)
                if crowd.running >= crowd.limit.total:
                    break
        return None

    def ended(self, delivery: Delivery, well: bool | None = None) -> bool:
        """
        A delivery that was started has ended: True when its destination has room again for mail on disk.

        ``well`` says whether the other side was there for it; None where that is not known.
        """
        lane = self._lanes[delivery.destination]
        if well is not None:
            lane.learn(well)
        lane.running -= 1
        if delivery.keeps_waiting:
            lane.crowd.waiting -= 1
        else:
            lane.crowd.running -= 1
        self._enqueue(lane)
        return self._shrunk(lane)

    def may_keep_waiting(self, delivery: Delivery) -> bool:
        """Whether that is looked at: it is not for every agent."""
        return self._lanes[delivery.destination].crowd.limit.waiting > 0

    def keeps_waiting(self, delivery: Delivery) -> bool:
        """A delivery takes longer than it should: another one may take its place, when True; it goes on all the same."""
        crowd = self._lanes[delivery.destination].crowd
        if crowd.waiting >= crowd.limit.waiting:
            return False
        crowd.running -= 1
        crowd.waiting += 1
        delivery.keeps_waiting = True
        return True

    def withdraw(self, delivery: Delivery) -> bool:
        """Take back a delivery that waits; False when it does not."""
        lane = self._lanes.get(delivery.destination)
        if lane is None or delivery not in lane.waiting:
            return False
        lane.waiting.remove(delivery)
        if not lane.waiting and lane.queued:
            lane.queued = False
            lane.crowd.queue.remove(lane)
        self._shrunk(lane)
        return True

    def looking(self) -> list[str]:
        """The names whose mail shall stay on disk now; all others are about to be asked for."""
        busy: list[str] = []
        for lane in self._lanes.values():
            lane.asked = not lane.closed
            if lane.closed:
                busy.append(lane.name)
                busy += lane.aliases
        return busy

    def looked(self) -> None:
        """All that was asked for has come: nothing is left on disk but what was refused since."""
        for lane in self._lanes.values():
            if lane.asked:
                lane.asked = lane.crowded = False

    def forget_waiting(self) -> None:
        """Drop what waits: it is on disk."""
        for lane in self._lanes.values():
            lane.waiting.clear()
            lane.queued = False
        for crowd in self._crowds.values():
            crowd.queue.clear()

    def describe(self) -> list[dict[str, str | int | bool]]:
        """One row for each destination, for people."""
        return [
            {
                "name": lane.name,
                "running": lane.running,
                "waiting": len(lane.waiting),
                "busy": lane.closed,
                "limit": lane.limit,
            }
            for lane in self._lanes.values()
        ]

    def _crowd(self, agent: str) -> _Crowd:
        crowd = self._crowds.get(agent)
        if crowd is None:
            crowd = self._crowds[agent] = _Crowd(self._limits.get(agent, DEFAULT_CONCURRENCY))
        return crowd

    @staticmethod
    def _enqueue(lane: _Lane) -> None:
        if lane.waiting and not lane.queued and lane.running < lane.limit:
            lane.queued = True
            lane.crowd.queue.append(lane)

    def _shrunk(self, lane: _Lane) -> bool:
        reopened = lane.closed and lane.size <= lane.reopen_at
        if reopened:
            lane.closed = False
            lane.aliases.clear()
        if lane.size == 0:
            # Nothing is remembered of a destination that has nothing to do: their number is in strangers' hands.
            reopened = reopened or lane.crowded
            del self._lanes[lane.name]
        return reopened
