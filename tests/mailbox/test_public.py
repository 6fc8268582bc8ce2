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
        mailboxes = mailboxes_in(self.mktemp(), calling_worker(), clock_at())
        self.agent = PublicDelivery(self.root, LocalDelivery(mailboxes, OneAccount(), self.worker))

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
