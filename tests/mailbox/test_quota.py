"""Whether a message still fits: what the names say, what is remembered, and when it is counted anew."""

from __future__ import annotations

import os

import attrs
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.core.account import Account
from hermes.core.outcome import FITS, PASS
from hermes.mailbox import maildir, quota
from hermes.mailbox.quota import FRESH_SECONDS, REFUSING_SECONDS, used_octets
from tests.support.maildirs import JOE, calling_worker, clock_at, mailboxes_in, put


class UsedOctetsTests(SynchronousTestCase):
    """:func:`hermes.mailbox.quota.used_octets`."""

    @override
    def setUp(self) -> None:
        self.path = os.path.join(self.mktemp(), "joe")

    def test_no_mailbox(self) -> None:
        """A mailbox that does not exist holds nothing."""
        self.assertEqual(0, used_octets(self.path))

    def test_all_folders(self) -> None:
        """New and cur of the mailbox and of its folders count; tmp, and files beside them, do not."""
        put(self.path, "new", "1.a.h,S=1,W=9")
        put(self.path, "cur", "2.a.h,S=20,W=99:2,S")
        put(self.path, "tmp", "3.a.h,S=400,W=400")
        put(os.path.join(self.path, ".Sent"), "cur", "4.a.h,S=8000:2,S")
        put(os.path.join(self.path, "folder-without-dot"), "cur", "5.a.h,S=160000")
        put(self.path, ".", ".file-with-dot", b"x")
        self.assertEqual(8021, used_octets(self.path))

    def test_names_without_a_size(self) -> None:
        """A file whose name has no S counts as large as it is; a link to a folder elsewhere is not followed."""
        put(self.path, "new", "1.a.h", b"12345")
        put(os.path.join(self.path, "elsewhere"), "cur", "1.a.h,S=1000")
        os.symlink("elsewhere", os.path.join(self.path, ".Link"))
        self.assertEqual(5, used_octets(self.path))

    def test_a_message_that_goes_meanwhile(self) -> None:
        """A file that another program takes away while it is being counted counts as nothing."""
        maildir.make(self.path)
        target = put(self.path, "new", "1.a.h", b"12345")
        put(self.path, "new", "2.a.h,S=7")
        found = list(maildir.messages_in(os.path.dirname(target)))
        os.unlink(target)
        self.patch(quota, "messages_in", lambda directory: found if directory.endswith(b"new") else [])
        self.assertEqual(7, used_octets(self.path))


class OverQuotaTests(SynchronousTestCase):
    """:meth:`hermes.interfaces.IMailboxes.over_quota`."""

    @override
    def setUp(self) -> None:
        self.root = self.mktemp()
        self.path = os.path.join(self.root, "joe")
        self.clock = clock_at()
        self.worker = calling_worker()
        self.mailboxes = mailboxes_in(self.root, self.worker, self.clock, default_quota=1000)

    def ask(self, octets: int, account: Account = JOE) -> int:
        """The code of the refusal; 0 when there is none."""
        verdict = self.successResultOf(self.mailboxes.over_quota(account, octets))
        return 0 if verdict.reply is None else verdict.reply.code

    def counted(self) -> int:
        """How often a mailbox has been counted on the disk."""
        return len(self.worker.groups)

    def test_empty_mailbox(self) -> None:
        """Everything up to the quota fits; one octet more never will: 552."""
        self.assertEqual([0, 0, 0, 552], [self.ask(octets) for octets in (0, 999, 1000, 1001)])

    def test_limit_is_told(self) -> None:
        """What fits into a mailbox with a quota is told from what nobody limits: its size may have to be judged again."""
        self.assertIs(self.successResultOf(self.mailboxes.over_quota(JOE, 1000)), FITS)

    def test_limits(self) -> None:
        """With 600 of 1000 used, 399 and 400 fit and 401 does not: 452, for it may fit later."""
        put(self.path, "new", "1.a.h,S=600")
        self.assertEqual([0, 0, 0, 452, 452, 552], [self.ask(octets) for octets in (0, 399, 400, 401, 1000, 1001)])

    def test_full(self) -> None:
        """A full mailbox takes nothing, also when the size is not known; one octet below, it does."""
        put(self.path, "new", "1.a.h,S=1000")
        self.assertEqual([452, 452], [self.ask(octets) for octets in (0, 1)])
        other = attrs.evolve(JOE, quota_octets=1001)
        self.assertEqual([0, 0, 452], [self.ask(octets, other) for octets in (0, 1, 2)])

    def test_replies(self) -> None:
        """The enhanced codes are those of RFC 3463 for a full mailbox, and for a message that is too long for it."""
        put(self.path, "new", "1.a.h,S=1000")
        replies = [self.successResultOf(self.mailboxes.over_quota(JOE, octets)).reply for octets in (1, 1001)]
        self.assertEqual(["4.2.2", "5.2.3"], [reply and reply.enhanced for reply in replies])

    def test_own_quota(self) -> None:
        """An account's own quota takes the place of the default, greater or smaller."""
        put(self.path, "new", "1.a.h,S=1000")
        self.assertEqual(0, self.ask(500, attrs.evolve(JOE, quota_octets=1500)))
        self.assertEqual(552, self.ask(500, attrs.evolve(JOE, quota_octets=400)))

    def test_no_quota_costs_nothing(self) -> None:
        """Without a limit any size fits, and nothing is looked at."""
        mailboxes = mailboxes_in(self.root, self.worker, self.clock)
        self.assertIs(self.successResultOf(mailboxes.over_quota(JOE, 10**12)), PASS)
        self.assertEqual(0, self.counted())

    def test_remembered(self) -> None:
        """While it is fresh the figure is not counted again; what Hermes delivers and deletes is added to it."""
        put(self.path, "new", "1.a.h,S=600")
        self.ask(1)
        self.mailboxes.count(JOE, 300)
        self.clock.advance(FRESH_SECONDS - 1)
        self.assertEqual(0, self.ask(100))
        self.mailboxes.count(JOE, -500)
        self.assertEqual(0, self.ask(600))
        self.assertEqual(1, self.counted())
        self.clock.advance(1)
        # Counted anew: on the disk are 600.
        self.assertEqual(452, self.ask(600))

    def test_counted_again_before_a_refusal(self) -> None:
        """Whoever has made room with another program gets mail at once, but not more than one count in a few seconds."""
        full = put(self.path, "new", "1.a.h,S=1000")
        self.assertEqual(452, self.ask(1))
        os.unlink(full)
        self.clock.advance(REFUSING_SECONDS - 1)
        self.assertEqual((452, 1), (self.ask(1), self.counted()))
        self.clock.advance(1)
        self.assertEqual((0, 2), (self.ask(1), self.counted()))

    def test_deleting_in_a_session_makes_room(self) -> None:
        """What a POP3 session has deleted is room at once."""
        put(self.path, "new", "1.a.h,S=900,W=900")
        self.assertEqual(452, self.ask(200))
        mailbox = self.mailboxes.mailbox(JOE)
        self.assertTrue(self.successResultOf(mailbox.open()))
        mailbox.delete(0)
        self.assertEqual([], self.successResultOf(mailbox.update()))
        self.successResultOf(mailbox.close())
        self.assertEqual(0, self.ask(200))

    def test_mailboxes_remembered_are_bounded(self) -> None:
        """Of more mailboxes than are remembered, the one that was asked for longest ago is counted again."""
        self.patch(quota, "MAX_REMEMBERED", 2)
        accounts = [Account(name, ()) for name in ("ann", "bob", "cay")]
        for account in accounts:
            self.ask(1, account)
        self.ask(1, accounts[2])
        self.ask(1, accounts[1])
        self.assertEqual(3, self.counted())
        self.ask(1, accounts[0])
        self.assertEqual(4, self.counted())
