"""
How names are written so that a directory takes them for nothing else: in filters (RFC 4515 3), in distinguished names
(RFC 4514 2.4), and as NetWare writes them, ``.joe.sales.acme`` or ``CN=joe.OU=sales.O=acme``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: What stands for itself in filters and names alike. Everything else is written as its octets, whether it has to be or not: so no
#: list of special characters can have a gap.
_PLAIN = re.compile(rb"[A-Za-z0-9]")

#: How long a name may be that is asked for: an address (RFC 5321 4.5.3.1.3) or a name of NDS (256 characters) at most.
MAX_NAME_OCTETS = 320

#: Parts of a name of NDS: what is between dots, of which one with a backslash is not one.
_PART = re.compile(r"(?:\\.|[^.\\])*", re.DOTALL)

_TYPED = re.compile(r"(cn|ou|o|c|dc|l|st|uid)=(.*)\Z", re.IGNORECASE | re.DOTALL)


def is_askable(text: str) -> bool:
    """Whether a directory can know that at all: text of UTF-8, not empty, of a sensible length."""
    try:
        return 0 < len(text.encode("utf-8")) <= MAX_NAME_OCTETS
    except UnicodeEncodeError:
        # Octets of a client that were no UTF-8.
        return False


def filter_value(text: str) -> str:
    r"""An assertion value: ``valueencoding`` of RFC 4515 3, whose ``escaped`` is a backslash and two hexadecimal digits."""
    return _escaped(text)


def dn_value(text: str) -> str:
    r"""The value of an attribute in a distinguished name: ``hexpair`` of RFC 4514 3 is a backslash and two digits as well."""
    return _escaped(text)


def _escaped(text: str) -> str:
    return "".join(chr(octet) if _PLAIN.match(bytes((octet,))) else f"\\{octet:02x}" for octet in text.encode("utf-8"))


def form_pieces(form: str) -> tuple[str, str] | None:
    """The first name, or how it begins, and the surname in a form like ``ann.archer`` or ``a_archer``; None when it is none."""
    separator = "." if "." in form else "_"
    first, found, last = form.partition(separator)
    if separator == "_":
        # A name may have the character in it: what is between is not looked at here.
        last = last.rpartition(separator)[2]
    return (first, last) if found and first and last and "." not in last else None


def nds_parts(name: str) -> list[tuple[str, str]]:
    """
    Type and value of each part of a name of NDS, from the leaf up; types in lower case, and empty where none is written.

    ValueError when it cannot be a name. A dot or backslash within a value has a backslash before it.
    """
    parts = []
    position = 0
    while True:
        match = _PART.match(name, position)
        assert match is not None, "the pattern matches the empty text"
        typed = _TYPED.match(match[0])
        kind, value = (typed[1].lower(), typed[2]) if typed else ("", match[0])
        value = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL).strip()
        if not value:
            raise ValueError(f"{name!r} is no name of a directory: a part of it is empty")
        parts.append((kind, value))
        if match.end() == len(name):
            return parts
        if name[match.end()] != ".":
            raise ValueError(f"{name!r} is no name of a directory: it ends with a backslash")
        position = match.end() + 1


def nds_dn(parts: Sequence[tuple[str, str]], *, leaf: bool = True) -> str:
    """
    The distinguished name of those parts, which reach up to the root.

    What has no type gets NetWare's: the leaf is a CN, the last an O, and what is between them are OUs. Without ``leaf`` it is the
    name of a container.
    """
    named = []
    for number, (kind, value) in enumerate(parts):
        implied = "cn" if leaf and not number else "o" if number == len(parts) - 1 else "ou"
        named.append(f"{kind or implied}={dn_value(value)}")
    return ",".join(named)


def nds_context(text: str) -> str:
    """The distinguished name of a context, as ``sales.acme`` or ``OU=sales.O=acme``; ``[root]`` is the root."""
    text = text.strip()
    if text.lower() in {"", "[root]"}:
        return ""
    return nds_dn(nds_parts(text.removeprefix(".")), leaf=False)


def dn_parts(dn: str) -> list[tuple[str, str]]:
    """Type and value of each relative name of a distinguished name, both in lower case (RFC 4514 3); ValueError if it is none."""
    parts: list[tuple[str, str]] = []
    for text in _split(dn, ","):
        kind, equals, value = text.partition("=")
        if not equals or not kind.strip():
            raise ValueError(f"{dn!r} is not a distinguished name")
        parts.append((kind.strip().lower(), _unescaped(value).lower()))
    return parts


def domain_of(dn: str) -> str:
    """The DNS name that the end of a distinguished name stands for (RFC 2247), in lower case; empty when it stands for none."""
    labels = []
    for kind, value in reversed(dn_parts(dn)):
        if kind != "dc":
            break
        labels.append(value)
    return ".".join(reversed(labels))


def is_below(parts: Sequence[tuple[str, str]], base: Sequence[tuple[str, str]], *, subtree: bool) -> bool:
    """Whether an entry is in a container, or with ``subtree`` anywhere below it; both as :func:`dn_parts`."""
    above = len(parts) - len(base)
    return above >= 1 and (subtree or above == 1) and list(parts[above:]) == list(base)


def _split(text: str, separator: str) -> list[str]:
    pieces = re.findall(rf"((?:\\.|[^\\{separator}])*)(?:{separator}|\Z)", text, re.DOTALL)
    # The pattern finds one more, which is empty, at the end.
    return pieces[:-1] if text else []


def _unescaped(value: str) -> str:
    value = value.lstrip(" ")
    # A blank at the end counts only when it is escaped (RFC 4514 2.4).
    while value.endswith(" ") and not value.endswith("\\ "):
        value = value[:-1]
    octets = re.sub(
        rb"\\([0-9A-Fa-f]{2}|.)",
        lambda match: bytes.fromhex(match[1].decode()) if len(match[1]) == 2 else match[1],
        value.encode("utf-8", "surrogatepass"),
        flags=re.DOTALL,
    )
    return octets.decode("utf-8", "replace")
