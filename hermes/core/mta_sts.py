"""
MTA-STS policies as values (RFC 8461): the TXT record, the policy, and which hosts it names.

Both are written by strangers; what is not understood is no record and no policy.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence

import attrs

#: RFC 8461 3.3: senders may refuse larger ones; an honest policy has a few hundred octets.
MAX_POLICY_OCTETS = 64 * 1024

#: RFC 8461 3.2: the largest max_age; some 34 years would not be kept anyway.
MAX_AGE_SECONDS = 31_557_600

#: Patterns of one policy that are kept.
MAX_PATTERNS = 100

# sts-id = %s"id" *WSP "=" *WSP 1*32(ALPHA / DIGIT)   (RFC 8461 3.1)
_ID = re.compile(rb"[ \t]*id[ \t]*=[ \t]*([A-Za-z0-9]{1,32})[ \t]*\Z")
_VERSION = re.compile(rb"v=STSv1[ \t]*(?:;|\Z)")

# sts-policy-mx-value = ["*."] Domain   (RFC 8461 3.2)
_PATTERN = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,250}[a-z0-9_])?\Z")


class Mode(enum.Enum):
    """What a failure means."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@attrs.frozen
class Policy:
    """A policy: ``hosts`` are patterns in lower case, ``lines`` those of the policy for reports."""

    mode: Mode
    max_age_seconds: int
    hosts: tuple[str, ...]
    lines: tuple[str, ...] = ()

    def names(self, host: str) -> bool:
        """Whether a server of that name is one of the domain's (RFC 8461 4.1)."""
        return names(self.hosts, host)


def names(patterns: Sequence[str], host: str) -> bool:
    """Whether a host is named; ``*.`` stands for exactly one label (RFC 8461 4.1, RFC 6125 6.4.3)."""
    wanted = host.lower().rstrip(".")
    _, dot, parent = wanted.partition(".")
    return wanted in patterns or (bool(dot) and f"*.{parent}" in patterns)


def record_id(texts: Sequence[bytes]) -> str:
    """
    The id of the one STS record among the TXT records of ``_mta-sts.DOMAIN``; empty when there is none.

    RFC 8461 3.1: others are passed over; with more than one that begins with ``v=STSv1;`` there is no policy.
    """
    records = [text for text in texts if _VERSION.match(text)]
    if len(records) != 1:
        return ""
    for field in records[0].split(b";")[1:]:
        if found := _ID.match(field):
            return found[1].decode("ascii")
    return ""


def parse_policy(octets: bytes) -> Policy | None:
    """
    Read a policy; None when it is none.

    ``sts-policy-record = sts-policy-field *(sts-policy-term sts-policy-field)`` (RFC 8461 3.2)
    """
    if len(octets) > MAX_POLICY_OCTETS:
        return None
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        return None
    fields: dict[str, str] = {}
    hosts: list[str] = []
    lines = [line.strip() for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    for line in lines:
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if not colon:
            return None
        if key == "mx":
            hosts.append(value.lower().rstrip("."))
        else:
            # RFC 8461 3.2: of several only the first counts.
            fields.setdefault(key, value)
    age = fields.get("max_age", "")
    if fields.get("version") != "STSv1" or not (age.isascii() and age.isdigit() and len(age) <= 10):
        return None
    try:
        mode = Mode(fields.get("mode", ""))
    except ValueError:
        return None
    good = tuple(dict.fromkeys(host for host in hosts if _PATTERN.match(host)))[:MAX_PATTERNS]
    if not good and mode is not Mode.NONE:
        return None
    return Policy(mode, min(int(age), MAX_AGE_SECONDS), good, tuple(lines[: MAX_PATTERNS + 3]))
