"""
The process that workers are forked from.

A process whose reactor runs, with sockets and perhaps threads, cannot be forked safely. So the parent forks this one before its
reactor runs. It waits for orders at a socket: each is the number of a worker, with the worker's end of its link beside it; it
forks, and tells the parent when a worker was born and how it died. When the parent is gone, it goes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
from typing import NoReturn, Protocol

import attrs

#: A word, a number or three, far below the size of a datagram.
_MESSAGE_OCTETS = 256

#: Whatever is sent to the whole group of processes is meant for the parent, who tells the workers.
_FOR_THE_PARENT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

#: How a worker ended that could not even begin.
_FAULT = 70


@attrs.frozen
class Born:
    """A worker has begun."""

    number: int
    process: int


@attrs.frozen
class Died:
    """A worker has ended; ``status`` is negative for a signal."""

    number: int
    process: int
    status: int


class Work(Protocol):
    """What a new worker does for the rest of its life, until it returns its exit status."""

    def __call__(self, number: int, link: socket.socket) -> int:
        """Begin."""


class Nursery:
    """The parent's view of the nursery."""

    def __init__(self, process: int, line: socket.socket) -> None:
        self.process = process
        self._line = line
        line.setblocking(False)

    @classmethod
    def fork(cls, work: Work) -> Nursery:
        """Make the nursery. No thread may run, and the reactor must not have run."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Objects that are never looked at again by the collector stay in pages that all processes share.
        gc.collect()
        gc.freeze()
        # A signal that comes while the nursery is not ready to ignore it waits; the parent gets it afterwards.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_PARENT)
        try:
            process = os.fork()
            if process == 0:
                ours.close()
                _be_nursery(theirs, work, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return cls(process, ours)

    def fileno(self) -> int:
        """The descriptor that becomes readable when there is news."""
        return self._line.fileno()

    def order(self, number: int, link: socket.socket) -> None:
        """Have a worker forked, whose end of the link this is; raise OSError when the nursery is gone."""
        socket.send_fds(self._line, [b"%d" % number], [link.fileno()])

    def news(self) -> list[Born | Died] | None:
        """What has happened since; None when the nursery is gone."""
        found: list[Born | Died] = []
        while True:
            try:
                message = self._line.recv(_MESSAGE_OCTETS)
            except BlockingIOError:
                return found
            except OSError:
                return None
            if not message:
                return found or None
            word, *numbers = message.split()
            found.append(Born(*map(int, numbers)) if word == b"born" else Died(*map(int, numbers)))

    def close(self) -> None:
        """Let it end."""
        self._line.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.process, 0)


def _be_nursery(line: socket.socket, work: Work, mask: set[int]) -> NoReturn:
    status = _FAULT
    try:
        for number in _FOR_THE_PARENT:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = _wait_for_orders(line, work)
    finally:
        os._exit(status)


def _wait_for_orders(line: socket.socket, work: Work) -> int:
    alarm, ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(ring)
    workers: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([line.fileno(), alarm], [], [])
        if alarm in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(alarm, 512)
            if not _report_deaths(line, workers):
                return 0
        if line.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(line, _MESSAGE_OCTETS, 1)
            if not message:
                return 0
            number = int(message)
            link = socket.socket(fileno=descriptors[0])
            process = os.fork()
            if process == 0:
                for descriptor in (alarm, ring):
                    os.close(descriptor)
                line.close()
                _be_worker(number, link, work)
            link.close()
            workers[process] = number
            if not _told(line, b"born %d %d" % (number, process)):
                return 0


def _report_deaths(line: socket.socket, workers: dict[int, int]) -> bool:
    while workers:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == 0:
            break
        code = os.waitstatus_to_exitcode(status)
        if not _told(line, b"died %d %d %d" % (workers.pop(process), process, code)):
            return False
    return True


def _told(line: socket.socket, message: bytes) -> bool:
    """Tell the parent; False when there is none any more."""
    try:
        line.send(message)
    except OSError:
        return False
    return True


def _be_worker(number: int, link: socket.socket, work: Work) -> NoReturn:
    status = _FAULT
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        status = work(number, link)
    finally:
        os._exit(status)
