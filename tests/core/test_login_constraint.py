"""What may stand behind the name at a login, and which messages it lets through."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.header import Header
from hermes.core.login_constraint import ConstraintError, Constraints, split_name

HEADER = Header(
    b"From: =?utf-8?q?J=C3=BCrgen_Desk?= <Desk@Example.ORG>\nSubject: Monthly\n  figures\nX-Priority: 2 (High)\n"
    b"List-Id: <news.example.net>\n"
)


def constraints(text: str) -> Constraints:
    """Those of a login."""
    name, found = split_name(f"joe ({text})")
    assert name == "joe"
    assert found is not None
    return found


def from_field(value: str) -> Header:
    """A header that says no more than that."""
    return Header(f"From: {value}\n".encode())


class SplitTests(SynchronousTestCase):
    """:func:`split_name`."""

    def test_no_constraints(self) -> None:
        """A name without parentheses at its end is a name."""
        for name in ("joe", "joe@example.org", '"a(b"@example.org', "joe)", "(joe", ""):
            self.assertEqual(split_name(name), (name, None))

    def test_space_is_free(self) -> None:
        """Spaces and case are as one likes, and empty places between commas mean nothing."""
        expected = Constraints(unread=True, sender="bob@example.org")
        for name in (
            "joe(new,from=bob@example.org)",
            "joe ( NEW ,  From = Bob@Example.org , )",
            " joe (unread,FROM=bob@example.org) ",
        ):
            self.assertEqual(split_name(name), ("joe", expected))

    def test_nothing_in_them(self) -> None:
        """Empty parentheses ask for nothing."""
        self.assertEqual(split_name("joe ()"), ("joe", Constraints()))

    def test_dates(self) -> None:
        """A date may have a time, and a time zone."""
        since = datetime(2026, 11, 1)
        self.assertEqual(constraints("since=1 nov 2026").since, since)
        self.assertEqual(constraints("SINCE = 01 November 2026").since, since)
        self.assertEqual(constraints("since=1 NOV 2026 08:05").since, since.replace(hour=8, minute=5))
        zone = timezone(-timedelta(hours=3, minutes=30))
        self.assertEqual(
            constraints("since=1 nov 2026 08:05 -0330").since, since.replace(hour=8, minute=5, tzinfo=zone)
        )
        self.assertEqual(
            constraints("since=1 nov 2026 +0100").since, since.replace(tzinfo=timezone(timedelta(hours=1)))
        )

    def test_refused(self) -> None:
        """What is not understood is refused in words that name it."""
        for text, word in (
            ("fresh", "FRESH"),
            ("new=1", "NEW"),
            ("from", "FROM"),
            ("from=", "FROM"),
            ("=x", "="),
            ("new, unread", "UNREAD"),
            ("from=a, from=b", "FROM"),
            ("since=yesterday", "SINCE"),
            ("since=1 foo 2026", "SINCE"),
            ("since=31 feb 2026", "SINCE"),
            ("since=1 jan 2026 25:00", "SINCE"),
            ("since=1 jan 2026 +9900", "SINCE"),
            ("since=1 jan 0000", "SINCE"),
            ("since=1 jan 0001", "SINCE"),
            ("since=31 dec 9999", "SINCE"),
            ("\u00e4" * 300, "\u00c4"),
        ):
            with self.subTest(text=text):
                error = self.assertRaises(ConstraintError, split_name, f"joe ({text})")
                self.assertIn(word, str(error))
                self.assertLess(len(str(error)), 200)

    @given(st.text(max_size=60))
    def test_any_text(self, text: str) -> None:
        """Whatever stands there is understood or refused, and costs nothing else."""
        try:
            name, found = split_name(f"joe({text})")
        except ConstraintError:
            return
        self.assertEqual(name, "joe")
        self.assertIsNotNone(found)


class WantsTests(SynchronousTestCase):
    """:meth:`Constraints.wants`."""

    def test_reads_header(self) -> None:
        """What the header says is asked for only where a constraint is about it."""
        for text, reads in (
            ("new", False),
            ("since=1 jan 2026", False),
            ("urgent", True),
            ("show=x", True),
            ("omit=x", True),
        ):
            self.assertEqual(constraints(text).reads_header, reads, text)

    def test_each(self) -> None:
        """Each constraint alone."""
        for text, wanted in (
            ("from=desk@", True),
            ("from=@example.org", True),
            ("from=@example.com", False),
            ("from=j\u00fcrgen", True),
            ("from=example", False),
            ("subject=monthly   figures", True),
            ("subject=weekly", False),
            ("show=news.example.net", True),
            ("show=list-id: <news", True),
            ("show=body", False),
            ("show=j\u00fcrgen", True),
            ("omit=news.example.net", False),
            ("omit=other", True),
            ("urgent", True),
            ("urgent, subject=weekly", False),
        ):
            with self.subTest(text=text):
                self.assertEqual(constraints(text).wants(HEADER), wanted)

    def test_names(self) -> None:
        """A name is what stands beside the address: in front of it, in quotes, or in a comment."""
        for value, text, wanted in (
            ('"Desk, Joe" <j@example.org>', "desk", True),
            ("j@example.org (Joe Desk)", "joe  desk", True),
            ("desk@example.org", "desk", False),
            ("Ann <desk@example.org>, Joe <j@example.org>", "joe", True),
            ("Ann <desk@example.org>, Joe <j@example.org>", "desk", False),
            ("", "joe", False),
        ):
            with self.subTest(value=value):
                self.assertEqual(constraints(f"from={text}").wants(from_field(value)), wanted)

    def test_hostile(self) -> None:
        """Whatever a stranger has written into From, a login that asks for it goes on, and at once."""
        for value in ("(" * 200_000, "<" * 200_000, '"' * 200_001, '"a" <b,' * 30_000, "a@b," * 50_000, "@" * 200_000):
            with self.subTest(value=value[:10]):
                self.assertFalse(constraints("from=joe").wants(from_field(value)))
                self.assertFalse(constraints("from=joe@").wants(from_field(value)))

    def test_urgent(self) -> None:
        """The fields by which mail programs say that it is urgent."""
        for field, urgent in (
            ("Priority: urgent", True),
            ("Priority: normal", False),
            ("Importance: High", True),
            ("X-Priority: 1", True),
            ("X-Priority: 3", False),
            ("X-MSMail-Priority: High", True),
            ("Subject: urgent", False),
        ):
            self.assertEqual(constraints("urgent").wants(Header(field.encode() + b"\n")), urgent, field)
