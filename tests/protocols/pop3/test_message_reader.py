"""A message as a POP3 server sends it (RFC 1939 3), and as servers send it that do not keep to that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.pop3.message_reader import MessageReader
from hermes.protocols.receive_buffer import ReceiveBuffer
from tests.support.engines import replay


def read(wire: bytes, line_end: bytes = b"\r\n") -> tuple[bytes, int, bool, bytes]:
    """What a message comes to, its size on the wire, whether it ended, and what was left; however it is cut."""

    def run(pieces: list[bytes]) -> tuple[bytes, int, bool, bytes]:
        buffer = ReceiveBuffer()
        reader = MessageReader(buffer, line_end)
        stored = b""
        for piece in pieces:
            buffer.feed(piece)
            while not reader.ended and (octets := reader.read()):
                stored += octets
        rest = buffer.take(len(buffer)) if reader.ended else b""
        return stored, reader.wire_octets, reader.ended, rest

    result: tuple[bytes, int, bool, bytes] = replay(wire, run)
    return result


class MessageReaderTests(SynchronousTestCase):
    """From the wire to the stored form."""

    def test_plain(self) -> None:
        """Line ends become LF, the dot line ends it, and what follows is left for the next answer."""
        wire = b"Subject: a\r\n\r\ntext\r\n.\r\n+OK next\r\n"
        self.assertEqual(read(wire), (b"Subject: a\n\ntext\n", 20, True, b"+OK next\r\n"))

    def test_dots(self) -> None:
        """RFC 1939 3: doubled dots lose one; a line that begins with one that was not doubled keeps it."""
        wire = b"a: b\r\n\r\n..\r\n...x\r\n.unstuffed\r\n.\r\n"
        self.assertEqual(read(wire)[0], b"a: b\n\n.\n..x\n.unstuffed\n")
        self.assertEqual(read(b"..first\r\n.\r\n")[0], b".first\n")

    def test_empty(self) -> None:
        """A message may be nothing at all, with either line end."""
        self.assertEqual(read(b".\r\n+OK\r\n"), (b"", 0, True, b"+OK\r\n"))
        self.assertEqual(read(b".\n+OK\n", b"\n"), (b"", 0, True, b"+OK\n"))
        self.assertEqual(read(b".\r\n", b"\n"), (b"", 0, True, b""))

    def test_lf_only(self) -> None:
        """A server that ends lines with LF alone is understood: by its answers, or by the first line of the message."""
        self.assertEqual(read(b"a: b\n\nx\n..y\n.\n+OK\n", b"\n"), (b"a: b\n\nx\n.y\n", 15, True, b"+OK\n"))
        self.assertEqual(read(b"a: b\n\nx\n.\r\n+OK\r\n"), (b"a: b\n\nx\n", 11, True, b"+OK\r\n"))

    def test_no_smuggling(self) -> None:
        """Where lines end in CR LF, no other line with a dot ends a message: a sender may have written it."""
        for false_end in (b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r"):
            wire = b"a: b\r\n\r\nx" + false_end + b"+OK 9 octets\r\nz\r\n.\r\n"
            stored, _, ended, rest = read(wire)
            self.assertTrue(ended)
            self.assertEqual(rest, b"", false_end)
            self.assertIn(b"+OK 9 octets", stored)

    def test_line_without_end(self) -> None:
        """A line that never ends is given out as it comes, and nothing of it is kept."""
        buffer = ReceiveBuffer()
        reader = MessageReader(buffer, b"\r\n")
        given = 0
        for _ in range(200):
            buffer.feed(b"x" * 5000)
            given += len(reader.read())
            self.assertLessEqual(len(buffer), 5)
        self.assertEqual(given, 1_000_000)
        self.assertFalse(reader.ended)

    def test_octets(self) -> None:
        """8-bit octets and NUL pass; a CR that stands alone becomes a line end, as everywhere here."""
        self.assertEqual(read(b"a: \xff\x00\xc3\r\nx\ry\r\n.\r\n")[0], b"a: \xff\x00\xc3\nx\ny\n")

    @given(st.lists(st.binary(max_size=12).map(lambda line: line.translate(None, b"\r\n")), min_size=1, max_size=8))
    def test_any_text(self, lines: list[bytes]) -> None:
        """Whatever lines a server that keeps to RFC 1939 sends, they are what is read."""
        wire = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
        text = b"".join(line + b"\n" for line in lines)
        self.assertEqual(read(wire + b".\r\n"), (text, len(text) + len(lines), True, b""))

    @given(st.binary(max_size=60))
    def test_anything(self, wire: bytes) -> None:
        """Whatever comes, the result does not depend on how it is cut."""
        read(wire)
        read(wire, b"\n")
