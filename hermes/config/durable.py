"""Files that are whole or not there: written beside their place, made durable, and moved into it in one step."""

from __future__ import annotations

import contextlib
import os
import tempfile


def write_durably(path: str, octets: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """
    Put octets at ``path`` with these rights: after a crash there is the old file or the new one, never a part of it.

    ``owner`` is a user id and a group id for a file that must keep them when root writes it. An OSError names ``path``.
    """
    try:
        _write_durably(path, octets, mode, owner)
    except OSError as error:
        # The system says it of a descriptor, or of a name that is gone by now.
        raise OSError(error.errno, error.strerror, path) from error


def _write_durably(path: str, octets: bytes, mode: int, owner: tuple[int, int] | None) -> None:
    directory = os.path.dirname(path) or "."
    # mkstemp makes a file that nobody else can read, so that secrets are safe before the mode is set.
    descriptor, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", suffix=".new", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            if owner is not None:
                # Only root may give files away; for everybody else the file stays their own.
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_directory(directory)


def sync_directory(directory: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
