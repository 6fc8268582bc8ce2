"""Messages and listings on their way to the client: exact octets, in pieces, at the client's pace."""

from __future__ import annotations

import poplib
import random

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.services.pop3_transaction import ANSWERS_TOGETHER_OCTETS, LISTING_LINES
from tests.support.mailbox import MailboxRealm, MemoryMailbox, MemoryReader, on_the_wire
from tests.support.pop3 import Client, Site

PIECE = 64 * 1024


def unstuffed(answer: bytes) -> bytes:
    """The message in an answer to RETR, by the rules for clients of RFC 1939 3."""
    status, _, rest = answer.partition(b"\r\n")
    assert status.startswith(b"+OK"), status
    lines = []
    while True:
        line, end, rest = rest.partition(b"\r\n")
        assert end, "the answer has no end"
        if line == b".":
            assert not rest, "something follows the answer"
            return b"".join(line + b"\r\n" for line in lines)
        lines.append(line.removeprefix(b"."))


class RetrievalTestCase(SynchronousTestCase):
    """A server whose reader gives pieces of a size."""

    #: Whether the messages are in memory.
    at_once = False

    def site(self, *messages: bytes, piece_octets: int = PIECE) -> Site:
        """With these messages in ada's mailbox."""
        self.mailbox = MemoryMailbox(*messages)
        self.mailbox.at_once = self.at_once
        self.reader = MemoryReader(piece_octets)
        return Site(MailboxRealm(ada=self.mailbox), reader=self.reader)


class ContentTests(RetrievalTestCase):
    """What RETR and TOP send."""

    MESSAGES = (
        b"Subject: a\n\nplain\n",
        b"Subject: b\n\n.\n..\n.x\nx.\n.",
        b"Subject: c\r\n\r\nwith CRLF\r\n.dot\r\n",
        b"Subject: d\n\nno end",
        b".\n",
        b"a\rb\n\r\r\n",
        b"\n\n\n",
        b"",
    )

    def test_however_it_is_cut(self) -> None:
        """A message arrives whole however the reader cuts it, and its size is the one that LIST told."""
        for piece_octets in (1, 2, 3, 5, PIECE):
            client = self.site(*self.MESSAGES, piece_octets=piece_octets).log_in()
            for number, message in enumerate(self.MESSAGES, 1):
                size = int(client.say(f"LIST {number}").split()[2])
                received = unstuffed(client.say(f"RETR {number}"))
                self.assertEqual(received, on_the_wire(message))
                self.assertEqual(len(received), size)

    def test_first_line_tells_the_size(self) -> None:
        """The answer to RETR begins with the size."""
        client = self.site(b"Subject: a\n\nplain\n").log_in()
        self.assertTrue(client.say("RETR 1").startswith(b"+OK 21 octets\r\n"))

    def test_top(self) -> None:
        """TOP sends header, blank line and so many lines, however the reader cuts."""
        for piece_octets in (1, 2, 3, 7, PIECE):
            client = self.site(b"A: 1\nB: 2\n\n.one\ntwo\nthree\n", piece_octets=piece_octets).log_in()
            self.assertEqual(unstuffed(client.say("TOP 1 0")), b"A: 1\r\nB: 2\r\n\r\n")
            self.assertEqual(unstuffed(client.say("TOP 1 2")), b"A: 1\r\nB: 2\r\n\r\n.one\r\ntwo\r\n")
            self.assertEqual(unstuffed(client.say("TOP 1 2147483647")), unstuffed(client.say("RETR 1")))

    def test_top_stops_reading(self) -> None:
        """The rest of a big message is not read for its top, and the reading is ended."""
        client = self.site(b"Subject: big\n\n" + b"line\n" * 100_000).log_in()
        client.say("TOP 1 3")
        self.assertEqual((self.reader.pieces, self.reader.closed), (1, 1))

    def test_utf8_mode(self) -> None:
        """A header in UTF-8 is sent as it is to clients in UTF-8 mode, and as its surrogate to others (RFC 6856 2.1)."""
        message = "Subject: \u00e9\n\n\u00e9\n".encode()
        client = self.site(message).log_in()
        surrogate = "Subject: =?utf-8?b?w6k=?=\r\n\r\n\u00e9\r\n".encode()
        self.assertEqual(unstuffed(client.say("RETR 1")), surrogate)
        self.assertEqual(unstuffed(client.say("TOP 1 0")), b"Subject: =?utf-8?b?w6k=?=\r\n\r\n")
        client = self.site(message).connect()
        client.say("UTF8", "USER ada", "PASS secret")
        self.assertEqual(unstuffed(client.say("RETR 1")), on_the_wire(message))

    def test_marks(self) -> None:
        """A message that was fetched by RETR is marked as read and recorded; one of which only the top was seen is not."""
        site = self.site(b"Subject: a\n\n", b"Subject: b\n\n")
        client = site.log_in()
        client.say("TOP 1 0", "RETR 2")
        self.assertEqual(self.mailbox.retrieved, {1})
        (event,) = [event for event in site.journal.events if event.kind.value == "retrieved"]
        self.assertEqual((event.queue_id, event.address), ("012345678902", "ada"))
        self.assertEqual(event.facts, {"service": "pop3", "peer": "127.0.0.1", "octets": 14, "uid": "uid-2"})

    def test_fetched_again(self) -> None:
        """A message that is fetched over and over in a session is recorded once: that must not fill the trace."""
        site = self.site(b"Subject: a\n\n", b"Subject: b\n\n")
        self.assertEqual(site.log_in().say(*["RETR 1"] * 5, "RETR 2", "RETR 1").count(b"+OK"), 7)
        uids = [event.facts["uid"] for event in site.journal.events if event.kind.value == "retrieved"]
        self.assertEqual(uids, ["uid-1", "uid-2"])

    def test_gone(self) -> None:
        """A message that another program has taken away is refused, and neither marked nor recorded."""
        site = self.site(b"Subject: a\n\n", b"Subject: b\n\n")
        self.mailbox.gone = {0}
        client = site.log_in()
        self.assertEqual(client.say("RETR 1", "TOP 1 0"), b"-ERR that message is gone\r\n" * 2)
        self.assertTrue(client.say("RETR 2").startswith(b"+OK"))
        self.assertEqual(self.mailbox.retrieved, {1})

    def test_foreign_client(self) -> None:
        """Python's own POP3 client reads what we send."""
        site = self.site(*self.MESSAGES[:3])
        client = site.connect()

        class Reader(poplib.POP3):
            def __init__(self) -> None:
                self.answer = b""
                self._debugging = 0

            def _putline(self, line: bytes) -> None:
                self.answer += client.send(line + b"\r\n")

            def _getline(self) -> tuple[bytes, int]:
                line, _, self.answer = self.answer.partition(b"\r\n")
                return line, len(line) + 2

        reader = Reader()
        reader.user("ada")
        reader.pass_("secret")
        self.assertEqual(reader.stat(), (3, 21 + 32 + 31))
        self.assertEqual(reader.retr(2)[1], [b"Subject: b", b"", b".", b"..", b".x", b"x.", b"."])
        self.assertEqual(reader.uidl(3), b"+OK 3 uid-3")
        self.assertEqual(reader.uidl()[1], [b"1 uid-1", b"2 uid-2", b"3 uid-3"])
        self.assertIn("PIPELINING", reader.capa())


class AtOnceTests(ContentTests):
    """The same of messages that can be had without a wait."""

    at_once = True

    @override
    def test_top_stops_reading(self) -> None:
        """No reader is asked for what is there."""
        client = self.site(b"Subject: a\n\n" + b"line\n" * 100).log_in()
        self.assertEqual(unstuffed(client.say("TOP 1 3")).count(b"line"), 3)
        self.assertEqual(self.reader.pieces, 0)

    def test_pipelined_together(self) -> None:
        """Answers to small messages that were asked for in a pipeline leave together; each larger one leaves by itself."""
        for octets, count in ((ANSWERS_TOGETHER_OCTETS, 1), (ANSWERS_TOGETHER_OCTETS + 1, 3)):
            client = self.site(*[b"x" * (octets - 1) + b"\n"] * 3).log_in()
            writes: list[bytes] = []
            client.wire.write = writes.append  # type: ignore[method-assign, assignment]
            client.session.dataReceived(b"RETR 1\r\nRETR 2\r\nRETR 3\r\n")
            self.assertEqual(len(writes), count)
            self.assertEqual(len(b"".join(writes)), 3 * len(f"+OK {octets + 1} octets\r\n") + 3 * (octets + 1 + 3))

    def test_client_stops_reading(self) -> None:
        """To a client that does not read no further message is sent."""
        client = self.site(*[b"x" * 4 * ANSWERS_TOGETHER_OCTETS] * 3).log_in()
        client.session._turns.pauseProducing()
        self.assertEqual(client.say("RETR 1", "RETR 2").count(b"+OK"), 1)
        client.session._turns.resumeProducing()
        self.assertEqual(client.take().count(b"+OK"), 1)


class PaceTests(RetrievalTestCase):
    """Back-pressure and memory."""

    def pause(self, client: Client) -> None:
        """The client does not read."""
        client.session._turns.pauseProducing()

    def resume(self, client: Client) -> None:
        """The client has read everything."""
        client.session._turns.resumeProducing()

    def test_small_message_in_one_write(self) -> None:
        """A message of less than a piece leaves in one write with its first line and its end."""
        client = self.site(b"Subject: a\n\n" + b"x" * 4000 + b"\n").log_in()
        writes: list[bytes] = []
        client.wire.write = writes.append  # type: ignore[method-assign, assignment]
        client.session.dataReceived(b"RETR 1\r\n")
        self.assertEqual(len(writes), 1)
        self.assertTrue(writes[0].startswith(b"+OK") and writes[0].endswith(b"\r\n.\r\n"))

    def test_big_message_at_the_pace_of_the_client(self) -> None:
        """Of a big message no more is read than the client takes: two pieces at a time."""
        message = b"Subject: big\n\n" + random.Random(1).randbytes(10 * PIECE).replace(b"\r", b"").replace(
            b"\n", b"\n."
        )
        client = self.site(message).log_in()
        self.pause(client)
        received = client.say("RETR 1")
        count = 0
        while not received.endswith(b"\r\n.\r\n"):
            count += 1
            self.assertLessEqual(self.reader.pieces, count + 1)
            self.resume(client)
            self.pause(client)
            received += client.take()
        self.assertEqual(unstuffed(received), on_the_wire(message))

    def test_limit_of_one_piece(self) -> None:
        """A message of just below, exactly, and just above one piece arrives whole."""
        for octets in (PIECE - 1, PIECE, PIECE + 1):
            message = b"x" * (octets - 1) + b"\n"
            client = self.site(message).log_in()
            self.assertEqual(unstuffed(client.say("RETR 1")), b"x" * (octets - 1) + b"\r\n")

    def test_client_stops_reading(self) -> None:
        """A client that never reads on is dropped after the time for silence, and the reading is ended."""
        site = self.site(b"x" * (10 * PIECE))
        client = site.log_in()
        self.pause(client)
        client.say("RETR 1")
        site.clock.advance(600)
        self.assertTrue(client.wire.lost)
        self.assertEqual(self.reader.closed, 1)
        self.assertFalse(self.mailbox.locked)
        self.assertEqual(site.clock.getDelayedCalls(), [])

    def test_connection_lost_in_the_middle(self) -> None:
        """When the client leaves in the middle of a message, the reading is ended and the message is not marked."""
        client = self.site(b"x" * (10 * PIECE)).log_in()
        self.pause(client)
        client.say("RETR 1")
        client.wire.drop()
        self.assertEqual(self.reader.closed, 1)
        self.assertEqual(self.mailbox.retrieved, set())

    def test_fault_before_the_first_piece(self) -> None:
        """When nothing has been sent yet, the client is asked to try later and the session goes on."""
        client = self.site(b"Subject: a\n\n").log_in()
        self.reader.fault_after = 0
        self.assertEqual(
            client.say("RETR 1", "NOOP"), b"-ERR [SYS/TEMP] something went wrong here, try again later\r\n+OK\r\n"
        )
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_fault_in_the_middle(self) -> None:
        """Half a message must not look whole: the connection is cut, with no line that would end it."""
        for fault in (OSError("the disk is broken"), FileNotFoundError("gone")):
            site = self.site(b"x" * (3 * PIECE))
            client = site.log_in()
            self.reader.fault_after = 2
            self.reader.fault = fault
            self.assertFalse(client.say("RETR 1", "NOOP").endswith(b".\r\n"))
            self.assertTrue(client.wire.aborted)
            self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
            self.assertEqual(self.mailbox.calls, ["open", "close"])
            self.assertEqual(site.clock.getDelayedCalls(), [])


class ListingTests(RetrievalTestCase):
    """LIST and UIDL of big mailboxes."""

    def listing(self, client: Client, command: str) -> list[bytes]:
        """The lines of a listing."""
        first, *lines, dot, rest = client.say(command).split(b"\r\n")
        self.assertTrue(first.startswith(b"+OK"))
        self.assertEqual((dot, rest), (b".", b""))
        return lines

    def test_counts_around_the_limit(self) -> None:
        """Mailboxes of just below, exactly and just above one portion are listed whole."""
        for count in (0, 1, LISTING_LINES - 1, LISTING_LINES, LISTING_LINES + 1):
            client = self.site(*[b"a\n"] * count).log_in()
            expected = [b"%d 3" % number for number in range(1, count + 1)]
            self.assertEqual(self.listing(client, "LIST"), expected)
            self.assertEqual(
                self.listing(client, "UIDL"), [b"%d uid-%d" % (number, number) for number in range(1, count + 1)]
            )

    def test_in_portions(self) -> None:
        """A long listing lets others run between its portions, and is made at the pace of the client."""
        site = self.site(*[b"a\n"] * (3 * LISTING_LINES))
        client = site.log_in()
        client.session.dataReceived(b"LIST\r\nNOOP\r\n")
        self.assertEqual(client.take().count(b"\n"), LISTING_LINES + 1)
        client.session._turns.pauseProducing()
        site.clock.pump([0] * 5)
        portion = client.take()
        self.assertLessEqual(portion.count(b"\n"), 2 * LISTING_LINES)
        client.session._turns.resumeProducing()
        rest = portion + client.send(b"")
        self.assertEqual(rest.count(b"\n"), 2 * LISTING_LINES + 2)
        self.assertTrue(rest.endswith(b".\r\n+OK\r\n"))

    def test_connection_lost_in_the_middle(self) -> None:
        """A client that leaves in the middle of a listing leaves nothing behind."""
        site = self.site(*[b"a\n"] * (3 * LISTING_LINES))
        client = site.log_in()
        client.session.dataReceived(b"UIDL\r\n")
        client.wire.drop()
        self.assertEqual(site.clock.getDelayedCalls(), [])
        self.assertFalse(self.mailbox.locked)

    def test_deleted_at_the_limits(self) -> None:
        """Deleted messages are left out, also where portions meet, and the others keep their numbers."""
        client = self.site(*[b"a\n"] * (LISTING_LINES + 2)).log_in()
        client.say("DELE 1", f"DELE {LISTING_LINES}", f"DELE {LISTING_LINES + 2}")
        numbers = [int(line.split()[0]) for line in self.listing(client, "LIST")]
        self.assertEqual(numbers, [*range(2, LISTING_LINES), LISTING_LINES + 1])

    def test_fault_in_a_listing(self) -> None:
        """A unique id that cannot be had is answered before the listing has begun, and the session goes on."""

        def broken(number: int) -> str:
            raise RuntimeError("broken")

        client = self.site(b"a\n").log_in()
        self.mailbox.uid = broken  # type: ignore[method-assign]
        self.assertTrue(client.say("UIDL").startswith(b"-ERR [SYS/TEMP] "))
        self.assertEqual(client.say("NOOP"), b"+OK\r\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
