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
import math
import os
import time
from collections.abc import Iterator

from hermes.config.durable import write_durably
from hermes.core.units import format_instant

#: How long a mark counts: what was looked up before the departure has come to its end by then, also over a disk that hangs, and
#: what was put off has been tried again. A new account of that name takes the mark away (:func:`arriving`); one that is written
#: into a file by hand, or is one of a directory service, has its mailbox so much later.
MARK_SECONDS = 3600.0

#: No account's name begins with a dot.
_MARK = ".departed-"

#: Names that are followed from one to the next, if somebody is renamed again and again.
_MOST_NAMES = 8

_MAX_NAME = 64


class DepartedError(OSError):
    """
    There can be no mailbox of a name yet: an account of that name has departed, or any departs at this moment.

    ``strerror`` says which, and may be told to anybody. ``filename`` is the mark, which counts until ``until`` (seconds since the
    epoch); of a moment there is none.
    """

    strerror: str
    until = 0.0

    @property
    def seconds(self) -> int:
        """When it is worth while to come again; one at least."""
        return max(1, math.ceil(self.until - time.time()))

    @property
    def advice(self) -> str:
        """What an administrator can do, who is told where the mark is."""
        if not self.filename:
            return "try it again"
        # It is what a command does that makes an account.
        return f"it can be made from {format_instant(self.until)} on, or, if that is too long, when {self.filename} is removed"


@contextlib.contextmanager
def making(directory: str, name: str) -> Iterator[None]:
    """Make a mailbox within; raises DepartedError when its account has departed, or one departs at this moment, and OSError."""
    with _held(directory, fcntl.LOCK_SH | fcntl.LOCK_NB):
        mark = os.path.join(directory, _MARK + name)
        until = _counts_until(mark)
        if until:
            error = DepartedError(errno.EBUSY, "an account of that name was renamed or removed a short time ago", mark)
            error.until = until
            raise error
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
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError as error:
            raise DepartedError(error.errno, "an account is being renamed or removed at this moment") from None
        yield
    finally:
        os.close(descriptor)


def _is_marked(path: str) -> bool:
    return _counts_until(path) > 0


def _counts_until(path: str) -> float:
    """When a mark ends that counts; 0 when there is none."""
    try:
        made_at = os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0
    # A clock that was set back must not make a mark count for longer.
    return made_at + MARK_SECONDS if abs(time.time() - made_at) < MARK_SECONDS else 0.0
