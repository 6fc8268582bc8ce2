"""The header of a message, field by field (RFC 5322 2.2), as checks read it: tolerant, and not before somebody asks."""

from __future__ import annotations

import re

# field = field-name ":" unstructured CRLF, and the lines that a folded one goes on in   (RFC 5322 2.2.3)
# obs: white space before the colon (4.5.8)
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class Header:
    """The fields; ``octets`` are those before the empty line, ``whole`` is false where there were too many to look at."""

    __slots__ = ("_fields", "octets", "whole")

    def __init__(self, octets: bytes, *, whole: bool = True) -> None:
        self.octets = octets
        self.whole = whole
        self._fields: dict[str, list[bytes]] | None = None

    def all(self, name: str) -> list[str]:
        """The values of all fields of that name, in any case, unfolded and without space around; in order."""
        return [_text(value) for value in self._parsed().get(name.lower(), ())]

    def first(self, name: str) -> str | None:
        """The first of them; None when there is none."""
        values = self._parsed().get(name.lower())
        return _text(values[0]) if values else None

    def names(self) -> list[str]:
        """The names of the fields that there are, in lower case, each once."""
        return list(self._parsed())

    def _parsed(self) -> dict[str, list[bytes]]:
        if self._fields is None:
            self._fields = {}
            for field in _FIELD.finditer(self.octets):
                self._fields.setdefault(field[1].decode("ascii").lower(), []).append(field[2])
        return self._fields


def _text(value: bytes) -> str:
    # RFC 5322 2.2.3: unfolding takes away the line ends, and nothing else.
    return _FOLD.sub(b"", value).strip().decode("utf-8", "replace")
