"""Files of rules, taken apart."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.config import rule_file
from hermes.config.errors import ConfigError
from hermes.config.rule_file import (
    MAX_EXPRESSIONS,
    MAX_FIELDS,
    MAX_LABEL,
    MAX_LINE,
    MAX_OCTETS,
    MAX_PROBLEMS,
    MAX_RULES,
    MAX_SENDING,
    parse_line,
    parse_rules,
    read_rules,
)
from hermes.core.answer import MAX_LINE_OCTETS
from hermes.core.expansion import Kind, Target
from hermes.core.rule_set import Always, InHeader, RuleSet, Size, Verb


class LineTests(SynchronousTestCase):
    """One rule."""

    def test_words(self) -> None:
        """Words in any case, with any space between."""
        rule = parse_line('IF  NOT header "ts"  Contains "A  b"\tCOPY   "Joe"', 7, "x.rul")
        self.assertEqual(rule.condition, InHeader(("to", "subject"), "a  b", whole=False))
        self.assertEqual((rule.verb, rule.negated, rule.line), (Verb.COPY, True, 7))
        self.assertEqual(rule.target, Target(Kind.MAILBOX, "", "joe"))

    def test_action_in_a_text(self) -> None:
        """What stands in quotes is text, also where it looks like an action."""
        rule = parse_line('If header "S" contains "please Delete" Copy "joe"', 1, "x.rul")
        self.assertEqual((rule.condition, rule.verb), (InHeader(("subject",), "please delete", False), Verb.COPY))

    def test_targets(self) -> None:
        """Where a message may be sent."""
        for text, target in (
            ('Copy "joe"', Target(Kind.MAILBOX, "", "joe")),
            ('Move "public:Old orders"', Target(Kind.PUBLIC, "", "Old orders")),
            ('Forward "Joe@Example.org"', Target(Kind.OUTSIDE, "Joe@Example.org", forwarded=True)),
        ):
            self.assertEqual(parse_line(f"Always {text}", 1, "x.rul").target, target)

    def test_size(self) -> None:
        """Octets, with the sign before them."""
        self.assertEqual(parse_line("If size >100 Exit", 1, "").condition, Size(100, more=True))
        self.assertEqual(parse_line('If size < 100 Exit ""', 1, "").condition, Size(100, more=False))

    def test_mistakes(self) -> None:
        """Each says what to write."""
        for line, words in (
            ("hello", "is no rule"),
            ("If Copy", "is no rule"),
            ('Always Copy "joe', "is no rule"),
            ('If header "S" contains "x"', "no action"),
            ('Always Print "x"', "Print is no action of Hermes: take the line out, or write Disabled"),
            ('Always Append "x"', 'Copy "PUBLIC:name"'),
            ('Always Extract "x"', 'Copy "PUBLIC:name"'),
            ('Always Run "x"', "|command"),
            ('If age older than 3 Copy "x"', "age is no condition of Hermes"),
            ('If date between a and b Copy "x"', "date is no condition"),
            ('If attribute 3 Copy "x"', "attribute is no condition"),
            ('If attachment Name contains "x" Copy "x"', "FullName"),
            ('If attachment FullName is "x" Copy "x"', "FullName"),
            ('If attachment FullName contains "" Copy "x"', "any file"),
            ('If attachment FullName matches "[x" Copy "x"', "cannot be understood"),
            ('If ListScan "x" Copy "x"', "ListScan is no condition"),
            ('If header "X" contains "a" Copy "x"', "'X' is no header: T is To"),
            ('If header "S" contains "" Copy "x"', "or Always"),
            ('If header "S" begins "a" Copy "x"', "contains"),
            ('If header "S" contains "a" "b" Copy "x"', "without quotes"),
            ('If expression body matches "[a" Copy "x"', "cannot be understood"),
            ('If expression text matches "a" Copy "x"', "headers"),
            ('If size 3 Copy "x"', "size > octets"),
            ("Always Copy", "no"),
            ('Always Copy ""', "is not the name of an account"),
            ('Always Copy "joe@example.org"', "there is Forward"),
            ('Always Move "../joe"', "is not the name of an account"),
            ('Always Move "/etc/passwd"', "is not the name of an account"),
            ('Always Copy "PUBLIC:"', "name of a folder"),
            ('Always Copy "PUBLIC:../x"', "name of a folder"),
            ('Always Copy "PUBLIC:.x"', "name of a folder"),
            ('Always Copy "PUBLIC:a/../../b"', "name of a folder"),
            ('Always Move "@archive"', "PUBLIC:name"),
            ('Always Forward "joe"', "no address"),
            ('Always Forward "|id@example.org, x@y"', "no address"),
            ('Always Forward ""', "no address"),
            ('Always AddHeader "X-A"', "no header field"),
            ('Always AddHeader "X-A: "', "no header field"),
            ('Always AddHeader "X-A: ä"', "in ASCII"),
            ('Always AddHeader "X A: b"', "no header field"),
            ('Always AddHeader "Received: b"', "choose another name"),
            ('Always AddHeader "subject: b"', "choose another name"),
            ('Always AddHeader "Delivered-To: b"', "choose another name"),
            ('Always SendTextFile ""', "needs the path"),
            ('Always SendTemplate "not there"', "cannot be read"),
            ('Always SendTextFile "/"', "cannot be read"),
            ('Always Exit "now"', "has no parameter"),
            ("Label", "is no rule"),
            ('Label ""', "1 to"),
            ('Always Goto ""', "1 to"),
        ):
            error = self.assertRaises(ValueError, parse_line, line, 1, "x.rul")
            self.assertIn(words, str(error), line)

    def test_lengths(self) -> None:
        """Lines, labels and fields may be so long, and not longer."""
        for length, fits in ((MAX_LINE - 1, True), (MAX_LINE, True), (MAX_LINE + 1, False)):
            line = 'If header "S" contains "{}" Exit'
            self.fits(line.format("x" * (length - len(line) + 2)), fits)
        for length, fits in ((MAX_LABEL - 1, True), (MAX_LABEL, True), (MAX_LABEL + 1, False)):
            self.fits(f"Label {'x' * length}", fits)
        for length, fits in ((MAX_LINE_OCTETS - 1, True), (MAX_LINE_OCTETS, True), (MAX_LINE_OCTETS + 1, False)):
            self.fits(f'Always AddHeader "X: {"y" * (length - 3)}"', fits)

    def fits(self, line: str, fits: bool) -> None:
        """Whether a line is taken."""
        if fits:
            parse_line(line, 1, "")
        else:
            self.assertRaises(ValueError, parse_line, line, 1, "")

    @given(st.text(max_size=80))
    def test_anything(self, text: str) -> None:
        """Whatever is written there, it is a rule or a mistake."""
        for line in (text, f"If {text}", f"Always {text}", f'If header "S" contains "{text}" Copy "x"'):
            try:
                parse_line(line, 1, "")
            except ValueError as error:
                self.assertTrue(str(error))


class SetTests(SynchronousTestCase):
    """A whole file."""

    def problems(self, text: str) -> list[tuple[int, str]]:
        """Lines and what is wrong with them."""
        try:
            parse_rules("x.rul", text)
        except ConfigError as error:
            return [(problem.line, problem.text) for problem in error.problems]
        return []

    def test_lines(self) -> None:
        """Comments, empty lines and disabled rules, whatever these say, are none; every rule knows its line."""
        text = '\n# If\r\n  Always Exit  \r\nDisabled Always Print "x"\ndisabled If nonsense\nLabel one\n'
        rules = parse_rules("x.rul", text)
        self.assertEqual([(rule.line, rule.verb) for rule in rules.rules], [(3, Verb.EXIT), (6, Verb.LABEL)])
        self.assertEqual(rules.labels, {"one": 1})
        self.assertEqual(rules.lines(), ["Always Exit  (x.rul:3)", "Label one  (x.rul:6)"])
        self.assertEqual(rules.rules[0].condition, Always())

    def test_all_problems(self) -> None:
        """All that is wrong is told at once, as far as it is worth it."""
        self.assertEqual([line for line, _ in self.problems("a\nAlways Exit\nb\n")], [1, 3])
        for count in (MAX_PROBLEMS - 1, MAX_PROBLEMS, MAX_PROBLEMS + 1):
            self.assertEqual(len(self.problems("a\n" * count)), min(count, MAX_PROBLEMS))

    def test_labels(self) -> None:
        """Each name once, and there for each that goes to it, in any case and anywhere."""
        self.assertEqual(self.problems('Always Goto "END"\nAlways Call "end"\nLabel "End"'), [])
        (line, text), *_ = self.problems("Label a\nAlways Exit\nLabel A")
        self.assertEqual((line, "line 1" in text), (3, True))
        for verb in ("Goto", "Call"):
            (problem,) = self.problems(f'Always Exit\nAlways {verb} "x"\nDisabled Label x')
            self.assertEqual((problem[0], "no Label x" in problem[1]), (2, True))

    def test_empty(self) -> None:
        """A file without rules is none: it may be half written, and all mail would be lost."""
        for text in ("", "# nothing\n", "Disabled Always Exit", "Label a"):
            ((line, problem),) = self.problems(text)
            self.assertEqual((line, "Always Delete" in problem), (0, True), text)
        self.assertEqual(self.problems("Always Delete"), [])

    def test_and_without_a_rule(self) -> None:
        """LogicalAnd needs a rule behind it."""
        for text in (
            "Always LogicalAnd",
            "Always LogicalAnd\nDisabled Always Exit",
            "Always LogicalAnd\nLabel a\nAlways Exit",
        ):
            self.assertEqual([line for line, _ in self.problems(text)], [1], text)

    def test_limits(self) -> None:
        """So many rules, expressions, copies and fields, and not one more."""
        for most, line in (
            (MAX_RULES, "Always Return"),
            (MAX_EXPRESSIONS, 'If expression body matches "x" Exit'),
            (MAX_EXPRESSIONS, 'If attachment FullName contains "x" Exit'),
            (MAX_SENDING, 'Always Copy "joe"'),
            (MAX_FIELDS, 'Always AddHeader "X: y"'),
        ):
            for count, fits in ((most - 1, True), (most, True), (most + 1, False)):
                problems = self.problems("\n".join([line] * count))
                self.assertEqual([number for number, _ in problems], [] if fits else [most + 1], line)
                self.assertTrue(all(str(most) in text for _, text in problems))


class ReadTests(SynchronousTestCase):
    """From the disk."""

    @override
    def setUp(self) -> None:
        self.directory = os.path.realpath(self.mktemp())
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "x.rul")

    def read(self, octets: bytes) -> RuleSet:
        """Write the file and read it."""
        Path(self.path).write_bytes(octets)
        return read_rules(self.path)

    def text_of(self, octets: bytes) -> str:
        """What the first rule looks for."""
        condition = self.read(octets).rules[0].condition
        assert isinstance(condition, InHeader)
        return condition.text

    def test_letters(self) -> None:
        """UTF-8, with its mark or without, else Windows's; DOS's end of file ends it."""
        line = 'If header "S" contains "ärger" Exit\r\n'
        for octets in (
            line.encode(),
            b"\xef\xbb\xbf" + line.encode(),
            line.encode("cp1252"),
            line.encode() + b"\x1arest",
        ):
            self.assertEqual(self.text_of(octets), "ärger")

    def test_texts_beside_it(self) -> None:
        """Texts of answers are meant beside the rules, and have to be there."""
        Path(self.directory, "hours.txt").write_text("9 to 5")
        for verb, kind in (("SendTextFile", Kind.FILE), ("SendTemplate", Kind.TEMPLATE)):
            rules = self.read(f'Always {verb} "hours.txt"'.encode())
            self.assertEqual(rules.rules[0].target, Target(kind, "", os.path.join(self.directory, "hours.txt")))

    def test_not_readable(self) -> None:
        """What is not there, no text, or too large, is said with its path."""
        self.assertIn(self.path, str(self.assertRaises(ConfigError, read_rules, self.path)))
        self.assertIn("cannot be read", str(self.assertRaises(ConfigError, read_rules, self.directory)))
        self.assertIn("no text", str(self.assertRaises(ConfigError, self.read, b"Always\0")))
        for count, fits in ((MAX_OCTETS - 1, True), (MAX_OCTETS, True), (MAX_OCTETS + 1, False)):
            octets = b"Always Exit".ljust(count, b"\n")
            if fits:
                self.assertEqual(len(self.read(octets).rules), 1)
            else:
                self.assertIn("too much", str(self.assertRaises(ConfigError, self.read, octets)))

    def test_instead(self) -> None:
        """A remedy names nothing that is not there."""
        for word in rule_file._INSTEAD:
            self.assertNotIn(word, {verb.value.lower() for verb in Verb})
