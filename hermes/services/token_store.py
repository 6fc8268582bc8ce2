"""
Where OAuth tokens are kept: a file for each client, encrypted under a key of this server.

Whoever reads the files without the key (in a backup, say) learns nothing; and one file cannot be put in the place of another. A
file is replaced whole and durably. The server and the command line may change it at the same time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hermes.config.durable import write_durably

#: AES-256 (NIST SP 800-38D); its nonce is random and new for every writing.
KEY_OCTETS = 32
NONCE_OCTETS = 12

#: The first octets of each file, so that another form can be told from this one some day.
_MAGIC = b"hermes-token-1\n"

#: Two tokens of 8 KiB and a few words; a file that is larger is none of ours.
MAX_FILE_OCTETS = 64 * 1024


class TokenStoreError(Exception):
    """A file cannot be read or understood; the text says which, and what to do."""


@attrs.frozen
class Record:
    """
    What is known of one client's tokens; times are seconds since the epoch, 0 for never.

    ``serial`` is another one after every login, so that the end of an older refresh does not undo a newer login. ``error`` is
    what went wrong last, and is empty after a success.
    """

    serial: str
    access_token: str = attrs.field(default="", repr=False)
    refresh_token: str = attrs.field(default="", repr=False)
    obtained_at: float = 0.0
    expires_at: float = 0.0
    refreshed_at: float = 0.0
    error: str = ""
    error_at: float = 0.0
    login_needed: bool = False


class TokenStore:
    """The files below ``directory`` and the key in ``key_file``; all are made when they are needed, for their owner alone."""

    def __init__(self, directory: str, key_file: str) -> None:
        self._directory = directory
        self._key_file = key_file

    def read(self, name: str) -> Record | None:
        """The tokens of a client; None when there are none. Raises TokenStoreError and OSError."""
        path = self._path(name)
        try:
            with open(path, "rb") as file:
                octets = file.read(MAX_FILE_OCTETS + 1)
        except FileNotFoundError:
            return None
        head = len(_MAGIC)
        try:
            if not octets.startswith(_MAGIC) or len(octets) > MAX_FILE_OCTETS:
                raise ValueError
            nonce, sealed = octets[head : head + NONCE_OCTETS], octets[head + NONCE_OCTETS :]
            record = Record(**json.loads(AESGCM(self._key()).decrypt(nonce, sealed, name.encode())))
        except (InvalidTag, ValueError, TypeError) as error:
            text = f"{path} cannot be decrypted with {self._key_file}: log in again with 'hermes oauth login {name}'"
            raise TokenStoreError(text) from error
        return record

    def stamp(self, name: str) -> tuple[int, int] | None:
        """What is another one after each change of the file; None when there is none."""
        try:
            status = os.stat(self._path(name))
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino

    def write(self, name: str, record: Record) -> None:
        """Put tokens into the place of those that were there; raises OSError."""
        with self._locked():
            self._write(name, record)

    def update(self, name: str, serial: str, change: Callable[[Record], Record]) -> Record | None:
        """
        Change the tokens of that login, and return what is there afterwards: a newer login stays as it is.

        Raises TokenStoreError and OSError.
        """
        with self._locked():
            record = self.read(name)
            if record is not None and record.serial == serial:
                record = change(record)
                self._write(name, record)
            return record

    def remove(self, name: str) -> bool:
        """Forget the tokens of a client; False when there were none. Raises OSError."""
        with self._locked():
            try:
                os.unlink(self._path(name))
            except FileNotFoundError:
                return False
            return True

    def _write(self, name: str, record: Record) -> None:
        nonce = secrets.token_bytes(NONCE_OCTETS)
        sealed = AESGCM(self._key()).encrypt(nonce, json.dumps(attrs.asdict(record)).encode(), name.encode())
        write_durably(self._path(name), _MAGIC + nonce + sealed, 0o600, self._owner())

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, f"{name}.token")

    def _key(self) -> bytes:
        try:
            with open(self._key_file, "rb") as file:
                key = file.read(KEY_OCTETS + 1)
        except FileNotFoundError:
            key = secrets.token_bytes(KEY_OCTETS)
            write_durably(self._key_file, key, 0o600, self._owner())
        if len(key) != KEY_OCTETS:
            # A new one would make every token unreadable: that is for the administrator to decide.
            raise TokenStoreError(f"{self._key_file} is damaged: restore it, or remove it and log in again")
        return key

    def _owner(self) -> tuple[int, int]:
        """The server's user, also when root has logged in for it."""
        status = os.stat(os.path.dirname(self._directory))
        return status.st_uid, status.st_gid

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not os.path.isdir(self._directory):
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            with contextlib.suppress(PermissionError):
                os.chown(self._directory, *self._owner())
        lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def new_serial() -> str:
    """A serial that no other login has."""
    return secrets.token_hex(8)
