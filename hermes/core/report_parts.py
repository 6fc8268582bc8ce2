"""
What reports and other letters of the server are made of: header texts, and body parts in the plainest form that is possible.

RFC 2045 and 2047; nothing here can break the structure of a message, whatever the words are.
"""

from __future__ import annotations

import binascii
import re
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime

import attrs

from hermes.core.printable import one_line
from hermes.core.report_wording import SENDER, Wording

#: RFC 5322 2.1.1: the longest line, without its end.
MAX_LINE_OCTETS = 998

# addr-spec = dot-atom "@" domain, of what needs no quotes   (RFC 5322 3.4.1)
_PLAIN_ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]+@[\w.-]+\Z", re.ASCII)

# phrase = 1*atom   (RFC 5322 3.2.5)
_ATOMS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*\Z", re.ASCII)

# msg-id without comments and with nothing that could end a header field   (RFC 5322 3.6.4)
_MESSAGE_ID = re.compile(r"<?([!-;=?-~]{1,240}@[!-;=?-~]{1,240})>?\Z")

# What names of charsets are made of.
_CHARSET = re.compile(r"[\w.:-]{2,40}\Z", re.ASCII)

# What has to stay as it is.
_ASCII = "Az09 +-=?~\n"


@attrs.frozen
class Part:
    """A body part: its type, how it is encoded, its octets, and further fields of its header."""

    content_type: str
    encoding: str
    octets: bytes
    fields: tuple[str, ...] = ()

    @property
    def head(self) -> bytes:
        """Its header, with the empty line."""
        lines = (f"Content-Type: {self.content_type}", f"Content-Transfer-Encoding: {self.encoding}", *self.fields)
        return "\n".join((*lines, "", "")).encode("ascii")

    def __bytes__(self) -> bytes:
        return self.head + self.octets


def fits(octets: bytes) -> bool:
    """True when the octets are lines of mail as they are (RFC 2045 2.7, 2.8)."""
    return b"\0" not in octets and b"\r" not in octets and max(map(len, octets.split(b"\n"))) <= MAX_LINE_OCTETS


def part(content_type: str, octets: bytes, *, eight_bit: bool, fields: tuple[str, ...] = ()) -> Part:
    """A body part of a type that may be encoded."""
    if fits(octets):
        if octets.isascii():
            return Part(content_type, "7bit", octets, fields)
        if eight_bit:
            return Part(content_type, "8bit", octets, fields)
    # Line by line, because of a whole text b2a_qp leaves some carriage returns as they are (RFC 2045 6.7, rule 4).
    coded = b"\n".join(binascii.b2a_qp(line, istext=False) for line in octets.split(b"\n"))
    return Part(content_type, "quoted-printable", coded, fields)


def text_part(text: str, wording: Wording, *, eight_bit: bool) -> Part:
    """The text for people, in the wording's charset (UTF-8 where that cannot hold it), with its language (RFC 3282)."""
    charset, octets = _encoded(text, wording.charset)
    language = (f"Content-Language: {wording.language}",)
    return part(f"text/plain; charset={charset}", octets, eight_bit=eight_bit, fields=language)


def header_text(text: str, wording: Wording) -> str:
    """Unstructured text for a header field, in ASCII (RFC 2047)."""
    if text.isascii():
        return text
    charset, _ = _encoded(text, wording.charset)
    return Header(text, charset, header_name="Subject").encode(linesep="\n")


def sender(name: str, address: str, hostname: str, wording: Wording) -> str:
    """
    The From field: a human who is responsible for the mail system (RFC 3464 2), where there is an address of one.

    Without one, and for an address that only SMTPUTF8 could carry, the name of old.
    """
    plain = address if _PLAIN_ADDRESS.match(address) else f"MAILER-DAEMON@{one_line(hostname, 255)}"
    # A name is not folded into the address behind it: it is short enough to stand in one line.
    if not _ATOMS.match(name):
        name = header_text(name, wording).replace("\n ", " ") if not name.isascii() else f'"{name}"'
    return f"{name or SENDER} <{plain}>"


def head(sent_by: str, to: str, subject: str, letter_id: str, at: float, about: str) -> list[str]:
    """The first fields of a letter that a program writes; ``about`` is the Message-ID of what it is about, or empty."""
    lines = [
        f"From: {sent_by}",
        f"To: <{one_line(to, 320)}>",
        f"Subject: {subject}",
        f"Date: {format_datetime(datetime.fromtimestamp(int(at), UTC))}",
        f"Message-ID: {letter_id}",
        # RFC 3834 5: nobody's vacation program shall answer.
        "Auto-Submitted: auto-replied",
    ]
    if (found := _MESSAGE_ID.match(about)) is not None:
        # RFC 3834 3.1.5: mail programs put the letter beside the message.
        lines += [f"In-Reply-To: <{found[1]}>", f"References: <{found[1]}>"]
    return [*lines, "MIME-Version: 1.0"]


def _encoded(text: str, charset: str) -> tuple[str, bytes]:
    try:
        return charset, text.encode(charset)
    except UnicodeEncodeError:
        # A lone surrogate cannot come from the wire; were there one, it must not keep the report back.
        return "utf-8", text.encode("utf-8", "replace")


def known_charset(name: str) -> bool:
    """True for a charset that mail can be written in and in which ASCII stays ASCII."""
    try:
        return _CHARSET.match(name) is not None and _ASCII.encode(name) == _ASCII.encode("ascii")
    except (LookupError, ValueError):
        return False
