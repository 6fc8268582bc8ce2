"""The seams of policy: the checks, and who may send where."""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import Attribute, Interface

from hermes.core.account import Account
from hermes.core.outcome import Outcome, Verdict
from hermes.core.policy import Case, Stage


class ICheck(Interface):
    """
    One rule about what clients do at the SMTP server; each is a small module of its own, and they are asked in order.

    It decides by a refusal, notes what it found (:class:`hermes.core.findings.Findings`), or asks for measures
    (:class:`hermes.core.visit.Measures`). It spares whom it should spare by itself: ``case.visit.trusted``, or an entry of
    connection control.
    """

    name = Attribute("What it is called; the rules in its verdicts begin with it: ``dnsbl``, ``filter``.")
    stages = Attribute("The stages at which it wants to judge: a collection of :class:`hermes.core.policy.Stage`.")
    momentary = Attribute(
        "True when its answer depends on the moment: on the network, on counters. ``hermes explain`` then does not ask it."
    )

    def judge(case: Case) -> Verdict | Awaitable[Verdict]:
        """
        Judge a case: PASS, or a refusal. Only a check that has to wait returns an awaitable, and never at CONNECT and REFUSED.

        What it raises is a fault of ours: the client is told to try again later.
        """


class IPolicy(Interface):
    """The checks in their order, as one."""

    def wanted(stage: Stage) -> bool:
        """True when there are checks at that stage: without them no case need be made."""

    def judge(case: Case) -> Verdict | Awaitable[Verdict]:
        """Ask one check after the other until one refuses; at REFUSED all, each about what the one before has said."""


class ICallAhead(Interface):
    """Asks other servers about their recipients."""

    async def ask(address: str) -> Outcome:
        """
        Say whether the server of the address's domain would accept it.

        RELAYED: it would; FAILED: it would not; DEFERRED: nobody could say. It takes some twenty seconds at most.
        """


class IRelayPolicy(Interface):
    """Who may send where."""

    async def recipient(
        address: str,
        *,
        peer: str,
        account: Account | None,
        authentication_required: bool,
        octets: int,
        sender: str = "",
    ) -> tuple[Verdict, str]:
        """
        Judge a recipient: the verdict, and the destination when it is accepted; ``sender`` is the reverse-path.

        Local recipients must exist and have room for ``octets`` (0: not known); others need an authenticated account or a
        peer that :meth:`relay_right` knows. The verdict is FITS where :meth:`room` may have to be asked when the size is known.
        """

    async def right(peer: str, account: Account | None, sender: str) -> str:
        """What lets this client send to other domains: ``login``, what :meth:`relay_right` says, ``smtp.relay``, or empty."""

    def backup_of(domain: str) -> str:
        """The name of the section that makes this server a backup for a domain, or empty."""

    def relay_right(peer: str) -> str:
        """What lets this peer send to other domains without a login: ``smtp.relay_networks``, ``access.NAME``, or empty."""

    async def room(address: str, octets: int) -> Verdict:
        """Judge again whether an accepted local recipient has room for ``octets``: PASS, FITS, or 452 or 552."""
