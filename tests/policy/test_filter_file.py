"""Mercury's ``transflt.mer``: its lines, its mistakes, and the same as sections of ``config.ini``."""

from __future__ import annotations

import importlib
import operator
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.sections.filters import filters_of
from hermes.core.transaction_filter import Action, Filter, Pass
from hermes.policy import filter_file
from hermes.policy.edited_file import Lines, read_lines
from hermes.policy.filter_file import MAX_LINE, parse_filters, parse_line, section_of
from tests.support.configuration import MINIMAL, write_config

SAMPLE = Path(__file__).parents[2] / "etc" / "transflt.mer"


class LineTests(SynchronousTestCase):
    """One line."""

    def test_whole(self) -> None:
        """Pass, expression, action with its two flags, response."""
        one = parse_line('H, "*192.0.2.1*", RSN, "554 Not you"')
        self.assertEqual(
            (one.stage, one.expression, one.action, one.block, one.negate, str(one.reply)),
            (Pass.HELLO, "*192.0.2.1*", Action.REFUSE, True, True, "554 5.7.1 Not you"),
        )
        self.assertTrue(one.triggers("EHLO example.org"))
        self.assertFalse(one.triggers("EHLO [192.0.2.1]"))

    def test_passes_and_actions(self) -> None:
        """Every letter of a pass and of an action is known, in any case."""
        for stage in Pass:
            for action in Action:
                for text in (
                    f'{stage.value}, "x", {action.value}',
                    f'{stage.value.lower()},"x",{action.value.lower()}',
                ):
                    one = parse_line(text)
                    self.assertEqual((one.stage, one.action, one.block, one.negate), (stage, action, False, False))

    def test_flags(self) -> None:
        """The second sign blocks or is a hyphen, the third negates; the second may be left out."""
        for word, block, negate in (
            ("RS", True, False),
            ("R-", False, False),
            ("R-N", False, True),
            ("RSN", True, True),
            ("RN", False, True),
            ("SS", True, False),
            ("SN", False, True),
        ):
            one = parse_line(f'M, "x", {word}')
            self.assertEqual((one.block, one.negate), (block, negate), word)

    def test_loose_commas(self) -> None:
        """Commas may be missing, as in Mercury's own examples, and space may be anywhere between."""
        for text in ('H, "x" R "554 No"', 'H "x" R, "554 No"', 'H\t,  "x"  ,R ,"554 No" ,', 'H,"x",R,"554 No"'):
            one = parse_line(text)
            self.assertEqual((one.expression, one.action, str(one.reply)), ("x", Action.REFUSE, "554 5.7.1 No"), text)

    def test_response(self) -> None:
        """Who refuses has words of its own or the usual ones; what is logged needs no code; others say nothing."""
        self.assertEqual(str(parse_line('R, "x", B, "451 Later, "please""').reply), '451 4.7.1 Later, "please"')
        self.assertEqual(str(parse_line('R, "x", F').reply), "554 5.7.1 Refused by a rule of this server")
        self.assertEqual(parse_line('R, "x", L, "seen"').text, "seen")
        self.assertIsNone(parse_line('R, "x", L, "seen"').reply)
        self.assertEqual((parse_line('R, "x", X, "seen"').reply, parse_line('R, "x", X, "seen"').text), (None, ""))

    def test_mistakes(self) -> None:
        """Each mistake has its own words."""
        for text, said in (
            ('Q, "x", R', "begins with none of the letters H, D, M, R, S"),
            ('HELO, "x", R', "begins with none of the letters"),
            ('"x", R', "begins with none of the letters"),
            ("H, x, R", "has no expression: write it in quotes"),
            ("H", "has no expression"),
            ('H, "x', "has no expression"),
            ('H, "x"', "has no action"),
            ('H, "x", Q', "has no action"),
            ('H, "x", RQ', "has no action"),
            ('H, "x", RSNN', "has no action"),
            ('H, "x", R, 554 No', "has '554 No' at its end: write the response in quotes"),
            ('H, "x", R, "554 No" # why', "has '# why' at its end"),
            ('H, "x", R, "No"', "does not begin with a code of refusal"),
            ('H, "[x", R', "the expression cannot be understood, at character 1: the set"),
        ):
            error = self.assertRaises(ValueError, parse_line, text)
            self.assertIn(said, str(error), text)

    def test_length(self) -> None:
        """There is a longest line."""
        for length in (MAX_LINE - 1, MAX_LINE):
            self.assertEqual(parse_line('H, "x", X,' + " " * (length - 10)).action, Action.LEAVE)
        error = self.assertRaises(ValueError, parse_line, 'H, "x", X,' + " " * (MAX_LINE - 9))
        self.assertIn("has 2001 characters: write 2000 at most", str(error))

    @given(st.text(alphabet='HDMRSFBLXN,"[*+ -45x\t', max_size=40))
    def test_anything(self, text: str) -> None:
        """Whatever stands in a line, it is a filter or a mistake."""
        try:
            parse_line(text)
        except ValueError:
            return


class WholeFileTests(SynchronousTestCase):
    """A whole file."""

    def test_order_and_places(self) -> None:
        """Filters keep their order and know their lines."""
        lines = Lines("t.mer", '# comment\n\nH, "a", F\nS, "b", L, "seen"\n')
        self.assertEqual(
            [(one.expression, one.place) for one in parse_filters(lines)], [("a", "t.mer:3"), ("b", "t.mer:4")]
        )
        self.assertEqual(lines.problems, [])

    def test_mistakes(self) -> None:
        """Every line that is wrong is named with its number."""
        lines = Lines("t.mer", 'H, "a", F\nQ\nH\n')
        parse_filters(lines)
        self.assertEqual([problem.line for problem in lines.problems], [2, 3])

    def test_many(self) -> None:
        """There is a largest number of filters."""
        self.patch(filter_file, "MAX_FILTERS", 3)
        for count in (2, 3, 4):
            lines = Lines("t.mer", 'H, "a", F\n' * count)
            parse_filters(lines)
            self.assertEqual([problem.line for problem in lines.problems], [4] if count > 3 else [])

    def test_sample(self) -> None:
        """The sample that is shipped lets an address in brackets greet, and knows every example in its comments."""
        filters = read_lines(str(SAMPLE), parse_filters)
        for verb in ("HELO", "EHLO", "ehlo"):
            for name in ("[192.0.2.7]", "[IPv6:2001:db8::7]", "[127.0.0.1] "):
                self.assertEqual(refusing(filters, f"{verb} {name}"), [], name)
            self.assertEqual(refusing(filters, f"{verb} mail.example.org"), [])
            self.assertEqual(refusing(filters, f"{verb} localhost"), [Pass.DEFERRED])
            self.assertEqual(refusing(filters, f"{verb} 192.0.2.7"), [Pass.DEFERRED])
        examples = [line[2:] for line in SAMPLE.read_text().splitlines() if line[:2] == "# " and line[3:5] == ", "]
        self.assertEqual(len(examples), 5)
        for line in examples:
            parse_line(line)
        with_examples = Lines("t.mer", "\n".join(examples + SAMPLE.read_text().splitlines()))
        own = parse_filters(with_examples)
        self.assertEqual(refusing(own, "EHLO mail.example.org"), [Pass.HELLO])
        self.assertEqual(refusing(own, "EHLO [192.0.2.7]"), [])


def refusing(filters: list[Filter], line: str) -> list[Pass]:
    """The passes over a greeting in which it would be refused."""
    found = []
    for stage in (Pass.HELLO, Pass.DEFERRED):
        for one in filters:
            if one.stage is stage and one.triggers(line):
                if one.reply is not None:
                    found.append(stage)
                break
    return found


class SectionTests(SynchronousTestCase):
    """Lines as sections."""

    def test_same(self) -> None:
        """A section does what its line did, space at the ends of an expression included."""
        lines = [
            'H, "*192.0.2.1*", RSN, "554 5.7.1 Not you"',
            'D, "* x ", B',
            'M, "", F-',
            'R, "  ", D',
            'S, "a=b # [*]", L, "seen: it"',
            'S, "x", X',
            'S, "y", SS',
        ]
        filters = [parse_line(line) for line in lines]
        text = "".join("\n".join([*section_of(one, f"n{number}"), ""]) for number, one in enumerate(filters))
        path = write_config(self, MINIMAL + text)
        read = filters_of(load(path))
        self.assertEqual(len(read), len(filters))
        for one, again in zip(filters, read, strict=True):
            for name in ("stage", "action", "block", "negate", "reply", "text"):
                self.assertEqual(getattr(again, name), getattr(one, name), (one.expression, name))
            for subject in ("", " ", "  ", "* x ", "a x ", "a x", "a=b # *", "192.0.2.1", "x", "y"):
                # An empty expression has no form of its own, and becomes one for white space alone.
                if one.expression or subject.strip() or not subject:
                    self.assertEqual(again.triggers(subject), one.triggers(subject), (one.expression, subject))

    def test_place(self) -> None:
        """A filter of a section names the section."""
        path = write_config(self, f"{MINIMAL}[filter:one]\npattern = *x*\n")
        (one,) = filters_of(load(path))
        self.assertEqual(one.place, f"{path} [filter:one]")

    def test_mistakes(self) -> None:
        """A section that cannot be is named, with what to write."""
        for text, said in (
            ("", "[filter:a] pattern: is missing: write what is looked for"),
            ("pattern = [x", "[filter:a] pattern: at character 1: the set"),
            ("syntax = regex\npattern = (x", "[filter:a] pattern: is no expression that RE2 knows: missing ): (x"),
            ("syntax = regex\npattern = (?=x)", "is no expression that RE2 knows: invalid perl operator: (?="),
            ("syntax = regex\npattern = (x{1000}){1000}", "is no expression that RE2 knows"),
            (f"syntax = regex\npattern = {'x' * 1001}", "has 1001 characters: write 1000 at most"),
            ("pattern = x\ntext = 250 Fine", "[filter:a] text: the response '250 Fine' does not begin"),
            ("pattern = x\naction = eat", "[filter:a] action:"),
        ):
            path = write_config(self, f"{MINIMAL}[filter:a]\n{text}\n")
            self.assertIn(said, str(self.assertRaises(ConfigError, load, path)), text)

    def test_regex(self) -> None:
        """A pattern of RE2 is found anywhere, and case counts; nothing a stranger sends makes it slow."""
        path = write_config(self, f"{MINIMAL}[filter:a]\nsyntax = regex\npattern = ^(EHLO|HELO) (x+)+$\n")
        (one,) = filters_of(load(path))
        self.assertTrue(one.triggers("EHLO xxx"))
        self.assertFalse(one.triggers("ehlo xxx"))
        self.assertFalse(one.triggers("EHLO " + "x" * 10000 + "!"))
        self.assertFalse(one.triggers("EHLO \ud800"))
        path = write_config(self, f"{MINIMAL}[filter:a]\nsyntax = regex\npattern = {'x' * 1000}\n")
        self.assertTrue(filters_of(load(path))[0].triggers("x" * 1000))

    def test_without_the_library(self) -> None:
        """Without RE2 a pattern of its syntax is a mistake that says how to mend it."""
        before = importlib.import_module("re2")
        sys.modules["re2"] = None  # type: ignore[assignment]
        self.addCleanup(operator.setitem, sys.modules, "re2", before)
        path = write_config(self, f"{MINIMAL}[filter:a]\nsyntax = regex\npattern = x\n")
        self.assertIn("pip install 'hermes-mail[regex]'", str(self.assertRaises(ConfigError, load, path)))
