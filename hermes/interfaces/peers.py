"""The seams that judge who connects: the gate, the list of offenders, connection control."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from hermes.core.access_entry import AccessEntry
from hermes.core.offender import Network, Offender
from hermes.core.outcome import Verdict


class IGate(Interface):
    """Counts who is connected, and says when it is too much. Addresses are text, as :func:`hermes.net.peer.peer_of` gives."""

    def admit(peer: str) -> Verdict:
        """Judge a new connection and count it when it is accepted (then :meth:`left` must follow)."""

    def left(peer: str) -> None:
        """A connection that was admitted is gone."""

    def expect() -> Verdict:
        """
        Count a connection of a front end while its client is not known (then :meth:`expected` must follow), or refuse it when
        there are too many connections altogether.
        """

    def expected() -> None:
        """The client of such a connection is known now, and is judged like any other; or the connection is gone."""

    def login_failed(peer: str, name: str = "") -> float:
        """Remember a wrong password for that name, as it was typed; how many seconds its answer shall wait at least."""

    def login_succeeded(peer: str, *names: str) -> None:
        """Remember who has logged in from where: the name as it was typed, and the account's own."""

    def login_verdict(peer: str, name: str = "") -> Verdict:
        """Say whether this peer may try a password for that name now."""

    def tls_failed() -> None:
        """TLS with a client has broken: an error of TLS itself, mostly a handshake that came to no end."""

    def offended(peer: str, cause: str, reason: str) -> None:
        """A peer has gone too far: ``cause`` is one of those of ``[offenders] report``, ``reason`` for people."""


class IOffenders(Interface):
    """The list of offenders: addresses and networks that may not connect for a while, at any server."""

    def report(peer: str, rule: str, reason: str, seconds: float | None = None) -> bool:
        """
        List a peer (IPv6: its /64) for so long, None being the time that is configured; False when it is exempt.

        ``rule`` names what decided, ``reason`` says why in plain words, for the administrator. Nothing is waited for.
        """

    def offended(peer: str, cause: str, reason: str) -> bool:
        """Report a peer if ``[offenders] report`` has that cause; True when it is listed now."""

    def entry(peer: str) -> Offender | None:
        """The entry that a peer is in; None when it is in none. It takes microseconds."""

    def refusal(peer: str) -> Verdict | None:
        """What a peer is told when it connects and is blocked; None when it may come in."""

    def exempt(peer: str) -> bool:
        """True for a peer that no rule lists: this machine, and those whom the administrator trusts or has named."""


class IOffenderStore(Interface):
    """Where the list of offenders outlives the process; several processes may share one."""

    def put(one: Offender) -> Deferred[None]:
        """Keep an entry, in place of what there is of that network."""

    def remove(network: Network) -> Deferred[None]:
        """Forget an entry."""

    async def changed() -> list[Offender] | None:
        """All entries, if another process has changed some since they were read; else None."""

    async def read() -> list[Offender]:
        """All entries."""


class IAccess(Interface):
    """Connection control: what the administrator has said about addresses."""

    def entry(peer: str, server: str) -> AccessEntry | None:
        """
        The entry that decides about a peer at a server (``smtp``, ``pop3``); None when nothing was said about it.

        It is asked for every connection, and takes microseconds.
        """
