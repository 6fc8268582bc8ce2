"""The daily letter about what became of the mail."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from hermes.config.finding import Finding
from hermes.config.host_names import is_mail_address
from hermes.config.setting import setting


@attrs.frozen
class SummarySettings:
    """A letter each day about the day before: accepted, delivered, still tried, given up, and why."""

    send: bool = setting("flag", False, "Whether it is sent.")
    to: str = setting("text", "", "Who gets it. Empty: the postmaster.")
    hour: int = setting("number", 6, "From which hour of the day on it is sent, by the clock of this machine.")


def summary_findings(settings: SummarySettings) -> Iterator[Finding]:
    """All rules about ``[summary]`` that are broken."""
    if settings.hour > 23:
        yield Finding((("summary", "hour"),), f"{settings.hour} is no hour of the day: they go from 0 to 23")
    if settings.to and not is_mail_address(settings.to):
        yield Finding((("summary", "to"),), f"{settings.to!r} is not a mail address: write NAME@example.org")
