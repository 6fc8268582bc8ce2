"""
A report as a message: ``multipart/report`` with a text, the fields for programs, and the original (RFC 6522, 3464, 6533).

Nothing that came from elsewhere can break the structure: the boundary is a digest of everything inside, so no text can
contain it, and what does not fit into lines of mail is encoded or left out.
"""

from __future__ import annotations

import binascii
import hashlib
import re

import attrs

from hermes.core.envelope import BodyType
from hermes.core.header_facts import header_end
from hermes.core.printable import one_line
from hermes.core.report import Action, Letter, Report, date_time
from hermes.core.report_fields import delivery_status, is_global
from hermes.core.report_text import explanation, subject

#: RFC 5322 2.1.1: the longest line, without its end.
MAX_LINE_OCTETS = 998

# msg-id without comments and with nothing that could end a header field   (RFC 5322 3.6.4)
_MESSAGE_ID = re.compile(r"<?([!-;=?-~]{1,240}@[!-;=?-~]{1,240})>?\Z")


@attrs.frozen
class _Part:
    """A body part: its type, how it is encoded, its octets."""

    content_type: str
    encoding: str
    octets: bytes

    def __bytes__(self) -> bytes:
        head = f"Content-Type: {self.content_type}\nContent-Transfer-Encoding: {self.encoding}\n\n"
        return head.encode("ascii") + self.octets


def compose(report: Report) -> Letter:
    """Write the message."""
    # A return path in ASCII says nothing about what its servers can do, so everything is made fit for 7-bit transport as
    # RFC 6533 4.5 demands; only an original of the old kind cannot be encoded (RFC 2046 5.2.1) and needs 8BITMIME.
    smtputf8 = not report.to.isascii()
    parts = [
        _part("text/plain; charset=utf-8", explanation(report).encode("utf-8"), eight_bit=smtputf8),
        _part(
            "message/global-delivery-status" if is_global(report) else "message/delivery-status",
            delivery_status(report),
            eight_bit=smtputf8,
        ),
        _original(report, smtputf8),
    ]
    bodies = [bytes(part) for part in parts]
    boundary = "=_" + hashlib.sha256(b"".join(bodies)).hexdigest()[:40]
    header = _header(report, boundary)
    separator = f"\n--{boundary}\n".encode("ascii")
    end = f"\n--{boundary}--\n".encode("ascii")
    octets = b"".join((header.encode("utf-8"), separator, separator.join(bodies), end))
    eight_bit = smtputf8 or any(part.encoding == "8bit" for part in parts)
    return Letter(octets, BodyType.EIGHT_BIT if eight_bit else BodyType.SEVEN_BIT, smtputf8)


def _header(report: Report, boundary: str) -> str:
    hostname = one_line(report.hostname, 255)
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: <{one_line(report.to, 320)}>",
        f"Subject: {subject(report)}",
        f"Date: {date_time(report.written_at)}",
        f"Message-ID: {report.report_id}",
        # RFC 3834 5: nobody's vacation program shall answer.
        "Auto-Submitted: auto-replied",
    ]
    if (found := _MESSAGE_ID.match(report.message_id)) is not None and not report.for_postmaster:
        # RFC 3834 3.1.5: mail programs put the report beside the message.
        lines += [f"In-Reply-To: <{found[1]}>", f"References: <{found[1]}>"]
    lines += [
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f' boundary="{boundary}"',
    ]
    return "\n".join(lines) + "\n"


def _original(report: Report, smtputf8: bool) -> _Part:
    """The original: whole when it can be (RFC 6522 3), else its header (RFC 6522 4)."""
    data = report.returned
    header = header_of(data)
    utf8_header = report.envelope.smtputf8 and not header.isascii()
    if report.complete and report.kind is Action.FAILED and not report.binary and _fits(data):
        if not utf8_header:
            return _Part("message/rfc822", "7bit" if data.isascii() else "8bit", data)
        # message/global, unlike message/rfc822, may be encoded (RFC 6532 3.7).
        return _part("message/global", data, eight_bit=smtputf8)
    # RFC 6533 4.3 and RFC 6522 4 both allow an encoding for headers.
    return _part("message/global-headers" if utf8_header else "text/rfc822-headers", header, eight_bit=smtputf8)


def header_of(data: bytes) -> bytes:
    """The header section of a message, with LF line ends, up to the empty line (or to the last line end there is)."""
    end = header_end(data)
    return data[: end if end >= 0 else data.rfind(b"\n") + 1].replace(b"\r\n", b"\n")


def _fits(data: bytes) -> bool:
    """True when the octets are lines of mail as they are (RFC 2045 2.7, 2.8)."""
    return b"\0" not in data and b"\r" not in data and max(map(len, data.split(b"\n"))) <= MAX_LINE_OCTETS


def _part(content_type: str, octets: bytes, *, eight_bit: bool) -> _Part:
    """A body part of a type that may be encoded, in the plainest form that is possible."""
    if _fits(octets):
        if octets.isascii():
            return _Part(content_type, "7bit", octets)
        if eight_bit:
            return _Part(content_type, "8bit", octets)
    return _Part(content_type, "quoted-printable", binascii.b2a_qp(octets, istext=True, quotetabs=False))
