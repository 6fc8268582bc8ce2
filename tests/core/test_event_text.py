"""Lines of the mail log."""

from __future__ import annotations

import json
import shlex

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Event, Kind
from hermes.core.event_text import as_json, as_text


def event(**facts: str | float | bool | None) -> Event:
    """A delivery with some facts."""
    return Event(0.25, Kind.DELIVERED, "0123456789AB", "joe@example.org", "", "<1@example.org>", facts)


class TextTests(SynchronousTestCase):
    """key=value words."""

    def test_words(self) -> None:
        """Time, kind, then what it is about, then the facts; None is left out."""
        self.assertEqual(
            as_text(event(size=10, spam=False, tls=True, peer=None)),
            "1970-01-01T00:00:00.250Z delivered id=0123456789AB from=<> to=<joe@example.org> "
            "message_id=<1@example.org> size=10 spam=no tls=yes",
        )

    def test_instants(self) -> None:
        """A fact that is an instant is written as one."""
        self.assertTrue(as_text(event(next_attempt_at=300.5)).endswith(" next_attempt_at=1970-01-01T00:05:00.500Z"))

    def test_least(self) -> None:
        """What is not known is not mentioned."""
        self.assertEqual(as_text(Event(0, Kind.LOGIN)), "1970-01-01T00:00:00.000Z login")

    def test_quoted(self) -> None:
        """A value with spaces or quotes stands in quotes."""
        self.assertTrue(as_text(event(reply='550 "no"')).endswith(' reply="550 \\"no\\""'))
        for value, written in (("it's", '"it\'s"'), ("\\", '"\\\\"'), ("a=b", '"a=b"'), ("[::1]", "[::1]")):
            self.assertTrue(as_text(event(reply=value)).endswith(f" reply={written}"), value)

    def test_empty_value(self) -> None:
        """An empty value is visible."""
        self.assertTrue(as_text(event(hello="")).endswith(' hello=""'))

    def test_direction(self) -> None:
        """What would make a terminal show the line in another order than it is written in is escaped."""
        for mark in "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
            self.assertTrue(as_text(event(reply=f"a{mark}b")).endswith(f' reply="a\\u{ord(mark):04x}b"'), ascii(mark))

    @given(st.text())
    def test_one_line(self, text: str) -> None:
        """Whatever a peer says, the line stays one line and the value one word."""
        line = as_text(event(reply=text))
        self.assertEqual(len(line.splitlines()), 1)
        self.assertEqual(len(shlex.split(line)), 7)


class JSONTests(SynchronousTestCase):
    """One object a line."""

    def test_object(self) -> None:
        """The same keys as in the text."""
        self.assertEqual(
            json.loads(as_json(event(size=10, tls=None))),
            {
                "at": "1970-01-01T00:00:00.250Z",
                "event": "delivered",
                "id": "0123456789AB",
                "from": "<>",
                "to": "<joe@example.org>",
                "message_id": "<1@example.org>",
                "size": 10,
            },
        )

    @given(st.text())
    def test_one_line(self, text: str) -> None:
        """Whatever a peer says, it stays one line and is read back."""
        line = as_json(event(reply=text))
        self.assertEqual(len(line.splitlines()), 1)
        self.assertEqual(json.loads(line)["reply"], text)
