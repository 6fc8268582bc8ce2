"""
Logging in for an OAuth client: how the first tokens are had, by device code, by an address copied from a browser, or by the
application itself.

What a person has to be told or asked is handed in, and so are time and randomness.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from hermes.config.oauth_client_rules import ClientFacts
from hermes.protocols import oauth
from hermes.services.oauth_tokens import Post, asked, refreshed
from hermes.services.token_store import Record, new_serial

#: Failures of the network after which the polling ends; RFC 8628 3.5 wants a client to back off, not to give up at once.
MAX_FAILURES = 5


class LoginError(Exception):
    """There are no tokens; the text says why, and what to do."""


def client_of(facts: ClientFacts) -> oauth.Client:
    """Who asks."""
    return oauth.Client(facts.client_id, facts.client_secret, facts.scopes)


def record_of(tokens: oauth.Tokens, now: float) -> Record:
    """What is kept of the tokens of a new login."""
    return refreshed(Record(new_serial()), tokens, now)


async def log_in_by_device(
    facts: ClientFacts,
    post: Post,
    *,
    tell: Callable[[oauth.DeviceCode], None],
    pause: Callable[[float], Awaitable[object]],
    now: Callable[[], float],
) -> oauth.Tokens:
    """RFC 8628: somebody types a code at another device while we ask whether that has been done. Raises LoginError."""
    client = client_of(facts)
    answer = await post(facts.device_endpoint, oauth.device_form(client), facts.authority)
    if isinstance(answer, str):
        raise LoginError(answer)
    try:
        device = oauth.device_from(answer.status, answer.body)
    except oauth.NotOAuthError as error:
        raise LoginError(f"the answer of {facts.device_endpoint} cannot be used: {error}") from None
    if isinstance(device, oauth.Denied):
        raise LoginError(f"{facts.title} gives no device code: {device}")
    tell(device)
    end, interval, failures = now() + device.life_seconds, device.interval_seconds, 0
    while now() + interval < end:
        await pause(interval)
        tokens = await asked(post, facts.token_endpoint, oauth.poll_form(client, device), facts.authority)
        if isinstance(tokens, oauth.Tokens):
            return tokens
        if isinstance(tokens, str):
            failures += 1
            if failures >= MAX_FAILURES:
                raise LoginError(tokens)
            # RFC 8628 3.5: on a connection timeout the client polls less often.
            interval = min(interval * 2, oauth.MAX_INTERVAL_SECONDS)
        elif tokens.error == "slow_down":
            interval = min(interval + oauth.DEVICE_INTERVAL_SECONDS, oauth.MAX_INTERVAL_SECONDS)
        elif tokens.error != "authorization_pending":
            raise LoginError(f"{facts.title} says {tokens}")
    raise LoginError("nobody has typed the code in time: begin anew")


class CodeLogin:
    """RFC 6749 4.1 with PKCE (RFC 7636): :attr:`address` is opened in any browser, and the one it ends at is pasted back."""

    def __init__(self, facts: ClientFacts, random_text: Callable[[], str]) -> None:
        self._facts = facts
        self._state = random_text()
        #: RFC 7636 4.1: 43 to 128 characters.
        self._verifier = random_text()
        make = partial(oauth.authorization_address, facts.authorization_endpoint, client_of(facts), facts.redirect)
        self.address = make(self._state, self._verifier, facts.parameters)

    def code(self, pasted: str) -> str:
        """The code in what was pasted; raises LoginError when the provider refused, ValueError when it is another address."""
        code = oauth.code_from(pasted, self._facts.redirect, self._state)
        if isinstance(code, oauth.Denied):
            raise LoginError(f"{self._facts.title} says {code}")
        return code

    async def tokens(self, code: str, post: Post) -> oauth.Tokens:
        """What the code is worth; raises LoginError."""
        facts = self._facts
        form = oauth.code_form(client_of(facts), code, facts.redirect, self._verifier)
        return _given(facts, await asked(post, facts.token_endpoint, form, facts.authority))


async def log_in_by_credentials(facts: ClientFacts, post: Post) -> oauth.Tokens:
    """RFC 6749 4.4: the application for itself; raises LoginError."""
    form = oauth.credentials_form(client_of(facts))
    return _given(facts, await asked(post, facts.token_endpoint, form, facts.authority))


def _given(facts: ClientFacts, tokens: oauth.Tokens | oauth.Denied | str) -> oauth.Tokens:
    if isinstance(tokens, oauth.Tokens):
        return tokens
    raise LoginError(f"{facts.title} says {tokens}" if isinstance(tokens, oauth.Denied) else tokens)
