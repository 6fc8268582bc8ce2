"""
The directory behind ``twisted.cred``: a checker for passwords and proofs, a realm of mailboxes and deliveries, and their portal.

A Twisted programmer's checker can stand beside or instead of ours, and Twisted's protocols, or anybody's, can use the
portal: an avatar's id is the account's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.cred.checkers import AllowAnonymousAccess, ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.mail.pop3 import IMailbox
from twisted.mail.smtp import IMessageDelivery
from zope.interface import Interface, implementer

from hermes.core.account import Account
from hermes.directory.app_passwords import AppPasswords
from hermes.interfaces import (
    IDirectory,
    IPasswordShown,
    IProvedAccount,
    IStreamingMailbox,
    MailboxInUseError,
    UnavailableError,
)

#: What a realm answers: the interface asked for, the avatar, and what to call at the end of the session.
Avatar = tuple[type[Interface], object, Callable[[], None]]


@implementer(ICredentialsChecker)
class AccountChecker:
    """
    Checks names and passwords; names may be an account's name or one of its addresses.

    Where a service says what it is (:class:`IPasswordShown`), the password may be one of the account's app passwords as well.

    Who has proved a password already (SCRAM) needs an account that may log in, and no more: see :class:`IProvedAccount` for why
    nobody from outside can come that way.
    """

    credentialInterfaces = (IUsernamePassword, IProvedAccount)

    def __init__(self, directory: IDirectory, app_passwords: AppPasswords | None = None) -> None:
        self._directory = directory
        self._app_passwords = app_passwords

    def requestAvatarId(self, credentials: IUsernamePassword | IProvedAccount) -> Deferred[bytes | tuple[()]]:
        """The account's name; fails with UnauthorizedLogin, or with TooBusyError when it is to be tried later."""
        if IProvedAccount.providedBy(credentials):
            return Deferred.fromCoroutine(self._find(credentials.account))
        return Deferred.fromCoroutine(self._check(credentials))

    async def _find(self, name: str) -> bytes | tuple[()]:
        account = await self._directory.account(name)
        if account is None or account.disabled:
            # Since the keys were given.
            raise UnauthorizedLogin("there is no such account")
        return account.name.encode("utf-8")

    async def _check(self, credentials: IUsernamePassword) -> bytes | tuple[()]:
        # Twisted's protocols hand in what came over the wire.
        name, password = _text(credentials.username), _text(credentials.password)
        account = await self._entered(credentials, name, password)
        if account is None:
            raise UnauthorizedLogin("name or password is wrong")
        return account.name.encode("utf-8")

    async def _entered(self, credentials: IUsernamePassword, name: str, password: str) -> Account | None:
        """Who is let in; a wrong password costs a whole check, whatever it is taken for."""
        if self._app_passwords is None or not IPasswordShown.providedBy(credentials):
            return await self._directory.verify(name, password)
        try:
            judgment = await self._app_passwords.judge(self._directory, credentials, name, password)
        except UnavailableError:
            account = await self._directory.verify(name, password)
            if account is None:
                raise
            return account
        if judgment.account is None and judgment.is_one:
            await self._directory.pretend(password)
        if judgment.is_one:
            return judgment.account
        return await self._directory.verify(name, password)


@implementer(IRealm)
class Realm:
    """
    Gives an account its mailbox, and an account or an anonymous peer its way of sending.

    ``open_mailbox`` is :meth:`hermes.interfaces.IMailboxes.mailbox`; ``make_delivery`` makes an
    ``twisted.mail.smtp.IMessageDelivery`` for an account, or for None.
    """

    _log = Logger()

    def __init__(
        self,
        directory: IDirectory,
        open_mailbox: Callable[[Account], IStreamingMailbox],
        make_delivery: Callable[[Account | None], IMessageDelivery],
    ) -> None:
        self._directory = directory
        self._open_mailbox = open_mailbox
        self._make_delivery = make_delivery

    def requestAvatar(
        self,
        avatarId: bytes | str | tuple[()],  # noqa: N803 - as IRealm calls it
        mind: object,
        *interfaces: type[Interface],
    ) -> Deferred[Avatar]:
        """
        The avatar for the first of the interfaces that there is one for; NotImplementedError when there is none.

        Fails with MailboxInUseError when another session holds the mailbox, with MailboxDepartedError when there can be none yet,
        with UnauthorizedLogin when the account is gone.
        """
        return Deferred.fromCoroutine(self._avatar(avatarId, interfaces))

    async def _avatar(self, avatar_id: bytes | str | tuple[()], interfaces: Iterable[type[Interface]]) -> Avatar:
        account = None
        if not isinstance(avatar_id, tuple):
            account = await self._directory.account(_text(avatar_id))
            if account is None or account.disabled:
                # Checked against another checker's list, or removed meanwhile.
                raise UnauthorizedLogin("there is no such account")
        for interface in interfaces:
            if interface is IMessageDelivery:
                return interface, self._make_delivery(account), _nothing_to_end
            if interface is IMailbox and account is not None:
                return interface, *await self._mailbox(account)
        raise NotImplementedError(f"no avatar provides any of {list(interfaces)}")

    async def _mailbox(self, account: Account) -> tuple[object, Callable[[], None]]:
        mailbox = self._open_mailbox(account)
        try:
            opened = await mailbox.open()
        except OSError as error:
            # Rights of a directory, or a full disk: whoever mends it needs its name, and no traceback.
            problem = (
                f"the mailbox of {account.name} cannot be opened: {error.filename or 'its disk'}: {error.strerror}"
            )
            self._log.error("{problem}", problem=problem)
            raise UnavailableError(problem) from error
        if not opened:
            raise MailboxInUseError(f"the mailbox of {account.name} is open in another session")

        def logout() -> None:
            _ = Deferred.fromCoroutine(mailbox.close()).addErrback(
                lambda fault: self._log.failure("a mailbox could not be closed", fault)
            )

        return mailbox, logout


def make_portal(
    directory: IDirectory,
    open_mailbox: Callable[[Account], IStreamingMailbox],
    make_delivery: Callable[[Account | None], IMessageDelivery],
    checkers: Iterable[ICredentialsChecker] = (),
    app_passwords: AppPasswords | None = None,
) -> Portal:
    """
    The portal of the server.

    ``checkers`` stand beside ours, and before it for the credentials that they check. Anonymous peers get an avatar for
    sending, for that is how mail comes in; what they may do is the delivery's business.
    """
    realm = Realm(directory, open_mailbox, make_delivery)
    return Portal(realm, [AccountChecker(directory, app_passwords), AllowAnonymousAccess(), *checkers])


def _text(value: bytes | str) -> str:
    # What is not UTF-8 becomes surrogates, which are in nobody's name and in nobody's password.
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _nothing_to_end() -> None:
    """A delivery holds nothing that the end of its session would have to release."""
