"""The section ``[dns]``: whom the one resolver asks, and what one message may cost."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class DNSSettings:
    """Asking the DNS: one resolver, with one memory, for the delivery of mail and for all checks of senders."""

    nameservers: tuple[str, ...] = setting(
        "words",
        (),
        "Name servers as address or address:port. Empty: those of direct.nameservers, or else of the system. Block lists answer "
        "only servers of your own: the big public ones are refused by most of them.",
    )
    trusted: bool = setting(
        "flag",
        False,
        "Whether the name servers check DNSSEC and nobody can stand between them and this server, so that DANE can rely on them; "
        "those on this machine are always trusted.",
    )
    timeout: int = setting(
        "time", 5, "How long a client is kept waiting for one answer about it; without one the check is passed."
    )
    lookups: int = setting(
        "number",
        50,
        "Questions that all checks of one message may ask together; what the memory answers is not counted.",
    )
    cache: int = setting("number", 10000, "Answers kept in memory, each for its own time and an hour at most.")
