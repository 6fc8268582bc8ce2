"""The quick look at a header (RFC 5322 2.2, 3.6)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.header_facts import header_end, look


class HeaderEndTests(SynchronousTestCase):
    """Where the header ends."""

    def test_empty_line(self) -> None:
        """It ends before the first empty line, whichever way lines end."""
        self.assertEqual(header_end(b"A: b\n\nbody\n\n"), 5)
        self.assertEqual(header_end(b"A: b\r\n\r\nbody\n\n"), 6)
        self.assertEqual(header_end(b"A: b\n\r\nbody\n\n"), 5)

    def test_no_header(self) -> None:
        """A message that begins with the empty line has none."""
        self.assertEqual(header_end(b"\nbody"), 0)
        self.assertEqual(header_end(b"\r\nbody"), 0)

    def test_not_yet(self) -> None:
        """Without an empty line the end has not come."""
        for data in (b"", b"A: b", b"A: b\n", b"A: b\r\n\r", b"A: b\n \nB: c\n"):
            self.assertEqual(header_end(data), -1, data)

    @settings(deadline=None)
    @given(st.lists(st.sampled_from([b"\n", b"\r\n", b"A: b", b" ", b"x"])), st.data())
    def test_in_pieces(self, parts: list[bytes], data: st.DataObject) -> None:
        """What has been searched once need not be searched again."""
        whole = b"".join(parts)
        cut = data.draw(st.integers(0, len(whole)))
        first = header_end(whole[:cut])
        self.assertEqual(first if first >= 0 else header_end(whole, cut), header_end(whole))


class LookTests(SynchronousTestCase):
    """What is found."""

    def test_message_id(self) -> None:
        """The id is found in any case of letters, folded, and with space before the colon; the first one counts."""
        for header in (
            b"Message-ID: <1@example.com>\n",
            b"Subject: x\nMESSAGE-id:<1@example.com>\n",
            b"Message-Id: \n <1@example.com>\n",
            b"Message-Id:\r\n\t<1@example.com> (comment)\r\n",
            b"Message-ID : <1@example.com>\nMessage-ID: <2@example.com>\n",
            b"Message-ID: <1@example.com>",
        ):
            facts = look(header)
            self.assertTrue(facts.has_message_id, header)
            self.assertEqual(facts.message_id, "<1@example.com>", header)

    def test_strange_message_id(self) -> None:
        """An id without brackets is taken as it is; an empty one is there, but is none."""
        self.assertEqual(look(b"Message-ID: 1@example.com\n").message_id, "1@example.com")
        facts = look(b"Message-ID:\nSubject: <x@example.com>\n")
        self.assertEqual((facts.has_message_id, facts.message_id), (True, ""))

    def test_not_a_field(self) -> None:
        """A name inside a line, or as part of another name, does not count."""
        facts = look(b"Subject: Message-ID: <1@example.com>\nX-Date: no\n date: folded\nResent-Message-ID: <2@x>\n")
        self.assertEqual((facts.has_message_id, facts.has_date, facts.received), (False, False, 0))

    def test_length(self) -> None:
        """An id of 998 octets is taken; a longer one is not one (RFC 5322 2.1.1)."""
        for length, expected in ((997, 997), (998, 998), (999, 0)):
            found = look(b"Message-ID: <" + b"x" * (length - 2) + b">\n").message_id
            self.assertEqual(len(found), expected)

    def test_received(self) -> None:
        """``Received:`` fields are counted, not their continuation lines."""
        header = b"Received: from a\n by received: b\nreceived: x\nReceived : y\nX-Received: z\n"
        self.assertEqual(look(header).received, 3)

    def test_date(self) -> None:
        """A date is seen."""
        self.assertTrue(look(b"Subject: x\ndate: now\n").has_date)

    def test_begins_with_text(self) -> None:
        """A first line that is no field is text; an mbox line is left to those who know it."""
        for header, expected in (
            (b"Subject: x\n", False),
            (b"x-y!#: z\n", False),
            (b"From nobody Thu Jan\nSubject: x\n", False),
            (b"Hello everybody,\n", True),
            (b" folded: x\n", True),
            (b": x\n", True),
            (b"", False),
        ):
            self.assertEqual(look(header).begins_with_text, expected, header)

    @settings(deadline=None)
    @given(st.binary(max_size=300))
    def test_anything(self, header: bytes) -> None:
        """Whatever comes, the id is text without control characters."""
        self.assertEqual([each for each in look(header).message_id if ord(each) < 32], [])
