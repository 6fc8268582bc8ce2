"""Transaction filters as values, and the replies that people write for them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.transaction_filter import MAX_REPLY_OCTETS, Action, Filter, Pass, parse_reply


class TriggerTests(SynchronousTestCase):
    """When a filter acts."""

    def test_triggers(self) -> None:
        """It acts when one reading matches; a negated one when none does."""
        for negate in (False, True):
            one = Filter(Pass.HELLO, "x", lambda text: text == "x", Action.FAIL, negate=negate)
            self.assertEqual(one.triggers("x"), not negate)
            self.assertEqual(one.triggers("y", "x"), not negate)
            self.assertEqual(one.triggers("y"), negate)


class ReplyTests(SynchronousTestCase):
    """What people write as a reply."""

    def test_written(self) -> None:
        """The code is kept; an enhanced code is added where there is none (RFC 2034 4)."""
        for written, said in (
            ("554 Not from you", "554 5.7.1 Not from you"),
            ("550 5.1.1 No such user", "550 5.1.1 No such user"),
            ("451 Later", "451 4.7.1 Later"),
            ("421 Goodbye", "421 4.7.1 Goodbye"),
            ("554-Not from you", "554 5.7.1 Not from you"),
            ("  554   spaced ", "554 5.7.1 spaced"),
            ("555 2.0.0 Fine", "555 5.7.1 2.0.0 Fine"),
            ("554", "554 5.7.1 Refused by a rule of this server"),
            ("", "554 5.7.1 Refused by a rule of this server"),
        ):
            self.assertEqual(str(parse_reply(written)), said, written)

    def test_codes_that_are_none(self) -> None:
        """The second digit goes from 0 to 5 (RFC 5321 4.2): other codes become the plainest of their class."""
        self.assertEqual(str(parse_reply("571 No relaying")), "554 5.7.1 No relaying")
        self.assertEqual(str(parse_reply("460 Later")), "451 4.7.1 Later")
        self.assertEqual(parse_reply("559 x").code, 559)

    def test_mistakes(self) -> None:
        """What is no refusal, and what cannot go over the wire, is said."""
        for written in ("250 Welcome", "Not from you", "55 x", "5541 x", "354 x", "600 x"):
            error = self.assertRaises(ValueError, parse_reply, written)
            self.assertIn("does not begin with a code of refusal: write one like 554", str(error))
        for written in ("554 Grüße", "554 a\tb", "554 a\x00b"):
            self.assertIn("write it in ASCII", str(self.assertRaises(ValueError, parse_reply, written)))

    def test_length(self) -> None:
        """It must fit into a line."""
        for length in (MAX_REPLY_OCTETS - 1, MAX_REPLY_OCTETS):
            parse_reply("554 " + "x" * (length - 4))
        error = self.assertRaises(ValueError, parse_reply, "554 " + "x" * (MAX_REPLY_OCTETS - 3))
        self.assertIn("has 401 characters: write 400 at most", str(error))

    @given(st.text(max_size=30))
    def test_anything(self, text: str) -> None:
        """Whatever is written is a refusal of one line, or an error."""
        try:
            reply = parse_reply(text)
        except ValueError:
            return
        self.assertRegex(reply.encode(), rb"\A[45][0-5][0-9] [45]\.\d{1,3}\.\d{1,3} [\x20-\x7e]*\r\n\Z")
