"""Text from strangers, made fit to be shown: one line, no control characters, no more than so many characters."""

from __future__ import annotations

import re

#: Controls (C0, DEL, C1), the line ends that only Unicode knows, marks that change the direction of writing (they make text
#: read other than it is), and halves of surrogate pairs, which cannot be encoded.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_CUT = " [...]"


def one_line(text: str, most: int) -> str:
    """The text with a space for every unprintable character, cut to ``most`` characters with a mark when it is longer."""
    if len(text) > most:
        text = text[: max(most - len(_CUT), 0)] + _CUT
    return _UNPRINTABLE.sub(" ", text)
