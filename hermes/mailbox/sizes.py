"""
Sizes on the wire of messages that other programs delivered, whose names do not tell them.

Such a message is read once. What was found is kept in a file in the maildir, which may be removed at any time: it is made
again. It is not trusted further than its checksum goes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from hashlib import blake2b

from hermes.mailbox.maildir import FILE_MODE
from hermes.protocols.wire import WireEncoder

#: The file in the maildir. Other programs pass over names that they do not know beside new, cur and tmp.
FILE = "hermes-sizes"

_FIRST_WORDS = b"hermes-sizes 1 "

#: Read at once when a file is measured.
_PIECE_OCTETS = 256 * 1024

#: A file larger than this was not written by Hermes for any mailbox that one can open.
_MAX_FILE_OCTETS = 256 * 1024 * 1024


def wire_size_of_data(data: bytes) -> int:
    """The size on the wire of octets in memory."""
    encoder = WireEncoder(stuffing=False)
    return len(encoder.encode(data)) + len(encoder.finish())


def wire_size_of_file(path: str | bytes) -> int:
    """
    The size on the wire of a file, which is read in pieces; OSError when it is a link or cannot be read.

    It is the size with CRLF line ends and without dot-stuffing (RFC 1939 11).
    """
    encoder = WireEncoder(stuffing=False)
    octets = 0
    descriptor = open_regular(path)
    try:
        while piece := os.read(descriptor, _PIECE_OCTETS):
            octets += len(encoder.encode(piece))
    finally:
        os.close(descriptor)
    return octets + len(encoder.finish())


def load(path: str) -> dict[bytes, int]:
    """What is known of the maildir at ``path``: sizes by names without flags; nothing when the file is damaged."""
    try:
        with open(open_regular(os.path.join(path, FILE)), "rb") as file:
            first = file.readline(len(_FIRST_WORDS) + 65)
            body = file.read(_MAX_FILE_OCTETS)
    except OSError:
        return {}
    if first != _FIRST_WORDS + _checksum(body) + b"\n":
        return {}
    sizes = {}
    for line in body.splitlines():
        size, _, name = line.partition(b" ")
        sizes[name] = int(size)
    return sizes


def save(path: str, sizes: Mapping[bytes, int]) -> None:
    """
    Replace what is known. Not being able to is no fault: the messages are read again next time.

    There is no fsync: a file that a power cut leaves empty or short fails its checksum.
    """
    # splitlines() takes CR and LF apart: names that hold them are read each time.
    body = b"".join(
        b"%d %s\n" % (size, name) for name, size in sizes.items() if b"\n" not in name and b"\r" not in name
    )
    target = os.path.join(path, FILE)
    made = target + ".new"
    with contextlib.suppress(OSError):
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        with open(descriptor, "wb") as file:
            file.write(_FIRST_WORDS + _checksum(body) + b"\n" + body)
        os.rename(made, target)


def open_regular(path: str | bytes, directory: int | None = None) -> int:
    """
    Open a regular file for reading; OSError when it is anything else: a pipe would keep the thread waiting for ever.

    ``directory`` is a descriptor of the one that ``path`` is relative to.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", path)


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).hexdigest().encode("ascii")
