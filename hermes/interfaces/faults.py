"""What any part may raise when it cannot do its work now; whoever meets one of these answers "try again later"."""

from __future__ import annotations


class UnavailableError(Exception):
    """Who would have to be asked cannot be asked now: answer "try again later"; the text says for the trace why."""


class TooBusyError(Exception):
    """More wait than the server wants to keep waiting: answer "try again later"."""
