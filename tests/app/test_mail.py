"""
Mail through the whole server: sent with ``smtplib``, kept, read with ``poplib``, and found again.

The same with Twisted's stock ``smtp.ESMTP`` and ``pop3.POP3`` in front: they know nothing of Hermes but its portal.
"""

from __future__ import annotations

import contextlib
import json
import poplib
import smtplib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.mail import pop3, smtp
from twisted.mail.imap4 import PLAINCredentials

from hermes.app.server import Server
from hermes.core.event import Kind
from tests.support.certificates import make_certificate
from tests.support.ports import free_port
from tests.support.server import PASSWORD, USER, Events, ServerTestCase

LETTER = b"From: bob@example.com\r\nTo: anna@example.org\r\nSubject: Hello\r\n\r\n.A line\r\n..and another\r\n"


def send(port: int, *recipients: str, login: bool = False) -> None:
    """Send the letter as any program does; ``login`` wants TLS and an account."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example.com", timeout=10) as client:
        sender = "bob@example.com"
        if login:
            client.starttls(context=_trusting())
            client.login(USER, PASSWORD)
            sender = "anna@example.org"
        client.sendmail(sender, recipients, LETTER)


def read(port: int) -> list[bytes]:
    """Read and delete all messages as any program does."""
    client = poplib.POP3("127.0.0.1", port, timeout=10)
    with contextlib.closing(client):
        client.user(USER)
        client.pass_(PASSWORD)
        count, _ = client.stat()
        messages = []
        for number in range(1, count + 1):
            messages.append(b"".join(line + b"\r\n" for line in client.retr(number)[1]))
            client.dele(number)
        client.quit()
    return messages


def ask(path: str, command: str, **arguments: Any) -> Any:
    """Ask at the control socket, as the command line does."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(10)
        control.connect(path)
        control.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
        with control.makefile("rb") as lines:
            answer = json.loads(lines.readline())
    assert answer["ok"], answer
    return answer["result"]


def closed_way_out() -> str:
    """A smart host at which nobody answers."""
    return f"[smarthost]\nhost = 127.0.0.1\nport = {free_port()}\ntls = none\n"


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class MailTestCase(ServerTestCase):
    """A server at which people and programs send and read."""

    async def mail_server(self, more: str = "") -> tuple[Server, Events]:
        """Start it."""
        certificate, key = make_certificate(Path(self.mktemp()).absolute())
        self.smtp, self.submission, self.pop3 = free_port(), free_port(), free_port()
        events = self.events()
        server = await self.start(
            f"[tls]\ncertificate = {certificate}\nkey = {key}\n"
            f"[smtp]\nlisten = 127.0.0.1:{self.smtp}\nsubmission = 127.0.0.1:{self.submission}\n"
            f"[pop3]\nlisten = 127.0.0.1:{self.pop3}\nauth_without_tls = loopback\n{more}"
        )
        return server, events


class WholeServerTests(MailTestCase):
    """From the client's first word to the reader's last."""

    async def test_in_and_out(self) -> None:
        """A letter comes in, is kept, is read octet for octet, and its way can be told."""
        _, events = await self.mail_server()
        await deferToThread(send, self.smtp, "anna@example.org")
        (delivered,) = await events.until(Kind.DELIVERED)
        (message,) = await deferToThread(read, self.pop3)
        self.assertTrue(message.startswith(b"Return-Path: <bob@example.com>\r\nReceived: from client.example.com"))
        self.assertTrue(message.endswith(LETTER))
        self.assertEqual(await deferToThread(read, self.pop3), [])
        lines = await deferToThread(ask, str(self.data / "control.sock"), "track", query=delivered.queue_id)
        self.assertEqual(
            [line.split()[1] for line in lines], ["received", "delivered", "retrieved", "deleted"], "\n".join(lines)
        )

    async def test_unknown_recipient(self) -> None:
        """Nobody's mailbox is refused at once, by name, and what was refused can be found again."""
        _, events = await self.mail_server()
        with self.assertRaises(smtplib.SMTPRecipientsRefused) as caught:
            await deferToThread(send, self.smtp, "nobody@example.org", "bob@example.net")
        self.assertEqual({code for code, _ in caught.exception.recipients.values()}, {550})
        refused = await events.until(Kind.REFUSED, 2)
        self.assertEqual([event.address for event in refused], ["nobody@example.org", "bob@example.net"])

    async def test_submission(self) -> None:
        """A person logs in under TLS and sends; without a login there is nothing to be sent."""
        _, events = await self.mail_server()
        with self.assertRaises(smtplib.SMTPException):
            await deferToThread(send, self.submission, "anna@example.org")
        await deferToThread(send, self.submission, "anna@example.org", login=True)
        await events.until(Kind.DELIVERED)
        (message,) = await deferToThread(read, self.pop3)
        self.assertIn(b"with ESMTPSA ", message.partition(b"\r\n\r\n")[0])
        logins = await events.until(Kind.LOGIN, 2)
        self.assertEqual([event.address for event in logins], [USER, USER])

    async def test_another_way_out(self) -> None:
        """Mail that cannot go out waits visibly, can be held, and goes by another way after a reload."""
        server, events = await self.mail_server(closed_way_out())
        await deferToThread(send, self.submission, "bob@example.net", login=True)
        (deferred,) = await events.until(Kind.DEFERRED)
        control, queue_id = str(self.data / "control.sock"), deferred.queue_id
        self.assertEqual(
            await deferToThread(ask, control, "queue.hold", id=queue_id), f"{queue_id} is held until it is released"
        )
        (row,) = await deferToThread(ask, control, "queue")
        self.assertEqual((row["to"], row["state"], row["attempts"]), ("<bob@example.net>", "held", 1))
        letters: list[bytes] = []
        port = reactor.listenTCP(0, _sink(letters), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        path = Path(self.path)
        before, section, _ = path.read_text().partition("[smarthost]")
        path.write_text(f"{before}{section}\nhost = 127.0.0.1\nport = {port.getHost().port}\ntls = none\n")
        self.assertEqual(await deferToThread(ask, control, "reload"), "The configuration is in force.")
        await deferToThread(ask, control, "queue.release", id=queue_id)
        (relayed,) = await events.until(Kind.RELAYED)
        self.assertEqual(relayed.address, "bob@example.net")
        self.assertTrue(letters[0].replace(b"\n", b"\r\n").endswith(LETTER))
        self.assertEqual(await server.spool.select(None), [])


class StockClassesTests(MailTestCase):
    """Twisted's own protocols at the portal of the server."""

    def listen(self, make: Callable[[], Any]) -> int:
        """Put a stock protocol behind a port."""

        class Factory(ServerFactory):
            noisy = False

            def buildProtocol(self, addr: object) -> Any:
                protocol = make()
                protocol.factory = self
                return protocol

        port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def sending(self, server: Server) -> int:
        """A port with ``smtp.ESMTP``."""

        def make() -> smtp.ESMTP:
            session = smtp.ESMTP({b"PLAIN": PLAINCredentials})
            session.portal = server._circle.portal  # type: ignore[assignment]
            session.noisy = False
            session.timeout = None  # type: ignore[assignment]
            return session

        return self.listen(make)

    def reading(self, server: Server) -> int:
        """A port with ``pop3.POP3``."""

        def make() -> pop3.POP3:
            session = pop3.POP3()
            session.portal = server._circle.portal  # type: ignore[assignment]
            session.noisy = False
            return session

        return self.listen(make)

    async def test_mail(self) -> None:
        """The stock classes send and read mail."""
        server, events = await self.mail_server()
        await deferToThread(send, self.sending(server), "anna@example.org")
        await events.until(Kind.DELIVERED)
        (message,) = await deferToThread(read, self.reading(server))
        self.assertTrue(message.startswith(b"Return-Path: <bob@example.com>\r\nReceived: from client.example.com"))
        self.assertTrue(message.endswith(LETTER))
        # What a stock session deletes is deleted, and its lock on the mailbox is gone with it.
        self.assertEqual(await deferToThread(read, self.pop3), [])

    async def test_login(self) -> None:
        """A wrong password is refused there too, and a right one lets an account relay and nobody else."""
        server, events = await self.mail_server(closed_way_out())
        port = self.sending(server)

        def relay(password: str) -> None:
            with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example.com", timeout=10) as client:
                client.login(USER, password)
                client.sendmail("anna@example.org", "bob@example.net", LETTER)

        with self.assertRaises(smtplib.SMTPAuthenticationError):
            await deferToThread(relay, "wrong")
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            await deferToThread(send, port, "bob@example.net")
        await deferToThread(relay, PASSWORD)
        (received,) = await events.until(Kind.RECEIVED)
        (message,) = await server.spool.select(received.queue_id)
        self.assertEqual(message.origin.account, USER)

    async def test_lock(self) -> None:
        """A mailbox that a stock session reads is not given to another, of either kind, until it ends."""
        server, _ = await self.mail_server()
        port = self.reading(server)
        first = await deferToThread(poplib.POP3, "127.0.0.1", port, 10)
        await deferToThread(first.user, USER)
        await deferToThread(first.pass_, PASSWORD)
        for other in (port, self.pop3):
            with self.assertRaises(poplib.error_proto):
                await deferToThread(read, other)
        await deferToThread(first.quit)
        # The stock class answers QUIT first, and gives the mailbox back when its connection is gone.
        self.assertEqual(await self.read_when_free(), [])
        # The stock class does not expect a realm to refuse, and logs what it was told.
        self.flushLoggedErrors()

    async def read_when_free(self) -> list[bytes]:
        """Read as soon as no other session has the mailbox."""
        for _ in range(500):
            try:
                return await deferToThread(read, self.pop3)
            except poplib.error_proto:
                await deferLater(reactor, 0.01)
        raise AssertionError("the mailbox was never given back")


def _sink(letters: list[bytes]) -> ServerFactory:
    """Another server: Twisted's stock one, which takes everything."""

    class Message:
        def __init__(self) -> None:
            self.lines: list[bytes] = []

        def lineReceived(self, line: bytes) -> None:
            self.lines.append(line)

        def eomReceived(self) -> Any:
            letters.append(b"".join(line + b"\n" for line in self.lines))
            return smtp.defer.succeed(None)

        def connectionLost(self) -> None:
            """Nothing to forget."""

    class Delivery:
        def receivedHeader(self, helo: object, origin: object, recipients: object) -> bytes:
            return b"Received: here"

        def validateFrom(self, helo: object, origin: object) -> object:
            return origin

        def validateTo(self, user: object) -> Callable[[], Message]:
            return Message

    class Factory(ServerFactory):
        noisy = False

        def buildProtocol(self, addr: object) -> smtp.ESMTP:
            session = smtp.ESMTP()
            session.delivery = Delivery()  # type: ignore[assignment]
            session.noisy = False
            session.timeout = None  # type: ignore[assignment]
            session.factory = self
            return session

    return Factory()
