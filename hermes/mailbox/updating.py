"""What a session leaves behind: deleted messages go, read ones move to cur and are marked seen (RFC 1939 6)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hermes.config.durable import sync_directory
from hermes.mailbox import maildir

#: Faults remembered for the log; the next thousand would say the same.
MAX_FAULTS = 3


class Update:
    """
    The changes of one session, made in a thread.

    ``deletions`` holds message number, directory, name, and whether the message may be looked for by its unique part;
    ``seen`` directory and name. Afterwards ``octets_deleted`` says how much room was made, and ``faults`` what went wrong.
    """

    def __init__(
        self, path: str, deletions: Sequence[tuple[int, str, bytes, bool]], seen: Sequence[tuple[str, bytes]]
    ) -> None:
        self._path = path
        self._deletions = deletions
        self._seen = seen
        self._touched: set[str] = set()
        #: Where messages are that are not where they were, by unique part; read once, when the first is missed.
        self._elsewhere: dict[bytes, tuple[str, bytes]] | None = None
        self.octets_deleted = 0
        self.faults: list[OSError] = []

    def perform(self) -> list[int]:
        """Make the changes durable; the numbers of messages that could not be deleted."""
        failed = [
            number
            for number, directory, name, is_unique in self._deletions
            if not self._delete(directory, name, is_unique)
        ]
        for directory, name in self._seen:
            self._mark_seen(directory, name)
        for directory in sorted(self._touched):
            try:
                sync_directory(os.path.join(self._path, directory))
            except OSError as error:
                self._fault(error)
        return failed

    def _delete(self, directory: str, name: bytes, is_unique: bool) -> bool:
        try:
            if not self._unlink(directory, name) and is_unique:
                place = self._find(name)
                # Not anywhere: another program has deleted it, which is what was wanted.
                if place is not None:
                    self._unlink(*place)
        except OSError as error:
            self._fault(error)
            return False
        return True

    def _unlink(self, directory: str, name: bytes) -> bool:
        path = self._at(directory, name)
        size = maildir.stored_size(name)
        try:
            if size is None:
                size = os.lstat(path).st_size
            os.unlink(path)
        except FileNotFoundError:
            return False
        self.octets_deleted += size
        self._touched.add(directory)
        return True

    def _mark_seen(self, directory: str, name: bytes) -> None:
        seen = maildir.with_flag(name, b"S")
        if directory == "cur" and seen == name:
            return
        try:
            os.rename(self._at(directory, name), self._at("cur", seen))
        except FileNotFoundError:
            # Renamed by another program: then that one is keeping the flags.
            return
        except OSError as error:
            self._fault(error)
            return
        self._touched |= {directory, "cur"}

    def _find(self, name: bytes) -> tuple[str, bytes] | None:
        if self._elsewhere is None:
            self._elsewhere = {
                maildir.unique_part(entry.name): (directory, entry.name)
                for directory in ("new", "cur")
                for entry in maildir.messages_in(os.fsencode(os.path.join(self._path, directory)))
            }
        return self._elsewhere.get(maildir.unique_part(name))

    def _at(self, directory: str, name: bytes) -> bytes:
        return os.path.join(os.fsencode(self._path), directory.encode("ascii"), name)

    def _fault(self, error: OSError) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(error)
