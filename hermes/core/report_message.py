"""
A report as a message: ``multipart/report`` with a text, the fields for programs, and the original (RFC 6522, 3464, 6533).

Nothing that came from elsewhere can break the structure: the boundary is a digest of everything inside, so no text can
contain it, and what does not fit into lines of mail is encoded or left out.
"""

from __future__ import annotations

import hashlib

from hermes.core.envelope import BodyType
from hermes.core.printable import one_line
from hermes.core.report import Letter, Report
from hermes.core.report_fields import delivery_status, is_global
from hermes.core.report_parts import Part, head, header_text, part, sender, text_part
from hermes.core.report_text import explanation, has_utf8_header, header_of, returns_all, subject, template_of


def compose(report: Report) -> Letter:
    """Write the message."""
    # A return path in ASCII says nothing about what its servers can do, so everything is made fit for 7-bit transport as
    # RFC 6533 4.5 demands; only an original of the old kind cannot be encoded (RFC 2046 5.2.1) and needs 8BITMIME.
    smtputf8 = not report.to.isascii()
    original = _original(report, smtputf8)
    parts = [
        text_part(explanation(report), report.wording, eight_bit=smtputf8),
        part(
            "message/global-delivery-status" if is_global(report) else "message/delivery-status",
            delivery_status(report),
            eight_bit=smtputf8,
        ),
        original,
    ]
    streamed = report.whole is not None and returns_all(report)
    bodies = [bytes(each) for each in parts]
    digest = report.whole.digest if streamed and report.whole is not None else b""
    boundary = "=_" + hashlib.sha256(b"".join((*bodies, digest))).hexdigest()[:40]
    header = _header(report, boundary)
    separator = f"\n--{boundary}\n".encode("ascii")
    end = f"\n--{boundary}--\n".encode("ascii")
    octets = b"".join((header.encode("utf-8"), separator, separator.join(bodies)))
    eight_bit = smtputf8 or any(each.encoding == "8bit" for each in parts)
    body = BodyType.EIGHT_BIT if eight_bit else BodyType.SEVEN_BIT
    return Letter(octets, body, smtputf8, end) if streamed else Letter(octets + end, body, smtputf8)


def _header(report: Report, boundary: str) -> str:
    hostname = one_line(report.hostname, 255)
    lines = head(
        sender(template_of(report).sender, report.postmaster, hostname, report.wording),
        report.to,
        header_text(subject(report), report.wording),
        report.report_id,
        report.written_at,
        "" if report.for_postmaster else report.message_id,
    )
    lines += [
        "Content-Type: multipart/report; report-type=delivery-status;",
        f' boundary="{boundary}"',
    ]
    return "\n".join(lines) + "\n"


def _original(report: Report, smtputf8: bool) -> Part:
    """The original: whole when it can be (RFC 6522 3), else its header (RFC 6522 4)."""
    utf8_header = has_utf8_header(report)
    if not returns_all(report):
        # RFC 6533 4.3 and RFC 6522 4 both allow an encoding for headers.
        kind = "message/global-headers" if utf8_header else "text/rfc822-headers"
        return part(kind, header_of(report.returned), eight_bit=smtputf8)
    kind = "message/global" if utf8_header else "message/rfc822"
    if report.whole is not None:
        # Its octets follow the letter.
        return Part(kind, "7bit" if report.whole.ascii else "8bit", b"")
    data = report.returned
    if not utf8_header:
        return Part(kind, "7bit" if data.isascii() else "8bit", data)
    # message/global, unlike message/rfc822, may be encoded (RFC 6532 3.7).
    return part(kind, data, eight_bit=smtputf8)
