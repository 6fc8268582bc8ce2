"""Mercury's regular expressions, against what its manual says of them and against a matcher that tries everything."""

from __future__ import annotations

import time
from functools import cache

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.mercury_expression import MAX_EXPRESSION, MAX_REMEMBERED, Expression, ExpressionError, compiled

#: What no test needs on any machine; what is tried twice at every character would take years.
BOUND_SECONDS = 5.0


def naive(pattern: str, text: str) -> bool:
    """Try every way to read the text, straight from the description; for valid patterns only."""

    def absent(character: str, modes: frozenset[str]) -> bool:
        sign = not (character.isalpha() or character.isdigit() or character.isnumeric())
        return (
            ("s" in modes and character.isspace())
            or ("x" in modes and sign)
            or ("X" in modes and sign and character not in "@|")
        )

    def in_set(members: str, character: str, modes: frozenset[str]) -> bool:
        negated = members[0] == "^"
        rest = members[1:] if negated else members
        found = False
        while rest:
            if len(rest) >= 3 and rest[1] == "-":
                chosen = [chr(code) for code in range(ord(rest[0]), ord(rest[2]) + 1)]
                rest = rest[3:]
            else:
                chosen, rest = [rest[0]], rest[1:]
            found = found or any(same(each, character, modes) for each in chosen)
        return found != negated

    def same(one: str, other: str, modes: frozenset[str]) -> bool:
        return one == other if "c" in modes else one.lower() == other.lower()

    @cache
    def rest_matches(i: int, j: int, modes: frozenset[str]) -> bool:
        if j < len(text) and absent(text[j], modes) and rest_matches(i, j + 1, modes):
            return True
        if i == len(pattern):
            return j == len(text)
        mark = pattern[i : i + 2]
        if mark in ("/c", "/s", "/x", "/X"):
            return rest_matches(i + 2, j, modes ^ {mark[1]})
        if mark in ("/b", "/B"):
            before = j > 0 and text[j - 1].isalnum()
            behind = j < len(text) and text[j].isalnum()
            wanted = (False, True) if mark == "/b" else (True, False)
            return (before, behind) == wanted and rest_matches(i + 2, j, modes)
        end = i + 1
        if mark in ("/w", "/W"):
            end = i + 2
        elif pattern[i] == "[":
            end = pattern.index("]", i + 3 if pattern[i + 1] == "^" else i + 2) + 1
        part = pattern[i:end]
        repeats = end < len(pattern) and pattern[end] == "+"
        while end < len(pattern) and pattern[end] == "+":
            end += 1
        return part_matches(part, repeats, end, j, modes)

    def part_matches(part: str, repeats: bool, end: int, j: int, modes: frozenset[str]) -> bool:
        def takes(character: str) -> bool:
            if absent(character, modes):
                return False
            if part == "?":
                return True
            if part[0] == "[":
                return in_set(part[1:-1], character, modes)
            return same(part, character, modes)

        if part == "*":
            return any(rest_matches(end, k, modes) for k in range(j, len(text) + 1))
        least, most = 1, (len(text) if repeats else 1)
        if part in ("/w", "/W"):
            least, most = (0 if part == "/w" else 1), len(text)
            if modes & {"s", "x", "X"}:
                return rest_matches(end, j, modes)
            taken: object = str.isspace
        else:
            plain = part if part[0] != "[" else part[1:-1]
            nothing = part != "?" and plain[0] != "^" and all(absent(c, modes) for c in members(part))
            if nothing:
                return rest_matches(end, j, modes)
            taken = takes
        count, k = 0, j
        if count >= least and rest_matches(end, k, modes):
            return True
        while k < len(text) and count < most:
            if count and absent(text[k], modes):
                k += 1
                continue
            if not taken(text[k]):  # type: ignore[operator]
                break
            k, count = k + 1, count + 1
            if count >= least and rest_matches(end, k, modes):
                return True
        return False

    def members(part: str) -> str:
        if part[0] != "[":
            return part
        rest, found = part[1:-1], ""
        while rest:
            if len(rest) >= 3 and rest[1] == "-":
                found += "".join(chr(code) for code in range(ord(rest[0]), ord(rest[2]) + 1))
                rest = rest[3:]
            else:
                found, rest = found + rest[0], rest[1:]
        return found

    return rest_matches(0, 0, frozenset())


_CHARACTERS = "aAbB1 @|-.é\t"
_TAKES = st.sampled_from(
    [*"aAbB1 @|-.é]", "?", "*", "[ab]", "[^a]", "[a-z]", "[]@]", "[ -@]", "[^ ]", "[*]", "/w", "/W"]
)
_PARTS = st.one_of(
    _TAKES, _TAKES.map(lambda part: part + "+"), st.sampled_from(["*", "/c", "/s", "/b", "/B", "/x", "/X"])
)
_PATTERNS = st.lists(_PARTS, max_size=7).map("".join)
_TEXTS = st.text(alphabet=_CHARACTERS, max_size=10)


class MeaningTests(SynchronousTestCase):
    """What each sign means."""

    def _all(self, pattern: str, matching: list[str], others: list[str]) -> None:
        expression = Expression(pattern)
        for text in matching:
            self.assertTrue(expression.matches(text), (pattern, text))
        for text in others:
            self.assertFalse(expression.matches(text), (pattern, text))

    def test_whole_text(self) -> None:
        """An expression matches from the beginning to the end, in any case of letters."""
        self._all("mail", ["mail", "MAIL", "Mail"], ["", "mails", "email", "mail\n"])
        self._all("", [""], ["a"])

    def test_any_run(self) -> None:
        """A star is any run of characters, line ends included."""
        self._all("*mail*", ["mail", "a mail b", "\nMAIL\n"], ["mal", "ma il"])
        self._all("a*", ["a", "abc"], ["ba"])
        self._all("**", ["", "a"], [])
        self._all("*a*b*c", ["abc", "xaxbxc", "aabbcc"], ["acb", "abcd"])

    def test_texts_between_stars(self) -> None:
        """What consists of letters and stars alone: in their order, in any case, and nothing counts twice."""
        self._all("ab*ba", ["abba", "ABxBA", "ab ba"], ["aba", "ab", "xabba", "abbax"])
        self._all("a*b*c*d", ["abcd", "axBxcxd"], ["acbd", "aBc", "abcdx", "ad"])
        self._all("*a*", ["a", "xAx"], ["", "x"])
        self._all("a*", ["a", "ab"], ["", "ba"])
        self._all("ab", ["ab", "AB"], ["abc", "a"])
        self._all("*/ca*", ["xax"], ["xAx"])

    def test_one(self) -> None:
        """A question mark is exactly one character."""
        self._all("a?c", ["abc", "a c", "aéc"], ["ac", "abbc"])

    def test_more(self) -> None:
        """A plus is one or more of the character or set before it, and changes nothing behind a star."""
        self._all("ab+c", ["abc", "abbbc", "aBbc"], ["ac", "abab"])
        self._all("[0-9]+", ["1", "0042"], ["", "1a"])
        self._all("?+", ["a", "abc"], [""])
        self._all("a*+b", ["ab", "axxb"], ["a"])
        self._all("a++", ["a", "aaa"], [""])

    def test_set(self) -> None:
        """A set holds characters and ranges; a hyphen at an end, and a bracket at the beginning, are themselves."""
        self._all("[abc]", ["a", "B"], ["d", "ab", ""])
        self._all("[a-c-]", ["a", "b", "-"], ["d"])
        self._all("[-a]", ["-", "a"], ["b"])
        self._all("[]a]", ["]", "a"], ["["])
        self._all("[^]a]", ["b", "["], ["]", "A", ""])
        self._all("[^^]", ["a"], ["^"])
        self._all("[a-z]", ["Q"], ["1"])

    def test_literal(self) -> None:
        """A special character is itself in a set."""
        self._all("[*]", ["*"], ["a", ""])
        self._all("*[[]*[]]", ["EHLO [192.0.2.1]"], ["EHLO 192.0.2.1"])
        self._all("a[+]b", ["a+b"], ["aab"])
        self._all("[/]w", ["/w"], [" "])

    def test_white_space(self) -> None:
        """One mark is white space or none, the other some."""
        self._all("a/wb", ["ab", "a b", "a \t b"], ["axb"])
        self._all("a/Wb", ["a b", "a \t b"], ["ab", "axb"])

    def test_slash(self) -> None:
        """A slash that begins no mark is a slash."""
        self._all("a/d/", ["a/d/"], ["ad"])

    def test_case(self) -> None:
        """Case counts from one mark to the next."""
        self._all("a/cB[cd]/ce", ["aBce", "ABcE"], ["abce", "aBCe"])
        self._all("/c*WON*", ["YOU WON IT"], ["you won it"])

    def test_white_space_passed_over(self) -> None:
        """White space of the text, and of the expression, can be made to count for nothing."""
        self._all("/sfree money", ["freemoney", "f r e e m o n e y", " free money "], ["fre money"])
        self._all("/sf/se e", ["fe e", " f e e"], ["fee"])
        self._all("/sa+", ["a a a"], ["", " "])
        self._all("/s?", [" a ", "a"], [" ", "a b"])
        self._all("/sa/Wb/w", ["ab", "a b"], [])

    def test_signs_passed_over(self) -> None:
        """Everything but letters and digits can be made to count for nothing, or all of that but two signs."""
        self._all("/xabc", ["a.b-c", "*a b@c*"], ["a.b"])
        self._all("*/xa.b/x!", ["-ab!", "xa b!"], ["ab"])
        self._all("/Xm@il", ["m.@.i-l"], ["mil", "m@i|l"])
        self._all("/X[.]+@+a", ["..@@.@a"], ["a"])

    def test_words(self) -> None:
        """Words begin and end at what is neither letter nor digit, and at the ends of the text."""
        self._all("*/bpass/B*", ["pass", "my pass.", "(PASS)"], ["passé", "bypass", "pass1"])
        self._all("/ba", ["a"], [])
        self._all("a/b", [], ["a"])
        self._all("/B", [], [""])

    def test_kept(self) -> None:
        """An expression is compiled once; it knows what was written."""
        self.assertIs(compiled("*kept*"), compiled("*kept*"))
        self.assertEqual(compiled("*kept*").text, "*kept*")

    def test_letters_without_other_case(self) -> None:
        """A letter whose other case is two letters is matched by itself alone."""
        self._all("ß[s-z]", ["ßS"], ["SSs", "ßß"])


class MistakeTests(SynchronousTestCase):
    """What cannot be understood is said with its place."""

    def test_mistakes(self) -> None:
        """Each mistake has its place and its remedy."""
        for pattern, said in (
            ("+a", "at character 1: nothing stands before + that could come again: write [+] for the sign"),
            ("a/b+", "at character 4: nothing stands before +"),
            ("a[bc", "at character 2: the set that begins here has no ] at its end: write [[] for the sign ["),
            ("a[]", "at character 2: the set"),
            ("a[^]", "at character 2: the set"),
            ("[z-a]", "at character 2: the range z-a runs backwards: write a-z"),
        ):
            error = self.assertRaises(ExpressionError, Expression, pattern)
            self.assertIn(said, str(error))

    def test_length(self) -> None:
        """There is a longest expression."""
        self.assertTrue(Expression("a" * (MAX_EXPRESSION - 1)).matches("a" * (MAX_EXPRESSION - 1)))
        self.assertTrue(Expression("a" * MAX_EXPRESSION).matches("a" * MAX_EXPRESSION))
        error = self.assertRaises(ExpressionError, Expression, "a" * (MAX_EXPRESSION + 1))
        self.assertIn("has 1001 characters: write 1000 at most", str(error))


class PropertyTests(SynchronousTestCase):
    """Against the matcher that tries everything."""

    @settings(deadline=None, max_examples=1500)
    @given(_PATTERNS, _TEXTS)
    @example("*a?b*", "aaab")
    @example("*/ba/B*", "ba a")
    @example("/s/xa+/s", "a - a")
    def test_same(self, pattern: str, text: str) -> None:
        """Both ways to match agree with it."""
        expression = Expression(pattern)
        expected = naive(pattern, text)
        self.assertEqual(expression.matches(text), expected, (pattern, text))
        self.assertEqual(expression._machine.matches(text), expected, (pattern, text))

    @settings(deadline=None, max_examples=300)
    @given(
        st.lists(st.sampled_from(["*", "?", "a", "b", "/b", "/B", "[ab]"]), max_size=12), st.text("ab ", max_size=14)
    )
    def test_stars(self, parts: list[str], text: str) -> None:
        """So does what becomes a re, where stars compete for the text."""
        pattern = "".join(parts)
        self.assertIsNotNone(Expression(pattern)._quick)
        self.assertEqual(Expression(pattern).matches(text), naive(pattern, text), (pattern, text))

    @settings(deadline=None, max_examples=300)
    @given(st.text(max_size=20), st.text(max_size=20))
    def test_any_text(self, pattern: str, text: str) -> None:
        """Whatever somebody writes, it compiles or says what is wrong, and then answers."""
        try:
            expression = Expression(pattern)
        except ExpressionError:
            return
        self.assertIn(expression.matches(text), (True, False))


class TimeTests(SynchronousTestCase):
    """Nobody can make it slow, neither who writes the pattern nor who sends the text."""

    def test_worst_patterns(self) -> None:
        """The longest patterns of every kind, against long texts that nearly match, take no time to speak of."""
        patterns = [
            "*a" * (MAX_EXPRESSION // 2 - 1) + "b",
            "a+" * (MAX_EXPRESSION // 2 - 1) + "b",
            "*a+" * (MAX_EXPRESSION // 3 - 1) + "b",
            "*[a-z]+" * (MAX_EXPRESSION // 7 - 1) + "!",
            "*[^b]" * (MAX_EXPRESSION // 5 - 1) + "b",
            "?+" * (MAX_EXPRESSION // 2 - 1) + "b",
            "/x" + "*a" * (MAX_EXPRESSION // 2 - 2) + "b",
            "*/w" * (MAX_EXPRESSION // 3 - 1) + "b",
            "*" * (MAX_EXPRESSION - 1) + "b",
            "*" + "a" * (MAX_EXPRESSION - 2) + "b",
            "*/b*/B" * (MAX_EXPRESSION // 6 - 1) + "b",
        ]
        texts = ["a" * 4000, "a " * 2000, "a" * 4000 + "é", "".join(chr(0x4E00 + code) for code in range(4000))]
        began = time.process_time()
        for pattern in patterns:
            expression = Expression(pattern)
            for text in texts:
                self.assertFalse(expression.matches(text))
        self.assertLess(time.process_time() - began, BOUND_SECONDS)

    def test_memory(self) -> None:
        """A stranger's text cannot fill the memory: what characters do is remembered for a certain number of them."""
        expression = Expression("?+/wb")
        for count in (MAX_REMEMBERED - 1, MAX_REMEMBERED, MAX_REMEMBERED + 1):
            expression.matches("".join(chr(0x4E00 + code) for code in range(count)))
            self.assertEqual(len(expression._machine._moves), min(count, MAX_REMEMBERED))
        self.assertTrue(expression.matches("\uffff b"))
        self.assertFalse(expression.matches("\uffff a"))


class NeedsTests(SynchronousTestCase):
    """What must stand in a text, whatever else does."""

    def test_needs(self) -> None:
        """The longest of what stands between stars; nothing where there is more than stars and letters."""
        for text, needs in (
            ("*SPAM*", "spam"),
            ("*x y*", "x y"),
            ("*[.]*", "."),
            ("spam", "spam"),
            ("spam*", "spam"),
            ("*Spam", "spam"),
            ("a*bcd*ef", "bcd"),
            ("*a?*", ""),
            ("*/cA*", ""),
            ("*[ab]*", ""),
            ("*a/W*", ""),
            ("*", ""),
            ("", ""),
        ):
            self.assertEqual(Expression(text).needs, needs, text)

    @given(st.text("abAB*?[]^-+/wWbBcsxX @\n", max_size=8), st.text("abAB@ \n", max_size=12))
    @settings(deadline=None)
    @example("*B*a", "abA")
    def test_in_what_matches(self, pattern: str, text: str) -> None:
        """Without it nothing matches."""
        try:
            expression = Expression(pattern)
        except ExpressionError:
            return
        if expression.matches(text):
            self.assertIn(expression.needs, text.lower())
