"""Logins by access tokens as the settings have them: the checkers for the portal, and what clients are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hermes.config.schema import Settings
from hermes.directory.token_checker import TokenChecker, make_verifier
from hermes.directory.token_verifiers import TokenVerifier
from hermes.interfaces import IDirectory
from hermes.net.fetch import Fetcher
from hermes.protocols.sasl import TokenHint


def token_checkers(
    settings: Settings, directory: IDirectory, reactor: Any, now: Callable[[], float]
) -> tuple[TokenChecker, ...]:
    """The checkers of tokens that the portal is to have: none where tokens are not taken. Raises like :func:`token_verifier`."""
    verifier = token_verifier(settings, reactor, now)
    return () if verifier is None else (TokenChecker(directory, verifier, settings.oauth.hosts),)


def token_verifier(settings: Settings, reactor: Any, now: Callable[[], float]) -> TokenVerifier | None:
    """
    What tells good tokens, or None where tokens are not taken.

    Raises ValueError, with a text for the administrator, when a file that the settings name cannot be used.
    """
    oauth = settings.oauth

    def fetcher() -> Fetcher:
        try:
            return Fetcher(reactor, oauth.timeout, oauth.authority)
        except (OSError, ValueError) as error:
            raise ValueError(f"[oauth] authority: {oauth.authority}: {_why(error)}") from error

    try:
        return make_verifier(oauth, fetcher, now)
    except (OSError, ValueError) as error:
        if str(error).startswith("[oauth]"):
            raise
        raise ValueError(f"[oauth] keys: {oauth.keys}: {_why(error)}") from error


def token_hint(settings: Settings) -> TokenHint | None:
    """What a client is told whose token is not accepted; None where tokens are not taken."""
    oauth = settings.oauth
    if oauth.check == "no":
        return None
    # RFC 7628 3.2.2: a list of scopes is not recommended, but two that are needed cannot be told as one.
    return TokenHint(scope=" ".join(oauth.scopes), configuration=oauth.discovery)


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
