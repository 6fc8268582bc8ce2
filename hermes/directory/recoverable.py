"""
Secrets that the server can read again: what CRAM-MD5 and APOP need, for the accounts that have asked for them.

They are never people's passwords but made for this alone, and stand in ``accounts.ini`` encrypted under a key of the server, so
that the file by itself, or a copy of it, opens nothing. ``docs/decisions.md`` says what that is worth.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernameHashedPassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from hermes.directory.directory import Directory
from hermes.directory.passwords import MAX_PASSWORD_OCTETS

#: What Fernet takes: half of it encrypts, half of it signs.
KEY_OCTETS = 32


class RecoverableSecrets:
    """Seals secrets under ``key`` and opens them; a server sets its own key when it starts."""

    _log = Logger()

    def __init__(self, key: bytes | None = None) -> None:
        self.key = key or secrets.token_bytes(KEY_OCTETS)

    @property
    def key(self) -> bytes:
        """The key, :data:`KEY_OCTETS` long."""
        return self._key

    @key.setter
    def key(self, key: bytes) -> None:
        self._key = key
        self._fernet = Fernet(urlsafe_b64encode(key))
        # Opened for those who have none: it takes as long, and is nobody's.
        self._nobodys = self._fernet.encrypt(b"\0" + secrets.token_bytes(KEY_OCTETS)).decode("ascii")

    def seal(self, account: str, secret: str) -> str:
        """The form for the file, good for this account alone; ValueError when it cannot be a secret."""
        octets = secret.encode("utf-8")
        if not octets or len(octets) > MAX_PASSWORD_OCTETS:
            raise ValueError(f"a secret has 1 to {MAX_PASSWORD_OCTETS} octets")
        return self._fernet.encrypt(account.encode("utf-8") + b"\0" + octets).decode("ascii")

    def open(self, account: str, sealed: str) -> bytes | None:
        """The secret of an account; None when there is none, or when it was sealed for another account or under another key."""
        try:
            owner, _, secret = self._fernet.decrypt(sealed or self._nobodys).partition(b"\0")
        except InvalidToken:
            self._log.error("the secret for CRAM-MD5 of {name} was not made with this server's key", name=account)
            return None
        return secret if sealed and owner == account.encode("utf-8") else None


@implementer(ICredentialsChecker)
class DigestChecker:
    """Checks digests of secrets: Hermes's own credentials, and those of Twisted for CRAM-MD5 and APOP."""

    credentialInterfaces = (IUsernameHashedPassword,)

    def __init__(self, directory: Directory, secrets: RecoverableSecrets) -> None:
        self._directory = directory
        self._secrets = secrets

    def requestAvatarId(self, credentials: IUsernameHashedPassword) -> Deferred[bytes | tuple[()]]:
        """The account's name; fails with UnauthorizedLogin."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: IUsernameHashedPassword) -> bytes | tuple[()]:
        account, sealed = await self._directory.sealed_secret(credentials.username.decode("utf-8", "surrogateescape"))
        secret = self._secrets.open(account, sealed)
        # Computed in every case, like everything before it: how long it takes tells nobody who has a secret.
        matches = credentials.checkPassword(secret if secret is not None else b"")
        if secret is None or not matches:
            raise UnauthorizedLogin("name or secret is wrong")
        return account.encode("utf-8")
