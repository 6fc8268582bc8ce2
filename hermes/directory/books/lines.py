"""The lines of an address book."""

from __future__ import annotations

import re

# Only these end a line (RFC 2849, RFC 6350 3.2, and systems of old): what Python takes for an end of a line besides, like U+2028,
# is text that people have in their notes.
_END = re.compile(r"\r\n|\n|\r")


def lines_of(text: str) -> list[str]:
    """Without their ends."""
    return _END.split(text)
