"""MTA-STS records and policies (RFC 8461)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.mta_sts import MAX_AGE_SECONDS, MAX_PATTERNS, MAX_POLICY_OCTETS, Mode, names, parse_policy, record_id

GOOD = b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n"


class RecordTests(SynchronousTestCase):
    """The TXT record (RFC 8461 3.1)."""

    def test_good(self) -> None:
        """The example of the standard, without the last semicolon, with others beside it, with further fields."""
        for texts in (
            [b"v=STSv1; id=20160831085700Z;"],
            [b"v=STSv1;id=20160831085700Z"],
            [b"v=spf1 -all", b"v=STSv1; x=y; id=20160831085700Z; z"],
        ):
            self.assertEqual(record_id(texts), "20160831085700Z")

    def test_none(self) -> None:
        """No record, two, another version, or an id that is none."""
        one = b"v=STSv1; id=1;"
        for texts in ([], [one, one], [b"v=STSv2; id=1"], [b"v=STSv1"], [b"v=STSv1; id="], [b"v=STSv1; id=a_b"]):
            self.assertEqual(record_id(texts), "", texts)
        self.assertEqual(record_id([b"v=STSv1; id=" + b"1" * 32]), "1" * 32)
        self.assertEqual(record_id([b"v=STSv1; id=" + b"1" * 33]), "")


class PolicyTests(SynchronousTestCase):
    """The policy (RFC 8461 3.2)."""

    def test_good(self) -> None:
        """The example of the standard, with any line ends, in any order, with fields that are not known."""
        for octets in (GOOD, GOOD.replace(b"\n", b"\r\n"), b"x: y\n" + GOOD + b"mode: none\n", GOOD.rstrip()):
            policy = parse_policy(octets)
            assert policy is not None
            self.assertEqual((policy.mode, policy.max_age_seconds), (Mode.ENFORCE, 604800))
            self.assertEqual(policy.hosts, ("mail.example.com", "*.example.net", "backupmx.example.com"))
            self.assertIn("mode: enforce", policy.lines)

    def test_none(self) -> None:
        """Without version, mode, max_age or hosts; with nonsense; too large."""
        for octets in (
            b"",
            b"<html>",
            b"version: STSv1\nmode: enforce\nmax_age: 1\n",
            GOOD.replace(b"STSv1", b"STSv2"),
            GOOD.replace(b"enforce", b"maybe"),
            GOOD.replace(b"604800", b"soon"),
            GOOD.replace(b"604800", b"-1"),
            GOOD.replace(b"604800", b"1" * 11),
            GOOD.replace(b"max_age", b"age"),
            b"\xff" + GOOD,
            b"version: STSv1\nmode: enforce\nmx: **\nmx: a b\nmax_age: 1\n",
        ):
            self.assertIsNone(parse_policy(octets), repr(octets))
        padding = b"x: " + b"x" * (MAX_POLICY_OCTETS - len(GOOD) - 4) + b"\n"
        self.assertIsNotNone(parse_policy(GOOD + padding))
        self.assertIsNone(parse_policy(GOOD + padding + b"\n"))

    def test_limits(self) -> None:
        """The time and the number of hosts have an end; mode none needs no hosts."""
        policy = parse_policy(GOOD.replace(b"604800", b"9999999999"))
        assert policy is not None
        self.assertEqual(policy.max_age_seconds, MAX_AGE_SECONDS)
        many = b"".join(b"mx: a%d.example\n" % number for number in range(MAX_PATTERNS + 1))
        policy = parse_policy(GOOD + many)
        assert policy is not None
        self.assertEqual(len(policy.hosts), MAX_PATTERNS)
        self.assertIsNotNone(parse_policy(b"version: STSv1\nmode: none\nmax_age: 0\n"))

    def test_names(self) -> None:
        """A star stands for one label, no more and no less; case and the last dot do not matter."""
        patterns = ("mail.example.com", "*.example.net")
        for host, good in (
            ("Mail.Example.COM.", True),
            ("a.example.net", True),
            ("a.b.example.net", False),
            ("example.net", False),
            ("xmail.example.com", False),
            ("com", False),
            ("", False),
        ):
            self.assertEqual(names(patterns, host), good, host)

    @given(
        st.binary(max_size=300),
        st.lists(st.sampled_from([*GOOD.split(b"\n"), b"mx", b":", b"\x00", b" "]), max_size=12),
    )
    def test_anything(self, octets: bytes, lines: list[bytes]) -> None:
        """Whatever is published is a policy or is none; every policy has a mode and bounds."""
        for each in (octets, b"\n".join(lines)):
            policy = parse_policy(each)
            if policy is not None:
                self.assertLessEqual(policy.max_age_seconds, MAX_AGE_SECONDS)
                self.assertTrue(policy.hosts or policy.mode is Mode.NONE)
            record_id([octets, *lines])
