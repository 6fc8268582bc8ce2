"""Several smart hosts: fall-backs in order, limits, pinned certificates."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.sections.smarthost import SmarthostSettings
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent
from hermes.services.sending_rate import DAY, SendingRate
from hermes.services.smarthost import SmarthostAgent
from hermes.services.smarthosts import Smarthosts
from tests.services.test_smarthost import HOST, SmarthostCase
from tests.support.outgoing import Names, Reader, message
from tests.support.smtp_peer import DROP, Script, SMTPPeer


class FallbackTests(SmarthostCase):
    """The host of the name first, then those that may take its place."""

    CREDENTIALS = {"username": "tim", "password": "tanstaaftanstaaf"}

    def hosts(self, *scripts: Script, **settings: Any) -> tuple[Smarthosts, list[SMTPPeer]]:
        """Smart hosts called h0, h1 and so on; all others are fall-backs of h0."""
        peers = [self.peer(script) for script in scripts]
        agents = {f"h{number}": self.agent(peer, name=f"h{number}", **settings) for number, peer in enumerate(peers)}
        return Smarthosts(agents, {"h0": list(agents)[1:]}), peers

    async def deliver(self, hosts: Smarthosts, *addresses: str, name: str = "h0") -> list[Outcome]:
        """Deliver a message."""
        sending, recipients = message(*(addresses or ("a@example.com",)))
        return await hosts.deliver(name, sending, recipients)

    async def test_by_name(self) -> None:
        """Mail goes to the host that the destination names, and the outcome names it for the trace."""
        hosts, peers = self.hosts(Script(), Script())
        self.assertTrue(verifyObject(IDeliveryAgent, hosts))
        for name in ("h0", "h1"):
            (outcome,) = await self.deliver(hosts, name=name)
            self.assertEqual((outcome.result, outcome.smarthost), (Result.RELAYED, name))
        self.assertEqual([len(peer.messages) for peer in peers], [1, 1])
        self.assertEqual(len(hosts.describe()), 2)
        await hosts.stop()
        self.assertEqual(hosts.describe(), [])

    async def test_gone(self) -> None:
        """A host that has been taken out of the configuration delays its mail, which is routed anew."""
        hosts, _ = self.hosts(Script())
        (outcome,) = await self.deliver(hosts, name="old")
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.3.5"))

    async def test_not_reached(self) -> None:
        """When the first cannot be reached, trusted or logged in at, the next takes the mail."""
        for script in (
            Script(replies={"GREETING": "554 no"}),
            Script(replies={"GREETING": DROP}),
            Script(replies={"EHLO": "421 down"}),
            Script(extensions=["AUTH PLAIN"], replies={"AUTH": "535 5.7.8 wrong"}),
            Script(extensions=["AUTH GSSAPI"]),
            Script(extensions=["AUTH PLAIN"], replies={"MAIL": "421 4.3.2 shutting down"}),
        ):
            hosts, peers = self.hosts(script, Script(extensions=["AUTH PLAIN"]), **self.CREDENTIALS)
            (outcome,) = await self.deliver(hosts)
            self.assertEqual((outcome.result, outcome.smarthost), (Result.RELAYED, "h1"), outcome.reason)
            self.assertEqual([len(peer.messages) for peer in peers], [0, 1])

    async def test_not_found(self) -> None:
        """A first host without an address in the DNS is passed over too."""
        hosts, _ = self.hosts(Script(), Script())
        hosts._hosts["h0"]._settings = SmarthostSettings(host="gone.example.net")
        (outcome,) = await self.deliver(hosts)
        self.assertEqual((outcome.result, outcome.smarthost), (Result.RELAYED, "h1"))

    async def test_all_fail(self) -> None:
        """When none can be reached the mail waits, and the reason has all their words, in order."""
        hosts, _ = self.hosts(Script(replies={"GREETING": "554 first"}), Script(replies={"GREETING": "421 second"}))
        (outcome,) = await self.deliver(hosts)
        self.assertIs(outcome.result, Result.DEFERRED)
        self.assertRegex(outcome.reason, "554 first.*; then .*421 second")

    async def test_paused(self) -> None:
        """A host that is paused is passed over; without another one the mail waits for its resume, unless it is drained."""
        hosts, peers = self.hosts(Script(), Script())
        for name, result in (("h0", Result.RELAYED), ("h1", Result.PAUSED)):
            hosts._hosts[name]._paused = lambda _, pause=f"host:{name}": pause
            (outcome,) = await self.deliver(hosts)
            self.assertIs(outcome.result, result)
        for name in ("h0", "h1"):
            self.assertIn(f"host:{name} is paused until it is resumed", outcome.reason)
        self.assertEqual([len(peer.messages) for peer in peers], [0, 1])
        sending, recipients = message("a@example.com")
        recipients[0].drained = True
        (outcome,) = await hosts.deliver("h0", sending, recipients)
        self.assertEqual((outcome.result, outcome.smarthost), (Result.RELAYED, "h0"))

    async def test_paused_and_down(self) -> None:
        """Where one host is paused and the other one down the mail is tried again by itself, in either order."""
        for paused in ("h0", "h1"):
            scripts = [Script(), Script(replies={"GREETING": "421 down"})]
            hosts, _ = self.hosts(*(scripts if paused == "h0" else reversed(scripts)))
            hosts._hosts[paused]._paused = lambda host: f"host:{host}"
            (outcome,) = await self.deliver(hosts)
            self.assertIs(outcome.result, Result.DEFERRED)

    async def test_refusals_stand(self) -> None:
        """What the first host refuses or defers by itself is no matter for the next: only the host's own trouble is."""
        script = Script(
            replies={"RCPT TO:<b@example.com>": "550 5.1.1 no", "RCPT TO:<c@example.com>": "450 4.2.1 busy"}
        )
        hosts, peers = self.hosts(script, Script())
        outcomes = await self.deliver(hosts, "a@example.com", "b@example.com", "c@example.com")
        self.assertEqual(
            [(outcome.result, outcome.smarthost) for outcome in outcomes],
            [(Result.RELAYED, "h0"), (Result.FAILED, "h0"), (Result.DEFERRED, "h0")],
        )
        self.assertEqual(peers[1].connections, 0)


class LimitTests(SynchronousTestCase):
    """Over a limit mail waits, and does not fail."""

    def setUp(self) -> None:
        """A clock, and no smart host that could be found: how far a message came shows in its reason."""
        self.clock = Clock()

    def agent(self, **settings: Any) -> SmarthostAgent:
        """An agent of which only the waiting is looked at: what goes out is counted even so."""
        rate = SendingRate(self.clock.seconds)
        self.patch(rate, "take_back", lambda recipients: None)
        options = SmarthostSettings(host=HOST, tls="none", **settings)
        return SmarthostAgent(self.clock, options, "client.example.org", Reader(), Names(), name="gmail", rate=rate)

    def send(self, agent: SmarthostAgent, *addresses: str) -> Deferred[list[Outcome]]:
        """Deliver."""
        sending, recipients = message(*(addresses or ("a@example.com",)))
        return Deferred.fromCoroutine(agent.deliver("gmail", sending, recipients))

    def went(self, sent: Deferred[list[Outcome]]) -> bool:
        """Whether a message was let through."""
        (outcome,) = self.successResultOf(sent)
        return "cannot be found" in outcome.reason

    def test_a_minute_is_waited_for(self) -> None:
        """Up to a minute the delivery itself waits, and then goes on."""
        agent = self.agent(messages_per_minute=2)
        self.assertTrue(self.went(self.send(agent)))
        self.clock.advance(30)
        self.assertTrue(self.went(self.send(agent)))
        third = self.send(agent)
        self.assertNoResult(third)
        self.clock.advance(29)
        self.assertNoResult(third)
        self.clock.advance(3)
        self.assertTrue(self.went(third))

    def test_a_stop_ends_the_waiting(self) -> None:
        """Who waits can be cancelled."""
        agent = self.agent(messages_per_minute=1)
        self.send(agent)
        self.clock.advance(10)
        waiting = self.send(agent)
        self.assertNoResult(waiting)
        waiting.cancel()
        self.failureResultOf(waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_longer_times(self) -> None:
        """Longer times are waited for in the queue: the outcome says when, and which limit."""
        agent = self.agent(recipients_per_day=2)
        self.assertTrue(self.went(self.send(agent)))
        outcomes = self.successResultOf(self.send(agent, "a@example.com", "b@example.com"))
        for outcome in outcomes:
            self.assertEqual((outcome.result, outcome.status, outcome.smarthost), (Result.DEFERRED, "4.4.5", "gmail"))
            self.assertIn("2 recipients a day", outcome.reason)
            assert outcome.wait_seconds is not None
            self.assertTrue(DAY <= outcome.wait_seconds <= DAY * 1.02)
        self.assertTrue(self.went(self.send(agent)))


class PinTests(SmarthostCase):
    """A public key in place of an authority."""

    def pin(self, certificate: tuple[str, str]) -> bytes:
        """The SHA-256 of the key, as openssl would compute it from the certificate."""
        key = x509.load_pem_x509_certificate(Path(certificate[0]).read_bytes()).public_key()
        return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()

    async def test_pinned(self) -> None:
        """The right key is enough, whatever the certificate's name and date; in digits, with colons, or in base64."""
        certificate = self.certificate("other.example.net", -1)
        octets = self.pin(certificate)
        other = base64.b64encode(bytes(32)).decode()
        for tls in ("starttls", "implicit"):
            for pin in (octets.hex(), octets.hex(":").upper(), base64.b64encode(octets).decode()):
                peer = self.peer(Script(extensions=["STARTTLS"], certificate=certificate, implicit=tls == "implicit"))
                (outcome,) = await self.send(self.agent(peer, tls=tls, pin=(other, pin)))
                self.assertIs(outcome.result, Result.RELAYED, outcome.reason)

    async def test_another_key(self) -> None:
        """Another key delays the mail, with a trusted authority and without verify too, and the reason says which it is."""
        certificate = self.certificate()
        for more in ({"authority": certificate[0]}, {"verify": False}):
            peer = self.peer(Script(extensions=["STARTTLS", "AUTH PLAIN"], certificate=certificate))
            settings = {"tls": "starttls", "pin": (bytes(32).hex(),), "username": "a", "password": "b", **more}
            (outcome,) = await self.send(self.agent(peer, **settings))
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.7.5"))
            self.assertIn(self.pin(certificate).hex(), outcome.reason)
            self.assertEqual(peer.verbs, ["EHLO", "STARTTLS"])
