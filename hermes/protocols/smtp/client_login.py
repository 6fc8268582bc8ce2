"""How the SMTP client logs in: one SASL exchange from AUTH to its end (RFC 4954)."""

from __future__ import annotations

import base64

import attrs

from hermes.core.outcome import Outcome
from hermes.core.reply import Reply
from hermes.protocols.sasl_client import challenge_in
from hermes.protocols.sasl_login import Derivation, Exchange
from hermes.protocols.smtp import client_commands
from hermes.protocols.smtp.client_events import LoggedIn, Peer, Refused, Stage


@attrs.frozen
class Unproved:
    """The server has let us in and may be anybody: the session is over. ``reason`` says what was missing."""

    reason: str


class ClientLogin:
    """One login at ``peer``: its command first, and then what follows from each reply to it."""

    def __init__(self, exchange: Exchange, peer: Peer) -> None:
        self._exchange = exchange
        self._peer = peer
        #: An initial response that is too long for the command's line.
        self._withheld: bytes | None = None
        self._cancelled: Outcome | None = None

    def command(self) -> bytes:
        """What begins it."""
        command, self._withheld = client_commands.auth(self._exchange.mechanism, self._exchange.initial())
        return command

    def take(self, reply: Reply) -> bytes | Derivation | LoggedIn | Refused | Unproved | None:
        """The line to be sent next, or the event that is next; None for a reply that AUTH cannot have."""
        if reply.code == 334 and self._cancelled is None:
            return self._challenge(reply)
        if reply.is_intermediate:
            return None
        if self._cancelled is not None:
            return Refused(Stage.LOGIN, self._cancelled)
        if reply.is_positive:
            return self._success()
        # A wrong password is a fault of the configuration, which can be mended: no message is returned because of it.
        status = "4" + reply.enhanced[1:] if reply.enhanced else "4.7.8"
        remark = f" ({self._exchange.remark})" if self._exchange.remark else ""
        reason = f"{self._peer.host} refused the login: {reply}{remark}"
        return Refused(Stage.LOGIN, self._peer.deferred(reason, status, reply))

    def _success(self) -> LoggedIn | Unproved:
        exchange = self._exchange
        if exchange.satisfied:
            return LoggedIn()
        # RFC 5802 3: a server that leaves its proof out may be anybody. Nothing more is said to it.
        if exchange.remark:
            return Unproved(
                f"{self._peer.host} let us in by {exchange.mechanism} after all, although {exchange.remark}"
            )
        return Unproved(
            f"{self._peer.host} let us in by {exchange.mechanism} without proving that it knows the password"
        )

    def _challenge(self, reply: Reply) -> bytes | Derivation:
        if self._withheld is not None:
            # RFC 4954 4: this challenge is empty, and asks for the initial response.
            answer, self._withheld = self._withheld, None
            return answer + b"\r\n"
        exchange, challenge = self._exchange, challenge_in(reply.lines[-1])
        response = None if challenge is None else exchange.respond(challenge)
        if isinstance(response, Derivation):
            return response
        if response is not None:
            return line(response)
        # RFC 4954 4: "*" calls the exchange off; the server answers 501.
        reason = f"{self._peer.host} asked for something that AUTH {exchange.mechanism} does not know"
        if exchange.remark:
            reason = f"AUTH {exchange.mechanism} with {self._peer.host} was called off: {exchange.remark}"
        self._cancelled = self._peer.deferred(reason, "4.5.0", reply)
        return b"*\r\n"


def line(answer: bytes) -> bytes:
    """An answer to the server as it is sent."""
    return base64.b64encode(answer) + b"\r\n"
