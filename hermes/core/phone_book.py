"""
A phone book: entries of people, and how they are found (RFC 2378 3.1; Mercury H).

An entry has values for fields. What is searched is words: a term matches an entry when it is one of the words of the field, in
any case of letters; ``*`` stands for any number of characters and ``?`` for one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import attrs

#: Entries of one book, characters of a value, and values of a field that are kept of it: a large organisation's, and no more.
MAX_ENTRIES = 200_000
MAX_VALUE_CHARACTERS = 400
MAX_VALUES = 20

#: Characters of a term, and wildcards in it.
MAX_TERM_CHARACTERS = 80
MAX_WILDCARDS = 4

# What a value may not have, for it is shown on people's terminals: C0, DEL and C1.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_WILDCARD = re.compile(r"[*?]")

_WORD = re.compile(r"[^\s,;()<>\"]+")


@attrs.frozen
class Field:
    """One field: its number and name in the protocol, how long its values are, and what it is for."""

    number: int
    name: str
    max_characters: int
    doc: str
    indexed: bool = False


#: The fields, with the names that Mercury gives them and ``alias``, from which clients make addresses.
FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field(1, "alias", 64, "The name before the @ of the address here", indexed=True),
        Field(2, "name", 120, "Full name", indexed=True),
        Field(3, "email", 254, "Mail addresses", indexed=True),
        Field(4, "phone", 60, "Telephone numbers"),
        Field(5, "fax", 60, "Fax numbers"),
        Field(6, "department", 120, "Department or organisation", indexed=True),
        Field(7, "title", 120, "Position"),
        Field(8, "address", 400, "Address of the office"),
        Field(9, "postal", 400, "Address for letters"),
        Field(10, "other", 400, "Anything else"),
    )
}

#: One person: the values of each field that there are.
Entry = Mapping[str, tuple[str, ...]]


@attrs.frozen
class Term:
    """What is looked for in a field."""

    field: str
    text: str


def entry(values: Mapping[str, Iterable[str]]) -> Entry:
    """An entry of what a file says: known fields, one line each, no longer than they may be."""
    made: dict[str, tuple[str, ...]] = {}
    for name, texts in values.items():
        most = min(FIELDS[name].max_characters, MAX_VALUE_CHARACTERS)
        cleaned = (" ".join(_CONTROL.sub(" ", text).split())[:most] for text in texts)
        found = tuple(dict.fromkeys(text for text in cleaned if text))[:MAX_VALUES]
        if found:
            made[name] = found
    return made


class Book:
    """Entries, ready to be searched. Words of indexed fields lead to entries; the rest of a query is compared."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries: Sequence[Entry] = list(entries)
        by_word: dict[tuple[str, str], list[int]] = {}
        for number, each in enumerate(self.entries):
            for field, words in _indexed_words(each):
                for word in words:
                    by_word.setdefault((field, word), []).append(number)
        # Tuples of numbers are nothing for the garbage collector, which would look at each list anew, for 0.3 s in a large book.
        self._by_word = {key: tuple(by_word.pop(key)) for key in list(by_word)}
        # For terms that begin with letters and go on with a wildcard.
        self._words = {
            name: sorted(word for field, word in self._by_word if field == name)
            for name, field in FIELDS.items()
            if field.indexed
        }

    def find(self, terms: Sequence[Term], most: int) -> list[Entry] | None:
        """Those that match all terms, one of which at least is of an indexed field; None when there are more than ``most``."""
        wanted = list(dict.fromkeys((term.field, term.text.lower()) for term in terms))
        # Terms without wildcards lead to few entries, and often to none: then there is nothing more to look for.
        wanted.sort(key=lambda each: _WILDCARD.search(each[1]) is not None)
        # Of a single term it is enough to know that there are too many.
        enough = most if len(wanted) == 1 else len(self.entries)
        numbers: set[int] | None = None
        for field, text in wanted:
            if FIELDS[field].indexed:
                matching = self._numbers(field, text, enough)
                numbers = matching if numbers is None else numbers & matching
                if not numbers:
                    return []
        assert numbers is not None, "one term is of an indexed field"
        rest = [(field, pattern_of(text)) for field, text in wanted if not FIELDS[field].indexed]
        if not rest and len(numbers) > most:
            return None
        found: list[Entry] = []
        for number in sorted(numbers):
            each = self.entries[number]
            if all(any(map(pattern.match, _words(each, field))) for field, pattern in rest):
                found.append(each)
                if len(found) > most:
                    return None
        return found

    def _numbers(self, field: str, text: str, enough: int) -> set[int]:
        literal = _WILDCARD.split(text, maxsplit=1)[0]
        if literal == text:
            return set(self._by_word.get((field, text), ()))
        words, pattern = self._words[field], pattern_of(text)
        numbers: set[int] = set()
        for position in range(bisect_left(words, literal), len(words)):
            word = words[position]
            if not word.startswith(literal):
                break
            if pattern.match(word):
                numbers.update(self._by_word[field, word])
                if len(numbers) > enough:
                    break
        return numbers


def pattern_of(text: str) -> re.Pattern[str]:
    """
    What matches the words that a term's text, in lower case, stands for; the whole of each.

    The time is at most the product of the two lengths, whatever stands in them: what is between two stars is taken where it is
    found first, which leaves the most for the rest, and is not looked for again (an atomic group).
    """
    head, *others = ["".join("." if sign == "?" else re.escape(sign) for sign in piece) for piece in text.split("*")]
    if not others:
        return re.compile(rf"{head}\Z", re.DOTALL)
    between = "".join(f"(?>.*?{piece})" for piece in others[:-1])
    return re.compile(rf"{head}{between}.*{others[-1]}\Z", re.DOTALL)


def _indexed_words(each: Entry) -> Iterable[tuple[str, set[str]]]:
    for name, field in FIELDS.items():
        if field.indexed and name in each:
            yield name, set(_words(each, name))


def _words(each: Entry, field: str) -> list[str]:
    return [word for value in each.get(field, ()) for word in _WORD.findall(value.lower())]
