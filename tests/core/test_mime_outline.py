"""Whether a message is HTML alone."""

from __future__ import annotations

import email
import email.policy
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.mime_outline import MAX_LOOKED_AT, Outline
from hermes.core.mime_parts import MAX_BOUNDARIES, MAX_BOUNDARY, MAX_PART_HEADER


def only_html(header: bytes, body: bytes = b"", cut: int = 0) -> bool:
    """The answer for a message, its body in pieces of that length, or whole."""
    outline = Outline(header)
    for start in range(0, len(body), cut or max(1, len(body))):
        outline.look(body[start : start + (cut or len(body))])
    outline.end()
    assert outline.decided
    return outline.only_html


MIXED = b'Content-Type: multipart/mixed; boundary="b1"\n'
ALTERNATIVE = b"Content-Type: multipart/alternative; boundary=b2\n"
TEXT = b"Content-Type: text/plain; charset=utf-8\n\nhello\n"
HTML = b"Content-Type: text/html\n\n<p>hello\n"
PICTURE = b"Content-Type: image/png\n\nxxxx\n"
FILE = b"Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nhello\n"
PAGE = b"Content-Type: text/html\nContent-Disposition: attachment; filename=a.html\n\n<p>\n"


def parts(boundary: bytes, *inside: bytes) -> bytes:
    """A multipart's body."""
    return (
        b"preamble\n" + b"".join(b"--%s\n%s" % (boundary, part) for part in inside) + b"--%s--\nepilogue\n" % boundary
    )


class KindTests(SynchronousTestCase):
    """Which messages are HTML alone."""

    def test_one_part(self) -> None:
        """A message of one part is what its type says; without a type it is text (RFC 2045 5.2)."""
        for header, expected in (
            (b"Content-Type: text/html\n", True),
            (b"Subject: x\nCONTENT-TYPE:Text/HTML; charset=utf-8\n", True),
            (b"Content-Type:\n\ttext/html;\n charset=utf-8\n", True),
            (b"Content-Type: text/html\r\n", True),
            (b"Content-Type: text/plain\n", False),
            (b"Content-Type: text/htmlx\n", False),
            (b"Subject: x\n", False),
            (b"Content-Type:\n", False),
            (b"X-Content-Type: text/html\n", False),
            (b"Content-Type: application/pdf\n", False),
            (b"", False),
        ):
            outline = Outline(header)
            self.assertTrue(outline.decided, header)
            self.assertEqual(outline.only_html, expected, header)

    def test_parts(self) -> None:
        """HTML needs text beside it; attachments are neither; a message with neither is not HTML."""
        for inside, expected in (
            ([HTML], True),
            ([TEXT, HTML], False),
            ([HTML, TEXT], False),
            ([HTML, PICTURE], True),
            ([HTML, FILE], True),
            ([FILE, HTML], True),
            ([PICTURE], False),
            ([PAGE], False),
            ([TEXT, PAGE], False),
            ([b"\njust text\n", HTML], False),
            ([b"\n\n", HTML], False),
            ([b"Content-Type: text/calendar\n\nx\n", HTML], False),
            ([], False),
        ):
            for newline in (b"\n", b"\r\n"):
                body = parts(b"b1", *inside).replace(b"\n", newline)
                for cut in (0, 1, 7):
                    self.assertEqual(only_html(MIXED.replace(b"\n", newline), body, cut), expected, (inside, cut))

    def test_nested(self) -> None:
        """Parts of parts are looked at."""
        for inside, expected in (([HTML], True), ([TEXT, HTML], False), ([HTML, PICTURE], True)):
            nested = ALTERNATIVE + b"\n" + parts(b"b2", *inside)
            for cut in (0, 1):
                self.assertEqual(only_html(MIXED, parts(b"b1", nested, PICTURE), cut), expected)

    def test_first_line(self) -> None:
        """The first delimiter may be the body's first line, and parts may follow one another without a line between."""
        self.assertTrue(only_html(MIXED, b"--b1\nContent-Type: text/html\n\n--b1--\n"))
        self.assertFalse(only_html(MIXED, b"--b1\nContent-Type: text/html\n\n--b1\nContent-Type: text/plain\n\n--b1--"))

    def test_forwarded(self) -> None:
        """A message in the message is an attachment: what is in it does not count."""
        inner = b"Content-Type: message/rfc822\n\nContent-Type: text/html\n\n<p>\n"
        self.assertFalse(only_html(MIXED, parts(b"b1", inner)))
        self.assertFalse(only_html(MIXED, parts(b"b1", TEXT, inner)))

    def test_no_boundary(self) -> None:
        """A multipart whose parts cannot be told apart is passed."""
        for header in (b"Content-Type: multipart/mixed\n", b"Content-Type: multipart/mixed; boundary=\n"):
            self.assertTrue(Outline(header).decided)
            self.assertFalse(only_html(header, parts(b"b1", HTML)))
        self.assertTrue(only_html(MIXED, parts(b"b1", b"Content-Type: multipart/related\n\nx\n", HTML)))

    def test_other_lines(self) -> None:
        """Lines that begin with hyphens are no delimiters unless they are."""
        text = b"-- \n--b\n--b11\n--\n----b1\n" + b"-" * 500 + b"\n"
        self.assertTrue(only_html(MIXED, b"--b1\n" + HTML + text + b"\n--b1--\n"))
        self.assertFalse(only_html(MIXED, b"--b1\n" + HTML + text + b"\n--b1  \n" + TEXT, 3))

    def test_after_the_end(self) -> None:
        """What comes when all has been told is not looked at."""
        outline = Outline(MIXED)
        outline.look(b"--b1\n" + TEXT)
        self.assertTrue(outline.decided)
        outline.look(b"--b1\n" + HTML)
        outline.end()
        self.assertFalse(outline.only_html)


class BoundTests(SynchronousTestCase):
    """Nothing grows without bound."""

    def test_looked_at(self) -> None:
        """After so much a message is passed."""
        body = b"--b1\n" + HTML
        for length, expected in ((MAX_LOOKED_AT - 1, True), (MAX_LOOKED_AT, False), (MAX_LOOKED_AT + 1, False)):
            self.assertEqual(only_html(MIXED, body.ljust(length, b"x")), expected, length)

    def test_part_header(self) -> None:
        """Of a part's header as much is looked at, and what is larger is what its beginning says."""
        for length in (MAX_PART_HEADER - 100, MAX_PART_HEADER, MAX_PART_HEADER + 100):
            long = b"Content-Type: text/html\n" + b"X: ".ljust(length, b"y") + b"\n\n<p>\n"
            for cut in (0, 1000):
                self.assertTrue(only_html(MIXED, b"--b1\n" + long + b"--b1--\n", cut), length)

    def test_boundary(self) -> None:
        """There is a longest boundary."""
        for length in (70, MAX_BOUNDARY - 2, MAX_BOUNDARY - 1, MAX_BOUNDARY):
            boundary = b"b" * length
            header = b"Content-Type: multipart/mixed; boundary=" + boundary + b"\n"
            self.assertEqual(only_html(header, parts(boundary, HTML)), length < MAX_BOUNDARY, length)

    def test_boundaries(self) -> None:
        """There are so many multiparts in one another."""
        for depth, expected in ((MAX_BOUNDARIES - 1, True), (MAX_BOUNDARIES, True), (MAX_BOUNDARIES + 1, False)):
            body = b"".join(
                b"--n%d\nContent-Type: multipart/mixed; boundary=n%d\n\n" % (number, number + 1)
                for number in range(depth - 1)
            )
            body += b"--n%d\n" % (depth - 1) + HTML
            self.assertEqual(only_html(b"Content-Type: multipart/mixed; boundary=n0\n", body), expected, depth)

    def test_memory(self) -> None:
        """Of a body without line ends, or with half of a delimiter, little is kept."""
        outline = Outline(MIXED)
        for piece in (b"x" * 65536, b"\n-", b"-" + b"y" * 65536, b"\n--b1\n" + b"X: " + b"z" * 65536):
            outline.look(piece)
            self.assertLess(len(outline._parts._held), MAX_PART_HEADER + 100)

    def test_time(self) -> None:
        """A common message takes microseconds, and the worst of a megabyte no time to speak of."""
        common = parts(b"b1", ALTERNATIVE + b"\n" + parts(b"b2", TEXT, HTML), PICTURE)
        began = time.process_time()
        for _ in range(1000):
            only_html(MIXED, common)
        self.assertLess(time.process_time() - began, 0.2)
        for worst in (
            b"\n--" * 350_000,
            b"\n--b1\n\n" * 140_000,
            b"\n--b1\n" + b" " * 1_000_000,
            b"\n--b1\nContent-Type:" * 50_000,
        ):
            began = time.process_time()
            only_html(MIXED, worst)
            self.assertLess(time.process_time() - began, 2.0)


class ParserTests(SynchronousTestCase):
    """Against Python's own parser."""

    _LEAVES = st.sampled_from([TEXT, HTML, PICTURE, FILE, PAGE, b"\nplain\n", b"Content-Type: application/pdf\n\nx\n"])

    @settings(deadline=None, max_examples=300)
    @given(
        st.recursive(_LEAVES, lambda inside: st.lists(inside, min_size=1, max_size=3), max_leaves=8), st.integers(0, 50)
    )
    def test_same(self, tree: object, cut: int) -> None:
        """Any tree of parts is understood as the parser of Python understands it."""
        numbers = iter(range(1000))

        def written(node: object) -> bytes:
            if isinstance(node, bytes):
                return node
            assert isinstance(node, list)
            name = b"n%d" % next(numbers)
            return b"Content-Type: multipart/mixed; boundary=" + name + b"\n\n" + parts(name, *map(written, node))

        whole = written(tree)
        header, _, body = whole.partition(b"\n\n")
        if whole.startswith(b"\n"):
            header, body = b"", whole[1:]
        kinds = [
            part.get_content_type()
            for part in email.message_from_bytes(whole, policy=email.policy.default).walk()
            if part.get_content_disposition() != "attachment"
        ]
        expected = "text/html" in kinds and "text/plain" not in kinds
        self.assertEqual(only_html(header + b"\n", body, cut), expected)
