"""Greylisting: a delay for those who have never sent mail here."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.app.at_once import AtOnce
from hermes.config.sections.greylist import GreylistSettings
from hermes.core.envelope import Origin, Recipient
from hermes.core.outcome import PASS
from hermes.core.policy import Case, Stage
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.disk.small_database import DAMAGED
from hermes.interfaces import ICheck
from hermes.policy import greylist as greylist_module
from hermes.policy.greylist import EXPIRY_SECONDS, WORTH_WRITING_SECONDS, Greylist, GreylistCheck, network_of
from hermes.policy.greylist_store import GreylistStore, read_greylist
from tests.support.worker import ImmediateWorker

DAY = 86400
SETTINGS = GreylistSettings(enabled=True)


class GreylistTestCase(SynchronousTestCase):
    """A greylist with a file."""

    def setUp(self) -> None:
        """Begin empty, at noon of some day."""
        self.now = 1_800_000_000.0
        directory = self.mktemp()
        os.makedirs(directory)
        self.path = os.path.join(directory, "greylist.sqlite")
        self.start()

    def start(self) -> None:
        """Start, with what there is in the file."""
        greylist = self.greylist = Greylist(GreylistStore(self.path, AtOnce(), ImmediateWorker()), lambda: self.now)
        self.addCleanup(lambda: Deferred.fromCoroutine(greylist.close()))

    def open(self) -> None:
        """Read what there is."""
        self.successResultOf(Deferred.fromCoroutine(self.greylist.open()))

    def wait(self, network: str = "192.0.2.0/24", sender: str = "from.example") -> float:
        """How long somebody waits."""
        self.open()
        return self.greylist.wait(network, sender, SETTINGS)


class MemoryTests(GreylistTestCase):
    """Who is known."""

    def test_again(self) -> None:
        """Too early is told how long still; at the delay the network is known, for all senders."""
        self.assertEqual(self.wait(), 300)
        self.now += 299
        self.assertEqual(self.wait(), 1)
        self.now += 1
        self.assertEqual(self.wait(sender="other.example"), 300)
        self.assertEqual(self.wait(), 0)
        self.assertEqual(self.wait(sender="other.example"), 0)
        self.assertEqual(self.wait("192.0.3.0/24"), 300)
        self.assertEqual(self.greylist.describe(), {"known": 1, "waiting": 1, "delayed": 4})

    def test_too_late(self) -> None:
        """Whoever comes again after the window is new; just before it he is not."""
        self.open()
        for later, expected in ((SETTINGS.window - 1, 0), (SETTINGS.window, 300)):
            self.greylist.remove("192.0.2.0/24")
            self.wait()
            self.now += later
            self.assertEqual(self.wait(), expected)

    def test_remembered(self) -> None:
        """A network is known for so long after its last mail."""
        self.wait()
        self.now += 300
        self.assertEqual(self.wait(), 0)
        for _ in range(3):
            self.now += SETTINGS.remember - 1
            self.assertEqual(self.wait(), 0)
        self.now += SETTINGS.remember
        self.assertEqual(self.wait(), 300)

    def test_restart(self) -> None:
        """First tries and known networks outlive the process; what was forgotten does not come back."""
        self.wait()
        self.wait("192.0.3.0/24")
        self.now += 300
        self.wait()
        self.wait("192.0.4.0/24")
        self.greylist.remove("192.0.4.0/24")
        self.successResultOf(Deferred.fromCoroutine(self.greylist.close()))
        self.start()
        self.assertEqual(self.wait(), 0)
        self.assertEqual(self.wait("192.0.3.0/24"), 0)
        self.assertEqual(self.wait("192.0.4.0/24"), 300)

    def test_expiry(self) -> None:
        """What is too old goes, from memory and file, an hour late at most."""
        self.wait()
        self.now += 300
        self.wait()
        self.wait("192.0.3.0/24")
        self.now += SETTINGS.window
        self.wait("192.0.4.0/24")
        self.assertEqual([row.network for row in read_greylist(self.path)], ["192.0.2.0/24", "192.0.4.0/24"])
        self.now += SETTINGS.remember + EXPIRY_SECONDS
        self.wait("192.0.5.0/24")
        self.assertEqual([row.network for row in read_greylist(self.path)], ["192.0.5.0/24"])
        self.assertEqual(self.greylist.describe(), {"known": 0, "waiting": 1, "delayed": 4})

    def test_written_sparingly(self) -> None:
        """That a known network was here again is written once an hour."""
        self.wait()
        self.now += 300
        self.wait()
        (row,) = read_greylist(self.path)
        self.now += WORTH_WRITING_SECONDS - 1
        self.wait()
        self.assertEqual(read_greylist(self.path), [row])
        self.now += 1
        self.wait()
        self.assertEqual([each.at for each in read_greylist(self.path)], [self.now])

    def test_bounds(self) -> None:
        """The oldest are forgotten: known networks, tries of one network, tries of all."""
        for name, value in (("MAX_TRIES", 4), ("MAX_TRIES_OF_ONE", 2), ("MAX_KNOWN", 2)):
            self.patch(greylist_module, name, value)
        for number in range(3):
            self.wait(sender=f"{number}.example")
        self.assertEqual(self.greylist.describe()["waiting"], 2)
        self.assertEqual(sorted(row.sender for row in read_greylist(self.path)), ["1.example", "2.example"])
        for number in range(3, 6):
            self.wait(f"192.0.{number}.0/24")
        self.assertEqual(self.greylist.describe()["waiting"], 3)
        self.assertEqual(
            sorted(row.network for row in read_greylist(self.path)), [f"192.0.{n}.0/24" for n in (3, 4, 5)]
        )
        self.now += 300
        for number in range(3, 6):
            self.assertEqual(self.wait(f"192.0.{number}.0/24"), 0)
        self.assertEqual(self.greylist.describe(), {"known": 2, "waiting": 0, "delayed": 6})
        self.assertEqual([row.network for row in read_greylist(self.path)], ["192.0.4.0/24", "192.0.5.0/24"])

    def test_remove(self) -> None:
        """Whom an administrator forgets is new again; who is not there cannot be forgotten."""
        self.open()
        self.assertFalse(self.greylist.remove("192.0.2.0/24"))
        self.wait()
        self.assertTrue(self.greylist.remove("192.0.2.0/24"))
        self.assertEqual(read_greylist(self.path), [])

    def test_damaged(self) -> None:
        """A file that is none is put aside, and everybody is new."""
        with open(self.path, "wb") as file:
            file.write(b"no database, but long enough to be taken for something" * 50)
        self.assertEqual(self.wait(), 300)
        self.assertTrue(os.path.exists(self.path + DAMAGED))
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_disk_fault(self) -> None:
        """A disk that fails is logged, and memory goes on."""
        self.wait()
        with closing(sqlite3.connect(self.path)) as other:
            other.execute("DROP TABLE greylist")
        self.wait("192.0.3.0/24")
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.now += 300
        self.assertEqual(self.wait("192.0.3.0/24"), 0)
        self.flushLoggedErrors()

    def test_read_and_not_used(self) -> None:
        """What was read for settings that have not come into force leaves nothing behind; who uses it later finds what is new."""
        self.wait()
        self.successResultOf(Deferred.fromCoroutine(self.greylist.close()))
        self.start()
        contents = self.successResultOf(Deferred.fromCoroutine(self.greylist.read()))
        self.assertEqual(self.greylist.describe(), {})
        self.open()
        self.wait("192.0.3.0/24")
        # It has been opened meanwhile, and goes on from there.
        self.greylist.use(contents)
        self.assertEqual(self.greylist.describe(), {"known": 0, "waiting": 2, "delayed": 1})
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.greylist.read())))

    def test_not_asked(self) -> None:
        """As long as nobody asks, there is no file and nothing to tell."""
        self.assertEqual(self.greylist.describe(), {})
        self.assertEqual((os.path.exists(self.path), read_greylist(self.path)), (False, []))


class CheckTests(GreylistTestCase):
    """Who is delayed."""

    def judge(
        self, *notes: tuple[str, str], peer: str = "192.0.2.7", sender: str = "x@from.example", **visit: Any
    ) -> str:
        """What a client hears for each of two recipients."""
        check = GreylistCheck(GreylistSettings(enabled=True, spare_confirmed=True), self.greylist)
        verifyObject(ICheck, check)
        self.open()
        session = Visit(peer, **visit)
        transaction = Transaction(Origin("ESMTP", peer, "c.example"), "smtp", False, sender, visit=session)
        for name, result in notes:
            transaction.findings.note(name, result)
        said = [
            check.judge(Case(Stage.RECIPIENT, session, "", transaction, Recipient(to)))
            for to in ("postmaster@example.org", "a@example.org", "b@example.org")
        ]
        self.assertEqual((said[0], said[1]), (PASS, said[2]))
        self.findings = transaction.findings.summary()
        return str(said[1].reply) if said[1].reply is not None else ""

    def test_stranger(self) -> None:
        """A stranger is told to come again, by any address of his network, and is then let in (RFC 3463 X.7.1)."""
        self.assertEqual(self.judge(), "451 4.7.1 You are new here: try again in 5 minutes")
        self.assertEqual(self.findings, "greylist=delayed")
        self.now += 270
        self.assertEqual(self.judge(), "451 4.7.1 You are new here: try again in 1 minute")
        self.now += 30
        self.assertEqual(self.judge(peer="192.0.2.250", sender="y@FROM.example"), "")
        self.assertEqual(self.greylist.describe()["delayed"], 2)

    def test_null_sender(self) -> None:
        """Reports wait like all others, and are known like them."""
        self.assertNotEqual(self.judge(sender=""), "")
        self.now += 300
        self.assertEqual(self.judge(sender=""), "")

    def test_known_as_good(self) -> None:
        """Who is in a whitelist, or has a confirmed name where that counts, is never delayed."""
        self.assertEqual(self.judge(("dnsbl.good", "whitelisted")), "")
        self.assertEqual(self.judge(("rdns", "confirmed")), "")
        self.assertNotEqual(self.judge(("rdns", "unconfirmed"), ("dnsbl.bad", "listed")), "")

    def test_ours(self) -> None:
        """Clients of ours are never delayed."""
        for visit in (
            {"relays": "smtp.relay_networks"},
            {"submission": True},
            {"peer": "127.0.0.1"},
            {"peer": "10.0.0.1"},
        ):
            self.assertEqual(self.judge(**visit), "", visit)

    def test_networks(self) -> None:
        """A /24 and a /64 belong together."""
        self.assertEqual(network_of("192.0.2.7"), "192.0.2.0/24")
        self.assertEqual(network_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")
