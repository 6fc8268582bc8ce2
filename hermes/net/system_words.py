"""Why a connection could not be made, in the system's own words."""

from __future__ import annotations


def system_words(error: Exception) -> str:
    """The system's own words, without those that say no more."""
    cause = getattr(error, "osError", None)
    if isinstance(cause, int) and error.args[0]:
        # Twisted has the system's number here, and its words beside it.
        return str(error.args[0])
    return str(getattr(cause, "strerror", None) or getattr(error, "strerror", None) or error).rstrip(".")
