"""
The contract with Twisted, both ways.

Its stock ``smtp.ESMTP``, attached to Hermes's portal, receives mail into Hermes's spool; and somebody else's ``IMessageDelivery``
receives what comes to Hermes's sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.checkers import AllowAnonymousAccess, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import StringTransport
from twisted.mail import smtp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.interfaces import IIncomingMessage, IReception
from hermes.protocols.smtp.events import Flavor
from hermes.services.reception import Reception
from hermes.services.twisted_delivery import MAX_LINE_OCTETS, LineMessage, TwistedDelivery
from tests.support.smtp_site import PASSWORD, Client, Site, body_of, codes, plain


class StockServerTests(SynchronousTestCase):
    """Twisted's own server with Hermes's portal."""

    def connect(self, site: Site) -> tuple[smtp.ESMTP, Callable[..., list[str]]]:
        """A stock session, and a way to talk to it."""
        session = smtp.ESMTP({b"PLAIN": _PlainCredentials})
        session.portal = site.portal  # type: ignore[assignment]
        session.noisy = False
        session.timeout = None  # type: ignore[assignment]
        transport = StringTransport()
        session.makeConnection(transport)

        def say(*lines: str) -> list[str]:
            transport.clear()
            for line in lines:
                session.dataReceived(line.encode() + b"\r\n")
            return transport.value().decode().split("\r\n")[:-1]

        return session, say

    def test_interface(self) -> None:
        """A reception is an IMessageDelivery."""
        self.assertTrue(verifyObject(smtp.IMessageDelivery, Reception(None, Site().premises)))

    def test_receives(self) -> None:
        """A stock session takes mail for a mailbox into the spool, under Hermes's rules."""
        site = Site()
        session, say = self.connect(site)
        self.assertEqual(codes(say("EHLO client.example.com", "MAIL FROM:<x@example.com>")), ["250", "250"])
        refused = say("RCPT TO:<nobody@example.org>", "RCPT TO:<y@example.net>")
        self.assertEqual(refused[0], "550 5.1.1 No such mailbox here")
        self.assertEqual(codes(refused), ["550", "550"])
        self.assertEqual(
            codes(say("RCPT TO:<alice@example.org>", "RCPT TO:<postmaster>", "DATA")), ["250", "250", "354"]
        )
        self.assertEqual(codes(say("Subject: x", "", "..text", ".")), ["250"])
        first, second = site.spool.committed
        self.assertEqual(body_of(first.octets), b"Subject: x\n\n.text\n")
        self.assertTrue(
            first.text.startswith("Return-Path: <x@example.com>\nReceived: from client.example.com ([192.168.1.1])")
        )
        self.assertEqual(first.text.count("Received:"), 1)
        self.assertEqual(first.destinations, {"alice@example.org": "local:alice"})
        self.assertEqual(second.destinations, {"postmaster": "local:bob"})
        self.assertEqual(first.facts["listener"], "stock")
        self.assertEqual(len(site.relay_manager.messages), 2)
        session.connectionLost(Failure(ConnectionError()))

    def test_login(self) -> None:
        """A stock session logs in by the portal; then the account may relay, as itself."""
        site = Site()
        _, say = self.connect(site)
        say("EHLO client.example.com")
        self.assertEqual(codes(say(f"AUTH PLAIN {plain()}")), ["235"])
        self.assertEqual(codes(say("MAIL FROM:<bob@example.org>", "MAIL FROM:<alice@example.org>")), ["553", "250"])
        self.assertEqual(codes(say("RCPT TO:<y@example.net>", "DATA")), ["250", "354"])
        say("", ".")
        self.assertEqual(site.spool.committed[0].message.origin.account, "alice")
        self.assertEqual(site.spool.committed[0].message.origin.protocol, "ESMTPA")

    def test_null_sender(self) -> None:
        """A report is taken from a stock session."""
        site = Site()
        _, say = self.connect(site)
        say("EHLO x", "MAIL FROM:<>", "RCPT TO:<alice@example.org>", "DATA", "", ".")
        self.assertEqual(site.spool.committed[0].message.envelope.reverse_path, "")

    def test_size(self) -> None:
        """The size limit holds in stock sessions, which have none of their own."""
        for size, expected in ((98, "250"), (99, "552")):
            site = Site(max_size=100)
            _, say = self.connect(site)
            say("EHLO x", "MAIL FROM:<>", "RCPT TO:<alice@example.org>", "DATA")
            self.assertEqual(codes(say("A: " + "x" * (size - 3), ".")), [expected])
            self.assertEqual(len(site.spool.committed), expected == "250")
            self.assertEqual(len(site.spool.aborted), expected == "552")

    def test_bare_newlines(self) -> None:
        """A CR or LF that stands alone is refused there too."""
        for line in ("a\nb", "a\rb"):
            site = Site()
            _, say = self.connect(site)
            say("EHLO x", "MAIL FROM:<>", "RCPT TO:<alice@example.org>", "DATA")
            self.assertEqual(codes(say(line, ".")), ["554"])
            self.assertEqual(site.spool.committed, [])

    def test_lost(self) -> None:
        """A stock session that ends in the middle of a message leaves nothing in the spool."""
        site = Site()
        session, say = self.connect(site)
        say("EHLO x", "MAIL FROM:<>", "RCPT TO:<alice@example.org>", "DATA", "Subject: x")
        session.connectionLost(Failure(ConnectionError()))
        self.assertEqual((site.spool.committed, site.spool.aborted), ([], ["000000000001"]))

    def test_refused_at_the_end(self) -> None:
        """A message that cannot be kept is not acknowledged."""
        site = Site()
        _, say = self.connect(site)
        say("EHLO x", "MAIL FROM:<>", "RCPT TO:<alice@example.org>", "DATA")
        site.spool.full = True
        self.assertEqual(codes(say("", ".")), ["550"])
        (failure,) = self.flushLoggedErrors(smtp.SMTPServerError)
        self.assertEqual(failure.value.code, 452)
        self.assertEqual(site.spool.aborted, ["000000000001"])

    def test_fault_at_the_end(self) -> None:
        """A fault at the end is not acknowledged, and the message is not left behind."""
        site = Site()
        _, say = self.connect(site)
        say("EHLO x", "MAIL FROM:<>", "RCPT TO:<alice@example.org>", "DATA")
        site.spool.fault = OSError("disk")
        self.assertEqual(codes(say(".")), ["550"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(site.spool.aborted, ["000000000001"])


class _PlainCredentials:
    """A challenger as a Twisted programmer writes one."""

    def __new__(cls) -> Any:
        """Twisted has PLAIN for IMAP."""
        from twisted.mail.imap4 import PLAINCredentials

        return PLAINCredentials()


@implementer(smtp.IMessage)
class Letter:
    """A message as a Twisted programmer writes one."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.lost = False
        self.line_fault: Exception | None = None
        self.end: Deferred[Any] = succeed(None)

    def lineReceived(self, line: bytes) -> None:
        """Keep it."""
        if self.line_fault is not None:
            raise self.line_fault
        self.lines.append(line)

    def eomReceived(self) -> Deferred[Any]:
        """The end."""
        return self.end

    def connectionLost(self) -> None:
        """Cut short."""
        self.lost = True


@implementer(smtp.IMessageDelivery)
class Delivery:
    """A delivery as a Twisted programmer writes one: for ``*@example.org``, senders of ``spam.test`` unwanted."""

    def __init__(self) -> None:
        self.letters: dict[str, Letter] = {}
        self.helo: Any = None
        self.headers: list[Any] = []
        self.received: bytes | None = b"Received: by a programmer"
        self.make_fault: Exception | None = None
        self.waits_for: Deferred[None] = succeed(None)
        self.users: list[smtp.User] = []

    def validateFrom(self, helo: Any, origin: smtp.Address) -> Any:
        """Judge a sender."""
        self.helo = helo
        if origin.domain == b"spam.test":
            raise smtp.SMTPBadSender(origin, 571, "go away")
        return succeed(origin)

    def validateTo(self, user: smtp.User) -> Any:
        """Judge a recipient."""
        self.users.append(user)
        if user.dest.domain != b"example.org":
            return fail(smtp.SMTPBadRcpt(user))
        return self.waits_for.addCallback(lambda _: lambda: self.make(str(user)))

    def make(self, address: str) -> Letter:
        """Make a message."""
        if self.make_fault is not None:
            raise self.make_fault
        return self.letters.setdefault(address, Letter())

    def receivedHeader(self, helo: Any, origin: smtp.Address, recipients: list[smtp.User]) -> bytes | None:
        """A header."""
        self.headers.append((helo, str(origin), [str(user) for user in recipients]))
        return self.received


@implementer(IRealm)
class ForeignRealm:
    """A realm as a Twisted programmer writes one."""

    def __init__(self, avatar: Any, interface: Any = smtp.IMessageDelivery) -> None:
        self.avatar = avatar
        self.interface = interface
        self.asked: list[Any] = []
        self.logged_out = 0

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
        """Give the delivery."""
        self.asked.append(avatarId)
        if self.interface in interfaces:
            return self.interface, self.avatar, self.log_out
        raise NotImplementedError

    def log_out(self) -> None:
        """Count."""
        self.logged_out += 1


class ForeignDeliveryTests(SynchronousTestCase):
    """Hermes's sessions with somebody else's delivery."""

    def connect(self, flavor: Flavor = Flavor.SMTP) -> Client:
        """A session whose portal leads to the delivery."""
        self.delivery = Delivery()
        self.realm = ForeignRealm(self.delivery)
        self.database = InMemoryUsernamePasswordDatabaseDontUse(alice=PASSWORD.encode())
        portal = Portal(self.realm, [self.database, AllowAnonymousAccess()])
        self.site = Site(flavor=flavor, implicit_tls=True, portal=portal)
        return self.site.connect(
            greet="LHLO client.example.com" if flavor is Flavor.LMTP else "EHLO client.example.com"
        )

    def envelope(self, client: Client) -> list[str]:
        """MAIL, two RCPT, DATA."""
        return client.say("MAIL FROM:<x@example.com>", "RCPT TO:<a@example.org>", "RCPT TO:<b@example.org>", "DATA")

    def test_interfaces(self) -> None:
        """The adapters offer what sessions use."""
        delivery = TwistedDelivery(Delivery(), smtp.SMTP())
        self.assertTrue(verifyObject(IReception, delivery))
        self.assertTrue(verifyObject(IIncomingMessage, LineMessage()))

    def test_receives(self) -> None:
        """Every method of the contract is called, in order, with what Twisted gives."""
        client = self.connect()
        self.assertEqual(codes(self.envelope(client)), ["250", "250", "250", "354"])
        self.assertEqual(client.say("Subject: x", "", "..text", "."), ["250 2.0.0 accepted"])
        self.assertEqual(self.delivery.helo, (b"client.example.com", b"192.0.2.7"))
        for letter in self.delivery.letters.values():
            self.assertEqual(letter.lines, [b"Received: by a programmer", b"Subject: x", b"", b".text"])
            self.assertFalse(letter.lost)
        self.assertEqual(
            self.delivery.headers,
            [(self.delivery.helo, "x@example.com", [f"{name}@example.org"]) for name in "ab"],
        )
        self.assertIs(self.delivery.users[0].protocol, client.session)
        self.assertEqual(self.site.spool.writers, [])
        client.leave()
        self.assertEqual(self.realm.logged_out, 1)

    def test_refusals(self) -> None:
        """Exceptions that name a reply become that reply, with Twisted's default where they name none."""
        client = self.connect()
        self.assertEqual(client.say("MAIL FROM:<x@spam.test>"), ["571 go away"])
        client.say("MAIL FROM:<x@example.com>")
        self.assertEqual(client.say("RCPT TO:<x@example.net>"), ["550 Cannot receive for specified address"])
        self.assertEqual(
            self.site.journal.refusals(), [("delivery.refused", ""), ("delivery.refused", "x@example.net")]
        )
        self.assertEqual(self.site.journal.events[0].reverse_path, "x@spam.test")

    def test_strange_refusals(self) -> None:
        """A reply that is none becomes one: octets as text, a code out of range temporary, an empty text empty."""
        client = self.connect()
        self.envelope(client)
        for error, expected in (
            (smtp.SMTPServerError(550, b"5.7.1 no"), "550 5.7.1 no"),
            (smtp.SMTPServerError(250, "strange"), "451 strange"),
            (smtp.SMTPServerError(450, ""), "450 "),
        ):
            self.delivery.letters["a@example.org"].end = fail(error)
            self.assertEqual(client.say("", "."), [expected])
            self.envelope(client)

    def test_addresses_that_twisted_cannot_read(self) -> None:
        """An address beyond what Twisted's class reads is refused, not a fault."""
        client = self.connect()
        self.assertEqual(codes(client.say("MAIL FROM:<ü@example.com> SMTPUTF8")), ["553"])
        client.say("MAIL FROM:<x@example.com> SMTPUTF8")
        self.assertEqual(codes(client.say("RCPT TO:<ü@example.org>")), ["553"])

    def test_waiting(self) -> None:
        """A delivery that takes its time is waited for, and answers stay in order."""
        client = self.connect()
        self.delivery.waits_for = Deferred()
        self.assertEqual(codes(self.envelope(client)), ["250"])
        waits, self.delivery.waits_for = self.delivery.waits_for, succeed(None)
        waits.callback(None)
        self.assertEqual(codes(client.heard()), ["250", "250", "354"])

    def test_several_ends(self) -> None:
        """By SMTP one reply stands for all: temporary before permanent, so that nothing gets lost."""
        for first, second, expected in (
            (smtp.SMTPServerError(550, "no"), None, "550"),
            (smtp.SMTPServerError(550, "no"), smtp.SMTPServerError(450, "later"), "450"),
            (smtp.SMTPServerError(550, "no"), RuntimeError("fault"), "451"),
        ):
            client = self.connect()
            self.envelope(client)
            for name, error in (("a@example.org", first), ("b@example.org", second)):
                self.delivery.letters[name].end = fail(error) if error else succeed(None)
            self.assertEqual(codes(client.say("", ".")), [expected])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_each_end_of_lmtp(self) -> None:
        """By LMTP each recipient gets what its own message says."""
        client = self.connect(Flavor.LMTP)
        self.envelope(client)
        self.delivery.letters["a@example.org"].end = fail(smtp.SMTPServerError(550, "no"))
        self.assertEqual(client.say("", "."), ["550 no", "250 2.0.0 accepted"])

    def test_refused_line(self) -> None:
        """A message that refuses a line is refused at the end; all others are told that theirs was cut short."""
        client = self.connect()
        self.envelope(client)
        self.delivery.letters["b@example.org"].line_fault = smtp.SMTPServerError(554, "spam")
        self.assertEqual(client.say("Subject: x"), [])
        self.assertEqual(client.say("", "text", "."), ["554 spam"])
        self.assertTrue(all(letter.lost for letter in self.delivery.letters.values()))

    def test_cannot_be_made(self) -> None:
        """A message that cannot be made refuses DATA: by its own reply, or temporarily."""
        for error, expected in ((smtp.SMTPServerError(452, "full"), "452"), (RuntimeError("fault"), "451")):
            client = self.connect()
            self.delivery.make_fault = error
            self.assertEqual(codes(self.envelope(client))[-1], expected)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_no_header(self) -> None:
        """A delivery may do without a header; a text without one gets an empty line first."""
        client = self.connect()
        self.delivery.received = None
        self.envelope(client)
        client.say("Hello", ".")
        self.assertEqual(self.delivery.letters["a@example.org"].lines, [b"", b"Hello"])

    def test_long_line(self) -> None:
        """A line up to the limit is given out; a longer one fails the message, whether or not its end ever comes."""
        for length, expected in ((MAX_LINE_OCTETS, "250"), (MAX_LINE_OCTETS + 1, "554")):
            client = self.connect()
            self.envelope(client)
            self.assertEqual(codes(client.say("", "x" * length, "text", ".")), [expected])
        client = self.connect()
        self.envelope(client)
        for _ in range(3):
            client.send(b"x" * MAX_LINE_OCTETS)
        self.assertTrue(self.delivery.letters["a@example.org"].lost)
        self.assertEqual(codes(client.say("", ".")), ["554"])

    def test_binary(self) -> None:
        """What has no lines cannot be given out in lines."""
        self.assertEqual(codes(self.connect().say("MAIL FROM:<x@example.com> BODY=BINARYMIME")), ["554"])

    def test_last_line_without_end(self) -> None:
        """A last line that BDAT left without an end is given out."""
        client = self.connect()
        client.say("MAIL FROM:<x@example.com>", "RCPT TO:<a@example.org>")
        self.assertEqual(codes(client.send(b"BDAT 5 LAST\r\nA: b\n"[:-1] + b"c")), ["250"])
        self.assertEqual(self.delivery.letters["a@example.org"].lines[-1], b"A: bc")

    def test_lost(self) -> None:
        """A client that goes away is told to every message, and one that minds does not harm the others."""
        client = self.connect()
        self.envelope(client)

        def broken() -> None:
            raise RuntimeError("lost")

        self.patch(self.delivery.letters["a@example.org"], "connectionLost", broken)
        client.leave()
        self.assertTrue(self.delivery.letters["b@example.org"].lost)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_login(self) -> None:
        """Twisted's checkers log clients in, and the session knows the name."""
        client = self.connect()
        client.say(f"AUTH PLAIN {plain()}", "MAIL FROM:<anything@example.com>")
        self.assertEqual(self.realm.asked, [b"alice"])
        self.assertEqual(client.session.describe()["account"], "alice")

    def test_factory(self) -> None:
        """A realm may give a factory, which is asked for a delivery with each MAIL."""
        deliveries: list[Delivery] = []

        @implementer(smtp.IMessageDeliveryFactory)
        class Factory:
            def getMessageDelivery(self) -> Delivery:
                deliveries.append(Delivery())
                return deliveries[-1]

        realm = ForeignRealm(Factory(), smtp.IMessageDeliveryFactory)
        client = Site(portal=Portal(realm, [AllowAnonymousAccess()])).connect()
        for _ in range(2):
            self.assertEqual(codes(self.envelope(client)), ["250", "250", "250", "354"])
            self.assertEqual(codes(client.say("", ".")), ["250"])
        self.assertEqual([len(each.letters) for each in deliveries], [2, 2])

    def test_delivery_of_the_session(self) -> None:
        """A delivery that a programmer sets on the session is used without a login."""
        site = Site()
        client = site.connect()
        delivery = Delivery()
        client.session.delivery = delivery  # type: ignore[assignment]
        self.envelope(client)
        client.say("", ".")
        self.assertEqual(sorted(delivery.letters), ["a@example.org", "b@example.org"])
        self.assertEqual(site.realm.present, 0)
