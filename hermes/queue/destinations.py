"""
Destinations: how many deliveries each may run, how many may wait, and whose turn it is.

The active set is shared by all destinations. One that hangs may fill its share and no more; then it is ``busy``, its mail
stays on disk, and the others go on. Shares shrink as the set fills, so that even many hanging destinations leave room
for one more. The same holds for the connections of an agent that many destinations share.

Where the destinations are other people's servers (``waiting``), those that answered the last time, those of which nothing is
known and those that failed take turns, and a few connections are kept for the first when all that may keep us waiting do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import attrs

from hermes.core.busy import Busy
from hermes.queue.active import ActiveMessage, Delivery
from hermes.queue.standing import Shares, Standing, Standings


@attrs.frozen
class Concurrency:
    """
    How many deliveries run at once: ``total`` for the agent, ``per_destination`` for each next hop at most.

    With ``initial`` a next hop begins with so many; it gets one more after as many successes as it has, up to the most, and half
    after each failure, down to one. ``most_of`` says for a next hop how many it may have at most, where that differs (0: it does
    not). So many deliveries that keep us waiting (:meth:`Destinations.keeps_waiting`) are not counted in the total: ``waiting``.
    With ``strangers`` the destinations are other people's, and there may be any number of them: their mail has no more than its
    parts of the active set (:mod:`hermes.queue.standing`).
    """

    total: int
    per_destination: int
    initial: int | None = None
    most_of: Callable[[str], int] | None = None
    waiting: int = 0
    strangers: bool = False

    @property
    def kept(self) -> int:
        """How many of the total are for destinations that answered the last time, when all that may keep us waiting do."""
        return min(max(1, self.total // KEPT_PART), self.total - 1)

    def most(self, next_hop: str) -> int:
        """How many deliveries a next hop may have at most."""
        own = self.most_of(next_hop) if self.most_of is not None else 0
        return own or self.per_destination


#: Of so many connections one is kept for destinations that answered the last time, when all that may keep us waiting do.
KEPT_PART = 10

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
        "standing",
        "waiting",
        "well",
    )

    def __init__(self, name: str, crowd: _Crowd, standing: Standing) -> None:
        self.name = name
        self.standing = standing
        self.next_hop = name.partition(":")[2]
        self.crowd = crowd
        self.allowed = crowd.limit.initial  #: deliveries that it may have now, as far as it goes by success and failure
        self.well = 0  #: successes since that was changed
        self.running = 0
        self.waiting: deque[Delivery] = deque()
        self.queued: deque[_Lane] | None = None  #: the one of the crowd's queues in which it stands
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
    """All destinations of one agent; ``queues`` hold those that have something to start and may, that whose turn it is first."""

    __slots__ = ("late", "limit", "queues", "running", "waiting")

    def __init__(self, limit: Concurrency) -> None:
        self.limit = limit
        self.running = 0
        self.waiting = 0  #: deliveries under way that are not counted in running
        self.late: dict[Delivery, None] = {}  #: those that keep us waiting and are counted in running, in their order
        self.queues: dict[Standing, deque[_Lane]] = {standing: deque() for standing in Standing}

    def free(self, standing: Standing) -> int:
        """How many more may run, as far as it goes by the standing."""
        limit = self.limit
        free = limit.total - self.running
        if limit.waiting and standing is not Standing.ANSWERED:
            # Kept back one by one while the last places of those that keep us waiting are taken.
            free -= max(0, limit.kept - (limit.waiting - self.waiting))
        return free

    def may_start(self, lane: _Lane) -> bool:
        free = self.free(lane.standing)
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
        self._standings = Standings()
        self.shares = Shares(most)

    def limit(self, limits: Mapping[str, Concurrency]) -> None:
        """Take other limits; what runs already goes on."""
        self._limits = limits
        for agent, crowd in self._crowds.items():
            crowd.limit = self._limit_of(agent)
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

    def admits(self, active: ActiveMessage, destination: str, free: int, *, fresh: bool) -> bool:
        """The same for a delivery of this message, which takes a place of its kind where there are kinds."""
        if not self.has_room(destination, free, fresh=fresh):
            return False
        if not self._limit_of(destination.partition(":")[0]).strangers:
            return True
        return self.shares.admits(active, self._standings.of(destination), fresh=fresh)

    def also_known_as(self, destination: str, stored: str) -> None:
        """Mail that the spool has under another name would go to this busy destination, too."""
        if stored == destination:
            return
        if (lane := self._lanes.get(destination)) is not None:
            lane.aliases.add(stored)
        if self._limit_of(destination.partition(":")[0]).strangers:
            self.shares.also_known_as(self._standings.of(destination), stored)

    def _share(self, lane: _Lane, free: int) -> int:
        """A quarter of the active set; twice what may run, when that is more; never more than half of what is free."""
        wanted = max(2 * lane.crowd.limit.most(lane.next_hop), self._most // 4)
        return max(1, min(wanted, self._most // 2, free // 2))

    def add(self, delivery: Delivery) -> bool:
        """Take a delivery: True when it may start now, False when it waits for :meth:`take`."""
        lane = self._lanes.get(delivery.destination)
        if lane is None:
            standing = self._standings.of(delivery.destination)
            lane = _Lane(delivery.destination, self._crowd(delivery.agent), standing)
            self._lanes[delivery.destination] = lane
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
            for standing, queue in list(crowd.queues.items()):
                lane = self._first(crowd, queue) if crowd.free(standing) > 0 else None
                if lane is not None:
                    # The other kinds come first now.
                    crowd.queues[standing] = crowd.queues.pop(standing)
                    delivery = lane.waiting.popleft()
                    lane.running += 1
                    crowd.running += 1
                    self._enqueue(lane)
                    return delivery
        return None

    @staticmethod
    def _first(crowd: _Crowd, queue: deque[_Lane]) -> _Lane | None:
        """Take the first that may start out of its queue."""
        for _ in range(len(queue)):
            lane = queue.popleft()
            if crowd.may_start(lane):
                lane.queued = None
                return lane
            queue.append(lane)
        return None

    def ended(self, delivery: Delivery, well: bool | None = None) -> bool:
        """
        A delivery that was started has ended: True when its destination has room again for mail on disk.

        ``well`` says whether the other side was there for it; None where that is not known.
        """
        lane = self._lanes[delivery.destination]
        released = False
        if well is not None:
            lane.learn(well)
            if lane.crowd.limit.waiting:
                self._standings.learn(lane.name, well)
                before, lane.standing = lane.standing, self._standings.of(lane.name)
                # Mail that stayed on disk because of its kind may be of another one now.
                released = well and before is not lane.standing and self.shares.closed(before)
        lane.running -= 1
        if delivery.keeps_waiting:
            lane.crowd.waiting -= 1
        else:
            lane.crowd.running -= 1
            lane.crowd.late.pop(delivery, None)
        if lane.crowd.late:
            # There was no place for it when it began to keep us waiting.
            self.keeps_waiting(next(iter(lane.crowd.late)))
        self._enqueue(lane)
        return self._shrunk(lane) or released

    def may_keep_waiting(self, delivery: Delivery) -> bool:
        """Whether that is looked at: it is not for every agent."""
        return self._lanes[delivery.destination].crowd.limit.waiting > 0

    def keeps_waiting(self, delivery: Delivery) -> bool:
        """A delivery takes longer than it should: another one may take its place, when True; it goes on all the same."""
        crowd = self._lanes[delivery.destination].crowd
        if crowd.waiting >= crowd.limit.waiting:
            crowd.late[delivery] = None
            return False
        crowd.late.pop(delivery, None)
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
        if not lane.waiting and lane.queued is not None:
            lane.queued.remove(lane)
            lane.queued = None
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

    def busy(self) -> Busy:
        """The same with those for whose kind there is no room."""
        strangers = {agent for agent in {*self._crowds, *self._limits} if self._limit_of(agent).strangers}
        return self.shares.busy(self.looking(), self._standings, strangers)

    def looked(self) -> None:
        """All that was asked for has come: nothing is left on disk but what was refused since."""
        self.shares.looked()
        for lane in self._lanes.values():
            if lane.asked:
                lane.asked = lane.crowded = False

    def forget_waiting(self) -> None:
        """Drop what waits: it is on disk."""
        for lane in self._lanes.values():
            lane.waiting.clear()
            lane.queued = None
        for crowd in self._crowds.values():
            for queue in crowd.queues.values():
                queue.clear()

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
            crowd = self._crowds[agent] = _Crowd(self._limit_of(agent))
        return crowd

    def _limit_of(self, agent: str) -> Concurrency:
        return self._limits.get(agent, DEFAULT_CONCURRENCY)

    @staticmethod
    def _enqueue(lane: _Lane) -> None:
        if lane.waiting and lane.queued is None and lane.running < lane.limit:
            lane.queued = lane.crowd.queues[lane.standing]
            lane.queued.append(lane)

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
