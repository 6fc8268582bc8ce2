"""
The stages of a session at which policy is asked, and what it is asked about.

A check (:class:`hermes.interfaces.ICheck`) names the stages that it wants to judge, and gets one :class:`Case` each time.
"""

from __future__ import annotations

import enum
from typing import Protocol

import attrs

from hermes.core.dns_answer import Budget
from hermes.core.envelope import Recipient
from hermes.core.findings import Findings
from hermes.core.header import Header
from hermes.core.message import Content
from hermes.core.outcome import PASS, Verdict
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit


class Stage(enum.Enum):
    """When policy is asked; in the order of a session."""

    CONNECT = "connect"  #: before the greeting; no check may wait here
    HELLO = "hello"  #: EHLO, HELO or LHLO
    SENDER = "sender"  #: MAIL
    RECIPIENT = "recipient"  #: RCPT, of a recipient that exists or may be relayed to
    HEADER = "header"  #: the header has come; what is refused is said at the end of the message
    MESSAGE = "message"  #: the message is whole, and not yet ours
    REFUSED = "refused"  #: something has been refused, by whatever rule; no check may wait here

    # There is one object for each, and it is looked up a dozen times for every message: Enum's own hash is that of the name.
    __hash__ = object.__hash__


class Arrived(Protocol):
    """A message that is whole and not yet accepted."""

    @property
    def size_octets(self) -> int:
        """Its octets, our own lines included."""

    async def content(self) -> Content:
        """Where its octets are, with ``data`` or ``path`` set, our own lines at their head (``prefix_octets``)."""


@attrs.define
class Case:
    """
    What is to be judged.

    ``command`` is the command line as the client wrote it, without its end, or empty; ``transaction`` is there from SENDER on,
    ``recipient`` at RECIPIENT, ``header`` from HEADER on, ``message`` at MESSAGE. At REFUSED ``verdict`` is what has been
    decided, about ``recipient`` if it was one, and the check's own verdict, when it refuses too, is said instead.
    """

    stage: Stage
    visit: Visit
    command: str = ""
    transaction: Transaction | None = None
    recipient: Recipient | None = None
    header: Header | None = None
    message: Arrived | None = None
    verdict: Verdict = PASS

    @property
    def budget(self) -> Budget:
        """What may still be asked of the DNS: for the message, or for the session while there is none."""
        return self.transaction.budget if self.transaction is not None else self.visit.budget

    @property
    def findings(self) -> Findings:
        """Where to note what was found: with the message, or with the session while there is none."""
        return self.transaction.findings if self.transaction is not None else self.visit.findings
