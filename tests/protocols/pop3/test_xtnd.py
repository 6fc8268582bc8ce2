"""XTND XMIT: a message that a client sends through its POP3 session."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.pop3 import events
from hermes.protocols.pop3.events import Event, Refused, accepted, refused
from hermes.protocols.receive_buffer import Line
from hermes.protocols.smtp.events import MessageData, MessageEnded, MessageFailed
from tests.support.cuts import CUTS
from tests.support.pop3_engine import Conversation, in_every_cut


def text_of(heard: list[Event]) -> bytes:
    """The octets of a message."""
    return b"".join(event.data for event in heard if isinstance(event, MessageData))


def others(heard: list[Event]) -> list[Event]:
    """The events that are not octets of a message."""
    return [event for event in heard if not isinstance(event, MessageData)]


class Listener:
    """Who listens for a transcript."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def command(self, line: bytes | Line) -> None:
        """A command."""
        self.heard.append(line)

    def response(self, line: bytes | Line) -> None:
        """Part of a login."""

    def body(self, data: bytes) -> None:
        """Part of a message."""
        self.heard.append(("body", data))

    def body_over(self, octets: int) -> None:
        """Its end."""
        self.heard.append(("over", octets))


class TransmissionTests(SynchronousTestCase):
    """The message and its end."""

    def test_message(self) -> None:
        """The message comes in its stored form, however it is cut, and the session goes on behind it."""
        for conversation in in_every_cut(xtnd_xmit=True):
            conversation.logged_in()
            self.assertEqual(conversation.client(b"xtnd  xmit \r\n"), [events.Transmit()])
            self.assertEqual(conversation.sent, b"+OK\r\n")
            heard = conversation.client(b"To: a@example.org\r\n\r\n..hidden\r\nQUIT\r\n.\r\nSTAT\r\n")
            self.assertEqual(text_of(heard), b"To: a@example.org\n\n.hidden\nQUIT\n")
            self.assertEqual(others(heard), [MessageEnded(19 + 2 + 9 + 6), events.Statistics()])
            self.assertEqual(conversation.sent, b"+OK\r\n" * 3)

    def test_pipelined(self) -> None:
        """A client that does not wait for the answer is understood all the same."""
        for conversation in in_every_cut(xtnd_xmit=True):
            heard = conversation.logged_in().client(b"XTND XMIT\r\n.\r\nNOOP\r\nXTND XMIT\r\nx\r\n.\r\n")
            self.assertEqual(
                others(heard),
                [events.Transmit(), MessageEnded(0), others(heard)[2], events.Transmit(), MessageEnded(3)],
            )
            self.assertEqual(text_of(heard), b"x\n")

    def test_only_the_end_ends_it(self) -> None:
        """Nothing but CR LF . CR LF ends a message: a bare LF around the dot makes it fail (RFC 5321 4.1.1.4)."""
        for smuggled in (b"\n.\r\n", b"\r\n.\n", b"\n.\n", b"\r.\r"):
            for conversation in in_every_cut(xtnd_xmit=True):
                conversation.logged_in().client(b"XTND XMIT\r\n")
                heard = conversation.client(b"a\r\nb" + smuggled + b"RSET\r\n.\r\nSTAT\r\n")
                failed, after = others(heard)
                assert isinstance(failed, MessageFailed)
                self.assertEqual(failed.rule, "message.bare_newline")
                self.assertEqual(after, events.Statistics())

    def test_normalized(self) -> None:
        """Where it is configured so, a line end that stands alone becomes a whole one, and ends nothing."""
        for conversation in in_every_cut(xtnd_xmit=True, normalize_newlines=True):
            conversation.logged_in().client(b"XTND XMIT\r\n")
            heard = conversation.client(b"a\n.\nb\rc\r\n.\r\n")
            self.assertEqual(text_of(heard), b"a\n.\nb\nc\n")
            self.assertEqual(others(heard), [MessageEnded(12)])

    def test_size(self) -> None:
        """A message of the limit is taken; of a larger one nothing more is kept, and it fails at its end."""
        for size, fits in ((99, True), (100, True), (101, False), (10_000, False)):
            for conversation in in_every_cut(xtnd_xmit=True, max_size_octets=100):
                conversation.logged_in().client(b"XTND XMIT\r\n")
                heard = conversation.client(b"x" * (size - 2) + b"\r\n.\r\nSTAT\r\n")
                end, after = others(heard)
                if fits:
                    self.assertEqual(end, MessageEnded(size))
                else:
                    assert isinstance(end, MessageFailed)
                    self.assertEqual(end.rule, "size.exceeded")
                    self.assertLessEqual(len(text_of(heard)), 100)
                self.assertEqual(after, events.Statistics())

    def test_endless(self) -> None:
        """A message that never ends takes no memory once it is too big."""
        conversation = Conversation(xtnd_xmit=True, max_size_octets=1000).logged_in()
        conversation.client(b"XTND XMIT\r\n")
        for _ in range(1000):
            conversation.client(b"x" * 1000)
        self.assertLess(len(conversation.engine._buffer), 10)

    def test_refused(self) -> None:
        """After a refusal no message is read: what follows are commands."""
        for conversation in in_every_cut(xtnd_xmit=True):
            conversation.logged_in().answers = lambda event: refused("not now")
            heard = conversation.client(b"XTND XMIT\r\nSTAT\r\n")
            self.assertEqual(heard, [events.Transmit(), events.Statistics()])

    def test_awaits_reply(self) -> None:
        """An octet of a message wants no reply, its end does."""
        engine = Conversation(xtnd_xmit=True).logged_in().engine
        engine.receive(b"XTND XMIT\r\n")
        engine.next_event()
        engine.reply(accepted())
        engine.receive(b"x\r\n.\r\n")
        engine.next_event()
        self.assertFalse(engine.awaits_reply)
        engine.next_event()
        self.assertTrue(engine.awaits_reply)

    def test_transcript(self) -> None:
        """Who listens is told what is a command, and what is a message."""
        conversation = Conversation(xtnd_xmit=True).logged_in()
        listener = conversation.engine.tap = Listener()
        conversation.client(b"XTND XMIT\r\nUSER ada\r\n.\r\nNOOP\r\n")
        self.assertEqual(listener.heard, [b"XTND XMIT\r\n", ("body", b"USER ada\n"), ("over", 10), b"NOOP\r\n"])

    @given(st.binary(max_size=300), st.sampled_from(CUTS))
    def test_anything(self, octets: bytes, cut: object) -> None:
        """Whatever a message holds, it has one end, and QUIT behind it is a command."""
        conversation = Conversation(xtnd_xmit=True, cut=cut).logged_in()
        message = octets.replace(b"\r", b"?").replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
        message = b"." + message if message.startswith(b".") else message
        heard = conversation.client(b"XTND XMIT\r\n" + message + b"\r\n.\r\nQUIT\r\n")
        end = MessageEnded(len(octets.replace(b"\n", b"\r\n")) + 2)
        self.assertEqual(others(heard), [events.Transmit(), end, events.Quit(update=True)])
        self.assertEqual(text_of(heard), octets.replace(b"\r", b"?") + b"\n")


class CommandTests(SynchronousTestCase):
    """When the command is one."""

    def test_off(self) -> None:
        """Unless it is configured there is no such command, and none is announced."""
        conversation = Conversation().logged_in()
        (event,) = conversation.client(b"XTND XMIT\r\n")
        assert isinstance(event, Refused)
        self.assertEqual(event.rule, "command.unknown")
        self.assertNotIn(b"XTND", conversation.says("CAPA"))

    def test_announced(self) -> None:
        """CAPA announces it to those who have logged in: it is a command of theirs alone (RFC 2449 5)."""
        conversation = Conversation(xtnd_xmit=True)
        self.assertNotIn(b"XTND", conversation.says("CAPA"))
        self.assertIn(b"\r\nXTND XMIT\r\n", conversation.logged_in().says("CAPA"))

    def test_before_the_login(self) -> None:
        """Before the login it is out of sequence."""
        (event,) = Conversation(xtnd_xmit=True).client(b"XTND XMIT\r\n")
        assert isinstance(event, Refused)
        self.assertEqual(event.rule, "command.sequence")

    def test_others(self) -> None:
        """XTND with anything else is refused."""
        for line in (b"XTND", b"XTND XLST Subject", b"XTND XMIT now"):
            (event,) = Conversation(xtnd_xmit=True).logged_in().client(line + b"\r\n")
            assert isinstance(event, Refused)
            self.assertEqual(event.rule, "command.malformed", line)
