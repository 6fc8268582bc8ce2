"""
SIGHUP in the first second of a server, before there is anybody who could obey it: it is remembered, and ends nothing.

Nothing else is imported here, so that it can be the first thing that a server does.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class EarlyHangUp:
    """Takes the signal until :class:`hermes.app.hang_up.HangUps` does, which looks whether it ``came``."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: object) -> None:
        """Remember it."""
        self.came = True


@contextlib.contextmanager
def expected() -> Iterator[None]:
    """From here on."""
    before = signal.signal(signal.SIGHUP, EarlyHangUp())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
