"""Quotas at the end of a message, when its size is known: who is refused, what is stored, and what is looked at."""

from __future__ import annotations

import os

import attrs
from twisted.internet.defer import Deferred
from twisted.mail import smtp
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.core.account import Account
from hermes.core.event import Kind
from hermes.protocols.smtp.events import Flavor
from hermes.services.reception import Reception
from tests.support.maildirs import calling_worker, clock_at, mailboxes_in, put
from tests.support.smtp_site import ALICE, BOB, Client, Site, body_of, codes, plain

SENDER = "MAIL FROM:<writer@example.com>"
TO_ALICE = "RCPT TO:<alice@example.org>"
TO_BOB = "RCPT TO:<bob@example.org>"

TEXT = "x" * 100


class MailboxTests(SynchronousTestCase):
    """Real mailboxes, of 10,000 octets each."""

    @override
    def setUp(self) -> None:
        self.root = self.mktemp()
        self.worker = calling_worker()

    def site(self, flavor: Flavor = Flavor.SMTP, quota: int = 10_000, implicit_tls: bool = False) -> Site:
        """A site with these mailboxes."""
        self.mailboxes = mailboxes_in(self.root, self.worker, clock_at(), default_quota=quota)
        return Site(flavor=flavor, implicit_tls=implicit_tls, mailboxes=self.mailboxes)

    def fill(self, account: Account, octets: int) -> None:
        """Put a message of that size into the mailbox."""
        put(os.path.join(self.root, account.name), "new", f"1.a.h,S={octets}")

    def send(self, client: Client, *recipients: str, lines: int = 1) -> list[str]:
        """Send a message of so many lines without its size; the replies after DATA."""
        client.say(SENDER, *recipients, "DATA")
        return client.say("Subject: x", "", *[TEXT] * lines, ".")

    def size(self, *recipients: str) -> int:
        """What a message of one line takes in a mailbox."""
        site = Site()
        self.send(site.connect(), *recipients)
        return len(site.spool.committed[0].octets)

    def test_full(self) -> None:
        """Without SIZE a message is taken up to the last octet of the mailbox; one less, and it is refused with 452 4.2.2."""
        size = self.size(TO_ALICE)
        for room, expected in ((size + 1, "250"), (size, "250"), (size - 1, "452")):
            self.root = self.mktemp()
            self.fill(ALICE, 10_000 - room)
            site = self.site()
            replies = self.send(site.connect(), TO_ALICE)
            self.assertEqual(codes(replies), [expected], room)
            self.assertEqual((len(site.spool.committed), len(site.spool.aborted)), (1, 0) if room >= size else (0, 1))
        self.assertEqual(replies, ["452 4.2.2 The mailbox is full"])

    def test_never(self) -> None:
        """What is larger than the mailbox may ever hold is refused for good: 552 5.2.3."""
        site = self.site()
        replies = self.send(site.connect(), TO_ALICE, lines=100)
        self.assertEqual(replies, ["552 5.2.3 The message is larger than the mailbox may ever hold"])
        self.assertEqual(site.spool.committed, [])

    def test_declared_too_little(self) -> None:
        """A size that was declared helps nobody who sends more."""
        self.fill(ALICE, 9_000)
        client = self.site().connect()
        client.say(f"{SENDER} SIZE=100", TO_ALICE, "DATA")
        self.assertEqual(codes(client.say("", *[TEXT] * 20, ".")), ["452"])

    def test_chunks(self) -> None:
        """The same holds for BDAT (RFC 3030), and the session goes on."""
        self.fill(ALICE, 9_000)
        client = self.site().connect()
        client.say(SENDER, TO_ALICE)
        data = b"\r\n" + b"x" * 990 + b"\r\n"
        self.assertEqual(codes(client.send(b"BDAT %d\r\n%sBDAT 2 LAST\r\n\r\n" % (len(data), data))), ["250", "452"])
        self.assertEqual(codes(self.send(client, TO_BOB)), ["250"])

    def test_trace(self) -> None:
        """A refused message is in the trace for each recipient, with its own reason and what the client was told."""
        self.fill(ALICE, 9_000)
        site = self.site()
        site.directory.mailboxes["bob@example.org"] = attrs.evolve(BOB, quota_octets=1000)
        self.assertEqual(codes(self.send(site.connect(), TO_ALICE, TO_BOB, lines=10)), ["452"])
        self.assertEqual(
            [(each.kind, each.queue_id, each.address, each.facts["rule"]) for each in site.journal.events],
            [
                (Kind.REFUSED, "000000000001", "alice@example.org", "mailbox.quota"),
                (Kind.REFUSED, "000000000001", "bob@example.org", "mailbox.quota"),
            ],
        )
        reasons = [str(each.facts["reason"]) for each in site.journal.events]
        self.assertIn("9000 octets and", reasons[0])
        self.assertIn("the quota is 1000", reasons[1])
        self.assertEqual({each.facts["reply"] for each in site.journal.events}, {"452 4.2.2 The mailbox is full"})

    def test_temporary_before_permanent(self) -> None:
        """Where one could be helped by waiting and the other never, the client is told to wait."""
        self.fill(BOB, 9_000)
        site = self.site()
        site.directory.mailboxes["alice@example.org"] = attrs.evolve(ALICE, quota_octets=1000)
        self.assertEqual(codes(self.send(site.connect(), TO_ALICE, TO_BOB, lines=10)), ["452"])

    def test_some(self) -> None:
        """One reply is for all (RFC 5321 4.1.1.4): where one has room it is taken for all, and nothing is refused."""
        self.fill(ALICE, 10_000 - self.size(TO_ALICE, TO_BOB) + 1)
        site = self.site()
        self.assertEqual(codes(self.send(site.connect(), TO_ALICE, TO_BOB)), ["250"])
        (committed,) = site.spool.committed
        addresses = [recipient.address for recipient in committed.message.recipients]
        self.assertEqual(addresses, ["alice@example.org", "bob@example.org"])
        self.assertEqual(site.journal.events, [])

    def test_others(self) -> None:
        """A recipient elsewhere has no mailbox here that could be full: with one of them the message is taken."""
        self.fill(ALICE, 9_999)
        site = self.site(Flavor.SUBMISSION, implicit_tls=True)
        client = site.connect()
        client.say(f"AUTH PLAIN {plain('bob')}")
        client.say("MAIL FROM:<bob@example.org>", TO_ALICE, "RCPT TO:<x@example.net>", "DATA")
        self.assertEqual(codes(client.say("", TEXT, ".")), ["250"])

    def test_stock_session(self) -> None:
        """Twisted's own session, attached to the same portal, refuses at the end of the message too."""
        self.fill(ALICE, 9_999)
        site = self.site()
        reception = Reception(None, site.premises)
        user = smtp.User(b"alice@example.org", (b"x", b"192.0.2.7"), None, smtp.Address(b"writer@example.com"))
        message = self.successResultOf(reception.validateTo(user))()
        message.lineReceived(TEXT.encode())
        error = self.failureResultOf(message.eomReceived(), smtp.SMTPServerError).value
        self.assertEqual((error.code, error.resp), (452, "4.2.2 The mailbox is full"))
        self.assertEqual(site.spool.committed, [])

    def test_several_addresses(self) -> None:
        """Two addresses of one mailbox are two copies, and one address in two spellings is one (RFC 5321 2.4)."""
        other, again = "RCPT TO:<al@example.org>", "RCPT TO:<ALICE@Example.org>"
        size = self.size(TO_ALICE, TO_BOB)
        for room, recipients, expected in (
            (2 * size, (TO_ALICE, other), "250"),
            (2 * size - 1, (TO_ALICE, other), "452"),
            (size, (TO_ALICE, again), "250"),
        ):
            self.root = self.mktemp()
            self.fill(ALICE, 10_000 - room)
            self.assertEqual(codes(self.send(self.site().connect(), *recipients)), [expected], (room, recipients))

    def test_lmtp(self) -> None:
        """LMTP answers for each recipient, in their order, and stores for those who have room (RFC 2033 4.2)."""
        self.fill(ALICE, 9_999)
        site = self.site(Flavor.LMTP)
        client = site.connect(greet="LHLO client.example.com")
        again = "RCPT TO:<ALICE@example.org>"
        replies = self.send(client, TO_ALICE, TO_BOB, again, "RCPT TO:<postmaster>")
        self.assertEqual(
            replies,
            [
                "452 4.2.2 The mailbox is full",
                "250 2.0.0 accepted as 000000000001",
                "452 4.2.2 The mailbox is full",
                "250 2.0.0 accepted as 000000000001",
            ],
        )
        (committed,) = site.spool.committed
        addresses = [recipient.address for recipient in committed.message.recipients]
        self.assertEqual(addresses, ["bob@example.org", "postmaster"])
        self.assertEqual(committed.facts["recipients"], 2)
        self.assertEqual(body_of(committed.octets), f"Subject: x\n\n{TEXT}\n".encode())
        self.assertEqual(
            site.journal.refusals(),
            [("mailbox.quota", "alice@example.org"), ("mailbox.quota", "ALICE@example.org")],
        )

    def test_lmtp_nobody(self) -> None:
        """Where nobody has room, LMTP says so for each, and nothing is stored."""
        self.fill(ALICE, 9_999)
        self.fill(BOB, 9_999)
        site = self.site(Flavor.LMTP)
        client = site.connect(greet="LHLO client.example.com")
        self.assertEqual(codes(self.send(client, TO_ALICE, TO_BOB)), ["452", "452"])
        self.assertEqual((site.spool.committed, site.spool.aborted), ([], ["000000000001"]))

    def test_no_quota(self) -> None:
        """Without quotas nobody is asked again, and nothing is looked at on the disk."""
        site = self.site(quota=0)
        site.directory.asked.clear()
        self.assertEqual(codes(self.send(site.connect(), TO_ALICE, lines=200)), ["250"])
        # Once by the policy and once by the router, both at RCPT.
        self.assertEqual(site.directory.asked, ["alice@example.org"] * 2)
        self.assertEqual(self.worker.groups, [])


class AskingTests(SynchronousTestCase):
    """When the mailboxes are asked again."""

    def test_as_declared(self) -> None:
        """A message that takes no more than was declared has been judged; one octet more, and it is judged again."""
        site = Site()
        site.mailboxes.rooms["alice"] = 10_000
        client = site.connect()
        client.say(SENDER, TO_ALICE, "DATA")
        client.say("", ".")
        ((_, nothing), (_, size)) = site.mailboxes.asked
        self.assertEqual((nothing, size), (0, len(site.spool.committed[0].octets)))
        for declared, expected in ((size - 1, [size - 1, size]), (size, [size]), (size + 1, [size + 1])):
            site.mailboxes.asked.clear()
            client.say(f"{SENDER} SIZE={declared}", TO_ALICE, "DATA")
            client.say("", ".")
            self.assertEqual([octets for _, octets in site.mailboxes.asked], expected, declared)

    def test_postmaster(self) -> None:
        """Mail for the postmaster is taken, however full the mailbox is (RFC 5321 4.5.1)."""
        site = Site()
        site.mailboxes.rooms["bob"] = 0
        client = site.connect()
        client.say(SENDER, "RCPT TO:<postmaster>", "DATA")
        self.assertEqual(codes(client.say("", "text", ".")), ["250"])

    def test_account_gone(self) -> None:
        """An account that is removed while the message comes is no matter of room: the message is taken."""
        site = Site()
        site.mailboxes.rooms["alice"] = 100
        client = site.connect()
        client.say(SENDER, TO_ALICE, "DATA")
        del site.directory.mailboxes["alice@example.org"]
        self.assertEqual(codes(client.say("", TEXT, TEXT, ".")), ["250"])

    def test_next_transaction(self) -> None:
        """What is known of one transaction's recipients is forgotten with it."""
        site = Site()
        site.mailboxes.rooms["alice"] = 0
        client = site.connect()
        client.say(SENDER, TO_ALICE, "RSET", SENDER, TO_BOB, "DATA")
        self.assertEqual(codes(client.say("", TEXT, ".")), ["250"])

    def test_fault(self) -> None:
        """A fault while room is judged keeps the message with the client: 451, and nothing is stored."""
        site = Site()
        site.mailboxes.rooms["alice"] = 1000
        client = site.connect()
        client.say(SENDER, TO_ALICE, "DATA")
        answer: Deferred[None] = Deferred()

        async def over_quota(account: Account, octets: int) -> None:
            await answer

        site.mailboxes.over_quota = over_quota  # type: ignore[method-assign,assignment]
        self.assertEqual(client.say("", TEXT, "."), [])
        answer.errback(OSError("disk"))
        self.assertEqual(codes(client.heard()), ["451"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual((site.spool.committed, site.spool.aborted), ([], ["000000000001"]))
