"""
How mail is protected on its way: the table of destinations, DANE, MTA-STS and REQUIRETLS, against servers on this machine.

Whatever a server, or somebody in between, does: no message is sent in the clear, or to somebody else, when a policy says
otherwise.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet import reactor

from hermes.config.schema import DirectSettings
from hermes.config.sections.destination import DestinationSettings
from hermes.core.envelope import TLSNeed
from hermes.core.fetched import Fetched
from hermes.core.outcome import Outcome, Result
from hermes.core.tls_security import TLSA, Level
from hermes.interfaces import TooBusyError, UnavailableError
from hermes.net.client_tls import verifying_context
from hermes.net.resolver import Resolver
from hermes.services.direct_delivery import DirectAgent
from hermes.services.mta_sts import Kept, STSPolicies
from hermes.services.protection import Protection, Table
from tests.services.test_direct_delivery import SECOND, DirectCase
from tests.support.certificates import make_certificate, make_chain
from tests.support.dns_server import SERVFAIL, mx, tlsa, txt
from tests.support.outgoing import Reader, message
from tests.support.smtp_peer import DROP, Script, SMTPPeer


class Pages:
    """A fetcher of pages that are known: by URL the answer, or what is raised."""

    def __init__(self) -> None:
        self.pages: dict[str, Fetched | Exception] = {}
        self.asked: list[str] = []

    async def fetch(self, url: str, headers: Any, body: bytes | None = None) -> Fetched:
        """The page."""
        self.asked.append(url)
        page = self.pages.get(url, UnavailableError("Connection refused"))
        if isinstance(page, Exception):
            raise page
        return page


class MemoryStore:
    """Policies in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}

    async def policy(self, domain: str) -> Kept | None:
        """One."""
        return self.kept.get(domain)

    async def keep(self, kept: Kept) -> None:
        """Keep one."""
        self.kept[kept.domain] = kept


class ProtectionCase(DirectCase):
    """One exchanger with a certificate of an authority of its own, whose files are ``chain``, ``key`` and ``authority``."""

    async def setUp(self) -> None:
        """The zone has one exchanger."""
        await super().setUp()
        self.server.zone["example.com"] = self.server.zone["example.com"][:1]
        self.chain, self.key, self.authority = make_chain(Path(self.mktemp()), "mx1.example.com")
        self.pages, self.store = Pages(), MemoryStore()
        self.time = 1_800_000_000.0

    def tls_peer(self, *offers: str, certificate: tuple[str, str] | None = None, **replies: Any) -> SMTPPeer:
        """A peer with STARTTLS; it offers these inside TLS."""
        script = Script(
            extensions=["STARTTLS"],
            tls_extensions=["PIPELINING", *offers],
            certificate=certificate or (self.chain, self.key),
            replies=replies,
        )
        return self.peer(script)

    def guarded(self, trusts: bool = True, destination: dict[str, Any] | None = None, **settings: Any) -> DirectAgent:
        """An agent that trusts the authority, with MTA-STS, and one section of the table for example.com."""
        direct = DirectSettings(**{"enabled": True, **settings})
        resolver = Resolver(reactor, [self.server.address], trusted=True)
        sts = STSPolicies(lambda: resolver, self.pages, self.store, lambda: self.time)
        table = (
            {} if destination is None else {"one": DestinationSettings(**{"domains": ("example.com",), **destination})}
        )
        agent = DirectAgent(
            self.network,
            direct,
            "client.example.org",
            Reader(),
            resolver,
            dice=random.Random(1),
            protection=Protection(direct, table, resolver, sts),
        )
        agent._verifying = verifying_context(self.authority if trusts else self.certificate()[0])
        self.agents.append(agent)
        return agent

    def certificate(self, name: str = "other.example.net", days: int = 30) -> tuple[str, str]:
        """A self-signed certificate."""
        return make_certificate(Path(self.mktemp()), name, days)

    async def deliver(self, agent: DirectAgent, **envelope: Any) -> Outcome:
        """Send one message."""
        sending, recipients = message("anna@example.com", **envelope)
        (outcome,) = await agent.deliver("example.com", sending, recipients)
        return outcome

    def not_sent(self, outcome: Outcome, result: Result, status: str, *words: str) -> None:
        """The message has not gone out, and the outcome says why."""
        self.assertEqual((outcome.result, outcome.status), (result, status), outcome.reason)
        for word in words:
            self.assertIn(word, outcome.reason)
        for peer in self.peers:
            self.assertEqual(peer.messages, [])
            self.assertFalse([line for line in peer.lines if line.startswith(("MAIL", "RCPT"))], peer.lines)


class TableTests(ProtectionCase):
    """[destination:NAME] asks for more, or for less."""

    def test_rules(self) -> None:
        """The domain itself, then the nearest above it, then all."""
        table = Table(
            {
                "a": DestinationSettings(domains=("Example.com",), tls="none"),
                "b": DestinationSettings(domains=("*.example.com",), tls="required"),
                "c": DestinationSettings(domains=("*.sub.example.com",), tls="dane"),
                "d": DestinationSettings(domains=("*",), tls="verified"),
            }
        )
        for domain, level in (
            ("EXAMPLE.com.", Level.NONE),
            ("x.example.com", Level.ENCRYPTED),
            ("x.y.example.com", Level.ENCRYPTED),
            ("x.sub.example.com", Level.DANE),
            ("example.net", Level.VERIFIED),
            ("com", Level.VERIFIED),
        ):
            self.assertEqual(table.rule(domain).level, level, domain)
        self.assertIsNone(Table({}).rule("example.com").level)

    async def test_required(self) -> None:
        """Without STARTTLS, with one that is refused, or one that breaks, mail waits; any certificate will do."""
        for script in (
            Script(extensions=["PIPELINING"]),
            Script(extensions=["STARTTLS"], replies={"STARTTLS": "454 4.7.0 not now"}),
            Script(extensions=["STARTTLS"], replies={"STARTTLS": DROP}),
            Script(extensions=["STARTTLS"], break_tls=True),
        ):
            peer = self.peer(script)
            outcome = await self.deliver(self.guarded(destination={"tls": "required"}))
            self.assertEqual(outcome.result, Result.DEFERRED)
            self.assertFalse([line for line in peer.lines if line.startswith("MAIL")])
        self.tls_peer(certificate=self.certificate())
        outcome = await self.deliver(self.guarded(destination={"tls": "required"}))
        self.assertEqual((outcome.result, outcome.verified), (Result.RELAYED, "none"))

    async def test_verified(self) -> None:
        """A certificate that is not for the host, or of an authority that is not trusted, keeps the mail waiting."""
        self.tls_peer()
        self.not_sent(
            await self.deliver(self.guarded(trusts=False, destination={"tls": "verified"})), Result.DEFERRED, "4.7.5"
        )
        outcome = await self.deliver(self.guarded(destination={"tls": "verified"}))
        self.assertEqual((outcome.result, outcome.verified), (Result.RELAYED, "pkix"))

    async def test_none(self) -> None:
        """Never TLS, although it is offered and a policy asks for it."""
        self.server.zone["_mta-sts.example.com"] = [txt("v=STSv1; id=1;")]
        peer = self.tls_peer()
        outcome = await self.deliver(self.guarded(destination={"tls": "none"}))
        self.assertEqual((outcome.result, outcome.tls), (Result.RELAYED, None))
        self.assertNotIn("STARTTLS", peer.verbs)
        self.assertEqual(self.pages.asked, [])

    async def test_hosts(self) -> None:
        """Only the servers that the table names, whatever the DNS says."""
        self.tls_peer()
        outcome = await self.deliver(self.guarded(destination={"hosts": ("*.example.net", "mx2.example.com")}))
        self.not_sent(outcome, Result.DEFERRED, "4.7.5", "not one of the servers that the settings allow")
        outcome = await self.deliver(self.guarded(destination={"hosts": ("*.Example.com",)}))
        self.assertEqual(outcome.result, Result.RELAYED)

    async def test_dane_wanted(self) -> None:
        """Where the table asks for DANE and the DNS has none, mail waits."""
        self.tls_peer()
        outcome = await self.deliver(self.guarded(destination={"tls": "dane"}))
        self.not_sent(outcome, Result.DEFERRED, "4.7.5", "has no TLSA records")

    async def test_trace(self) -> None:
        """What the trace tells: octets, time, how it was verified, and what the server calls it."""
        self.tls_peer(**{".": "250 2.0.0 Ok: queued as 4F2B7C00"})
        outcome = await self.deliver(self.guarded())
        self.assertEqual((outcome.verified, outcome.remote_id), ("none", "4F2B7C00"))
        self.assertGreater(outcome.octets or 0, 20)
        self.assertGreaterEqual(outcome.seconds or 0.0, 0.0)


class DANETests(ProtectionCase):
    """TLSA records that a trusted resolver has verified (RFC 7672)."""

    async def setUp(self) -> None:
        """A resolver that checks DNSSEC."""
        await super().setUp()
        self.server.secure = True
        certificates = x509.load_pem_x509_certificates(Path(self.chain).read_bytes())
        self.own, self.root = (each.public_bytes(Encoding.DER) for each in certificates)
        self.own_key, self.root_key = (
            each.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for each in certificates
        )

    def records(self, *records: tuple[int, int, int, bytes]) -> None:
        """Put them into the zone."""
        self.server.zone["_25._tcp.mx1.example.com"] = [tlsa(*each) for each in records]

    async def test_good(self) -> None:
        """The server's certificate or key, or its authority's, as a digest or whole; one good record among bad ones is enough."""
        sha256, sha512 = hashlib.sha256, hashlib.sha512
        bad = (3, 1, 1, bytes(32))
        self.tls_peer()
        for record in (
            (3, 1, 1, sha256(self.own_key).digest()),
            (3, 1, 2, sha512(self.own_key).digest()),
            (3, 0, 1, sha256(self.own).digest()),
            (3, 0, 0, self.own),
            (2, 0, 1, sha256(self.root).digest()),
            (2, 1, 1, sha256(self.root_key).digest()),
            (2, 0, 0, self.root),
        ):
            self.records(bad, record)
            outcome = await self.deliver(self.guarded(trusts=False))
            self.assertEqual((outcome.result, outcome.verified), (Result.RELAYED, "dane"), (record[:3], outcome.reason))

    async def test_bad(self) -> None:
        """When no record fits, nothing is sent, in the clear neither."""
        peer = self.tls_peer()
        foreign = x509.load_pem_x509_certificate(Path(self.certificate()[0]).read_bytes()).public_bytes(Encoding.DER)
        for record in ((3, 1, 1, bytes(32)), (2, 1, 1, bytes(32)), (2, 0, 0, foreign), (2, 0, 0, b"no certificate")):
            self.records(record)
            outcome = await self.deliver(self.guarded())
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.7.5"), outcome.reason)
        self.assertEqual((peer.messages, peer.verbs.count("MAIL")), ([], 0))

    async def test_own_needs_no_name(self) -> None:
        """A server's own certificate may be expired and for somebody else (RFC 7672 3.1.1), one of an authority may not."""
        chain, key, _ = make_chain(Path(self.mktemp()), "other.example.net", -1)
        own, root = x509.load_pem_x509_certificates(Path(chain).read_bytes())
        self.tls_peer(certificate=(chain, key))
        self.records((2, 0, 0, root.public_bytes(Encoding.DER)))
        self.not_sent(await self.deliver(self.guarded()), Result.DEFERRED, "4.7.5", "chain to the authority")
        self.records((3, 0, 0, own.public_bytes(Encoding.DER)))
        self.assertEqual((await self.deliver(self.guarded())).verified, "dane")

    async def test_authority_needs_name(self) -> None:
        """The certificate of an authority must be for the host, or for the domain (RFC 7672 3.2.3)."""
        for name, good in (("other.example.net", False), ("example.com", True)):
            chain, key, _ = make_chain(Path(self.mktemp()), name)
            root = x509.load_pem_x509_certificates(Path(chain).read_bytes())[1]
            self.tls_peer(certificate=(chain, key))
            self.records((2, 0, 0, root.public_bytes(Encoding.DER)))
            outcome = await self.deliver(self.guarded())
            self.assertEqual(outcome.result is Result.RELAYED, good, outcome.reason)

    async def test_no_way_down(self) -> None:
        """Without STARTTLS, with one that is refused, hangs up or breaks: mail waits."""
        self.records((3, 1, 1, hashlib.sha256(self.own_key).digest()))
        for script in (
            Script(extensions=[]),
            Script(extensions=["STARTTLS"], replies={"STARTTLS": "454 no"}),
            Script(extensions=["STARTTLS"], replies={"STARTTLS": DROP}),
            Script(extensions=["STARTTLS"], break_tls=True),
        ):
            self.peer(script)
            outcome = await self.deliver(self.guarded())
            self.assertEqual(outcome.result, Result.DEFERRED)
        for peer in self.peers:
            self.assertEqual(peer.verbs.count("MAIL"), 0)

    async def test_unusable(self) -> None:
        """Records of which none can be used still ask for TLS, with any certificate (RFC 7672 2.2)."""
        self.records(
            (1, 1, 1, bytes(32)), (0, 0, 1, bytes(32)), (3, 9, 1, bytes(32)), (3, 1, 1, bytes(31)), (3, 1, 0, b"")
        )
        peer = self.peer(Script(extensions=[]))
        outcome = await self.deliver(self.guarded())
        self.assertEqual((outcome.result, peer.verbs.count("MAIL")), (Result.DEFERRED, 0))
        self.tls_peer(certificate=self.certificate())
        outcome = await self.deliver(self.guarded())
        self.assertEqual((outcome.result, outcome.verified), (Result.RELAYED, "none"))

    async def test_kept_from_us(self) -> None:
        """Records that cannot be looked up are not the same as none: mail waits (RFC 7672 2.1.2)."""
        self.server.behaviors["_25._tcp.mx1.example.com"] = SERVFAIL
        self.tls_peer()
        self.not_sent(await self.deliver(self.guarded()), Result.DEFERRED, "4.4.3", "cannot be found out")

    async def test_none(self) -> None:
        """Where there are certainly none, TLS is opportunistic."""
        self.peer()
        self.assertEqual((await self.deliver(self.guarded())).result, Result.RELAYED)

    async def test_not_believed(self) -> None:
        """A name server that is not trusted, or has not checked, is not asked for them; nor where DANE is off."""
        self.records((3, 1, 1, bytes(32)))
        self.peer()
        self.server.secure = False
        self.assertEqual((await self.deliver(self.guarded())).result, Result.RELAYED)
        self.assertNotIn("TLSA", [kind for _, kind, _ in self.server.asked])
        self.server.secure = True
        self.assertEqual((await self.deliver(self.guarded(dane=False))).result, Result.RELAYED)
        self.assertNotIn("TLSA", [kind for _, kind, _ in self.server.asked])

    async def test_before_sts(self) -> None:
        """A domain with both: DANE decides (RFC 8461 2)."""
        self.records((3, 1, 1, bytes(32)))
        self.server.zone["_mta-sts.example.com"] = [txt("v=STSv1; id=1;")]
        url = "https://mta-sts.example.com/.well-known/mta-sts.txt"
        self.pages.pages[url] = Fetched(200, b"version: STSv1\nmode: enforce\nmx: mx1.example.com\nmax_age: 86400\n")
        self.tls_peer()
        self.not_sent(await self.deliver(self.guarded()), Result.DEFERRED, "4.7.5", "TLSA")

    def test_usable(self) -> None:
        """Digests have their length, and the usages of PKIX are none for SMTP."""
        self.assertTrue(TLSA(3, 1, 1, bytes(32)).usable)
        self.assertTrue(TLSA(2, 0, 0, b"x").usable)
        for odd in (TLSA(4, 1, 1, bytes(32)), TLSA(3, 2, 1, bytes(32)), TLSA(3, 1, 3, b"x"), TLSA(3, 1, 2, bytes(32))):
            self.assertFalse(odd.usable, odd)


class STSTests(ProtectionCase):
    """Policies by HTTPS (RFC 8461)."""

    def publish(self, mode: str = "enforce", host: str = "mx1.example.com", number: int = 1) -> None:
        """Publish a policy."""
        self.server.zone["_mta-sts.example.com"] = [txt(f"v=STSv1; id={number};")]
        text = f"version: STSv1\r\nmode: {mode}\r\nmx: {host}\r\nmax_age: 604800\r\n"
        self.pages.pages["https://mta-sts.example.com/.well-known/mta-sts.txt"] = Fetched(200, text.encode())

    async def test_good(self) -> None:
        """A host that the policy names, with a good certificate, gets the mail."""
        self.publish(host="*.example.com")
        self.tls_peer()
        outcome = await self.deliver(self.guarded())
        self.assertEqual((outcome.result, outcome.verified), (Result.RELAYED, "sts"))

    async def test_unasked(self) -> None:
        """Others whose servers hang do not make us send without looking: mail waits a minute, and that is no attempt."""
        self.publish()
        (url,) = self.pages.pages
        page = self.pages.pages[url]
        self.pages.pages[url] = TooBusyError("no turn within 30 seconds")
        self.tls_peer()
        agent = self.guarded()
        outcome = await self.deliver(agent)
        self.not_sent(outcome, Result.DEFERRED, "4.7.5", "could not be asked for", "no turn within 30 seconds")
        self.assertEqual(outcome.wait_seconds, 60.0)
        self.pages.pages[url] = page
        self.assertEqual((await self.deliver(agent)).verified, "sts")

    async def test_bad(self) -> None:
        """Another host, another certificate, or no TLS: mail waits."""
        self.publish(host="*.example.net")
        self.tls_peer()
        self.not_sent(
            await self.deliver(self.guarded()), Result.DEFERRED, "4.7.5", "not one of the servers in the policy"
        )
        self.store.kept.clear()
        self.publish()
        self.not_sent(await self.deliver(self.guarded(trusts=False)), Result.DEFERRED, "4.7.5", "not trusted")
        self.peer(Script(extensions=[]))
        self.not_sent(await self.deliver(self.guarded()), Result.DEFERRED, "4.7.4", "does not offer STARTTLS")

    async def test_second_host(self) -> None:
        """Of two exchangers the one that the policy names gets it, and the other one is not even connected to."""
        self.server.zone["example.com"] = [mx(10, "mx1.example.com"), mx(20, "mx2.example.com")]
        self.publish(host="mx2.example.com")
        first = self.tls_peer()
        chain, key, self.authority = make_chain(Path(self.mktemp()), "mx2.example.com")
        second = self.peer(Script(extensions=["STARTTLS"], certificate=(chain, key)), SECOND)
        outcome = await self.deliver(self.guarded())
        self.assertEqual((outcome.result, outcome.verified), (Result.RELAYED, "sts"))
        self.assertEqual((first.connections, len(second.messages)), (0, 1))

    async def test_testing(self) -> None:
        """A policy that is being tested keeps nothing from being delivered."""
        self.publish(mode="testing", host="*.example.net")
        self.peer()
        self.assertEqual((await self.deliver(self.guarded())).result, Result.RELAYED)

    async def test_off(self) -> None:
        """Where MTA-STS is off, or the table asks for less, nothing is asked for."""
        self.publish(host="*.example.net")
        self.peer()
        self.assertEqual((await self.deliver(self.guarded(mta_sts=False))).result, Result.RELAYED)
        outcome = await self.deliver(self.guarded(destination={"tls": "opportunistic"}))
        self.assertEqual(outcome.result, Result.RELAYED)
        self.assertEqual(self.pages.asked, [])

    async def test_outlives_the_record(self) -> None:
        """Whoever takes the record out of the DNS, or stops the web server, does not end the policy (RFC 8461 10.2)."""
        self.publish()
        self.tls_peer()
        await self.deliver(self.guarded())
        del self.server.zone["_mta-sts.example.com"]
        self.pages.pages.clear()
        self.time += 7200
        peer = self.peer(Script(extensions=[]))
        outcome = await self.deliver(self.guarded())
        self.assertEqual((outcome.result, outcome.status, peer.messages), (Result.DEFERRED, "4.7.4", []))


class RequireTLSTests(ProtectionCase):
    """Messages with REQUIRETLS, and with ``TLS-Required: No`` (RFC 8689)."""

    async def test_kept(self) -> None:
        """A server that is known for certain, with a good certificate, that promises the same: it is told so at MAIL."""
        self.server.secure = True
        peer = self.tls_peer("REQUIRETLS")
        outcome = await self.deliver(self.guarded(), tls=TLSNeed.REQUIRED)
        self.assertEqual((outcome.result, outcome.verified), (Result.RELAYED, "pkix"))
        self.assertIn("REQUIRETLS", next(line for line in peer.lines if line.startswith("MAIL")))

    async def test_failures(self) -> None:
        """Whatever is missing, the sender is told at once, with the code of RFC 8689 4.2.1, and nothing goes out."""
        self.server.secure = True
        for peer, trusts, status in (
            (self.tls_peer, True, "5.7.30"),
            (lambda: self.peer(Script(extensions=["REQUIRETLS"])), True, "5.7.10"),
            (lambda: self.peer(Script(extensions=["STARTTLS"], replies={"STARTTLS": "454 no"})), True, "5.7.10"),
            (lambda: self.peer(Script(extensions=["STARTTLS"], break_tls=True)), True, "5.7.10"),
            (lambda: self.tls_peer("REQUIRETLS"), False, "5.7.10"),
        ):
            peer()
            outcome = await self.deliver(self.guarded(trusts=trusts), tls=TLSNeed.REQUIRED)
            self.not_sent(outcome, Result.FAILED, status)

    async def test_uncertain_host(self) -> None:
        """Without DNSSEC and MTA-STS nobody vouches for the host's name; the table may."""
        self.tls_peer("REQUIRETLS")
        outcome = await self.deliver(self.guarded(), tls=TLSNeed.REQUIRED)
        self.not_sent(outcome, Result.FAILED, "5.7.10", "nothing vouches for mx1.example.com")
        agent = self.guarded(destination={"hosts": ("mx1.example.com",), "tls": "none"})
        self.assertEqual((await self.deliver(agent, tls=TLSNeed.REQUIRED)).result, Result.RELAYED)

    async def test_down(self) -> None:
        """A server that cannot be reached is no failure for good."""
        self.server.secure = True
        outcome = await self.deliver(self.guarded(), tls=TLSNeed.REQUIRED)
        self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.4.1"))

    async def test_other_connection(self) -> None:
        """A connection that was opened for usual mail is not used for a message that requires TLS."""
        self.server.secure = True
        agent = self.guarded()
        peer = self.tls_peer("REQUIRETLS", certificate=self.certificate())
        self.assertEqual((await self.deliver(agent)).verified, "none")
        outcome = await self.deliver(agent, tls=TLSNeed.REQUIRED)
        self.assertEqual((outcome.result, outcome.status), (Result.FAILED, "5.7.10"))
        self.assertEqual((len(peer.messages), peer.connections), (1, 2))

    async def test_report(self) -> None:
        """A report goes as well as it can (RFC 8689 5)."""
        peer = self.peer()
        outcome = await self.deliver(self.guarded(), tls=TLSNeed.REQUIRED, reverse_path="")
        self.assertEqual(outcome.result, Result.RELAYED)
        self.assertNotIn("REQUIRETLS", " ".join(peer.lines))

    async def test_not_required(self) -> None:
        """``TLS-Required: No``: the policies of the domain are passed over, and TLS is used where it is offered."""
        self.server.secure = True
        self.server.zone["_25._tcp.mx1.example.com"] = [tlsa(3, 1, 1, bytes(32))]
        self.server.zone["_mta-sts.example.com"] = [txt("v=STSv1; id=1;")]
        peer = self.tls_peer()
        agent = self.guarded(destination={"tls": "verified", "hosts": ("mx.example.net",)})
        outcome = await self.deliver(agent, tls=TLSNeed.OPTIONAL)
        self.assertEqual((outcome.result, outcome.verified), (Result.RELAYED, "none"))
        self.assertIn("STARTTLS", peer.verbs)
        self.peer(Script(extensions=["STARTTLS"], break_tls=True))
        self.assertEqual((await self.deliver(self.guarded(), tls=TLSNeed.OPTIONAL)).result, Result.RELAYED)


class HostileTests(ProtectionCase):
    """A server that lies, behind a policy: nothing it says before TLS counts, and nothing goes out without it."""

    async def test_stages(self) -> None:
        """It drops, refuses or talks nonsense at each stage: the message stays here."""
        for replies in (
            {"GREETING": DROP},
            {"GREETING": "nonsense"},
            {"EHLO": DROP},
            {"EHLO": "554 no"},
            {"EHLO": "nonsense"},
            {"STARTTLS": "354 go"},
            {"STARTTLS": "nonsense"},
            {"STARTTLS": "220 go\r\n250 2.0.0 all is well\r\n250 yes"},
            {"TLS EHLO": DROP},
            {"TLS EHLO": "nonsense"},
        ):
            self.peer(
                Script(
                    extensions=["STARTTLS"],
                    tls_extensions=["STARTTLS"],
                    certificate=self.certificate(),
                    replies=dict(replies),
                )
            )
            outcome = await self.deliver(self.guarded(destination={"tls": "verified"}))
            self.not_sent(outcome, outcome.result, outcome.status)
            self.assertIsNot(outcome.result, Result.RELAYED, replies)
