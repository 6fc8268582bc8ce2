"""
A general set of rules, as Mercury's users know it: what an address does with a message instead of delivering it.

The rules are gone through from the first. Each has a condition and an action; Label, Goto, Call and the like say which rule is
next. A set comes to its end behind the last rule, with Exit, or when the message was moved or deleted. What it does with
the message is told, not done: the queue writes all of it down at once. How sets are written is the business of those who read
them (:mod:`hermes.config.rule_file`).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import attrs

from hermes.core import encoded_words
from hermes.core.expansion import Target
from hermes.core.header import Header
from hermes.core.header_facts import MAX_HEADER_OCTETS, header_end
from hermes.core.mercury_expression import Expression

#: What expressions see of a text. A stranger writes it, and each octet may cost each expression a microsecond.
MAX_BODY_OCTETS = 64 * 1024

#: What is read of a message for its rules, without the line that is ours.
MAX_LOOKED_AT = MAX_HEADER_OCTETS + MAX_BODY_OCTETS

#: Rules that one message goes through: ten times as many as a set may have. What takes more goes round in a loop.
MAX_STEPS = 10_000

#: Calls within calls. Somebody who divides a set into parts has two or three; what is deeper calls itself.
MAX_CALLS = 32

_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class Verb(enum.Enum):
    """What rules do; the values are the words for it in Mercury's files."""

    COPY = "Copy"
    MOVE = "Move"
    DELETE = "Delete"
    FORWARD = "Forward"
    SEND_TEXT = "SendTextFile"
    SEND_TEMPLATE = "SendTemplate"
    ADD_HEADER = "AddHeader"
    LABEL = "Label"
    GOTO = "Goto"
    CALL = "Call"
    RETURN = "Return"
    SKIP_NEXT = "SkipNext"
    LOGICAL_AND = "LogicalAnd"
    EXIT = "Exit"


class Part(enum.Enum):
    """What of a message an expression looks at, line by line; the values are Mercury's words."""

    HEADERS = "headers"
    BODY = "body"
    BOTH = "both"


class Name(enum.Enum):
    """What of an attachment's name is looked at; the values are Mercury's words."""

    FULL = "FullName"
    STEM = "NamePart"  #: without the extension
    EXTENSION = "ExtnPart"  #: behind the last dot

    def of(self, name: str) -> str:
        """That part of a name."""
        if self is Name.FULL:
            return name
        stem, dot, extension = name.rpartition(".")
        if self is Name.EXTENSION:
            return extension if dot else ""
        return stem if dot else name


class Examined:
    """
    A message as rules see it: its beginning, without our Return-Path, and its whole size with CRLF line ends.

    ``attachments`` are the names of its files, for sets that look at these.
    """

    def __init__(self, beginning: bytes, size_octets: int, attachments: Sequence[str] = ()) -> None:
        beginning = beginning[:MAX_LOOKED_AT]
        end = header_end(beginning[:MAX_HEADER_OCTETS])
        self.size_octets = size_octets
        self.attachments = attachments
        self._octets = beginning if end >= 0 else beginning[:MAX_HEADER_OCTETS]
        self._end = end if end >= 0 else len(self._octets)
        self.header = Header(self._octets[: self._end])

    def values(self, name: str) -> list[str]:
        """The fields of that name as people read them."""
        return [encoded_words.decoded(value) for value in self.header.all(name)]

    @property
    def body_at(self) -> int:
        """Where the text begins, in octets, with the empty line before it."""
        return self._end

    @cached_property
    def header_lines(self) -> list[str]:
        """One for each field, as it is written and, where that is another text, as it reads."""
        lines: list[str] = []
        # RFC 5322 2.2.3: unfolding takes away the line ends, and nothing else.
        for line in _FOLD.sub(b"", self.header.octets).decode("utf-8", "replace").split("\n"):
            text = line.rstrip("\r")
            lines += dict.fromkeys((text, encoded_words.decoded(text)) if text else ())
        return lines

    @cached_property
    def body_lines(self) -> list[str]:
        """The lines of the text as they came, as far as they are looked at."""
        # Behind the empty line that ends the header.
        body = self._octets[self._end :].replace(b"\r\n", b"\n").removeprefix(b"\n")[:MAX_BODY_OCTETS]
        return body.decode("utf-8", "replace").split("\n") if body else []

    @cached_property
    def small(self) -> dict[Part, str]:
        """The same in small letters, to look quickly whether a word is there."""
        return {
            Part.HEADERS: "\n".join(self.header_lines).lower(),
            Part.BODY: "\n".join(self.body_lines).lower(),
        }


@attrs.frozen
class Always:
    """True of every message."""

    def holds(self, message: Examined) -> bool:
        """Yes."""
        return True


@attrs.frozen
class InHeader:
    """One of the fields ``names`` has ``text``, which is in small letters, or ``whole`` is exactly that."""

    names: tuple[str, ...]
    text: str
    whole: bool

    def holds(self, message: Examined) -> bool:
        """Whether it is so."""
        for name in self.names:
            for value in message.values(name):
                small = value.lower()
                if small == self.text if self.whole else self.text in small:
                    return True
        return False


@attrs.frozen
class InLines:
    """A line of the header or text matches the expression."""

    part: Part
    expression: Expression

    def holds(self, message: Examined) -> bool:
        """Whether it is so."""
        needs, matches = self.expression.needs, self.expression.matches
        for part, lines in self._lines(message):
            small = message.small[part]
            # The word that every match has is told of ASCII alone.
            if needs and small.isascii() and needs not in small:
                continue
            if any(matches(line) for line in lines):
                return True
        return False

    def _lines(self, message: Examined) -> Iterator[tuple[Part, list[str]]]:
        if self.part is not Part.BODY:
            yield Part.HEADERS, message.header_lines
        if self.part is not Part.HEADERS:
            yield Part.BODY, message.body_lines


@attrs.frozen
class Size:
    """The message has more octets than so many, or fewer."""

    octets: int
    more: bool

    def holds(self, message: Examined) -> bool:
        """Whether it is so."""
        return message.size_octets > self.octets if self.more else message.size_octets < self.octets


@attrs.frozen
class Attached:
    """A file's name, or that part of it, matches the expression, or has ``text`` in it, which is in small letters."""

    part: Name
    text: str = ""
    expression: Expression | None = None

    def holds(self, message: Examined) -> bool:
        """Whether it is so."""
        names = [self.part.of(name) for name in message.attachments]
        if self.expression is None:
            return any(self.text in name.lower() for name in names)
        return any(map(self.expression.matches, names))


Condition = Always | InHeader | InLines | Size | Attached


@attrs.frozen
class Rule:
    """
    One rule: ``text`` as it is written in ``line``.

    ``target`` is where those send a message that do; ``argument`` a label in small letters, or a whole field.
    """

    line: int
    text: str
    verb: Verb
    condition: Condition = Always()
    negated: bool = False
    target: Target | None = None
    argument: str = ""

    def fires(self, message: Examined) -> bool:
        """Whether it acts on the message."""
        if isinstance(self.condition, InHeader) and not self.condition.names:
            # Mercury: a rule about no header never fires (mercury.md 3.11), whatever it says of it.
            return False
        return self.condition.holds(message) != self.negated


@attrs.frozen
class Act:
    """A copy of the message that goes somewhere, with further header fields on top."""

    target: Target
    fields: tuple[str, ...] = ()


@attrs.frozen
class Ran:
    """
    What a set does with a message: what is sent, and each rule that fired, for the trace.

    With a ``problem``, which is for the administrator, it does nothing: the message has to wait.
    """

    acts: tuple[Act, ...] = ()
    told: tuple[str, ...] = ()
    problem: str = ""


@attrs.frozen
class RuleSet:
    """The rules of the file ``path`` that are not disabled; ``labels`` has their places by their names, in small letters."""

    path: str
    rules: tuple[Rule, ...]
    labels: Mapping[str, int]

    @property
    def wants_attachments(self) -> bool:
        """Whether it looks at the names of files, which stand anywhere in a message."""
        return any(isinstance(rule.condition, Attached) for rule in self.rules)

    def run(self, message: Examined) -> Ran:
        """Go through the rules."""
        return _Run(self, message).ran()

    def lines(self) -> list[str]:
        """The rules for people, each with its place."""
        return [f"{rule.text}  ({self.path}:{rule.line})" for rule in self.rules]


class _Stop(Exception):  # noqa: N818 - it is an end like any other
    """The set has come to its end; with a problem it cannot be carried out."""


class _Run:
    def __init__(self, rules: RuleSet, message: Examined) -> None:
        self._set = rules
        self._message = message
        self._next = 0
        self._calls: list[int] = []
        # By where they go: one copy is enough.
        self._acts: dict[Target, Act] = {}
        self._fields: dict[str, None] = {}
        self._told: list[str] = []
        # What fired is asked once: a loop must not look through the message again and again.
        self._fires: dict[int, bool] = {}

    def ran(self) -> Ran:
        rules = self._set.rules
        for _ in range(MAX_STEPS):
            if self._next >= len(rules):
                return self._whole()
            place, rule = self._next, rules[self._next]
            self._next += 1
            if not self._holds(place):
                if rule.verb is Verb.LOGICAL_AND:
                    self._skip()
                continue
            if rule.verb is not Verb.LABEL:
                self._told.append(f"{self._set.path}:{rule.line}: {rule.text}")
            try:
                self._do(rule)
            except _Stop as stop:
                return Ran(problem=str(stop)) if str(stop) else self._whole()
        return Ran(problem=f"{self._set.path}: {MAX_STEPS} rules have come to no end: look for a loop of Goto or Call")

    def _whole(self) -> Ran:
        return Ran(tuple(self._acts.values()), tuple(self._told))

    def _holds(self, place: int) -> bool:
        known = self._fires.get(place)
        if known is None:
            known = self._fires[place] = self._set.rules[place].fires(self._message)
        return known

    def _skip(self) -> None:
        """Pass over the next rule: with the conditions that belong to it, or it would act without them."""
        rules = self._set.rules
        while self._next < len(rules):
            verb = rules[self._next].verb
            self._next += 1
            if verb not in {Verb.LOGICAL_AND, Verb.LABEL}:
                return

    def _do(self, rule: Rule) -> None:
        match rule.verb:
            case Verb.COPY | Verb.MOVE | Verb.FORWARD | Verb.SEND_TEXT | Verb.SEND_TEMPLATE:
                assert rule.target is not None
                self._acts.setdefault(rule.target, Act(rule.target, tuple(self._fields)))
            case Verb.ADD_HEADER:
                self._fields[rule.argument] = None
            case Verb.GOTO:
                self._next = self._set.labels[rule.argument]
            case Verb.CALL:
                if len(self._calls) >= MAX_CALLS:
                    raise _Stop(
                        f"{self._set.path}:{rule.line}: this is more than {MAX_CALLS} calls within calls:"
                        " look for a Call that comes to itself"
                    )
                self._calls.append(self._next)
                self._next = self._set.labels[rule.argument]
            case Verb.SKIP_NEXT:
                self._skip()
        if rule.verb is Verb.RETURN and self._calls:
            self._next = self._calls.pop()
        elif rule.verb in {Verb.MOVE, Verb.DELETE, Verb.EXIT, Verb.RETURN}:
            # A Return that nobody has called is the end, as Exit is.
            raise _Stop
