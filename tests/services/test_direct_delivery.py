"""Direct delivery, from DNS to the message, against servers on this machine."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from hermes.config.schema import DirectSettings
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent
from hermes.net.resolver import Resolver
from hermes.services.direct_delivery import MAX_ADDRESSES, DirectAgent
from tests.support.certificates import make_certificate
from tests.support.dns_server import SERVFAIL, NameServer, a, mx
from tests.support.outgoing import Network, Reader, message
from tests.support.smtp_peer import DROP, HANG, Script, SMTPPeer

#: Where the exchangers of the zone are.
FIRST, SECOND = "192.0.2.1", "192.0.2.2"


class DirectCase(TestCase):
    """A name server, and peers that stand for hosts of the network."""

    async def setUp(self) -> None:
        """The zone has example.com with two exchangers."""
        self.server = NameServer(
            {
                "example.com": [mx(10, "mx1.example.com"), mx(20, "mx2.example.com")],
                "mx1.example.com": [a(FIRST)],
                "mx2.example.com": [a(SECOND)],
            }
        )
        self.server.start(reactor)
        self.network = Network(reactor)
        self.peers: list[SMTPPeer] = []
        self.agents: list[DirectAgent] = []

    async def tearDown(self) -> None:
        """Nothing stays open."""
        for agent in self.agents:
            await agent.stop()
        for peer in self.peers:
            await peer.stop()
        await self.server.stop()

    def peer(self, script: Script | None = None, address: str = FIRST, name: str = "mx.example.com") -> SMTPPeer:
        """A peer at this address."""
        peer = SMTPPeer(script, name)
        peer.start(reactor)
        self.network.places[address] = peer.port
        self.peers.append(peer)
        return peer

    def agent(
        self, named: dict[str, tuple[str, int]] | None = None, paused: tuple[str, ...] = (), **settings: Any
    ) -> DirectAgent:
        """An agent in that network."""
        agent = DirectAgent(
            self.network,
            DirectSettings(**{"enabled": True, **settings}),
            "client.example.org",
            Reader(),
            Resolver(reactor, [self.server.address]),
            dice=random.Random(1),
            named=named,
            paused=lambda host: f"host:{host}" if host in paused else "",
        )
        self.agents.append(agent)
        return agent

    async def send(self, agent: DirectAgent, domain: str = "example.com", *addresses: str) -> list[Outcome]:
        """Deliver a message to a domain."""
        sending, recipients = message(*(addresses or (f"anna@{domain}",)))
        return await agent.deliver(domain, sending, recipients)


class RouteTests(DirectCase):
    """Which server gets the message."""

    async def test_first_choice(self) -> None:
        """The exchanger of the lowest number gets it; the agent is what the queue wants."""
        first, second = self.peer(), self.peer(address=SECOND)
        agent = self.agent()
        self.assertTrue(verifyObject(IDeliveryAgent, agent))
        outcomes = await self.send(agent, "example.com", "anna@example.com", "bob@example.com")
        self.assertEqual([outcome.result for outcome in outcomes], [Result.RELAYED] * 2)
        self.assertEqual(outcomes[0].host, "mx1.example.com")
        self.assertEqual((len(first.messages), second.connections), (1, 0))

    async def test_next_one(self) -> None:
        """When the first cannot be talked to, refuses for now or drops, the next one gets it (RFC 5321 5.1)."""
        for replies in (
            {"GREETING": "421 busy"},
            {"GREETING": "450 busy"},
            {"GREETING": "554 no service here"},
            {"EHLO": "450 busy"},
            {"EHLO": DROP},
            {"MAIL": "451 4.7.1 later"},
            {"RCPT": DROP},
            {"DATA": "421 bye"},
        ):
            first, second = self.peer(Script(replies=dict(replies))), self.peer(address=SECOND)
            (outcome,) = await self.send(self.agent())
            self.assertIs(outcome.result, Result.RELAYED, replies)
            self.assertEqual(outcome.host, "mx2.example.com")
            self.assertEqual((first.connections, len(second.messages)), (1, 1))
            for peer in (first, second):
                self.peers.remove(peer)
                await peer.stop()

    async def test_not_the_next_one(self) -> None:
        """What was said about the recipient or the message holds; and what may have been delivered is not sent twice."""
        for replies, result in (
            ({"MAIL": "550 5.7.1 no"}, Result.FAILED),
            ({"RCPT": "550 5.1.1 no"}, Result.FAILED),
            ({"RCPT": "450 4.2.1 busy"}, Result.DEFERRED),
            ({".": "451 4.3.0 later"}, Result.DEFERRED),
            ({".": DROP}, Result.DEFERRED),
        ):
            first, second = self.peer(Script(replies=dict(replies))), self.peer(address=SECOND)
            (outcome,) = await self.send(self.agent())
            self.assertIs(outcome.result, result, replies)
            self.assertEqual((outcome.host, second.connections), ("mx1.example.com", 0))
            for peer in (first, second):
                self.peers.remove(peer)
                await peer.stop()

    async def test_nobody_there(self) -> None:
        """When no host can be connected to, the mail waits, and the reason names the host."""
        (outcome,) = await self.send(self.agent())
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.4.1"))
        self.assertEqual(outcome.reason, "cannot connect to mx2.example.com at 192.0.2.2:25: Connection refused")
        self.assertEqual(self.network.asked, [FIRST, SECOND])

    async def test_refused_by_all(self) -> None:
        """Only when every host refuses for good does the mail go back; one that may still take it is waited for."""
        self.peer(Script(replies={"GREETING": "554 no service here"}))
        (outcome,) = await self.send(self.agent())
        self.assertIs(outcome.result, Result.DEFERRED)
        second = self.peer(Script(replies={"GREETING": "554 5.3.2 never"}), address=SECOND)
        first = self.network.places.pop(FIRST)
        (outcome,) = await self.send(self.agent())
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.4.1"))
        self.assertEqual(second.connections, 1)
        self.network.places[FIRST] = first
        (outcome,) = await self.send(self.agent())
        self.assertEqual((outcome.result, outcome.status), (Result.FAILED, "5.3.2"))

    async def test_failed_hosts_come_last(self) -> None:
        """A host that could not be connected to is tried last for some minutes."""
        second = self.peer(address=SECOND)
        agent = self.agent()
        await self.send(agent)
        first = self.peer()
        (outcome,) = await self.send(agent)
        self.assertEqual(outcome.host, "mx2.example.com")
        self.assertEqual((first.connections, second.connections), (0, 1))

    async def test_hosts_that_break_come_last(self) -> None:
        """So is one that takes the connection and breaks it, or is too busy, when the message comes; not one that refuses it."""
        for replies, first_again in (
            ({"MAIL": DROP}, False),
            ({"RCPT": DROP}, False),
            ({"MAIL": "421 4.3.2 too busy"}, False),
            ({"MAIL": "451 4.7.1 later"}, True),
            ({"MAIL": "550 5.7.1 no"}, True),
        ):
            first, second = self.peer(Script(replies=dict(replies))), self.peer(address=SECOND)
            agent = self.agent()
            for _ in range(2):
                await self.send(agent)
                for connection in [*first.open, *second.open]:
                    connection.cut()
            self.assertEqual(first.connections, 2 if first_again else 1, replies)
            for peer in (first, second):
                self.peers.remove(peer)
                await peer.stop()

    async def test_paused_host(self) -> None:
        """A server that is paused is passed over; when all are, the mail waits; what is drained goes there all the same."""
        first, second = self.peer(), self.peer(address=SECOND)
        (outcome,) = await self.send(self.agent(paused=("mx1.example.com",)))
        self.assertEqual((outcome.result, outcome.host), (Result.RELAYED, "mx2.example.com"))
        self.assertEqual((first.connections, second.connections), (0, 1))
        agent = self.agent(paused=("mx1.example.com", "mx2.example.com"))
        (outcome,) = await self.send(agent)
        self.assertIs(outcome.result, Result.PAUSED)
        # Each of them is named: whichever is resumed, the mail goes on.
        for host in ("mx1", "mx2"):
            self.assertIn(f"host:{host}.example.com is paused until it is resumed", outcome.reason)
        sending, recipients = message("anna@example.com")
        recipients[0].drained = True
        (outcome,) = await agent.deliver("example.com", sending, recipients)
        self.assertEqual((outcome.result, outcome.host), (Result.RELAYED, "mx1.example.com"))

    async def test_addresses_of_an_attempt(self) -> None:
        """No more addresses than the limit are tried in one attempt."""
        count = MAX_ADDRESSES + 1
        self.server.zone["example.com"] = [mx(number, f"mx{number}.example.com") for number in range(1, count + 1)]
        for number in range(1, count + 1):
            self.server.zone[f"mx{number}.example.com"] = [a(f"192.0.2.{number}")]
        peers = [
            self.peer(Script(replies={"GREETING": "450 no"}), f"192.0.2.{number}") for number in range(1, count + 1)
        ]
        await self.send(self.agent())
        self.assertEqual([peer.connections for peer in peers], [1] * MAX_ADDRESSES + [0])

    async def test_host_of_many_addresses(self) -> None:
        """A host with more addresses than an attempt has does not keep the next host from its turn; alone it has all of them."""
        many = [f"192.0.2.{number}" for number in range(10, 10 + MAX_ADDRESSES + 2)]
        self.server.zone["mx1.example.com"] = [a(address) for address in many]
        second = self.peer(address=SECOND)
        (outcome,) = await self.send(self.agent())
        self.assertEqual((outcome.result, outcome.host), (Result.RELAYED, "mx2.example.com"))
        self.assertEqual((len(self.network.asked), second.connections), (MAX_ADDRESSES, 1))
        self.network.asked.clear()
        self.server.zone["example.com"] = [mx(10, "mx1.example.com")]
        (outcome,) = await self.send(self.agent())
        self.assertIs(outcome.result, Result.DEFERRED)
        self.assertEqual(len(set(self.network.asked)), MAX_ADDRESSES)

    async def test_address_literal(self) -> None:
        """``[192.0.2.1]`` is connected to without DNS."""
        peer = self.peer()
        (outcome,) = await self.send(self.agent(), "[192.0.2.1]")
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual((len(peer.messages), self.server.asked), (1, []))

    async def test_ipv6(self) -> None:
        """A host with an IPv6 address is reached by it."""
        peer = SMTPPeer()
        peer.start(reactor, interface="::1")
        self.peers.append(peer)
        self.network.connectTCP = reactor.connectTCP  # type: ignore[method-assign]
        (outcome,) = await self.send(self.agent(port=peer.port, loopback=True), "[IPv6:::1]")
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual(outcome.address, f"[::1]:{peer.port}")

    async def test_dns_says_no(self) -> None:
        """What DNS says is the outcome for every recipient."""
        self.peer()
        self.server.behaviors["broken.example"] = SERVFAIL
        for domain, result, status in (
            ("nowhere.example", Result.FAILED, "5.1.2"),
            ("broken.example", Result.DEFERRED, "4.4.3"),
        ):
            outcomes = await self.send(self.agent(), domain, f"a@{domain}", f"b@{domain}")
            self.assertEqual([(one.result, one.status) for one in outcomes], [(result, status)] * 2)

    async def test_not_to_this_machine(self) -> None:
        """Unless the settings allow it, nothing is delivered to this machine."""
        self.server.zone["mx1.example.com"] = self.server.zone["mx2.example.com"] = [a("127.0.0.1")]
        (outcome,) = await self.send(self.agent())
        self.assertEqual((outcome.result, outcome.status), (Result.FAILED, "5.4.6"))
        (outcome,) = await self.send(self.agent(loopback=True))
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.4.1"))
        self.assertEqual(self.network.asked, ["127.0.0.1", "127.0.0.1"])

    async def test_ourselves(self) -> None:
        """A server that greets with our own name is us behind another address: a loop, and nobody behind it is tried."""
        self.peer(name="client.example.org")
        second = self.peer(address=SECOND)
        (outcome,) = await self.send(self.agent())
        self.assertEqual((outcome.result, outcome.status), (Result.FAILED, "5.4.6"))
        self.assertEqual(second.connections, 0)

    async def test_hanging_host(self) -> None:
        """A host that hangs does not delay another destination."""
        self.server.zone["slow.example"] = [mx(1, "mx2.example.com")]
        self.peer()
        hanging = self.peer(Script(extensions=[], replies={"MAIL": HANG}), address=SECOND)
        agent = self.agent(tls="none")
        arrived = hanging.seen("MAIL")
        waiting = Deferred.fromCoroutine(self.send(agent, "slow.example"))
        await arrived
        (outcome,) = await self.send(agent)
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertFalse(waiting.called)
        self.assertEqual(
            {(entry["host"], entry["state"]) for entry in agent.describe()},
            {("mx2.example.com", "waiting for MAIL"), ("mx1.example.com", "idle")},
        )
        hanging.open[0].say("421 enough")
        (outcome,) = await waiting
        self.assertIs(outcome.result, Result.DEFERRED)

    async def test_same_host_for_two_domains(self) -> None:
        """Domains that share a host share its connection."""
        self.server.zone["example.net"] = [mx(1, "mx1.example.com")]
        peer = self.peer()
        agent = self.agent()
        for domain in ("example.com", "example.net"):
            (outcome,) = await self.send(agent, domain)
            self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual((peer.connections, len(peer.messages)), (1, 2))


class TLSTests(DirectCase):
    """Opportunistic TLS."""

    def certificate(self) -> tuple[str, str]:
        """A certificate that nobody would trust: expired, self-signed, for somebody else."""
        return make_certificate(Path(self.mktemp()), "other.example.net", -1)

    async def test_opportunistic(self) -> None:
        """TLS is used where it is offered, with any certificate."""
        peer = self.peer(Script(extensions=["STARTTLS"], tls_extensions=[], certificate=self.certificate()))
        (outcome,) = await self.send(self.agent())
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertIn("TLSv1.", outcome.tls)
        self.assertEqual(peer.verbs[:3], ["EHLO", "STARTTLS", "EHLO"])

    async def test_address_literal(self) -> None:
        """TLS works for an address literal too, which cannot be a server name (RFC 6066 3)."""
        self.peer(Script(extensions=["STARTTLS"], certificate=self.certificate()))
        (outcome,) = await self.send(self.agent(), "[192.0.2.1]")
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertIsNotNone(outcome.tls)

    async def test_not_offered(self) -> None:
        """Without an offer the message goes in the clear."""
        peer = self.peer()
        (outcome,) = await self.send(self.agent())
        self.assertEqual((outcome.result, outcome.tls), (Result.RELAYED, None))
        self.assertNotIn("STARTTLS", peer.verbs)

    async def test_refused(self) -> None:
        """After a refused STARTTLS the session goes on in the clear (RFC 3207 4)."""
        peer = self.peer(Script(extensions=["STARTTLS"], replies={"STARTTLS": "454 4.7.0 not now"}))
        (outcome,) = await self.send(self.agent())
        self.assertEqual((outcome.result, outcome.tls, peer.connections), (Result.RELAYED, None, 1))

    async def test_broken(self) -> None:
        """When the handshake fails, the same host is tried without TLS, and for some minutes at once without."""
        peer = self.peer(Script(extensions=["STARTTLS"], break_tls=True))
        agent = self.agent()
        (outcome,) = await self.send(agent)
        self.assertEqual((outcome.result, outcome.tls, outcome.host), (Result.RELAYED, None, "mx1.example.com"))
        self.assertEqual((peer.connections, peer.verbs.count("STARTTLS")), (2, 1))
        peer.open[-1].cut()
        await self.send(agent)
        self.assertEqual((peer.connections, peer.verbs.count("STARTTLS")), (3, 1))

    async def test_required(self) -> None:
        """When the settings require it, mail waits rather than go in the clear."""
        for script, status in (
            (Script(extensions=["STARTTLS"], break_tls=True), "4.7.0"),
            (Script(), "4.7.4"),
        ):
            peer = self.peer(script)
            (outcome,) = await self.send(self.agent(tls="required"), "[192.0.2.1]")
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, status))
            self.assertEqual(peer.messages, [])
            self.peers.remove(peer)
            await peer.stop()

    async def test_required_and_there(self) -> None:
        """Required TLS takes any certificate too: nothing says which one an exchanger should have."""
        self.peer(Script(extensions=["STARTTLS"], certificate=self.certificate()))
        (outcome,) = await self.send(self.agent(tls="required"))
        self.assertIn("TLSv1.", outcome.tls)

    async def test_none(self) -> None:
        """When the settings say so, TLS is not used even if it is offered."""
        peer = self.peer(Script(extensions=["STARTTLS"]))
        (outcome,) = await self.send(self.agent(tls="none"))
        self.assertEqual((outcome.result, outcome.tls), (Result.RELAYED, None))
        self.assertNotIn("STARTTLS", peer.verbs)
