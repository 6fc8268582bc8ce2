"""The names of the files that a message carries."""

from __future__ import annotations

from email.message import EmailMessage

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.attachments import MAX_NAME, MAX_NAMES, AttachmentNames
from hermes.core.header_facts import header_end
from hermes.core.mime_parts import MAX_LINES

HEADER = b"Subject: x\nContent-Type: multipart/mixed; boundary=b1\n"


def names(message: bytes, cut: int = 0) -> list[str]:
    """The names in a message, its body in pieces of that length, or whole."""
    end = header_end(message)
    found = AttachmentNames(message[:end])
    for start in range(end, len(message), cut or len(message)):
        found.look(message[start : start + (cut or len(message))])
    return found.names


def with_parts(*headers: bytes) -> bytes:
    """A message whose parts have these fields."""
    return HEADER + b"\npreamble\n" + b"".join(b"--b1\n%s\n\nx\n" % header for header in headers) + b"--b1--\n"


class NameTests(SynchronousTestCase):
    """How names are written."""

    def test_forms(self) -> None:
        """In quotes or without, of the disposition before the type, in any case, folded, and in other letters."""
        for field, name in (
            (b"Content-Disposition: attachment; filename=a.txt", "a.txt"),
            (b'content-disposition: inline; FileName="a \\"b\\"; c.txt"; size=3', 'a "b"; c.txt'),
            (b'Content-Type: image/png;\n name="a.png"', "a.png"),
            (b"Content-Type: image/png; name=a.png\nContent-Disposition: attachment; filename=b.png", "b.png"),
            (b"Content-Type: image/png; filename=a.png", ""),
            (b"Content-Disposition: attachment; name=a.png", ""),
            # RFC 2231 4 and 3
            (b"Content-Disposition: attachment; filename*=iso-8859-1'de'%E4%20b.txt", "ä b.txt"),
            (b"Content-Disposition: attachment; filename=x; filename*=utf-8''%C3%A4.txt", "ä.txt"),
            (b"Content-Disposition: attachment; filename*1=def; filename*0=abc; filename*2*=%2E", "abcdef."),
            (b"Content-Disposition: attachment; filename*0*=UTF-8''%C3; filename*1*=%A4", "ä"),
            # No character sets that there are not, or that are none.
            (b"Content-Disposition: attachment; filename*=klingon''%C3%A4", "ä"),
            (b"Content-Disposition: attachment; filename*=zlib''%C3%A4", "ä"),
            (b"Content-Disposition: attachment; filename*=%C3%A4", "ä"),
            # RFC 2047 5 does not allow it, and many do it.
            (b'Content-Disposition: attachment; filename="=?utf-8?q?=C3=A4?="', "ä"),
            (b"Content-Type: text/plain", ""),
            (b"Content-Disposition: attachment; filename=", ""),
            (b'Content-Disposition: attachment; filename=""', ""),
        ):
            self.assertEqual(names(with_parts(field)), [name] if name else [], field)

    def test_parts(self) -> None:
        """Of all parts, those within parts too, in their order; wherever the octets are cut."""
        inner = b"Content-Type: multipart/related; boundary=b2\n\n--b2\nContent-Type: a/b; name=2\n\n--b2--"
        message = with_parts(b"Content-Type: a/b; name=1", inner, b"Content-Type: a/b; name=3")
        for cut in range(len(message)):
            self.assertEqual(names(message, cut), ["1", "2", "3"], cut)
        self.assertEqual(names(message.replace(b"\n", b"\r\n")), ["1", "2", "3"])

    def test_without_parts(self) -> None:
        """A message may be one file; what stands in its text is none."""
        self.assertEqual(names(b"Content-Type: a/b; name=1\n\n--b1\nContent-Type: a/b; name=2\n\n"), ["1"])
        self.assertEqual(names(b"Content-Type: multipart/mixed\n\n--\nContent-Type: a/b; name=2\n\n"), [])

    @given(st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=60))
    def test_as_others_write_them(self, name: str) -> None:
        """What the standard library writes for a name is that name."""
        name = name.strip() or "x"
        message = EmailMessage()
        message.set_content("x")
        message.add_attachment(b"x", "image", "png", filename=name)
        self.assertEqual(names(message.as_bytes()), [name])


class BoundTests(SynchronousTestCase):
    """Nothing grows without end."""

    def test_names(self) -> None:
        """So many names, and of each so many characters, from its end."""
        for count in (MAX_NAMES - 1, MAX_NAMES, MAX_NAMES + 1):
            found = names(with_parts(*[b"Content-Type: a/b; name=1"] * count))
            self.assertEqual(len(found), min(count, MAX_NAMES))
        for length in (MAX_NAME - 1, MAX_NAME, MAX_NAME + 1):
            (found_name,) = names(with_parts(b"Content-Type: a/b; name=%sz" % (b"y" * (length - 1))))
            self.assertEqual(found_name, "y" * (min(length, MAX_NAME) - 1) + "z")

    def test_lines(self) -> None:
        """So many lines that look as if a part began, and not one more."""
        for count, found in ((MAX_LINES - 1, ["1"]), (MAX_LINES, [])):
            message = HEADER + b"\n" + b"--\n" * count + b"--b1\nContent-Type: a/b; name=1\n\n"
            self.assertEqual(names(message, 100_000), found, count)
