"""
A message's header for clients that have not asked for UTF-8: all ASCII, with as much of the meaning as ASCII can carry.

RFC 6856 2.1 forbids to send UTF-8 as it is outside UTF-8 mode, and leaves two ways out: to refuse the message, which leaves
most of today's clients stuck before it, or to send a surrogate in its place. The surrogate is that of RFC 6858: addresses that
cannot be written in ASCII become one that nobody can answer, with the real one in its display name; text becomes encoded words
(RFC 2047), parameters are encoded (RFC 2231), other fields that are not ASCII are left out. Bodies stay as they are.

What is not valid UTF-8 either is no text of RFC 6532; it is passed on as it came, as it always was.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterator
from urllib.parse import quote

#: RFC 6858 2.1.
_NO_ADDRESS = "<invalid@internationalized-address.invalid>"

#: Octets in an encoded word: with its frame and the longest of the names below it stays under 76 (RFC 2047 2).
_WORD_OCTETS = 36

#: Octets in one part of a parameter: each may become three characters (RFC 2231 3 and 4).
_PARAMETER_OCTETS = 20

_ADDRESS_FIELDS = frozenset(
    f"{prefix}{name}" for prefix in ("", "resent-") for name in ("from", "sender", "reply-to", "to", "cc", "bcc")
)
_MIME_FIELDS = frozenset({"content-type", "content-disposition"})
_TEXT_FIELDS = frozenset({"subject", "comments", "keywords", "content-description", "organization", "thread-topic"})

# A field with its folded lines (RFC 5322 2.2.3).
_FIELD = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*\n?")

# quoted-string / comment / angle-addr / separators of lists and groups / anything else between spaces (RFC 5322 3.4)
# A quoted-string or comment without its end takes all the rest: to look for the end anew at each quote would take for ever.
_ADDRESS_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|\((?:[^()\\]|\\.)*\)?|<[^<>]*>|[,;:]|[^\s"(<,;:]+|\S')

# attribute "=" value   (RFC 2045 5.1)
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"?|[^\s;"]*)')


def ascii_header(header: bytes) -> bytes:
    """The header (the lines before the empty one) with every field in ASCII that was in UTF-8."""
    return b"".join(field if field.isascii() else _surrogate(field) for field in _FIELD.findall(header))


def _surrogate(field: bytes) -> bytes:
    try:
        name, _, value = field.decode("utf-8").partition(":")
    except UnicodeDecodeError:
        return field
    kind = name.strip().lower()
    value = " ".join(value.split())
    if not name.isascii():
        return b""
    if kind in _ADDRESS_FIELDS:
        value = _addresses(value)
    elif kind in _MIME_FIELDS:
        value = _PARAMETER.sub(_parameter, value).encode("ascii", "replace").decode("ascii")
    elif kind in _TEXT_FIELDS or kind.startswith("x-"):
        value = _encoded_words(value)
    else:
        return b""
    return f"{name}: {value}\n".encode("ascii")


def _addresses(value: str) -> str:
    """A list of addresses and groups, each entry on a line of its own."""
    parts: list[str] = []
    entry: list[str] = []
    for token in _ADDRESS_TOKEN.findall(value):
        if token in {",", ";", ":"}:
            parts.append(_address(entry) + token)
            entry = []
        else:
            entry.append(token)
    parts.append(_address(entry))
    return "\n ".join(part for part in parts if part)


def _address(tokens: list[str]) -> str:
    """One entry: ``display name <address>``, an address alone, or the name of a group."""
    entry = " ".join(tokens)
    if entry.isascii():
        return entry
    address = next((token for token in tokens if token.startswith("<")), "")
    address = address[1:-1] or next((token for token in tokens if "@" in token), "")
    display = " ".join(_unquoted(token) for token in tokens if address not in {token, token[1:-1]})
    if address.isascii():
        return f"{_encoded_words(display)} <{address}>" if address else _encoded_words(display)
    return f"{_encoded_words(f'{display} <{address}>' if display else address)} {_NO_ADDRESS}"


def _parameter(found: re.Match[str]) -> str:
    attribute, value = found[1], found[2]
    if value.isascii() or not attribute.isascii():
        return found[0]
    parts = [quote(part, safe="") for part in _split(_unquoted(value), _PARAMETER_OCTETS)]
    # RFC 2231 4.1: the charset stands before the first part only.
    parts[0] = f"utf-8''{parts[0]}"
    if len(parts) == 1:
        return f";\n {attribute}*={parts[0]}"
    return "".join(f";\n {attribute}*{number}*={part}" for number, part in enumerate(parts))


def _unquoted(token: str) -> str:
    """The text of a quoted-string or comment; anything else as it is."""
    if len(token) > 1 and token[0] + token[-1] in {'""', "()"}:
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    return token


def _encoded_words(text: str) -> str:
    return "\n ".join(
        f"=?utf-8?b?{b2a_base64(part.encode(), newline=False).decode('ascii')}?=" for part in _split(text, _WORD_OCTETS)
    )


def _split(text: str, most: int) -> Iterator[str]:
    """Cut text into parts of at most so many octets in UTF-8, never inside a character (RFC 2047 5)."""
    start = octets = 0
    for position, character in enumerate(text):
        size = len(character.encode())
        if octets + size > most:
            yield text[start:position]
            start, octets = position, 0
        octets += size
    yield text[start:]
