"""The table of routes: whose mail goes another way than mail of its kind usually does."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import attrs

from hermes.core.account import Remote, Resolution, Unknown
from hermes.core.address import split
from hermes.core.address_pattern import any_matches


class Whose(enum.Enum):
    """Whose an address is, without the table."""

    OURS = "ours"  #: a mailbox here, or an address that stands for others
    UNKNOWN = "unknown"  #: at a domain of ours, where nobody is known by that name
    ELSEWHERE = "elsewhere"  #: at another domain


def whose(resolution: Resolution) -> Whose:
    """The same as the directory says it."""
    match resolution:
        case Remote():
            return Whose.ELSEWHERE
        case Unknown():
            return Whose.UNKNOWN
        case _:
            return Whose.OURS


#: RFC 5321 4.5.1: whatever is said of a domain of ours, its postmaster gets his mail.
_POSTMASTER = "postmaster"

#: Ways out of the house: mail for ourselves never takes them.
_OUT = frozenset({"smarthost", "direct"})


@attrs.frozen
class Route:
    """
    One line of the table.

    ``recipients`` and ``senders`` are patterns (:mod:`hermes.core.address_pattern`), of which none asks for nothing. ``agent`` is
    smarthost, direct, lmtp, pipe, hold, discard or refuse, and ``argument`` what it needs: a name, a place, a command, a text.
    ``open_to_all`` says that everybody may send to these recipients, whether they are known here or not.
    """

    name: str
    recipients: tuple[str, ...]
    senders: tuple[str, ...]
    agent: str
    argument: str = ""
    open_to_all: bool = False

    @property
    def rule(self) -> str:
        """The name of what decided, for the trace."""
        return f"route.{self.name}"

    def destination(self, domain: str) -> str:
        """The destination for a recipient at a domain, as ``agent:next-hop``."""
        match self.agent:
            case "direct":
                return f"direct:{domain}"
            case "hold" | "refuse":
                return f"{self.agent}:{self.name}"
            case "discard":
                return f"discard:{self.rule}"
            case _:
                return f"{self.agent}:{self.argument}"

    def takes(self, recipient: str, sender: str, whose: Whose) -> bool:
        """Whether it is for mail from a sender to a recipient."""
        if whose is not Whose.ELSEWHERE and self.agent in _OUT:
            return False
        if whose is Whose.UNKNOWN and not self.open_to_all:
            return False
        return any_matches(self.recipients, recipient) and any_matches(self.senders, sender)


class RouteTable:
    """Routes in the order of the file, of which the first that fits decides."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._routes = tuple(routes)

    def choose(self, recipient: str, sender: str, whose: Whose, *, released: bool = False) -> Route | None:
        """The route for a recipient, if there is one; mail that has been released is not held again."""
        if whose is not Whose.ELSEWHERE and split(recipient)[0].lower() == _POSTMASTER:
            return None
        for route in self._routes:
            if released and route.agent == "hold":
                continue
            if route.takes(recipient, sender, whose):
                return route
        return None

    def named(self, name: str) -> Route | None:
        """The route of that name."""
        return next((route for route in self._routes if route.name == name), None)
