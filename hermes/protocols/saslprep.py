"""
SASLprep: names and passwords outside ASCII in the one form in which they are compared (RFC 4013, RFC 6856 2.2).

``é`` can be one character or two; without this a password typed on one system does not fit what was set on another.
"""

from __future__ import annotations

import stringprep
import unicodedata

#: RFC 4013 2.3: what may not be in a name or a password. Python's ``in_table_c21`` and ``in_table_c22`` are controls.
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """
    Prepare a name or password as a query (unassigned code points are allowed); raise ValueError when it holds what may not
    be in one.
    """
    if text.isascii():
        if not text.isprintable():
            raise ValueError("control characters are not allowed")
        return text
    # RFC 4013 2.1: other spaces become the space, what is commonly mapped to nothing disappears.
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if any(is_prohibited(character) for character in prepared for is_prohibited in _PROHIBITED):
        raise ValueError("characters that cannot be typed or seen are not allowed")
    _check_direction(prepared)
    return prepared


def _check_direction(text: str) -> None:
    """RFC 3454 6: text that runs from right to left begins and ends so, and holds nothing that runs the other way."""
    if not any(stringprep.in_table_d1(character) for character in text):
        return
    if any(stringprep.in_table_d2(character) for character in text):
        raise ValueError("text from left to right and from right to left cannot be mixed")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise ValueError("text from right to left must begin and end with a letter")
