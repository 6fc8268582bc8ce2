"""Counting what came of TLS, and reporting it: from sessions with servers on this machine to the letters."""

from __future__ import annotations

import gzip
import json
import os
from email import message_from_bytes
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.dns_answer import Answer, Status
from hermes.core.envelope import Envelope, TLSNeed
from hermes.core.fetched import Fetched
from hermes.core.jobs import perform_each
from hermes.core.tls_report import Count, Result, Sender
from hermes.interfaces import ITLSResults, UnavailableError
from hermes.services.tls_reporter import TLSReporter
from hermes.services.tls_results import TLSResults
from tests.services import test_protection
from tests.support.smtp_peer import Script
from tests.support.worker import ImmediateWorker

GOOD = Result("example.com", "no-policy-found", "mx1.example.com")
BAD = Result("example.com", "sts", "mx1.example.com", "certificate-expired", "192.0.2.1", ("mode: testing",))

DAY = "2027-01-15"
NOW = 1_800_000_000.0


class World:
    """DNS, web and queue."""

    def __init__(self) -> None:
        self.places: dict[str, tuple[bytes, ...] | None] = {}
        self.posted: list[tuple[Envelope, bytes, str]] = []
        self.uploads: list[tuple[str, Any, bytes | None]] = []
        self.upload: Fetched | Exception = Fetched(201, b"")

    async def texts(self, name: str) -> Answer[bytes]:
        """The record of a domain."""
        texts = self.places.get(name, ())
        if texts is None:
            return Answer(Status.UNAVAILABLE)
        return Answer(Status.FOUND if texts else Status.NO_NAME, texts)

    async def post(self, envelope: Envelope, octets: bytes, message_id: str) -> None:
        """Take a message."""
        self.posted.append((envelope, octets, message_id))

    async def fetch(self, url: str, headers: Any, body: bytes | None = None) -> Fetched:
        """Take an upload."""
        self.uploads.append((url, headers, body))
        if isinstance(self.upload, Exception):
            raise self.upload
        return self.upload


class ReportingCase(SynchronousTestCase):
    """A store on disk, and a reporter."""

    def setUp(self) -> None:
        """Nothing has been counted."""
        self.time = NOW
        self.path = os.path.abspath(self.mktemp())
        self.worker = ImmediateWorker()
        self.worker.start(perform_each)
        self.results = self.store()
        self.world = World()

    def store(self, most: int = 100) -> TLSResults:
        """The store as after a restart."""
        store = TLSResults(self.path, self.worker, lambda: self.time, most)
        store.wanted = True
        self.addCleanup(store.close)
        return store

    def reporter(self) -> TLSReporter:
        """A reporter."""
        sender = Sender("example.org", "tls@example.org", "mail.example.org", "tls@example.org")
        return TLSReporter(
            self.results, lambda: self.world, self.world, self.world.post, lambda: sender, lambda: self.time
        )

    def run_now(self, work: Any) -> Any:
        """What it comes to."""
        return self.successResultOf(Deferred.fromCoroutine(work))


class ResultsTests(ReportingCase):
    """Counting."""

    def test_counted(self) -> None:
        """By day and result, over a restart, and only while that is wanted."""
        self.assertTrue(verifyObject(ITLSResults, self.results))
        for _ in range(3):
            self.results.record(GOOD)
        self.results.record(BAD)
        self.run_now(self.results.flush())
        self.results = self.store()
        self.results.record(GOOD)
        self.results.wanted = False
        self.results.record(GOOD)
        self.run_now(self.results.flush())
        counts = self.run_now(self.results.counts(DAY, "example.com"))
        self.assertEqual({(one.result, one.sessions) for one in counts}, {(GOOD, 4), (BAD, 1)})
        self.assertEqual(self.run_now(self.results.domains(DAY)), ["example.com"])
        self.assertEqual(self.run_now(self.results.domains("2027-01-14")), [])
        self.assertEqual(Path(self.path).stat().st_mode & 0o777, 0o600)

    def test_bound(self) -> None:
        """No more different results of a day than the limit, in memory and on disk."""
        self.results = self.store(most=5)
        for round_ in range(3):
            for number in range(4):
                self.results.record(Result(f"d{round_}{number}.example", "sts", "mx"))
            self.run_now(self.results.flush())
        self.assertEqual(len(self.run_now(self.results.domains(DAY))), 5)
        for number in range(10):
            self.results.record(Result(f"e{number}.example", "sts", "mx"))
        self.assertEqual(len(self.results._counts), 5)

    def test_damaged(self) -> None:
        """A file that is none is put aside."""
        Path(self.path).write_bytes(b"no database" * 1000)
        self.results.record(GOOD)
        self.run_now(self.results.flush())
        self.assertEqual(self.run_now(self.results.counts(DAY, "example.com")), [Count(GOOD, 1)])
        self.assertTrue(Path(f"{self.path}.damaged").exists())

    def test_expired(self) -> None:
        """Old days are forgotten."""
        self.results.record(GOOD)
        self.run_now(self.results.flush())
        for days, left in ((3, 1), (1, 0)):
            self.time += days * 86400
            self.run_now(self.results.expire())
            self.assertEqual(len(self.run_now(self.results.domains(DAY))), left)


class ReporterTests(ReportingCase):
    """Reporting."""

    def test_by_mail(self) -> None:
        """Once, for a day that is over, to whoever asks; it goes without TLS where it must."""
        self.world.places["_smtp._tls.example.com"] = (b"v=TLSRPTv1;rua=mailto:r@example.net",)
        self.results.record(GOOD)
        self.results.record(Result("silent.example", "sts", "mx"))
        self.assertEqual(self.run_now(self.reporter().round()), 0)
        self.time += 86400
        self.assertEqual(self.run_now(self.reporter().round()), 1)
        self.assertEqual(self.run_now(self.reporter().round()), 0)
        ((envelope, octets, message_id),) = self.world.posted
        self.assertEqual(envelope.recipients[0].address, "r@example.net")
        self.assertEqual((envelope.reverse_path, envelope.tls), ("tls@example.org", TLSNeed.OPTIONAL))
        message = message_from_bytes(octets)
        self.assertEqual(message["Message-ID"], message_id)
        _, attached = message.get_payload()  # type: ignore[misc]
        document = json.loads(gzip.decompress(attached.get_payload(decode=True)))
        self.assertEqual(document["policies"][0]["summary"]["total-successful-session-count"], 1)

    def test_by_https(self) -> None:
        """The packed document is posted; what goes wrong is told in the log."""
        self.world.places["_smtp._tls.example.com"] = (b"v=TLSRPTv1;rua=https://r.example.net/tls",)
        for upload, count in ((Fetched(201, b""), 1), (Fetched(500, b""), 0), (UnavailableError("refused"), 0)):
            self.world.upload = upload
            self.results.record(GOOD)
            self.time += 86400
            self.assertEqual(self.run_now(self.reporter().round()), count)
        url, headers, body = self.world.uploads[0]
        self.assertEqual((url, headers), ("https://r.example.net/tls", {"Content-Type": "application/tlsrpt+gzip"}))
        self.assertIn("policies", json.loads(gzip.decompress(body or b"")))

    def test_dns_later(self) -> None:
        """When the DNS says nothing, the next round asks again."""
        self.world.places["_smtp._tls.example.com"] = None
        self.results.record(GOOD)
        self.time += 86400
        self.assertEqual(self.run_now(self.reporter().round()), 0)
        self.world.places["_smtp._tls.example.com"] = (b"v=TLSRPTv1;rua=mailto:r@example.net",)
        self.assertEqual(self.run_now(self.reporter().round()), 1)


class CollectingTests(test_protection.ProtectionCase):
    """What sessions come to."""

    publish = test_protection.STSTests.publish
    records = test_protection.DANETests.records

    async def counted(self, trusts: bool = True, **settings: Any) -> list[tuple[str, str]]:
        """Send a message; the policy and type of each result."""
        agent = self.guarded(trusts, **settings)
        seen: list[Result] = []

        class Seen:
            def record(self, result: Result) -> None:
                seen.append(result)

        agent._results = agent._protection._results = Seen()  # type: ignore[assignment]
        await self.deliver(agent)
        return [(each.policy, each.kind) for each in seen]

    async def test_kinds(self) -> None:
        """Success and failures without a policy, with one that is tested, and with one in force (RFC 8460 4.3)."""
        self.tls_peer(certificate=self.certificate())
        self.assertEqual(await self.counted(), [("no-policy-found", "")])
        self.peer(Script(extensions=[]))
        self.assertEqual(await self.counted(), [("no-policy-found", "starttls-not-supported")])
        self.publish(mode="testing")
        self.tls_peer()
        self.assertEqual(await self.counted(), [("sts", "")])
        self.assertEqual(await self.counted(trusts=False), [("sts", "certificate-not-trusted")])
        self.store.kept.clear()
        self.publish(mode="enforce")
        self.assertEqual(await self.counted(), [("sts", "")])
        self.assertEqual(await self.counted(trusts=False), [("sts", "certificate-not-trusted")])
        self.peer(Script(extensions=[]))
        self.assertEqual(await self.counted(), [("sts", "starttls-not-supported")])
        self.store.kept.clear()
        self.publish(host="*.example.net")
        self.assertEqual(await self.counted(), [("sts", "validation-failure")])
        self.store.kept.clear()
        self.pages.pages.clear()
        self.tls_peer()
        self.assertEqual(await self.counted(), [("sts", "sts-policy-fetch-error"), ("no-policy-found", "")])

    async def test_down(self) -> None:
        """A server that cannot be reached says nothing about TLS."""
        self.assertEqual(await self.counted(), [])

    async def test_dane(self) -> None:
        """Records that fit, and that do not."""
        self.server.secure = True
        self.tls_peer()
        self.records((3, 1, 1, bytes(32)))
        self.assertEqual(await self.counted(), [("tlsa", "validation-failure")])
