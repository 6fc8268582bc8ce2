"""The smart host agent against a server on this machine that does what each test tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from hermes.config.sections.smarthost import SmarthostSettings
from hermes.core.message import Content
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import IDeliveryAgent
from hermes.net import outgoing
from hermes.services.smarthost import SmarthostAgent
from tests.support.certificates import make_certificate
from tests.support.outgoing import Names, Network, Reader, message
from tests.support.smtp_peer import DROP, HANG, Script, SMTPPeer

HOST = "smtp.example.net"


class SmarthostCase(TestCase):
    """A peer, and an agent made for it on demand."""

    def setUp(self) -> None:
        """Nothing runs yet."""
        self.agents: list[SmarthostAgent] = []
        self.peers: list[SMTPPeer] = []
        self.names = Names(**{HOST: ("127.0.0.1",)})

    async def tearDown(self) -> None:
        """Nothing stays open."""
        for agent in self.agents:
            await agent.stop()
        for peer in self.peers:
            await peer.stop()

    def peer(self, script: Script | None = None, **options: Any) -> SMTPPeer:
        """A peer that listens."""
        peer = SMTPPeer(script, **options)
        peer.start(reactor)
        self.peers.append(peer)
        return peer

    def agent(
        self, peer: SMTPPeer, reader: Reader | None = None, name: str = "default", **settings: Any
    ) -> SmarthostAgent:
        """An agent that sends to it."""
        settings = {"host": HOST, "port": peer.port, "tls": "none", **settings}
        agent = SmarthostAgent(
            reactor, SmarthostSettings(**settings), "client.example.org", reader or Reader(), self.names, name=name
        )
        self.agents.append(agent)
        return agent

    def certificate(self, name: str = HOST, days: int = 30) -> tuple[str, str]:
        """A self-signed certificate and its key."""
        return make_certificate(Path(self.mktemp()), name, days)

    async def send(self, agent: SmarthostAgent, *addresses: str, **options: Any) -> list[Outcome]:
        """Deliver a message to these addresses, or to a@example.com."""
        sending, recipients = message(*(addresses or ("a@example.com",)), **options)
        return await agent.deliver("smarthost", sending, recipients)


class DeliveryTests(SmarthostCase):
    """Messages that go through."""

    async def test_interface(self) -> None:
        """The agent is what the queue wants."""
        self.assertTrue(verifyObject(IDeliveryAgent, self.agent(self.peer())))

    async def test_relayed(self) -> None:
        """The message arrives whole, without Return-Path, and the outcome names host, address and the server's words."""
        peer = self.peer()
        (outcome,) = await self.send(self.agent(peer))
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual(str(outcome.reply), "250 2.0.0 queued")
        self.assertEqual((outcome.host, outcome.address, outcome.tls), (HOST, f"127.0.0.1:{peer.port}", None))
        (arrived,) = peer.messages
        self.assertEqual(arrived.data, b"Subject: test\r\n\r\n.hidden dot\r\nend\r\n")
        self.assertEqual(arrived.mail, f"MAIL FROM:<sender@example.org> SIZE={len(arrived.data)}")
        self.assertEqual(arrived.recipients, ["RCPT TO:<a@example.com>"])
        self.assertEqual(peer.lines[0], "EHLO client.example.org")

    async def test_binary(self) -> None:
        """A binary message goes as it is to a server that takes it."""
        peer = self.peer(Script(extensions=["CHUNKING", "BINARYMIME"]))
        data = bytes(range(256)) * 3
        (outcome,) = await self.send(self.agent(peer), data=data, binary=True)
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual(peer.messages[0].data, data)

    async def test_empty(self) -> None:
        """A message without octets is a message."""
        peer = self.peer()
        (outcome,) = await self.send(self.agent(peer), data=b"")
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual(peer.messages[0].data, b"")

    async def test_large(self) -> None:
        """A message larger than any buffer arrives whole: writing waits for reading."""
        peer = self.peer()
        data = b"0123456789abcdef" * 60 + b"\n"
        (outcome,) = await self.send(self.agent(peer, Reader(65536)), data=data * 4000)
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual(peer.messages[0].data, data.replace(b"\n", b"\r\n") * 4000)

    async def test_connection_is_kept(self) -> None:
        """The next message uses the same connection, with RSET before it."""
        peer = self.peer()
        agent = self.agent(peer)
        for _ in range(3):
            (outcome,) = await self.send(agent)
            self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual((peer.connections, len(peer.messages)), (1, 3))
        self.assertEqual(peer.verbs.count("RSET"), 2)
        (connection,) = agent.describe()
        self.assertEqual(
            (connection["host"], connection["state"], connection["messages"], connection["tls"]),
            (HOST, "idle", 3, None),
        )
        await agent.stop()
        self.assertEqual(peer.verbs[-1], "QUIT")
        self.assertEqual(agent.describe(), [])

    async def test_kept_connection_that_was_closed(self) -> None:
        """When the server has ended a kept connection, the next message opens another one."""
        peer = self.peer()
        agent = self.agent(peer)
        await self.send(agent)
        (connection,) = peer.open
        connection.cut()
        (outcome,) = await self.send(agent)
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual(peer.connections, 2)

    async def test_kept_connection_that_is_refused(self) -> None:
        """A 421 to the next message on a kept connection is no reason to wait: it goes by a new one."""
        for replies in ({"RSET": ["421 idle"]}, {"MAIL": ["250 ok", "421 too many", "250 ok"]}, {"RSET": [DROP]}):
            peer = self.peer(Script(replies=dict(replies)))
            agent = self.agent(peer)
            await self.send(agent)
            (outcome,) = await self.send(agent)
            self.assertIs(outcome.result, Result.RELAYED)
            self.assertEqual((peer.connections, len(peer.messages)), (2, 2))

    async def test_many_recipients(self) -> None:
        """More recipients than a transaction takes go in several, on one connection (RFC 5321 4.5.3.1.8)."""
        addresses = [f"r{number}@example.com" for number in range(201)]
        peer = self.peer()
        outcomes = await self.send(self.agent(peer), *addresses)
        self.assertEqual({outcome.result for outcome in outcomes}, {Result.RELAYED})
        self.assertEqual([len(arrived.recipients) for arrived in peer.messages], [100, 100, 1])
        self.assertEqual(peer.connections, 1)

    async def test_announced_limits(self) -> None:
        """Limits of recipients and domains in a transaction, and of messages on a connection, are kept (RFC 9422)."""
        peer = self.peer(Script(extensions=["LIMITS RCPTMAX=2 RCPTDOMAINMAX=1 MAILMAX=2"]))
        outcomes = await self.send(
            self.agent(peer), "a@x.test", "b@y.test", "c@x.test", "d@x.test", "e@y.test", "f@z.test"
        )
        self.assertEqual({outcome.result for outcome in outcomes}, {Result.RELAYED})
        self.assertEqual(
            [[line[9:-1] for line in arrived.recipients] for arrived in peer.messages],
            [["a@x.test", "c@x.test"], ["b@y.test", "e@y.test"], ["d@x.test"], ["f@z.test"]],
        )
        self.assertEqual(peer.connections, 2)

    async def test_too_many_for_the_server(self) -> None:
        """Recipients that the server does not want in the same transaction follow in the next (RFC 5321 4.5.3.1.10)."""
        peer = self.peer(Script(replies={"RCPT TO:<b@example.com>": ["452 4.5.3 enough", "250 ok"]}))
        outcomes = await self.send(self.agent(peer), "a@example.com", "b@example.com")
        self.assertEqual([outcome.result for outcome in outcomes], [Result.RELAYED] * 2)
        self.assertEqual(len(peer.messages), 2)

    async def test_outcome_for_each(self) -> None:
        """Each recipient has the answer that it got, in order."""
        peer = self.peer(
            Script(replies={"RCPT TO:<b@example.com>": "550 5.1.1 no", "RCPT TO:<c@example.com>": "450 4.2.1 busy"})
        )
        outcomes = await self.send(self.agent(peer), "a@example.com", "b@example.com", "c@example.com")
        self.assertEqual(
            [(outcome.result, outcome.status) for outcome in outcomes],
            [(Result.RELAYED, "2.0.0"), (Result.FAILED, "5.1.1"), (Result.DEFERRED, "4.2.1")],
        )

    async def test_connections_at_once(self) -> None:
        """No more connections are opened than the settings allow; the others wait for their turn."""
        peer = self.peer(Script(replies={".": HANG}))
        agent = self.agent(peer, connections=2)
        arrivals = [peer.seen(".") for _ in range(2)]
        sending = [Deferred.fromCoroutine(self.send(agent)) for _ in range(4)]
        await gatherResults(arrivals)
        self.assertEqual(peer.connections, 2)
        self.assertEqual({entry["state"] for entry in agent.describe()}, {"waiting for the message"})
        peer.script.replies.clear()
        for connection in list(peer.open):
            connection.say("250 ok")
        results = await gatherResults(sending)
        self.assertEqual({outcome.result for (outcome,) in results}, {Result.RELAYED})
        self.assertEqual(peer.connections, 2)


class TLSTests(SmarthostCase):
    """TLS by STARTTLS and from the first octet."""

    async def test_starttls(self) -> None:
        """STARTTLS with a certificate that is trusted by name; the outcome says how it was encrypted."""
        certificate = self.certificate()
        peer = self.peer(Script(extensions=["STARTTLS"], tls_extensions=["PIPELINING"], certificate=certificate))
        (outcome,) = await self.send(self.agent(peer, tls="starttls", authority=certificate[0]))
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertTrue(outcome.tls.startswith("TLSv1."), outcome.tls)
        self.assertEqual(peer.verbs[:3], ["EHLO", "STARTTLS", "EHLO"])

    async def test_implicit(self) -> None:
        """TLS before the greeting."""
        certificate = self.certificate()
        peer = self.peer(Script(implicit=True, certificate=certificate))
        agent = self.agent(peer, tls="implicit", authority=certificate[0])
        for _ in range(2):
            (outcome,) = await self.send(agent)
            self.assertIs(outcome.result, Result.RELAYED)
            self.assertIn("TLSv1.", outcome.tls)
        self.assertEqual(peer.connections, 1)

    async def test_large_over_tls(self) -> None:
        """A large message is sent whole through TLS too."""
        certificate = self.certificate()
        peer = self.peer(Script(implicit=True, certificate=certificate))
        data = b"0123456789abcdef" * 60 + b"\n"
        (outcome,) = await self.send(
            self.agent(peer, Reader(65536), tls="implicit", authority=certificate[0]), data=data * 1000
        )
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual(len(peer.messages[0].data), (len(data) + 1) * 1000)

    async def test_not_trusted(self) -> None:
        """A certificate that is not trusted, expired, or for somebody else delays the mail, and the reason says why."""
        own = self.certificate()
        other = self.certificate("other.example.net")
        expired = self.certificate(days=-1)
        for tls in ("starttls", "implicit"):
            for certificate, authority, words in (
                (own, "", "self-signed"),
                (other, other[0], "it is for other.example.net"),
                (expired, expired[0], "expired"),
            ):
                peer = self.peer(Script(extensions=["STARTTLS"], certificate=certificate, implicit=tls == "implicit"))
                (outcome,) = await self.send(self.agent(peer, tls=tls, authority=authority))
                self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.7.5"))
                self.assertIn(f"the certificate for {HOST} is not trusted: ", outcome.reason)
                self.assertIn(words, outcome.reason)
                self.assertNotIn("MAIL", peer.verbs)

    async def test_address_as_host(self) -> None:
        """A smart host given by its address needs a certificate for that address."""
        certificate = self.certificate()
        self.names.hosts["127.0.0.1"] = ("127.0.0.1",)
        peer = self.peer(Script(implicit=True, certificate=certificate))
        agent = self.agent(peer, host="127.0.0.1", tls="implicit", authority=certificate[0])
        (outcome,) = await self.send(agent)
        self.assertEqual((outcome.status, outcome.result), ("4.7.5", Result.DEFERRED))

    async def test_not_verified(self) -> None:
        """When the settings say so, any certificate will do."""
        peer = self.peer(Script(extensions=["STARTTLS"], certificate=self.certificate("other.example.net", -1)))
        (outcome,) = await self.send(self.agent(peer, tls="starttls", verify=False))
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertIsNotNone(outcome.tls)

    async def test_authority_that_is_missing(self) -> None:
        """A file of authorities that is not there is an error at the start."""
        for tls in ("starttls", "implicit"):
            error = self.assertRaises(ValueError, self.agent, self.peer(), tls=tls, authority="/nonexistent.pem")
            self.assertEqual(str(error), "[smarthost] authority: /nonexistent.pem: No such file or directory")
        for unused in ({"tls": "none"}, {"tls": "starttls", "host": ""}):
            self.agent(self.peer(), authority="/nonexistent.pem", **unused)

    async def test_required(self) -> None:
        """STARTTLS is required, not tried: nothing is sent without it."""
        for script, status in (
            (Script(extensions=["PIPELINING"]), "4.7.4"),
            (Script(extensions=["STARTTLS"], replies={"STARTTLS": "454 4.3.0 not now"}), "4.7.0"),
            (Script(extensions=["STARTTLS"], replies={"STARTTLS": "501 no"}), "4.7.0"),
            (Script(extensions=["STARTTLS"], replies={"STARTTLS": DROP}), "4.4.2"),
            (Script(extensions=["STARTTLS"], break_tls=True), "4.7.0"),
        ):
            peer = self.peer(script)
            (outcome,) = await self.send(self.agent(peer, tls="starttls", verify=False))
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, status))
            self.assertNotIn("MAIL", peer.verbs)

    async def test_nothing_survives_starttls(self) -> None:
        """What is said in the clear behind the 220 is not believed inside TLS."""
        certificate = self.certificate()
        script = Script(extensions=["STARTTLS"], tls_extensions=["HELP"], certificate=certificate)
        script.replies["STARTTLS"] = "220 go ahead\r\n250-evil.example\r\n250 SIZE 1"
        peer = self.peer(script)
        (outcome,) = await self.send(self.agent(peer, tls="starttls", verify=False))
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertEqual(peer.messages[0].mail, "MAIL FROM:<sender@example.org>")


class LoginTests(SmarthostCase):
    """AUTH, in the order of safety."""

    CREDENTIALS = {"username": "tim", "password": "tanstaaftanstaaf"}

    async def test_mechanisms(self) -> None:
        """Each mechanism logs in; the safest that is offered is used."""
        certificate = self.certificate()
        for offered, command in (
            ("PLAIN LOGIN CRAM-MD5", "AUTH CRAM-MD5"),
            ("LOGIN PLAIN", "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm"),
            ("LOGIN", "AUTH LOGIN"),
        ):
            peer = self.peer(Script(implicit=True, certificate=certificate, extensions=[f"AUTH {offered}"]))
            (outcome,) = await self.send(self.agent(peer, tls="implicit", verify=False, **self.CREDENTIALS))
            self.assertIs(outcome.result, Result.RELAYED)
            self.assertEqual(peer.lines[1], command)

    async def test_restricted(self) -> None:
        """What `auth` does not name is not used, however safe; and nothing is said to a server that offers nothing else."""
        peer = self.peer(Script(extensions=["AUTH PLAIN CRAM-MD5"]))
        (outcome,) = await self.send(self.agent(peer, auth=("Plain", "login"), **self.CREDENTIALS))
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertIn("AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm", peer.lines)
        peer = self.peer(Script(extensions=["AUTH CRAM-MD5"]))
        (outcome,) = await self.send(self.agent(peer, auth=("plain", "login"), **self.CREDENTIALS))
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.7.4"))
        self.assertIn("(offered: CRAM-MD5, allowed: PLAIN LOGIN)", outcome.reason)
        self.assertNotIn("AUTH", peer.verbs)

    async def test_server_that_only_plays_scram(self) -> None:
        """A server that lets us in by SCRAM without its proof gets no mail, and no other mechanism is tried with it."""
        peer = self.peer(Script(extensions=["AUTH SCRAM-SHA-256 PLAIN"]))
        (outcome,) = await self.send(self.agent(peer, **self.CREDENTIALS))
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.7.0"))
        self.assertIn("without proving", outcome.reason)
        self.assertEqual(peer.verbs, ["EHLO", "AUTH"])

    async def test_loopback_is_private(self) -> None:
        """To this machine a password may go without TLS: nobody can listen."""
        peer = self.peer(Script(extensions=["AUTH PLAIN"]))
        (outcome,) = await self.send(self.agent(peer, **self.CREDENTIALS))
        self.assertIs(outcome.result, Result.RELAYED)

    async def test_never_in_the_clear(self) -> None:
        """To anywhere else a password is not sent without TLS; CRAM-MD5, which does not show it, is."""
        self.patch(outgoing, "is_loopback", lambda address: False)
        peer = self.peer(Script(extensions=["AUTH PLAIN LOGIN"]))
        (outcome,) = await self.send(self.agent(peer, **self.CREDENTIALS))
        self.assertIs(outcome.result, Result.DEFERRED)
        self.assertIn("safe without TLS", outcome.reason)
        self.assertNotIn("AUTH", peer.verbs)
        peer = self.peer(Script(extensions=["AUTH PLAIN LOGIN CRAM-MD5"]))
        (outcome,) = await self.send(self.agent(peer, **self.CREDENTIALS))
        self.assertIs(outcome.result, Result.RELAYED)
        self.assertIn("AUTH CRAM-MD5", peer.lines)

    async def test_nothing_offered(self) -> None:
        """A server without a login that we know delays the mail."""
        peer = self.peer(Script(extensions=["AUTH GSSAPI"]))
        (outcome,) = await self.send(self.agent(peer, **self.CREDENTIALS))
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.7.4"))
        self.assertIn("GSSAPI", outcome.reason)

    async def test_wrong_password(self) -> None:
        """A wrong password delays the mail with the server's words, and is not tried again at once."""
        peer = self.peer(Script(extensions=["AUTH PLAIN"], replies={"AUTH": "535 5.7.8 wrong, wrong"}))
        agent = self.agent(peer, **self.CREDENTIALS)
        for _ in range(2):
            (outcome,) = await self.send(agent)
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.7.8"))
            self.assertIn("535 5.7.8 wrong, wrong", outcome.reason)
        self.assertEqual((peer.connections, peer.verbs.count("AUTH")), (1, 1))
        agent._login_refused_until = 0.0
        await self.send(agent)
        self.assertEqual(peer.connections, 2)

    async def test_broken_mechanism(self) -> None:
        """A mechanism that is offered but not known (504) is followed by the next one."""
        peer = self.peer(Script(extensions=["AUTH PLAIN CRAM-MD5"], replies={"AUTH CRAM-MD5": "504 5.5.4 what?"}))
        (outcome,) = await self.send(self.agent(peer, **self.CREDENTIALS))
        self.assertIs(outcome.result, Result.RELAYED)
        peer = self.peer(Script(extensions=["AUTH PLAIN"], replies={"AUTH": "504 5.5.4 what?"}))
        (outcome,) = await self.send(self.agent(peer, **self.CREDENTIALS))
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.5.4"))

    async def test_login_required(self) -> None:
        """Refusals that are about a missing login delay the mail: the configuration can be mended."""
        for reply in ("530 5.7.0 authentication required", "538 5.7.11 encryption needed"):
            peer = self.peer(Script(replies={"MAIL": reply}))
            (outcome,) = await self.send(self.agent(peer))
            self.assertIs(outcome.result, Result.DEFERRED)
            self.assertTrue(outcome.status.startswith("4.7."))
            self.assertIn(reply, outcome.reason)


class TroubleTests(SmarthostCase):
    """Servers that refuse, drop, or cannot be reached."""

    async def test_drops_at_every_step(self) -> None:
        """A connection that is lost delays the mail; after the final dot the reason says that it may have arrived."""
        for step in ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."):
            for extensions in ([], ["PIPELINING"]):
                peer = self.peer(Script(extensions=extensions, replies={step: DROP}))
                (outcome,) = await self.send(self.agent(peer))
                self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.4.2"), step)
                self.assertEqual("may have been delivered" in outcome.reason, step == ".", step)
                self.assertEqual(peer.connections, 1)

    async def test_refuses_at_every_step(self) -> None:
        """4xx delays and 5xx refuses, but a refused connection or EHLO only delays: it is not about the message."""
        for step in ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."):
            for code in ("451 4.3.0", "554 5.7.1"):
                script = Script(replies={step: f"{code} no"})
                script.replies.setdefault("HELO", f"{code} no")
                (outcome,) = await self.send(self.agent(self.peer(script)))
                failed = code.startswith("5") and step not in ("GREETING", "EHLO")
                self.assertIs(outcome.result, Result.FAILED if failed else Result.DEFERRED, step)
                self.assertIn(f"{code} no", outcome.reason)
                self.assertEqual(outcome.status[1:], code[5:])

    async def test_no_more_groups(self) -> None:
        """A server that refuses for now is not asked for the other recipients; they wait with its words."""
        addresses = [f"r{number}@example.com" for number in range(101)]
        peer = self.peer(Script(replies={"MAIL": "451 4.7.1 later"}))
        outcomes = await self.send(self.agent(peer), *addresses)
        self.assertEqual({outcome.result for outcome in outcomes}, {Result.DEFERRED})
        self.assertIn("451 4.7.1 later", outcomes[100].reason)
        self.assertEqual(peer.verbs.count("MAIL"), 1)

    async def test_reason_of_those_not_reached(self) -> None:
        """Who has not had his turn reads why the server ended, and not that another recipient does not exist."""
        peer = self.peer(
            Script(
                extensions=["PIPELINING", "LIMITS RCPTMAX=2"],
                replies={"RCPT TO:<b@example.com>": "550 5.1.1 no such user", "DATA": "421 4.3.2 going down"},
            )
        )
        outcomes = await self.send(self.agent(peer), *(f"{name}@example.com" for name in "abc"))
        self.assertEqual([outcome.result for outcome in outcomes], [Result.DEFERRED, Result.FAILED, Result.DEFERRED])
        self.assertIn("took no more recipients", outcomes[2].reason)
        self.assertIn("421 4.3.2 going down", outcomes[2].reason)
        # When all of a group were refused for good there is no other word.
        peer.script.extensions = ["PIPELINING", "LIMITS RCPTMAX=1"]
        outcomes = await self.send(self.agent(peer), "b@example.com", "c@example.com")
        self.assertEqual([outcome.result for outcome in outcomes], [Result.FAILED, Result.DEFERRED])

    async def test_drops_between_groups(self) -> None:
        """When the connection ends after some recipients were served, the others are served by another one."""
        addresses = [f"r{number}@example.com" for number in range(101)]
        peer = self.peer(Script(replies={".": ["250 ok\r\n421 enough", "250 ok"]}))
        outcomes = await self.send(self.agent(peer), *addresses)
        self.assertEqual({outcome.result for outcome in outcomes}, {Result.RELAYED})
        self.assertEqual(peer.connections, 2)

    async def test_fault_between_groups(self) -> None:
        """A fault of ours after some recipients were served delays the others; those have it, and do not get it again."""

        class Breaking(Reader):
            def chunks(self, content: Content, offset: int = 0) -> AsyncIterator[bytes]:
                self._failing = self.reads > 0
                return super().chunks(content, offset)

        peer = self.peer(Script(extensions=["LIMITS RCPTMAX=1"]))
        outcomes = await self.send(self.agent(peer, Breaking()), "a@example.com", "b@example.com", "c@example.com")
        self.assertEqual([outcome.result for outcome in outcomes], [Result.RELAYED, Result.DEFERRED, Result.DEFERRED])
        self.assertEqual([outcome.status for outcome in outcomes[1:]], ["4.3.0", "4.3.0"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        # Where nothing is decided it is a fault like any other.
        with self.assertRaises(OSError):
            await self.send(self.agent(peer, Reader(failing=True)))

    async def test_stopped_between_groups(self) -> None:
        """A stop after some recipients were served undoes nothing; for the others it was no attempt."""
        replies: dict[str, str | list[str]] = {".": ["250 ok", HANG]}
        peer = self.peer(Script(extensions=["LIMITS RCPTMAX=1"], replies=replies))
        first, second = peer.seen("MAIL"), peer.seen("MAIL")
        sending = Deferred.fromCoroutine(self.send(self.agent(peer), "a@example.com", "b@example.com"))
        await first
        await second
        sending.cancel()
        outcomes = await sending
        self.assertEqual([outcome.result for outcome in outcomes], [Result.RELAYED, Result.DEFERRED])
        self.assertEqual([outcome.wait_seconds for outcome in outcomes], [None, 60.0])
        # Before anything is decided it leaves everything as it was.
        first = peer.seen("MAIL")
        sending = Deferred.fromCoroutine(self.send(self.agent(peer), "a@example.com"))
        await first
        sending.cancel()
        with self.assertRaises(CancelledError):
            await sending

    async def test_greets_and_drops(self) -> None:
        """A connection that ends right behind EHLO leaves nobody without an outcome."""
        peer = self.peer(Script(replies={"EHLO": "250 hello\r\n421 but no"}))
        (outcome,) = await self.send(self.agent(peer))
        self.assertIs(outcome.result, Result.DEFERRED)
        self.assertNotEqual(outcome.reason, "")

    async def test_not_smtp(self) -> None:
        """A server that speaks something else, or without end, delays the mail."""
        for greeting in ("HTTP/1.1 400 Bad Request", "220-x\r\n" * 5000, "220 " + "x" * 70000):
            peer = self.peer(Script(replies={"GREETING": greeting}))
            (outcome,) = await self.send(self.agent(peer))
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.5.0"))

    async def test_cannot_connect(self) -> None:
        """A port where nobody listens delays the mail, and the next address of the host is tried."""
        network = Network(reactor)
        self.names.hosts[HOST] = ("192.0.2.1", "2001:db8::2")
        agent = SmarthostAgent(
            network, SmarthostSettings(host=HOST, tls="none"), "client.example.org", Reader(), self.names
        )
        self.agents.append(agent)
        (outcome,) = await self.send(agent)
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.4.1"))
        self.assertEqual(outcome.reason, f"cannot connect to {HOST} at [2001:db8::2]:587: Connection refused")
        network.places["2001:db8::2"] = self.peer().port
        (outcome,) = await self.send(agent)
        self.assertEqual((outcome.result, outcome.address), (Result.RELAYED, "[2001:db8::2]:587"))

    async def test_failed_addresses_come_last(self) -> None:
        """An address that was not to be talked to is tried last for some minutes; a refused login is nothing like it."""
        for replies, asked in (
            (None, ["192.0.2.1", "192.0.2.2", "192.0.2.2"]),
            ({"GREETING": "421 busy"}, ["192.0.2.1", "192.0.2.2", "192.0.2.2"]),
            ({"MAIL": DROP}, ["192.0.2.1", "192.0.2.2", "192.0.2.2"]),
            ({"AUTH": "454 4.7.0 later"}, ["192.0.2.1", "192.0.2.1"]),
        ):
            self.names.hosts = {HOST: ("192.0.2.1", "192.0.2.2")}
            network = Network(reactor, **{"192.0.2.2": self.peer().port})
            login = {}
            if replies is not None:
                extensions = ["AUTH PLAIN"] if "AUTH" in replies else []
                network.places["192.0.2.1"] = self.peer(Script(replies=dict(replies), extensions=extensions)).port
                login = {"username": "tim", "password": "x"} if extensions else {}
            self.patch(outgoing, "is_loopback", lambda address: True)
            settings = SmarthostSettings(host=HOST, tls="none", **login)
            agent = SmarthostAgent(network, settings, "client.example.org", Reader(), self.names)
            self.agents.append(agent)
            for _ in range(2):
                await self.send(agent)
                for peer in self.peers:
                    for connection in list(peer.open):
                        connection.cut()
            self.assertEqual(network.asked, asked, replies)

    async def test_cannot_be_found(self) -> None:
        """A name that is not there, or a name server that does not answer, delays the mail."""
        agent = self.agent(self.peer(), host="nowhere.example.net")
        for hosts in ({}, {"nowhere.example.net": None}):
            self.names.hosts = hosts
            (outcome,) = await self.send(agent)
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.4.3"))
            self.assertIn("nowhere.example.net", outcome.reason)

    async def test_disk_fault(self) -> None:
        """When our own disk fails in the middle, the message is not ended as if it were whole."""
        peer = self.peer()
        agent = self.agent(peer, Reader(failing=True))
        await self.assertFailure(Deferred.fromCoroutine(self.send(agent)), OSError)
        self.assertEqual(peer.messages, [])
        self.assertEqual(agent.describe(), [])

    async def test_given_up(self) -> None:
        """A delivery that is cancelled cuts its connection."""
        peer = self.peer(Script(replies={"MAIL": HANG}))
        agent = self.agent(peer)
        arrived = peer.seen("MAIL")
        sending = Deferred.fromCoroutine(self.send(agent))
        await arrived
        sending.cancel()
        await self.assertFailure(sending, Exception)
        self.assertEqual(agent.describe(), [])

    async def test_given_up_while_opening(self) -> None:
        """So does one that is cancelled before the greeting."""
        peer = self.peer(Script(replies={"EHLO": HANG}))
        agent = self.agent(peer)
        arrived = peer.seen("EHLO")
        sending = Deferred.fromCoroutine(self.send(agent))
        await arrived
        sending.cancel()
        await self.assertFailure(sending, Exception)

    async def test_refused_while_sending(self) -> None:
        """A server that refuses the message before it is whole is believed, and the rest is not sent."""
        peer = self.peer(Script(replies={"DATA": "354 go ahead\r\n552 5.3.4 too big after all"}))
        (outcome,) = await self.send(self.agent(peer), data=b"x" * 100 + b"\n")
        self.assertEqual((outcome.result, outcome.status), (Result.FAILED, "5.3.4"))
        self.assertEqual(peer.messages, [])
