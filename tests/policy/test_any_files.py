"""Files that people edit, and fields that strangers write: whatever stands in them is understood, or refused in words."""

from __future__ import annotations

from pathlib import Path

import attrs
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.greeting import MAX_CHARACTERS, MAX_LINE_OCTETS, greeting_lines
from hermes.config.schema import Settings, SMTPSettings
from hermes.core.header import Header
from hermes.policy.address_file import parse_addresses, parse_moved
from hermes.policy.compliance import MAX_ADDRESSES, _addresses
from hermes.policy.edited_file import MAX_PROBLEMS, Lines

#: Lines as they stand in files of Mercury's, of Windows editors and of people in a hurry.
LINES = st.one_of(
    st.sampled_from(
        [
            "joe@example.org",
            "joe@example.org\tJoe has left us",
            'joe@example.org "He has gone"',
            "*@example.org",
            "*.example.org",
            "<>",
            "@",
            "joe@",
            "@example.org",
            "joe@example.org\x00",
            "joe@example.org J\xf6rg",
            "# a comment",
            "\ufeffjoe@example.org",
            "a" * 2000 + "@example.org",
            "?*?*?*@*",
            "joe@example.org " + "x" * 600,
            "\x1a",
        ]
    ),
    st.text(max_size=60),
)
FILES = st.lists(LINES, max_size=12).map("\n".join)


class EditedFileTests(SynchronousTestCase):
    """The killfile, the exceptions, and the addresses that are no longer valid."""

    @given(FILES)
    def test_addresses(self, text: str) -> None:
        """A list or problems with their lines; whatever a stranger writes, the list can be asked."""
        lines = Lines("killfile", text)
        found = parse_addresses(lines)
        self.assertLessEqual(len(lines.problems), MAX_PROBLEMS)
        for asked in ("", "@", "joe@example.org", "x" * 5000, text[:300], "joe@sub.example.org"):
            self.assertIsInstance(found.find(asked), str)

    @given(FILES)
    def test_moved(self, text: str) -> None:
        """What is said of an address can be said over the wire."""
        lines = Lines("nlv", text)
        for reply, place in parse_moved(lines).values():
            self.assertRegex(reply.encode(), rb"\A550 5\.1\.6 [\x20-\x7e]{1,497}\r\n\Z")
            self.assertTrue(place.startswith("nlv:"))
        self.assertLessEqual(len(lines.problems), MAX_PROBLEMS)


class GreetingTests(SynchronousTestCase):
    """The greeting file."""

    @given(st.one_of(st.binary(max_size=700), FILES.map(lambda text: text.encode("utf-8", "replace"))))
    @example(b"\x1a")
    @example(b"\xef\xbb\xbfHello\r\n")
    @example(b"a\x0bb\x0cc\x1cd")
    @example(b"x" * (MAX_LINE_OCTETS + 1))
    def test_any(self, octets: bytes) -> None:
        """Lines that fit into a reply, or a refusal that names the file."""
        path = Path(self.mktemp())
        path.write_bytes(octets)
        try:
            lines = greeting_lines(attrs.evolve(Settings(), smtp=SMTPSettings(greeting_file=str(path))))
        except ValueError as error:
            self.assertIn(str(path), str(error))
        else:
            self.assertLessEqual(sum(map(len, lines)), MAX_CHARACTERS)
            for line in lines:
                self.assertRegex(line, r"\A[\x20-\x7e]*\Z")
                self.assertLessEqual(len(line), MAX_LINE_OCTETS)


class FieldTests(SynchronousTestCase):
    """From, Sender and Reply-To, in which the killfile looks for addresses."""

    @settings(deadline=None)
    @given(
        st.lists(
            st.one_of(st.binary(max_size=60), st.sampled_from([b"<a@b>", b"<" * 2000, b"a@" * 2000, b"\r\n "])),
            max_size=9,
        )
    )
    @example([b"a@b," * 3000])
    @example([b"<" + b"a" * 300 + b"@" + b"b" * 300 + b">"])
    @example([b"=?utf-8?q?a=40b?= <x@example.org>"])
    def test_any(self, parts: list[bytes]) -> None:
        """Whatever stands there, there are few of them, and each is short."""
        value = b"".join(parts)
        found = _addresses(
            Header(b"From: " + value + b"\nSender: " + value + b"\nReply-To:" + value + b"\n", whole=True)
        )
        self.assertLessEqual(len(found), MAX_ADDRESSES)
        self.assertTrue(all(len(each) <= 600 for each in found))
