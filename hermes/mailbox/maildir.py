"""
What a maildir is on disk, and the names of the messages in it.

A mailbox is a Maildir++: ``tmp``, ``new`` and ``cur``, all of mode 0700, and folders beside them whose names begin with a
dot. A message's name is ``UNIQUE[,FIELD=VALUE...][:2,FLAGS]``. Hermes writes

    SECONDS.QUEUEID_ORDINAL.HOST,S=OCTETS,W=OCTETS

where S is the size on disk and W the size on the wire, with CRLF line ends, as Courier and Dovecot write them. The name
follows from the message and the recipient alone, so that a delivery that is repeated after a crash meets itself.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

from hermes.config.durable import sync_directory
from hermes.core.identifiers import decode, is_queue_id
from hermes.mailbox import departed

DIRECTORIES = ("tmp", "new", "cur")

#: Nobody but the server reads mail.
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

#: A name has to fit into 255 octets with whatever flags and fields other programs add.
MAX_HOST = 64

#: The maildir specification's age at which a file in tmp was given up by whoever wrote it.
ABANDONED_SECONDS = 36 * 3600

_UNSAFE_IN_HOST = re.compile(rb"[^A-Za-z0-9.-]")

# SECONDS "." [NUMBER "-"] QUEUEID "_" ORDINAL "."; what was imported has a number, which keeps the order of a second
_OURS = re.compile(rb"\d{1,15}\.(?:\d{1,10}-)?([0-9A-Z]{1,32})_\d+\.")

_SECONDS = re.compile(rb"(\d{1,11})\.")

_UNIQUE = re.compile(rb"[^,:]*")

_STORED_SIZE = re.compile(rb",S=(\d{1,15})(?=[,:]|\Z)")


class DeliveryNames:
    """Makes the names under which messages are delivered."""

    def __init__(self, hostname: str) -> None:
        # The maildir specification asks for "/" and ":" as \057 and \072; what else could be misread is written likewise.
        host = _UNSAFE_IN_HOST.sub(lambda found: b"\\%03o" % found[0][0], hostname.encode("utf-8", "replace"))
        self._host = host.decode("ascii")[:MAX_HOST] or "localhost"

    def unique(self, queue_id: str, accepted_at: float, ordinal: int) -> str:
        """The unique part for one recipient of a message; equal however often it is made."""
        if is_queue_id(queue_id):
            return f"{decode(queue_id) // 1_000_000}.{queue_id}_{ordinal}.{self._host}"
        safe = re.sub(r"[^A-Za-z0-9-]", "-", queue_id)
        return f"{int(accepted_at)}.{safe}_{ordinal}.{self._host}"


def sized(unique: str, size_octets: int, wire_octets: int) -> str:
    """The whole name of a message that is new."""
    return f"{unique},S={size_octets},W={wire_octets}"


def unique_part(name: bytes) -> bytes:
    """What stays the same when other programs add fields or change flags."""
    found = _UNIQUE.match(name)
    assert found is not None
    return found[0]


def base_part(name: bytes) -> bytes:
    """The name without its flags."""
    return name.partition(b":")[0]


def stored_size(name: bytes) -> int | None:
    """The size on disk, when the name tells it."""
    found = _STORED_SIZE.search(base_part(name))
    return int(found[1]) if found is not None else None


def queue_id_of(name: bytes) -> str:
    """The queue id of a message that Hermes delivered; empty for what came in any other way."""
    found = _OURS.match(name)
    text = found[1].decode("ascii") if found is not None else ""
    return text if is_queue_id(text) else ""


def seconds_of(name: bytes) -> int | None:
    """When the message was delivered, with which every name begins; None for a name that begins otherwise."""
    found = _SECONDS.match(name)
    return int(found[1]) if found is not None else None


def is_seen(name: bytes) -> bool:
    """Whether the message has been read."""
    info = name.partition(b":")[2]
    # What stands behind a comma belongs to other programs.
    return info.startswith(b"2,") and b"S" in info[2:].partition(b",")[0]


def with_flag(name: bytes, flag: bytes) -> bytes:
    """The name with a flag added, flags being unique and in ASCII order as the specification wants them."""
    base, _, info = name.partition(b":")
    flags = info[2:] if info.startswith(b"2,") else b""
    # What stands behind a comma belongs to other programs.
    standard, comma, rest = flags.partition(b",")
    ordered = b"".join(bytes([octet]) for octet in sorted({*standard, *flag}))
    return base + b":2," + ordered + comma + rest


def make(path: str) -> None:
    """
    Make a maildir, or complete one; what is made is on disk when this returns.

    Raises OSError, and :class:`hermes.mailbox.departed.DepartedError` when its account has just departed.
    """
    parent, name = os.path.split(path)
    # A name alone is in the current directory.
    parent = parent or "."
    made = False
    if not os.path.isdir(path):
        os.makedirs(parent, DIRECTORY_MODE, exist_ok=True)
        with departed.making(parent, name):
            made = _make_directory(path)
    # One that is taken away at this moment is not there any more, and is not made again.
    for each in DIRECTORIES:
        made |= _make_directory(os.path.join(path, each))
    if made:
        sync_directory(path)
        sync_directory(parent)


def _make_directory(path: str) -> bool:
    try:
        os.mkdir(path, DIRECTORY_MODE)
    except FileExistsError:
        return False
    return True


def messages_in(directory: bytes) -> Iterator[os.DirEntry[bytes]]:
    """
    The messages of ``new`` or ``cur``; none when there is no such directory.

    Only regular files count: a link could lead out of the maildir, and names with a leading dot are nobody's messages.
    """
    try:
        entries = os.scandir(directory)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            # The kind comes with the directory entry: no stat.
            if not entry.name.startswith(b".") and entry.is_file(follow_symlinks=False):
                yield entry


def find(path: str, unique: bytes) -> tuple[str, bytes] | None:
    """Look for a message by its unique part, in cur and then in new: its directory and its name now."""
    for directory in ("cur", "new"):
        for entry in messages_in(os.fsencode(os.path.join(path, directory))):
            if entry.name.startswith(unique) and unique_part(entry.name) == unique:
                return directory, entry.name
    return None


def remove_abandoned(path: str, now: float) -> None:
    """Remove what deliveries that never came to their end left in tmp; readers of a maildir are asked to do this."""
    for entry in messages_in(os.fsencode(os.path.join(path, "tmp"))):
        # What cannot be removed, or is gone meanwhile, keeps nobody from reading.
        with contextlib.suppress(OSError):
            if entry.stat(follow_symlinks=False).st_mtime < now - ABANDONED_SECONDS:
                os.unlink(entry.path)
