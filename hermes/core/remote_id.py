"""The name that another server gives to a message it has taken, found in the words of its last reply; no standard says how."""

from __future__ import annotations

import re

# Postfix: "queued as 4F2B7C"; Hermes: "2.0.0 accepted as 01K0SP6KZ0T0"; Exim: "OK id=1rABCD-0001-2x"; sendmail: "2.0.0 4AB1cd
# Message accepted for delivery"; Exchange: "<...> [InternalId=123, Hostname=...] Queued mail for delivery"; Google: "OK  17000000
# abc123-def.456 - gsmtp" with ten digits.
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"queued (?:mail )?(?:for delivery )?(?:as|id|with id) <?([\w.\-]{4,64})",
        r"\baccepted as ([0-9A-Z]{12})\b",
        r"\b(?:queue)?id[=:] ?<?([\w.\-]{4,64})",
        r"internalid=([\w.\-]{4,64})",
        r"\A(?:ok )?([a-z0-9]{8,32}) message accepted",
        r"\bok +\d{9,11} ([\w.\-]{8,80}) - gsmtp",
    )
)

#: What is looked through: a reply may have a hundred lines.
_MAX_CHARACTERS = 1000


def remote_queue_id(text: str) -> str:
    """The id, or an empty text."""
    for pattern in _PATTERNS:
        if found := pattern.search(text[:_MAX_CHARACTERS]):
            return found[1].rstrip(".")
    return ""
