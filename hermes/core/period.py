"""When a name or an address was somebody's: afterwards, and before, it may be another's."""

from __future__ import annotations

import math

import attrs


@attrs.frozen
class Period:
    """The time after ``since`` and up to ``until``, in seconds since the epoch, of a name or an address."""

    name: str
    since: float = 0.0
    until: float = math.inf

    @property
    def is_ever(self) -> bool:
        """Whether it has no bounds."""
        return self.since <= 0.0 and self.until == math.inf
