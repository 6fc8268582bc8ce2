"""
Puts a group of messages into maildirs, durably, with as few waits for the disk as can be.

Runs in a process of its own. The steps for a small message: write ``tmp/NAME``, fsync it, rename it to ``new/NAME``; then one
fsync for every ``new`` that the group touched; only then is the group answered. A large message is a file in the spool
already, in exactly the form that a maildir gets and already fsynced: it is linked into ``new``, and copied only where the
file system cannot link. Whatever step the process dies at, doing the delivery again ends with one message: the name is the
same, so the rename replaces, and the link finds, what is there.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Sequence

import attrs

from hermes.config.durable import sync_directory
from hermes.mailbox import maildir

#: Files written before the first of them is fsynced: their blocks go to the disk together (a third more messages a second
#: than one after another), and so many descriptors are spare under the usual limit of 1024.
FILES_AT_ONCE = 64

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

    @property
    def path_in_tmp(self) -> str:
        return os.path.join(self.deposit.path, "tmp", self.name)

    @property
    def path_of_message(self) -> str:
        return os.path.join(self.deposit.path, self.deposit.directory, self.name)


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
        return _Group(group, self._before).run()


def perform_deposits(group: list[Deposit]) -> list[OSError | None]:
    """What a server's depositor does; by this name its process finds it (:class:`hermes.net.process_worker.ProcessWorker`)."""
    return Depositor().perform(group)


class _Group:
    """One run; see :meth:`Depositor.perform`."""

    def __init__(self, group: list[Deposit], before: Callable[[str], None]) -> None:
        self._group = group
        self._before = before
        self._results: list[OSError | None] = [None] * len(group)
        self._written: list[_Written] = []
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
        for directory, numbers in self._touched.items():
            self._sync(directory, numbers)
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
        if deposit.source is not None and self._link(deposit.source, f"{deposit.path}/{deposit.directory}/{name}"):
            _date(deposit, name)
            return
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
        durable: list[_Written] = []
        for written in self._written:
            try:
                try:
                    self._before("fsync")
                    os.fsync(written.descriptor)
                finally:
                    os.close(written.descriptor)
            except OSError as error:
                self._results[written.number] = error
                _discard(written)
            else:
                durable.append(written)
        self._written.clear()
        for written in durable:
            try:
                self._before("rename")
                os.rename(written.path_in_tmp, written.path_of_message)
                _date(written.deposit, written.name)
            except OSError as error:
                self._results[written.number] = error
                _discard(written)

    def _sync(self, directory: str, numbers: list[int]) -> None:
        try:
            self._before(f"fsync {os.path.basename(directory)}")
            sync_directory(directory)
        except OSError as error:
            for number in numbers:
                self._results[number] = self._results[number] or error


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
