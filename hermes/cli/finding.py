"""What ``hermes check`` says of one thing that it has looked at."""

from __future__ import annotations

import enum

import attrs


class Level(enum.Enum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Finding:
    """One line of the answer: what was looked at, and how it is."""

    level: Level
    about: str
    text: str


def ok(about: str, text: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, about, text)


def warn(about: str, text: str) -> Finding:
    """It works, and is hardly meant, or will soon not work."""
    return Finding(Level.WARN, about, text)


def fail(about: str, text: str) -> Finding:
    """The server could not start, or mail could not be delivered."""
    return Finding(Level.FAIL, about, text)
