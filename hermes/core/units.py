"""Sizes, times and flags as people write them: ``50M``, ``1h 30m``, ``yes``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_SIZE_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_TIME_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_FLAGS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}

_SIZE = re.compile(r"(\d+)\s*([KMGT]?)B?\Z", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"(\d+)\s*([smhd])\s*", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Read a size in octets (``10240``, ``20K``, ``50M``, ``1G``); raise ValueError with a remedy."""
    found = _SIZE.match(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size: write a whole number with K, M or G, like 50M")
    return int(found[1]) * _SIZE_UNITS[found[2].upper()]


def parse_time(text: str) -> int:
    """Read a time in seconds (``30s``, ``5m``, ``1h 30m``, ``5d``); raise ValueError with a remedy."""
    text = text.strip()
    if text == "0":
        return 0
    seconds, position = 0, 0
    while found := _TIME.match(text, position):
        seconds += int(found[1]) * _TIME_UNITS[found[2].lower()]
        position = found.end()
    if not position or position != len(text):
        raise ValueError(f"{text!r} is not a time: write whole numbers with s, m, h or d, like 90s or 1h 30m")
    return seconds


def parse_flag(text: str) -> bool:
    """Read ``yes`` or ``no``, as the standard INI reader writes them too; raise ValueError with a remedy."""
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither yes nor no") from None


def format_size(octets: int) -> str:
    """Write a size so that :func:`parse_size` reads the same number back, in the largest unit that divides it."""
    for unit in ("T", "G", "M", "K"):
        if octets and octets % _SIZE_UNITS[unit] == 0:
            return f"{octets // _SIZE_UNITS[unit]}{unit}"
    return str(octets)


def format_time(seconds: int) -> str:
    """Write a time so that :func:`parse_time` reads the same number back (``5400`` as ``1h 30m``)."""
    parts = []
    rest = seconds
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _TIME_UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0"


def format_instant(at: float) -> str:
    """Write seconds since the epoch for programs: ``2026-01-31T11:00:00.123Z``."""
    seconds, fraction = divmod(at, 1)
    return f"{_second(int(seconds))}.{int(fraction * 1000):03d}Z"


@lru_cache(16)
def _second(seconds: int) -> str:
    # Events come in the order of time: nearly all are of the same second as the one before.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
