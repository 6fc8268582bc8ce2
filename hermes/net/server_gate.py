"""
The gate as one server sees it: connection control first, then the limits that all servers share.

What an entry of ``[access:NAME]`` refuses never gets as far as the limits, and so takes nobody's place. An entry that allows
changes nothing about the limits, unless it says ``exempt``: such peers are counted, and never held up.
"""

from __future__ import annotations

from zope.interface import implementer

from hermes.core.access_entry import AccessEntry
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.interfaces import IAccess, IGate, ISchedule
from hermes.net.gate import Gate
from hermes.net.peer import is_loopback

#: The schedule keeps the server closed. RFC 5321 4.2.3: who sends mail comes again.
_CLOSED = Verdict(Reply.of(421, "4.3.2", "This server is closed now: try again later"), "schedule.closed")

_MAY_NOT = "You may not connect to this server"


@implementer(IGate)
class ServerGate:
    """``server`` is the name by which ``[access:NAME]`` knows the server; several of these may lead to one gate."""

    def __init__(self, gate: Gate, access: IAccess, server: str, schedule: ISchedule | None = None) -> None:
        self._gate = gate
        self._access = access
        self._server = server
        self._schedule = schedule

    def admit(self, peer: str) -> Verdict:
        """Judge a new connection and count it when it is accepted (then :meth:`left` must follow)."""
        entry = self._access.entry(peer, self._server)
        refusal = refusal_by(entry, peer)
        if refusal is not None:
            return refusal
        if self._schedule is not None and not self._schedule.is_open(self._server) and not is_loopback(peer):
            return _CLOSED
        return self._gate.admit(peer, exempt=entry is not None and entry.exempt)

    def left(self, peer: str) -> None:
        """A connection that was admitted is gone."""
        self._gate.left(peer)

    def expect(self) -> Verdict:
        """Count a connection whose client is not known yet, or refuse it (then :meth:`expected` must follow)."""
        return self._gate.expect()

    def expected(self) -> None:
        """The client is known now, or the connection is gone."""
        self._gate.expected()

    def login_failed(self, peer: str, name: str = "") -> float:
        """Remember a wrong password."""
        return self._gate.login_failed(peer, name, exempt=self._exempt(peer))

    def login_succeeded(self, peer: str, *names: str) -> None:
        """Remember who has logged in from where."""
        self._gate.login_succeeded(peer, *names)

    def login_verdict(self, peer: str, name: str = "") -> Verdict:
        """Say whether this peer may try a password for that name now."""
        return self._gate.login_verdict(peer, name, exempt=self._exempt(peer))

    def tls_failed(self) -> None:
        """TLS with a client has broken."""
        self._gate.tls_failed(self._server)

    def offended(self, peer: str, cause: str, reason: str) -> None:
        """A peer has gone too far."""
        self._gate.offended(peer, cause, reason, exempt=self._exempt(peer))

    def _exempt(self, peer: str) -> bool:
        entry = self._access.entry(peer, self._server)
        return entry is not None and entry.exempt


def metrics_refusal(entry: AccessEntry | None, peer: str) -> Verdict | None:
    """The same at the server of metrics, which nobody has to reach: beside this machine only those whom an entry allows."""
    if entry is None and not is_loopback(peer):
        return Verdict(Reply.of(554, "5.7.1", _MAY_NOT), "metrics.stranger", f"no [access:NAME] allows {peer}")
    return refusal_by(entry, peer)


def refusal_by(entry: AccessEntry | None, peer: str) -> Verdict | None:
    """What a peer is told that an entry refuses (RFC 5321 3.1); None when it lets the peer in."""
    if entry is None or not entry.refused:
        return None
    return Verdict(Reply.of(554, "5.7.1", entry.text or _MAY_NOT), entry.rule, f"[access:{entry.name}] refuses {peer}")
