"""Replies: the wire form of RFC 5321 4.2.1 and the enhanced codes of RFC 2034."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.reply import Reply


class EncodeTests(SynchronousTestCase):
    """From value to wire."""

    def test_one_line(self) -> None:
        """A reply of one line has a space after the code."""
        self.assertEqual(Reply.of(250, "2.1.0", "sender ok").encode(), b"250 2.1.0 sender ok\r\n")

    def test_several_lines(self) -> None:
        """Every line but the last has a hyphen after the code, and each carries the enhanced code (RFC 2034 4)."""
        self.assertEqual(
            Reply.of(550, "5.1.1", "no such\nmailbox").encode(), b"550-5.1.1 no such\r\n550 5.1.1 mailbox\r\n"
        )

    def test_without_enhanced_code(self) -> None:
        """3xx replies and greetings have no enhanced code."""
        self.assertEqual(Reply.of(354, None, "go on").encode(), b"354 go on\r\n")

    def test_empty_text(self) -> None:
        """A reply may have no text at all; the space stays."""
        self.assertEqual(Reply.of(250, None, "").encode(), b"250 \r\n")

    def test_unencodable(self) -> None:
        """A lone surrogate does not break the session."""
        self.assertEqual(Reply.of(550, None, "\udcff").encode(), b"550 ?\r\n")


class CutTests(SynchronousTestCase):
    """cut()."""

    def test_cut(self) -> None:
        """What is as long as it may be stays; of more the beginning is left, in one line."""
        reply = Reply.of(450, "4.2.0", "x" * 10 + "\n" + "y" * 9)
        self.assertIs(reply.cut(20), reply)
        self.assertEqual(reply.cut(19), Reply.of(450, "4.2.0", "x" * 10 + " yyyyy..."))


class ParsedTests(SynchronousTestCase):
    """From the lines that a server sent."""

    def test_enhanced_code_is_taken_out(self) -> None:
        """The code is found in the first line and removed from all."""
        reply = Reply.parsed(550, ("5.7.1 go away", "5.7.1 really"))
        self.assertEqual(reply, Reply(550, "5.7.1", ("go away", "really")))

    def test_class_must_agree(self) -> None:
        """An enhanced code of another class than the reply is text (RFC 2034 4 demands that they agree)."""
        self.assertEqual(Reply.parsed(550, ("2.0.0 fine",)), Reply(550, None, ("2.0.0 fine",)))

    def test_a_number_is_not_a_code(self) -> None:
        """What merely begins like a code is text."""
        self.assertEqual(Reply.parsed(250, ("2.0.0x",)).enhanced, None)

    def test_code_alone(self) -> None:
        """A code without text is a code."""
        self.assertEqual(Reply.parsed(250, ("2.0.0",)), Reply(250, "2.0.0", ("",)))

    def test_no_lines(self) -> None:
        """No lines give no code."""
        self.assertEqual(Reply.parsed(250, ()).enhanced, None)


class ClassTests(SynchronousTestCase):
    """The first digit decides."""

    def test_classes(self) -> None:
        """2, 3, 4 and 5 are positive, intermediate, temporary and permanent; each is only one of them."""
        found = [
            (r.is_positive, r.is_intermediate, r.is_temporary, r.is_permanent)
            for r in (Reply.of(code, None, "") for code in (250, 354, 451, 550))
        ]
        self.assertEqual(
            found,
            [
                (True, False, False, False),
                (False, True, False, False),
                (False, False, True, False),
                (False, False, False, True),
            ],
        )

    def test_text(self) -> None:
        """For people the lines are one, with the codes in front."""
        self.assertEqual(str(Reply.of(550, "5.1.1", "a\nb")), "550 5.1.1 a b")
        self.assertEqual(str(Reply.of(220, None, "hello")), "220 hello")
