"""By which way mail goes."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent, IRouter
from hermes.queue.discard import Discard
from hermes.queue.router import DISABLED, NO_POSTMASTER, NO_SUCH_ADDRESS, NO_WAY_OUT, UNROUTED, NoWay, Router
from hermes.queue.smarthost_choice import SmarthostRule
from tests.support.queue_site import Site, SmallDirectory


class RouterTests(SynchronousTestCase):
    """The rules of routing."""

    def setUp(self) -> None:
        """example.org is here, with two mailboxes."""
        self.directory = SmallDirectory("bob", "admin")

    def route(self, address: str, *, smarthost: str = "", direct: bool = False, postmaster: str = "") -> str:
        """Ask a router with these ways out."""
        router = Router(self.directory, smarthost=smarthost, direct_enabled=direct, postmaster=postmaster)
        destination: str = self.successResultOf(router.route(address))
        return destination

    def test_interfaces(self) -> None:
        """Router and the agent of last resort are what they say."""
        verifyObject(IRouter, Router(self.directory))
        verifyObject(IDeliveryAgent, NoWay())

    def test_mailbox_here(self) -> None:
        """An account's address goes to the account, whatever ways out there are."""
        self.assertEqual(self.route("Bob@example.org", smarthost="default", direct=True), "local:bob")

    def test_elsewhere(self) -> None:
        """Other domains go to the smart host when there is one, else straight to them, else nowhere."""
        self.assertEqual(self.route("x@example.net", smarthost="default", direct=True), "smarthost:default")
        self.assertEqual(self.route("x@example.net", direct=True), "direct:example.net")
        self.assertEqual(self.route("x@example.net"), NO_WAY_OUT)

    def test_backup(self) -> None:
        """Mail for a domain for which we are a backup goes to its own servers, whatever the other ways out are."""
        for ways in ({}, {"smarthost": "default", "direct_enabled": True}):
            router = Router(self.directory, backups=("example.net",), **ways)  # type: ignore[arg-type]
            for address, expected in (("x@Example.NET", "backup:example.net"), ("bob@example.org", "local:bob")):
                self.assertEqual(self.successResultOf(router.route(address)), expected)
            self.assertNotIn("backup", str(self.successResultOf(router.route("x@sub.example.net"))))

    def test_gone(self) -> None:
        """An address of ours that does not exist has no way, nor has a disabled one."""
        self.directory.disabled.add("carol")
        self.assertEqual(self.route("nobody@example.org", direct=True), NO_SUCH_ADDRESS)
        self.assertEqual(self.route("carol@example.org", direct=True), DISABLED)

    def test_chosen_smarthost(self) -> None:
        """A smart host that asks for this sender, recipient or account comes before the one for all; never for local mail."""
        rules = [SmarthostRule("sales", senders=("sales@example.org",)), SmarthostRule("fax", accounts=("fax",))]
        router = Router(self.directory, smarthost="default", smarthosts=rules, direct_enabled=True)
        for address, sender, account, destination in (
            ("x@example.net", "sales@example.org", "", "smarthost:sales"),
            ("x@example.net", "joe@example.org", "fax", "smarthost:fax"),
            ("x@example.net", "joe@example.org", "joe", "smarthost:default"),
            ("bob@example.org", "sales@example.org", "fax", "local:bob"),
        ):
            route = Deferred.fromCoroutine(router.route(address, sender, account))
            self.assertEqual(self.successResultOf(route), destination)

    def test_postmaster(self) -> None:
        """Mail for the postmaster reaches the person in charge, with and without a domain, in any case (RFC 5321 4.5.1)."""
        for address in ("postmaster", "PostMaster", "postmaster@example.org", "POSTMASTER@example.org"):
            self.assertEqual(self.route(address, postmaster="admin@example.org"), "local:admin")

    def test_postmaster_elsewhere(self) -> None:
        """The person in charge may have an address elsewhere; another domain's postmaster is none of ours."""
        self.assertEqual(self.route("postmaster", direct=True, postmaster="x@example.net"), "direct:example.net")
        self.assertEqual(
            self.route("postmaster@example.net", direct=True, postmaster="admin@example.org"), "direct:example.net"
        )

    def test_postmaster_with_a_mailbox(self) -> None:
        """A mailbox named postmaster gets its own mail."""
        self.directory.names.add("postmaster")
        self.assertEqual(self.route("postmaster@example.org", postmaster="admin@example.org"), "local:postmaster")

    def test_postmaster_in_a_circle(self) -> None:
        """A postmaster who is said to be at an address that is the postmaster's again does not go round."""
        self.assertEqual(self.route("postmaster", postmaster="postmaster@example.org"), NO_SUCH_ADDRESS)

    def test_no_postmaster(self) -> None:
        """Without a postmaster the reason says what is missing."""
        self.assertEqual(self.route("postmaster"), NO_POSTMASTER)
        self.assertEqual(self.route("postmaster@example.org"), NO_POSTMASTER)


class DiscardTests(SynchronousTestCase):
    """Mail that nobody gets."""

    def test_discarded(self) -> None:
        """It is done with for every recipient, and the rule is told."""
        message = Site().message("a@example.net", "b@example.net")
        outcomes = self.successResultOf(Discard().deliver("filter.3", message, message.recipients))
        self.assertEqual([each.result for each in outcomes], [Result.DISCARDED] * 2)
        self.assertIn("filter.3", outcomes[0].reason)


class NoWayTests(SynchronousTestCase):
    """Mail whose way has vanished."""

    def outcomes(self, destination: str) -> list[Outcome]:
        """Deliver to two recipients."""
        message = Site().message("a@example.net", "b@example.net")
        return self.successResultOf(NoWay().deliver(destination.partition(":")[2], message, message.recipients))

    def test_address_is_gone(self) -> None:
        """An address that is gone fails, each recipient alike."""
        for destination, status in ((NO_SUCH_ADDRESS, "5.1.1"), (DISABLED, "5.2.1")):
            outcomes = self.outcomes(destination)
            self.assertEqual([each.result for each in outcomes], [Result.FAILED, Result.FAILED])
            self.assertEqual(outcomes[0].status, status)

    def test_configuration_is_wrong(self) -> None:
        """What an administrator can mend waits for it, with the reason in words."""
        for destination in (NO_WAY_OUT, NO_POSTMASTER, UNROUTED):
            outcome = self.outcomes(destination)[0]
            self.assertIs(outcome.result, Result.DEFERRED)
            self.assertEqual(outcome.reason, destination.partition(":")[2])
