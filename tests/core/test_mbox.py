"""Tests of :mod:`hermes.core.mbox`: RFC 4155, what other programs write, and what nobody should."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.mbox import (
    MAX_LINE_OCTETS,
    MboxError,
    MboxQuoter,
    MboxReader,
    Quoting,
    Separator,
    separator_line,
    separator_of,
)
from tests.support.engines import cuts, replay

AT = datetime(2026, 1, 1, 10, 0, 0, tzinfo=UTC).timestamp()
FROM = b"From anna@example.org Thu Jan  1 10:00:00 2026\n"
BOB = b"From bob@example.com Thu Jan  1 11:00:00 2026\n"

#: Pieces of text made of what matters.
WORDS = (b"From ", b">", b"F", b"Fr", b"From", b"\n", b"a", b" ", FROM.strip(), b"\n\n", b"x: y")
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(b"".join)


def read(data: bytes, quoting: Quoting = Quoting.MBOXRD) -> list[tuple[Separator, bytes]]:
    """The messages of a file, which are the same however it is cut."""

    def run(pieces: list[bytes]) -> list[tuple[Separator, bytes]]:
        reader = MboxReader(quoting)
        items = [item for piece in pieces for item in reader.feed(piece)] + reader.finish()
        found: list[tuple[Separator, bytes]] = []
        for item in items:
            if isinstance(item, Separator):
                found.append((item, b""))
            else:
                separator, text = found[-1]
                found[-1] = separator, text + item
        return found

    messages: list[tuple[Separator, bytes]] = replay(data, run)
    return messages


def texts(data: bytes, quoting: Quoting = Quoting.MBOXRD) -> list[bytes]:
    """Only their texts."""
    return [text for _, text in read(data, quoting)]


def quoted(text: bytes) -> bytes:
    """A text as it is written, which is the same however it is cut."""

    def run(pieces: list[bytes]) -> bytes:
        quoter = MboxQuoter()
        return b"".join(map(quoter.feed, pieces)) + quoter.finish()

    octets: bytes = replay(text, run)
    return octets


class SeparatorTests(SynchronousTestCase):
    """The line in front of a message."""

    def check(self, words: str, sender: str, at: datetime | None) -> None:
        """The line says this."""
        found = separator_of(b"From " + words.encode() + b"\n")
        self.assertEqual(found, Separator(sender, None if at is None else at.timestamp()), words)

    def test_rfc_4155(self) -> None:
        """An address and a date of asctime, in UTC."""
        self.check(
            "anna@example.org Thu Jan  1 10:00:00 2026", "anna@example.org", datetime(2026, 1, 1, 10, tzinfo=UTC)
        )

    def test_what_others_write(self) -> None:
        """Zones before and behind the year, dates of RFC 5322, no seconds, no address, and UUCP's host."""
        ten = datetime(2026, 1, 1, 10, 0, 0, tzinfo=UTC)
        for words, sender in (
            ("- Thu Jan 01 10:00:00 2026", "-"),
            ("???@??? Thu Jan 01 10:00:00 2026", "???@???"),
            ("MAILER-DAEMON Thu Jan  1 10:00 2026", "MAILER-DAEMON"),
            ("1234@xxx Thu Jan 01 12:30:00 +0230 2026", "1234@xxx"),
            ("a Thu Jan 1 05:00:00 2026 -0500", "a"),
            ("a  Thu Jan  1 10:00:00 MET DST 2026", "a"),
            ("a@example.org thu jan  1 10:00:00 2026 remote from example", "a@example.org"),
            ("a@example.org Thu, 1 Jan 2026 11:00:00 +0100 (CET)", "a@example.org"),
            ('"a b"@example.org Thu Jan  1 10:00:00 2026', '"a b"@example.org'),
            ("Thu Jan  1 10:00:00 2026", ""),
            ("\ta@example.org\tThu Jan  1 10:00:00 2026\t", "a@example.org"),
        ):
            self.check(words, sender, ten)
        self.check("a Fri Dec 31 23:59:60 1999", "a", datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC))

    def test_no_date_that_can_be(self) -> None:
        """A line of the form begins a message, also when there is no such day."""
        self.check("a Mon Feb 30 10:00:00 2026", "a", None)
        self.check("a Mon Feb  3 25:00:00 2026", "a", None)
        self.check("a Mon Feb  3 10:00:00 0000", "a", None)
        # An offset that cannot be is none.
        self.check("a Thu Jan  1 10:00:00 +9900 2026", "a", datetime(2026, 1, 1, 10, tzinfo=UTC))

    def test_text(self) -> None:
        """What merely begins so is text."""
        for line in (b"From here on\n", b"From \n", b"From the 1st of Jan 2026\n", b"From a 10:00:00 2026\n"):
            self.assertIsNone(separator_of(line), line)

    def test_written(self) -> None:
        """A line that is written says the same when it is read; a sender who cannot stand there is MAILER-DAEMON."""
        self.assertEqual(separator_line("anna@example.org", AT), FROM)
        for sender in ("", "a b@example.org", "a\n@example.org", "nobody", "a@" + "b" * 300):
            self.assertEqual(separator_line(sender, AT), FROM.replace(b"anna@example.org", b"MAILER-DAEMON"))
        for month in range(1, 13):
            at = datetime(2024, month, 28, 1, 2, 3, tzinfo=UTC).timestamp()
            self.assertEqual(separator_of(separator_line("a@example.org", at)), Separator("a@example.org", at))


class ReadingTests(SynchronousTestCase):
    """What becomes of a file."""

    def test_two_messages(self) -> None:
        """Each has its line, and the empty line behind it is the file's."""
        first, second = b"Subject: a\n\nbody\n", b"Subject: b\n\nbody\n\n"
        data = FROM + first + b"\n" + BOB + second + b"\n"
        self.assertEqual(
            read(data),
            [
                (Separator("anna@example.org", AT), first),
                (Separator("bob@example.com", AT + 3600, len(FROM + first) + 1), second),
            ],
        )

    def test_last_line_without_end(self) -> None:
        """The last message gets the line end that it lacks, and loses none that it has."""
        self.assertEqual(texts(FROM + b"a: b\n\nx"), [b"a: b\n\nx\n"])
        self.assertEqual(texts(FROM + b"a: b\n\nx\n"), [b"a: b\n\nx\n"])
        self.assertEqual(texts(FROM + b"a: b\n\nx\n\n\n"), [b"a: b\n\nx\n\n"])

    def test_no_empty_line_before(self) -> None:
        """Where a program has not put an empty line behind a message, nothing is taken from it."""
        self.assertEqual(texts(FROM + b"a: b\n\nx\n" + BOB + b"c: d\n"), [b"a: b\n\nx\n", b"c: d\n"])

    def test_crlf(self) -> None:
        """A file of Windows is read as one with LF."""
        data = FROM + b"a: b\n\nx\n\n" + BOB + b"c: d\n\n"
        self.assertEqual(texts(data.replace(b"\n", b"\r\n")), texts(data))

    def test_nothing(self) -> None:
        """An empty file has no messages, and neither have empty lines; a message may be empty."""
        self.assertEqual(read(b""), [])
        self.assertEqual(read(b"\n\r\n\n"), [])
        self.assertEqual(texts(b"\n" + FROM + BOB + b"\n\n"), [b"", b"\n"])
        self.assertEqual(texts(FROM.strip()), [b""])

    def test_no_mbox(self) -> None:
        """What stands before the first message makes it no mbox."""
        for data in (b"Subject: a\n", b"\nx", b"From here\n", b"From " + b"x" * 2 * MAX_LINE_OCTETS, b">" + FROM):
            for pieces in cuts(data):
                reader = MboxReader()
                with self.assertRaises(MboxError):
                    for piece in pieces:
                        reader.feed(piece)
                    reader.finish()

    def test_unquoted_text(self) -> None:
        """A line that begins with From and has no date stays in its message, behind an empty line too."""
        text = b"a: b\n\nFrom here on\nFrom there\n\nFrom x\nFrom\n"
        self.assertEqual(texts(FROM + text), [text])

    def test_mboxrd(self) -> None:
        """One > is taken away, however many there are."""
        self.assertEqual(texts(FROM + b"\n>From a\n>>From b\nx >From c\n>Fromx\n> From\n"), [
            b"\nFrom a\n>From b\nx >From c\n>Fromx\n> From\n"
        ])  # fmt: skip
        self.assertEqual(texts(FROM + b"\n>" + FROM), [b"\n" + FROM])

    def test_mboxo_and_none(self) -> None:
        """Mboxo has quoted only From itself; and nothing may be undone."""
        data = FROM + b"\n>From a\n>>From b\n"
        self.assertEqual(texts(data, Quoting.MBOXO), [b"\nFrom a\n>>From b\n"])
        self.assertEqual(texts(data, Quoting.NONE), [b"\n>From a\n>>From b\n"])

    def test_content_length_is_not_believed(self) -> None:
        """A message cannot say that those behind it are a part of it."""
        data = FROM + b"Content-Length: 1000\n\nx\n\n" + BOB + b"a: b\n\ny\n"
        self.assertEqual(len(texts(data)), 2)

    def test_longest_line(self) -> None:
        """A line in front of a message has 1000 octets at most; a longer one is text."""
        date = b" Thu Jan  1 10:00:00 2026"
        for more, count in ((0, 2), (1, 1)):
            line = b"From " + b"a" * (MAX_LINE_OCTETS - 5 - len(date) + more) + date + b"\n"
            self.assertEqual(len(texts(FROM + b"a: b\n\n" + line)), count, more)

    def test_many_quotes(self) -> None:
        """A line may have a thousand > before its From; where there are more, nobody has quoted it."""
        for count in (1, 2, MAX_LINE_OCTETS, MAX_LINE_OCTETS + 2):
            line = b">" * count + b"From x\n"
            reader = MboxReader()
            reader.feed(FROM)
            found = b"".join(item for item in reader.feed(line) if isinstance(item, bytes))
            self.assertEqual(found, line if count > MAX_LINE_OCTETS + 1 else line[1:])
            halves = MboxReader()
            halves.feed(FROM)
            pieces = halves.feed(line[: count + 2]) + halves.feed(line[count + 2 :])
            self.assertEqual(b"".join(item for item in pieces if isinstance(item, bytes)), found)

    def test_memory(self) -> None:
        """Of a line without end no more is held than may matter."""
        for octets in (b"x" * 100_000, b">" * 100_000, b"From " + b"x" * 100_000):
            reader = MboxReader()
            reader.feed(FROM)
            given_out = b"".join(item for item in reader.feed(octets) if isinstance(item, bytes))
            self.assertGreaterEqual(len(given_out), len(octets) - MAX_LINE_OCTETS - 5)

    @given(st.binary(max_size=200) | TEXTS)
    def test_any_octets(self, data: bytes) -> None:
        """Whatever comes is read the same in any pieces."""
        read(FROM + data)


class WritingTests(SynchronousTestCase):
    """Quoting, and there and back."""

    def test_quoted(self) -> None:
        """Every line that is From behind any number of > gets one more."""
        self.assertEqual(quoted(b"From a\n>From b\n>>From c\nFromx\n From\nx From\n"), (
            b">From a\n>>From b\n>>>From c\nFromx\n From\nx From\n"
        ))  # fmt: skip

    def test_held_back(self) -> None:
        """What was no From after all comes out at the end."""
        self.assertEqual(quoted(b"a\n>>Fr"), b"a\n>>Fr")
        self.assertEqual(quoted(b""), b"")

    @given(st.lists(TEXTS, max_size=4))
    def test_there_and_back(self, messages: list[bytes]) -> None:
        """What was written is read, each message as it was; a last line gets an end."""
        whole = [text if not text or text.endswith(b"\n") else text + b"\n" for text in messages]
        data = b"".join(FROM + quoted(text) + b"\n" for text in whole)
        # A file may begin with empty lines, but none of these does.
        self.assertEqual(texts(data), whole)
