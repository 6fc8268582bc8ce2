"""Tests of messages that come by BDAT (RFC 3030), through the engine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.reply import Reply
from hermes.protocols.smtp import events
from tests.support.smtp_owner import Owner, ready, replayed

BEGIN = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n"
BINARY = b"MAIL FROM:<a@example.com> BODY=BINARYMIME\r\nRCPT TO:<b@example.org>\r\n"
NOT_NOW = Reply.of(452, "4.3.1", "No room")


def chunks(*octets: bytes) -> bytes:
    """Chunks, the last one with LAST."""
    last = len(octets) - 1
    return b"".join(
        b"BDAT %d%b\r\n%b" % (len(each), b" LAST" if number == last else b"", each)
        for number, each in enumerate(octets)
    )


def codes(owner: Owner) -> list[int]:
    """The codes of all replies."""
    return [int(line[:3]) for line in owner.output.splitlines() if line[3:4] == b" "]


class ChunkTests(SynchronousTestCase):
    """Messages in chunks."""

    def test_one(self) -> None:
        """One chunk, which is the last."""
        owner = replayed(BEGIN + chunks(b"a\r\n.\r\nb\r\n") + b"NOOP\r\n")
        self.assertEqual(owner.messages, [b"a\n.\nb\n"])
        self.assertEqual(
            owner.events[2:], [events.MessageStarted(chunking=True), events.MessageEnded(9), events.Noop()]
        )
        self.assertEqual(codes(owner), [250, 250, 250, 250])
        self.assertFalse(owner.engine.in_transaction)

    def test_several(self) -> None:
        """Each chunk is answered (RFC 3030 2), and they are one message wherever it was divided."""
        owner = replayed(BEGIN + chunks(b"a\r", b"\nb", b"", b"\r\n"))
        self.assertEqual(owner.messages, [b"a\nb\n"])
        self.assertEqual(
            owner.events[3:],
            [events.ChunkEnded(2), events.ChunkEnded(2), events.ChunkEnded(0), events.MessageEnded(6)],
        )

    def test_empty_last(self) -> None:
        """The last chunk may be empty."""
        owner = replayed(BEGIN + chunks(b"a\r\n", b""))
        self.assertEqual(owner.messages, [b"a\n"])

    def test_nothing_at_all(self) -> None:
        """So may be the only one."""
        self.assertEqual(replayed(BEGIN + chunks(b"")).messages, [b""])

    def test_no_last_line_end(self) -> None:
        """A message need not end with a line end: it is kept as it is."""
        self.assertEqual(replayed(BEGIN + chunks(b"a\r\nb")).messages, [b"a\nb"])

    def test_dots_are_nothing_special(self) -> None:
        """There is no dot-stuffing in chunks."""
        self.assertEqual(replayed(BEGIN + chunks(b"..\r\n.\r\n")).messages, [b"..\n.\n"])

    def test_binary(self) -> None:
        """Binary octets pass as they are, and count as they are."""
        octets = b"\r\n\n\r\x00.\r\n.\r\n\r"
        owner = replayed(BINARY + chunks(octets[:1], octets[1:]))
        self.assertEqual(owner.messages, [octets])
        self.assertEqual(owner.last, events.MessageEnded(len(octets)))

    @given(st.lists(st.binary(max_size=8).map(lambda each: each.replace(b"a", b"\r")), min_size=1, max_size=5))
    def test_binary_octets(self, octets: list[bytes]) -> None:
        """Any octets in any chunks are that message."""
        self.assertEqual(replayed(BINARY + chunks(*octets)).messages, [b"".join(octets)])

    def test_reset(self) -> None:
        """RSET between chunks forgets those that came (RFC 3030 2)."""
        owner = replayed(BEGIN + b"BDAT 3\r\na\r\nRSET\r\n" + BEGIN + chunks(b"b\r\n"))
        self.assertEqual(owner.events[-1], events.MessageEnded(3))
        self.assertEqual(owner.events[4], events.Reset())

    def test_a_new_message_after_data(self) -> None:
        """DATA and BDAT may follow one another in different transactions."""
        owner = replayed(BEGIN + b"DATA\r\na\r\n.\r\n" + BEGIN + chunks(b"b\r\n"))
        self.assertEqual(owner.messages, [b"a\n", b"b\n"])


class SequenceTests(SynchronousTestCase):
    """Chunks out of place are read, thrown away and refused; their octets are never commands."""

    def test_without_transaction(self) -> None:
        """BDAT without MAIL is answered 503 when its octets have come."""
        owner = replayed(b"BDAT 6\r\nQUIT\r\nNOOP\r\n")
        self.assertEqual(codes(owner), [503, 250])

    def test_nothing_is_said_before_the_octets(self) -> None:
        """The refusal waits for the whole chunk (RFC 3030 2)."""
        owner = ready()
        self.assertEqual(owner.receive(b"BDAT 6\r\nQUIT\r"), b"")
        self.assertEqual(owner.receive(b"\n")[:3], b"503")

    def test_without_recipients(self) -> None:
        """BDAT without an accepted recipient is answered 554."""
        owner = replayed(b"MAIL FROM:<>\r\nRCPT TO:<unknown@example.org>\r\n" + chunks(b"QUIT\r\n") + b"NOOP\r\n")
        self.assertEqual(codes(owner), [250, 550, 554, 250])

    def test_behind_last(self) -> None:
        """BDAT behind the last one is answered 503."""
        owner = replayed(BEGIN + chunks(b"a\r\n") + b"BDAT 3 LAST\r\nb\r\n")
        self.assertEqual(codes(owner), [250, 250, 250, 503])

    def test_data_behind_chunks(self) -> None:
        """DATA, RCPT and MAIL are refused while chunks are still to come."""
        owner = replayed(BEGIN + b"BDAT 1\r\naDATA\r\nRCPT TO:<c@example.org>\r\nMAIL FROM:<>\r\n" + chunks(b"b"))
        self.assertEqual(codes(owner), [250, 250, 250, 503, 503, 503, 250])
        self.assertEqual(owner.messages, [b"ab"])

    def test_malformed(self) -> None:
        """A BDAT whose size cannot be read ends the session: what follows it cannot be told from commands."""
        owner = replayed(BEGIN + b"BDAT many\r\nMAIL FROM:<x@example.com>\r\n")
        self.assertEqual(codes(owner), [250, 250, 421])
        self.assertTrue(owner.engine.closing)

    def test_line_refused(self) -> None:
        """So does one whose line is refused before it is read: it is not ended by CR LF, for one."""
        for line in (b"BDAT 6\n", b"BDAT 6\x00\r\n"):
            owner = replayed(BEGIN + line + b"RSET\r\n" + BEGIN)
            self.assertEqual(codes(owner), [250, 250, 421])
            self.assertTrue(owner.engine.closing)


class RefusalTests(SynchronousTestCase):
    """Chunks that the owner does not want, or that have a fault."""

    def test_refused_at_the_beginning(self) -> None:
        """The owner's refusal goes out behind the chunk, and the rest of the pipeline cannot become a message."""
        owner = replayed(BEGIN + chunks(b"QUIT\r\n", b"NOOP\r\n") + b"NOOP\r\n", refuse_message=NOT_NOW)
        self.assertEqual(codes(owner), [250, 250, 452, 503, 250])
        self.assertEqual(owner.events[3], events.Refused("chunking.refused", NOT_NOW))
        self.assertEqual(owner.messages, [])

    def test_refused_on_the_way(self) -> None:
        """A refused chunk ends the transaction."""
        owner = replayed(BEGIN + chunks(b"a", b"b", b"c") + BEGIN, refuse_chunk=NOT_NOW)
        self.assertEqual(codes(owner), [250, 250, 452, 503, 503, 250, 250])
        self.assertEqual(owner.messages, [])

    def test_end_of_session_at_the_beginning(self) -> None:
        """A 421 does not wait for the chunk."""
        owner = ready(refuse_message=Reply.of(421, "4.3.2", "Going down"))
        self.assertEqual(owner.receive(BEGIN + b"BDAT 100\r\n").splitlines()[-1], b"421 4.3.2 Going down")
        self.assertTrue(owner.engine.closing)

    def test_too_big_at_once(self) -> None:
        """A chunk above the limit is refused without being looked at; at the limit it is not."""
        for size, code in ((9, 250), (10, 250), (11, 552)):
            owner = replayed(BEGIN + chunks(b"x" * size), max_size_octets=10)
            self.assertEqual(codes(owner), [250, 250, code])
            self.assertEqual(any(isinstance(event, events.MessageStarted) for event in owner.events), code == 250)

    def test_too_big_together(self) -> None:
        """The limit is for all chunks together; a message that has begun has then failed."""
        for size, code in ((4, 250), (5, 250), (6, 552)):
            owner = replayed(BEGIN + chunks(b"a\r\nbc", b"x" * size) + b"NOOP\r\n", max_size_octets=10)
            self.assertEqual(codes(owner), [250, 250, 250, code, 250])
            kind = events.MessageEnded if code == 250 else events.MessageFailed
            self.assertIsInstance(owner.events[-2], kind)
        self.assertFalse(owner.engine.in_transaction)

    def test_no_limit(self) -> None:
        """0 is no limit."""
        self.assertEqual(replayed(BEGIN + chunks(b"abc", b"def"), max_size_octets=0).messages, [b"abcdef"])

    def test_grown_by_normalizing(self) -> None:
        """A message that passes the limit only as it is stored fails all the same."""
        owner = replayed(BEGIN + chunks(b"a\n" * 4), max_size_octets=10, normalize_newlines=True)
        self.assertEqual(codes(owner), [250, 250, 552])

    def test_bare_newline(self) -> None:
        """A bare CR or LF makes the message fail at the end of its chunk, and the transaction with it."""
        for first, second in ((b"a\nb", b"c"), (b"a\rb", b"c")):
            owner = replayed(BEGIN + chunks(first, second))
            self.assertEqual(codes(owner), [250, 250, 550, 503])
        owner = replayed(BEGIN + chunks(b"a\r", b"b"))
        self.assertEqual(codes(owner), [250, 250, 250, 550])
        for octets in ((b"a\r",), (b"a\r", b"")):
            self.assertEqual(codes(replayed(BEGIN + chunks(*octets)))[-1], 550, octets)

    def test_normalized(self) -> None:
        """With normalize_newlines they become line ends, across chunks too."""
        owner = replayed(BEGIN + chunks(b"a\r", b"b\n", b"\r", b"\nc\r"), normalize_newlines=True)
        self.assertEqual(owner.messages, [b"a\nb\n\nc\n"])
        self.assertEqual(owner.last, events.MessageEnded(11))

    def test_memory(self) -> None:
        """Unwanted octets are not kept."""
        owner = ready()
        owner.receive(b"BDAT 99999999999999999999 LAST\r\n")
        for _ in range(100):
            owner.receive(b"x" * 10_000)
            self.assertEqual(len(owner.engine._buffer), 0)
        self.assertEqual(owner.output, b"")
