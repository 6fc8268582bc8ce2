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

_LONG = re.compile(rb"[^\n]{%d}" % (MAX_LINE_OCTETS + 1))


class Examination:
    """Takes the pieces of a message, in order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._ascii = True
        self._broken = False
        self._line = b""

    def add(self, piece: bytes) -> None:
        """The next octets."""
        self._digest.update(piece)
        self._ascii = self._ascii and piece.isascii()
        # A line may have begun in the pieces before; of it at most as much is kept as makes it too long.
        joined = self._line + piece
        self._broken = self._broken or _BROKEN.search(piece) is not None or _LONG.search(joined) is not None
        self._line = joined[joined.rfind(b"\n") + 1 :][: MAX_LINE_OCTETS + 1]

    def result(self) -> Whole | None:
        """What was found; None for what is not lines of mail."""
        return None if self._broken else Whole(self._digest.digest(), self._ascii)
