"""Header text as people read it: the encoded words of MIME (RFC 2047) made text again, and what is none left as it is."""

from __future__ import annotations

import binascii
import re
from encodings import normalize_encoding
from encodings.aliases import aliases

# encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="   (RFC 2047 2, RFC 2231 5)
_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\s]*)\?=")

# White space between two encoded words is no text (RFC 2047 6.2).
_BETWEEN = re.compile(r"\?=\s+(?==\?)")

_HEXADECIMAL = re.compile(r"=([0-9A-Fa-f]{2})")

#: The character sets that are read. Python is asked for no other: it looks through the disk for each name that it does not know,
#: and remembers that name for ever, so that a stranger with names of his own would slow the server down and fill its memory.
_CHARSETS = frozenset(
    {*aliases, *aliases.values(), "koi8_u", "koi8_t", "cp720", "cp737", "cp856", "cp874", "utf_8_sig"}
)


def decoded(text: str) -> str:
    """The text with every encoded word that can be read in place of its code."""
    if "=?" not in text:
        return text
    return _WORD.sub(_word, _BETWEEN.sub("?=", text))


def is_known(charset: str) -> bool:
    """Whether Python may be asked for a character set of that name."""
    # The names of RFC 2047 are ASCII; in whatever case, and with hyphens where Python has underscores.
    return charset.isascii() and normalize_encoding(charset).lower() in _CHARSETS


def _word(found: re.Match[str]) -> str:
    charset, encoding, coded = found.groups()
    if not is_known(charset):
        return found[0]
    try:
        if encoding in "bB":
            # Some leave out the padding, and some have too much of it.
            octets = binascii.a2b_base64(coded + "==")
        else:
            # RFC 2047 4.2: an underscore is a space in whatever character set.
            plain = coded.replace("_", " ")
            octets = _HEXADECIMAL.sub(lambda one: chr(int(one[1], 16)), plain).encode("latin-1")
        return octets.decode(charset, "replace")
    except (LookupError, ValueError):
        return found[0]
