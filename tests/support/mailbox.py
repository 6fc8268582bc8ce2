"""A mailbox in memory, for whoever serves mailboxes; and a realm, a checker and a reader that go with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, succeed
from twisted.mail.pop3 import IMailbox
from zope.interface import implementer

from hermes.core.message import Content
from hermes.core.reading_profile import PLAIN
from hermes.interfaces import IContentReader, IProvedAccount, IStreamingMailbox, MailboxInUseError


def on_the_wire(message: bytes) -> bytes:
    """A message as a client should have it: whatever ended a line is CRLF, and the last line has its end."""
    lines = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


@implementer(IStreamingMailbox)
class MemoryMailbox:
    """
    Messages as octets in stored form, with LF line ends.

    ``undeletable`` are the numbers that :meth:`update` fails to delete; ``gone`` those whose octets another program has taken
    away. ``calls`` lists what was asked for that a test wants to see: ``open``, ``update``, ``close``. ``updating`` and
    ``closing``, when set, hold update and close up.
    """

    #: Whether messages are in memory, to be had without a wait.
    at_once = False

    #: Nobody but the login knows whose it is, unless a test says so.
    account = ""

    def __init__(self, *messages: bytes) -> None:
        self.messages: list[bytes | None] = list(messages)
        self.deleted: set[int] = set()
        self.retrieved: set[int] = set()
        self.undeletable: set[int] = set()
        self.gone: set[int] = set()
        self.calls: list[str] = []
        self.update_fault: Exception | None = None
        self.updating: Deferred[None] | None = None
        self.closing: Deferred[None] | None = None
        self.locked = False
        self.reading = PLAIN
        self.seen: set[int] = set()
        self.times: dict[int, float] = {}

    async def open(self) -> bool:
        """Lock."""
        if self.locked:
            return False
        self.locked = True
        self.calls.append("open")
        return True

    def count(self) -> int:
        """How many there are."""
        return len(self.messages)

    def size(self, number: int) -> int:
        """With CRLF line ends, the last one included."""
        if number in self.deleted:
            return 0
        return len(on_the_wire(self.messages[number] or b""))

    def total(self) -> tuple[int, int]:
        """Without those marked."""
        kept = [number for number in range(len(self.messages)) if number not in self.deleted]
        return len(kept), sum(self.size(number) for number in kept)

    def uid(self, number: int) -> str:
        """Made of the number."""
        return f"uid-{number + 1}"

    def queue_id(self, number: int) -> str:
        """Made of the number."""
        return f"0123456789{number + 1:02}"

    def is_seen(self, number: int) -> bool:
        """Read?"""
        return number in self.seen

    def arrived(self, number: int) -> float | None:
        """When?"""
        return self.times.get(number)

    def is_deleted(self, number: int) -> bool:
        """Marked?"""
        return number in self.deleted

    def delete(self, number: int) -> None:
        """Mark."""
        self.deleted.add(number)

    def undelete_all(self) -> None:
        """Take the marks back."""
        self.deleted.clear()

    def octets_at_once(self, number: int) -> bytes | None:
        """The octets, where a test wants them so."""
        return self.messages[number] if self.at_once and number not in self.gone else None

    async def content(self, number: int) -> Content:
        """The octets."""
        message = self.messages[number]
        if number in self.gone or message is None:
            raise FileNotFoundError(f"message {number + 1}")
        return Content(len(message), self.size(number), 0, data=message)

    def mark_retrieved(self, number: int) -> None:
        """Remember."""
        self.retrieved.add(number)

    async def update(self) -> list[int]:
        """Remove the octets of what is marked."""
        self.calls.append("update")
        if self.updating is not None:
            await self.updating
        if self.update_fault is not None:
            raise self.update_fault
        for number in self.deleted - self.undeletable:
            self.messages[number] = None
        return sorted(self.deleted & self.undeletable)

    async def close(self) -> None:
        """Unlock."""
        self.calls.append("close")
        if self.closing is not None:
            await self.closing
        self.locked = False


@implementer(IContentReader)
class MemoryReader:
    """
    Reads what is in memory, in pieces of ``piece_octets``.

    ``fault_after`` makes it fail with ``fault`` after so many pieces; ``pieces`` counts those given, ``closed`` the readings
    that ended.
    """

    def __init__(self, piece_octets: int = 64 * 1024) -> None:
        self.piece_octets = piece_octets
        self.fault_after: int | None = None
        self.fault: Exception = OSError("the disk is broken")
        self.pieces = 0
        self.closed = 0

    async def chunks(self, content: Content, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The octets."""
        data = content.data
        assert data is not None
        try:
            for start in range(offset, len(data), self.piece_octets):
                if self.fault_after == self.pieces:
                    raise self.fault
                self.pieces += 1
                yield data[start : start + self.piece_octets]
        finally:
            self.closed += 1


@implementer(IRealm)
class MailboxRealm:
    """
    Gives each name its avatar: one of ours is opened, a foreign one is given as it is.

    ``delay``, when set, is waited for before the avatar is given; ``fault`` is raised instead of giving one. ``logouts``
    lists who was logged out.
    """

    def __init__(self, **avatars: object) -> None:
        self.avatars = avatars
        self.delay: Deferred[None] | None = None
        self.fault: Exception | None = None
        self.logouts: list[str] = []

    def requestAvatar(self, avatar_id: bytes | str, mind: object, *interfaces: type) -> Deferred[object]:
        """What the portal asks."""
        assert IMailbox in interfaces
        name = avatar_id.decode() if isinstance(avatar_id, bytes) else avatar_id
        return Deferred.fromCoroutine(self._avatar(name))

    async def _avatar(self, name: str) -> tuple[object, object, Callable[[], None]]:
        if self.delay is not None:
            await self.delay
        if self.fault is not None:
            raise self.fault
        avatar = self.avatars[name]
        if IStreamingMailbox.providedBy(avatar) and not await avatar.open():  # type: ignore[attr-defined]
            raise MailboxInUseError
        return IMailbox, avatar, lambda: self.logouts.append(name)


@implementer(ICredentialsChecker)
class Passwords:
    """Checks against a dictionary of text; ``fault`` is raised instead, when set."""

    credentialInterfaces = (IUsernamePassword, IProvedAccount)

    def __init__(self, passwords: dict[str, str]) -> None:
        self.passwords = passwords
        self.fault: Exception | None = None
        self.asked: list[tuple[str, str]] = []

    async def _check(self, name: str, password: str) -> bytes:
        self.asked.append((name, password))
        if self.fault is not None:
            raise self.fault
        if self.passwords.get(name) != password:
            raise UnauthorizedLogin
        return name.encode()

    def requestAvatarId(self, credentials: IUsernamePassword | IProvedAccount) -> Deferred[bytes]:
        """What the portal asks: names and passwords are octets, as Twisted's protocols give them; a proof is believed."""
        if IProvedAccount.providedBy(credentials):
            return succeed(credentials.account.encode())
        return Deferred.fromCoroutine(self._check(credentials.username.decode(), credentials.password.decode()))


def portal_for(realm: MailboxRealm, passwords: dict[str, str]) -> Portal:
    """A portal of both."""
    return Portal(realm, [Passwords(passwords)])
