"""Who may send where: every row of the table, and every classic trick of an open relay."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.schema import AccessSettings
from hermes.core.account import Account
from hermes.core.address_range import AddressRange
from hermes.core.outcome import FITS, PASS
from hermes.interfaces import IRelayPolicy
from hermes.policy.relay import RelayPolicy
from tests.support.smtp_site import ALICE, BOB, FULL, Site


class RelayTests(SynchronousTestCase):
    """A server for example.org."""

    def policy(self, postmaster: str = "bob@example.org", **settings: Any) -> RelayPolicy:
        """The policy of a site."""
        self.site = Site(postmaster=postmaster, **settings)
        return self.site.policy

    def ask(
        self,
        policy: RelayPolicy,
        address: str,
        *,
        peer: str = "192.0.2.7",
        account: Account | None = None,
        authentication_required: bool = False,
        octets: int = 0,
        sender: str = "",
    ) -> tuple[str, str]:
        """Reply (as far as the enhanced code) and rule of a refusal, or the destination."""
        verdict, destination = self.successResultOf(
            policy.recipient(
                address,
                peer=peer,
                account=account,
                authentication_required=authentication_required,
                octets=octets,
                sender=sender,
            )
        )
        if verdict.reply is None:
            return "accepted", destination
        self.assertEqual(destination, "")
        return f"{verdict.reply.code} {verdict.reply.enhanced}", verdict.rule

    def test_interface(self) -> None:
        """The policy keeps the promise of its interface."""
        self.assertTrue(verifyObject(IRelayPolicy, self.policy()))

    def test_local(self) -> None:
        """Mail for a mailbox here is taken from anybody, under each of its addresses."""
        policy = self.policy()
        for address in ("alice@example.org", "Alice@Example.ORG", "al@example.org", "sales@example.org"):
            self.assertEqual(self.ask(policy, address), ("accepted", "local:alice"), address)

    def test_unknown(self) -> None:
        """Who is not here, or is disabled, is refused with the code that says which, even to those who have logged in."""
        policy = self.policy()
        for account in (None, ALICE):
            self.assertEqual(
                self.ask(policy, "nobody@example.org", account=account), ("550 5.1.1", "relay.unknown_user")
            )
            self.assertEqual(self.ask(policy, "gone@example.org", account=account), ("550 5.2.1", "relay.disabled"))

    def test_remote_needs_login(self) -> None:
        """Mail for elsewhere is taken only from an account."""
        policy = self.policy()
        self.assertEqual(self.ask(policy, "x@example.net"), ("550 5.7.1", "relay.denied"))
        self.assertEqual(self.ask(policy, "x@example.net", account=ALICE), ("accepted", "smarthost:main"))

    def test_remote_from_network(self) -> None:
        """Mail for elsewhere is taken from the networks that are listed, to their last address and not beyond."""
        policy = self.policy(relay_networks=(ip_network("192.0.2.0/29"), ip_network("2001:db8::/64")))
        allowed = ("accepted", "smarthost:main")
        denied = ("550 5.7.1", "relay.denied")
        for peer, expected in (
            ("192.0.2.0", allowed),
            ("192.0.2.7", allowed),
            ("192.0.2.8", denied),
            ("2001:db8::1", allowed),
            ("2001:db8:0:1::1", denied),
            ("127.0.0.1", denied),
            ("::1", denied),
            ("unix", denied),
            ("", denied),
        ):
            self.assertEqual(self.ask(policy, "x@example.net", peer=peer), expected, peer)

    def test_remote_by_access(self) -> None:
        """An entry of connection control gives the right, the narrowest one and no other; it is named."""
        ranges = {
            name: (AddressRange.parse(text),) for name, text in (("lan", "192.0.2.0/24"), ("guests", "192.0.2.128/25"))
        }
        access = {
            "lan": AccessSettings(ranges["lan"], relay=True),
            "guests": AccessSettings(ranges["guests"]),
            "readers": AccessSettings((AddressRange.parse("198.51.100.1"),), servers=("pop3",)),
        }
        policy = self.policy(access=access, relay_networks=(ip_network("192.0.2.200"),))
        for peer, right in (
            ("192.0.2.7", "access.lan"),
            ("192.0.2.128", ""),
            ("192.0.2.200", "smtp.relay_networks"),
            ("198.51.100.1", ""),
            ("unix", ""),
        ):
            self.assertEqual(policy.relay_right(peer), right, peer)
            expected = ("accepted", "smarthost:main") if right else ("550 5.7.1", "relay.denied")
            self.assertEqual(self.ask(policy, "x@example.net", peer=peer), expected, peer)

    def test_loopback_is_nobody_special(self) -> None:
        """This machine may not relay unless it is listed."""
        policy = self.policy()
        for peer in ("127.0.0.1", "::1", "unix"):
            self.assertEqual(self.ask(policy, "x@example.net", peer=peer), ("550 5.7.1", "relay.denied"), peer)

    def test_authentication_required(self) -> None:
        """Where a login is required, nothing is taken without it: not even local mail, nor from a listed network."""
        policy = self.policy(relay_networks=(ip_network("192.0.2.7/32"),))
        for address in ("alice@example.org", "x@example.net", "postmaster"):
            self.assertEqual(
                self.ask(policy, address, authentication_required=True), ("530 5.7.0", "relay.login_required"), address
            )
        self.assertEqual(
            self.ask(policy, "x@example.net", authentication_required=True, account=ALICE),
            ("accepted", "smarthost:main"),
        )

    def test_no_route(self) -> None:
        """Where mail cannot go, it is not taken."""
        self.assertEqual(self.ask(self.policy(), "x@nowhere.test", account=ALICE), ("550 5.4.4", "relay.no_route"))

    def test_quota(self) -> None:
        """A full mailbox is refused in the words of the mailboxes, which are told the size."""
        policy = self.policy()
        self.site.mailboxes.verdicts["alice"] = FULL
        self.assertEqual(self.ask(policy, "sales@example.org", octets=4711), ("452 4.2.2", "mailbox.quota"))
        self.assertEqual(self.site.mailboxes.asked, [("alice", 4711)])
        self.assertEqual(self.ask(policy, "bob@example.org"), ("accepted", "local:bob"))

    def test_room(self) -> None:
        """When the size is known the mailbox is asked again; who is no mailbox here by now has no room to run out of."""
        policy = self.policy()
        self.site.mailboxes.rooms["alice"] = 1000
        for octets, expected in ((999, FITS), (1000, FITS), (1001, FULL)):
            self.assertIs(self.successResultOf(policy.room("sales@example.org", octets)), expected)
        for address in ("bob@example.org", "nobody@example.org", "x@example.net"):
            self.assertIs(self.successResultOf(policy.room(address, 10**9)), PASS, address)

    def test_quota_is_told(self) -> None:
        """The verdict tells recipients with a quota from those without; the postmaster is taken whatever it is."""
        policy = self.policy()
        self.site.mailboxes.rooms["bob"] = 1000
        for address, expected in (("bob@example.org", FITS), ("postmaster", PASS), ("alice@example.org", PASS)):
            judged = policy.recipient(address, peer="", account=None, authentication_required=False, octets=0)
            self.assertIs(self.successResultOf(judged)[0], expected, address)

    def test_postmaster(self) -> None:
        """The postmaster has an address in every domain of ours and without a domain, in any case (RFC 5321 4.5.1)."""
        policy = self.policy()
        for address in ("postmaster", "POSTMASTER", "postmaster@example.org", "PostMaster@EXAMPLE.org"):
            self.assertEqual(self.ask(policy, address), ("accepted", "local:bob"), address)

    def test_postmaster_has_own_mailbox(self) -> None:
        """A mailbox called postmaster is preferred to the configured person, and taken for even when it is full."""
        policy = self.policy()
        self.site.directory.mailboxes["postmaster@example.org"] = ALICE
        self.site.mailboxes.verdicts["alice"] = FULL
        self.assertEqual(self.ask(policy, "postmaster@example.org"), ("accepted", "local:alice"))

    def test_postmaster_of_others(self) -> None:
        """The postmaster of another domain is just another address."""
        self.assertEqual(self.ask(self.policy(), "postmaster@example.net"), ("550 5.7.1", "relay.denied"))

    def test_postmaster_missing(self) -> None:
        """Without a postmaster here, the client is told to come again: the fault is ours."""
        for postmaster in ("", "nobody@example.org", "me@example.net"):
            policy = self.policy(postmaster=postmaster)
            self.assertEqual(self.ask(policy, "postmaster"), ("451 4.3.5", "relay.no_postmaster"), postmaster)

    def test_no_domain(self) -> None:
        """Only the postmaster may stand without a domain."""
        for address in ("alice", "root", "x%example.net", "example.net!x"):
            self.assertEqual(self.ask(self.policy(), address), ("550 5.1.3", "relay.no_domain"), address)

    def test_tricks_with_our_domain(self) -> None:
        """Whatever a local part says about routes, at a domain of ours it is a user who does not exist."""
        policy = self.policy()
        for local_part in (
            "x%example.net",
            "x%example.net%example.org",
            '"x%example.net"',
            "example.net!x",
            "example.org!example.net!x",
            '"x@example.net"',
            '"@example.net:x@example.com"',
            '"x@[192.0.2.1]"',
            "x=example.net",
            "@example.net",
            " alice",
            "alice%",
        ):
            for account in (None, BOB):
                self.assertEqual(
                    self.ask(policy, f"{local_part}@example.org", account=account),
                    ("550 5.1.1", "relay.unknown_user"),
                    local_part,
                )

    def test_tricks_with_other_domains(self) -> None:
        """An address that only looks like ours belongs to another server."""
        policy = self.policy()
        for address in (
            "x%example.org@example.net",
            "example.org!x@example.net",
            '"alice@example.org"@example.net',
            "alice@example.org@example.net",
            "alice@example.org.example.net",
            "alice@sub.example.org",
            "alice@notexample.org",
            "alice@example.org.",
            "alice@[192.0.2.1]",
            "alice@[127.0.0.1]",
            "alice@[IPv6:::1]",
            "alice@localhost",
            "alice@mx.example.org",
        ):
            self.assertEqual(self.ask(policy, address), ("550 5.7.1", "relay.denied"), address)
