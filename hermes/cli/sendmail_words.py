"""
The options of ``sendmail``, as they are written since 1983: ``-t -i -f ADDRESS``, ``-fADDRESS``, ``-oi``, ``-bs``.

Those that ask for something that Hermes does anyway, or that have no meaning here, are known and ignored; what is not known is a
wrong use, for a program that says it means something.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

#: Options that take a value: beside it or as the next word.
_WITH_VALUE = frozenset("fFrhNRVBCLOXpqo")

#: Of these, those whose value must stand beside them, if there is one at all (``-q``, ``-oi``).
_BESIDE = frozenset("qo")

#: Known, and of no meaning here.
_IGNORED = frozenset("mnvUGsxe")

MODES = frozenset("mspidtv")


class UsageError(ValueError):
    """The words cannot be understood."""


@attrs.define
class Words:
    """
    What was asked for.

    ``mode`` is m (send), s (SMTP at standard input and output), p (show the queue), q (try the queue) or i (aliases).
    """

    mode: str = "m"
    recipients: list[str] = attrs.field(factory=list)
    from_header: bool = False
    ignore_dots: bool = False
    sender: str | None = None
    full_name: str = ""
    notify: frozenset[str] | None = None
    ret: str | None = None
    envid: str | None = None
    config: str = ""


def parse(arguments: Sequence[str]) -> Words:
    """Read the words; raise UsageError."""
    words = Words()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words.recipients += rest
            break
        if not word.startswith("-") or word == "-":
            words.recipients.append(word)
            continue
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter == "b":
                _mode(words, letters)
                letters = ""
            elif letter in _WITH_VALUE:
                if not letters and letter not in _BESIDE:
                    if not rest:
                        raise UsageError(f"-{letter} needs a value")
                    letters = rest.pop(0)
                _value(words, letter, letters)
                letters = ""
            elif letter == "t":
                words.from_header = True
            elif letter == "i":
                words.ignore_dots = True
            elif letter in "Aed":
                letters = ""  # -Am, -em, -d0.1
            elif letter not in _IGNORED:
                raise UsageError(f"-{letter} is not an option")
    return words


def _mode(words: Words, letter: str) -> None:
    if letter not in MODES or len(letter) != 1:
        raise UsageError(f"-b{letter} is not a mode: there are -bm, -bs, -bp and -bi")
    if letter in "dtv":
        raise UsageError(f"-b{letter} is not offered here; the server is started with: hermes run")
    words.mode = letter


def _value(words: Words, letter: str, value: str) -> None:
    match letter:
        case "f" | "r":
            words.sender = value.removeprefix("<").removesuffix(">")
        case "F":
            words.full_name = value
        case "C":
            words.config = value
        case "q":
            words.mode = "q"
        case "o":
            words.ignore_dots = words.ignore_dots or value == "i"
        case "N":
            notify = frozenset(value.upper().split(","))
            if not notify <= {"NEVER", "SUCCESS", "FAILURE", "DELAY"} or ("NEVER" in notify and len(notify) > 1):
                raise UsageError("-N is followed by never, or by some of success, failure and delay")
            words.notify = notify
        case "R":
            if value.upper() not in {"FULL", "HDRS"}:
                raise UsageError("-R is followed by full or hdrs")
            words.ret = value.upper()
        case "V":
            words.envid = value
