"""
The sender rewriting scheme: reverse-paths under which a message can be forwarded, and reports about it find their way back.

A message that is sent on to another server with its first sender would fail that domain's sender policy (SPF). So it is sent
on from an address of ours that holds the first one::

    SRS0=HASH=DAY=first.example=joe@our.example           for joe@first.example
    SRS1=HASH=other.example==HASH=DAY=first.example=joe@our.example    for SRS0=HASH=DAY=first.example=joe@other.example

No RFC describes it; the form is that which other forwarders use, so that one can shorten what another has made:

* DAY is two characters of base 32 (``A``-``Z``, ``2``-``7``): the day since 1970, modulo 1024. An address is good for
  :data:`VALID_DAYS` days.
* HASH is eight characters of base 32: the first forty bits of HMAC-SHA-256 over everything that stands behind it, in lower
  case. Only who has the key can make an address that leads anywhere; hash and day are compared in any case.
* An address that has been rewritten twice goes straight to the first who did, with SRS1: that server's own hash is kept as
  it is, behind ``==``.

Plain arithmetic: the day comes from outside.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from hermes.core.address import MAX_ADDRESS_OCTETS, split

#: A message waits for at most five days here, by default, and a report about it for as long elsewhere; three weeks leave room.
VALID_DAYS = 21

_DAYS = 1024
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

# SRS0 and SRS1 may be followed by "=", "+" or "-"; what this module writes is "=".
_PREFIX = re.compile(r"srs([01])([=+-])(.+)\Z", re.IGNORECASE | re.DOTALL)
_SRS0 = re.compile(r"([a-z2-7]{8})=([a-z2-7]{2})=([^=]+)=(.+)\Z", re.IGNORECASE | re.DOTALL)
_SRS1 = re.compile(r"([a-z2-7]{8})=([^=]+)=([=+-].+)\Z", re.IGNORECASE | re.DOTALL)
# What somebody else has put behind SRS1=: a hash of whatever form, the first forwarder, and that one's own words.
_FOREIGN_SRS1 = re.compile(r"[^=]*=([^=]+)=([=+-].+)\Z", re.DOTALL)

# Local parts that need quotes (RFC 5321 4.1.2) cannot be put into another.
_UNQUOTED = re.compile(r"[^\s\"\\()<>,:;@\x00-\x1f\x7f\[\]]+\Z")


class SRS:
    """Rewrites senders with ``key``; ``domain`` is the one of ours behind the ``@``."""

    def __init__(self, key: bytes, domain: str) -> None:
        self._key = key
        self._domain = domain

    def forward(self, reverse_path: str, day: int) -> str:
        """
        The sender under which a message from ``reverse_path`` is sent on.

        What cannot be put into an address, because that would be too long or need quotes, stays as it is, like the null path.
        """
        local_part, domain = split(reverse_path)
        if not domain or not _UNQUOTED.match(local_part):
            return reverse_path
        found = _PREFIX.match(local_part)
        if found is not None and found[1] == "0":
            rewritten = self._once_more(domain, f"{found[2]}{found[3]}")
        elif found is not None and (foreign := _FOREIGN_SRS1.match(found[3])) is not None:
            rewritten = self._once_more(foreign[1], foreign[2])
        else:
            rest = f"{_stamp(day)}={domain}={local_part}"
            rewritten = f"SRS0={self._hash(rest)}={rest}"
        address = f"{rewritten}@{self._domain}"
        return address if len(address.encode("utf-8", "replace")) <= MAX_ADDRESS_OCTETS else reverse_path

    def _once_more(self, first: str, words: str) -> str:
        rest = f"{first}={words}"
        return f"SRS1={self._hash(rest)}={rest}"

    @staticmethod
    def is_rewritten(local_part: str) -> bool:
        """True when a local part has the form that senders are given here or elsewhere."""
        return _PREFIX.match(local_part) is not None

    def reverse(self, local_part: str, day: int) -> str | None:
        """The address that a rewritten local part of ours stands for; None when it is forged, or too old."""
        found = _PREFIX.match(local_part)
        if found is None:
            return None
        if found[1] == "1":
            parts = _SRS1.match(found[3])
            if parts is None or not self._is_ours(parts[1], f"{parts[2]}={parts[3]}"):
                return None
            return f"SRS0{parts[3]}@{parts[2]}"
        parts = _SRS0.match(found[3])
        if parts is None or not self._is_ours(parts[1], f"{parts[2]}={parts[3]}={parts[4]}"):
            return None
        age = (day - _day_of(parts[2])) % _DAYS
        # A clock may be a day ahead of the one that wrote it.
        return f"{parts[4]}@{parts[3]}" if age <= VALID_DAYS or age == _DAYS - 1 else None

    def _hash(self, rest: str) -> str:
        digest = hmac.new(self._key, rest.lower().encode("utf-8", "replace"), hashlib.sha256).digest()
        return base64.b32encode(digest[:5]).decode("ascii")

    def _is_ours(self, given: str, rest: str) -> bool:
        return hmac.compare_digest(given.upper(), self._hash(rest))


def _stamp(day: int) -> str:
    high, low = divmod(day % _DAYS, 32)
    return _ALPHABET[high] + _ALPHABET[low]


def _day_of(stamp: str) -> int:
    stamp = stamp.upper()
    return _ALPHABET.index(stamp[0]) * 32 + _ALPHABET.index(stamp[1])
