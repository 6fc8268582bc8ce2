"""
What is known of other people's servers (``Concurrency.strangers``), and how much of the active set mail to them may take.

Their number is in strangers' hands: ten thousand destinations may hang as well as one. So mail is of three kinds, by what its
destination did the last time, and each kind has a part of the active set, the rest of which is for all other mail. What finds
no room stays on disk and is not looked at before there is some, so that it keeps nobody behind it from being found.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Collection

from hermes.core.busy import Busy
from hermes.queue.active import MAX_OCTETS, RECIPIENTS_A_PLACE, ActiveMessage

#: Destinations remembered, a megabyte or two; the one is forgotten of which nothing has been heard for the longest time.
MAX_REMEMBERED = 10_000


class Standing(enum.Enum):
    """What a destination did the last time, in the order in which they have their turns; the value is for messages in code."""

    ANSWERED = "answered"
    UNKNOWN = "unknown"
    FAILED = "failed"


#: Sixteenths of the active set: most for those of whom nothing is known, so that they can take all places that `[direct] waiting`
#: gives as both settings come; enough for those that answer, which soon leave, and for those that failed, whose turn need not
#: come soon. Two are left for other mail.
SIXTEENTHS = {Standing.ANSWERED: 3, Standing.UNKNOWN: 9, Standing.FAILED: 2}


class Standings:
    """What destinations did the last time. After a restart nothing is known."""

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._well: OrderedDict[str, bool] = OrderedDict()

    def learn(self, destination: str, well: bool) -> None:
        """It was there, or it was not."""
        self._well[destination] = well
        self._well.move_to_end(destination)
        if len(self._well) > self._most:
            self._well.popitem(last=False)

    def of(self, destination: str) -> Standing:
        """What is known."""
        well = self._well.get(destination)
        return Standing.UNKNOWN if well is None else Standing.ANSWERED if well else Standing.FAILED

    def names(self, standings: Collection[Standing]) -> set[str]:
        """Those of which something is known, and that is one of these."""
        wanted = {well for well in (True, False) if (Standing.ANSWERED if well else Standing.FAILED) in standings}
        return {name for name, well in self._well.items() if well in wanted} if wanted else set()


class _Share:
    """The part of one kind; ``closed`` and what follows are as with a destination (:mod:`hermes.queue.destinations`)."""

    __slots__ = ("aliases", "asked", "closed", "crowded", "most", "most_octets", "octets", "recipients", "taken")

    def __init__(self, most: int, sixteenths: int) -> None:
        # One message always fits.
        self.most = max(1, most * sixteenths // 16)
        self.most_octets = MAX_OCTETS * sixteenths // 16
        self.taken = 0
        self.recipients = 0
        self.octets = 0
        self.closed = False
        self.crowded = False
        self.asked = False
        self.aliases: set[str] = set()

    def count(self, active: ActiveMessage, sign: int) -> None:
        self.taken += sign
        self.recipients += sign * active.recipients
        self.octets += sign * active.octets

    @property
    def used(self) -> float:
        """The part of it that is taken; 1 and more: all of it."""
        recipients = self.recipients / (self.most * RECIPIENTS_A_PLACE)
        return max(self.taken / self.most, recipients, self.octets / self.most_octets)

    def admits(self, *, fresh: bool) -> bool:
        limit = 0.75 if fresh and self.crowded else 1.0
        if self.used < limit and not (fresh and self.closed):
            return True
        self.closed = self.crowded = True
        self.asked = False
        return False

    def reopened(self) -> bool:
        if not self.closed or self.used > 0.875:
            return False
        self.closed = False
        self.aliases.clear()
        return True


class Shares:
    """The parts of an active set of ``most`` messages."""

    def __init__(self, most: int) -> None:
        self._shares = {standing: _Share(most, sixteenths) for standing, sixteenths in SIXTEENTHS.items()}
        self._taken: dict[ActiveMessage, set[Standing]] = {}

    def __len__(self) -> int:
        """Messages that have a place here."""
        return len(self._taken)

    def admits(self, active: ActiveMessage, standing: Standing, *, fresh: bool) -> bool:
        """Take a message to a destination of this kind, when there is room, or when it has a place among its kind already."""
        standings = self._taken.get(active, set())
        if standing not in standings:
            if not self._shares[standing].admits(fresh=fresh):
                return False
            self._shares[standing].count(active, 1)
            self._taken.setdefault(active, standings).add(standing)
        return True

    def left(self, active: ActiveMessage) -> bool:
        """A message has left the active set: True when there is room again for what stayed on disk."""
        shares = [self._shares[standing] for standing in self._taken.pop(active, ())]
        for share in shares:
            share.count(active, -1)
        reopened = [share for share in shares if share.reopened()]
        return bool(reopened)

    def closed(self, standing: Standing) -> bool:
        """Whether mail for destinations of this kind stays on disk."""
        return self._shares[standing].closed

    def also_known_as(self, standing: Standing, stored: str) -> None:
        """Mail that the spool has under another name would go to a destination of this kind."""
        if self._shares[standing].closed:
            self._shares[standing].aliases.add(stored)

    def busy(self, names: Collection[str], standings: Standings, agents: Collection[str]) -> Busy:
        """What shall stay on disk now, of these agents, beside the ``names``; all else is about to be asked for."""
        closed = set()
        stays = set(names)
        for standing, share in self._shares.items():
            share.asked = not share.closed
            if share.closed:
                closed.add(standing)
                stays |= share.aliases
        if Standing.UNKNOWN in closed:
            return Busy(frozenset(stays), frozenset(agents), frozenset(standings.names(set(Standing) - closed)))
        return Busy(frozenset(stays | standings.names(closed)) if closed else frozenset(stays))

    def looked(self) -> None:
        """All that was asked for has come."""
        for share in self._shares.values():
            if share.asked:
                share.asked = share.crowded = False
