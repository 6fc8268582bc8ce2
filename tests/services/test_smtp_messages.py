"""From DATA into the spool: what is written, what is counted, and what is said when it goes wrong."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.envelope import BodyType, Envelope, Origin, Recipient
from hermes.core.event import Kind
from hermes.core.header_facts import MAX_HEADER_OCTETS
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.interfaces import IIncomingMessage, IReception, SpoolFullError
from hermes.protocols.smtp.events import Flavor
from hermes.services.incoming import SpooledMessage
from hermes.services.reception import Reception
from tests.support.smtp_site import ALICE, NOON, Client, Site, body_of, codes, plain

ENVELOPE = ("MAIL FROM:<writer@example.com>", "RCPT TO:<alice@example.org>")


def send(client: Client, *lines: str) -> list[str]:
    """Send a message of these lines; the replies to the end of it."""
    replies = client.say(*ENVELOPE, "DATA")
    assert codes(replies) == ["250", "250", "354"], replies
    return client.say(*lines, ".")


class StoredMessageTests(SynchronousTestCase):
    """What the spool gets."""

    def test_whole(self) -> None:
        """Return-Path first, then Received, then the message with LF line ends."""
        site = Site()
        send(site.connect(), "Subject: hello", "", "..dot", "text")
        (committed,) = site.spool.committed
        self.assertRegex(
            committed.text,
            r"\AReturn-Path: <writer@example\.com>\n"
            r"Received: from client\.example\.com \(\[192\.0\.2\.7\]\) by mx\.example\.org with ESMTP\n"
            r"\tid 000000000001 for <alice@example\.org>;\n\tThu, 15 Jan 2026 .*\n"
            r"Subject: hello\n\n\.dot\ntext\n\Z",
        )

    def test_sizes(self) -> None:
        """The prefix is the Return-Path line; the wire size is that of the rest with CRLF."""
        site = Site()
        send(site.connect(), "Subject: hello", "", "text")
        (committed,) = site.spool.committed
        content = committed.message.content
        prefix, rest = committed.octets[: content.prefix_octets], committed.octets[content.prefix_octets :]
        self.assertEqual(prefix, b"Return-Path: <writer@example.com>\n")
        self.assertTrue(rest.startswith(b"Received: "))
        self.assertEqual(content.wire_octets, len(rest.replace(b"\n", b"\r\n")))
        self.assertEqual(committed.facts["size_octets"], len(b"Subject: hello\r\n\r\ntext\r\n"))

    def test_binary(self) -> None:
        """A binary message is kept as it came, and our lines end as its own do."""
        site = Site()
        client = site.connect()
        client.say("MAIL FROM:<writer@example.com> BODY=BINARYMIME", "RCPT TO:<alice@example.org>")
        data = b"Subject: x\r\n\r\n\x00\n\r\xff"
        replies = client.send(b"BDAT %d LAST\r\n%s" % (len(data), data))
        self.assertEqual(replies, ["250 2.0.0 accepted as 000000000001"])
        (committed,) = site.spool.committed
        content = committed.message.content
        self.assertTrue(committed.octets.endswith(b"\r\n" + data))
        self.assertEqual(committed.octets[: -len(data)].count(b"\n"), committed.octets[: -len(data)].count(b"\r\n"))
        self.assertTrue(content.binary)
        self.assertEqual(content.wire_octets, len(committed.octets) - content.prefix_octets)
        self.assertEqual(committed.message.envelope.body, BodyType.BINARY)

    def test_facts(self) -> None:
        """The event of the reception says from whom, how, as whom and by which way."""
        site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True)
        client = site.connect()
        client.say(f"AUTH PLAIN {plain()}", "MAIL FROM:<alice@example.org>", "RCPT TO:<x@example.net>", "DATA")
        client.say("", ".")
        (committed,) = site.spool.committed
        self.assertEqual(
            committed.facts,
            {
                "peer": "192.0.2.7",
                "hello": "client.example.com",
                "protocol": "ESMTPSA",
                "tls": None,
                "account": "alice",
                "listener": "submission",
                "size_octets": 2,
                "recipients": 1,
            },
        )
        self.assertEqual(committed.message.origin, Origin("ESMTPSA", "192.0.2.7", "client.example.com", None, "alice"))

    def test_envelope(self) -> None:
        """Envelope and destinations reach the spool with everything that was asked for."""
        site = Site()
        client = site.connect()
        client.say(
            "MAIL FROM:<> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e+2B1",
            "RCPT TO:<alice@example.org> NOTIFY=NEVER ORCPT=rfc822;al@example.org",
            "RCPT TO:<postmaster>",
            "DATA",
        )
        client.say("", ".")
        (committed,) = site.spool.committed
        self.assertEqual(
            committed.message.envelope,
            Envelope(
                "",
                (
                    Recipient("alice@example.org", frozenset({"NEVER"}), "rfc822;al@example.org"),
                    Recipient("postmaster"),
                ),
                BodyType.EIGHT_BIT,
                True,
                "HDRS",
                "e+1",
            ),
        )
        self.assertEqual(committed.destinations, {"alice@example.org": "local:alice", "postmaster": "local:bob"})

    def test_several_recipients(self) -> None:
        """With several recipients none is named in the header; one who was named twice is stored once."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "RCPT TO:<bob@example.org>", "RCPT TO:<ALICE@example.org>", "DATA")
        self.assertEqual(client.say("", "."), ["250 2.0.0 accepted as 000000000001"])
        (committed,) = site.spool.committed
        self.assertNotIn(b" for <", committed.octets)
        self.assertEqual(
            [each.address for each in committed.message.envelope.recipients], ["alice@example.org", "bob@example.org"]
        )

    def test_handed_to_the_queue(self) -> None:
        """The queue is told of the message when it is durable, and before the client is."""
        site = Site()
        client = site.connect()
        site.spool.commit_waits_for = Deferred()
        self.assertEqual(send(client, ""), [])
        self.assertEqual(site.relay_manager.messages, [])
        site.spool.commit_waits_for.callback(None)
        self.assertEqual([each.queue_id for each in site.relay_manager.messages], ["000000000001"])
        self.assertEqual(client.heard(), ["250 2.0.0 accepted as 000000000001"])

    def test_queue_fault(self) -> None:
        """When the queue cannot be told, the message is accepted all the same: it is on disk."""
        site = Site()
        site.relay_manager.fault = RuntimeError("queue")
        self.assertEqual(send(site.connect(), ""), ["250 2.0.0 accepted as 000000000001"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_text_without_header(self) -> None:
        """A message that begins with its text keeps it as text: an empty line is put in front."""
        site = Site()
        send(site.connect(), "Hello,", "this is all")
        self.assertEqual(body_of(site.spool.committed[0].octets), b"\nHello,\nthis is all\n")

    def test_empty(self) -> None:
        """An empty message is a message."""
        site = Site()
        self.assertEqual(send(site.connect()), ["250 2.0.0 accepted as 000000000001"])
        self.assertEqual(body_of(site.spool.committed[0].octets), b"")

    def test_message_id(self) -> None:
        """The Message-ID is found for the trace, however late in the header and however it is cut."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        for octet in b"X-Filler: " + b"x" * 500 + b"\r\nMessage-Id: <1@example.com>\r\n\r\nMessage-Id: <2@x>\r\n.\r\n":
            client.send(bytes([octet]))
        self.assertEqual(site.spool.committed[0].message.message_id, "<1@example.com>")

    def test_large_header(self) -> None:
        """A header is held up to its limit: an id that comes later is not found, and the message is taken all the same."""
        for octets, expected in ((-1, "<1@example.com>"), (0, ""), (1, "")):
            site = Site()
            recipients, destinations = [Recipient("alice@example.org")], {"alice@example.org": "local:alice"}
            transaction = Transaction(
                Origin("ESMTP"), "smtp", False, "", recipients=recipients, destinations=destinations
            )
            message = self.successResultOf(Reception(None, site.premises).begin(transaction))
            first = b"X: " + b"x" * (MAX_HEADER_OCTETS + octets - 4) + b"\n"
            rest = b"Message-ID: <1@example.com>\n\ntext\n"
            message.write(first)
            message.write(rest)
            self.assertEqual([verdict.accepted for verdict in self.successResultOf(message.finish(1))], [True])
            (committed,) = site.spool.committed
            self.assertEqual(committed.message.message_id, expected, octets)
            self.assertTrue(committed.octets.endswith(first + rest))


class SubmissionFieldsTests(SynchronousTestCase):
    """RFC 6409 8: what a submission lacks is added."""

    def submit(self, *lines: str) -> list[str]:
        """Submit a message; the lines of what is stored, without Return-Path and Received."""
        self.site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True)
        client = self.site.connect()
        client.say(f"AUTH PLAIN {plain()}", "MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.org>", "DATA")
        self.assertEqual(client.say(*lines, "."), ["250 2.0.0 accepted as 000000000001"])
        return body_of(self.site.spool.committed[0].octets).decode().split("\n")

    def test_missing(self) -> None:
        """Date and Message-ID are put before the header's own fields, and the id is known to the trace."""
        lines = self.submit("Subject: x", "", "text")
        self.assertRegex(lines[0], r"\ADate: Thu, 15 Jan 2026 \d\d:00:00 [+-]\d{4}\Z")
        self.assertEqual(lines[1:], ["Message-ID: <000000000001@mx.example.org>", "Subject: x", "", "text", ""])
        self.assertEqual(self.site.spool.committed[0].message.message_id, "<000000000001@mx.example.org>")
        content = self.site.spool.committed[0].message.content
        rest = self.site.spool.committed[0].octets[content.prefix_octets :]
        self.assertEqual(content.wire_octets, len(rest.replace(b"\n", b"\r\n")))

    def test_present(self) -> None:
        """What is there is left alone."""
        message = ["Message-ID: <1@example.org>", "date: yesterday", "", "text", ""]
        self.assertEqual(self.submit(*message[:-1]), message)

    def test_no_header(self) -> None:
        """A text alone gets a header of its own."""
        lines = self.submit("just text")
        self.assertEqual([line.partition(":")[0] for line in lines], ["Date", "Message-ID", "", "just text", ""])

    def test_mail_from_servers(self) -> None:
        """Other servers' mail is not touched (RFC 5321 6.4)."""
        site = Site()
        send(site.connect(), "Subject: x", "", "text")
        self.assertEqual(body_of(site.spool.committed[0].octets), b"Subject: x\n\ntext\n")

    def test_endless_header(self) -> None:
        """Where the header's end is not seen, nothing is added: it may be there."""
        lines = self.submit("X: " + "x" * MAX_HEADER_OCTETS, "Date: now", "Message-ID: <1@x>", "", "text")
        self.assertEqual([line[:10] for line in lines[1:]], ["Date: now", "Message-ID", "", "text", ""])


class LoopTests(SynchronousTestCase):
    """RFC 5321 6.3."""

    def hops(self, count: int, limit: int = 3) -> tuple[Site, list[str]]:
        """A message that has been through some servers."""
        site = Site(max_hops=limit)
        return site, send(site.connect(), *["Received: from a by b; now"] * count, "Subject: x", "", "text")

    def test_limit(self) -> None:
        """As many as allowed pass; one more is a loop, said when all has been sent, and nothing is kept."""
        for count in (2, 3):
            site, replies = self.hops(count)
            self.assertEqual(replies, ["250 2.0.0 accepted as 000000000001"])
        site, replies = self.hops(4)
        self.assertEqual(codes(replies), ["554"])
        self.assertIn("5.4.6", replies[0])
        self.assertEqual((site.spool.committed, site.spool.aborted), ([], ["000000000001"]))
        (event,) = site.journal.events
        self.assertEqual((event.facts["rule"], event.queue_id), ("message.loop", "000000000001"))
        self.assertEqual((event.reverse_path, event.kind), ("writer@example.com", Kind.REFUSED))

    def test_rest_is_thrown_away(self) -> None:
        """What comes after the loop has been seen is read for nothing."""
        site = Site(max_hops=0)
        client = site.connect()
        client.say(*ENVELOPE, "DATA", "Received: x", "")
        self.assertEqual(client.say("text"), [])
        self.assertEqual(codes(client.say("text", ".")), ["554"])
        self.assertEqual(site.spool.writers[0].size_octets, 0)

    def test_session_goes_on(self) -> None:
        """A message in a loop does not harm the next one."""
        site = Site(max_hops=0)
        client = site.connect()
        self.assertEqual(codes(send(client, "Received: x", "")), ["554"])
        self.assertEqual(codes(send(client, "Subject: x", "")), ["250"])


class TroubleTests(SynchronousTestCase):
    """Faults of ours are temporary, and nothing stays behind."""

    def test_full_at_commit(self) -> None:
        """A full disk is 452, and a message is taken again when there is room."""
        site = Site()
        client = site.connect()
        site.spool.full = True
        self.assertEqual(send(client, ""), ["452 4.3.1 There is no room for mail here now: try again later"])
        self.assertEqual(site.spool.aborted, ["000000000001"])
        self.assertEqual(site.journal.refusals(), [("spool.full", "alice@example.org")])
        site.spool.full = False
        self.assertEqual(send(client, ""), ["250 2.0.0 accepted as 000000000002"])

    def test_full_while_it_comes(self) -> None:
        """A disk that fills up on the way is said at the end; what still comes is thrown away."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        site.spool.full = True
        site.spool.congestion = Deferred()
        self.assertEqual(client.say("Subject: x", "", "a"), [])
        site.spool.congestion.callback(None)
        written = site.spool.writers[0].size_octets
        self.assertEqual(client.say("b" * 1000), [])
        self.assertEqual(codes(client.say(".")), ["452"])
        self.assertEqual(site.spool.aborted, ["000000000001"])
        self.assertEqual(site.spool.writers[0].size_octets, written)

    def test_fault_while_it_waits(self) -> None:
        """Another fault of the disk while it catches up is temporary too, and logged."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        site.spool.congestion = Deferred()
        client.say("Subject: x", "", "a")
        site.spool.congestion.errback(OSError("disk"))
        self.assertEqual(codes(client.say(".")), ["451"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(site.spool.aborted, ["000000000001"])

    def test_lost_while_it_waits(self) -> None:
        """A client that leaves while the disk catches up is not waited for."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        site.spool.congestion = Deferred()
        client.say("Subject: x", "", "a")
        client.leave()
        self.assertTrue(site.spool.congestion.called)
        self.assertEqual(site.spool.aborted, ["000000000001"])
        self.assertEqual(site.journal.refusals(), [("session.lost", "alice@example.org")])

    def test_full_at_begin(self) -> None:
        """A spool that cannot even begin refuses DATA."""
        site = Site()
        client = site.connect()

        def create() -> None:
            raise SpoolFullError

        self.patch(site.spool, "create", create)
        self.assertEqual(codes(client.say(*ENVELOPE, "DATA", "RSET")), ["250", "250", "452", "250"])

    def test_fault_at_commit(self) -> None:
        """Whatever goes wrong is 451 and in the log with its traceback."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        site.spool.commit_waits_for = Deferred()
        client.say("", ".")
        site.spool.commit_waits_for.errback(ValueError("disk"))
        self.assertEqual(client.heard(), ["451 4.3.0 Something went wrong here: try again later"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(site.spool.aborted, ["000000000001"])

    def test_fault_while_it_comes(self) -> None:
        """A fault in writing is said at the end of the message, once, and the session goes on."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        site.spool.fault = OSError("disk")
        self.assertEqual(client.say("Subject: x", "", "a"), [])
        self.assertEqual(client.say("b"), [])
        self.assertEqual(codes(client.say(".")), ["451"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        site.spool.fault = None
        self.assertEqual(codes(send(client, "")), ["250"])

    def test_fault_in_a_chunk(self) -> None:
        """With BDAT the chunk is refused, and the transaction is over (RFC 3030 2)."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE)
        site.spool.fault = OSError("disk")
        self.assertEqual(codes(client.send(b"BDAT 6\r\n\r\nab\r\nBDAT 2 LAST\r\n\r\n")), ["451", "503"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(site.spool.aborted, ["000000000001"])

    def test_refused_chunk_is_counted_once(self) -> None:
        """A first chunk that the reception refuses is read, refused and recorded once."""
        site = Site()
        client = site.connect()

        async def begin(self: Reception, transaction: Transaction) -> Verdict:
            return Verdict(Reply.of(450, "4.7.1", "Not now"), "test.begin")

        self.patch(Reception, "begin", begin)
        client.say(*ENVELOPE)
        self.assertEqual(client.send(b"BDAT 4 LAST\r\nQUITNOOP\r\n"), ["450 4.7.1 Not now", "250 2.0.0 Ok"])
        self.assertEqual(site.journal.refusals(), [("test.begin", "alice@example.org")])

    def test_fault_in_the_directory(self) -> None:
        """A fault while a recipient is judged is 451 for this one; the others still get their mail."""
        site = Site()
        client = site.connect()
        client.say(ENVELOPE[0])

        async def resolve(address: str) -> None:
            raise LookupError("file")

        site.directory.resolve = resolve  # type: ignore[method-assign,assignment]
        self.assertEqual(codes(client.say(ENVELOPE[1])), ["451"])
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)
        del site.directory.resolve
        replies = client.say("RCPT TO:<bob@example.org>", "DATA", "", ".")
        self.assertEqual(codes(replies), ["250", "354", "250"])
        self.assertEqual(site.spool.committed[0].destinations, {"bob@example.org": "local:bob"})

    def test_lost_while_it_comes(self) -> None:
        """A client that goes away in the middle leaves a trace, and nothing in the spool."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        client.say("Subject: x")
        client.leave()
        self.assertEqual((site.spool.committed, site.spool.aborted), ([], ["000000000001"]))
        (event,) = site.journal.events
        self.assertEqual((event.kind, event.facts["rule"]), (Kind.REFUSED, "session.lost"))
        self.assertEqual((event.queue_id, event.reverse_path, event.at), ("000000000001", "writer@example.com", NOON))

    def test_lost_between_messages(self) -> None:
        """Going away at any other time is nobody's business."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE)
        client.leave()
        self.assertEqual(site.journal.events, [])

    def test_lost_while_it_is_committed(self) -> None:
        """A commit that is under way when the client leaves goes to its end, and the queue gets the message (RFC 1047)."""
        site = Site()
        client = site.connect()
        site.spool.commit_waits_for = Deferred()
        send(client, "Subject: x", "")
        client.leave()
        self.assertEqual(site.spool.aborted, [])
        site.spool.commit_waits_for.callback(None)
        self.assertEqual(len(site.spool.committed), 1)
        self.assertEqual(len(site.relay_manager.messages), 1)
        self.assertEqual(site.journal.events, [])

    def test_fault_in_commit_after_the_client_left(self) -> None:
        """A commit that fails for nobody is logged and cleared away."""
        site = Site()
        client = site.connect()
        site.spool.commit_waits_for = Deferred()
        send(client, "Subject: x", "")
        client.leave()
        site.spool.commit_waits_for.errback(OSError("disk"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(site.spool.aborted, ["000000000001"])

    def test_reset_in_a_chunked_message(self) -> None:
        """RSET between chunks forgets the message."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE)
        self.assertEqual(codes(client.send(b"BDAT 2\r\n\r\nRSET\r\n")), ["250", "250"])
        self.assertEqual(site.spool.aborted, ["000000000001"])

    def test_too_big(self) -> None:
        """A message within the limit is taken; one octet more is refused at its end and not kept (RFC 1870 6.3)."""
        for size, expected in ((99, "250"), (100, "250"), (101, "552")):
            site = Site(max_size=100)
            self.assertEqual(codes(send(site.connect(), "x" * (size - 2))), [expected], size)
            self.assertEqual(len(site.spool.committed), expected == "250")
            self.assertEqual(len(site.spool.aborted), expected == "552")


class StreamingTests(SynchronousTestCase):
    """A message passes through; it is not collected."""

    def test_memory(self) -> None:
        """A large message arrives at the writer as it comes: between two pieces nothing is kept back."""
        site = Site(max_size=1024**3)
        site.spool.keeps_octets = False
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        client.say("Subject: x", "")
        writer = site.spool.writers[0]
        piece = (b"x" * 1022 + b"\r\n") * 64
        before = writer.size_octets
        for count in range(1, 65):
            client.send(piece)
            # The engine may hold back what could be the beginning of the end.
            self.assertGreaterEqual(writer.size_octets, before + count * 64 * 1023 - 4)
        self.assertEqual(codes(client.say(".")), ["250"])

    def test_congestion(self) -> None:
        """While the disk cannot keep up, nothing more is read from this client."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        site.spool.congestion = Deferred()
        client.say("Subject: x", "", "a")
        client.say("b")
        self.assertTrue(client.wire.paused)
        congestion, site.spool.congestion = site.spool.congestion, None
        congestion.callback(None)
        self.assertFalse(client.wire.paused)
        self.assertEqual(codes(client.say("c", ".")), ["250"])


class InterfaceTests(SynchronousTestCase):
    """Promises are kept."""

    def test_interfaces(self) -> None:
        """Reception and message offer what their interfaces say."""
        site = Site()
        reception = Reception(ALICE, site.premises)
        self.assertTrue(verifyObject(IReception, reception))
        transaction = Transaction(Origin("ESMTP"), "smtp", False, "", recipients=[Recipient("alice@example.org")])
        message = self.successResultOf(reception.begin(transaction))
        self.assertIsInstance(message, SpooledMessage)
        self.assertTrue(verifyObject(IIncomingMessage, message))
