"""Texts that people edit: rules, lists. Whatever editor they were written with, they are read."""

from __future__ import annotations

from hermes.config.errors import ConfigError, Problem


def read_text(path: str, max_octets: int, what: str) -> str:
    """The text in a file now; ConfigError when it cannot be read, or is too large for ``what`` it is. Waits for the disk."""
    try:
        with open(path, "rb") as file:
            octets = file.read(max_octets + 1)
    except OSError as error:
        raise ConfigError(path, [Problem(f"cannot be read: {error.strerror or error}")]) from None
    if len(octets) > max_octets:
        raise ConfigError(path, [Problem(f"is larger than {max_octets} octets, which is too much for {what}")])
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Mercury and the editors of its time wrote the code page of Windows.
        return octets.decode("cp1252", "replace")
