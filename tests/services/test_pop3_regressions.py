"""
What Hermes's POP3 server guarantees where servers are known to go wrong.

Each test names one guarantee; the design's list of them is the measure.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.mail import pop3
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.interfaces import IContentReader, IStreamingMailbox
from hermes.services.pop3_session import POP3Session
from tests.support.mailbox import MailboxRealm, MemoryMailbox, MemoryReader, on_the_wire
from tests.support.pop3 import Client, Site, Wire
from tests.support.surroundings import TokenTLS


class POP3RegressionTests(SynchronousTestCase):
    """One method for each row that concerns POP3."""

    def log_in(self, *messages: bytes, piece_octets: int = 64 * 1024) -> Client:
        """A session with these messages."""
        self.mailbox = MemoryMailbox(*messages)
        self.site = Site(MailboxRealm(ada=self.mailbox), reader=MemoryReader(piece_octets))
        return self.site.log_in()

    def test_contract(self) -> None:
        """A session is one of Twisted's; the doubles of these tests keep the promises of the seams."""
        client = self.log_in()
        self.assertIsInstance(client.session, pop3.POP3)
        self.assertIs(client.session.factory, self.site.factory)
        self.assertIs(client.session.portal, self.site.factory.portal)
        self.assertTrue(verifyObject(IStreamingMailbox, self.mailbox))
        self.assertTrue(verifyObject(IContentReader, self.site.reader))

    def test_stls_exists(self) -> None:
        """STLS is announced and works where there is a certificate, and is neither where there is none."""
        site = Site(MailboxRealm())
        client = site.connect()
        self.assertNotIn(b"STLS", client.say("CAPA"))
        self.assertTrue(client.say("STLS").startswith(b"-ERR"))
        site.factory.tls = TokenTLS()
        client = site.connect()
        self.assertIn(b"\r\nSTLS\r\n", client.say("CAPA"))
        client.say("STLS")
        self.assertEqual(client.wire.starts, ["context"])

    def test_nothing_before_tls_survives_it(self) -> None:
        """Neither octets behind STLS, nor half a line, nor a name, nor an exchange that was begun lives on under TLS."""
        for before in ("USER ada\r\nSTLS\r\nPASS secret\r\n", "STLS\r\nUSER ada\r\nPA", "USER ada\r\nSTLS\r\n"):
            site = Site(MailboxRealm(ada=MemoryMailbox()))
            site.factory.tls = TokenTLS()
            client = site.connect()
            client.send(before.encode())
            self.assertEqual(client.say("PASS secret"), b"-ERR send USER first\r\n", before)

    def test_unique_id_listing_of_one_message(self) -> None:
        """``UIDL n`` answers with the number and the unique id (RFC 1939 7)."""
        client = self.log_in(b"a\n", b"b\n")
        self.assertEqual(client.say("UIDL 2"), b"+OK 2 uid-2\r\n")
        self.assertEqual(client.say("UIDL 3"), b"-ERR there is no such message\r\n")
        client.say("DELE 1")
        self.assertTrue(client.say("UIDL 1").startswith(b"-ERR"))
        self.assertEqual(client.say("UIDL 2"), b"+OK 2 uid-2\r\n")

    def test_dots_however_the_message_is_cut(self) -> None:
        """A message never ends before its end, wherever the cuts fall between its line ends and dots."""
        message = b"Subject: x\n\n.\n\n..\n.QUIT\r\n.\r\nend\n."
        for piece_octets in range(1, len(message) + 1):
            client = self.log_in(message, piece_octets=piece_octets)
            self.check_message(client, message)

    @given(st.lists(st.sampled_from([b".", b"\n", b"\r\n", b"\r", b"x"]), max_size=40), st.integers(1, 9))
    def test_dots_in_any_message(self, parts: list[bytes], piece_octets: int) -> None:
        """The same for any message of dots and line ends, in pieces of any size."""
        message = b"".join(parts)
        self.check_message(self.log_in(message, piece_octets=piece_octets), message)

    def check_message(self, client: Client, message: bytes) -> None:
        """RETR sends the message exactly, and the next answer follows exactly behind it."""
        answer = client.say("RETR 1", "NOOP")
        expected = b"".join(
            b"." + line if line.startswith(b".") else line for line in on_the_wire(message).splitlines(keepends=True)
        )
        size = len(on_the_wire(message))
        self.assertEqual(answer, b"+OK %d octets\r\n" % size + expected + b".\r\n+OK\r\n")

    def test_sizes_are_those_of_the_wire(self) -> None:
        """LIST and STAT tell the octets that RETR sends without stuffing (RFC 1939 11)."""
        messages = (b"a\n.b\n", b"a\r\n.b\r\n", b"a\n.b")
        client = self.log_in(*messages)
        self.assertEqual(client.say("LIST"), b"+OK listing follows\r\n1 7\r\n2 7\r\n3 7\r\n.\r\n")
        self.assertEqual(client.say("STAT"), b"+OK 3 21\r\n")

    def test_refused_deletion_keeps_the_session(self) -> None:
        """Refusing ``DELE 5`` of a mailbox with fewer messages is an answer, not the end of the connection."""
        client = self.log_in(b"a\n")
        for argument in ("5", "0", "x", "", "-1", "99999999999999999999"):
            self.assertTrue(client.say(f"DELE {argument}").startswith(b"-ERR"), argument)
        self.assertEqual(client.say("STAT"), b"+OK 1 3\r\n")
        self.assertFalse(client.wire.lost)

    def test_error_in_a_long_command_does_not_block(self) -> None:
        """When LIST, UIDL, RETR or TOP fails, that is answered, and the commands behind it are carried out."""
        for command, broken in (("LIST", "size"), ("UIDL", "uid"), ("RETR 1", "content"), ("TOP 1 1", "content")):
            client = self.log_in(b"a\n")
            sound = getattr(self.mailbox, broken)
            setattr(self.mailbox, broken, lambda number: 1 // 0)
            answers = client.say(command, "NOOP").splitlines()
            setattr(self.mailbox, broken, sound)
            answers += client.say("DELE 1", "QUIT").splitlines()
            self.assertEqual([answer.split()[0] for answer in answers], [b"-ERR", b"+OK", b"+OK", b"+OK"], command)
            self.assertTrue(client.wire.lost)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_replies_keep_their_order(self) -> None:
        """Replies to pipelined commands come in the order of the commands, also when one of them has to wait."""
        client = self.log_in(*[b"%d\n" % number for number in range(100)])
        answers = client.say(*[f"RETR {number}" for number in range(1, 101)])
        places = [answers.index(b"\r\n%d\r\n.\r\n" % number) for number in range(100)]
        self.assertTrue(all(before < after for before, after in pairwise(places)))

    def test_flood_of_commands_lets_others_run(self) -> None:
        """A client that pipelines without end does not keep the others waiting."""
        client = self.log_in()
        for _ in range(2):
            client.session.dataReceived(b"NOOP\r\n" * 500)
        self.assertEqual(client.wire.producerState, "paused")
        self.assertLess(client.take().count(b"+OK"), 1000)
        client.clock.pump([0] * 100)
        self.assertEqual(client.wire.producerState, "producing")

    def test_long_lines(self) -> None:
        """A line of any length is one refused command, and what follows it is not part of it."""
        for octets in (256, 16_384, 16_385, 1_000_000):
            client = self.log_in(b"a\n")
            answers = client.send(b"x" * octets + b" DELE 1\r\nSTAT\r\n")
            self.assertEqual(answers, b"-ERR the line is too long\r\n+OK 1 3\r\n")

    def test_odd_verbs(self) -> None:
        """A bare AUTH, an empty line, and verbs that are not ASCII are answered, and the session goes on."""
        client = Site(MailboxRealm()).connect(Wire("127.0.0.1"))
        for line in (b"AUTH", b"", b"\xd0\xa1\xd0\xa2\xd0\x90\xd0\xa2", b"\x80\xff", b"do_QUIT", b"__init__"):
            self.assertRegex(client.send(line + b"\r\n"), rb"^(\+OK|-ERR) .*\r\n")
        self.assertEqual(client.say("QUIT"), b"+OK goodbye\r\n")

    def test_dropped_connection_deletes_nothing(self) -> None:
        """Only QUIT deletes (RFC 1939 6)."""
        client = self.log_in(b"a\n", b"b\n")
        client.say("DELE 1", "DELE 2")
        client.wire.drop()
        self.assertEqual(self.mailbox.messages, [b"a\n", b"b\n"])
        self.assertIsInstance(client.session, POP3Session)
