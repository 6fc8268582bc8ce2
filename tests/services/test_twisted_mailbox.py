"""Mailboxes as Twisted programmers write them, read through Hermes's POP3 server."""

from __future__ import annotations

import io

from twisted.internet.defer import Deferred, fail, succeed
from twisted.mail import pop3
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.core.message import Content
from hermes.interfaces import IContentReader, IStreamingMailbox
from hermes.services.twisted_mailbox import PIECE_OCTETS, TwistedMailbox
from tests.support.mailbox import MailboxRealm
from tests.support.pop3 import Site


class ListMailbox(pop3.Mailbox):
    """The simplest one: a list of octets, everything at once."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = list(messages)
        self.marked: set[int] = set()
        self.synced = 0
        self.files: list[io.BytesIO] = []

    def listMessages(self, i: int | None = None) -> object:
        """Sizes; 0 for what is marked."""
        sizes = [0 if number in self.marked else len(octets) for number, octets in enumerate(self.messages)]
        return sizes if i is None else sizes[i]

    def getMessage(self, i: int) -> object:
        """A file."""
        self.files.append(io.BytesIO(self.messages[i]))
        return self.files[-1]

    def getUidl(self, i: int) -> bytes:
        """Made of the number."""
        return b"id%d" % i

    def deleteMessage(self, i: int) -> None:
        """Mark; the first message must stay."""
        if i == 0:
            raise ValueError("this one stays")
        self.marked.add(i)

    def undeleteMessages(self) -> None:
        """Take the marks back."""
        self.marked.clear()

    def sync(self) -> None:
        """Carry out."""
        self.synced += 1
        self.messages = [octets for number, octets in enumerate(self.messages) if number not in self.marked]


@implementer(pop3.IMailbox)
class LateMailbox:
    """One whose every answer may come later, and whose unique ids are text."""

    def __init__(self) -> None:
        self.deletion: Deferred[None] = Deferred()
        self.syncing: Deferred[None] = Deferred()
        self.calls: list[str] = []

    def listMessages(self, i: int | None = None) -> Deferred[list[int]]:
        """Sizes."""
        return succeed([5, 0, 6])

    def getMessage(self, i: int) -> Deferred[io.BytesIO]:
        """A file."""
        return succeed(io.BytesIO(b"a\r\nb\r\n"[: 5 + i]))

    def getUidl(self, i: int) -> str:
        """Text."""
        return f"text{i}"

    def deleteMessage(self, i: int) -> Deferred[None]:
        """Later."""
        self.calls.append(f"delete {i}")
        return self.deletion

    def undeleteMessages(self) -> None:
        """Note it."""
        self.calls.append("undelete")

    def sync(self) -> Deferred[None]:
        """Later."""
        self.calls.append("sync")
        return self.syncing


class ForeignMailboxTests(SynchronousTestCase):
    """Through a whole session."""

    def test_interfaces(self) -> None:
        """The adapter keeps the promises of both seams."""
        adapter = TwistedMailbox(ListMailbox())
        self.assertTrue(verifyObject(IStreamingMailbox, adapter))
        self.assertTrue(verifyObject(IContentReader, adapter))

    def test_session(self) -> None:
        """Every command works on it, and its deletions are carried out at QUIT."""
        mailbox = ListMailbox(b"Subject: a\r\n\r\n.x\r\n", b"Subject: b\n\none\ntwo\n", b"c\n")
        realm = MailboxRealm(ada=mailbox)
        client = Site(realm).log_in()
        self.assertEqual(client.say("STAT"), b"+OK 3 40\r\n")
        self.assertEqual(client.say("LIST"), b"+OK listing follows\r\n1 18\r\n2 20\r\n3 2\r\n.\r\n")
        self.assertEqual(client.say("UIDL 2"), b"+OK 2 id1\r\n")
        self.assertEqual(client.say("RETR 1"), b"+OK 18 octets\r\nSubject: a\r\n\r\n..x\r\n.\r\n")
        self.assertEqual(client.say("TOP 2 1"), b"+OK top of message follows\r\nSubject: b\r\n\r\none\r\n.\r\n")
        self.assertEqual(client.say("DELE 2"), b"+OK message 2 marked\r\n")
        self.assertEqual(client.say("RSET"), b"+OK no message is marked\r\n")
        self.assertEqual(mailbox.marked, set())
        self.assertEqual(client.say("DELE 3"), b"+OK message 3 marked\r\n")
        self.assertEqual(client.say("LIST 3"), b"-ERR that message is marked deleted\r\n")
        self.assertEqual(client.say("STAT"), b"+OK 2 38\r\n")
        self.assertEqual(client.say("QUIT"), b"+OK goodbye\r\n")
        self.assertEqual((mailbox.synced, len(mailbox.messages)), (1, 2))
        self.assertEqual(realm.logouts, ["ada"])
        self.assertTrue(all(file.closed for file in mailbox.files))

    def test_refused_deletion(self) -> None:
        """A mailbox that will not have a message deleted is obeyed, and the session goes on."""
        client = Site(MailboxRealm(ada=ListMailbox(b"a\n", b"b\n"))).log_in()
        self.assertEqual(client.say("DELE 1"), b"-ERR that message cannot be deleted\r\n")
        self.assertEqual(client.say("STAT"), b"+OK 2 4\r\n")

    def test_dropped(self) -> None:
        """A connection that drops leaves it as it was, and logs out."""
        mailbox = ListMailbox(b"a\n", b"b\n")
        realm = MailboxRealm(ada=mailbox)
        client = Site(realm).log_in()
        client.say("DELE 2")
        client.wire.drop()
        self.assertEqual((mailbox.synced, realm.logouts), (0, ["ada"]))

    def test_fault_while_opening(self) -> None:
        """One that cannot be listed is logged out again, and the client may try later."""
        mailbox = ListMailbox()
        mailbox.listMessages = lambda i=None: fail(RuntimeError("broken"))  # type: ignore[method-assign]
        realm = MailboxRealm(ada=mailbox)
        client = Site(realm).connect()
        self.assertTrue(client.say("USER ada", "PASS secret").splitlines()[1].startswith(b"-ERR [SYS/TEMP]"))
        self.assertEqual(realm.logouts, ["ada"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_late_answers(self) -> None:
        """Deferreds are waited for; a message of size 0 is one that is gone, by the contract."""
        mailbox = LateMailbox()
        client = Site(MailboxRealm(ada=mailbox)).log_in()
        self.assertEqual(client.say("UIDL"), b"+OK listing follows\r\n1 text0\r\n3 text2\r\n.\r\n")
        self.assertEqual(client.say("RETR 2"), b"-ERR that message is marked deleted\r\n")
        self.assertEqual(client.say("RSET", "STAT"), b"+OK no message is marked\r\n+OK 2 11\r\n")
        self.assertEqual(client.say("RETR 3"), b"+OK 6 octets\r\na\r\nb\r\n.\r\n")
        client.say("DELE 1")
        self.assertEqual(client.say("QUIT"), b"")
        mailbox.deletion.callback(None)
        self.assertEqual(mailbox.calls, ["undelete", "delete 0", "sync"])
        mailbox.syncing.callback(None)
        self.assertEqual(client.take(), b"+OK goodbye\r\n")

    def test_late_refusal(self) -> None:
        """A deletion that fails later is told at QUIT, and logged."""
        mailbox = LateMailbox()
        site = Site(MailboxRealm(ada=mailbox))
        client = site.log_in()
        client.say("DELE 1", "QUIT")
        mailbox.deletion.errback(RuntimeError("broken"))
        mailbox.syncing.callback(None)
        self.assertEqual(client.take(), b"-ERR [SYS/TEMP] 1 of the marked messages could not be removed\r\n")
        self.assertEqual(site.journal.facts("deleted"), [])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_late_refusal_after_reset(self) -> None:
        """A deletion that fails after its mark was taken back is no trouble to anybody."""
        mailbox = LateMailbox()
        client = Site(MailboxRealm(ada=mailbox)).log_in()
        client.say("DELE 1", "RSET", "QUIT")
        mailbox.deletion.errback(RuntimeError("broken"))
        mailbox.syncing.callback(None)
        self.assertEqual(client.take(), b"+OK goodbye\r\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_pieces(self) -> None:
        """A message is read in pieces, from any place in it, and its file is closed by whoever stops early."""
        octets = bytes(range(256)) * 1024
        mailbox = ListMailbox(octets)
        adapter = TwistedMailbox(mailbox)
        self.successResultOf(Deferred.fromCoroutine(adapter.open()))

        async def read(offset: int, most: int) -> list[bytes]:
            pieces = []
            chunks = adapter.chunks(await adapter.content(0), offset)
            async for piece in chunks:
                pieces.append(piece)
                if len(pieces) == most:
                    break
            await chunks.aclose()
            return pieces

        pieces = self.successResultOf(Deferred.fromCoroutine(read(0, 100)))
        self.assertEqual((b"".join(pieces), max(map(len, pieces))), (octets, PIECE_OCTETS))
        self.assertEqual(b"".join(self.successResultOf(Deferred.fromCoroutine(read(1000, 100)))), octets[1000:])
        self.assertEqual(len(self.successResultOf(Deferred.fromCoroutine(read(0, 1)))), 1)
        self.assertTrue(all(file.closed for file in mailbox.files))

    def test_content_of_another(self) -> None:
        """It reads its own messages only."""

        async def read() -> None:
            async for _ in TwistedMailbox(ListMailbox()).chunks(Content(1, 1, 0, data=b"x")):
                raise AssertionError

        self.failureResultOf(Deferred.fromCoroutine(read()), TypeError)
