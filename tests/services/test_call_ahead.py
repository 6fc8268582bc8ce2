"""Asking other servers about their recipients."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from zope.interface.verify import verifyObject

from hermes.config.schema import DirectSettings
from hermes.core.dns_answer import Answer
from hermes.core.envelope import Envelope
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import ICallAhead
from hermes.services import call_ahead
from hermes.services.call_ahead import ACCEPTED_SECONDS, DOWN_SECONDS, REFUSED_SECONDS, CallAhead
from hermes.services.direct_delivery import DirectAgent
from tests.services.test_direct_delivery import SECOND
from tests.services.test_direct_delivery import DirectCase as _DirectCase
from tests.support.outgoing import Names, Reader
from tests.support.smtp_peer import DROP, HANG, Script


class MovedClock:
    """The reactor, with a time that a test can move."""

    def __init__(self, network: object) -> None:
        self._network = network
        self.ahead = 0.0

    def seconds(self) -> float:
        """Later than it is."""
        return reactor.seconds() + self.ahead  # type: ignore[attr-defined, no-any-return]

    def __getattr__(self, name: str) -> object:
        return getattr(self._network, name)


class SilentNames(Names):
    """Nothing is heard of any address."""

    async def addresses(self, host: str) -> Answer[str]:
        """Until whoever waits has had enough."""
        return await Deferred()


class CallAheadTests(_DirectCase):
    """Questions to servers on this machine."""

    async def setUp(self) -> None:
        """Nobody has been asked."""
        await super().setUp()
        self.asking: list[CallAhead] = []

    async def tearDown(self) -> None:
        """Nothing stays open."""
        for each in self.asking:
            await each.stop()
        await super().tearDown()

    def call_ahead(self, agent: DirectAgent | None = None) -> CallAhead:
        """What asks."""
        self.clock = MovedClock(reactor)
        asking = CallAhead(self.clock, agent or self.agent())
        self.asking.append(asking)
        return asking

    async def result(self, asking: CallAhead, address: str = "anna@example.com") -> Result:
        """What comes of a question."""
        return (await asking.ask(address)).result

    async def test_exists(self) -> None:
        """The null sender and the recipient are said, and no message is begun."""
        for extensions in (["PIPELINING"], [], ["SIZE 1000"]):
            peer = self.peer(Script(extensions=extensions))
            asking = self.call_ahead()
            self.assertTrue(verifyObject(ICallAhead, asking))
            self.assertIs(await self.result(asking), Result.RELAYED)
            self.assertEqual(peer.lines[-2:], ["MAIL FROM:<>", "RCPT TO:<anna@example.com>"])
            self.assertEqual(peer.messages, [])

    async def test_does_not_exist(self) -> None:
        """A refusal of the recipient is one; its words are kept."""
        for extensions in (["PIPELINING"], []):
            self.peer(Script(extensions=extensions, replies={"RCPT": "550 5.1.1 no such user"}))
            outcome = await self.call_ahead().ask("anna@example.com")
            self.assertEqual((outcome.result, outcome.status), (Result.FAILED, "5.1.1"))
            self.assertIn("no such user", outcome.reason)

    async def test_remembered(self) -> None:
        """The same question is asked once, until the answer is too old; a local part in other letters is another one."""
        for reply, seconds in (("250 ok", ACCEPTED_SECONDS), ("550 no", REFUSED_SECONDS)):
            peer = self.peer(Script(replies={"RCPT": reply}))
            asking = self.call_ahead()
            for address in ("anna@example.com", "anna@EXAMPLE.com", "anna@example.com"):
                await self.result(asking, address)
            self.assertEqual(peer.verbs.count("RCPT"), 1)
            self.clock.ahead = seconds - 10
            await self.result(asking)
            self.assertEqual(peer.verbs.count("RCPT"), 1)
            self.clock.ahead = seconds + 1
            await self.result(asking)
            self.assertEqual(peer.verbs.count("RCPT"), 2)
            await self.result(asking, "Anna@example.com")
            self.assertEqual(peer.verbs.count("RCPT"), 3)

    async def test_one_connection(self) -> None:
        """Questions about one domain share a connection, one after the other, also when they come at once."""
        peer = self.peer(Script(replies={"RCPT TO:<bob@example.com>": "550 no"}))
        asking = self.call_ahead()
        names = ("anna", "bob", "carl", "anna")
        questions = [Deferred.fromCoroutine(self.result(asking, f"{name}@example.com")) for name in names]
        self.assertEqual(
            await gatherResults(questions), [Result.RELAYED, Result.FAILED, Result.RELAYED, Result.RELAYED]
        )
        self.assertEqual((peer.connections, peer.verbs.count("RCPT")), (1, 3))
        self.assertEqual(len(asking.describe()), 1)

    async def test_connection_that_was_closed(self) -> None:
        """A server that has closed a kept connection is asked on a new one, and is not taken for being down."""
        peer = self.peer(Script(replies={"MAIL": ["250 ok", DROP, "250 ok"]}))
        asking = self.call_ahead()
        self.assertIs(await self.result(asking), Result.RELAYED)
        self.assertIs(await self.result(asking, "bob@example.com"), Result.RELAYED)
        self.assertEqual(peer.connections, 2)

    async def test_cannot_tell(self) -> None:
        """What is not about the recipient is no answer, and neither is "later"."""
        for replies in (
            {"GREETING": "554 go away"},
            {"GREETING": DROP},
            {"EHLO": "550 no", "HELO": "550 no"},
            {"MAIL": "550 5.7.1 no reports here"},
            {"MAIL": "451 later"},
            {"RCPT": "450 4.2.0 greylisted"},
            {"RCPT": "421 bye"},
            {"RCPT": DROP},
        ):
            self.peer(Script(replies=dict(replies)))
            self.assertIs(await self.result(self.call_ahead()), Result.DEFERRED, replies)

    async def test_no_such_domain(self) -> None:
        """What is wrong with a domain is not its recipients' fault."""
        for domain in ("nowhere.example.com", "[192.0.2.300]"):
            self.assertIs(await self.result(self.call_ahead(), f"anna@{domain}"), Result.DEFERRED)

    async def test_next_server(self) -> None:
        """Another server of the domain is asked when the first does not answer."""
        self.peer(Script(replies={"RCPT": DROP}))
        second = self.peer(address=SECOND)
        self.assertIs(await self.result(self.call_ahead()), Result.RELAYED)
        self.assertEqual(second.connections, 1)

    async def test_down(self) -> None:
        """A server that is down is asked again after a minute, not for every recipient."""
        peer = self.peer(Script(replies={"GREETING": ["421 busy", "220 back"]}))
        asking = self.call_ahead()
        self.assertEqual([await self.result(asking, f"{n}@example.com") for n in range(3)], [Result.DEFERRED] * 3)
        self.assertEqual(peer.connections, 1)
        self.clock.ahead = DOWN_SECONDS + 1
        self.assertIs(await self.result(asking), Result.RELAYED)

    async def test_greylisting_is_not_down(self) -> None:
        """Who puts one recipient off may know the next."""
        self.peer(Script(replies={"RCPT TO:<anna@example.com>": "450 4.2.0 later"}))
        asking = self.call_ahead()
        self.assertIs(await self.result(asking), Result.DEFERRED)
        self.assertIs(await self.result(asking, "bob@example.com"), Result.RELAYED)

    async def test_silence(self) -> None:
        """A client is not kept waiting for a server that says nothing."""
        self.patch(call_ahead, "ASK_SECONDS", 0.05)
        self.peer(Script(replies={"RCPT": HANG}))
        asking = self.call_ahead()
        outcome = await asking.ask("anna@example.com")
        self.assertEqual((outcome.result, asking.describe()), (Result.DEFERRED, []))
        self.assertIn("took more than", outcome.reason)

    async def test_silent_name_server(self) -> None:
        """Neither is it for a name server that says nothing of the servers' addresses."""
        self.patch(call_ahead, "ASK_SECONDS", 0.05)
        settings = DirectSettings(enabled=True)
        agent = DirectAgent(self.network, settings, "client.example.org", Reader(), SilentNames(**{"example.com": ()}))
        outcome = await self.call_ahead(agent).ask("anna@example.com")
        self.assertIs(outcome.result, Result.DEFERRED)
        self.assertIn("took more than", outcome.reason)

    async def test_bounded(self) -> None:
        """Neither questions that wait nor answers that are remembered grow without bound."""
        self.patch(call_ahead, "MAX_WAITING", 2)
        self.patch(call_ahead, "MAX_ANSWERS", 3)
        peer = self.peer()
        asking = self.call_ahead()
        questions = [Deferred.fromCoroutine(self.result(asking, f"{n}@example.com")) for n in range(5)]
        self.assertEqual(await gatherResults(questions), [Result.RELAYED] * 3 + [Result.DEFERRED] * 2)
        self.assertEqual(asking._locks, {})
        for n in range(10):
            await self.result(asking, f"{n}@example.com")
        self.assertEqual(len(asking._answers), 3)
        self.assertLessEqual(peer.verbs.count("RCPT"), 13)

    async def test_named_host(self) -> None:
        """Where the host is named no MX record is asked for, and the port is its own."""
        for host in ("mx2.example.com", SECOND):
            second = self.peer(address=SECOND)
            agent = self.agent(named={"private.test": (host, 2525)})
            self.assertIs(await self.result(self.call_ahead(agent), "anna@Private.test"), Result.RELAYED)
            targets = await agent.targets("private.test", Envelope("", ()))
            assert not isinstance(targets, Outcome)
            self.assertEqual([(each.address, each.port) for each in targets], [(SECOND, 2525)])
            self.assertEqual(second.connections, 1)

    async def test_ourselves(self) -> None:
        """A domain whose MX records lead back to us cannot be asked about."""
        self.peer(name="client.example.org")
        self.assertIs(await self.result(self.call_ahead()), Result.DEFERRED)


# The class they are made of has no tests of its own.
del _DirectCase
