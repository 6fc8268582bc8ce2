"""
The accounts of ``accounts.ini``, read again when the file changes, and edited in place.

A file that cannot be used leaves the accounts as they were: all or nothing. Every edit writes a new file beside the old
one, fsyncs and renames it, so that a reader, and a server after a power cut, sees the one or the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
from typing_extensions import override

from hermes.config.durable import write_durably
from hermes.core.account import Account
from hermes.core.reading_profile import ReadingProfile
from hermes.directory.accounts import AccountTable, Record, check_address, check_name, table_of
from hermes.directory.sources import file_edit
from hermes.directory.sources.accounts_file import (
    AccountsFileError,
    check_password_hash,
    check_scram_keys,
    check_sealed,
    checked,
    parse,
)
from hermes.directory.sources.watched import Loaded, Refused, WatchedSource
from hermes.interfaces import IGroupWorker

#: Hashes of passwords are nobody's business but the server's.
FILE_MODE = 0o600

#: What is left where the last account went: a file without a single octet is not believed (:meth:`FileSource._attempt`).
_NOBODY = "# The accounts of this server.\n"

#: What tells one state of the file from another.
_Stamp = tuple[int, int, int]


class FileSource(WatchedSource):
    """
    Accounts in the file at ``path``; see :class:`WatchedSource` for the rest.

    :meth:`current` and :meth:`change_password` are for servers; the other methods read and write the file at once, and may be
    used by several processes.
    """

    def __init__(
        self, path: str, worker: IGroupWorker | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        # A link stays a link: it is its target that edits replace.
        super().__init__(os.path.realpath(path), worker, now)

    async def current(self) -> AccountTable:
        """All accounts; when the file has changed, those that it lists now."""
        if self._loading.under_way or self._now() >= self._look_at:
            await self._look()
        return self._table

    @override
    async def stop(self) -> None:
        """Its worker is others', too."""

    @override
    def _may_have_changed(self) -> bool:
        return self._state() != self._stamp

    @override
    def _refused(self, refused: Refused) -> None:
        # Complained about once, and read again when it has changed again.
        self._stamp = refused.stamp
        super()._refused(refused)

    @override
    def _state(self) -> _Stamp | None:
        try:
            return _stamp(os.stat(self.path))
        except OSError:
            return None

    @override
    def _attempt(self) -> Loaded | Refused:
        result = super()._attempt()
        if isinstance(result, Loaded) and self._table.by_name and _size(result.stamp) == 0:
            # An editor that is writing, or a full disk. To believe it would be to refuse everybody's mail for good.
            problem = f"{self.path}: it is empty; if nobody is to have an account, write a line that begins with #"
            return Refused(problem, result.stamp)
        return result

    @override
    def _read(self) -> Loaded:
        try:
            with open(self.path, "rb") as file:
                # Before the text: a change while it is being read is then noticed at the next look.
                status = os.fstat(file.fileno())
                octets = file.read()
        except FileNotFoundError:
            remedy = "`hermes user add` makes it; where nobody has a mailbox an empty one will do"
            raise AccountsFileError(self.path, 0, f"there is no such file: {remedy}") from None
        except OSError as error:
            raise AccountsFileError(self.path, 0, error.strerror or str(error)) from None
        return Loaded(parse(self.path, _decoded(self.path, octets)), _stamp(status))

    def add(self, account: Account, password_hash: str, scram: str = "") -> None:
        """Add an account; ValueError when its name or one of its addresses cannot be, or is somebody's already."""
        # Values are written into lines: what is checked here can not begin another line.
        account = checked(account, password_hash, scram)
        with self._edit(missing_is_empty=True) as edit:
            table = parse(self.path, edit.text)
            if account.name in table.by_name:
                raise ValueError(f"there is an account {account.name!r} already")
            table_of([*table.by_name.values(), Record(account)])
            edit.text = file_edit.with_account(edit.text, account, password_hash, scram)

    def remove(self, name: str) -> None:
        """Remove an account, not its mailbox; LookupError when there is none."""
        with self._edit() as edit:
            edit.text = file_edit.without_account(self.path, edit.text, name) or _NOBODY

    def set_forward(self, name: str, forward: Sequence[str], *, deliver_also: bool = False) -> None:
        """Have an account's mail sent on, or with no address keep it here; LookupError when there is no such account."""
        checked = [check_address(address) for address in forward]
        with self._edit() as edit:
            edit.text = file_edit.with_forward(self.path, edit.text, name, checked, deliver_also)

    @override
    def set_password(self, name: str, password_hash: str, instead_of: str | None = None, scram: str = "") -> bool:
        check_password_hash(password_hash)
        check_scram_keys(scram)
        with self._edit() as edit:
            if instead_of is not None and file_edit.password_in(self.path, edit.text, name) != instead_of:
                return False
            edit.text = file_edit.with_password(self.path, edit.text, name, password_hash, scram)
        return True

    def set_cram(self, name: str, sealed: str) -> None:
        """Set an account's secret for CRAM-MD5, in its sealed form, or remove it; LookupError when there is no such account."""
        check_sealed(sealed)
        with self._edit() as edit:
            edit.text = file_edit.with_cram(self.path, edit.text, name, sealed)

    def set_reading(self, name: str, reading: ReadingProfile, logins: Sequence[str]) -> None:
        """Set how an account's mailbox is read, and its further logins; LookupError when there is no such account."""
        keys = {"logins": ", ".join(check_name(login) for login in logins), **file_edit.reading_keys(reading)}
        with self._edit() as edit:
            text = file_edit.with_keys(self.path, edit.text, name, keys)
            # A login may be somebody else's: then nothing is written.
            parse(self.path, text)
            edit.text = text

    def change(self, name: str, keys: Mapping[str, str]) -> None:
        """
        Give keys of an account other values, as they are written in the file, an empty one taking the key out.

        LookupError when there is no such account; AccountsFileError, which is a ValueError, when it could not be so: then nothing
        is written.
        """
        with self._edit() as edit:
            text = file_edit.with_keys(self.path, edit.text, name, keys)
            parse(self.path, text)
            edit.text = text

    def rename(self, name: str, new_name: str) -> None:
        """Give an account another name; LookupError when there is no such account, ValueError when the name cannot be its."""
        check_name(new_name)
        with self._edit() as edit:
            if new_name in parse(self.path, edit.text).by_name:
                raise ValueError(f"there is an account {new_name!r} already")
            text = file_edit.with_name(self.path, edit.text, name, new_name)
            parse(self.path, text)
            edit.text = text

    @contextlib.contextmanager
    def _edit(self, *, missing_is_empty: bool = False) -> Iterator[_Edit]:
        """Hold the file against other writers; replace it when its text was changed."""
        directory = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # The directory is locked and not the file, which is replaced, and not a third file, which would belong to
            # whoever came first: the administrator, and then the server could not open it.
            fcntl.flock(directory, fcntl.LOCK_EX)
            edit = _Edit(self._text(missing_is_empty))
            before = edit.text
            yield edit
            if edit.text != before:
                write_durably(self.path, edit.text.encode("utf-8"), FILE_MODE, _owner_of(self.path))
        finally:
            os.close(directory)

    def _text(self, missing_is_empty: bool) -> str:
        try:
            with open(self.path, "rb") as file:
                return _decoded(self.path, file.read())
        except FileNotFoundError:
            if missing_is_empty:
                return ""
            raise AccountsFileError(self.path, 0, "there is no such file") from None
        except OSError as error:
            raise AccountsFileError(self.path, 0, error.strerror or str(error)) from None


@attrs.define
class _Edit:
    text: str


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _size(stamp: object) -> int | None:
    return stamp[1] if isinstance(stamp, tuple) else None


def _decoded(path: str, octets: bytes) -> str:
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise AccountsFileError(path, line, "this line is not UTF-8") from None


def _owner_of(path: str) -> tuple[int, int]:
    """When the administrator edits the server's file it must stay the server's; a new one is the directory's owner's."""
    try:
        owner = os.stat(path)
    except FileNotFoundError:
        owner = os.stat(os.path.dirname(path))
    return owner.st_uid, owner.st_gid
