"""
The answer that a sender gets from an address that stands for a text: whether there is one, and how it reads (RFC 3834).

A text may be a template: ``~`` and a letter stand for something of the message. What a template has wrong stays in the text
as it is written there; no text can keep an answer from being written.
"""

from __future__ import annotations

import base64
import re
from email.header import Header

import attrs

from hermes.core.address import key, split
from hermes.core.envelope import BodyType
from hermes.core.header_facts import header_end
from hermes.core.printable import one_line
from hermes.core.report import Letter, date_time
from hermes.core.template import substituted, taken_apart

#: A text that is sent to whoever asks; more would be a way to have this server send much for little.
MAX_TEXT_OCTETS = 256 * 1024

#: What ``~M``, ``~B`` and ``~G`` repeat of the message, in octets, and ``~G`` in lines.
MAX_REPEATED_OCTETS = 16 * 1024
REPEATED_LINES = 20

_FIELD = re.compile(rb"\n([!-9;-~]+)[ \t]*:((?:[^\n]|\n[ \t])*)")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>\Z")

# RFC 3834 2: the names of senders that are programs, or answer for many.
_PROGRAMS = re.compile(r"(?:mailer-daemon|postmaster|listserv|majordomo|owner-.*|.*-request|.*-owner|no-?reply)\Z")

# The fields that a template may bring along.
_OWN_FIELDS = frozenset({"subject", "from", "reply-to"})

#: RFC 5322 2.1.1
MAX_LINE_OCTETS = 998

NEWLINE = "\n"


@attrs.frozen
class Asked:
    """
    The message that is answered: its sender, the address that it was for, and its beginning with LF or CRLF line ends.

    ``at`` is when it is answered, in seconds since the epoch; ``hostname`` the server's, ``message_id`` the answer's.
    """

    sender: str
    address: str
    beginning: bytes
    hostname: str
    message_id: str
    at: float

    def field(self, name: str) -> str:
        """The first field of that name, unfolded, or an empty text."""
        return next((text for found, text in fields(self.beginning) if found == name), "")


def fields(beginning: bytes) -> list[tuple[str, str]]:
    """The fields of a header, names in lower case and texts in one line each."""
    end = header_end(beginning)
    header = b"\n" + (beginning[:end] if end >= 0 else beginning).replace(b"\r\n", b"\n")
    return [
        (found[1].decode("ascii").lower(), one_line(found[2].decode("utf-8", "replace"), 998).strip())
        for found in _FIELD.finditer(header)
    ]


def why_not(asked: Asked) -> str:
    """Why there must be no answer; empty when there may be one (RFC 3834 2)."""
    if not asked.sender:
        return "reports are not answered"
    if key(asked.sender) == key(asked.address):
        return "the sender is the address itself"
    if _PROGRAMS.match(split(asked.sender)[0].lower()):
        return "the sender is no person"
    for name, text in fields(asked.beginning):
        word = text.lower()
        if name == "auto-submitted" and word.partition(";")[0].strip() not in {"", "no"}:
            return "the message was sent by a program"
        if name == "precedence" and word in {"bulk", "junk", "list"}:
            return f"the message says Precedence: {word}"
        if name.startswith("list-") or name in {"x-autoreply-from", "x-listname"}:
            return f"the message says {name}"
    return ""


def compose(asked: Asked, text: str, *, template: bool) -> Letter:
    """The answer. Its text is in ASCII; so is its header, unless an address is not."""
    own: dict[str, str] = {}
    if template:
        own, text = _own_fields(asked, text)
    subject = own.get("subject") or f"Re: {one_line(asked.field('subject'), 200).removeprefix('Re: ')}"
    address = one_line(asked.address, 254)
    lines = [
        f"From: {own.get('from') or f'<{address}>'}",
        f"To: <{one_line(asked.sender, 254)}>",
        f"Subject: {subject if subject.isascii() else Header(subject, 'utf-8').encode(linesep=NEWLINE)}",
        f"Date: {date_time(asked.at)}",
        f"Message-ID: {asked.message_id}",
    ]
    if own.get("reply-to"):
        lines.append(f"Reply-To: {own['reply-to']}")
    if _MESSAGE_ID.match(found := asked.field("message-id")):
        # RFC 3834 3.1.5
        lines += [f"In-Reply-To: {found}", f"References: {found}"]
    encoding, octets = _encoded(text)
    lines += [
        # RFC 3834 5; the two others are what Mercury marks its answers with.
        "Auto-Submitted: auto-replied",
        "Precedence: bulk",
        f"X-Autoreply-From: <{address}>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Transfer-Encoding: {encoding}",
    ]
    smtputf8 = not (asked.sender.isascii() and address.isascii())
    head = NEWLINE.join((*lines, "", "")).encode("utf-8", "replace")
    return Letter(head + octets, BodyType.EIGHT_BIT if smtputf8 else BodyType.SEVEN_BIT, smtputf8)


def _encoded(text: str) -> tuple[str, bytes]:
    octets = re.sub(r"\r\n?", NEWLINE, text).encode("utf-8", "replace")
    if not octets.endswith(b"\n"):
        octets += b"\n"
    if octets.isascii() and b"\0" not in octets and max(map(len, octets.split(b"\n"))) <= MAX_LINE_OCTETS:
        return "7bit", octets
    return "base64", base64.encodebytes(octets)


def filled(asked: Asked, text: str) -> str:
    """The text with Mercury's substitutions; what is none stays."""
    beginning = asked.beginning[:MAX_REPEATED_OCTETS].replace(b"\r\n", b"\n").decode("utf-8", "replace")
    _, _, body = beginning.partition("\n\n")
    values = {
        "~": "~",
        "d": date_time(asked.at),
        "t": asked.sender,
        "s": asked.field("subject"),
        "n": asked.hostname,
        "h": asked.hostname,
        "m": beginning,
        "b": body,
        "g": "\n".join(body.split("\n")[:REPEATED_LINES]),
        "p0": asked.address,
        "p1": asked.field("date"),
    }
    return substituted(text, values)


def _own_fields(asked: Asked, text: str) -> tuple[dict[str, str], str]:
    """The fields that a template begins with, as far as it may bring them, and its text; both filled in."""
    # Taken apart first: a message that is repeated at the head of an answer must not bring fields of its own for it.
    fields, body = taken_apart(text)
    own = {}
    for name, value in fields:
        text_of = one_line(filled(asked, value), 200).strip()
        # What is in no encoded word can only be a subject: addresses are not guessed at.
        if name in _OWN_FIELDS and text_of and (text_of.isascii() or name == "subject"):
            own[name] = text_of
    return own, filled(asked, body)
