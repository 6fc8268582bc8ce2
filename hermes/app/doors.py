"""The places where a server listens, from the settings to sockets that accept: of those that are wanted all, or none."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence

from hermes.app.entrances import Entrance
from hermes.app.listening import Door, Listening
from hermes.app.station import Station
from hermes.config.listener import parse_listener
from hermes.net.listen import ListenError, bind, discard


class Doors:
    """``listening`` has the module of each protocol; ``inherited`` gives the sockets of systemd, as for :func:`bind`."""

    def __init__(self, listening: Mapping[str, Listening], station: Station, inherited: Callable[[str], int]) -> None:
        self._listening = listening
        self._station = station
        self._inherited = inherited

    def bind(self, wanted: Iterable[Entrance]) -> list[tuple[Entrance, Door]]:
        """Bind all or none; raise ValueError with a text for the administrator."""
        bound: list[tuple[Entrance, Door]] = []
        for one in wanted:
            try:
                opened = self._socket(one.place)
            except ListenError as error:
                self._discard(bound)
                raise ValueError(f"{one.section}: {error}") from error
            bound.append((one, Door(one.place, opened, one.factory, self._station.crowded)))
        return bound

    def wait(self, bound: Sequence[tuple[Entrance, Door]]) -> None:
        """Have them opened when the server has started."""
        for one, door in bound:
            self._listening[one.module].open(door)

    async def open(self, bound: Sequence[tuple[Entrance, Door]]) -> None:
        """
        Accept at all of them now, or at none; raise ValueError with a text for the administrator.

        Nobody comes in before the reactor turns again, and that it does only when one cannot be opened.
        """
        for number, (one, door) in enumerate(bound):
            try:
                self._listening[one.module].open(door)
            except OSError as error:
                # The last descriptor may just have been taken by a session.
                self._discard(bound[number:])
                for other, _ in bound[:number]:
                    await self._listening[other.module].close(other.place)
                raise ValueError(f"{one.section}: cannot listen at {one.place}: {error.strerror}") from error

    def _socket(self, place: str) -> socket.socket:
        if self._station.alone:
            return bind(parse_listener(place), self._inherited)
        return self._station.socket(place)

    def _discard(self, bound: Iterable[tuple[Entrance, Door]]) -> None:
        for _, door in bound:
            discard(parse_listener(door.place), door.opened, shared=not self._station.alone)


def refuse_other_uses(there: Mapping[str, Entrance], wanted: Mapping[str, Entrance]) -> None:
    """Raise ValueError, with a text for the administrator, for a place that would have to be closed before it can be opened."""
    new = sorted(wanted.keys() - there.keys())
    for place, now in there.items():
        if place in wanted and wanted[place].section != now.section:
            raise ValueError(
                f"{place} is {now.section} and cannot become {wanted[place].section} while the server runs: restart it"
            )
        # The old one would have to be closed before the new one is opened, and then there would be no way back.
        for other in new:
            if parse_listener(other).overlaps(parse_listener(place)):
                raise ValueError(f"{other} cannot be opened beside {place} while the server runs: restart it")
