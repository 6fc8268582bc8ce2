"""
Looks through the octets of a message piece by piece: whether it can stand in another message as it is (RFC 2045 2.7, 2.8).

Memory does not depend on the size: what is kept is a digest, and the length of the line that is not finished.
"""

from __future__ import annotations

import hashlib
import re

from hermes.core.report import Whole
from hermes.core.report_parts import MAX_LINE_OCTETS

# What no line of mail holds in the stored form: NUL, and CR, which stands alone there.
_BROKEN = re.compile(rb"[\0\r]")


class Examination:
    """Takes the pieces of a message, in order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._ascii = True
        self._broken = False
        self._line = 0  #: octets of the line that is not finished

    def add(self, piece: bytes) -> None:
        """The next octets."""
        self._digest.update(piece)
        self._ascii = self._ascii and piece.isascii()
        lengths = [len(line) for line in piece.split(b"\n")]
        # The first line may have begun in the pieces before.
        lengths[0] += self._line
        self._broken = self._broken or max(lengths) > MAX_LINE_OCTETS or _BROKEN.search(piece) is not None
        self._line = lengths[-1]

    def result(self) -> Whole | None:
        """What was found; None for what is not lines of mail."""
        return None if self._broken else Whole(self._digest.digest(), self._ascii)
