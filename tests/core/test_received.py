"""The lines that Hermes writes at the head of a message (RFC 5321 4.4)."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import Origin
from hermes.core.received import MAX_COLUMNS, date, message_id, path, received, return_path

NOON = 1_768_478_400.0
ID = "0123456789AB"


def line_of(origin: Origin, recipient: str | None = None, hostname: str = "mx.example.org") -> str:
    """The field unfolded, without the date."""
    folded = received(origin, hostname, ID, recipient, NOON)
    unfolded = " ".join(line.strip() for line in folded)
    return unfolded.rpartition(";")[0]


class ReceivedTests(SynchronousTestCase):
    """``Received:``, also called the time stamp line."""

    def test_clauses(self) -> None:
        """From, by, with, id, for: in the order of the grammar, with the peer's address as a literal."""
        origin = Origin("ESMTPSA", "192.0.2.7", "laptop.example.com", "TLSv1.3 TLS_AES_256_GCM_SHA384", "alice")
        self.assertEqual(
            line_of(origin, "bob@example.net"),
            "Received: from laptop.example.com ([192.0.2.7]) by mx.example.org"
            " with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384) id 0123456789AB for <bob@example.net>",
        )

    def test_no_account(self) -> None:
        """Who logged in is not told to the world."""
        origin = Origin("ESMTPA", "192.0.2.7", "laptop.example.com", None, "secretname")
        self.assertNotIn("secretname", line_of(origin))

    def test_without_recipient(self) -> None:
        """Without a sole recipient there is no for clause (RFC 5321 7.2)."""
        self.assertNotIn(" for ", line_of(Origin("ESMTP", "192.0.2.7", "client.example.com")))

    def test_ipv6(self) -> None:
        """An IPv6 address is tagged (RFC 5321 4.1.3)."""
        text = line_of(Origin("ESMTP", "2001:db8::7", "client.example.com"))
        self.assertIn("from client.example.com ([IPv6:2001:db8::7]) by", text)

    def test_unix_socket(self) -> None:
        """A peer without an address is told in a comment."""
        self.assertIn("from localhost (unix) by", line_of(Origin("LMTP", "unix", "localhost")))
        self.assertIn("from unknown (local) by", line_of(Origin("local")))

    def test_hello(self) -> None:
        """Names and literals are repeated; what is neither is not put into the header."""
        for hello, shown in (
            ("client.example.com", "client.example.com"),
            ("MY_PC", "MY_PC"),
            ("[192.0.2.7]", "[192.0.2.7]"),
            ("[IPv6:2001:db8::7]", "[IPv6:2001:db8::7]"),
            ("", "unknown"),
            ("x) by evil (y", "unknown"),
            ("a b", "unknown"),
            ("a\r\nBcc: x", "unknown"),
            ("a\n", "unknown"),
            ("-", "unknown"),
            ("café", "unknown"),
            ("[x]; y", "unknown"),
        ):
            self.assertIn(f"from {shown} ([192.0.2.7]) by", line_of(Origin("SMTP", "192.0.2.7", hello)), hello)

    def test_folding(self) -> None:
        """Lines stay within 78 columns, folded at clauses; only a clause that is longer by itself exceeds them."""
        origin = Origin(
            "ESMTPS", "2001:db8:1111:2222:3333:4444:5555:6666", "client.example.com", "TLSv1.2 X" + "Y" * 20
        )
        lines = received(origin, "mx.example.org", ID, "somebody.with.a.long.name@department.example.org", NOON)
        self.assertTrue(all(len(line.expandtabs(8)) <= MAX_COLUMNS for line in lines), lines)
        self.assertTrue(all(line.startswith("\t") for line in lines[1:]))
        long = received(Origin("SMTP", "192.0.2.7", "a" * 200), "mx.example.org", ID, None, NOON)
        self.assertEqual([len(line) > MAX_COLUMNS for line in long][:2], [True, False])

    def test_folding_limit(self) -> None:
        """A line of exactly 78 columns is not folded; one of 79 is."""
        base = len("Received: from  ([192.0.2.7]) by mx.example.org")
        for columns, same_line in ((77, True), (78, True), (79, False)):
            hello = "h" * (columns - base)
            first = received(Origin("SMTP", "192.0.2.7", hello), "mx.example.org", ID, None, NOON)[0]
            self.assertEqual("by mx.example.org" in first, same_line, columns)

    @settings(deadline=None)
    @given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
    def test_never_more_lines(self, hello: str, peer: str, recipient: str) -> None:
        """Nothing that a client says can begin a line of its own."""
        origin = Origin("SMTP", peer="192.0.2.7", hello=hello)
        for line in received(origin, "mx.example.org", ID, recipient, NOON):
            self.assertEqual(re.findall(r"[\r\n]", line), [])

    def test_date(self) -> None:
        """The date is that of RFC 5322, with a numeric offset."""
        text = date(NOON + 0.9)
        self.assertEqual(parsedate_to_datetime(text).timestamp(), NOON)
        self.assertRegex(text, r"\A[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} 2026 \d\d:\d\d:\d\d [+-]\d{4}\Z")
        field = received(Origin("SMTP", "192.0.2.7", "x"), "mx.example.org", ID, None, NOON)
        self.assertEqual("".join(field).rpartition(";")[2].strip(), text)


class ReturnPathTests(SynchronousTestCase):
    """``Return-Path:`` and paths."""

    def test_return_path(self) -> None:
        """The reverse-path in brackets; the null path is ``<>``."""
        self.assertEqual(return_path("writer@example.com"), "Return-Path: <writer@example.com>")
        self.assertEqual(return_path(""), "Return-Path: <>")

    def test_quotes_stay(self) -> None:
        """A quoted local part stays as it is, and so does one outside ASCII."""
        self.assertEqual(path('"a b"@example.com'), '<"a b"@example.com>')
        self.assertEqual(path("müller@example.com"), "<müller@example.com>")

    def test_one_line(self) -> None:
        """Whatever an address holds, the path is one line."""
        self.assertEqual(path("a\r\nb\0@example.com"), "<a??b?@example.com>")

    def test_message_id(self) -> None:
        """An id that is ours by its queue id and the host's name."""
        self.assertEqual(message_id(ID, "mx.example.org"), "<0123456789AB@mx.example.org>")
