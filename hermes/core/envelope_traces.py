"""
The envelope that a message once had, as far as its header still tells: who sent it, and for whom it came.

A message in a foreign box has lost its envelope. Its last server has written down parts of it: ``Return-Path:``
(RFC 5321 4.4), ``Delivered-To:`` (RFC 9228) and its like, and ``for`` in ``Received:``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

from hermes.core.header import Header
from hermes.core.mailbox_list import addresses

#: Fields that senders write, and in which one message names several people: what is in all of them counts together.
SENDERS_FIELDS = frozenset({"to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"})

#: Addresses looked at in one message; each costs a look into the directory.
MAX_ADDRESSES = 100

# For = CFWS "FOR" FWS ( Path / Mailbox )   (RFC 5321 4.4)
_FOR = re.compile(r"[\s)]for\s+(?:<([^<>\s]{1,320})>|([^<>\s;()]{1,320}@[^<>\s;()]{1,255}))", re.IGNORECASE)

_COMMENT = re.compile(r"\([^()]*\)")

# Path = "<" [ A-d-l ":" ] Mailbox ">"   (RFC 5321 4.1.2), without what no address of today has
_PATH = re.compile(r"<?([^\s<>@,;:\"\x00-\x1f\x7f]{1,64}@[^\s<>@,;:\"\x00-\x1f\x7f]{1,255})>?\Z")

#: Fields that servers and mail programs change while a message lies there.
_CHANGING = re.compile(
    rb"^(?:x-)?(?:status|uidl?|keywords|imapbase|mozilla-[a-z0-9-]+)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.IGNORECASE | re.MULTILINE,
)

_RETURN_PATH = re.compile(rb"^return-path[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)

#: What is the same in all copies of a message, whoever got them; a list adds or changes one of these.
_SAME_IN_COPIES = ("message-id", "date", "from", "subject", "list-id", "resent-message-id")


def reverse_path(header: Header) -> str:
    """The envelope's sender as the last server wrote it; empty, the null reverse-path, when that is not known."""
    found = _PATH.match((header.first("return-path") or "").strip())
    return found[1] if found and found[1].isascii() else ""


def without_return_path(octets: bytes) -> bytes:
    """The header without ``Return-Path:``: who delivers it writes a new one (RFC 5321 4.4)."""
    return _RETURN_PATH.sub(b"", octets) if b"eturn-" in octets or b"ETURN-" in octets else octets


def candidates(header: Header, names: Sequence[str]) -> Iterator[list[str]]:
    """
    For whom the message may have come, best first: the addresses of one field at a time, of the topmost first.

    What senders write in To, Cc and the like counts as one field, and is looked at only when one of ``names`` says so.
    """
    left, asked = MAX_ADDRESSES, False
    for name in (name.lower() for name in names):
        if name in SENDERS_FIELDS:
            if asked:
                continue
            asked = True
            wanted = [each.lower() for each in names if each.lower() in SENDERS_FIELDS]
            groups = [[one for each in wanted for value in header.all(each) for one in addresses(value)]]
        elif name == "received":
            groups = [_for(value) for value in header.all(name)]
        else:
            groups = [_listed(value) for value in header.all(name)]
        for group in groups:
            if group and left > 0:
                yield group[:left]
                left -= len(group)


def mark(octets: bytes) -> bytes:
    """A digest by which a message is known again whatever its server calls it: of its header, but for what changes there."""
    return hashlib.blake2b(_CHANGING.sub(b"", octets), digest_size=16).digest()


def copy_mark(header: Header) -> bytes:
    """A digest that all copies of one message share; empty for a message without Message-ID, which cannot be told."""
    if not header.first("message-id"):
        return b""
    facts = "\0".join(f"{name}:{value}" for name in _SAME_IN_COPIES for value in header.all(name))
    return hashlib.blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _for(value: str) -> list[str]:
    found = _FOR.search(_COMMENT.sub(" ", value[:2000]))
    return [found[1] or found[2]] if found else []


def _listed(value: str) -> list[str]:
    found = _PATH.match(value)
    return [found[1]] if found else addresses(value)
