"""The nursery: real processes that end at once, or when they are told."""

from __future__ import annotations

import os
import select
import signal
import socket
import warnings

from twisted.trial.unittest import SynchronousTestCase

from hermes.app.crew.nursery import Born, Died, Nursery


def work(number: int, link: socket.socket) -> int:
    """Send the number and one's own signals, then end with what one is told."""
    ignored = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    link.sendall(bytes([number, ignored]))
    told = link.recv(1)
    if not told:
        return 99
    if told == b"!":
        raise RuntimeError("a fault")
    return told[0]


class NurseryTests(SynchronousTestCase):
    """Orders and news."""

    def setUp(self) -> None:
        """Fork it."""
        with warnings.catch_warnings():
            # Other tests have left threads behind; the children touch nothing of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.nursery = Nursery.fork(work)
        self.closed = False
        self.addCleanup(self.close)

    def close(self) -> None:
        """Let it end."""
        if not self.closed:
            self.closed = True
            self.nursery.close()

    def bear(self, number: int) -> tuple[socket.socket, int]:
        """Have a worker born; our end of its link, and its process."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        ours.settimeout(10)
        with theirs:
            self.nursery.order(number, theirs)
        self.assertEqual(ours.recv(2), bytes([number, True]))
        (born,) = self.news()
        assert isinstance(born, Born)
        self.assertEqual(born.number, number)
        return ours, born.process

    def news(self) -> list[Born | Died]:
        """What there is to be told next."""
        select.select([self.nursery], [], [], 10)
        news = self.nursery.news()
        assert news is not None
        return news

    def test_life(self) -> None:
        """A worker is born, ends with its status, and each time the parent is told."""
        link, process = self.bear(3)
        link.sendall(b"\x07")
        self.assertEqual(self.news(), [Died(3, process, 7)])
        self.assertEqual(self.nursery.news(), [])

    def test_killed(self) -> None:
        """A signal is told as a negative number; others live on."""
        (one, first), (other, second) = self.bear(0), self.bear(1)
        os.kill(first, signal.SIGKILL)
        self.assertEqual(self.news(), [Died(0, first, -signal.SIGKILL)])
        other.sendall(b"\x00")
        self.assertEqual(self.news(), [Died(1, second, 0)])
        self.assertEqual(one.recv(1), b"")

    def test_nothing_is_left_open(self) -> None:
        """A worker holds no end of another's link, nor the nursery's line: whoever dies is noticed."""
        (one, first), (other, _) = self.bear(0), self.bear(1)
        os.kill(first, signal.SIGKILL)
        self.news()
        self.assertEqual(one.recv(1), b"")
        other.sendall(b"\x00")

    def test_signals(self) -> None:
        """What a terminal sends to all processes of its group does not end the nursery."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(self.nursery.process, number)
        link, process = self.bear(5)
        link.sendall(b"\x00")
        self.assertEqual(self.news(), [Died(5, process, 0)])

    def test_the_parent_goes(self) -> None:
        """The nursery ends with its parent, and workers notice the end of their links by themselves."""
        link, process = self.bear(0)
        self.close()
        self.assertTrue(os.path.exists(f"/proc/{process}"))
        link.shutdown(socket.SHUT_WR)
        self.assertEqual(link.recv(1), b"")

    def test_the_nursery_dies(self) -> None:
        """News from a nursery that is gone is that there will be none; orders fail."""
        os.kill(self.nursery.process, signal.SIGKILL)
        select.select([self.nursery], [], [], 10)
        self.assertIsNone(self.nursery.news())
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.assertRaises(OSError, self.nursery.order, 0, theirs)
