"""Public folders."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override
from zope.interface.verify import verifyObject

from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent
from hermes.mailbox.delivery import LocalDelivery
from hermes.mailbox.deposit import Depositor
from hermes.mailbox.public import PublicDelivery
from tests.mailbox.test_delivery import OneAccount
from tests.support.maildirs import calling_worker, clock_at, content_of, files_in, mailboxes_in, queued
from tests.support.worker import ImmediateWorker


class PublicDeliveryTests(SynchronousTestCase):
    """:meth:`PublicDelivery.deliver`."""

    @override
    def setUp(self) -> None:
        self.root = self.mktemp()
        self.worker = ImmediateWorker()
        self.worker.start(Depositor().perform)
        self.make(0)

    def make(self, limit_octets: int) -> None:
        """The agent, with a limit for each folder."""
        mailboxes = mailboxes_in(self.mktemp(), calling_worker(), clock_at())
        local = LocalDelivery(mailboxes, OneAccount(), self.worker)
        self.agent = PublicDelivery(self.root, local, mailboxes.quota, limit_octets)

    def deliver(self, folder: str, ordinals: tuple[int, ...] = (0,)) -> list[Outcome]:
        """Deliver a message."""
        message = queued(content_of(b"Subject: x\n\nbody\n"), ordinals=ordinals)
        return self.successResultOf(self.agent.deliver(folder, message, message.recipients))

    def test_delivered(self) -> None:
        """The message is in the folder once, however many addresses led there; the folder is made for it."""
        verifyObject(IDeliveryAgent, self.agent)
        outcomes = self.deliver("lost and found", (0, 1))
        self.assertEqual([each.result for each in outcomes], [Result.DELIVERED] * 2)
        self.assertIn("the public folder lost and found", outcomes[0].reason)
        self.assertEqual(len(files_in(os.path.join(self.root, "lost and found"), "new")), 1)

    def test_full(self) -> None:
        """A folder that has as much as it may have gets no more until somebody clears it; another one is another one."""
        size = content_of(b"Subject: x\n\nbody\n").size_octets
        for limit, fits in ((2 * size - 1, 1), (2 * size, 2), (2 * size + 1, 2)):
            self.root = self.mktemp()
            self.make(limit)
            results = [self.deliver("x", (number,))[0] for number in range(3)]
            self.assertEqual(
                [each.result for each in results], [Result.DELIVERED] * fits + [Result.DEFERRED] * (3 - fits)
            )
            self.assertEqual(results[-1].status, "4.2.2")
            self.assertIn("the public folder x is full", results[-1].reason)
            self.assertEqual(len(files_in(os.path.join(self.root, "x"), "new")), fits)
            self.assertIs(self.deliver("y")[0].result, Result.DELIVERED)
        self.make(size - 1)
        (outcome,) = self.deliver("z")
        self.assertEqual((outcome.result, outcome.status), (Result.FAILED, "5.2.3"))

    def test_room_after_a_fault(self) -> None:
        """What could not be written takes no room; a folder that cannot be looked at gets nothing now."""
        self.make(content_of(b"Subject: x\n\nbody\n").size_octets)

        async def fails(*_: object) -> Outcome:
            return Outcome.deferred("the disk failed", "4.3.0")

        failing = self.patch(self.agent._delivery, "put", fails)
        self.assertIs(self.deliver("x")[0].result, Result.DEFERRED)
        failing.restore()
        self.assertIs(self.deliver("x")[0].result, Result.DELIVERED)
        with open(os.path.join(self.root, "y"), "w"):
            pass
        (outcome,) = self.deliver("y")
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.3.0"))
        self.assertIn("cannot be looked at", outcome.reason)

    def test_elsewhere(self) -> None:
        """No name leads out of the directory."""
        for name in ("", "..", ".", "../x", "a/b", "/etc", ".hidden"):
            self.assertEqual([each.result for each in self.deliver(name)], [Result.FAILED], name)
        self.assertFalse(os.path.exists(self.root))

    def test_disk(self) -> None:
        """A disk that fails puts it off."""
        os.mkdir(self.root, 0o700)
        with open(os.path.join(self.root, "x"), "w"):
            pass
        self.assertEqual([each.result for each in self.deliver("x")], [Result.DEFERRED])
