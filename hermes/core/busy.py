"""Destinations whose mail shall stay on disk for now."""

from __future__ import annotations

import attrs


@attrs.frozen
class Busy:
    """Those in ``names``, and all of the ``agents`` but those in ``spared``. For the question whether one is in it."""

    names: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    spared: frozenset[str] = frozenset()

    def __contains__(self, destination: object) -> bool:
        if destination in self.names:
            return True
        if not self.agents or not isinstance(destination, str):
            return False
        return destination.partition(":")[0] in self.agents and destination not in self.spared
