"""
``X-Transcript-To``: with this field in a message its sender asks for a transcript of the delivery, as Mercury's users do.

The field is a request to this server and is taken out before the message goes anywhere (RFC 3461 5.3).
"""

from __future__ import annotations

import re

from hermes.core.address import domain_of
from hermes.core.mailbox_list import addresses

# field = "X-Transcript-To" ":" unstructured, and the lines that it goes on in
_FIELD = re.compile(rb"^x-transcript-to[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)", re.IGNORECASE | re.MULTILINE)

# What an address is made of that can stand anywhere.
_ADDRESS = re.compile(r"[!-;=?-~]{1,254}\Z")


def taken_out(header: bytes) -> tuple[bytes, str]:
    """The header, with whole lines, without these fields; and the text of the first of them, or an empty text."""
    found = _FIELD.search(header)
    if found is None:
        return header, ""
    text = re.sub(rb"\r?\n", b"", found[1]).decode("utf-8", "replace")
    return _FIELD.sub(b"", header), text.strip()


def receiver(text: str, reverse_path: str) -> str:
    """
    To whom the transcript goes; empty when it goes to nobody.

    Only to one address, of the domain of the sender: nobody can have others sent what they did not ask for.
    """
    found = addresses(text)
    if len(found) != 1 or not reverse_path or not _ADDRESS.match(found[0]):
        return ""
    return found[0] if domain_of(found[0]) == domain_of(reverse_path) else ""
