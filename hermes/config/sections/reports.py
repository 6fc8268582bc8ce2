"""The section ``[reports]``: what senders are told of their mail, and in which words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from hermes.config.finding import Finding
from hermes.config.setting import setting
from hermes.core.report_parts import known_charset

if TYPE_CHECKING:
    from hermes.config.schema import Settings

# langtag = language ["-" script] ["-" region] *("-" variant) ...   (RFC 5646 2.1, as far as its form goes)
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*\Z", re.ASCII)


@attrs.frozen
class ReportsSettings:
    """
    Reports to senders: of failure, delay and success, confirmations and transcripts.

    Their texts can be replaced by templates, in another language; the part that programs read is always the same.
    """

    templates: str = setting(
        "path",
        "",
        "Directory of templates: failure.txt, delay.txt, success.txt, relay.txt, postmaster.txt, confirmation.txt, "
        "transcript.txt, phrases.txt. Those that are not there, and all when this is empty, are English.",
    )
    language: str = setting("text", "en", "Language of the texts, as a tag of RFC 5646.")
    charset: str = setting(
        "text", "utf-8", "Charset in which texts and subjects are sent, where it can hold them; otherwise UTF-8."
    )
    return_size: int = setting(
        "size",
        64 * 1024,
        "Size up to which a failed message goes back whole, unless its sender has asked for the header only.",
    )
    double_bounces: bool = setting(
        "flag", True, "Whether the postmaster is told of reports that cannot be delivered to the sender."
    )
    per_address: int = setting(
        "number",
        60,
        "Reports an hour to one address, and ten times as many to one domain, about mail that came without a login; its "
        "sender may be forged.",
    )
    confirmations: bool = setting(
        "flag",
        False,
        "Whether delivery to a mailbox is confirmed to senders whose message asks for it by Return-Receipt-To.",
    )
    transcripts: bool = setting(
        "flag", False, "Whether accounts get a transcript of deliveries by X-Transcript-To in their message."
    )


def reports_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[reports]`` that are broken."""
    reports = settings.reports
    if not _LANGUAGE.match(reports.language):
        yield Finding(
            (("reports", "language"),), f"{reports.language!r} is no language tag: write one like en, de or pt-BR"
        )
    if not known_charset(reports.charset):
        text = f"{reports.charset!r} is no charset of mail: write one like utf-8, iso-8859-1 or windows-1252"
        yield Finding((("reports", "charset"),), text)
