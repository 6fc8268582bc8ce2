"""The agent that delivers to accounts: what is in the mailbox afterwards, and what the queue is told."""

from __future__ import annotations

import errno
import os

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override
from zope.interface.verify import verifyObject

from hermes.core.account import Account, Local, Resolution, Unknown
from hermes.core.message import Content, QueuedMessage
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent, IMailboxes
from hermes.mailbox import maildir
from hermes.mailbox.delivery import LocalDelivery
from hermes.mailbox.departed import departing
from hermes.mailbox.deposit import Depositor
from hermes.protocols.wire import WireEncoder
from tests.support.maildirs import (
    HOST,
    JOE,
    NOW,
    PREFIX,
    Failing,
    calling_worker,
    clock_at,
    content_of,
    files_in,
    mailboxes_in,
    put,
    queue_id,
    queued,
    read,
)
from tests.support.worker import ImmediateWorker

BODY = b"Subject: x\n\nbody\n"


class OneAccount:
    """A directory of joe, or of nobody, or of somebody else who has his address."""

    def __init__(self) -> None:
        self.joe: Account | None = JOE

    async def account(self, name: str) -> Account | None:
        """Joe under his name."""
        return self.joe if self.joe is not None and name == self.joe.name else None

    async def resolve(self, address: str) -> Resolution:
        """Whoever lists it."""
        return Local(self.joe) if self.joe is not None and address in self.joe.addresses else Unknown(address)

    async def verify(self, name: str, password: str) -> Account | None:
        """Not asked for here."""
        raise AssertionError(name)


class LocalDeliveryTests(SynchronousTestCase):
    """:meth:`LocalDelivery.deliver`."""

    @override
    def setUp(self) -> None:
        self.root = self.mktemp()
        self.path = os.path.join(self.root, "joe")
        self.clock = clock_at()
        self.reader = calling_worker()
        self.mailboxes = mailboxes_in(self.root, self.reader, self.clock)
        self.directory = OneAccount()
        self.worker = ImmediateWorker()
        self.worker.start(Depositor().perform)
        self.agent = LocalDelivery(self.mailboxes, self.directory, self.worker)

    def deliver(self, message: QueuedMessage) -> list[Outcome]:
        """Deliver to all recipients."""
        return self.successResultOf(self.agent.deliver("joe", message, message.recipients))

    def name(self, wire_octets: int, octets: int, number: int = 1, ordinal: int = 0) -> str:
        """The name that the message has to have."""
        return f"{int(NOW)}.{queue_id(number)}_{ordinal}.{HOST},S={octets},W={wire_octets}"

    def test_interfaces(self) -> None:
        """Agent and mailboxes provide what the seams ask for."""
        verifyObject(IDeliveryAgent, self.agent)
        verifyObject(IMailboxes, self.mailboxes)

    def test_delivered(self) -> None:
        """The message is in new with Return-Path, and its name tells the octets on disk and on the wire."""
        outcome = self.deliver(queued(content_of(BODY)))
        self.assertEqual([(Result.DELIVERED, "2.0.0")], [(one.result, one.status) for one in outcome])
        octets = PREFIX + BODY
        wire = octets.replace(b"\n", b"\r\n")
        self.assertEqual([self.name(len(wire), len(octets))], files_in(self.path, "new"))
        self.assertEqual(octets, read(self.path, "new", files_in(self.path, "new")[0]))

    def test_each_recipient_gets_one(self) -> None:
        """Two addresses of one account get a message each, and each an outcome."""
        outcomes = self.deliver(queued(content_of(BODY), ordinals=(0, 4)))
        self.assertEqual([Result.DELIVERED] * 2, [outcome.result for outcome in outcomes])
        self.assertEqual(["_0", "_4"], [name.split(".")[1][-2:] for name in files_in(self.path, "new")])

    def test_deliveries_at_the_same_time_are_one_group(self) -> None:
        """What waits is put on the disk together, and then every delivery is answered."""
        self.worker.paused = True
        messages = [queued(content_of(BODY), number=number) for number in range(3)]
        answers = [
            Deferred.fromCoroutine(self.agent.deliver("joe", message, message.recipients)) for message in messages
        ]
        for answer in answers:
            self.assertNoResult(answer)
        self.worker.resume()
        self.assertEqual([3], self.worker.groups)
        self.assertEqual(["delivered"] * 3, [self.successResultOf(one)[0].result.value for one in answers])

    def test_a_large_body_is_linked(self) -> None:
        """A body that is a file of the spool is the very file in the mailbox."""
        os.makedirs(self.root)
        source = os.path.join(self.root, "body")
        self.deliver(queued(content_of(BODY, path=source)))
        (name,) = files_in(self.path, "new")
        self.assertEqual(os.stat(source).st_ino, os.stat(os.path.join(self.path, "new", name)).st_ino)

    def test_without_a_prefix(self) -> None:
        """Content without a Return-Path line is as large on the wire as it says."""
        self.deliver(queued(Content(len(BODY), len(BODY) + 3, 0, data=BODY)))
        self.assertEqual([self.name(len(BODY) + 3, len(BODY))], files_in(self.path, "new"))

    def test_binary_is_measured(self) -> None:
        """For octets that were kept as they came the size is what a reader will be sent, in memory and as a file."""
        body = b"a\r\nb\nc\r\n"
        encoder = WireEncoder(stuffing=False)
        wire = encoder.encode(PREFIX + body) + encoder.finish()
        os.makedirs(self.root)
        for number, path in enumerate((None, os.path.join(self.root, "body"))):
            self.deliver(queued(content_of(body, path=path, binary=True), number=number))
            self.assertIn(self.name(len(wire), len(PREFIX + body), number), files_in(self.path, "new"))

    def test_content_that_was_not_fetched(self) -> None:
        """Content with neither data nor path is a fault of the caller and reaches nobody else's message."""
        message = queued(Content(10, 10, 0))
        self.failureResultOf(self.agent.deliver("joe", message, message.recipients), ValueError)
        self.assertEqual([], self.worker.groups)

    def test_the_address_is_somebody_elses(self) -> None:
        """When the account is gone the message is for whoever has the address now."""
        self.directory.joe = Account("jim", ("joe@example.org",))
        (outcome,) = self.deliver(queued(content_of(BODY)))
        self.assertEqual((Result.DELIVERED, "delivered to the mailbox of jim"), (outcome.result, outcome.reason))
        self.assertEqual(1, len(files_in(os.path.join(self.root, "jim"), "new")))
        self.assertFalse(os.path.exists(self.path))

    def test_renamed(self) -> None:
        """An account that has just been renamed is delivered to under its new name, also where it has lost the address."""
        maildir.make(self.path)
        with departing(self.root, "joe", "jim"):
            os.rename(self.path, os.path.join(self.root, "jim"))
        self.directory.joe = Account("jim", ("jim@example.org",))
        outcomes = self.deliver(queued(content_of(BODY), ordinals=(0, 1)))
        self.assertEqual([Result.DELIVERED] * 2, [outcome.result for outcome in outcomes])
        self.assertEqual(2, len(files_in(os.path.join(self.root, "jim"), "new")))

    def test_renamed_and_removed(self) -> None:
        """A new name that is gone as well leads nowhere."""
        maildir.make(self.path)
        with departing(self.root, "joe", "jim"):
            os.rename(self.path, os.path.join(self.root, "jim"))
        self.directory.joe = None
        (outcome,) = self.deliver(queued(content_of(BODY)))
        self.assertEqual((Result.FAILED, "5.1.1"), (outcome.result, outcome.status))

    def test_the_account_is_gone(self) -> None:
        """Mail for an account that was removed while it waited has failed, with 5.1.1."""
        self.directory.joe = None
        outcome = self.deliver(queued(content_of(BODY)))[0]
        self.assertEqual((Result.FAILED, "5.1.1"), (outcome.result, outcome.status))

    def test_the_account_is_disabled(self) -> None:
        """Mail for a disabled account has failed, with 5.2.1, and is not delivered."""
        self.directory.joe = attrs.evolve(JOE, disabled=True)
        outcome = self.deliver(queued(content_of(BODY)))[0]
        self.assertEqual((Result.FAILED, "5.2.1"), (outcome.result, outcome.status))
        self.assertEqual([], files_in(self.path, "new"))

    def test_no_room(self) -> None:
        """A full disk, or a full quota of the system, defers with 4.3.1; when there is room again it is delivered."""
        for number in (errno.ENOSPC, errno.EDQUOT):
            self.patch(os, "write", Failing(os.write, OSError(number, os.strerror(number))))
            message = queued(content_of(BODY), number=number)
            outcome = self.deliver(message)[0]
            self.assertEqual((Result.DEFERRED, "4.3.1"), (outcome.result, outcome.status))
            self.assertEqual([], files_in(self.path, "tmp"))
            self.assertEqual(Result.DELIVERED, self.deliver(message)[0].result)

    def test_another_fault_of_the_disk(self) -> None:
        """Any other error defers too: a fault of ours never loses mail."""
        self.patch(os, "fsync", Failing(os.fsync, OSError(errno.EIO, "Input/output error"), at=3))
        outcome = self.deliver(queued(content_of(BODY)))[0]
        self.assertEqual((Result.DEFERRED, "4.3.0"), (outcome.result, outcome.status))
        self.assertIn("Input/output error", outcome.reason)

    def test_accepted_by_an_earlier_process(self) -> None:
        """A message from before the start that has been delivered and read meanwhile is not delivered again."""
        name = f"{int(NOW) - 5}.{queue_id(1, NOW - 5)}_0.{HOST},S=1,W=1:2,S"
        put(self.path, "cur", name)
        outcome = self.deliver(queued(content_of(BODY), accepted_at=NOW - 5))[0]
        self.assertEqual(Result.DELIVERED, outcome.result)
        self.assertEqual([], files_in(self.path, "new"))

    def test_tried_before(self) -> None:
        """A message that this process has tried already is looked for as well."""
        put(self.path, "cur", f"{int(NOW)}.{queue_id(1)}_0.{HOST},S=1,W=1:2,S")
        self.deliver(queued(content_of(BODY), attempts=1))
        self.assertEqual([], files_in(self.path, "new"))

    def test_over_quota(self) -> None:
        """A full mailbox defers with 4.2.2; what is larger than all of it has failed with 5.2.3."""
        octets = len(PREFIX + BODY)
        for quota, expected in (
            (octets, (Result.DELIVERED, "2.0.0")),
            (octets, (Result.DEFERRED, "4.2.2")),
            (octets - 1, (Result.FAILED, "5.2.3")),
        ):
            self.directory.joe = attrs.evolve(JOE, quota_octets=quota)
            outcome = self.deliver(queued(content_of(BODY), number=quota))[0]
            self.assertEqual(expected, (outcome.result, outcome.status))

    def test_a_failure_takes_up_no_room(self) -> None:
        """Octets that were counted for a delivery that failed are taken back."""
        self.directory.joe = attrs.evolve(JOE, quota_octets=len(PREFIX + BODY))
        message = queued(content_of(BODY))
        self.patch(os, "write", Failing(os.write, OSError(errno.ENOSPC, "No space")))
        self.assertEqual("4.3.1", self.deliver(message)[0].status)
        self.assertEqual("2.0.0", self.deliver(message)[0].status)


class PathTests(SynchronousTestCase):
    """Where mailboxes are."""

    def test_names_that_lead_elsewhere(self) -> None:
        """A name with a slash, a NUL or a leading dot or hyphen has no mailbox, whatever source it comes from."""
        mailboxes = mailboxes_in("/mail")
        self.assertEqual("/mail/joe", mailboxes.path("joe"))
        for name in ("", ".", "..", "../x", "a/b", "/etc", "-rf", ".hidden", "a\0b"):
            self.assertRaises(ValueError, mailboxes.path, name)
