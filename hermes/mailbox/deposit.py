"""
Puts a group of messages into maildirs, durably, with as few waits for the disk as can be.

Runs in a process of its own. The steps for a small message: write ``tmp/NAME``, fsync it, rename it to ``new/NAME``; then one
fsync for every ``new`` that the group touched; only then is the group answered. For its other recipients what was written is
linked into their ``new``, after its fsync. A large message is a file in the spool already, in exactly the form that a maildir
gets and already fsynced: it is linked into ``new``, and copied only where the file system cannot link. Whatever step the
process dies at, doing the delivery again ends with one message: the name is the same, so the rename replaces, and the link
finds, what is there.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import attrs

from hermes.config.durable import sync_directory
from hermes.mailbox import maildir

#: Files written before the first of them is fsynced: their blocks go to the disk together (a third more messages a second
#: than one after another), and so many descriptors are spare under the usual limit of 1024.
FILES_AT_ONCE = 64

#: Directories fsynced at once: the disk serves them together, three times as many a second as one after another.
DIRECTORIES_AT_ONCE = 8

#: Octets copied at once where a message cannot be linked.
COPY_OCTETS = 1024 * 1024

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW

#: Why a link is not possible although a copy is: another file system, none that can link, or too many links.
_COPY_INSTEAD = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})


@attrs.define
class Deposit:
    """
    One message for one maildir, once for each of ``names``; either ``data`` or ``source`` (a file) is set.

    ``repeated`` says that it may have been put there before. What is not new goes into the ``directory`` cur, with its flags in
    its name. ``modified_at`` is the time that the file gets, which other programs take for that of delivery.
    """

    path: str
    names: Sequence[str]
    data: bytes | None
    source: str | None
    repeated: bool
    directory: str = "new"
    modified_at: float | None = None


@attrs.define
class _Written:
    """A file in tmp that is not yet on disk."""

    number: int
    deposit: Deposit
    name: str
    descriptor: int
    #: The others who get the same octets: number, deposit and name.
    copies: list[tuple[int, Deposit, str]] = attrs.Factory(list)

    @property
    def path_in_tmp(self) -> str:
        return os.path.join(self.deposit.path, "tmp", self.name)

    @property
    def path_of_message(self) -> str:
        return _path_of(self.deposit, self.name)


def _path_of(deposit: Deposit, name: str) -> str:
    return f"{deposit.path}/{deposit.directory}/{name}"


def _go_on(step: str) -> None:
    """Between the steps on the disk nothing happens."""


class Depositor:
    """
    Deposits groups; ``before`` is called with the name of each step on the disk before it is taken, for tests that die there.

    :meth:`perform` is what an :class:`hermes.interfaces.IGroupWorker` does.
    """

    def __init__(self, before: Callable[[str], None] = _go_on) -> None:
        self._before = before

    def perform(self, group: list[Deposit]) -> list[OSError | None]:
        """For each deposit None when all its names are durable, else what went wrong."""
        return _Group(group, self._before, self._sync_all).run()

    def _sync_all(self, directories: Sequence[str]) -> list[OSError | None]:
        for directory in directories:
            self._before(f"fsync {os.path.basename(directory)}")
        if len(directories) == 1:
            return [_sync(directories[0])]
        return list(self._threads.map(_sync, directories))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(DIRECTORIES_AT_ONCE, "fsync")


_DEPOSITOR = Depositor()


def perform_deposits(group: list[Deposit]) -> list[OSError | None]:
    """What a server's depositor does; by this name its process finds it (:class:`hermes.net.process_worker.ProcessWorker`)."""
    return _DEPOSITOR.perform(group)


class _Group:
    """One run; see :meth:`Depositor.perform`."""

    def __init__(
        self,
        group: list[Deposit],
        before: Callable[[str], None],
        sync: Callable[[Sequence[str]], list[OSError | None]],
    ) -> None:
        self._group = group
        self._before = before
        self._sync = sync
        self._results: list[OSError | None] = [None] * len(group)
        self._written: list[_Written] = []
        # What was written of the octets of that identity: of one message for many there is one object, and one file is enough.
        self._originals: dict[int, _Written] = {}
        # Directory -> the deposits whose names must become durable there.
        self._touched: dict[str, list[int]] = {}
        # Maildir -> the unique parts in its cur, read once for all repeated deposits of the group.
        self._current: dict[str, set[bytes]] = {}

    def run(self) -> list[OSError | None]:
        for number, deposit in enumerate(self._group):
            for name in deposit.names:
                if self._results[number] is None:
                    self._attempt(number, deposit, name)
                if len(self._written) >= FILES_AT_ONCE:
                    self._publish()
        self._publish()
        for numbers, error in zip(self._touched.values(), self._sync([*self._touched]), strict=True):
            for number in numbers:
                self._results[number] = self._results[number] or error
        return self._results

    def _attempt(self, number: int, deposit: Deposit, name: str) -> None:
        try:
            if not (deposit.repeated and self._is_there(deposit.path, name)):
                try:
                    self._put(number, deposit, name)
                except FileNotFoundError:
                    self._before("make")
                    maildir.make(deposit.path)
                    self._put(number, deposit, name)
        except OSError as error:
            self._results[number] = error
        else:
            self._touched.setdefault(f"{deposit.path}/{deposit.directory}", []).append(number)

    def _is_there(self, path: str, name: str) -> bool:
        """True when an earlier attempt came to its end and only its record is missing, even if it has been read since."""
        if os.path.lexists(f"{path}/new/{name}"):
            return True
        current = self._current.get(path)
        if current is None:
            entries = maildir.messages_in(os.fsencode(f"{path}/cur"))
            current = self._current[path] = {maildir.unique_part(entry.name) for entry in entries}
        return maildir.unique_part(name.encode("ascii")) in current

    def _put(self, number: int, deposit: Deposit, name: str) -> None:
        if deposit.source is not None and self._link(deposit.source, _path_of(deposit, name)):
            _date(deposit, name)
            return
        # A file has one time, whatever names it has.
        original = self._originals.get(id(deposit.data)) if deposit.modified_at is None else None
        if original is not None:
            original.copies.append((number, deposit, name))
        else:
            self._write(number, deposit, name)

    def _write(self, number: int, deposit: Deposit, name: str) -> None:
        """Write a file of its own, to be published."""
        self._before("create")
        descriptor = _create(os.path.join(deposit.path, "tmp", name))
        written = _Written(number, deposit, name, descriptor)
        self._written.append(written)
        try:
            if deposit.source is not None:
                self._before("copy")
                _copy(deposit.source, descriptor)
            else:
                assert deposit.data is not None
                self._before("write")
                _write(descriptor, deposit.data)
        except OSError:
            self._written.pop()
            os.close(descriptor)
            _discard(written)
            raise
        _start_writing(descriptor)
        if deposit.data is not None and deposit.modified_at is None:
            self._originals[id(deposit.data)] = written

    def _link(self, source: str, target: str) -> bool:
        self._before("link")
        try:
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            return True
        except OSError as error:
            if error.errno in _COPY_INSTEAD:
                return False
            raise
        return True

    def _publish(self) -> None:
        """Make the files that were written durable, then move them from tmp to new."""
        # All fsyncs before all renames: a rename in between would give the next fsync directories to write as well.
        durable = [written for written in self._written if self._is_durable(written)]
        self._written.clear()
        self._originals.clear()
        for written in durable:
            # While the name in tmp is ours alone: from new the first reader takes it away.
            for number, deposit, name in written.copies:
                self._copy(written, number, deposit, name)
            self._rename(written)

    def _rename(self, written: _Written) -> None:
        try:
            self._before("rename")
            os.rename(written.path_in_tmp, written.path_of_message)
            _date(written.deposit, written.name)
        except OSError as error:
            self._results[written.number] = error
            _discard(written)

    def _is_durable(self, written: _Written) -> bool:
        try:
            try:
                self._before("fsync")
                os.fsync(written.descriptor)
            finally:
                os.close(written.descriptor)
        except OSError as error:
            for number in (written.number, *(number for number, _, _ in written.copies)):
                self._results[number] = error
            _discard(written)
            return False
        return True

    def _copy(self, written: _Written, number: int, deposit: Deposit, name: str) -> None:
        """Give what was written to another recipient."""
        try:
            try:
                self._share(written, number, deposit, name)
            except FileNotFoundError:
                self._before("make")
                maildir.make(deposit.path)
                self._share(written, number, deposit, name)
        except OSError as error:
            self._results[number] = error

    def _share(self, original: _Written, number: int, deposit: Deposit, name: str) -> None:
        if self._link(original.path_in_tmp, _path_of(deposit, name)):
            return
        # It is on another file system, or there are as many links as can be.
        self._write(number, deposit, name)
        self._originals.clear()
        written = self._written.pop()
        if self._is_durable(written):
            self._rename(written)


def _sync(directory: str) -> OSError | None:
    try:
        sync_directory(directory)
    except OSError as error:
        return error
    return None


def _create(path: str) -> int:
    try:
        return os.open(path, _CREATE, maildir.FILE_MODE)
    except FileExistsError:
        # Of an attempt that died: the name is ours alone, so nobody else is writing it.
        os.unlink(path)
        return os.open(path, _CREATE, maildir.FILE_MODE)


def _write(descriptor: int, data: bytes) -> None:
    count = os.write(descriptor, data)
    if count < len(data):
        # A disk that is nearly full takes a part, and says why it took no more at the next attempt.
        rest = memoryview(data)[count:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _copy(source: str, descriptor: int) -> None:
    with open(source, "rb", buffering=0) as file:
        while piece := file.read(COPY_OCTETS):
            _write(descriptor, piece)


def _start_writing(descriptor: int) -> None:
    """Let the disk begin without waiting for it, so that the fsyncs of the group find the work under way."""
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        # A file system that takes no advice is only slower.
        return


def _date(deposit: Deposit, name: str) -> None:
    """Not before it is in its place: what is old and in tmp is removed, as abandoned, by whoever reads the mailbox."""
    if deposit.modified_at is not None:
        # Somebody who reads may have renamed it already.
        with contextlib.suppress(FileNotFoundError):
            os.utime(f"{deposit.path}/{deposit.directory}/{name}", (deposit.modified_at, deposit.modified_at))


def _discard(written: _Written) -> None:
    try:
        os.unlink(written.path_in_tmp)
    except OSError:
        # The disk is ill: what stays is removed with whatever else is abandoned.
        return
