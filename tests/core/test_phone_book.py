"""Phone books: entries, and how they are found."""

from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from hermes.core.phone_book import FIELDS, MAX_VALUES, Book, Entry, Term, entry, pattern_of

JOE = entry({"alias": ["joe"], "name": ["Joe Smith"], "email": ["joe@example.org"], "phone": ["555 1234"]})
ANN = entry({"alias": ["ann"], "name": ["Ann Smith-Jones"], "email": ["ann@example.org"], "department": ["Sales"]})
BOB = entry({"alias": ["bob"], "name": ["Bob  Miller"], "email": ["bob@example.org", "bob@example.net"]})
BOOK = Book([JOE, ANN, BOB])


def found(*terms: str, most: int = 10) -> list[Entry] | None:
    """What terms like ``name=smith`` find."""
    return BOOK.find([Term(*term.split("=")) for term in terms], most)


class EntryTests(TestCase):
    """What is taken into a book."""

    def test_cleaned(self) -> None:
        """Values are one line each, no longer than their field allows, each once; empty ones are left out."""
        made = entry({"name": [" a\tb\n c ", "a b c", ""], "phone": [], "alias": ["x" * 100]})
        self.assertEqual(made, {"name": ("a b c",), "alias": ("x" * FIELDS["alias"].max_characters,)})

    def test_control_characters(self) -> None:
        """What would steer a terminal is no part of a value."""
        self.assertEqual(entry({"name": ["Joe\x1b[2J\x9b1m\x00 \x7fSmith\x85"]}), {"name": ("Joe [2J 1m Smith",)})

    def test_many_values(self) -> None:
        """A field keeps so many values, and no more."""
        made = entry({"phone": [str(number) for number in range(MAX_VALUES + 1)]})
        self.assertEqual(len(made["phone"]), MAX_VALUES)


class FindTests(TestCase):
    """Queries."""

    def test_word(self) -> None:
        """A term is a whole word of the field, in any case."""
        self.assertEqual(found("name=SMITH"), [JOE])
        self.assertEqual(found("name=smi"), [])
        self.assertEqual(found("email=bob@example.net"), [BOB])

    def test_wildcards(self) -> None:
        """A star is any number of characters, a question mark one."""
        self.assertEqual(found("name=smith*"), [JOE, ANN])
        self.assertEqual(found("name=*jones"), [ANN])
        self.assertEqual(found("name=jo*"), [JOE])
        self.assertEqual(found("name=?o?"), [JOE, BOB])
        self.assertEqual(found("name=*smith"), [JOE])

    def test_several(self) -> None:
        """All terms must match; one of them may be of a field that is not indexed."""
        self.assertEqual(found("name=smith*", "department=sales"), [ANN])
        self.assertEqual(found("name=smith*", "phone=1234"), [JOE])
        self.assertEqual(found("name=smith", "name=ann"), [])
        self.assertEqual(found("name=smith*", "email=*@example.org", "name=a*"), [ANN])
        self.assertEqual(found("name=*", "email=*@example.net"), [BOB])
        self.assertEqual(found("email=*", "phone=9*"), [])

    def test_too_many(self) -> None:
        """So many are told, and when there is one more none."""
        self.assertEqual(len(found("email=*", most=3) or []), 3)
        self.assertIsNone(found("email=*", most=2))
        self.assertEqual(found("email=*", "phone=*", most=1), [JOE])
        self.assertIsNone(found("email=*", "phone=*", most=0))


def fits(text: str, word: str) -> bool:
    """Whether a word is one that the text stands for."""
    return pattern_of(text).match(word) is not None


class PatternTests(TestCase):
    """The pattern of one word."""

    def test_signs(self) -> None:
        """Nothing but the two wildcards means anything but itself."""
        for sign in ".+()[]{}|^$\\-":
            self.assertTrue(fits(f"*a{sign}?", f"xa{sign}y"))
            self.assertFalse(fits(sign, "a"))
            self.assertFalse(fits(f"a{sign}*", "aa"))

    def test_slow_patterns(self) -> None:
        """No pattern takes more time than the product of the lengths."""
        before = perf_counter()
        self.assertFalse(fits("*a*a*a*a*a*a*a*a*b", "a" * 400))
        self.assertLess(perf_counter() - before, 0.5)

    @given(st.text("ab?*", max_size=8), st.text("ab", max_size=10))
    def test_like_a_definition(self, pattern: str, word: str) -> None:
        """It fits as a definition by recursion says."""

        def expected(rest: str, left: str) -> bool:
            if not rest:
                return not left
            if rest[0] == "*":
                return any(expected(rest[1:], left[skip:]) for skip in range(len(left) + 1))
            return bool(left) and rest[0] in ("?", left[0]) and expected(rest[1:], left[1:])

        self.assertEqual(fits(pattern, word), expected(pattern, word))
