"""What all services that take passwords have in common: whom one may act as, and what the trace keeps of a login."""

from __future__ import annotations

from hermes.core.event import Event, Kind
from hermes.core.outcome import Verdict
from hermes.protocols.sasl import Credentials, Digest, KeysWanted, Proof, TokenShown

#: What of a name is kept for the trace: people type passwords and worse into the wrong field.
MAX_NAME_CHARACTERS = 128


#: What a login is judged by.
Shown = Credentials | Digest | Proof | TokenShown

#: What a login is known by: that, or, where a password is proved, the beginning of it.
Attempt = Shown | KeysWanted


def asks_for_another(credentials: Credentials | KeysWanted) -> bool:
    """True for a login that wants to act as somebody else, which nobody may here (RFC 4616 2)."""
    return credentials.authorization.lower() not in ("", credentials.name.lower())


def login_event(
    at: float,
    service: str,
    peer: str,
    tls: str | None,
    attempt: Attempt,
    verdict: Verdict,
    account: str | None,
    via: str = "",
    app_password: str = "",
) -> Event:
    """
    The fact that somebody logged in, or failed to.

    ``account`` is the name of the account that was entered, whatever form of it or which of its addresses was typed; None when
    the login was refused, and then ``verdict`` says why. ``via`` is the front end that said who the peer is,
    ``app_password`` the name of the app password that it was, if it was one.
    """
    refused = account is None
    facts = {
        "service": service,
        "peer": peer,
        "result": "refused" if refused else "accepted",
        "mechanism": attempt.mechanism,
        "tls": tls,
        "rule": verdict.rule if refused else None,
        "reason": verdict.reason or None,
    }
    if via:
        facts["via"] = via
    if app_password:
        facts["app_password"] = app_password
    name = attempt.name[:MAX_NAME_CHARACTERS] if account is None else account
    return Event(at, Kind.LOGIN, address=name, facts=facts)
