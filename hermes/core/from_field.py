"""Another address in the From field, for providers that take no other: the one who wrote stays where answers go."""

from __future__ import annotations

import re

from hermes.core.mailbox_list import addresses

# from = "From:" mailbox-list CRLF   (RFC 5322 3.6.2), with the lines that a folded one goes on in
_FROM = re.compile(rb"^from[ \t]*:([^\n]*\n?(?:[ \t][^\n]*\n?)*)", re.IGNORECASE | re.MULTILINE)
_REPLY_TO = re.compile(rb"^reply-to[ \t]*:", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")

# name-addr = [display-name] angle-addr   (RFC 5322 3.4)
_NAME_ADDR = re.compile(rb"\s*([^<>\x00]{1,200}?)\s*<[^<>]*>\s*\Z")


def with_from(header: bytes, address: str) -> bytes:
    """
    The header fields (lines with their ends, without the empty one) with that address as the only author.

    A name in front of the address stays. The old field becomes Reply-To, or X-Original-From where there is a Reply-To already;
    a header whose author is that address is left as it is. RFC 5322 3.6.2 says what Reply-To is for.
    """
    newline = b"\r\n" if b"\r\n" in header else b"\n"
    found = list(_FROM.finditer(header))
    old = found[0][1] if found else b""
    unfolded = _FOLD.sub(b"", old).strip()
    if len(found) == 1:
        authors = addresses(unfolded.decode("utf-8", "replace"))
        if [author.lower() for author in authors] == [address.lower()]:
            return header
    named = _NAME_ADDR.match(unfolded)
    new = b"From: " + (named[1] + b" " if named else b"") + b"<" + address.encode() + b">" + newline
    if unfolded:
        keep = b"X-Original-From:" if _REPLY_TO.search(header) or b"@" not in unfolded else b"Reply-To:"
        new += keep + (old if old.endswith(b"\n") else old + newline)
    place = found[0].start() if found else 0
    return header[:place] + new + _FROM.sub(b"", header[place:])
