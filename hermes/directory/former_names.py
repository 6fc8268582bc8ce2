"""
What accounts were called before: a small file, so that what the trace has about somebody is found under the old names too.

An old name counts up to the time at which it was given up: afterwards it may be somebody else's. The commands that rename,
add and remove accounts write it; it is there when it is first needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress

from hermes.config.durable import write_durably

#: Of one account. Who is renamed once a year for a lifetime has as many; the oldest go first.
MAX_NAMES = 50

#: A name, and until when it was the account's, in seconds since the epoch.
FormerName = tuple[str, float]


class FormerNames:
    """Those in the file at ``path``; ValueError for one that cannot be used. What is older than ``since`` is forgotten."""

    def __init__(self, path: str, since: float) -> None:
        self._path = path
        self._since = since

    def of(self, name: str) -> Sequence[FormerName]:
        """What that account was called, oldest first."""
        return self._read().get(name, ())

    def rename(self, name: str, new_name: str, now: float) -> None:
        """An account has another name; said again, nothing more."""
        known = self._read()
        names = {**dict(known.pop(new_name, ())), **dict(known.pop(name, ())), name: now}
        names.pop(new_name, None)
        known[new_name] = list(names.items())[-MAX_NAMES:]
        self._write(known)

    def forget(self, name: str) -> None:
        """There is no such account any more, or it is another one from now on."""
        known = self._read()
        if known.pop(name, None) is not None:
            self._write(known)

    def _read(self) -> dict[str, list[FormerName]]:
        try:
            with open(self._path, "rb") as file:
                found = json.loads(file.read())
            return {
                str(name): [(str(former), float(until)) for former, until in names if until >= self._since]
                for name, names in found.items()
            }
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ValueError(f"{self._path} cannot be read: {error.strerror or error}") from None
        except (ValueError, TypeError, AttributeError):
            raise ValueError(
                f"{self._path} is damaged: remove it, and what accounts were called before is not known"
            ) from None

    def _write(self, known: dict[str, list[FormerName]]) -> None:
        octets = json.dumps({name: names for name, names in known.items() if names}).encode()
        try:
            owner = os.stat(os.path.dirname(self._path))
            with suppress(FileNotFoundError):
                owner = os.stat(self._path)
            write_durably(self._path, octets, 0o600, (owner.st_uid, owner.st_gid))
        except OSError as error:
            raise ValueError(f"{self._path} cannot be written: {error.strerror or error}") from None
