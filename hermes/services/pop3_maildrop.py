"""
The mailbox of a POP3 session: taken at the login, updated at QUIT, released exactly once, whatever happens in between.

POP3 calls it the maildrop (RFC 1939 4). Opening and updating it are not stopped half-way when the client goes away: a
mailbox that arrives after its client has left is released at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from hermes.interfaces import IContentReader, IStreamingMailbox
from hermes.services.twisted_mailbox import TwistedMailbox

_log = Logger()


class Maildrop:
    """
    An open mailbox, who it belongs to, and how its messages are read.

    ``deleted`` holds the numbers (from 0) of the messages that this session has marked.
    """

    def __init__(
        self, account: str, mailbox: IStreamingMailbox, reader: IContentReader, logout: Callable[[], object]
    ) -> None:
        self.account = account
        self.mailbox: IStreamingMailbox = mailbox
        self.reader = reader
        self.deleted: set[int] = set()
        self._logout: Callable[[], object] | None = logout

    async def release(self) -> None:
        """Give the mailbox back. A second call does nothing; a fault is logged, for there is nobody left to tell."""
        logout, self._logout = self._logout, None
        if logout is None:
            return
        try:
            await self.mailbox.close()
        except Exception:
            _log.failure("closing the mailbox of {account}", account=self.account)
        try:
            await maybeDeferred(logout)
        except Exception:
            _log.failure("logging {account} out", account=self.account)


async def open_maildrop(
    login: Deferred[tuple[Any, Any, Callable[[], object]]], name: str, reader: IContentReader
) -> Maildrop:
    """
    Take the mailbox that ``login``, the portal's answer, brings.

    One of ours has been opened and locked by the realm, and knows its account. Any other ``twisted.mail.pop3.IMailbox`` is
    adapted, and its owner is known by the ``name`` of the login.
    """
    _, avatar, logout = await login
    if IStreamingMailbox.providedBy(avatar):
        return Maildrop(avatar.account or name, avatar, reader, logout)
    foreign = TwistedMailbox(avatar)
    maildrop = Maildrop(name, foreign, foreign, logout)
    try:
        await foreign.open()
    except Exception:
        await maildrop.release()
        raise
    return maildrop
