"""
Mailboxes whose accounts have just been renamed or erased, and that must not come back under the old name.

A delivery, or a login, looks its account up first and makes the mailbox when there is none. Whatever was on its way while an
account departed would make one that is nobody's, with mail in it that nobody finds. So who departs leaves a mark beside the
mailboxes, and whoever makes one looks for it; a lock on the directory keeps the two apart. Mail that meets a mark is put off;
when it is tried again it follows the mark to the account's new name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from hermes.config.durable import write_durably

#: How long a mark counts: what was looked up before the departure has come to its end by then, also over a disk that hangs, and
#: what was put off has been tried again. A new account of that name takes the mark away (:func:`arriving`); one that is written
#: into a file by hand has its first mail so much later.
MARK_SECONDS = 3600.0

#: No account's name begins with a dot.
_MARK = ".departed-"

#: Names that are followed from one to the next, if somebody is renamed again and again.
_MOST_NAMES = 8

_MAX_NAME = 64


@contextlib.contextmanager
def making(directory: str, name: str) -> Iterator[None]:
    """Make a mailbox within; raises OSError when its account has departed, or one departs at this moment."""
    with _held(directory, fcntl.LOCK_SH | fcntl.LOCK_NB):
        if _is_marked(os.path.join(directory, _MARK + name)):
            raise OSError(errno.EBUSY, "its account has just been renamed or removed")
        yield


@contextlib.contextmanager
def departing(directory: str, name: str, new_name: str = "") -> Iterator[None]:
    """Take the mailbox of an account away within, or give it a new name; the account stays when something is raised."""
    if not os.path.isdir(directory):
        # Nobody has a mailbox yet.
        yield
        return
    mark = os.path.join(directory, _MARK + name)
    with _held(directory, fcntl.LOCK_EX):
        tidy(directory)
        # Before anything is moved: a power cut must not leave the one without the other. The server reads it, whoever writes it.
        write_durably(mark, new_name.encode("ascii"), 0o644)
        try:
            yield
        except Exception:
            os.unlink(mark)
            raise


def arriving(directory: str, name: str) -> None:
    """Let an account of that name have a mailbox again."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, _MARK + name))


def new_name_of(directory: str, name: str) -> str:
    """What an account is called now that was called so a moment ago; empty when nothing is known of it."""
    first = name
    for _ in range(_MOST_NAMES + 1):
        mark = os.path.join(directory, _MARK + name)
        if not _is_marked(mark):
            return name if name != first else ""
        with open(mark, encoding="ascii") as file:
            name = file.read(_MAX_NAME)
        if not name:
            return ""
    return ""


def tidy(directory: str) -> None:
    """Remove the marks that count no more: whoever was erased shall not be remembered by them."""
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(_MARK) and not _is_marked(entry.path):
                os.unlink(entry.path)


@contextlib.contextmanager
def _held(directory: str, how: int) -> Iterator[None]:
    # The directory itself: a file to be locked would belong to whoever came first, the administrator or the server.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _is_marked(path: str) -> bool:
    try:
        made_at = os.stat(path).st_mtime
    except FileNotFoundError:
        return False
    # A clock that was set back must not make a mark count for longer.
    return abs(time.time() - made_at) < MARK_SECONDS
