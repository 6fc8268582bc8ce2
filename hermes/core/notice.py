"""
A letter of the server that is no delivery status notification: a confirmation or a transcript, in plain text (RFC 3834).

Nobody has asked for these by NOTIFY, so they must not be one (RFC 3461 5.2.3 c).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from hermes.core.envelope import BodyType
from hermes.core.printable import one_line
from hermes.core.report import Letter
from hermes.core.report_parts import head, header_text, sender, text_part
from hermes.core.report_text import folded
from hermes.core.report_wording import MAX_SUBJECT, Text, Wording
from hermes.core.template import substituted


@attrs.frozen
class Notice:
    """
    What is to be said, to whom; ``values`` are what the substitutions stand for, but for those that every letter has.

    ``message_id`` is that of the message that it is about, ``notice_id`` its own; ``at`` is when it is written, in seconds
    since the epoch.
    """

    kind: Text
    to: str
    values: Mapping[str, str]
    message_id: str
    notice_id: str
    at: float
    hostname: str
    postmaster: str
    wording: Wording


def compose(notice: Notice) -> Letter:
    """Write it."""
    wording, template = notice.wording, notice.wording.templates[notice.kind]
    smtputf8 = not notice.to.isascii()
    subject = one_line(substituted(template.subject, notice.values), MAX_SUBJECT)
    lines = head(
        sender(template.sender, notice.postmaster, notice.hostname, wording),
        notice.to,
        header_text(subject, wording),
        notice.notice_id,
        notice.at,
        notice.message_id,
    )
    part = text_part(folded(substituted(template.text, notice.values)), wording, eight_bit=smtputf8)
    octets = "\n".join((*lines, "")).encode("utf-8") + bytes(part)
    return Letter(octets, BodyType.EIGHT_BIT if smtputf8 else BodyType.SEVEN_BIT, smtputf8)
