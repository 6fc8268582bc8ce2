"""What a selection names, and how it travels."""

from __future__ import annotations

import json
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.destination_pattern import destination_matches
from hermes.core.envelope import Envelope, Origin
from hermes.core.identifiers import encode
from hermes.core.message import Content, QueuedMessage, QueuedRecipient, State
from hermes.core.selection import MAX_IDS, Selection, fault_of, selection_of

RECIPIENT = QueuedRecipient(
    0, "Bob@Example.net", None, None, "direct:example.net", 2, 0.0, last_reason="452 Mailbox FULL"
)
MESSAGE = QueuedMessage(
    encode(1), 1000.0, Envelope("anna@example.org", ()), Origin("ESMTPSA", account="Anna"), "", Content(1, 1, 0), []
)


class TakesTests(SynchronousTestCase):
    """takes(): all that is asked must hold."""

    def check(self, asked: dict[str, Any], expected: bool) -> None:
        """The recipient is meant, or is not."""
        self.assertIs(Selection(**asked).takes(MESSAGE, RECIPIENT), expected, asked)

    def test_each(self) -> None:
        """Every criterion, once as it is and once as it is not; case does not matter."""
        for key, right, wrong in (
            ("ids", (encode(2), encode(1)), (encode(2),)),
            ("to", "bob@example.net", "joe@example.net"),
            ("to", "EXAMPLE.net", "*.example.net"),
            ("sender", "*@example.org", "<>"),
            ("destination", "direct:EXAMPLE.net", "direct:example.org"),
            ("accepted_before", 1000.0, 999.9),
            ("accepted_after", 999.9, 1000.0),
            ("reply", "mailbox full", "mailbox empty"),
            ("state", "queued", "held"),
            ("state", "deferred", "held"),
            ("account", "anna", "bob"),
            ("what", "direct", "smarthost"),
            ("what", "*.net", "*.org"),
            ("what", "BOB@example.net", "joe@example.net"),
        ):
            self.check({key: right}, True)
            self.check({key: wrong}, False)
        self.check({}, True)
        self.check({"to": "example.net", "sender": "<>"}, False)

    def test_states(self) -> None:
        """Who has not been tried is not deferred; who is held is neither queued nor deferred."""
        fresh = attrs.evolve(RECIPIENT, attempts=0)
        held = attrs.evolve(RECIPIENT, state=State.HELD)
        for state, expected in (
            ("queued", (True, False)),
            ("deferred", (False, False)),
            ("held", (False, True)),
            ("paused", (False, False)),
        ):
            selection = Selection(state=state)
            self.assertEqual((selection.takes(MESSAGE, fresh), selection.takes(MESSAGE, held)), expected, state)

    def test_no_account(self) -> None:
        """Nobody's mail is not anybody's."""
        message = attrs.evolve(MESSAGE, origin=Origin("ESMTP"))
        self.assertFalse(Selection(account="anna").takes(message, RECIPIENT))
        self.assertTrue(Selection().takes(message, RECIPIENT))

    def test_destinations(self) -> None:
        """A destination is named as a whole, by its agent or by its next hop, with * and ?."""
        for pattern in ("smarthost:office", "smarthost", "office", "smarthost:*", "off*", "smarthost:o?fice", "*"):
            self.assertTrue(destination_matches(pattern, "smarthost:office"), pattern)
        for pattern in ("smart", "off", "direct", "office:smarthost", ""):
            self.assertFalse(destination_matches(pattern, "smarthost:office"), pattern)


class TravelTests(SynchronousTestCase):
    """as_dict() and selection_of()."""

    def test_there_and_back(self) -> None:
        """What was written is read."""
        for selection in (
            Selection(),
            Selection(accepted_before=0.0),
            Selection((encode(1),), "*", "<>", "direct", 2.0, 1.5, "full", "held", "anna"),
        ):
            self.assertEqual(selection_of(json.loads(json.dumps(selection.as_dict()))), selection)
        self.assertEqual(Selection().as_dict(), {})
        self.assertTrue(Selection().is_everything)
        self.assertFalse(Selection(state="held").is_everything)

    def test_what_is_none(self) -> None:
        """What is no selection is refused with words that help."""
        for asked, words in (
            ({"colour": "red"}, "'colour' is nothing that messages can be chosen by"),
            ({"ids": "x"}, "a list of 500 queue ids"),
            ({"ids": ["x"]}, "a list of 500 queue ids"),
            ({"accepted_before": "now"}, "'accepted_before' is a time"),
            ({"accepted_after": True}, "'accepted_after' is a time"),
            ({"to": 5}, "'to' is a text"),
            ({"to": "*@*"}, "names no addresses"),
            ({"sender": "@"}, "names no addresses"),
            ({"state": "lost"}, "'lost' is not a state: there are queued, deferred, held, paused"),
        ):
            self.assertIn(words, str(self.assertRaises(ValueError, selection_of, asked)))
        self.assertEqual(fault_of(Selection(to="example.org", sender="<>", state="held")), "")

    def test_how_many_ids(self) -> None:
        """As many ids as fit into a line."""
        for count in (MAX_IDS - 1, MAX_IDS):
            self.assertEqual(len(selection_of({"ids": [encode(number) for number in range(count)]}).ids), count)
        too_many = {"ids": [encode(number) for number in range(MAX_IDS + 1)]}
        self.assertRaises(ValueError, selection_of, too_many)
