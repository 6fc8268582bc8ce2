"""
Whose token it is: by its signature, or by asking the authorization server (RFC 7662).

Keys and answers are kept for a while, because a mail program logs in often; what is kept of an answer is the name, never the
token.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote_plus, urlencode

from twisted.logger import Logger

from hermes.directory.shared_work import SharedWork
from hermes.directory.token_claims import LEEWAY_SECONDS, ClaimRules, name_in, read_claims
from hermes.directory.token_keys import KeySet
from hermes.interfaces import IFetcher, TokenDeniedError, UnavailableError

#: How long keys are used before they are fetched again: authorization servers announce new ones at least a day before their use.
KEYS_SECONDS = 3600

#: How often keys are fetched at most, whatever tokens name: anybody can write a key into a token that does not exist.
FETCH_SECONDS = 60

#: How long keys are used when no newer ones can be had. After that a key that was withdrawn must not open anything.
STALE_SECONDS = 24 * 3600

#: Answers remembered; at some 200 octets each.
MAX_REMEMBERED = 4096

_JSON = {"Accept": "application/json"}


class TokenVerifier(Protocol):
    """Tells whose a token is."""

    async def name_of(self, token: str) -> str:
        """The name or address in a good token; TokenDeniedError, UnavailableError or TooBusyError else."""


class SignedTokens:
    """Tokens that are signed with one of these keys."""

    def __init__(self, keys: KeySet, rules: ClaimRules, now: Callable[[], float]) -> None:
        self._keys = keys
        self._rules = rules
        self._now = now

    async def name_of(self, token: str) -> str:
        """The name in a token whose signature is good."""
        return name_in(self._keys.claims(token), self._rules, self._now(), must_expire=True)


class FetchedKeys:
    """Tokens that are signed with keys that are fetched from ``url``; ``now`` gives seconds since the epoch."""

    _log = Logger()

    def __init__(
        self, fetcher: IFetcher, url: str, algorithms: tuple[str, ...], rules: ClaimRules, now: Callable[[], float]
    ) -> None:
        self._fetcher = fetcher
        self._url = url
        self._algorithms = algorithms
        self._rules = rules
        self._now = now
        self._keys: KeySet | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._trouble = ""
        self._fetching = SharedWork()

    async def name_of(self, token: str) -> str:
        """The name in a token whose signature is good."""
        keys = await self._current(token)
        return name_in(keys.claims(token), self._rules, self._now(), must_expire=True)

    async def _current(self, token: str) -> KeySet:
        age = self._now() - self._fetched_at
        if self._keys is None or age >= KEYS_SECONDS or not self._keys.may_know(token):
            await self._refresh()
        if self._keys is None or self._now() - self._fetched_at >= STALE_SECONDS:
            raise UnavailableError(f"the keys for tokens cannot be had: {self._trouble}")
        return self._keys

    async def _refresh(self) -> None:
        """Fetch the keys, unless that was tried a moment ago; whoever else wants them waits for the same answer."""
        if not self._fetching.under_way:
            if self._now() - self._tried_at < FETCH_SECONDS:
                return
            self._tried_at = self._now()
            self._fetching.begin(self._fetch())
        await self._fetching.ended()

    async def _fetch(self) -> None:
        try:
            answer = await self._fetcher.fetch(self._url, _JSON)
            if answer.status != 200:
                raise ValueError(f"the answer has the status {answer.status}")
            self._keys = KeySet(answer.octets, self._algorithms)
            self._fetched_at = self._now()
        except Exception as error:
            self._trouble = str(error) or type(error).__name__
            self._log.error(
                "The keys for tokens could not be fetched from {url}: {why}", url=self._url, why=self._trouble
            )


class Introspection:
    """Tokens about which the authorization server is asked; ``now`` gives seconds since the epoch."""

    def __init__(
        self,
        fetcher: IFetcher,
        url: str,
        login: tuple[str, str],
        rules: ClaimRules,
        now: Callable[[], float],
        remember_seconds: float,
    ) -> None:
        self._fetcher = fetcher
        self._url = url
        self._rules = rules
        self._now = now
        self._remember_seconds = remember_seconds
        # RFC 6749 2.3.1: both are encoded like fields of a form first.
        pair = ":".join(quote_plus(part) for part in login)
        self._headers = {
            **_JSON,
            "Authorization": f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        # What is kept is a digest under a key that exists only in this process's memory.
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, tuple[float, str | TokenDeniedError]] = OrderedDict()

    async def name_of(self, token: str) -> str:
        """The name in the answer about a token."""
        digest = hashlib.blake2b(token.encode("utf-8"), key=self._key, digest_size=32).digest()
        until, found = self._remembered.get(digest, (0.0, ""))
        if self._now() >= until:
            found = await self._ask(digest, token)
        if isinstance(found, TokenDeniedError):
            # A new one: an exception keeps the way that it has taken.
            raise TokenDeniedError(found.reason, found.status)
        return found

    async def _ask(self, digest: bytes, token: str) -> str | TokenDeniedError:
        # RFC 7662 2.1
        body = urlencode({"token": token, "token_type_hint": "access_token"}).encode("ascii")
        answer = await self._fetcher.fetch(self._url, self._headers, body)
        if answer.status != 200:
            # RFC 7662 2.3: of a token that is not good it says so by 200; anything else is about us, or about itself.
            raise UnavailableError(f"the authorization server has answered with the status {answer.status}")
        try:
            claims = read_claims(answer.octets)
        except ValueError:
            raise UnavailableError("the authorization server has not answered in JSON") from None
        now = self._now()
        until = now + self._remember_seconds
        found: str | TokenDeniedError
        try:
            # RFC 7662 2.2: everything else counts only when this is true.
            if claims.get("active") is not True:
                raise TokenDeniedError("the token is not active")
            found = name_in(claims, self._rules, now, must_expire=False)
            if claims.get("exp") is not None:
                until = min(until, claims["exp"] + LEEWAY_SECONDS)
        except TokenDeniedError as error:
            found = error
        self._remembered[digest] = until, found
        self._remembered.move_to_end(digest)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return found
