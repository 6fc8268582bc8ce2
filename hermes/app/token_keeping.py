"""The OAuth tokens as a part of the server: for whom, and from its start to its stop."""

from __future__ import annotations

from typing_extensions import override

from hermes.app.staged import Module
from hermes.config.oauth_client_rules import ClientFacts, facts_of
from hermes.config.schema import Settings
from hermes.services.oauth_tokens import OAuthTokens


class TokenKeeping(Module):
    """Looks after the tokens while the server runs."""

    name = "tokens"
    #: A refresh that is under way has 30 s.
    stop_seconds = 35.0

    def __init__(self, tokens: OAuthTokens) -> None:
        self._tokens = tokens

    @override
    async def start(self) -> None:
        self._tokens.start()

    @override
    async def stop(self) -> None:
        await self._tokens.stop()


def clients_of(settings: Settings) -> dict[str, ClientFacts]:
    """All clients of the settings, with what their presets fill in."""
    return {name: facts_of(name, client) for name, client in settings.oauth_clients.items()}
