"""
The checker for access tokens behind ``twisted.cred``: from a token to the account that it opens (RFC 7628).

A Twisted programmer's own checker for :class:`hermes.interfaces.IBearerToken` can stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from zope.interface import implementer

from hermes.config.sections.oauth import OAuthSettings
from hermes.core.account import Account, Local
from hermes.directory.accounts import address_key
from hermes.directory.token_claims import ClaimRules
from hermes.directory.token_keys import KeySet
from hermes.directory.token_verifiers import FetchedKeys, Introspection, SignedTokens, TokenVerifier
from hermes.interfaces import IBearerToken, IDirectory, IFetcher, TokenDeniedError


@implementer(ICredentialsChecker)
class TokenChecker:
    """
    Checks tokens by a verifier.

    ``hosts`` are the names of this server; a client that has connected to another one may have been led here (RFC 7628 3.2).
    """

    credentialInterfaces = (IBearerToken,)

    def __init__(self, directory: IDirectory, verifier: TokenVerifier, hosts: tuple[str, ...] = ()) -> None:
        self._directory = directory
        self._verifier = verifier
        self._hosts = {host.lower() for host in hosts}

    def requestAvatarId(self, credentials: IBearerToken) -> Deferred[bytes | tuple[()]]:
        """The account's name; fails with TokenDeniedError, or with UnavailableError or TooBusyError."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: IBearerToken) -> bytes | tuple[()]:
        host = credentials.host.lower()
        if self._hosts and host and host not in self._hosts:
            raise TokenDeniedError("the client has connected to another host")
        name = await self._verifier.name_of(credentials.token)
        account = await self._find(name)
        if account is None or account.disabled:
            raise TokenDeniedError("nobody here has the name in the token")
        if credentials.name:
            claimed = await self._find(credentials.name)
            if claimed is None or claimed.name != account.name:
                raise TokenDeniedError("the token is somebody else's")
        return account.name.encode("utf-8")

    async def _find(self, name: str) -> Account | None:
        """The account of that name, or with that very address: nothing that merely reaches it, like an address with details."""
        if "@" not in name:
            return await self._directory.account(name)
        match await self._directory.resolve(name):
            case Local(account=account) if address_key(name) in map(address_key, account.addresses):
                return account
            case _:
                return None


def make_verifier(
    settings: OAuthSettings, fetcher: Callable[[], IFetcher], now: Callable[[], float]
) -> TokenVerifier | None:
    """
    What checks tokens as the settings ask for it, if anything does; ``now`` gives seconds since the epoch.

    Raises OSError or ValueError when the file of keys cannot be used.
    """
    if settings.check == "no":
        return None
    rules = ClaimRules(settings.claim, settings.issuer, settings.audience, settings.scopes)
    if settings.check == "introspection":
        login = settings.client_id, settings.client_secret
        return Introspection(fetcher(), settings.introspection_url, login, rules, now, settings.remember)
    if settings.keys:
        with open(settings.keys, "rb") as file:
            return SignedTokens(KeySet(file.read(), settings.algorithms), rules, now)
    return FetchedKeys(fetcher(), settings.keys_url, settings.algorithms, rules, now)
