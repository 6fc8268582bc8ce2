"""
What the DNS says, as values: found, not there, or not to be had now (RFC 1035, 2308).

The resolver gives them, and whoever asks about a destination or a sender reads them. A :class:`Budget` says how many questions
one message may cause.
"""

from __future__ import annotations

import enum
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


class Status(enum.Enum):
    """How a look-up ended."""

    FOUND = "found"
    NO_DATA = "no such record"  #: the name exists, without records of this kind
    NO_NAME = "no such name"
    UNAVAILABLE = "not available"  #: it may work later


@attrs.frozen
class Answer(Generic[T]):
    """
    The end of a look-up: ``values`` when found, ``reason`` for people otherwise.

    ``secure`` says that a resolver that is trusted has verified it by DNSSEC (RFC 4035 3.2.3: the AD bit). ``asked`` is false
    where nobody was asked, for reasons of ours: that says nothing about whoever would have answered.
    """

    status: Status
    values: tuple[T, ...] = ()
    reason: str = ""
    secure: bool = False
    asked: bool = True

    @property
    def absent(self) -> bool:
        """True when the DNS says for certain that there is no such record."""
        return self.status in (Status.NO_DATA, Status.NO_NAME)


@attrs.frozen
class MailExchanger:
    """One MX record; an empty host is a null MX (RFC 7505)."""

    preference: int
    host: str


@attrs.define
class Budget:
    """
    What one message may cost in look-ups: ``left`` of so many questions, and how long each is waited for.

    A stranger chooses the names that are looked up for his mail, so what they cost is bounded (RFC 7208 4.6.4 gives the
    reason). What the cache answers is free. All checks of a message share one budget.
    """

    of: int = 50
    timeout_seconds: float = 5.0
    left: int = attrs.field(default=attrs.Factory(lambda self: self.of, takes_self=True), init=False)

    def spend(self) -> bool:
        """Take one question out of the budget; False when there is none left."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True

    def anew(self) -> Budget:
        """The same, with nothing spent."""
        return Budget(self.of, self.timeout_seconds)
