"""Replies of other servers are read as RFC 5321 4.2 says, and hostile ones end in a fault with bounded memory."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.reply import Reply
from hermes.protocols.smtp.replies import (
    MAX_LINE_OCTETS,
    MAX_LINES,
    MAX_REPLY_OCTETS,
    ReplyFault,
    ReplyReader,
    printable,
)
from tests.support.cuts import Cut, whole
from tests.support.smtp_engine import every_cut


def read(octets: bytes, cut: Cut = whole) -> list[Reply | ReplyFault]:
    """All replies in these octets, up to the first fault."""
    reader = ReplyReader()
    found: list[Reply | ReplyFault] = []
    for piece in cut(octets):
        reader.feed(piece)
        while (reply := reader.next()) is not None:
            found.append(reply)
            if isinstance(reply, ReplyFault):
                return found
    return found


class ReplyReaderTests(SynchronousTestCase):
    """Well-formed replies."""

    @every_cut
    def test_single_lines(self, cut: Cut) -> None:
        """Replies of one line are read in order."""
        self.assertEqual(
            read(b"220 hello\r\n250 2.1.0 Ok\r\n", cut), [Reply(220, None, ("hello",)), Reply(250, "2.1.0", ("Ok",))]
        )

    @every_cut
    def test_several_lines(self, cut: Cut) -> None:
        """A hyphen after the code means that more lines follow."""
        self.assertEqual(read(b"250-one\r\n250-\r\n250 three\r\n", cut), [Reply(250, None, ("one", "", "three"))])

    @every_cut
    def test_said_before(self, cut: Cut) -> None:
        """A line that was a whole reply before is a part of one behind a hyphen, and no reply with something left out."""
        one = Reply(250, "2.0.0", ("one",))
        self.assertEqual(
            read(b"250 2.0.0 one\r\n250 2.0.0 one\r\n250-two\r\n250 2.0.0 one\r\n250 2.0.0 one\r\n", cut),
            [one, one, Reply(250, None, ("two", "2.0.0 one")), one],
        )
        self.assertIsInstance(read(b"250 2.0.0 one\r\n251-two\r\n250 2.0.0 one\r\n", cut)[-1], ReplyFault)

    @every_cut
    def test_long_lines(self, cut: Cut) -> None:
        """A line is the same reply however long it is, below and above what is remembered, and however often it is said."""
        for octets in (100, 122, 123, 124, 500):
            line = b"250 " + b"x" * octets + b"\r\n"
            self.assertEqual(read(line * 2, cut), [Reply(250, None, ("x" * octets,))] * 2)

    @every_cut
    def test_enhanced_code_on_every_line(self, cut: Cut) -> None:
        """The enhanced status code is taken off each line (RFC 2034 4)."""
        self.assertEqual(
            read(b"550-5.1.1 no such\r\n550 5.1.1 user\r\n", cut), [Reply(550, "5.1.1", ("no such", "user"))]
        )

    def test_code_alone(self) -> None:
        """Text is optional: with a space or without one (RFC 5321 4.2)."""
        self.assertEqual(read(b"250\r\n250 \r\n"), [Reply(250, None, ("",))] * 2)

    def test_bare_line_feed(self) -> None:
        """A server that forgets the CR is understood."""
        self.assertEqual(read(b"250 ok\n"), [Reply(250, None, ("ok",))])

    def test_unfinished(self) -> None:
        """Nothing is given out before the last line has its end."""
        self.assertEqual(read(b"250-one\r\n250 two"), [])

    def test_clear(self) -> None:
        """After clear nothing of what came before is left, not even half a reply."""
        reader = ReplyReader()
        reader.feed(b"250-one\r\n")
        self.assertIsNone(reader.next())
        reader.feed(b"250 tw")
        reader.clear()
        reader.feed(b"220 new\r\n")
        self.assertEqual(reader.next(), Reply(220, None, ("new",)))

    def test_control_characters_become_spaces(self) -> None:
        """What a server says cannot forge a line of a log or a report."""
        self.assertEqual(read(b"550 a\tb\x1b[31m\x00\r\n"), [Reply(550, None, ("a b [31m",))])

    def test_not_ascii(self) -> None:
        """UTF-8 is kept; other octets are shown as escapes."""
        self.assertEqual(printable("gr\u00fc\u00df".encode()), "gr\u00fc\u00df")
        self.assertEqual(printable(b"gr\xfc"), "gr\\xfc")


class HostileReplyTests(SynchronousTestCase):
    """Replies that are none."""

    def assert_fault(self, octets: bytes, words: str, cut: Cut = whole) -> None:
        """The octets end in a fault that says this."""
        found = read(octets, cut)
        self.assertIsInstance(found[-1], ReplyFault)
        self.assertIn(words, found[-1].reason)

    @every_cut
    def test_garbage(self, cut: Cut) -> None:
        """Lines without a reply code of SMTP."""
        for line in (b"hello\r\n", b"\r\n", b"25 ok\r\n", b"2500 ok\r\n", b"250_ok\r\n", b"150 ok\r\n", b"650 ok\r\n"):
            self.assert_fault(line, "not an SMTP reply", cut)

    def test_bare_carriage_return(self) -> None:
        """A CR inside a line is garbage: it could hide a second line from one of us."""
        self.assert_fault(b"250 ok\r250 more\r\n", "not an SMTP reply")

    def test_garbage_is_quoted_shortly(self) -> None:
        """The reason shows what came, but not all of it."""
        self.assertLess(len(read(b"x" * 5000 + b"\r\n")[-1].reason), 200)

    @every_cut
    def test_changing_codes(self, cut: Cut) -> None:
        """All lines of a reply have the same code (RFC 5321 4.2.1)."""
        self.assert_fault(b"250-one\r\n550 two\r\n", "changes from 250 to 550", cut)

    def test_line_length(self) -> None:
        """A line may have as many octets as the limit says, and not one more."""
        fixed = len(b"250 \r\n")
        for octets in (MAX_LINE_OCTETS - 1, MAX_LINE_OCTETS):
            self.assertIsInstance(read(b"250 " + b"x" * (octets - fixed) + b"\r\n")[0], Reply)
        self.assert_fault(b"250 " + b"x" * (MAX_LINE_OCTETS + 1 - fixed) + b"\r\n", "longer than")

    def test_endless_line(self) -> None:
        """A line that never ends is a fault as soon as its end could only come too late."""
        reader = ReplyReader()
        for _ in range(MAX_LINE_OCTETS - 1):
            reader.feed(b"x")
            self.assertIsNone(reader.next())
        reader.feed(b"x")
        self.assertIsInstance(reader.next(), ReplyFault)

    def test_number_of_lines(self) -> None:
        """A reply may have as many lines as the limit says, and not one more."""
        for lines in (MAX_LINES - 1, MAX_LINES):
            self.assertIsInstance(read(b"250-a\r\n" * (lines - 1) + b"250 a\r\n")[0], Reply)
        self.assert_fault(b"250-a\r\n" * (MAX_LINES + 1), "lines or")

    def test_octets_of_a_reply(self) -> None:
        """The lines of a reply together are limited too."""
        line = b"250-" + b"x" * 1018 + b"\r\n"
        count = MAX_REPLY_OCTETS // len(line)
        self.assertEqual(count * len(line), MAX_REPLY_OCTETS)
        self.assertEqual(read(line * count), [])
        self.assertIsInstance(read(line * (count - 1) + line.replace(b"-", b" "))[0], Reply)
        self.assert_fault(line * count + b"250 a\r\n", "octets")

    def test_octets_are_counted_for_each_reply(self) -> None:
        """Many replies are not one long one."""
        self.assertEqual(len(read(b"250 ok\r\n" * MAX_REPLY_OCTETS)), MAX_REPLY_OCTETS)
