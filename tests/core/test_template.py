"""Mercury's substitutions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.template import substituted, taken_apart, unknown

VALUES = {"~": "~", "d": "today", "p0": "zero", "r": "one\ntwo"}


class TemplateTests(SynchronousTestCase):
    """Texts with ``~`` and a letter."""

    def test_substituted(self) -> None:
        """Letters count in any case, ~~ is the sign itself, and what stands for nothing stays."""
        self.assertEqual(substituted("~D ~d ~P0 ~~d ~x ~p9 ~", VALUES), "today today zero ~d ~x ~p9 ~")
        self.assertEqual(substituted("~R.", VALUES), "one\ntwo.")

    def test_values_are_not_templates(self) -> None:
        """What a substitution brings is not looked through again."""
        self.assertEqual(substituted("~S", {"s": "~R", "r": "x"}), "~R")

    def test_unknown(self) -> None:
        """Each one that is not known is named with its line, also a sign at the end of a line."""
        self.assertEqual(list(unknown("~D ~x\n\n~p7 ~\n~~", VALUES)), [(0, "~x"), (2, "~p7"), (2, "~")])

    def test_taken_apart(self) -> None:
        """Fields come first, if there are any; folded ones are one line."""
        self.assertEqual(taken_apart("A: b\r\nC: d\r\n e\r\n\r\nText"), ([("a", "b"), ("c", "d e")], "Text"))
        for text in ("Text", "Text\n\nmore", "A: b\nText\n\nmore", "A: b"):
            self.assertEqual(taken_apart(text), ([], text))

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """No text is a fault, and one without the sign is not changed."""
        list(unknown(text, VALUES))
        taken_apart(text)
        if "~" not in text:
            self.assertEqual(substituted(text, VALUES), text)
