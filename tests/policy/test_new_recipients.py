"""New recipients of an account: who is counted, and what is said above the limit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.access_entry import AccessEntry
from hermes.core.event import Kind
from hermes.core.outcome import PASS
from hermes.core.policy import Case, Stage
from hermes.core.visit import Visit
from hermes.interfaces import ICheck
from hermes.policy.new_recipients import NewRecipients
from hermes.policy.recipient_store import DAY_SECONDS, RecipientStore
from hermes.protocols.smtp.events import Flavor
from tests.support.smtp_site import ALICE, Client, MemoryDirectory, Site, plain
from tests.support.worker import ImmediateWorker


class NewRecipientsTests(SynchronousTestCase):
    """Submission sessions of Alice, at a site where two new recipients a day are allowed."""

    def setUp(self) -> None:
        """Start it."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "recipients.sqlite"
        self.warnings: list[LogEvent] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)
        self.start(2)

    def now(self) -> float:
        """The time at the site, which is made after the check."""
        return self.site.clock.seconds()

    def observe(self, event: LogEvent) -> None:
        """Keep warnings of the check."""
        if event.get("log_namespace", "").endswith("NewRecipients"):
            self.warnings.append(event)

    def start(self, limit: int, entry: AccessEntry | None = None) -> None:
        """A site with the check."""
        store = RecipientStore(str(self.path), ImmediateWorker())
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(store.close())))
        self.check = NewRecipients(
            limit,
            store,
            MemoryDirectory(),
            lambda: self.site.journal,
            lambda: b"secret",
            self.now,
        )
        self.site = Site(
            flavor=Flavor.SUBMISSION,
            implicit_tls=True,
            checks=[self.check],
            visit_of=lambda peer: Visit(peer, entry=entry),
        )

    def client(self) -> Client:
        """A session in which somebody is about to name recipients."""
        client = self.site.connect()
        client.say(f"AUTH PLAIN {plain()}", "MAIL FROM:<alice@example.org>")
        return client

    def rcpt(self, *recipients: str) -> list[str]:
        """The codes that the recipients get."""
        client = self.client()
        return [client.say(f"RCPT TO:<{each}>")[0][:9] for each in recipients]

    def test_interface(self) -> None:
        """It is a check, and judges nobody who has not logged in."""
        self.assertTrue(verifyObject(ICheck, self.check))
        self.assertEqual(self.check.judge(Case(Stage.RECIPIENT, Visit("192.0.2.7"))), PASS)

    def test_limit(self) -> None:
        """Two are taken, the third is to come tomorrow, with words that a person understands; tomorrow it is taken."""
        self.assertEqual(self.rcpt("a@x.test", "b@x.test", "c@x.test"), ["250 2.1.5", "250 2.1.5", "450 4.7.1"])
        client = self.client()
        (answer,) = client.say("RCPT TO:<d@x.test>")
        self.assertIn("You have written to 2 people today", answer)
        self.assertIn("try again tomorrow", answer)
        self.assertEqual(self.rcpt("A@X.test", "b@x.test"), ["250 2.1.5"] * 2)
        self.site.clock.advance(DAY_SECONDS)
        self.assertEqual(self.rcpt("c@x.test"), ["250 2.1.5"])

    def test_own_addresses(self) -> None:
        """Addresses here do not count, however many there are."""
        local = ["bob@example.org", "alice@example.org", "sales@example.org", "al@example.org"]
        self.assertEqual(
            self.rcpt(*local, "a@x.test", "b@x.test", "c@x.test")[-3:], ["250 2.1.5", "250 2.1.5", "450 4.7.1"]
        )

    def test_told_once_a_day(self) -> None:
        """The first refusal of a day is a warning in the log and an event about the account, those after it are not."""
        for _ in range(2):
            self.rcpt("a@x.test", "b@x.test", "c@x.test", "d@x.test")
        told = [event for event in self.site.journal.events if event.kind is Kind.REFUSED and event.address == "alice"]
        self.assertEqual([(each.facts["rule"], len(self.warnings)) for each in told], [("accounts.new_recipients", 1)])
        self.assertIn("alice has written to 2 new recipients", str(told[0].facts["reason"]))
        self.assertEqual(len(self.site.journal.refusals()), 5)
        self.site.clock.advance(DAY_SECONDS)
        self.rcpt("c@x.test", "d@x.test", "e@x.test")
        self.assertEqual(len(self.warnings), 2)

    def test_exempt(self) -> None:
        """No limit, an entry of connection control, and a number of the account's own."""
        self.start(0)
        self.assertEqual(self.rcpt("a@x.test", "b@x.test", "c@x.test"), ["250 2.1.5"] * 3)
        self.start(2, AccessEntry("office", exempt=True))
        self.assertEqual(self.rcpt("a@x.test", "b@x.test", "c@x.test"), ["250 2.1.5"] * 3)
        self.assertFalse(self.path.exists())
        self.start(2, AccessEntry("other"))
        for own, refused in ((0, 0), (1, 2), (3, 0)):
            self.start(2)
            self.path.unlink(missing_ok=True)
            account = attrs.evolve(ALICE, new_recipients=own)
            self.patch(self.site.realm, "_directory", Accounts(account))
            said = self.rcpt("a@x.test", "b@x.test", "c@x.test")
            self.assertEqual(said.count("450 4.7.1"), refused, own)

    def test_nothing_readable(self) -> None:
        """Whom somebody has written to is not in the file as it is."""
        self.rcpt("a-friend@x.test")
        octets = b"".join(path.read_bytes() for path in self.path.parent.iterdir())
        self.assertNotIn(b"a-friend", octets)
        self.assertIn(b"alice", octets)


@attrs.frozen
class Accounts:
    """A directory that knows one account."""

    only: object

    async def account(self, name: str) -> object:
        """It."""
        return self.only
