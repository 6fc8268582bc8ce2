"""
What a DKIM signature is made over: header fields and bodies in the "relaxed" form (RFC 6376 3.4), the body piece by piece.

Lines may end in LF or CRLF, as messages are stored; what is hashed is what goes over the wire. A body of any size takes no more
memory than one piece of it.
"""

from __future__ import annotations

import hashlib
import re

import attrs

from hermes.protocols.wire import WireEncoder

# WSP = SP / HTAB   (RFC 5234 B.1)
_WSP_RUN = re.compile(rb"[ \t]+")

#: Empty lines are counted while it is not known whether they are the last ones; so many go into the hash at a time.
_LINES_AT_ONCE = 4096


class BodyDigest:
    """
    The SHA-256 of a body in the relaxed form (RFC 6376 3.4.4, 3.7).

    ``binary`` bodies go over the wire as they are; all others get CRLF line ends on the way.
    """

    def __init__(self, *, binary: bool = False) -> None:
        self._digest = hashlib.sha256()
        self._encoder = None if binary else WireEncoder(stuffing=False)
        self._space = False
        self._held_cr = b""
        self._empty_lines = 0
        self._begun = False

    def update(self, chunk: bytes) -> None:
        """Take the next piece, as it is stored."""
        self._update(chunk if self._encoder is None else self._encoder.encode(chunk))

    def finish(self) -> bytes:
        """The digest; nothing may be added afterwards."""
        if self._encoder is not None:
            self._update(self._encoder.finish())
        if self._held_cr:
            # It ends no line, so white space before it is within one.
            self._hash(b" " + self._held_cr if self._space else self._held_cr)
        if self._begun:
            # Whatever empty lines there are at the end, they count as none; and the last line always has its end.
            self._digest.update(b"\r\n")
        return self._digest.digest()

    def _update(self, wire: bytes) -> None:
        data = self._held_cr + wire
        if data.endswith(b"\r"):
            self._held_cr, data = b"\r", data[:-1]
        else:
            self._held_cr = b""
        if not data:
            return
        if self._space:
            data = b" " + data
        # All WSP within a line becomes one space, and at the end of a line nothing.
        data = _WSP_RUN.sub(b" ", data).replace(b" \r\n", b"\r\n")
        self._space = data.endswith(b" ")
        if self._space:
            data = data[:-1]
        self._hash(data)

    def _hash(self, data: bytes) -> None:
        text, lines = _without_line_ends(data)
        if text:
            while self._empty_lines:
                some = min(self._empty_lines, _LINES_AT_ONCE)
                self._digest.update(b"\r\n" * some)
                self._empty_lines -= some
            self._digest.update(text)
            self._begun = True
        self._empty_lines += lines


def _without_line_ends(data: bytes) -> tuple[bytes, int]:
    """The octets without the CRLFs at their end, and how many of these there are."""
    tail = len(data) - len(data.rstrip(b"\r\n"))
    if data.endswith(b"\r\n" * (tail // 2)):
        lines = tail // 2
    else:  # a binary body with a CR or LF that stands alone
        lines, end = 0, len(data)
        while data.endswith(b"\r\n", 0, end):
            lines, end = lines + 1, end - 2
    return data[: len(data) - 2 * lines], lines


@attrs.frozen
class Field:
    """One header field: its name in lower case, and its octets with the name, folded as they are, without the last line end."""

    name: str
    octets: bytes


def fields_of(header: bytes) -> list[Field] | None:
    """The fields of a header section (without the empty line), in order; None when something in it is none."""
    fields: list[Field] = []
    lines: list[bytes] = []

    def end() -> bool:
        name, colon, _ = lines[0].partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not name or any(not 33 <= octet <= 126 for octet in name):
            return False
        fields.append(Field(name.decode("ascii").lower(), b"\r\n".join(lines)))
        return True

    for line in header.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n"):
        if line[:1] in (b" ", b"\t") and lines:
            lines.append(line)
        else:
            if lines and not end():
                return None
            lines = [line]
    return fields if end() else None


def relaxed_field(field: bytes) -> bytes:
    """RFC 6376 3.4.2: a header field in the relaxed form, without a line end."""
    name, _, value = field.partition(b":")
    unfolded = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return name.rstrip(b" \t").lower() + b":" + _WSP_RUN.sub(b" ", unfolded).strip(b" ")
