"""The server's own secret: random octets that outlive the process, and that nobody else needs to know."""

from __future__ import annotations

import os
import secrets

from hermes.config.durable import write_durably

#: As much as the hash has that it is used with.
SECRET_OCTETS = 32


def kept_secret(path: str) -> bytes:
    """The secret in that file, which is made when it is missing or not whole; raise OSError when that cannot be done."""
    try:
        with open(path, "rb") as file:
            octets = file.read(SECRET_OCTETS + 1)
    except FileNotFoundError:
        octets = b""
    if len(octets) != SECRET_OCTETS:
        octets = secrets.token_bytes(SECRET_OCTETS)
        # Whoever makes it first, it must be the server's: it belongs to whom the directory does.
        owner = os.stat(os.path.dirname(path))
        write_durably(path, octets, 0o600, (owner.st_uid, owner.st_gid))
    return octets
