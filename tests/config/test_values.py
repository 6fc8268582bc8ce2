"""Tests of values as people write them."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.catalog import DOCUMENTED, Setting, Value
from hermes.config.values import MAX_NUMBER, MAX_SIZE, MAX_TIME, format_value, parse_value
from hermes.core.address_range import AddressRange

_CHOICES = ("none", "starttls", "implicit")


def _setting(kind: str) -> Setting:
    return Setting("section", "key", kind, "", "", _CHOICES if kind == "choice" else ())


_TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30).map(str.strip)
_WORD = st.text(st.characters(codec="ascii", exclude_characters=",", exclude_categories=("Cc",)), min_size=1)
_TCP = st.builds("{}:{}".format, st.ip_addresses(v=4), st.integers(0, 65535))
_VALUES: dict[str, st.SearchStrategy[Value]] = {
    "text": _TEXT,
    "path": _TEXT,
    "secret": _TEXT,
    "number": st.integers(0, MAX_NUMBER),
    "size": st.integers(0, MAX_SIZE),
    "time": st.integers(0, MAX_TIME),
    "flag": st.booleans(),
    "choice": st.sampled_from(_CHOICES),
    "words": st.lists(_WORD.map(str.strip).filter(bool)).map(tuple),
    "listeners": st.lists(_TCP).map(tuple),
    "networks": st.lists(
        st.builds(
            lambda address, bits: ipaddress.ip_network((address, bits), strict=False),
            st.ip_addresses(v=4),
            st.integers(0, 32),
        )
        | st.builds(
            lambda address, bits: ipaddress.ip_network((address, bits), strict=False),
            st.ip_addresses(v=6),
            st.integers(0, 128),
        )
    ).map(tuple),
    "ranges": st.lists(
        st.sampled_from([(4, 32), (6, 128)])
        .flatmap(
            lambda kind: st.lists(st.integers(0, 2 ** kind[1] - 1), min_size=2, max_size=2).map(
                lambda ends: AddressRange(kind[0], min(ends), max(ends))
            )
        )
        # An end that is IPv4 in the form of IPv6 is refused when it is read, so that there is no such range.
        .filter(lambda found: found.version == 4 or not {found.first >> 32, found.last >> 32} & {0xFFFF})
    ).map(tuple),
    "times": st.lists(st.integers(0, MAX_TIME)).map(tuple),
}


class RoundtripTests(SynchronousTestCase):
    """From a value to its text and back."""

    @given(st.data())
    def test_roundtrip(self, data: st.DataObject) -> None:
        """What is written for a value of any kind is read as the same value."""
        kind = data.draw(st.sampled_from(sorted(_VALUES)))
        value = data.draw(_VALUES[kind])
        self.assertEqual(parse_value(_setting(kind), format_value(kind, value)), value)

    def test_every_kind_is_covered(self) -> None:
        """The schema has no kind that the property above leaves out."""
        kinds = {setting.kind for section in DOCUMENTED.values() for setting in section.settings.values()}
        self.assertEqual(kinds, set(_VALUES))

    def test_defaults(self) -> None:
        """Every default can be written and is read back."""
        for section in DOCUMENTED.values():
            for setting in section.settings.values():
                text = format_value(setting.kind, setting.default)
                self.assertEqual(parse_value(setting, text), setting.default, setting.name)


class ParseTests(SynchronousTestCase):
    """Reading values."""

    def assert_refused(self, kind: str, text: str, remedy: str) -> None:
        """The text is refused with the remedy."""
        error = self.assertRaises(ValueError, parse_value, _setting(kind), text)
        self.assertIn(remedy, str(error), text)

    def test_documented_forms(self) -> None:
        """The ways of writing that the documentation names."""
        network = ipaddress.ip_network
        cases: list[tuple[str, str, Value]] = [
            ("number", "25", 25),
            ("size", "50M", 50 * 1024**2),
            ("size", "20 kb", 20 * 1024),
            ("time", "1h 30m", 5400),
            ("flag", "Yes", True),
            ("flag", "off", False),
            ("choice", "STARTTLS", "starttls"),
            ("words", "example.org, example.net,", ("example.org", "example.net")),
            ("words", "example.org\nexample.net", ("example.org", "example.net")),
            ("words", "", ()),
            ("listeners", "127.0.0.1:25, [::1]:25", ("127.0.0.1:25", "[::1]:25")),
            ("networks", "192.0.2.7, 2001:db8::/32", (network("192.0.2.7/32"), network("2001:db8::/32"))),
            ("times", "5m, 1h", (300, 3600)),
        ]
        for kind, text, value in cases:
            self.assertEqual(parse_value(_setting(kind), text), value, text)

    def test_refused_with_remedy(self) -> None:
        """What cannot be read is refused with a text that says what to write."""
        self.assert_refused("number", "many", "digits")
        self.assert_refused("number", "-1", "digits")
        self.assert_refused("number", "٣", "digits")
        self.assert_refused("size", "5X", "50M")
        self.assert_refused("time", "5", "1h 30m")
        self.assert_refused("flag", "maybe", "yes nor no")
        self.assert_refused("choice", "startls", "did you mean starttls?")
        self.assert_refused("choice", "x", "none, starttls or implicit")
        self.assert_refused("networks", "192.0.2.7/24", "did you mean 192.0.2.0/24?")
        self.assert_refused("networks", "office", "192.0.2.0/24")
        self.assert_refused("listeners", "smtp", "127.0.0.1:25")

    def test_comment_behind_value(self) -> None:
        """Who writes a comment behind a value is told that there are none."""
        self.assert_refused("number", "25  # the usual port", "a comment needs a line of its own")
        self.assert_refused("number", "25 ; the usual port", "a comment needs a line of its own")

    def test_indented_setting(self) -> None:
        """A setting that was indented by mistake is not swallowed by the one above."""
        self.assert_refused("text", "mail.example.org\ndomains = example.org", "begin at the line's start")

    def test_limits(self) -> None:
        """Numbers, sizes and times have an upper limit, and absurdly long ones are refused at once."""
        for kind, most in (("number", MAX_NUMBER), ("size", MAX_SIZE), ("time", MAX_TIME)):
            unit = "s" if kind == "time" else ""
            for value in (most - 1, most):
                self.assertEqual(parse_value(_setting(kind), f"{value}{unit}"), value)
            self.assert_refused(kind, f"{most + 1}{unit}", "the most is")
            self.assert_refused(kind, "9" * 100_000 + unit, "the most is")
