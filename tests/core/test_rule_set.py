"""Sets of rules, gone through."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.rule_file import parse_rules
from hermes.core.expansion import Kind
from hermes.core.header_facts import MAX_HEADER_OCTETS
from hermes.core.rule_set import MAX_BODY_OCTETS, MAX_CALLS, MAX_STEPS, Examined, Ran

MESSAGE = (
    b"From: Ann <ann@example.com>\nTo: sales@example.org\nTo: other@example.org\nCc: boss@example.org\n"
    b"Subject: =?utf-8?q?Your_=C3=84rger?=\n with an order\nReply-To: desk@example.com\nSender: robot@example.com\n\n"
    b"Dear all,\nplease send 5 boxes\n"
)


def run(rules: str, message: bytes = MESSAGE, size_octets: int = 1000) -> Ran:
    """What a set does with a message."""
    return parse_rules("sales.rul", rules).run(Examined(message, size_octets))


def sent(rules: str, message: bytes = MESSAGE, size_octets: int = 1000) -> list[str]:
    """Where the set sends it."""
    ran = run(rules, message, size_octets)
    assert not ran.problem, ran.problem
    return [act.target.value or act.target.address for act in ran.acts]


class ConditionTests(SynchronousTestCase):
    """When rules fire."""

    def fires(self, condition: str, message: bytes = MESSAGE, size_octets: int = 1000) -> bool:
        """Whether a condition holds."""
        return sent(f'{condition} Copy "joe"', message, size_octets) == ["joe"]

    def test_always(self) -> None:
        """Always is always, also of a message without anything."""
        for message in (MESSAGE, b"", b"\n", b"\ntext"):
            self.assertTrue(self.fires("Always", message))

    def test_letters(self) -> None:
        """Each letter is one header field, and several are any of them."""
        for letter, text in zip("TFCSRE", ("sales", "ann", "boss", "order", "desk", "robot"), strict=True):
            self.assertTrue(self.fires(f'If header "{letter}" contains "{text}"'), letter)
            self.assertTrue(self.fires(f'If header "TFCSRE" contains "{text}"'), letter)
            others = "TFCSRE".replace(letter, "")
            self.assertFalse(self.fires(f'If header "{others}" contains "{text}"'), letter)

    def test_contains(self) -> None:
        """A part of any field of that name, in any case, folded or coded."""
        for text in ("OTHER@", "sales@example.org"):
            self.assertTrue(self.fires(f'If header "T" contains "{text}"'))
        self.assertTrue(self.fires('If header "s" contains "your ärger with AN order"'))
        self.assertFalse(self.fires('If header "S" contains "utf-8"'))

    def test_is(self) -> None:
        """The whole field, in any case, and nothing less."""
        self.assertTrue(self.fires('If header "R" is "Desk@Example.com"'))
        self.assertFalse(self.fires('If header "R" is "desk@example"'))
        self.assertTrue(self.fires('If header "S" is ""', b"Subject:\n\n"))
        self.assertFalse(self.fires('If header "S" is ""', b"X: y\n\n"))

    def test_not(self) -> None:
        """With not it is the other way round."""
        self.assertFalse(self.fires('If not header "S" contains "order"'))
        self.assertTrue(self.fires('If not header "S" contains "invoice"'))
        self.assertFalse(self.fires('If not expression body matches "*boxes*"'))
        self.assertFalse(self.fires("If not size > 999"))

    def test_no_letters(self) -> None:
        """A rule about no header never fires, with not or without (mercury.md 3.11)."""
        for text in ("", "not "):
            self.assertFalse(self.fires(f'If {text}header "" contains "order"'))

    def test_expressions(self) -> None:
        """An expression matches a whole line of header or text, or of both."""
        for part, expression, fires in (
            ("headers", "subject: * order", True),
            ("headers", "*ärger*", True),
            ("headers", "/cSubject: *", True),
            ("headers", "/csubject: *", False),
            ("headers", "*?= with an order", True),
            ("headers", "", False),
            ("headers", "*boxes*", False),
            ("headers", "ann", False),
            ("body", "please send [0-9]+ boxes", True),
            ("body", "please send", False),
            ("body", "*order*", False),
            ("both", "*order*", True),
            ("both", "dear*", True),
            ("both", "*/bbox*/B", True),
            ("both", "*invoice*", False),
        ):
            self.assertIs(self.fires(f'If expression {part} matches "{expression}"'), fires, (part, expression))

    def test_line_ends(self) -> None:
        """CRLF ends lines as LF does, and a text that is missing matches nothing but its absence."""
        for message in (b"A: b\r\n\r\none\r\ntwo\r\n", b"A: b\n\none\ntwo\n"):
            self.assertTrue(self.fires('If expression body matches "one"', message))
            self.assertTrue(self.fires('If expression headers matches "a: b"', message))
        self.assertFalse(self.fires('If expression body matches "*"', b"A: b\n"))

    def test_size(self) -> None:
        """More or fewer octets than so many."""
        for octets, more, fewer in ((999, False, True), (1000, False, False), (1001, True, False)):
            self.assertIs(self.fires("If size > 1000", size_octets=octets), more)
            self.assertIs(self.fires("If size <1000", size_octets=octets), fewer)

    def test_attachments(self) -> None:
        """The name of any file, or the part before its last dot, or behind it."""
        names = ("Report 2026.tar.GZ", "readme")
        for test, fires in (
            ('FullName contains "2026.TAR"', True),
            ('FullName matches "report*gz"', True),
            ('FullName matches "report"', False),
            ('NamePart matches "*.tar"', True),
            ('NamePart matches "readme"', True),
            ('NamePart contains "gz"', False),
            ('ExtnPart matches "gz"', True),
            ('ExtnPart matches ""', True),
            ('ExtnPart contains "tar"', False),
            ('ExtnPart contains "exe"', False),
        ):
            for text, expected in (("", fires), ("not ", not fires)):
                rules = parse_rules("sales.rul", f'If {text}attachment {test} Copy "joe"')
                self.assertTrue(rules.wants_attachments)
                self.assertIs(bool(rules.run(Examined(MESSAGE, 1, names)).acts), expected, test)
        self.assertFalse(self.fires('If attachment FullName matches "*"'))
        self.assertFalse(parse_rules("x", "Always Exit").wants_attachments)

    def test_how_much_is_looked_at(self) -> None:
        """So much of the text, and of a header that has no end, and not an octet more."""
        for filling, found in ((MAX_BODY_OCTETS - 6, True), (MAX_BODY_OCTETS - 5, True), (MAX_BODY_OCTETS - 4, False)):
            message = b"A: b\n\n" + b"x" * filling + b"\nword\n"
            self.assertIs(self.fires('If expression body matches "word"', message), found, filling)
        for filling, found in (
            (MAX_HEADER_OCTETS - 9, True),
            (MAX_HEADER_OCTETS - 8, True),
            (MAX_HEADER_OCTETS - 7, False),
        ):
            message = b"A: " + b"x" * (filling - 4) + b"\nB: word!\nC: d"
            self.assertIs(self.fires('If expression headers matches "b: word"', message[: filling + 7]), True)
            self.assertIs(self.fires('If expression headers matches "b: word!"', message), found, filling)


class FlowTests(SynchronousTestCase):
    """Which rule is next."""

    def test_order(self) -> None:
        """From the first to the last; each place gets one copy."""
        self.assertEqual(sent('Always Copy "a"\n# no\n\nAlways Copy "b"\nAlways Copy "a"'), ["a", "b"])

    def test_ends(self) -> None:
        """Move, Delete, Exit, and a Return that nobody has called, are the end; what was done before stays."""
        for end, more in (('Move "z"', ["z"]), ("Delete", []), ('Delete ""', []), ("Exit", []), ("Return", [])):
            self.assertEqual(sent(f'Always Copy "a"\nAlways {end}\nAlways Copy "b"'), ["a", *more], end)

    def test_forward_goes_on(self) -> None:
        """A forward is one way among others."""
        rules = 'Always Forward "x@example.com"\nAlways Forward "y@example.com"\nAlways Copy "PUBLIC:orders"'
        ran = run(rules)
        kinds = [(act.target.kind, act.target.address or act.target.value) for act in ran.acts]
        expected = [(Kind.OUTSIDE, "x@example.com"), (Kind.OUTSIDE, "y@example.com"), (Kind.PUBLIC, "orders")]
        self.assertEqual(kinds, expected)

    def test_goto(self) -> None:
        """The rules between are not looked at."""
        self.assertEqual(sent('Always Goto "End"\nAlways Copy "a"\nLabel END\nAlways Copy "b"'), ["b"])

    def test_call(self) -> None:
        """Behind a Return it goes on below the Call, also from calls within calls."""
        rules = (
            'Always Call "one"\nAlways Copy "d"\nAlways Exit\nLabel one\nAlways Copy "a"\nAlways Call "two"\n'
            'Always Copy "c"\nAlways Return\nLabel two\nAlways Copy "b"\nAlways Return\n'
        )
        self.assertEqual(sent(rules), ["a", "b", "c", "d"])

    def test_skip(self) -> None:
        """SkipNext passes over one rule, over one that is disabled as if it were not there, and with one over its conditions."""
        self.assertEqual(sent('Always SkipNext\nAlways Copy "a"\nAlways Copy "b"'), ["b"])
        self.assertEqual(sent('Always SkipNext\nDisabled Always Copy "x"\nAlways Copy "a"\nAlways Copy "b"'), ["b"])
        self.assertEqual(sent('Always SkipNext\nLabel l\nAlways Copy "a"\nAlways Copy "b"'), ["b"])
        rules = 'Always SkipNext\nAlways LogicalAnd\nAlways Copy "a"\nAlways Copy "b"'
        self.assertEqual(sent(rules), ["b"])
        self.assertEqual(sent("Always SkipNext"), [])

    def test_and(self) -> None:
        """The rule behind LogicalAnd acts when both fire, and a row of them when all do."""
        yes, no = 'If header "S" contains "order"', 'If header "S" contains "invoice"'
        for conditions in ((yes, yes), (yes, no), (no, yes), (no, no), (yes, yes, yes), (no, yes, yes), (yes, no, yes)):
            *first, last = conditions
            rules = "".join(f"{each} LogicalAnd\n" for each in first) + f'{last} Copy "a"\nAlways Copy "b"'
            self.assertEqual(sent(rules), ["a", "b"] if no not in conditions else ["b"], conditions)

    def test_loop(self) -> None:
        """A loop comes to its end with a problem, and does nothing; as many rules as may be are no loop."""
        ran = run('Always Copy "a"\nLabel again\nAlways Goto "again"')
        self.assertEqual(ran.acts, ())
        self.assertIn("loop", ran.problem)
        for count, ends in ((MAX_STEPS - 1, True), (MAX_STEPS, True), (MAX_STEPS + 1, False)):
            self.assertIs(not _long(count).problem, ends, count)

    def test_calls_within_calls(self) -> None:
        """So many calls within calls, and one more is a problem with its line."""
        for count, works in ((MAX_CALLS - 1, True), (MAX_CALLS, True), (MAX_CALLS + 1, False)):
            lines = [f'Always Call "l{number}"\nAlways Exit\nLabel l{number}' for number in range(count)]
            ran = run("\n".join([*lines, 'Always Copy "a"']))
            self.assertIs(not ran.problem, works, ran.problem)
        self.assertIn(f"sales.rul:{3 * MAX_CALLS + 1}: ", ran.problem)
        self.assertIn("calls", run('Label me\nAlways Call "me"').problem)

    def test_told(self) -> None:
        """Each rule that fires is told with its place, and labels are not."""
        ran = run('Label l\nIf header "S" contains "invoice" Copy "a"\nIf header "S" contains "order" Move "b"')
        self.assertEqual(ran.told, ('sales.rul:3: If header "S" contains "order" Move "b"',))


class FieldTests(SynchronousTestCase):
    """Further header fields."""

    def test_added(self) -> None:
        """They are on the copies that are made afterwards, each once."""
        ran = run(
            'Always Copy "a"\nAlways AddHeader "X-A: 1"\nAlways Copy "b"\nAlways AddHeader "X-B:2"\n'
            'Always AddHeader "X-A: 1"\nAlways Forward "c@example.com"'
        )
        self.assertEqual([act.fields for act in ran.acts], [(), ("X-A: 1",), ("X-A: 1", "X-B: 2")])


def _long(steps: int) -> Ran:
    """A set that takes so many steps to its end: calls of one part that has many, and then one rule after the other."""
    part = ["Label part", *["If size > 99999 Exit"] * 298, "Always Return"]
    calls = 33
    # Each call is a step, and so is each rule of the part; and in the end comes the exit.
    rest = steps - calls * (1 + len(part)) - 1
    rules = ['Always Call "part"'] * calls + ["If size > 99999 Exit"] * rest + ["Always Exit", *part]
    return run("\n".join(rules))
