"""Reports to other domains about TLS to their servers (TLS-RPT, RFC 8460)."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from hermes.config.finding import Finding
from hermes.config.setting import setting


@attrs.frozen
class TLSReportsSettings:
    """
    Telling other domains daily how TLS to their servers went, if they ask for it in the DNS.

    Only direct delivery is reported: how often TLS went well or not, with which server; nothing about mail or people.
    """

    send: bool = setting("flag", False, "Whether results are collected and reports are sent.")
    contact: str = setting("text", "", "Address for questions. Empty: hermes.postmaster.")
    sender: str = setting("text", "", "Address that the reports come from. Empty: contact.")
    organization: str = setting("text", "", "Who reports. Empty: hermes.hostname.")


def tls_reports_findings(settings: TLSReportsSettings, postmaster: str) -> Iterator[Finding]:
    """All rules about ``[tls_reports]`` that are broken."""
    if settings.send and not settings.contact and not (postmaster and postmaster.isascii()):
        # A report is made to be read by whatever program there is: it is ASCII.
        yield Finding((("tls_reports", "contact"),), "is missing: write the address for questions, in ASCII")
    for key in ("contact", "sender"):
        text = getattr(settings, key)
        local_part, _, domain = text.rpartition("@")
        if text and not (
            local_part and domain and text.isascii() and text.isprintable() and not set(text) & set(" <>,")
        ):
            yield Finding((("tls_reports", key),), f"{text!r} is not a mail address: write NAME@example.org")
