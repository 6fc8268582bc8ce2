"""The hour after an account has departed, in which somebody has its name again: who opens or makes a mailbox."""

from __future__ import annotations

import os
import pickle
import time

from twisted.cred.credentials import UsernamePassword
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.mail.pop3 import IMailbox
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.core.account import Account
from hermes.core.outcome import Outcome, Result
from hermes.directory.cred import make_portal
from hermes.interfaces import MailboxDepartedError, UnavailableError
from hermes.mailbox import maildir
from hermes.mailbox.delivery import LocalDelivery
from hermes.mailbox.departed import MARK_SECONDS, DepartedError, departing
from hermes.mailbox.deposit import Depositor
from hermes.mailbox.reading import POP3Mailbox
from tests.support.maildirs import JOE, content_of, files_in, mailboxes_in, queued
from tests.support.worker import ImmediateWorker

#: How long ago joe departed in these tests.
AGO = 600.0


class Everybody:
    """A directory in which there is a joe again."""

    async def account(self, name: str) -> Account | None:
        """Joe."""
        return JOE

    async def verify(self, name: str, password: str) -> Account | None:
        """Any password is his."""
        return JOE


class NotYetTestCase(SynchronousTestCase):
    """A directory of mailboxes from which joe's was taken."""

    @override
    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.path = os.path.join(self.directory, "joe")
        self.mark = os.path.join(self.directory, ".departed-joe")
        maildir.make(self.path)
        with departing(self.directory, "joe"):
            os.rename(self.path, os.path.join(self.directory, ".erased"))
        self.until = time.time() - AGO + MARK_SECONDS
        os.utime(self.mark, (self.until - MARK_SECONDS, self.until - MARK_SECONDS))
        self.mailboxes = mailboxes_in(self.directory)


class DepartedErrorTests(NotYetTestCase):
    """What is raised where no mailbox may be made."""

    def refusal(self, name: str = "joe") -> DepartedError:
        """Of a mailbox that is to be made."""
        return self.assertRaises(DepartedError, maildir.make, os.path.join(self.directory, name))

    def test_says_all(self) -> None:
        """It has the mark, the time and the seconds till then, and says what to do for whom that is too long."""
        error = self.refusal()
        self.assertEqual(error.filename, self.mark)
        self.assertApproximates(error.until, self.until, 1)
        # However slow the machine is, and never more.
        self.assertTrue(0 < error.seconds <= MARK_SECONDS - AGO + 1)
        self.assertIn(self.mark, error.advice)
        self.assertIn(time.strftime("%Y-%m-%dT%H:%M", time.gmtime(error.until)), error.advice)

    def test_between_processes(self) -> None:
        """The process that writes mailboxes hands it on as it is."""
        error = self.refusal()
        other = pickle.loads(pickle.dumps(error))
        self.assertIsInstance(other, DepartedError)
        self.assertEqual(
            (other.errno, other.strerror, other.filename, other.until),
            (error.errno, error.strerror, error.filename, error.until),
        )

    def test_seconds_are_never_none(self) -> None:
        """Who comes in the last moment is told to come again in a second."""
        error = self.refusal()
        error.until = time.time() - 1
        self.assertEqual(error.seconds, 1)

    def test_while_one_departs(self) -> None:
        """In the moment in which any account departs others hear the same; there is no mark of theirs to be removed."""
        with departing(self.directory, "ann"):
            error = self.refusal("bob")
        self.assertIs(error.filename, None)
        self.assertEqual(error.seconds, 1)
        self.assertIn("again", error.advice)
        other = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(other), other.strerror), (DepartedError, error.strerror))


class OpeningTests(NotYetTestCase):
    """Whoever reads."""

    def open(self, mailbox: POP3Mailbox) -> None:
        """Open it."""
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(mailbox.open())))

    def refusal(self) -> MailboxDepartedError:
        """How joe's mailbox is refused."""
        opening = Deferred.fromCoroutine(self.mailboxes.mailbox(JOE).open())
        error: MailboxDepartedError = self.failureResultOf(opening, MailboxDepartedError).value  # type: ignore[assignment]
        return error

    def test_refused(self) -> None:
        """It is no fault, but something that ends by itself: it has a reason and a time, and no mailbox comes into being."""
        error = self.refusal()
        self.assertIsInstance(error, UnavailableError)
        self.assertIn("renamed or removed", str(error))
        self.assertNotIn(self.directory, str(error))
        self.assertTrue(0 < error.seconds <= MARK_SECONDS - AGO + 1)
        self.assertFalse(os.path.exists(self.path))

    def test_afterwards(self) -> None:
        """What was refused holds nothing: when the hour is over, or the mark is removed, the mailbox is there."""
        self.refusal()
        os.utime(self.mark, (0, 0))
        mailbox = self.mailboxes.mailbox(JOE)
        self.open(mailbox)
        self.assertEqual(mailbox.count(), 0)

    def test_through_the_portal(self) -> None:
        """A login has the same, in whatever server it is."""
        portal = make_portal(Everybody(), self.mailboxes.mailbox, lambda account: None)  # type: ignore[arg-type,return-value]
        self.failureResultOf(portal.login(UsernamePassword(b"joe", b"x"), None, IMailbox), MailboxDepartedError)

    def test_logged_once(self) -> None:
        """One line names mailbox, time and remedy, however often somebody comes; a later departure has its own."""
        with capturedLogs() as told:
            for _ in range(3):
                self.refusal()
        (line,) = (formatEvent(each) or "" for each in told)
        self.assertIn("mailbox of joe", line)
        self.assertIn(self.mark, line)
        self.assertIn(time.strftime("%Y-%m-%dT%H:%M", time.gmtime(os.stat(self.mark).st_mtime + MARK_SECONDS)), line)
        self.assertNotIn("Traceback", line)
        with capturedLogs() as told:
            os.utime(self.mark)
            self.refusal()
        self.assertEqual(len(told), 1)

    def test_forgotten(self) -> None:
        """What was said is forgotten with the marks: nothing is kept for ever."""
        self.refusal()
        os.utime(self.mark, (0, 0))
        self.successResultOf(Deferred.fromCoroutine(self.mailboxes.forget_departed()))
        self.assertEqual(self.mailboxes._told, {})

    def test_moments_are_not_logged(self) -> None:
        """That somebody departs just now is over before anybody could do something."""
        ann = Account("ann", ())
        with departing(self.directory, "eve"), capturedLogs() as told:
            opening = Deferred.fromCoroutine(self.mailboxes.mailbox(ann).open())
            self.failureResultOf(opening, MailboxDepartedError)
        self.assertEqual(told, [])
        self.open(self.mailboxes.mailbox(ann))


class DeliveryTests(NotYetTestCase):
    """Mail that comes meanwhile."""

    @override
    def setUp(self) -> None:
        super().setUp()
        worker = ImmediateWorker()
        worker.start(Depositor().perform)
        self.agent = LocalDelivery(self.mailboxes, Everybody(), worker)  # type: ignore[arg-type]

    def deliver(self, number: int) -> Outcome:
        """One message for joe."""
        message = queued(content_of(b"Subject: x\n\n"), number=number)
        (outcome,) = self.successResultOf(
            Deferred.fromCoroutine(self.agent.deliver("joe", message, message.recipients))
        )
        return outcome

    def test_put_off(self) -> None:
        """It waits, as a mailbox does that takes no mail for some time (RFC 3463 3.3), and is delivered when the hour is over."""
        with capturedLogs() as told:
            outcomes = [self.deliver(number) for number in (1, 2)]
        for outcome in outcomes:
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.2.1"))
            self.assertIn("renamed or removed", outcome.reason)
            # The sender may be told of it.
            self.assertNotIn(self.directory, outcome.reason)
        (line,) = (formatEvent(each) or "" for each in told)
        self.assertIn(self.mark, line)
        os.utime(self.mark, (0, 0))
        self.assertEqual([self.deliver(number).result for number in (1, 2)], [Result.DELIVERED] * 2)
        self.assertEqual(len(files_in(self.path, "new")), 2)
