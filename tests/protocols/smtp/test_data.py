"""Tests of messages that come by DATA: :mod:`hermes.protocols.smtp.data`, through the engine."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType
from hermes.protocols.smtp import events
from hermes.protocols.wire import WireEncoder
from tests.support.smtp_owner import Owner, in_message, ready, replayed

#: What matters in a message: line ends, halves of them, dots, and one letter for everything else.
WORDS = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"\r\n."]), max_size=12).map(b"".join)
STORED = st.lists(st.sampled_from([b"\n", b".", b"a", b"\n."]), max_size=20).map(b"".join)
PLACES = st.lists(st.integers(0, 40), max_size=6)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The octets, cut at these places."""
    bounds = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [data[start:end] for start, end in zip(bounds, [*bounds[1:], None], strict=True)]


def messages(wire: bytes, **parameters: object) -> Owner:
    """What comes of these octets behind the 354, however they are cut."""
    return replayed(wire, in_message, **parameters)


class MessageTests(SynchronousTestCase):
    """Whole messages."""

    def accepted(self, wire: bytes, stored: bytes, wire_octets: int) -> None:
        """The octets are that message."""
        owner = messages(wire)
        self.assertEqual(owner.messages, [stored])
        self.assertEqual(owner.events, [events.MessageEnded(wire_octets)])
        self.assertEqual(owner.output, b"250 2.0.0 Ok\r\n")

    def test_lines(self) -> None:
        """Lines are kept with LF; the size is that on the wire (RFC 1870 3)."""
        self.accepted(b"Subject: x\r\n\r\nText\r\n.\r\n", b"Subject: x\n\nText\n", 20)

    def test_empty(self) -> None:
        """A dot at once is a message without octets."""
        self.accepted(b".\r\n", b"", 0)

    def test_empty_lines(self) -> None:
        """Empty lines are lines."""
        self.accepted(b"\r\n\r\n.\r\n", b"\n\n", 4)

    def test_dots(self) -> None:
        """The dot in front of a line goes, whatever follows it (RFC 5321 4.5.2); others stay."""
        self.accepted(b"..\r\n...\r\n.a\r\na.\r\n..b\r\n.\r\n", b".\n..\na\na.\n.b\n", 18)

    def test_octets_outside_ascii(self) -> None:
        """Octets pass as they are, NUL too."""
        self.accepted(b"\x00\xff\x80\r\n.\r\n", b"\x00\xff\x80\n", 5)

    def test_long_line(self) -> None:
        """A line has no limit of its own."""
        self.accepted(b"x" * 5000 + b"\r\n.\r\n", b"x" * 5000 + b"\n", 5002)

    def test_long_line_is_not_held(self) -> None:
        """An unbroken line is given on as it comes."""
        owner = in_message()
        for _ in range(100):
            owner.receive(b"x" * 10_000)
            self.assertLessEqual(len(owner.engine._buffer), 4)
        owner.receive(b"\r\n.\r\n")
        self.assertEqual(len(owner.messages[0]), 1_000_001)

    def test_one_piece(self) -> None:
        """A message that comes whole is one MessageData."""
        owner = in_message()
        owner.receive(b"line\r\n" * 700 + b".\r\n")
        self.assertEqual(owner.pieces, 1)
        self.assertEqual(owner.messages, [b"line\n" * 700])

    def test_commands_behind(self) -> None:
        """What follows the end is a command."""
        owner = messages(b"a\r\n.\r\nNOOP\r\nQUIT\r\n")
        self.assertEqual(owner.events, [events.MessageEnded(3), events.Noop(), events.Quit()])

    def test_data_that_did_not_wait(self) -> None:
        """A client that sends its message without waiting for 354 is understood."""
        owner = replayed(b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n.a\r\n.\r\nNOOP\r\n")
        self.assertEqual(owner.messages, [b"a\n"])
        self.assertEqual(owner.last, events.Noop())

    def test_one_after_the_other(self) -> None:
        """Each message begins anew."""
        one = b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n%b\r\n.\r\n"
        owner = replayed(one % b"a" + one % b"..b" + one % b"c")
        self.assertEqual(owner.messages, [b"a\n", b".b\n", b"c\n"])


class BareNewlineTests(SynchronousTestCase):
    """Only CR LF . CR LF ends a message."""

    #: Everything that some server somewhere took for the end.
    ENDINGS = (
        b"\n.\n",
        b"\r.\r",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\r\n.\r\r\n",
        b"\r\n.\r\r\n",
        b"\r\n\x00.\r\n",
        b"\r\n.\x00\r\n",
        b"\n\r.\n\r",
        b"\r\n. \r\n",
    )

    def test_nothing_else_ends(self) -> None:
        """No other ending ends the message, in either way of dealing with bare newlines."""
        smuggled = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nx"
        for normalize in (False, True):
            for ending in self.ENDINGS:
                owner = messages(b"a" + ending + smuggled + b"\r\n.\r\nQUIT\r\n", normalize_newlines=normalize)
                self.assertEqual(len(owner.events), 2, ending)
                self.assertIsInstance(owner.events[0], events.MessageEnded | events.MessageFailed)
                self.assertEqual(owner.events[1], events.Quit())

    def test_refused(self) -> None:
        """A bare CR or LF makes the message fail at its end, with a reason."""
        for text in (b"a\nb", b"a\rb", b"\n", b"\r", b"a\r\r\nb", b"a\n\r\nb", b"\r\n\n\r"):
            owner = messages(text + b"\r\n.\r\n")
            event = owner.last
            assert isinstance(event, events.MessageFailed), text
            self.assertEqual(
                (event.rule, event.reply.code, event.reply.enhanced), ("message.bare_newline", 550, "5.6.0")
            )
            self.assertIn("bare CR or LF", event.reply.text)
            self.assertEqual(owner.messages, [])

    def test_nothing_behind_the_fault(self) -> None:
        """When a fault has been found, no more of the message is given out."""
        owner = in_message()
        owner.receive(b"good\r\n", b"bad\nbad\r\n", b"good\r\n" * 50)
        self.assertEqual(owner.pieces, 1)
        self.assertEqual(owner.receive(b".\r\n")[:4], b"550 ")

    def test_normalized(self) -> None:
        """With normalize_newlines each bare CR or LF becomes a line end, and counts as one."""
        owner = messages(b"a\nb\rc\r\r\nd\n\re\r\n.\r\n", normalize_newlines=True)
        self.assertEqual(owner.messages, [b"a\nb\nc\n\nd\n\ne\n"])
        self.assertEqual(owner.events, [events.MessageEnded(19)])

    def test_normalized_dots(self) -> None:
        """A dot behind a bare newline is data: it was no line for the one who stuffed the dots."""
        owner = messages(b"a\n.\nb\r\n.\r\n", normalize_newlines=True)
        self.assertEqual(owner.messages, [b"a\n.\nb\n"])


class SizeTests(SynchronousTestCase):
    """The limit while receiving (RFC 1870 6.3)."""

    def test_limit(self) -> None:
        """A message may be as big as the limit and no bigger, counted as on the wire without dots."""
        for size, right in ((9, True), (10, True), (11, False)):
            owner = messages(b"." + b"." * (size - 2) + b"\r\n.\r\n", max_size_octets=10)
            if right:
                self.assertEqual(owner.events, [events.MessageEnded(size)])
            else:
                event = owner.last
                assert isinstance(event, events.MessageFailed)
                self.assertEqual((event.rule, event.reply.code, event.reply.enhanced), ("size.exceeded", 552, "5.3.4"))

    def test_no_limit(self) -> None:
        """0 is no limit."""
        self.assertEqual(messages(b"a\r\n.\r\n", max_size_octets=0).events, [events.MessageEnded(3)])

    def test_far_too_big(self) -> None:
        """The rest of a message that is too big is read and not kept."""
        owner = in_message(max_size_octets=1000)
        for _ in range(100):
            owner.receive(b"x" * 998 + b"\r\n")
        self.assertEqual(owner.pieces, 1)
        self.assertEqual(owner.receive(b".\r\nNOOP\r\n").split(b" ")[0], b"552")
        self.assertEqual(owner.last, events.Noop())

    def test_first_fault_counts(self) -> None:
        """Of two faults the first is told."""
        owner = messages(b"a\nb\r\n" + b"x" * 20 + b"\r\n.\r\n", max_size_octets=15)
        assert isinstance(owner.last, events.MessageFailed)
        self.assertEqual(owner.last.rule, "message.bare_newline")


class PropertyTests(SynchronousTestCase):
    """What holds for every message."""

    @given(STORED, PLACES)
    def test_round_trip(self, stored: bytes, places: list[int]) -> None:
        """What Hermes stores and sends, Hermes receives as it was."""
        encoder = WireEncoder()
        wire = encoder.encode(stored) + encoder.finish()
        owner = in_message()
        owner.receive(*cut(wire, places))
        expected = stored if stored.endswith(b"\n") or not stored else stored + b"\n"
        self.assertEqual(owner.messages, [expected])
        self.assertEqual(owner.events, [events.MessageEnded(len(expected) + expected.count(b"\n"))])

    @settings(max_examples=300)
    @given(WORDS, PLACES, st.booleans())
    def test_against_the_definition(self, text: bytes, places: list[int], normalize: bool) -> None:
        """The engine finds what the definitions say, word for word, however the octets are cut."""
        wire = text + b"\r\n.\r\n"
        owner = in_message(normalize_newlines=normalize)
        owner.receive(*cut(wire, places))
        body, _, _ = (b"\r\n" + wire).partition(b"\r\n.\r\n")
        lines = body.split(b"\r\n")[1:]
        lines = [line.removeprefix(b".") for line in lines]
        bare = any(b"\r" in line or b"\n" in line for line in lines)
        stored = b"".join(line.replace(b"\r", b"\n") + b"\n" for line in lines)
        if bare and not normalize:
            self.assertIsInstance(owner.events[0], events.MessageFailed)
        else:
            self.assertEqual(owner.messages[0], stored)
            self.assertEqual(owner.events[0], events.MessageEnded(len(stored) + stored.count(b"\n")))


class BinaryTests(SynchronousTestCase):
    """BINARYMIME and DATA (RFC 3030 3)."""

    def test_not_by_data(self) -> None:
        """A binary message cannot come by DATA."""
        owner = ready()
        owner.lines(b"MAIL FROM:<> BODY=BINARYMIME", b"RCPT TO:<b@example.org>", b"DATA")
        assert isinstance(owner.last, events.Refused)
        self.assertEqual(owner.last.reply.code, 503)
        self.assertEqual(owner.events[0], events.MailFrom("", body=BodyType.BINARY))
