"""Old mail is removed: which, when not, and what is told of it; on real maildirs."""

from __future__ import annotations

import os

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account
from hermes.core.reading_profile import PLAIN, ReadingProfile
from hermes.mailbox.departed import departing
from hermes.services.mail_expiry import MAX_REMOVED_AT_ONCE, MailExpiry
from tests.support.maildirs import HOST, JOE, NOW, clock_at, mailboxes_in, queue_id
from tests.support.surroundings import ListJournal

DAY = 86400
MONTH = attrs.evolve(PLAIN, expire_seconds=30 * DAY)


class ExpiryTests(SynchronousTestCase):
    """:class:`MailExpiry`."""

    def setUp(self) -> None:
        """Mail is kept for thirty days."""
        self.directory = self.mktemp()
        self.mailboxes = mailboxes_in(self.directory, reading=MONTH)
        self.journal = ListJournal()
        self.accounts: list[Account] = [JOE]
        self.clock = clock_at()
        self.expiry = MailExpiry(self.account, self.mailboxes, self.journal, self.clock.seconds)

    async def account(self, name: str) -> Account | None:
        """Who there is."""
        return next((account for account in self.accounts if account.name == name), None)

    def deliver(self, age: float, where: str = "new", account: str = "joe", number: int = 1, flags: str = "") -> str:
        """Put a message there that came so many seconds ago; its path."""
        at = int(NOW - age)
        name = f"{at}.{queue_id(number, at)}_0.{HOST},S=5,W=6{flags}"
        directory = os.path.join(self.directory, account)
        for each in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(directory, each), exist_ok=True)
        path = os.path.join(directory, where, name)
        with open(path, "w", encoding="ascii") as file:
            file.write("A: b\n")
        return path

    def round(self) -> int:
        """One round; how many were removed."""
        return self.successResultOf(Deferred.fromCoroutine(self.expiry.round()))

    def test_age(self) -> None:
        """Mail goes when it is older than that, read or not, and not before."""
        kept = [self.deliver(30 * DAY), self.deliver(30 * DAY - 1, "cur", flags=":2,S")]
        old = [self.deliver(30 * DAY + 1), self.deliver(90 * DAY, "cur", flags=":2,S")]
        self.assertEqual(self.round(), 2)
        self.assertEqual([os.path.exists(path) for path in kept + old], [True, True, False, False])

    def test_told(self) -> None:
        """Each message is in the trace, with its queue id and why it went."""
        self.deliver(40 * DAY, number=7)
        self.round()
        (event,) = self.journal.events
        self.assertEqual(event.kind.value, "deleted")
        self.assertEqual(event.queue_id, queue_id(7, int(NOW - 40 * DAY)))
        self.assertEqual(event.address, "joe")
        self.assertEqual((event.facts["service"], event.facts["reason"]), ("expiry", "older than 30d"))

    def test_account_of_its_own_mind(self) -> None:
        """An account may keep its mail for ever, or for longer, whatever holds for the others."""
        never = attrs.evolve(JOE, name="never", reading=ReadingProfile(expire_seconds=0))
        longer = attrs.evolve(JOE, name="longer", reading=ReadingProfile(expire_seconds=60 * DAY))
        self.accounts = [never, longer]
        for account in ("never", "longer"):
            self.deliver(40 * DAY, account=account)
        self.assertEqual(self.round(), 0)

    def test_off(self) -> None:
        """As shipped nothing ever goes."""
        self.expiry._mailboxes = mailboxes_in(self.directory)
        self.deliver(4000 * DAY)
        self.assertEqual(self.round(), 0)

    def test_no_mailbox_is_made(self) -> None:
        """Who has had no mail yet gets no mailbox by it."""
        self.round()
        self.assertFalse(os.path.exists(os.path.join(self.directory, "joe")))

    def test_no_account(self) -> None:
        """The mail of an account that is no more stays, for whoever wants to see to it."""
        self.accounts = []
        self.deliver(40 * DAY)
        self.assertEqual(self.round(), 0)

    def test_in_use(self) -> None:
        """A mailbox that somebody reads waits for another round."""
        path = self.deliver(40 * DAY)
        session = self.mailboxes.mailbox(JOE)
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(session.open())))
        self.assertEqual(self.round(), 0)
        self.assertTrue(os.path.exists(path))
        self.successResultOf(Deferred.fromCoroutine(session.close()))
        self.assertEqual(self.round(), 1)

    def test_lock_is_given_back(self) -> None:
        """After a round the mailbox can be read."""
        self.deliver(40 * DAY)
        self.round()
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(self.mailboxes.mailbox(JOE).open())))

    def test_names_of_others(self) -> None:
        """A message whose name does not tell when it came stays."""
        path = self.deliver(40 * DAY)
        other = os.path.join(os.path.dirname(path), "note-to-self")
        os.rename(path, other)
        self.assertEqual(self.round(), 0)
        self.assertTrue(os.path.exists(other))

    def test_many(self) -> None:
        """More than one handful goes in several, and all of it goes."""
        for number in range(MAX_REMOVED_AT_ONCE + 1):
            self.deliver(40 * DAY, number=number)
        self.assertEqual(self.round(), MAX_REMOVED_AT_ONCE + 1)
        self.assertEqual(len(self.journal.events), MAX_REMOVED_AT_ONCE + 1)

    def test_stop(self) -> None:
        """When the server stops, no further mailbox is begun."""
        path = self.deliver(40 * DAY)
        self.expiry.stop()
        self.assertEqual(self.round(), 0)
        self.assertTrue(os.path.exists(path))

    def test_departed(self) -> None:
        """A mailbox that is taken away in the middle of a round is no fault, and is not made again; the others are cleared."""
        gone = attrs.evolve(JOE, name="gone")
        self.accounts = [gone, JOE]
        for account in ("gone", "joe"):
            self.deliver(40 * DAY, account=account)
        looked_up = self.expiry._account

        async def then_erased(name: str) -> Account | None:
            account = await looked_up(name)
            if name == "gone":
                with departing(self.directory, name):
                    os.rename(os.path.join(self.directory, name), os.path.join(self.directory, ".erased"))
            return account

        self.expiry._account = then_erased
        self.assertEqual(self.round(), 1)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "gone")))

    def test_fault(self) -> None:
        """A mailbox that cannot be read is logged, and the next one is cleared all the same."""
        broken = attrs.evolve(JOE, name="broken")
        self.accounts = [broken, JOE]
        os.makedirs(os.path.join(self.directory, "broken"))
        # The lock is a link: somebody plays tricks.
        os.symlink("nowhere", os.path.join(self.directory, "broken", "hermes-lock"))
        self.deliver(40 * DAY)
        self.assertEqual(self.round(), 1)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
