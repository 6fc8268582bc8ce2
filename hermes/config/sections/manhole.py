"""The section of the manhole."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class ManholeSettings:
    """A shell into the running server over SSH, for those whose keys are listed. It can do anything the server can."""

    listen: tuple[str, ...] = setting("listeners", (), "Loopback or unix: only. Empty: off.", fixed=True)
    authorized_keys: str = setting(
        "path", "manhole/authorized_keys", "File of public keys, as OpenSSH writes it.", fixed=True
    )
    host_key: str = setting(
        "path", "manhole/host_key", "The shell's own private key; made when it is missing.", fixed=True
    )
