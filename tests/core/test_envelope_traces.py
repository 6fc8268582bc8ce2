"""What a header tells about an envelope that is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope_traces import (
    MAX_ADDRESSES,
    candidates,
    copy_mark,
    mark,
    reverse_path,
    without_return_path,
)
from hermes.core.header import Header

DEFAULT = ("Delivered-To", "X-Original-To", "X-Envelope-To", "Received")


def header(*lines: str) -> Header:
    """A header of these lines."""
    return Header("".join(f"{line}\n" for line in lines).encode())


def found(*lines: str, names: tuple[str, ...] = DEFAULT) -> list[list[str]]:
    """The candidates in it."""
    return list(candidates(header(*lines), names))


class SenderTests(SynchronousTestCase):
    """``Return-Path:`` (RFC 5321 4.4)."""

    def test_reverse_path(self) -> None:
        """The topmost counts, with or without brackets; the null path and what is none are the null path."""
        self.assertEqual(
            reverse_path(header("Return-Path: <a@example.net>", "Return-Path: <b@example.net>")), "a@example.net"
        )
        self.assertEqual(reverse_path(header("return-path: a@example.net")), "a@example.net")
        for value in ("<>", "", "nonsense", "<a b@example.net>", "<ä@example.net>", "<a@b>\x01", "<@x:a@example.net>"):
            self.assertEqual(reverse_path(header(f"Return-Path: {value}")), "", value)
        self.assertEqual(reverse_path(header("From: a@example.net")), "")

    def test_without(self) -> None:
        """All of them go, folded ones too, and nothing else."""
        octets = b"A: 1\nReturn-Path: <a@example.net>\nB: 2\nRETURN-PATH:\n <b@example.net>\nC: Return-Path: x\n"
        self.assertEqual(without_return_path(octets), b"A: 1\nB: 2\nC: Return-Path: x\n")
        self.assertEqual(without_return_path(b"A: 1\n"), b"A: 1\n")


class RecipientTests(SynchronousTestCase):
    """Where recipients stand."""

    def test_order(self) -> None:
        """The configured fields in their order, the topmost of each first."""
        lines = (
            "Received: from a by b with ESMTP id 1 for <r@example.org>; Mon, 1 Jan 2024 00:00:00 +0000",
            "X-Original-To: x@example.org",
            "Delivered-To: d1@example.org",
            "Delivered-To: d2@example.org",
        )
        expected = [["d1@example.org"], ["d2@example.org"], ["x@example.org"], ["r@example.org"]]
        self.assertEqual(found(*lines), expected)

    def test_received(self) -> None:
        """RFC 5321 4.4: ``for``, with and without brackets, folded, and not in a comment."""
        for clause, expected in (
            ("by b for <joe@example.org>; date", "joe@example.org"),
            ("by b (Postfix, from userid 1)\n\tfor joe@example.org; date", "joe@example.org"),
            ("by b (for <x@example.org>) for <joe@example.org>; date", "joe@example.org"),
            ("by b FOR <joe@example.org>", "joe@example.org"),
        ):
            self.assertEqual(found(f"Received: from a {clause}"), [[expected]], clause)
        for clause in ("by b for someone; date", "by b; date", "by before <joe@example.org>", "by b for <a b>"):
            self.assertEqual(found(f"Received: from a {clause}"), [], clause)

    def test_several_in_one_field(self) -> None:
        """X-Envelope-To may name several."""
        self.assertEqual(found("X-Envelope-To: <a@example.org>, b@example.org"), [["a@example.org", "b@example.org"]])

    def test_to_is_not_guessed(self) -> None:
        """What senders write is looked at only when it is asked for; then To and Cc count together."""
        lines = ("To: A <a@example.org>", "Cc: b@example.org", "Bcc: c@example.org")
        self.assertEqual(found(*lines), [])
        self.assertEqual(found(*lines, names=("To", "Delivered-To", "Cc")), [["a@example.org", "b@example.org"]])

    def test_bound(self) -> None:
        """So many addresses are looked at, and no more."""
        many = ", ".join(f"a{number}@example.org" for number in range(MAX_ADDRESSES + 5))
        (group,) = found(f"To: {many}", "Delivered-To: late@example.org", names=("To", "Delivered-To"))
        self.assertEqual(len(group), MAX_ADDRESSES)
        fits = ", ".join(f"a{number}@example.org" for number in range(MAX_ADDRESSES - 1))
        groups = found(f"To: {fits}", "Delivered-To: last@example.org", names=("To", "Delivered-To"))
        self.assertEqual([len(group) for group in groups], [MAX_ADDRESSES - 1, 1])

    @given(st.text(max_size=80))
    def test_anything(self, text: str) -> None:
        """Whatever stands there, addresses have both parts or there are none."""
        value = text.replace("\n", " ").encode("utf-8", "replace").decode()
        for group in found(f"Received: {value}", f"Delivered-To: {value}"):
            for address in group:
                self.assertIn("@", address)


class MarkTests(SynchronousTestCase):
    """Knowing a message again."""

    HEADER = b"Received: a\nMessage-ID: <1@example.net>\nSubject: x\n"

    def test_changing_fields(self) -> None:
        """What servers change while a message lies there does not count; everything else does."""
        for field in (b"Status: RO\n", b"X-Status: A\n", b"X-UID: 7\n", b"X-UIDL: abc\n", b"X-Keywords: a\n  b\n"):
            self.assertEqual(mark(self.HEADER + field), mark(self.HEADER), field)
        self.assertNotEqual(mark(self.HEADER + b"X: 1\n"), mark(self.HEADER))

    def test_copies(self) -> None:
        """Copies differ in what servers add; a list's copy is another message, and without Message-ID nothing can be told."""
        lines = ("Message-ID: <1@example.net>", "Date: d", "From: a@example.net", "Subject: s")
        one = copy_mark(header("Delivered-To: a@example.org", *lines))
        self.assertEqual(one, copy_mark(header("Delivered-To: b@example.org", *lines)))
        self.assertNotEqual(one, copy_mark(header(*lines, "List-Id: <l.example.net>")))
        self.assertEqual(copy_mark(header("Subject: s")), b"")
