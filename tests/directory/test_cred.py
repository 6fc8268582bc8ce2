"""The directory behind ``twisted.cred``, and the contract: Twisted's own POP3 server reads mail through the portal."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
from twisted.cred.checkers import ANONYMOUS, ICredentialsChecker, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import Anonymous, IAnonymous, IUsernameHashedPassword, IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import succeed
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.mail.imap4 import IAccount
from twisted.mail.pop3 import POP3, IMailbox
from twisted.mail.smtp import IMessageDelivery
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.core.account import Account
from hermes.directory.cred import AccountChecker, Realm, make_portal
from hermes.directory.directory import Directory
from hermes.interfaces import IProvedAccount, MailboxInUseError, TooBusyError, UnavailableError
from hermes.mailbox.reading import POP3Mailbox
from tests.support.accounts import MemorySource, passwords_with, record
from tests.support.maildirs import calling_worker, clock_at, files_in, mailboxes_in, put
from tests.support.worker import ImmediateWorker

ONE = b"Return-Path: <ann@example.com>\nSubject: one\n\n.a line with a dot\nlast\n"


class PortalTestCase(SynchronousTestCase):
    """A portal over joe and his mailbox; ``delivered_for`` lists for whom deliveries were made."""

    @override
    def setUp(self) -> None:
        self.root = self.mktemp()
        self.path = os.path.join(self.root, "joe")
        put(self.path, "new", "1700000001.a.h", ONE)
        put(self.path, "new", "1700000002.b.h", b"Subject: two\n\nb\n")
        self.reader = calling_worker()
        self.mailboxes = mailboxes_in(self.root, self.reader, clock_at())
        self.source = MemorySource(
            record("joe", password="sécret word"),
            record("off", password="secret", disabled=True),
        )
        self.hashing = ImmediateWorker()
        self.directory = Directory(self.source, ["example.org"], "", passwords_with(self.hashing))
        self.delivered_for: list[Account | None] = []
        self.portal = make_portal(self.directory, self.mailboxes.mailbox, self.make_delivery)

    def make_delivery(self, account: Account | None) -> IMessageDelivery:
        """Something that stands for a delivery."""
        self.delivered_for.append(account)
        return self  # type: ignore[return-value]


@implementer(IProvedAccount)
@attrs.frozen
class _Proved:
    """What a session makes of a proof."""

    account: str


class CheckerTests(PortalTestCase):
    """:class:`AccountChecker`."""

    def check(self, name: bytes | str, password: bytes | str) -> object:
        """Ask."""
        return self.successResultOf(AccountChecker(self.directory).requestAvatarId(UsernamePassword(name, password)))

    def test_interfaces(self) -> None:
        """Checker and realm provide what cred asks for."""
        verifyObject(ICredentialsChecker, AccountChecker(self.directory))
        verifyObject(IRealm, Realm(self.directory, self.mailboxes.mailbox, self.make_delivery))

    def test_right(self) -> None:
        """The avatar's id is the account's name, for octets as protocols have them and for text."""
        for name, password in (("Joe", "sécret word"), (b"joe@example.org", "sécret word".encode())):
            self.assertEqual(b"joe", self.check(name, password))

    def test_wrong(self) -> None:
        """Whatever is wrong, it is UnauthorizedLogin, and the message does not say what."""
        words = set()
        for name, password in (
            (b"joe", b"wrong"),
            (b"nobody", b"secret"),
            (b"off", b"secret"),
            (b"joe", "sécret word".encode("latin-1")),
            (b"\xff", b"\xff"),
        ):
            checked = AccountChecker(self.directory).requestAvatarId(UsernamePassword(name, password))
            words.add(str(self.failureResultOf(checked, UnauthorizedLogin).value))
        self.assertEqual(1, len(words))

    def test_proved(self) -> None:
        """Who has proved a password is in, without one being asked for; an account that may not log in is not."""
        checker = AccountChecker(self.directory)
        self.assertEqual(b"joe", self.successResultOf(checker.requestAvatarId(_Proved("joe"))))
        self.assertEqual([], self.hashing.groups)
        for name in ("nobody", "off", ""):
            self.failureResultOf(checker.requestAvatarId(_Proved(name)), UnauthorizedLogin)

    def test_too_busy(self) -> None:
        """Being too busy is no wrong password: it passes through."""
        self.patch(self.directory, "_passwords", _Busy())
        checked = AccountChecker(self.directory).requestAvatarId(UsernamePassword(b"joe", b"x"))
        self.failureResultOf(checked, TooBusyError)


class RealmTests(PortalTestCase):
    """:class:`Realm`, through the portal."""

    def login(self, *interfaces: object) -> object:
        """Log joe in."""
        return self.portal.login(UsernamePassword(b"joe", "sécret word".encode()), None, *interfaces)  # type: ignore[arg-type]

    def test_mailbox(self) -> None:
        """The avatar for a mailbox is open and locked until the logout."""
        interface, mailbox, logout = self.successResultOf(self.login(IMailbox))  # type: ignore[arg-type]
        self.assertIs(IMailbox, interface)
        self.assertTrue(IMailbox.providedBy(mailbox))
        self.assertEqual(2, mailbox.count())
        self.failureResultOf(self.login(IMailbox), MailboxInUseError)  # type: ignore[arg-type]
        logout()
        self.successResultOf(self.login(IMailbox))[2]()  # type: ignore[arg-type]

    def test_unreadable_mailbox(self) -> None:
        """A mailbox that the system refuses is a temporary failure that names the file, in the log, too, without a traceback."""
        os.rename(self.path, self.path + ".away")
        Path(self.path).write_bytes(b"no directory")
        with capturedLogs() as events:
            failure = self.failureResultOf(self.login(IMailbox), UnavailableError)  # type: ignore[arg-type]
        words = f"the mailbox of joe cannot be opened: {self.path}/tmp: Not a directory"
        self.assertEqual(str(failure.value), words)
        self.assertEqual([(formatEvent(event), "log_failure" in event) for event in events], [(words, False)])
        os.unlink(self.path)
        os.rename(self.path + ".away", self.path)
        # It is not taken for one that is open.
        self.successResultOf(self.login(IMailbox))[2]()  # type: ignore[arg-type]

    def test_delivery(self) -> None:
        """The avatar for sending is made for the account, or for nobody when the peer is anonymous."""
        interface, avatar, logout = self.successResultOf(self.login(IMessageDelivery))  # type: ignore[arg-type]
        self.assertEqual((IMessageDelivery, self), (interface, avatar))
        logout()
        self.successResultOf(self.portal.login(Anonymous(), None, IMessageDelivery))
        self.assertEqual([Account("joe", ("joe@example.org",)), None], self.delivered_for)

    def test_the_first_interface_that_there_is(self) -> None:
        """Of several interfaces the first is served that an avatar can have."""
        interface, _, _ = self.successResultOf(self.login(IAccount, IMessageDelivery, IMailbox))  # type: ignore[arg-type]
        self.assertIs(IMessageDelivery, interface)

    def test_other_interfaces(self) -> None:
        """There is no avatar for other interfaces, and no mailbox for nobody."""
        self.failureResultOf(self.login(IAccount), NotImplementedError)  # type: ignore[arg-type]
        self.failureResultOf(self.portal.login(Anonymous(), None, IMailbox), NotImplementedError)

    def test_avatar_ids(self) -> None:
        """Ids may be text or octets; those of no account, or of a disabled one, get nothing."""
        realm = Realm(self.directory, self.mailboxes.mailbox, self.make_delivery)
        for avatar_id in ("joe", b"joe", ANONYMOUS):
            self.successResultOf(realm.requestAvatar(avatar_id, None, IMessageDelivery))
        for avatar_id in ("nobody", b"off", b"\xff"):
            self.failureResultOf(realm.requestAvatar(avatar_id, None, IMessageDelivery), UnauthorizedLogin)

    def test_logout_that_fails(self) -> None:
        """Nobody waits for a logout: what goes wrong is logged."""
        _, mailbox, logout = self.successResultOf(self.login(IMailbox))  # type: ignore[arg-type]
        assert isinstance(mailbox, POP3Mailbox)
        self.patch(self.reader, "submit", _broken)
        logout()
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))

    def test_checkers(self) -> None:
        """Names and passwords and anonymous peers are checked; a programmer's own checker takes ours' place."""
        self.assertEqual({IUsernamePassword, IProvedAccount, IAnonymous}, set(self.portal.checkers))
        theirs = InMemoryUsernamePasswordDatabaseDontUse(joe=b"their own")
        portal = make_portal(self.directory, self.mailboxes.mailbox, self.make_delivery, [theirs])
        self.assertIn(IUsernameHashedPassword, portal.checkers)
        login = portal.login(UsernamePassword(b"joe", b"their own"), None, IMessageDelivery)
        self.assertIs(self, self.successResultOf(login)[1])


class StockPOP3Tests(PortalTestCase):
    """Twisted's ``pop3.POP3``, as it is, attached to the portal."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.transport = StringTransport()
        self.server = POP3()
        self.server.portal = self.portal
        self.server.timeOut = None
        self.server.factory = _Quiet()
        self.server.schedule = _run_to_the_end
        self.server.makeConnection(self.transport)
        self.transport.clear()

    def say(self, line: bytes) -> bytes:
        """Send a command; what comes back."""
        self.transport.clear()
        self.server.dataReceived(line + b"\r\n")
        while self.transport.producer is not None:
            self.transport.producer.resumeProducing()
        return self.transport.value()

    def login(self) -> None:
        """Log joe in."""
        self.say(b"USER joe@example.org")
        self.assertEqual(b"+OK Authentication succeeded\r\n", self.say("PASS sécret word".encode()))

    def test_reads_mail(self) -> None:
        """Listing, sizes, ids and messages come through."""
        self.login()
        wire = ONE.replace(b"\n", b"\r\n")
        self.assertEqual(b"+OK 2 %d\r\n" % (len(wire) + 19), self.say(b"STAT"))
        self.assertEqual(b"+OK 1 %d\r\n" % len(wire), self.say(b"LIST 1"))
        self.assertIn(b"1 1700000001.a.h\r\n2 1700000002.b.h\r\n.\r\n", self.say(b"UIDL"))
        body = wire.replace(b"\r\n.", b"\r\n..")
        self.assertEqual(b"+OK %d\r\n" % len(wire) + body + b".\r\n", self.say(b"RETR 1"))
        self.assertIn(b"Subject: two\r\n", self.say(b"TOP 2 0"))

    def test_deletes_at_quit(self) -> None:
        """A deleted message is gone after QUIT and not before, and the mailbox is free for the next session."""
        self.login()
        self.say(b"DELE 1")
        self.assertEqual(2, len(files_in(self.path, "new")))
        self.assertTrue(self.say(b"QUIT").startswith(b"+OK"))
        self.assertEqual(["1700000002.b.h"], files_in(self.path, "new"))
        self.server.connectionLost(None)
        mailbox = self.mailboxes.mailbox(Account("joe", ()))
        self.assertTrue(self.successResultOf(mailbox.open()))
        self.successResultOf(mailbox.close())

    def test_wrong_password(self) -> None:
        """A wrong password is refused."""
        self.say(b"USER joe")
        self.assertTrue(self.say(b"PASS wrong").startswith(b"-ERR"))

    def test_in_use(self) -> None:
        """While another session has the mailbox the login fails, and Twisted's server says so in its way."""
        mailbox = self.mailboxes.mailbox(Account("joe", ()))
        self.assertTrue(self.successResultOf(mailbox.open()))
        self.say(b"USER joe")
        self.assertTrue(self.say("PASS sécret word".encode()).startswith(b"-ERR"))
        self.assertEqual(1, len(self.flushLoggedErrors(MailboxInUseError)))
        self.successResultOf(mailbox.close())


class _Quiet:
    """A factory that does not talk."""

    noisy = False


class _Busy:
    """Passwords that are always too busy."""

    async def verify(self, account_name: str, stored_hash: str, password: str, *, wants_scram: bool = False) -> object:
        """Refuse."""
        raise TooBusyError("too many")


def _broken(item: object) -> object:
    raise OSError("broken")


def _run_to_the_end(iterator: object) -> object:
    for _ in iterator:  # type: ignore[attr-defined]
        pass
    return succeed(None)
