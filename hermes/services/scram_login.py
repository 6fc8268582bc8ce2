"""
The server's part of a SCRAM exchange in one session, and what a proof is worth to the portal.

Between the two lies all trust: :meth:`ScramLogin.proved` turns a proof into credentials only when it matches and was made for the
keys of an account, which :meth:`ScramLogin.part` gave in the same session.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from zope.interface import implementer

from hermes.interfaces import IProvedAccount, IScramKeys, UnavailableError
from hermes.protocols.sasl import KeysWanted, Proof, ServerPart
from hermes.services.login_credentials import new_nonce


@implementer(IProvedAccount)
@attrs.frozen
class ProvedAccount:
    """An account whose password has been proved."""

    account: str


class ScramLogin:
    """The exchanges of one session, one after the other."""

    _log = Logger()

    def __init__(self, keys: IScramKeys | None, nonce: Callable[[], str] = new_nonce) -> None:
        self._keys = keys
        self._nonce = nonce
        self._account = ""

    async def part(self, wanted: KeysWanted, binding: bytes) -> ServerPart | None:
        """What the exchange goes on with: the keys of the account, or keys that nothing proves; None after a fault of ours."""
        self._account = ""
        try:
            assert self._keys is not None, "SCRAM is offered only where there are keys"
            keys, self._account = await self._keys.scram_keys(wanted.name)
        except CancelledError:
            raise
        except UnavailableError as error:
            self._log.warn("keys for SCRAM cannot be had now: {error}", error=error)
            return None
        except Exception:
            self._log.failure("keys for SCRAM could not be had")
            return None
        return ServerPart(keys, self._nonce(), binding)

    def proved(self, proof: Proof) -> ProvedAccount | None:
        """The credentials that a proof is worth, once; None when it is worth nothing."""
        account, self._account = self._account, ""
        return ProvedAccount(account) if proof.matches and account else None
