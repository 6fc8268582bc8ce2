"""The daily letter about what became of the mail."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class SummarySettings:
    """A letter each day about the day before: accepted, delivered, still tried, given up, and why."""

    send: bool = setting("flag", False, "Whether it is sent.")
    to: str = setting("text", "", "Who gets it. Empty: the postmaster.")
    hour: int = setting("number", 6, "From which hour of the day on it is sent, by the clock of this machine.")
