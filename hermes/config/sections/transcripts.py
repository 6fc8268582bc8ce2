"""The section ``[transcripts]``: sessions that are written down, word for word but for their secrets."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting
from hermes.core.address_range import AddressRange

#: The servers whose sessions can be written down. In those of poppass there is hardly anything but passwords.
TRANSCRIBED = ("smtp", "pop3")


@attrs.frozen
class TranscriptsSettings:
    """
    Transcripts of sessions: what was said, when, with passwords blanked; one file for each session.

    For a while, without changing this file: hermes transcript on. For the peers of an entry of connection control: log = yes
    there.
    """

    directory: str = setting("path", "transcripts", "Directory of the files; only the server's user can read them.")
    services: tuple[str, ...] = setting(
        "words", (), "Servers of which every session is written down: smtp (with submission and LMTP), pop3."
    )
    networks: tuple[AddressRange, ...] = setting("ranges", (), "Clients whose sessions are written down.")
    accounts: tuple[str, ...] = setting("words", (), "Accounts whose sessions are written down, from the login on.")
    bodies: bool = setting(
        "flag", False, "Whether messages are written down too; otherwise only how many octets they had."
    )
    size: int = setting("size", 1024**2, "Size at which a transcript ends, though the session goes on.")
    max_files: int = setting("number", 1000, "Transcripts that are kept; the oldest are removed.")
    keep: int = setting("time", 14 * 86400, "Age at which transcripts are removed.")
