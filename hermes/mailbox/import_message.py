"""The message that an import is reading: small ones are in memory, large ones in a file in tmp."""

from __future__ import annotations

import contextlib
import os
import re

from hermes.core.archived import Keeping, Kept, State
from hermes.core.received import return_path
from hermes.mailbox import maildir
from hermes.mailbox.kept_mail import Heading
from hermes.protocols.smtp.grammar import MalformedError, parse_path

#: A message above this is not kept in memory but written to tmp while it is read.
SMALL_OCTETS = 256 * 1024


class Incoming:
    """The message that is being read; small ones are in memory, large ones in a file in tmp."""

    def __init__(self, heading: Heading, keeping: Keeping, temporary: str, max_octets: int) -> None:
        self.heading = heading
        self._kept = Kept(keeping)
        self._temporary = temporary
        self._max_octets = max_octets
        self._held = bytearray()
        self._descriptor = -1
        self.octets = 0
        self.lines = 0
        self.broken = ""
        self._read_octets = 0

    @property
    def temporary(self) -> str | None:
        """The file that it is in, which is durable when the message is whole."""
        return self._temporary if self._descriptor >= 0 else None

    @property
    def state(self) -> State:
        """What its header has said about its state, when it is whole."""
        return self._kept.state

    @property
    def header(self) -> bytes:
        """What is kept of its header, when it is whole."""
        return self._kept.header

    def feed(self, piece: bytes) -> None:
        """The next piece; of what is too large nothing is kept."""
        self._read_octets += len(piece)
        if not self.broken and self._read_octets > self._max_octets:
            self.give_up(f"it is larger than {self._max_octets} octets")
        if not self.broken:
            self._store(self._kept.feed(piece))

    def give_up(self, reason: str) -> None:
        """Forget what there is of it."""
        self.broken = reason
        self._held.clear()
        self.close()

    def finish(self) -> bytes:
        """The message has come to its end: its digest."""
        self._store(self._kept.finish())
        return self._kept.digest()

    def make_durable(self) -> None:
        """Bring a large message to the disk, as far as it is to be linked from tmp."""
        if self._descriptor >= 0:
            self._write(bytes(self._held))
            self._held.clear()
            os.fsync(self._descriptor)

    def octets_in_memory(self) -> bytes | None:
        """All of a small message."""
        return None if self._descriptor >= 0 else bytes(self._held)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary)

    def _store(self, octets: bytes) -> None:
        if octets and not self.octets:
            octets = self._return_path() + octets
        self.octets += len(octets)
        self.lines += octets.count(b"\n")
        self._held += octets
        if len(self._held) > SMALL_OCTETS:
            if self._descriptor < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._descriptor = os.open(self._temporary, flags, maildir.FILE_MODE)
            self._write(bytes(self._held))
            self._held.clear()

    def _write(self, octets: bytes) -> None:
        while octets:
            octets = octets[os.write(self._descriptor, octets) :]

    def _return_path(self) -> bytes:
        """The sender in front of a message that does not name it (RFC 5321 4.4), when he was kept beside it and is an address."""
        if not self.heading.sender or re.search(rb"^return-path[ \t]*:", self.header, re.IGNORECASE | re.MULTILINE):
            return b""
        try:
            address, rest = parse_path(f"<{self.heading.sender}>", "5.1.7")
        except MalformedError:
            return b""
        # Some programs write an address of nobody's, like 1234@xxx.
        return b"" if rest or "." not in address.rpartition("@")[2] else f"{return_path(address)}\n".encode()
