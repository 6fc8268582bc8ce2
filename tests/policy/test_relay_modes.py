"""Who may send where under each of the modes, and as a backup: every cell of the tables."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import attrs

from hermes.config.schema import AccessSettings
from hermes.config.sections.backup import BackupSettings
from hermes.core.account import Account
from hermes.core.address_range import AddressRange
from hermes.core.outcome import Outcome
from hermes.core.reply import Reply
from hermes.policy.relay import RelayPolicy, is_private
from tests.policy.test_relay import RelayTests as _RelayTests
from tests.support.smtp_site import ALICE, MemoryRouter

STRANGER, NETWORK, ENTRY, LAN = "198.51.100.7", "192.0.2.7", "203.0.113.7", "192.168.1.7"
PEERS = (NETWORK, ENTRY, STRANGER, LAN)
OWN, FORGED = "alice@example.org", "nobody@example.org"
ELSEWHERE = "x@example.net"
DENIED = ("550 5.7.1", "relay.denied")


class ModeTests(_RelayTests):
    """The four modes. What holds in the default one holds for every test of the class this one is made of."""

    def mode(self, relay: str) -> RelayPolicy:
        """A policy with a network, an entry, and this mode."""
        return self.policy(
            relay=relay,
            relay_networks=(ip_network("192.0.2.0/24"),),
            access={"friend": AccessSettings((AddressRange.parse(ENTRY),), relay=True)},
        )

    def may(self, relay: str, peer: str, account: Account | None = None, sender: str = OWN) -> bool:
        """Whether mail for elsewhere is taken."""
        said = self.ask(self.mode(relay), ELSEWHERE, peer=peer, account=account, sender=sender)
        self.assertIn(said, [DENIED, ("accepted", "smarthost:main")])
        return said != DENIED

    def test_authenticated(self) -> None:
        """The default: who has logged in, networks, entries; and no sender address makes anybody one of them."""
        self.assertEqual(self.policy()._settings.smtp.relay, "authenticated")
        self.assertTrue(self.may("authenticated", STRANGER, ALICE))
        self.assertEqual(
            [self.may("authenticated", peer) for peer in (NETWORK, ENTRY, STRANGER, LAN)], [True, True, False, False]
        )

    def test_strict(self) -> None:
        """Networks and entries; a login gives no right, and neither does a sender."""
        self.assertFalse(self.may("strict", STRANGER, ALICE))
        self.assertTrue(self.may("strict", NETWORK, ALICE))
        self.assertEqual(
            [self.may("strict", peer) for peer in (NETWORK, ENTRY, STRANGER, LAN)], [True, True, False, False]
        )

    def test_only_authenticated(self) -> None:
        """Only who has logged in, wherever they are; networks and entries count for nothing."""
        for peer in PEERS:
            self.assertFalse(self.may("only-authenticated", peer), peer)
            self.assertTrue(self.may("only-authenticated", peer, ALICE), peer)
        self.assertEqual(self.mode("only-authenticated").relay_right(NETWORK), "")

    def test_normal(self) -> None:
        """As the default, and senders that are mailboxes here, from private networks alone."""
        self.assertTrue(self.may("normal", STRANGER, ALICE))
        self.assertEqual([self.may("normal", peer, sender=FORGED) for peer in (NETWORK, ENTRY)], [True, True])
        self.assertTrue(self.may("normal", LAN, sender=OWN))
        self.assertTrue(self.may("normal", LAN, sender="SALES@Example.ORG"))
        for sender in (FORGED, "gone@example.org", "x@example.net", "", "alice", "alice%example.net@example.org"):
            self.assertFalse(self.may("normal", LAN, sender=sender), sender)

    def test_normal_is_nothing_on_the_internet(self) -> None:
        """Whatever sender they forge, strangers relay nothing: that would be an open relay."""
        for peer in (
            STRANGER,
            "8.8.8.8",
            "2001:db8::1",
            "2606:4700::1",
            "100.64.0.1",
            "169.254.1.1",
            "fe80::1",
            "unix",
            "unknown",
        ):
            self.assertFalse(self.may("normal", peer), peer)

    def test_private(self) -> None:
        """The networks that nobody else has: RFC 1918, RFC 4193, and this machine."""
        for peer in ("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fd00::1", "127.0.0.1", "::1"):
            self.assertTrue(is_private(peer), peer)
        for peer in ("11.0.0.1", "172.32.0.1", "192.169.0.1", "fe80::1", "2001:db8::1", "unix", ""):
            self.assertFalse(is_private(peer), peer)

    def test_no_mode_opens_a_trick(self) -> None:
        """Routes in an address of ours or of others are no way around any mode."""
        for relay in ("authenticated", "strict", "only-authenticated", "normal"):
            for address in (
                "x%example.net@example.org",
                "example.net!x@example.org",
                "x@example.net@example.org",
                "x@[192.0.2.99]",
            ):
                said, _ = self.ask(self.mode(relay), address, peer=STRANGER, sender=OWN)
                self.assertTrue(said.startswith("5"), (relay, address))

    def test_submission_wants_a_login(self) -> None:
        """Where a login is demanded no network replaces it, in any mode."""
        for relay in ("authenticated", "strict", "normal"):
            said = self.ask(self.mode(relay), ELSEWHERE, peer=NETWORK, authentication_required=True)
            self.assertEqual(said, ("530 5.7.0", "relay.login_required"))


class Primary:
    """The server of a domain, which says what the test wants."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.asked: list[str] = []

    async def ask(self, address: str) -> Outcome:
        """Answer."""
        self.asked.append(address)
        return self.outcome


EXISTS = Outcome.deferred("ok")
UNKNOWN = Outcome.failed("mx.example.net refused RCPT: 550 5.1.1 no", "5.1.1", reply=Reply.of(550, "5.1.1", "no"))
DOWN = Outcome.deferred("cannot connect", "4.4.1")


class BackupTests(_RelayTests):
    """A backup for example.net."""

    def backup(self, primary: Primary | None, **settings: Any) -> RelayPolicy:
        """A policy whose router knows the way."""
        policy = self.policy()
        site = self.site

        class WithBackup(MemoryRouter):
            async def route(self, address: str, sender: str = "", account: str = "") -> str:
                if address.endswith("@example.net"):
                    return "backup:example.net"
                return await super().route(address)

        of_site = attrs.evolve(site.settings, backup={"friend": BackupSettings(("Example.NET",), **settings)})
        return RelayPolicy(
            site.directory, WithBackup(site.directory), policy._mailboxes, policy._access, of_site, primary
        )

    def test_from_everybody(self) -> None:
        """Mail for the domain is taken from strangers, when its server would take it."""
        primary = Primary(EXISTS)
        policy = self.backup(primary)
        self.assertEqual(self.ask(policy, "Anna@example.net", peer=STRANGER), ("accepted", "backup:example.net"))
        self.assertEqual(primary.asked, ["Anna@example.net"])
        self.assertEqual((policy.backup_of("EXAMPLE.net"), policy.backup_of("example.com")), ("friend", ""))

    def test_unknown_recipients(self) -> None:
        """Whom its server does not know is refused in its place, and why is in the trace."""
        policy = self.backup(Primary(UNKNOWN))
        self.assertEqual(self.ask(policy, ELSEWHERE), ("550 5.1.1", "backup.friend"))
        self.assertEqual(self.ask(policy, ELSEWHERE, account=ALICE), ("550 5.1.1", "backup.friend"))
        odd = Outcome.failed("said 551", "4.0.0", reply=Reply.of(551, None, "moved"))
        self.assertEqual(self.ask(self.backup(Primary(odd)), ELSEWHERE)[0], "550 5.1.1")

    def test_down(self) -> None:
        """A server that does not answer is what a backup is there for; unless it is wanted otherwise."""
        self.assertEqual(self.ask(self.backup(Primary(DOWN)), ELSEWHERE)[0], "accepted")
        self.assertEqual(
            self.ask(self.backup(Primary(DOWN), when_down="defer"), ELSEWHERE), ("451 4.4.1", "backup.friend")
        )

    def test_not_asked(self) -> None:
        """Without verification, or where nobody can be asked, everything is taken."""
        primary = Primary(UNKNOWN)
        policy = self.backup(primary, verify=False)
        self.assertEqual(self.ask(policy, ELSEWHERE)[0], "accepted")
        self.assertEqual((primary.asked, policy.asks("friend")), ([], False))
        self.assertEqual(self.ask(self.backup(None), ELSEWHERE)[0], "accepted")

    def test_only_that_domain(self) -> None:
        """It opens no other domain, and no subdomain."""
        policy = self.backup(Primary(EXISTS))
        for address in ("x@example.com", "x@sub.example.net", "x@net", "x@notexample.net", "x@example.net.example.com"):
            self.assertEqual(self.ask(policy, address), DENIED, address)

    def test_routes(self) -> None:
        """Nobody is to have the domain's server send mail on by way of us, which it may trust (RFC 5321 F.2)."""
        primary = Primary(EXISTS)
        policy = self.backup(primary)
        for address in ("x%example.com@example.net", "example.com!x@example.net", '"x@example.com"@example.net'):
            self.assertEqual(self.ask(policy, address), ("550 5.7.1", "backup.routing"), address)
        self.assertEqual(primary.asked, [])
        self.assertEqual(self.ask(policy, "x%example.com@example.net", account=ALICE)[0], "accepted")

    def test_submission_wants_a_login(self) -> None:
        """At submission a backup is nothing special."""
        said = self.ask(self.backup(Primary(EXISTS)), ELSEWHERE, authentication_required=True)
        self.assertEqual(said, ("530 5.7.0", "relay.login_required"))


# The class they are made of is tested in its own module.
del _RelayTests
