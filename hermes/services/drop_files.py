"""
Dropped messages on the disk: which files there are, and what may be read of them. All of it runs in a thread.

A directory for ``hermes sendmail`` has ``tmp``, where files are written, and ``new``, into which they are moved when they are
whole and durable; ``failed`` keeps what could not be taken. Whoever may write there cannot name files of others: links are not
followed, and a file with a second name, which may be somebody else's, is not read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import stat
from typing import BinaryIO

import attrs

from hermes.config.durable import sync_directory

TMP, NEW, FAILED = "tmp", "new", "failed"

#: What other programs call their messages.
SUFFIXES = (".101", ".eml", ".msg")

#: Files taken by one look; the rest waits for the next.
MAX_FILES = 200

_PRIVATE, _SHARED = 0o700, 0o1733


@attrs.frozen
class DroppedFile:
    """
    A file that is there.

    ``key`` is its name for all time: another file gets another one, whatever it is called. ``has_envelope`` says that it was
    left by ``hermes sendmail``.
    """

    path: str
    key: str
    has_envelope: bool


@attrs.define
class Opened:
    """A file that is being read; ``user`` is the name of its owner."""

    file: BinaryIO
    size_octets: int
    user: str


def make(directory: str, *, shared: bool) -> None:
    """Make the directory, as far as it is not there; others may leave files only when it is shared."""
    mode = _SHARED if shared else _PRIVATE
    os.makedirs(directory, mode=0o711 if shared else _PRIVATE, exist_ok=True)
    for name, rights in ((TMP, mode), (NEW, mode), (FAILED, _PRIVATE)):
        path = os.path.join(directory, name)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        os.chmod(path, rights)


def left(directory: str) -> list[DroppedFile]:
    """What ``hermes sendmail`` has left, some of it at least."""
    found = []
    with os.scandir(os.path.join(directory, NEW)) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                found.append(dropped(directory, entry.name))
            if len(found) >= MAX_FILES:
                break
    return sorted(found, key=lambda file: file.path)


def dropped(directory: str, name: str) -> DroppedFile:
    """The file of that name."""
    return DroppedFile(os.path.join(directory, NEW, name), f"drop-{_digest(name)}", has_envelope=True)


def lying(directory: str) -> dict[str, DroppedFile]:
    """What other programs have left, by what it is just now: who is still writing changes that."""
    found: dict[str, DroppedFile] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.name.lower().endswith(SUFFIXES) or not entry.is_file(follow_symlinks=False):
                continue
            known = entry.stat(follow_symlinks=False)
            if known.st_size:
                now = _digest(f"{entry.path}\0{known.st_ino}\0{known.st_mtime_ns}\0{known.st_size}")
                found[now] = DroppedFile(entry.path, f"drop-{now}", has_envelope=False)
            if len(found) >= MAX_FILES:
                break
    return found


def open_file(file: DroppedFile) -> Opened:
    """Open it; raise FileNotFoundError when it is gone, and ValueError when it must not be read."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    known = os.fstat(descriptor)
    if not stat.S_ISREG(known.st_mode) or known.st_nlink != 1:
        os.close(descriptor)
        raise ValueError("it is no file of its own")
    return Opened(os.fdopen(descriptor, "rb"), known.st_size, _user(known.st_uid))


def remove(file: DroppedFile) -> None:
    """Take it away, durably."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file.path)
    sync_directory(os.path.dirname(file.path))


def set_aside(file: DroppedFile) -> str:
    """Put it where it is not looked at again; where that is."""
    directory, name = os.path.split(file.path)
    aside = os.path.join(os.path.dirname(directory), FAILED, name) if file.has_envelope else f"{file.path}.failed"
    os.replace(file.path, aside)
    return aside


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
