"""How somebody reads mail by POP3: what fetching and deleting do, and how long mail is kept."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

SECONDS_A_DAY = 86400


@attrs.frozen
class ReadingProfile:
    """
    What an account says about its mailbox, or the settings for all; None leaves a question to the settings.

    ``mark_read``: what is fetched counts as read. ``show_read``: mail that has been read is offered. ``show_status``: messages
    get a line ``Status:``. ``no_delete``: DELE is answered as if it deleted, and does not. ``delete_is_final``: what is marked
    is deleted however the session ends. ``expire_seconds`` is the age at which mail is removed, 0 for never.
    """

    mark_read: bool | None = None
    show_read: bool | None = None
    show_status: bool | None = None
    no_delete: bool | None = None
    delete_is_final: bool | None = None
    expire_seconds: int | None = None

    def over(self, default: ReadingProfile) -> ReadingProfile:
        """The same with its open questions answered by another one."""
        own = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        return attrs.evolve(default, **own)


#: What holds where nobody has said anything: what RFC 1939 describes.
PLAIN = ReadingProfile(
    mark_read=True, show_read=True, show_status=False, no_delete=False, delete_is_final=False, expire_seconds=0
)


def expiry_text(seconds: int) -> str:
    """The argument of EXPIRE (RFC 2449 6.7): whole days that mail is kept for at least, or NEVER."""
    return str(seconds // SECONDS_A_DAY) if seconds else "NEVER"


def expiry_before_login(default: int, others: Iterable[int]) -> str:
    """The same before anybody has logged in: the least that holds for anybody, and whether it depends on who that is."""
    all_of_them = {default, *others}
    least = min((seconds for seconds in all_of_them if seconds), default=0)
    return f"{expiry_text(least)}{' USER' if len(all_of_them) > 1 else ''}"
