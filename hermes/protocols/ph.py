"""
The commands of the CCSO name server, without a network (RFC 2378; Mercury H).

Clients that are in use end lines in LF or CRLF. What would change the data base is known and refused: this is a book to look
things up in.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import attrs

from hermes.core.phone_book import FIELDS, MAX_TERM_CHARACTERS, MAX_WILDCARDS, Term
from hermes.protocols.receive_buffer import Line, ReceiveBuffer

#: Octets of a command line with its end. RFC 2378 names no limit.
MAX_LINE_OCTETS = 1024

#: Terms and fields to return of one query.
MAX_WORDS = 20


@attrs.frozen
class Status:
    """``status``."""


@attrs.frozen
class SiteInfo:
    """``siteinfo``."""


@attrs.frozen
class Fields:
    """``fields [NAME...]``; empty for all."""

    names: tuple[str, ...] = ()


@attrs.frozen
class Identify:
    """``id TEXT``: who asks, for the log."""

    text: str


@attrs.frozen
class Query:
    """``query TERM... [return FIELD...]``; without fields the usual ones, with ``everything`` all that may be shown."""

    terms: tuple[Term, ...]
    fields: tuple[str, ...] = ()
    everything: bool = False


@attrs.frozen
class SetOption:
    """``set [OPTION[=VALUE]]``."""

    options: tuple[str, ...]


@attrs.frozen
class Help:
    """``help``."""


@attrs.frozen
class Quit:
    """``quit``, ``exit`` or ``stop``."""


@attrs.frozen
class Refused:
    """A line that cannot be answered: code and text of RFC 2378 3.2 and 4."""

    code: int
    text: str


Event = Status | SiteInfo | Fields | Identify | Query | SetOption | Help | Quit | Refused

#: What would log somebody in or change something.
_NOT_OFFERED = frozenset(
    ("login", "xlogin", "answer", "clear", "email", "logout", "add", "change", "delete", "pdelete")
)

_TOO_LONG = Refused(599, "The line is too long.")
_NOT_TEXT = Refused(599, "The line is not text.")
_UNKNOWN = Refused(514, "Unknown command.")
_READ_ONLY = Refused(506, "This book is only for looking things up.")
_NOTHING_ASKED = Refused(599, "Say what to look for.")
_NO_INDEXED = Refused(515, "At least one indexed field must be in the query.")
_TOO_MANY_WORDS = Refused(502, f"A query has at most {MAX_WORDS} words.")
_BAD_TERM = Refused(
    512,
    f"A word has at most {MAX_TERM_CHARACTERS} characters and {MAX_WILDCARDS} wildcards, and something beside them.",
)

# word = 1*CHAR / <"> *CHAR <">, both also behind keyword "="   (RFC 2378 2.2)
_TOKEN = re.compile(r'(?:([A-Za-z][A-Za-z0-9_-]*)=)?(?:"([^"]*)"|([^\s"]+))')
_SPACE = re.compile(r"\s*")


class PhoneBookServer:
    """One session: octets in, events out."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()

    def receive(self, data: bytes) -> None:
        """Take octets from the client."""
        self._buffer.feed(data)

    def next_event(self) -> Event | None:
        """The next line's meaning; None when more octets are needed."""
        line = self._buffer.line(MAX_LINE_OCTETS)
        if line is Line.INCOMPLETE:
            return None
        if line is Line.TOO_LONG:
            return _TOO_LONG
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError:
            return _NOT_TEXT
        if not text.isprintable():
            return _NOT_TEXT
        verb, _, argument = text.partition(" ")
        return _event(verb.lower(), argument.strip())


def _event(verb: str, argument: str) -> Event:
    match verb:
        case "status":
            return Status()
        case "siteinfo":
            return SiteInfo()
        case "fields":
            return Fields(tuple(argument.lower().split())[:MAX_WORDS])
        case "id":
            return Identify(argument)
        case "query" | "ph":
            return _query(argument)
        case "set":
            return SetOption(tuple(argument.split())[:MAX_WORDS])
        case "help":
            return Help()
        case "quit" | "exit" | "stop":
            return Quit()
        case _:
            return _READ_ONLY if verb in _NOT_OFFERED else _UNKNOWN


def _query(argument: str) -> Query | Refused:
    tokens = _tokens(argument)
    if tokens is None:
        return _NOT_TEXT
    wanted = [text.lower() for field, text in tokens]
    end = next((number for number, (field, _) in enumerate(tokens) if not field and wanted[number] == "return"), None)
    fields = [] if end is None else wanted[end + 1 :]
    terms = [Term(field.lower() or "name", word) for field, text in tokens[:end] for word in text.split() or [""]]
    # Quotes hold several words; each is looked for on its own, and is what a query costs.
    if len(terms) + len(fields) > MAX_WORDS:
        return _TOO_MANY_WORDS
    return _refusal(terms, fields) or Query(
        tuple(terms), tuple(field for field in fields if field != "all"), everything="all" in fields
    )


def _refusal(terms: Collection[Term], fields: Collection[str]) -> Refused | None:
    if not terms:
        return _NOTHING_ASKED
    for name in (*(term.field for term in terms), *(field for field in fields if field != "all")):
        if name not in FIELDS:
            return Refused(507, f"{name}: there is no such field.")
    for term in terms:
        wildcards = len(re.findall(r"\*+|\?", term.text))
        if len(term.text) > MAX_TERM_CHARACTERS or wildcards > MAX_WILDCARDS or not term.text.strip("*?"):
            return _BAD_TERM
    return None if any(FIELDS[term.field].indexed for term in terms) else _NO_INDEXED


def _tokens(argument: str) -> list[tuple[str, str]] | None:
    """Field (or empty) and text of each word; None when the quotes are not in order."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(argument):
        found = _TOKEN.match(argument, position)
        if found is None:
            return None
        tokens.append((found[1] or "", found[3] if found[2] is None else found[2]))
        position = found.end()
        space = _SPACE.match(argument, position)
        position = space.end() if space else position
    return tokens
