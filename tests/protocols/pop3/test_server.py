"""The POP3 engine: states, lines, and the commands that need no mailbox."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.pop3 import events
from hermes.protocols.pop3.events import Refused, refused
from hermes.protocols.pop3.parameters import MAX_COMMAND_OCTETS
from hermes.protocols.pop3.server import State
from hermes.protocols.sasl import Credentials
from tests.support.cuts import CUTS
from tests.support.pop3_engine import Conversation, in_every_cut


class LineTests(SynchronousTestCase):
    """Lines, before anybody looks what they mean."""

    def test_greeting(self) -> None:
        """The greeting names the host, and has no timestamp that would offer APOP (RFC 1939 7)."""
        greeting = Conversation().engine.greeting()
        self.assertEqual(greeting, b"+OK mail.example.org POP3 server ready\r\n")
        self.assertNotIn(b"<", greeting)

    def test_pipelined(self) -> None:
        """Commands that come together are understood in their order, however they are cut (RFC 2449 6.6)."""
        for conversation in in_every_cut():
            heard = conversation.client(b"USER ada\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
            self.assertEqual(
                heard[1:],
                [
                    Credentials("USER", "ada", "secret"),
                    events.Statistics(),
                    events.Retrieve(1),
                    events.Delete(1),
                    events.Quit(update=True),
                ],
            )

    def test_bare_lf(self) -> None:
        """A line may end in LF alone."""
        for conversation in in_every_cut():
            self.assertEqual(
                conversation.logged_in().client(b"STAT\nLIST 1\n"), [events.Statistics(), events.ScanListing(1)]
            )

    def test_longest_command(self) -> None:
        """A command of 255 octets with its CRLF is taken (RFC 2449 4); a longer one is refused and the session goes on."""
        for conversation in in_every_cut():
            conversation.logged_in()
            for octets, rule in ((254, "command.unknown"), (255, "command.unknown"), (256, "command.too_long")):
                (event,) = conversation.client(b"x" * (octets - 2) + b"\r\n")
                assert isinstance(event, Refused)
                self.assertEqual(event.rule, rule, octets)
            self.assertEqual(MAX_COMMAND_OCTETS, 255)
            self.assertEqual(conversation.client(b"STAT\r\n"), [events.Statistics()])

    def test_endless_line(self) -> None:
        """A line without an end takes no more memory than the limit, and is refused once its end comes."""
        conversation = Conversation().logged_in()
        for _ in range(1000):
            self.assertEqual(conversation.client(b"x" * 1000), [])
        self.assertLess(len(conversation.engine._buffer), 2 * MAX_COMMAND_OCTETS)
        (event,) = conversation.client(b"\r\n")
        assert isinstance(event, Refused)
        self.assertEqual(event.rule, "command.too_long")

    def test_unknown(self) -> None:
        """What is no command is refused, in whatever octets it comes, and the session goes on."""
        for line in (
            b"BOGUS",
            b"",
            b" ",
            b"STA",
            b"STATS",
            b"\xff\xfe\xfd",
            "D\u00c9LE 1".encode(),
            b" STAT",
            b"XTND XMIT",
        ):
            conversation = Conversation().logged_in()
            (event,) = conversation.client(line + b"\r\n")
            assert isinstance(event, Refused), line
            self.assertEqual(event.rule, "command.unknown", line)
            self.assertEqual(conversation.says("NOOP"), b"+OK\r\n")

    def test_control_characters(self) -> None:
        """NUL, a lone CR and other control characters are refused, wherever they stand."""
        for line in (b"ST\0AT", b"LIST 1\0", b"NOOP\rQUIT", b"LIST\t1", b"NOOP\x7f", b"\x1b[2J"):
            conversation = Conversation().logged_in()
            (event,) = conversation.client(line + b"\r\n")
            assert isinstance(event, Refused), line
            self.assertEqual(event.rule, "command.malformed", line)
            self.assertEqual(conversation.says("NOOP"), b"+OK\r\n")

    @given(st.binary(max_size=600), st.sampled_from(CUTS))
    def test_anything(self, octets: bytes, cut: object) -> None:
        """Whatever octets come, every line gets one answer of one line, and the session can still be ended."""
        conversation = Conversation(cut=cut)
        heard = conversation.client(octets + b"\r\n")
        if conversation.engine.state is not State.UPDATE:
            self.assertEqual(len(heard), octets.count(b"\n") + 1)
            (last, *_) = conversation.client(b"*\r\nQUIT\r\n")[::-1]
            self.assertEqual(last, events.Quit(update=conversation.engine.state is State.TRANSACTION))
        for line in conversation.sent.splitlines():
            self.assertRegex(line, rb"^(\+OK|-ERR|\+ |[A-Z0-9-]+|en |i-default|\.)")


class StateTests(SynchronousTestCase):
    """AUTHORIZATION, TRANSACTION, UPDATE (RFC 1939 3)."""

    def test_login(self) -> None:
        """A positive reply to the credentials begins the TRANSACTION state, a negative one does not."""
        conversation = Conversation()
        conversation.answers = lambda event: refused("no", "AUTH")
        conversation.says("USER ada", "PASS wrong")
        self.assertIs(conversation.engine.state, State.AUTHORIZATION)
        conversation.logged_in()
        self.assertIs(conversation.engine.state, State.AUTHORIZATION)
        self.assertIs(Conversation().logged_in().engine.state, State.TRANSACTION)

    def test_only_before_the_login(self) -> None:
        """Commands of the login are out of sequence after it."""
        for line in ("USER ada", "PASS secret", "APOP a b", "AUTH PLAIN", "AUTH", "STLS", "UTF8"):
            (event,) = Conversation(stls=True).logged_in().client(line.encode() + b"\r\n")
            assert isinstance(event, Refused), line
            self.assertEqual(event.rule, "command.sequence", line)

    def test_quit_before_the_login(self) -> None:
        """QUIT before the login updates nothing."""
        for conversation in in_every_cut():
            self.assertEqual(conversation.client(b"QUIT\r\n"), [events.Quit(update=False)])

    def test_nothing_after_quit(self) -> None:
        """What was sent behind QUIT is not looked at, even when the update failed."""
        conversation = Conversation().logged_in()
        conversation.answers = lambda event: refused("some messages were not removed")
        self.assertEqual(conversation.client(b"QUIT\r\nSTAT\r\n"), [events.Quit(update=True)])
        self.assertIs(conversation.engine.state, State.UPDATE)

    def test_quit_with_argument(self) -> None:
        """QUIT with an argument is no QUIT."""
        (event,) = Conversation().client(b"QUIT now\r\n")
        self.assertIsInstance(event, Refused)

    def test_awaits_reply(self) -> None:
        """It is known whether the last event still wants its reply."""
        engine = Conversation().engine
        engine.receive(b"USER ada\r\nQUIT\r\n")
        engine.next_event()
        self.assertFalse(engine.awaits_reply)
        engine.next_event()
        self.assertTrue(engine.awaits_reply)
        engine.reply(refused("no"))
        self.assertFalse(engine.awaits_reply)

    def test_noop(self) -> None:
        """NOOP does nothing, and has no argument."""
        conversation = Conversation().logged_in()
        self.assertEqual(conversation.says("NOOP"), b"+OK\r\n")
        self.assertTrue(conversation.says("NOOP 1").startswith(b"-ERR"))


class STLSTests(SynchronousTestCase):
    """RFC 2595 4."""

    def test_asked_for(self) -> None:
        """STLS is an event; after a positive reply nothing is understood until TLS has begun."""
        for conversation in in_every_cut(tls=False, stls=True):
            self.assertEqual(conversation.client(b"STLS\r\nUSER ada\r\n"), [events.StartTLS()])
            self.assertIsNone(conversation.engine.next_event())

    def test_nothing_survives(self) -> None:
        """What came before TLS, octets and the name of USER, does not survive it."""
        conversation = Conversation(tls=False, stls=True, login_in_clear=True)
        conversation.client(b"USER ada\r\nSTLS\r\nPASS secret\r\nUSER eve\r\nPA")
        conversation.engine.tls_started()
        self.assertIsNone(conversation.engine.next_event())
        (event,) = conversation.client(b"PASS secret\r\n")
        assert isinstance(event, Refused)
        self.assertEqual(event.rule, "command.sequence")

    def test_refused_start(self) -> None:
        """When TLS cannot be had now, the session goes on in the clear."""
        conversation = Conversation(tls=False, stls=True)
        conversation.answers = lambda event: refused("not now")
        self.assertEqual(conversation.client(b"STLS\r\nQUIT\r\n"), [events.StartTLS(), events.Quit(update=False)])

    def test_not_offered(self) -> None:
        """Without a certificate, under TLS already, with an argument, or after UTF8 (RFC 6856 2.1) it is refused."""
        self.assertTrue(Conversation(tls=False).says("STLS").startswith(b"-ERR"))
        self.assertTrue(Conversation(tls=True, stls=True).says("STLS").startswith(b"-ERR"))
        self.assertTrue(Conversation(tls=False, stls=True).says("STLS now").startswith(b"-ERR"))
        conversation = Conversation(tls=False, stls=True)
        conversation.says("UTF8")
        self.assertTrue(conversation.says("STLS").startswith(b"-ERR"))

    def test_twice(self) -> None:
        """Once TLS has begun, it does not begin again."""
        conversation = Conversation(tls=False, stls=True)
        conversation.client(b"STLS\r\n")
        conversation.engine.tls_started()
        self.assertTrue(conversation.says("STLS").startswith(b"-ERR"))


class UTF8AndLanguageTests(SynchronousTestCase):
    """RFC 6856."""

    def test_utf8(self) -> None:
        """UTF8 switches the mode, once and for all; it has no argument."""
        conversation = Conversation()
        self.assertFalse(conversation.engine.utf8)
        self.assertTrue(conversation.says("UTF8 USER").startswith(b"-ERR"))
        self.assertFalse(conversation.engine.utf8)
        self.assertTrue(conversation.says("UTF8").startswith(b"+OK"))
        self.assertTrue(conversation.engine.utf8)

    def test_language_listing(self) -> None:
        """LANG lists the languages, i-default among them, a line each."""
        for conversation in (Conversation(), Conversation().logged_in()):
            lines = conversation.says("LANG").split(b"\r\n")
            self.assertTrue(lines[0].startswith(b"+OK"))
            self.assertEqual({line.split()[0] for line in lines[1:-2]}, {b"en", b"i-default"})
            self.assertEqual(lines[-2:], [b".", b""])

    def test_language(self) -> None:
        """A language that is there is chosen, in any case, and its exact tag is in the reply."""
        conversation = Conversation()
        for asked, tag in (
            ("en", b"en"),
            ("EN", b"en"),
            ("i-default", b"i-default"),
            ("I-Default", b"i-default"),
            ("*", b"en"),
        ):
            self.assertTrue(conversation.says(f"LANG {asked}").startswith(b"+OK " + tag + b" "), asked)

    def test_language_range(self) -> None:
        """A range matches a tag that begins with it at a hyphen, and nothing else (RFC 4647 3.3.1)."""
        conversation = Conversation()
        self.assertTrue(conversation.says("LANG i").startswith(b"+OK i-default "))
        for asked in ("e", "en-US", "i-def", "de", "mul", "\u00e9n", "en de", "**"):
            self.assertTrue(conversation.says(f"LANG {asked}").startswith(b"-ERR "), asked)
