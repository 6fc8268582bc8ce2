"""
Mercury's regular expressions, matched in time that grows no faster than the text.

An expression must match the whole text, in any case of letters. ``*`` is any run of characters, ``?`` one character, ``[abc]``,
``[a-z]`` and ``[^abc]`` one of a set, ``+`` more of the character or set before it. ``/w`` is any white space or none, ``/W``
some; ``/b`` is where a word begins and ``/B`` where one ends. Four marks switch something on, and off again: ``/c`` case
counts; ``/s`` white space is passed over; ``/x`` everything but letters and digits is passed over, and ``/X`` the same except
``@`` and ``|``. A special character stands for itself in a set: ``[*]``. In a set ``]`` counts when it comes first.

The administrator's pattern meets a stranger's line, so neither may make it slow. What consists of ``*`` and single characters
becomes a ``re`` in which nothing is tried twice; everything else runs in a machine that holds all its states in one number and
reads each character once.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import attrs

#: What an administrator writes by hand is far shorter; the time for one character of the text grows with it.
MAX_EXPRESSION = 1000

#: Characters of which the machine remembers what they do: those of most texts. A stranger's text may hold any number more.
MAX_REMEMBERED = 256

#: What ``/X`` does not pass over: they are written for a and l.
_KEPT = "@|"

_ASCII = [chr(code) for code in range(128)]

_Test = Callable[[str], bool]


class ExpressionError(ValueError):
    """The expression cannot be understood; the text says at which character, and what to write."""


class Expression:
    """
    A compiled expression; ``text`` is what the administrator wrote.

    ``needs`` stands, in some case of letters, in each text of ASCII that matches; it is in small letters, and empty where nothing
    can be told. Most lists of filters consist of ``*word*``, and most texts have none of the words.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        tokens = list(_Reader(text).tokens())
        self._machine = _Machine(tokens)
        pieces = _pieces(tokens)
        self.needs = max(pieces, key=len) if pieces is not None else ""
        self._quick = _as_text(pieces) if pieces is not None else _as_re(tokens)

    def matches(self, text: str) -> bool:
        """True when the whole text matches."""
        if self._quick is not None and text.isascii():
            return self._quick(text)
        return self._machine.matches(text)


@lru_cache(256)
def compiled(text: str) -> Expression:
    """The expression of that text; raise ExpressionError when it is none."""
    return Expression(text)


class _Kind(enum.Enum):
    ONE = "one character"
    MANY = "any number of characters, or none"
    WORD_BEGINS = "no character: where a word begins"
    WORD_ENDS = "no character: where a word ends"


@attrs.frozen(eq=False)
class _Token:
    """A part of an expression; ``takes`` says which characters it takes, and is None where it takes any."""

    kind: _Kind
    takes: _Test | None = None


@attrs.frozen
class _Letter:
    """Takes one character; in any case of letters unless ``case`` counts."""

    character: str
    case: bool

    def __call__(self, character: str) -> bool:
        return self.character in ((character,) if self.case else _in_all_cases(character))


@attrs.frozen
class _Set:
    """Takes what is in one of the ranges, or with ``negated`` what is in none."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool
    case: bool

    def __call__(self, character: str) -> bool:
        forms = (character,) if self.case else _in_all_cases(character)
        return self.negated != any(low <= form <= high for low, high in self.ranges for form in forms)


def _in_all_cases(character: str) -> tuple[str, ...]:
    # What becomes two characters in the other case (as the German sharp s does) has no other case here.
    lower, upper = character.lower(), character.upper()
    return (character, lower if len(lower) == 1 else character, upper if len(upper) == 1 else character)


def _is_sign(character: str) -> bool:
    return not character.isalnum()


def _is_sign_and_not_kept(character: str) -> bool:
    return not character.isalnum() and character not in _KEPT


#: What can be passed over, by the mark that switches it on and off; ``/c`` is the fourth switch.
_PASSED_OVER: dict[str, _Test] = {"s": str.isspace, "x": _is_sign, "X": _is_sign_and_not_kept}
_CASE = "c"

_WORDS = {"b": _Token(_Kind.WORD_BEGINS), "B": _Token(_Kind.WORD_ENDS)}
_ANYTHING = _Token(_Kind.MANY)
_ANY_SPACE = _Token(_Kind.MANY, str.isspace)
_SPACE = _Token(_Kind.ONE, str.isspace)


# How an expression is read.


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_EXPRESSION:
            raise ExpressionError(f"the expression has {len(text)} characters: write {MAX_EXPRESSION} at most")
        self._text = text
        self._position = 0
        self._case = False
        self._switched_on: set[str] = set()
        # Which characters are as good as absent; None while all count.
        self._absent: _Test | None = None

    def tokens(self) -> Iterator[_Token]:
        """The parts, and between them what is passed over."""
        part: list[_Token] | None = None
        while self._position < len(self._text):
            character = self._text[self._position]
            mark = self._text[self._position + 1 : self._position + 2] if character == "/" else ""
            if character == "+":
                if part is None:
                    raise self._error("nothing stands before + that could come again: write [+] for the sign")
                self._position += 1
                yield from (_Token(_Kind.MANY, self._or_absent(last.takes)) for last in part[-1:])
                continue
            # What is passed over may come first or last in its stretch as well.
            yield from self._gap()
            if mark == _CASE or mark in _PASSED_OVER:
                self._switch(mark)
                part = None
            elif mark in _WORDS:
                self._position += 2
                yield _WORDS[mark]
                part = None
            else:
                part = self._part(character, mark)
                yield from part
        yield from self._gap()

    def _gap(self) -> Iterator[_Token]:
        if self._absent is not None:
            yield _Token(_Kind.MANY, self._absent)

    def _switch(self, mark: str) -> None:
        self._position += 2
        if mark == _CASE:
            self._case = not self._case
            return
        self._switched_on ^= {mark}
        tests = [_PASSED_OVER[each] for each in self._switched_on]
        self._absent = (lambda character: any(test(character) for test in tests)) if tests else None

    def _part(self, character: str, mark: str) -> list[_Token]:
        """What takes characters; nothing when it stands for what is passed over, and so is passed over itself."""
        if mark and mark in "wW":
            self._position += 2
            if self._absent is not None:
                return []
            return [_SPACE, _ANY_SPACE] if mark == "W" else [_ANY_SPACE]
        self._position += 1
        if character == "*":
            return [_ANYTHING]
        if character == "?":
            return [_Token(_Kind.ONE, self._present(None))]
        if character == "[":
            found = self._set()
            if not found.negated and self._all_absent(found.ranges):
                return []
            return [_Token(_Kind.ONE, self._present(found))]
        if self._all_absent(((character, character),)):
            return []
        return [_Token(_Kind.ONE, _Letter(character, self._case))]

    def _set(self) -> _Set:
        negated = self._text.startswith("^", self._position)
        first = self._position + negated
        end = self._text.find("]", first + 1)
        if end < 0:
            self._position -= 1
            raise self._error("the set that begins here has no ] at its end: write [[] for the sign [")
        ranges: list[tuple[str, str]] = []
        place = first
        while place < end:
            low = high = self._text[place]
            if place + 2 < end and self._text[place + 1] == "-":
                high = self._text[place + 2]
                if low > high:
                    self._position = place
                    raise self._error(f"the range {low}-{high} runs backwards: write {high}-{low}")
            ranges.append((low, high))
            place += 3 if self._text[place + 1] == "-" and place + 2 < end else 1
        self._position = end + 1
        return _Set(tuple(ranges), negated, self._case)

    def _present(self, takes: _Test | None) -> _Test | None:
        """The same test for what is not passed over."""
        absent = self._absent
        if absent is None:
            return takes
        return lambda character: not absent(character) and (takes is None or takes(character))

    def _or_absent(self, takes: _Test | None) -> _Test | None:
        """The same test, and what is passed over."""
        absent = self._absent
        if absent is None or takes is None:
            return takes
        return lambda character: takes(character) or absent(character)

    def _all_absent(self, ranges: tuple[tuple[str, str], ...]) -> bool:
        absent = self._absent
        if absent is None:
            return False
        return all(absent(chr(code)) for low, high in ranges for code in range(ord(low), ord(high) + 1))

    def _error(self, text: str) -> ExpressionError:
        return ExpressionError(f"at character {self._position + 1}: {text}")


# How a text is matched: ASCII by a re, where that is possible.


def _pieces(tokens: list[_Token]) -> list[str] | None:
    """What stands before, between and behind the ``*``; None where that is more than letters in any case."""
    pieces = [""]
    for token in tokens:
        if token.kind is _Kind.MANY and token.takes is None:
            pieces.append("")
        elif (letter := _letter(token)) is not None:
            pieces[-1] += letter
        else:
            return None
    return pieces


def _as_text(pieces: list[str]) -> _Test:
    """
    A test for the same texts among those in ASCII.

    Most expressions are of that kind, and looking for a text takes a tenth of the time that a pattern takes.
    """
    head, *middle = pieces
    if not middle:
        return lambda text: text.lower() == head
    tail = middle.pop()

    def test(text: str) -> bool:
        text = text.lower()
        at, end = len(head), len(text) - len(tail)
        if at > end or not (text.startswith(head) and text.endswith(tail)):
            return False
        for piece in middle:
            # The first place is as good as every later one: see below.
            at = text.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    return test


def _letter(token: _Token) -> str | None:
    """The character that a token takes, in either case and no other; None when it takes something else."""
    if token.kind is not _Kind.ONE or token.takes is None:
        return None
    taken = {character for character in _ASCII if token.takes(character)}
    small = {character.lower() for character in taken}
    return small.pop() if len(small) == 1 and taken == {*small, *(each.upper() for each in small)} else None


def _as_re(tokens: list[_Token]) -> _Test | None:
    """
    A pattern that matches the same texts among those in ASCII; None where it could take long.

    Between two ``*`` stands something of fixed length. The first place where that fits is as good as every later one, for the
    ``*`` behind it takes whatever is between; so an atomic group may forget the others, and no text is looked through twice.
    """
    pieces = [""]
    for token in tokens:
        if token.kind is not _Kind.MANY:
            pieces[-1] += _piece(token)
        elif token.takes is None:
            pieces.append("")
        else:
            return None
    head, *middle = pieces
    found = "".join(f"(?>.*?{piece})" for piece in middle[:-1] if piece)
    whole = re.compile(f"{head}{found}.*{middle[-1]}" if middle else head, re.DOTALL).fullmatch
    return lambda text: whole(text) is not None


def _piece(token: _Token) -> str:
    if token.kind is _Kind.WORD_BEGINS:
        return "(?<![0-9A-Za-z])(?=[0-9A-Za-z])"
    if token.kind is _Kind.WORD_ENDS:
        return "(?<=[0-9A-Za-z])(?![0-9A-Za-z])"
    if token.takes is None:
        return "."
    taken = [re.escape(character) for character in _ASCII if token.takes(character)]
    if len(taken) == 1:
        return taken[0]
    return f"[{''.join(taken)}]" if taken else "(?!)"


# ... and everything else by a machine.


class _Machine:
    """
    All ways to match, followed at once.

    State n, the bit 1 << n, is to have matched what stands before token n. A character moves the states whose token takes it;
    from a token that may take nothing, a state goes on to the next without one.
    """

    def __init__(self, tokens: list[_Token]) -> None:
        #: For tokens that take one character and for those that take many: which letters and which tests have which bits.
        self._letters: dict[_Letter, tuple[int, int]] = {}
        self._tests: dict[_Test, tuple[int, int]] = {}
        self._always = (0, 0)
        self._moves: dict[str, tuple[int, int]] = {}
        begins = ends = many = 0
        for place, token in enumerate(tokens):
            bit = 1 << place
            if token.kind is _Kind.WORD_BEGINS:
                begins |= bit
            elif token.kind is _Kind.WORD_ENDS:
                ends |= bit
            else:
                is_many = token.kind is _Kind.MANY
                many |= bit if is_many else 0
                self._add(token.takes, (0, bit) if is_many else (bit, 0))
        # What can be left without a character, by whether a letter or digit stands before, and behind.
        self._open = {
            (False, False): many,
            (True, True): many,
            (False, True): many | begins,
            (True, False): many | ends,
        }
        self._matched = 1 << len(tokens)

    def _add(self, takes: _Test | None, bits: tuple[int, int]) -> None:
        if takes is None:
            self._always = _both(self._always, bits)
        elif isinstance(takes, _Letter):
            self._letters[takes] = _both(self._letters.get(takes, (0, 0)), bits)
        else:
            self._tests[takes] = _both(self._tests.get(takes, (0, 0)), bits)

    def matches(self, text: str) -> bool:
        """True when the whole text matches."""
        states, before = 1, False
        for character in text:
            behind = character.isalnum()
            states = _spread(states, self._open[before, behind])
            ones, manies = self._moves.get(character) or self._move(character)
            states = (states & ones) << 1 | states & manies
            if not states:
                return False
            before = behind
        return _spread(states, self._open[before, False]) & self._matched != 0

    def _move(self, character: str) -> tuple[int, int]:
        """Which states the character moves on, and which it leaves where they are."""
        move = _both(self._always, self._letters.get(_Letter(character, case=True), (0, 0)))
        for form in set(_in_all_cases(character)):
            move = _both(move, self._letters.get(_Letter(form, case=False), (0, 0)))
        for takes, bits in self._tests.items():
            if takes(character):
                move = _both(move, bits)
        if len(self._moves) < MAX_REMEMBERED:
            self._moves[character] = move
        return move


def _both(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] | other[0], one[1] | other[1]


def _spread(states: int, open_: int) -> int:
    """
    The states, and those that they reach through open ones.

    A stretch of open states is a run of ones: to add a state to it carries from there to the first bit behind the run, and all
    that has changed on the way was reached.
    """
    return states | ((states & open_) + open_) ^ open_
