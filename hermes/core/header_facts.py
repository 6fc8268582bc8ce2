"""
What Hermes wants to know of a message's header while the message comes in: one quick look, no parsing.

The field names are RFC 5322's; names are compared in any case, and space before the colon is tolerated as in its section 4.
"""

from __future__ import annotations

import re

import attrs

#: How much of a message is looked through for the end of its header. Headers above this are not honest ones.
MAX_HEADER_OCTETS = 64 * 1024

# field-name ":"   (RFC 5322 2.2; obs-optional of 4.5.8 allows space before the colon)
_FIELD = re.compile(rb"\n(received|date|message-id|tls-required)[ \t]*:")
# requiretls-field = "TLS-Required:" [FWS] "No" CRLF   (RFC 8689 3)
_NO = re.compile(rb"[ \t]*(?:\r?\n[ \t]+)?no[ \t]*(?:\r?\n(?![ \t])|\Z)", re.IGNORECASE)

_ANY_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|>?From ")

# msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS]   (RFC 5322 3.6.4; only the folding white space before it is read)
_MESSAGE_ID = re.compile(rb"(?:[ \t]|\r?\n[ \t])*(<[^<>\x00-\x1f\x7f]{1,996}>|[^\s<>]{1,996})")


@attrs.frozen
class HeaderFacts:
    """
    What was found.

    ``received`` counts the ``Received:`` fields (RFC 5321 6.3); ``message_id`` is the id with its brackets, or empty;
    ``begins_with_text`` says that there is no header: the message's first line is none of its fields; ``tls_optional`` that there
    is ``TLS-Required: No`` (RFC 8689 3), once.
    """

    received: int
    has_date: bool
    has_message_id: bool
    message_id: str
    begins_with_text: bool
    tls_optional: bool = False


def header_end(data: bytes | bytearray, searched: int = 0) -> int:
    """
    The length of the header without the empty line that ends it, or -1 when that has not come yet.

    Lines may end in LF or CRLF; nothing before ``searched`` is looked at again.
    """
    if data.startswith((b"\n", b"\r\n")):
        return 0
    # The empty line may have begun up to three octets before what has been searched.
    start = max(0, searched - 3)
    ends = [end + 1 for end in (data.find(b"\n\n", start), data.find(b"\n\r\n", start)) if end >= 0]
    return min(ends, default=-1)


def look(header: bytes | bytearray) -> HeaderFacts:
    """Look at a header: the octets before the empty line, or as many as there are."""
    received = 0
    has_date = has_message_id = False
    message_id = ""
    tls_wishes = []
    for field in _FIELD.finditer(b"\n" + header.lower()):
        name = field[1]
        if name == b"received":
            received += 1
        elif name == b"date":
            has_date = True
        elif name == b"tls-required":
            tls_wishes.append(_NO.match(header, field.end() - 1) is not None)
        elif not has_message_id:
            has_message_id = True
            # The match was in a copy that is one octet longer.
            found = _MESSAGE_ID.match(header, field.end() - 1)
            message_id = found[1].decode("utf-8", "replace") if found else ""
    begins_with_text = bool(header) and _ANY_FIELD.match(header) is None
    return HeaderFacts(received, has_date, has_message_id, message_id, begins_with_text, tls_wishes == [True])
