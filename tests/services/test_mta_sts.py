"""Finding, keeping and renewing the MTA-STS policies of other domains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.dns_answer import Answer, Status
from hermes.core.fetched import Fetched
from hermes.core.jobs import perform_each
from hermes.core.mta_sts import Mode, Policy
from hermes.interfaces import IPolicyStore, TooBusyError, UnavailableError
from hermes.services.mta_sts import FAILED_SECONDS, LOOK_SECONDS, RENEW_SECONDS, Finding, Kept, STSPolicies
from hermes.services.mta_sts_store import PolicyStore
from tests.support.worker import ImmediateWorker

URL = "https://mta-sts.example.com/.well-known/mta-sts.txt"
TEXT = b"version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n"


class World:
    """DNS and web as a test wants them."""

    def __init__(self) -> None:
        self.texts: tuple[bytes, ...] = (b"v=STSv1; id=1;",)
        self.page: Fetched | Exception = Fetched(200, TEXT)
        self.waiting: Deferred[None] | None = None
        self.fetched: list[str] = []
        self.asked: list[str] = []
        self.too_many = False

    async def fetch(self, url: str, headers: Any, body: bytes | None = None) -> Fetched:
        """The page, when it may come."""
        self.fetched.append(url)
        if self.waiting is not None:
            await self.waiting
        if isinstance(self.page, Exception):
            raise self.page
        return self.page

    async def texts_of(self, name: str) -> Answer[bytes]:
        """The record."""
        self.asked.append(name)
        if self.too_many:
            return Answer(Status.UNAVAILABLE, reason="too many look-ups are waiting already", asked=False)
        return Answer(Status.FOUND if self.texts else Status.NO_NAME, self.texts)


class Names:
    """What asks the world for TXT records."""

    def __init__(self, world: World) -> None:
        self.texts = world.texts_of


class PoliciesTests(SynchronousTestCase):
    """STSPolicies, with a store on disk."""

    def setUp(self) -> None:
        """A world with a policy."""
        self.world = World()
        self.time = 1_800_000_000.0
        self.path = os.path.abspath(self.mktemp())
        self.worker = ImmediateWorker()
        self.worker.start(perform_each)
        self.store = PolicyStore(self.path, self.worker)
        self.addCleanup(self.store.close)
        self.sts = self.fresh()

    def fresh(self) -> STSPolicies:
        """As after a restart."""
        return STSPolicies(lambda: Names(self.world), self.world, self.store, lambda: self.time)

    def policy(self, domain: str = "example.com") -> Finding:
        """What holds now."""
        return self.successResultOf(Deferred.fromCoroutine(self.sts.policy(domain)))

    def test_found(self) -> None:
        """It is fetched once, and kept over a restart."""
        finding = self.policy()
        assert finding.policy is not None
        self.assertEqual((finding.policy.mode, finding.policy.hosts), (Mode.ENFORCE, ("mx.example.com",)))
        self.sts = self.fresh()
        self.world.texts, self.world.page = (), UnavailableError("gone")
        self.assertEqual(self.policy(), finding)
        self.assertEqual(self.world.fetched, [URL])
        self.assertEqual(Path(self.path).stat().st_mode & 0o777, 0o600)
        self.assertTrue(verifyObject(IPolicyStore, self.store))

    def test_no_record(self) -> None:
        """Without a record nothing is fetched; it is not asked for again at once."""
        self.world.texts = ()
        self.assertEqual(self.policy(), Finding())
        self.assertEqual(self.policy(), Finding())
        self.assertEqual((self.world.fetched, len(self.world.asked)), ([], 1))
        self.time += FAILED_SECONDS
        self.world.texts = (b"v=STSv1; id=1;",)
        self.assertIsNotNone(self.policy().policy)

    def test_odd_domains(self) -> None:
        """What is no name is not asked about; one in any script is."""
        for odd in ("", "..", "a b", "x" * 300):
            self.assertEqual(self.policy(odd), Finding())
        self.assertEqual(self.world.asked, [])
        self.policy("Bücher.example")
        self.assertEqual(self.world.fetched, ["https://mta-sts.xn--bcher-kva.example/.well-known/mta-sts.txt"])

    def test_failures(self) -> None:
        """A page that does not come, is another one, or makes no sense: no policy, and the type of failure for reports."""
        for page, problem in (
            (UnavailableError("Connection refused"), "sts-policy-fetch-error"),
            (UnavailableError("TLS failed: certificate verify failed"), "sts-webpki-invalid"),
            (Fetched(404, b"no"), "sts-policy-fetch-error"),
            (Fetched(301, TEXT), "sts-policy-fetch-error"),
            (Fetched(200, b"<html>"), "sts-policy-invalid"),
        ):
            self.sts = self.fresh()
            self.world.page = page
            finding = self.policy()
            self.assertEqual((finding.policy, finding.problem), (None, problem))
            self.assertIn("example.com", finding.reason)
            fetched = len(self.world.fetched)
            self.assertEqual(self.policy(), finding)
            self.time += FAILED_SECONDS - 1
            self.policy()
            self.assertEqual(len(self.world.fetched), fetched)
            self.time += 1
            self.policy()
            self.assertEqual(len(self.world.fetched), fetched + 1)

    def test_unasked(self) -> None:
        """A domain that was not asked, because others kept us waiting, has not said that it has no policy: it is asked again."""
        self.world.page = TooBusyError("no turn within 30 seconds")
        finding = self.policy()
        self.assertTrue(finding.unasked)
        self.assertEqual((finding.policy, finding.problem), (None, ""))
        self.assertIn("no turn within 30 seconds", finding.reason)
        self.world.page, self.world.too_many = Fetched(200, TEXT), True
        finding = self.policy()
        self.assertTrue(finding.unasked)
        self.assertIn("too many look-ups", finding.reason)
        self.world.too_many = False
        self.assertIsNotNone(self.policy().policy)
        # What is known holds meanwhile.
        self.time += LOOK_SECONDS
        self.world.too_many = True
        self.assertIsNotNone(self.policy().policy)

    def test_together(self) -> None:
        """Several who wait share one fetch, and one who gives up does not take it away."""
        self.world.waiting = Deferred()
        waiting = [Deferred.fromCoroutine(self.sts.policy("example.com")) for _ in range(3)]
        waiting[0].addErrback(lambda _: None).cancel()
        self.world.waiting.callback(None)
        for each in waiting[1:]:
            self.assertIsNotNone(self.successResultOf(each).policy)
        self.assertEqual(len(self.world.fetched), 1)

    def test_renewed(self) -> None:
        """A policy with another id is fetched in the background: who asks gets the old one without waiting."""
        self.policy()
        self.world.texts = (b"v=STSv1; id=2;",)
        self.world.page = Fetched(200, TEXT.replace(b"mx.example.com", b"new.example.com"))
        self.world.waiting = Deferred()
        self.time += LOOK_SECONDS
        for _ in range(2):
            finding = self.policy()
            assert finding.policy is not None
            self.assertEqual(finding.policy.hosts, ("mx.example.com",))
        self.assertEqual(len(self.world.fetched), 2)
        self.world.waiting.callback(None)
        finding = self.policy()
        assert finding.policy is not None
        self.assertEqual(finding.policy.hosts, ("new.example.com",))

    def test_same_id(self) -> None:
        """With the same id it is fetched again after a day."""
        self.policy()
        for seconds, fetched in ((LOOK_SECONDS, 1), (RENEW_SECONDS - LOOK_SECONDS, 2)):
            self.time += seconds
            self.policy()
            self.assertEqual(len(self.world.fetched), fetched)

    def test_expired(self) -> None:
        """After its time it is looked for again; when it is gone, it is gone."""
        self.policy()
        self.time += 604800
        self.world.texts = ()
        self.assertIsNone(self.policy().policy)

    def test_none(self) -> None:
        """The mode none takes a policy back (RFC 8461 8.3)."""
        self.policy()
        self.world.texts = (b"v=STSv1; id=2;",)
        self.world.page = Fetched(200, b"version: STSv1\nmode: none\nmax_age: 86400\n")
        self.time += LOOK_SECONDS
        self.policy()
        self.assertEqual(self.policy(), Finding())
        self.store.close()
        os.unlink(self.path)
        self.sts = self.fresh()
        self.assertEqual(self.policy(), Finding())

    def test_fault(self) -> None:
        """A fault of ours is logged, and mail goes on as without a policy."""
        self.world.page = RuntimeError("a fault")
        self.assertEqual(self.policy(), Finding())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class StoreTests(SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        """A store for two."""
        self.path = os.path.abspath(self.mktemp())
        self.worker = ImmediateWorker()
        self.worker.start(perform_each)
        self.store = PolicyStore(self.path, self.worker, most=2)
        self.addCleanup(self.store.close)

    def kept(self, domain: str, at: float) -> Kept:
        """A policy."""
        return Kept(domain, Policy(Mode.TESTING, 60, ("a.example",), ("mode: testing",)), "1", at)

    def test_bound(self) -> None:
        """Those that were fetched longest ago go."""
        for number, domain in enumerate(("c.example", "b.example", "a.example")):
            self.successResultOf(Deferred.fromCoroutine(self.store.keep(self.kept(domain, float(number)))))
        found = [
            self.successResultOf(Deferred.fromCoroutine(self.store.policy(domain)))
            for domain in ("a.example", "b.example", "c.example")
        ]
        self.assertEqual(found, [self.kept("a.example", 2.0), self.kept("b.example", 1.0), None])
        later = attrs.evolve(self.kept("a.example", 5.0), policy_id="2")
        self.successResultOf(Deferred.fromCoroutine(self.store.keep(later)))
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.store.policy("a.example"))), later)

    def test_damaged(self) -> None:
        """A file that is none is put aside."""
        Path(self.path).write_bytes(b"no database" * 1000)
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.store.policy("a.example"))))
        self.assertTrue(Path(f"{self.path}.damaged").exists())
