"""
A message as other programs have kept it: what they noted in its header about its state, and by what it is known again.

Programs that keep mail in one file write into each header whether the message has been read. In a maildir that stands in the
file's name, so those fields are taken out when a message comes in, and made when it goes out. The fields are those of c-client
and what follows it (``Status``, ``X-Status``), of Thunderbird (``X-Mozilla-Status``) and of Pegasus Mail (``X-PMFLAGS``).
"""

from __future__ import annotations

import enum
import re
from hashlib import blake2b

import attrs

from hermes.core.header_facts import MAX_HEADER_OCTETS, header_end

#: What a message is known by has so many octets: two that happen to have the same will not be met, and who makes two with much
#: work has lost one of his own.
DIGEST_OCTETS = 16

# field = field-name ":" unstructured CRLF, and the lines that a folded one goes on in   (RFC 5322 2.2, 4.5.8)
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)", re.MULTILINE)

#: They say how a message stood in the file that it was kept in, and mean nothing elsewhere.
_OF_THE_FILE = frozenset(
    {
        *(b"status", b"x-status", b"content-length", b"x-uid", b"x-imap", b"x-imapbase"),
        *(b"x-mozilla-status", b"x-mozilla-status2"),
    }
)

#: They come and go without the message being another one.
_KEYWORDS = frozenset({b"x-keywords", b"x-mozilla-keys"})
_NOT_COUNTED = _OF_THE_FILE | _KEYWORDS | {b"return-path"}

# Letters of Status and X-Status, and what they are in a maildir.
_STATUS = {b"R": "S"}
_X_STATUS = {b"A": "R", b"D": "T", b"F": "F", b"T": "D"}
_TO_X_STATUS = {flag: letter.decode("ascii") for letter, flag in _X_STATUS.items()}

# Bits of X-Mozilla-Status, four hexadecimal digits. A message with EXPUNGED is gone, and stays in the file until it is compacted.
_MOZILLA = {0x0001: "S", 0x0002: "R", 0x0004: "F", 0x1000: "P"}
_MOZILLA_EXPUNGED = 0x0008

# The bit of X-PMFLAGS that says that a message has been read; the number is the first of the field.
_PEGASUS_READ = 0x80


class Keeping(enum.Enum):
    """How messages were kept."""

    MBOX = "mbox"
    MAILDIR = "maildir"
    CNM = "cnm"


@attrs.frozen
class State:
    """
    What a header says about the state of its message.

    ``flags`` are those of a maildir, in order; ``is_old`` says that a program has shown it. ``gone`` says why it is no message.
    """

    flags: str = ""
    is_old: bool = False
    gone: str = ""


@attrs.frozen
class Opened:
    """The header of a kept message: what stays of it, what of that counts for its digest, and what it says."""

    kept: bytes
    counted: bytes
    state: State


def opened(header: bytes, keeping: Keeping) -> Opened:
    """Look at a header; every line ends in LF."""
    kept = header
    state = State()
    if keeping is Keeping.MBOX:
        kept = _without(header, _OF_THE_FILE)
        state = _state_in_mbox(header)
    elif keeping is Keeping.CNM:
        state = _state_of_pegasus(header)
    return Opened(kept, _without(header, _NOT_COUNTED), state)


def _without(header: bytes, names: frozenset[bytes]) -> bytes:
    """The header without some fields, and without keywords where there are none, for which programs keep room."""

    def stays(field: re.Match[bytes]) -> bytes:
        name = field[1].lower()
        return b"" if name in names or (name in _KEYWORDS and not field[2].strip()) else field[0]

    return _FIELD.sub(stays, header)


def _values(header: bytes) -> dict[bytes, bytes]:
    """The first value of each field."""
    found: dict[bytes, bytes] = {}
    for field in _FIELD.finditer(header):
        found.setdefault(field[1].lower(), field[2].strip())
    return found


def _state_in_mbox(header: bytes) -> State:
    values = _values(header)
    # c-client keeps its own data in a first message that is none.
    if b"x-imap" in values:
        return State(gone="data of the program that kept it")
    flags, status = set(), values.get(b"status", b"")
    flags |= {flag for letter, flag in _STATUS.items() if letter in status}
    flags |= {flag for letter, flag in _X_STATUS.items() if letter in values.get(b"x-status", b"")}
    is_old = bool(flags) or b"O" in status
    bits = values.get(b"x-mozilla-status", b"")
    if re.fullmatch(rb"[0-9A-Fa-f]{4}", bits):
        number = int(bits, 16)
        if number & _MOZILLA_EXPUNGED:
            return State(gone="deleted there")
        flags |= {flag for bit, flag in _MOZILLA.items() if number & bit}
        is_old = is_old or bool(flags)
    return State("".join(sorted(flags)), is_old)


def _state_of_pegasus(header: bytes) -> State:
    found = re.match(rb"(\d{1,10})(?:\s|\Z)", _values(header).get(b"x-pmflags", b""))
    has_been_read = found is not None and bool(int(found[1]) & _PEGASUS_READ)
    return State("S", is_old=True) if has_been_read else State()


def status_lines(flags: str, *, is_old: bool) -> bytes:
    """The fields that say in an mbox what flags a message has in a maildir; P (passed on) has no letter there."""
    status = ("R" if "S" in flags else "") + ("O" if is_old else "")
    other = "".join(sorted(_TO_X_STATUS[flag] for flag in flags if flag in _TO_X_STATUS))
    return (f"Status: {status}\n" if status else "").encode() + (f"X-Status: {other}\n" if other else "").encode()


class Kept:
    """
    Reads a message as it was kept, in pieces with LF line ends; gives out what is to be stored, and its digest at the end.

    ``state`` and ``header`` are there as soon as anything is given out.
    """

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._held = bytearray()
        self._searched = 0
        self._in_body = False
        self._digest = blake2b(digest_size=DIGEST_OCTETS)
        self.state = State()
        self.header = b""

    def feed(self, piece: bytes) -> bytes:
        """The next piece; the header comes out as one."""
        if self._in_body:
            self._digest.update(piece)
            return piece
        self._held += piece
        end = header_end(self._held, self._searched)
        self._searched = len(self._held)
        if end < 0 and len(self._held) <= MAX_HEADER_OCTETS:
            return b""
        return self._open(end if 0 <= end <= MAX_HEADER_OCTETS else 0)

    def finish(self) -> bytes:
        """The message is at its end; what has not been given out: one that is all header."""
        return b"" if self._in_body else self._open(len(self._held))

    def digest(self) -> bytes:
        """By what the message is known: all of it but what comes and goes in its header."""
        return self._digest.digest()

    def _open(self, end: int) -> bytes:
        header, rest = bytes(self._held[:end]), bytes(self._held[end:])
        self._held.clear()
        self._in_body = True
        found = opened(header, self._keeping)
        self.header, self.state = found.kept, found.state
        self._digest.update(found.counted)
        self._digest.update(rest)
        return found.kept + rest
