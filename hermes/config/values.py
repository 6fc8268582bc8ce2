"""
Values as people write them: the text of each kind of setting, read and written.

The kinds are listed in :mod:`hermes.config.schema`. For every kind, what :func:`format_value` writes is read back by
:func:`parse_value` as the same value. Paths and secrets stay text here; the loader, which knows the directories, resolves them.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable

from hermes.config.catalog import Setting, Value
from hermes.config.listener import parse_listener
from hermes.config.setting import Network
from hermes.core.address_range import AddressRange
from hermes.core.units import format_size, format_time, parse_flag, parse_size, parse_time

#: Numbers are counts and ports: what fits into 31 bits is more than any machine has.
MAX_NUMBER = 2**31 - 1

#: The largest integer that SQLite, which stores sizes, can hold.
MAX_SIZE = 2**63 - 1

#: A hundred years: longer than any timer that is meant, and short enough for every clock.
MAX_TIME = 100 * 365 * 86400

# More digits than any of these limits has; int() is slow for, and at last refuses, very long ones.
_TOO_MANY_DIGITS = re.compile(r"\d{20}", re.ASCII)

_LISTS = frozenset({"words", "listeners", "networks", "ranges", "times"})


def parse_value(setting: Setting, text: str) -> Value:
    """Read the text of a setting; raise ValueError with a remedy (and, for a secret, without the value)."""
    text = text.strip()
    if "\n" in text and setting.kind not in _LISTS:
        raise ValueError("the value goes on in an indented line; a setting of its own must begin at the line's start")
    if setting.kind == "choice":
        return _choice(text, setting.choices)
    try:
        return _PARSERS[setting.kind](text)
    except ValueError as error:
        # "port = 25  # usual" is the likeliest mistake of all.
        if re.search(r"\s[#;]", text):
            raise ValueError(f"{error} (a comment needs a line of its own)") from None
        raise


def format_value(kind: str, value: Value) -> str:
    """Write a value as :func:`parse_value` reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return {"size": format_size, "time": format_time}.get(kind, str)(value)
    if isinstance(value, tuple):
        return ", ".join(_format_item(item) for item in value)
    return value


def _format_item(item: str | int | Network | AddressRange) -> str:
    if isinstance(item, str | AddressRange):
        return str(item)
    if isinstance(item, int):
        return format_time(item)
    return str(item.network_address) if item.prefixlen == item.max_prefixlen else str(item)


def items(text: str) -> list[str]:
    """Split a list at its commas (and at line ends, where it goes on in indented lines)."""
    return [item for part in re.split(r"[,\n]", text) if (item := part.strip())]


def _text(text: str) -> str:
    return text


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a number: write digits alone")
    return _bounded(text, int, MAX_NUMBER, str(MAX_NUMBER))


def _size(text: str) -> int:
    return _bounded(text, parse_size, MAX_SIZE, format_size(MAX_SIZE))


def _time(text: str) -> int:
    return _bounded(text, parse_time, MAX_TIME, format_time(MAX_TIME))


def _bounded(text: str, parse: Callable[[str], int], limit: int, limit_text: str) -> int:
    if _TOO_MANY_DIGITS.search(text) or (value := parse(text)) > limit:
        raise ValueError(f"{text[:40]!r} is too much: the most is {limit_text}")
    return value


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text.lower() in choices:
        return text.lower()
    close = difflib.get_close_matches(text.lower(), choices, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"write {', '.join(choices[:-1])} or {choices[-1]}"
    raise ValueError(f"{text!r} is not one of the choices: {remedy}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(items(text))


def _listeners(text: str) -> tuple[str, ...]:
    return tuple(str(parse_listener(item)) for item in items(text))


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(_network(item) for item in items(text))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a network: write an address or ADDRESS/BITS like 192.0.2.0/24") from None
    raise ValueError(f"{text!r} has bits set outside of its mask: did you mean {meant}?")


def _ranges(text: str) -> tuple[AddressRange, ...]:
    return tuple(AddressRange.parse(item) for item in items(text))


def _times(text: str) -> tuple[int, ...]:
    return tuple(_time(item) for item in items(text))


_PARSERS: dict[str, Callable[[str], Value]] = {
    "text": _text,
    "number": _number,
    "size": _size,
    "time": _time,
    "flag": parse_flag,
    "words": _words,
    "listeners": _listeners,
    "networks": _networks,
    "ranges": _ranges,
    "times": _times,
    "path": _text,
    "secret": _text,
}
