"""The queue: how long and how often delivery is tried, and who is told."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class QueueSettings:
    """How long and how often delivery is tried."""

    retry: tuple[int, ...] = setting(
        "times",
        (300, 600, 1200, 2400, 3600, 7200, 14400),
        "Pauses between attempts; the last one is repeated. RFC 5321 4.5.4.1 asks for 30m at least on the average.",
    )
    expire: int = setting("time", 5 * 86400, "Age at which a message is returned; RFC 5321 4.5.4.1 asks for 4d to 5d.")
    schedule: str = setting(
        "choice",
        "list",
        "list: the pauses of retry; flat: always period; progressive: period, growing to seven times as much after each ten "
        "attempts, as in Mercury.",
        choices=("list", "flat", "progressive"),
    )
    period: int = setting(
        "time", 900, "The pause of flat and progressive; Mercury advises 60m for flat and 15m for progressive."
    )
    attempts: int = setting(
        "number",
        0,
        "Attempts after which a message is returned, however young it is; Mercury's retries and one. 0: any number.",
    )
    delay_warning: tuple[int, ...] = setting(
        "times", (3 * 3600, 24 * 3600, 72 * 3600), "Ages at which the sender is told of the delay. Empty: never."
    )
    delay_warning_to: str = setting(
        "choice",
        "local",
        "local: senders of our own domains and accounts, and whoever has asked for it (DSN); all: everybody.",
        choices=("local", "all"),
    )
    active: int = setting("number", 1000, "Messages being worked on at once; the others wait on disk.", fixed=True)
    postmaster_copy: bool = setting("flag", False, "Whether the postmaster gets a copy of every report of failure.")
    max_hops: int = setting("number", 30, "Received lines above which a message is in a loop; RFC 5321 6.3.")
