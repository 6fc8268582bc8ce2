"""Asking a web server: what it is told, what is believed, and what is too much."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from hermes.core.fetched import Fetched
from hermes.interfaces import IFetcher, TooBusyError, UnavailableError
from hermes.net import fetch
from hermes.net.fetch import MAX_OCTETS, Fetcher
from tests.support.certificates import make_certificate
from tests.support.oauth import AuthorizationServer
from tests.support.ports import free_port


class FetcherTests(TestCase):
    """Against a server on loopback."""

    def setUp(self) -> None:
        """Start it."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.server = AuthorizationServer(self.directory)
        self.addCleanup(self.server.close)
        self.fetcher = Fetcher(reactor, 20, self.server.certificate)

    async def unavailable(self, path: str, fetcher: Fetcher | None = None) -> str:
        """Why there is no answer."""
        url = path if path.startswith("https:") else self.server.url + path
        with self.assertRaises(UnavailableError) as caught:
            await (fetcher or self.fetcher).fetch(url, {})
        return str(caught.exception)

    async def test_get_and_post(self) -> None:
        """Method, headers and body arrive; status and octets come back."""
        verifyObject(IFetcher, self.fetcher)
        self.server.pages["/keys"] = (200, b"{}")
        answer = await self.fetcher.fetch(f"{self.server.url}/keys", {"Accept": "application/json"})
        self.assertEqual((answer.status, answer.octets), (200, b"{}"))
        answer = await self.fetcher.fetch(f"{self.server.url}/other", {}, b"token=x")
        self.assertEqual(answer.status, 404)
        (method, path, headers, body), (other, *_, posted) = self.server.seen
        self.assertEqual((method, path, headers["Accept"], body), ("GET", "/keys", "application/json", b""))
        self.assertEqual((other, posted), ("POST", b"token=x"))

    async def test_no_redirects(self) -> None:
        """Where a redirect leads is not asked: a token would go along."""
        self.server.pages["/moved"] = (302, b"")
        self.assertEqual((await self.fetcher.fetch(f"{self.server.url}/moved", {})).status, 302)
        self.assertEqual(len(self.server.seen), 1)

    async def test_size(self) -> None:
        """An answer may have so many octets and not one more."""
        for octets in (MAX_OCTETS - 1, MAX_OCTETS):
            self.server.pages["/page"] = (200, b"x" * octets)
            self.assertEqual(len((await self.fetcher.fetch(f"{self.server.url}/page", {})).octets), octets)
        self.server.pages["/page"] = (200, b"x" * (MAX_OCTETS + 1))
        self.assertIn(f"more than {MAX_OCTETS} octets", await self.unavailable("/page"))

    async def test_authority(self) -> None:
        """A certificate that leads to nobody who is trusted, or is for another name, is not believed."""
        self.assertIn("TLS failed", await self.unavailable("/", Fetcher(reactor, 20)))
        other, _ = make_certificate(self.directory / "other", "localhost")
        self.assertIn("TLS failed", await self.unavailable("/", Fetcher(reactor, 20, other)))
        self.assertTrue(await self.unavailable(self.server.url.replace("localhost", "127.0.0.1")))
        self.assertEqual(self.server.seen, [])

    async def test_silence(self) -> None:
        """A server that does not answer is not waited for longer than the settings say."""
        self.server.holds.add("/slow")
        self.assertIn(
            "within 0.2 seconds", await self.unavailable("/slow", Fetcher(reactor, 0.2, self.server.certificate))
        )

    async def test_no_turn(self) -> None:
        """Who has had no turn, or had it too late, is told so, and not that the other side does not answer."""
        fetcher = Fetcher(reactor, 0.2, self.server.certificate, at_once=1)
        await fetcher._turns.acquire()
        with self.assertRaisesRegex(TooBusyError, "no turn within 0.2 seconds"):
            await fetcher.fetch(f"{self.server.url}/other", {})
        self.assertEqual(self.server.seen, [])

        async def silence(*_: object) -> Fetched:
            return await Deferred()

        self.patch(fetcher, "_ask", silence)
        late = reactor.seconds() + 0.01  # type: ignore[attr-defined]
        with self.assertRaisesRegex(TooBusyError, "too late"):
            await fetcher._answer("https://localhost/", {}, None, late)

    async def test_nobody_there(self) -> None:
        """A port where nothing listens."""
        self.assertIn("refused", (await self.unavailable(f"https://localhost:{free_port()}/")).lower())

    async def test_too_many(self) -> None:
        """So many ask at once, so many wait, and the next is told to come again."""
        self.server.holds.add("/slow")
        fetcher = Fetcher(reactor, 20, self.server.certificate, waiting=2)
        url = f"{self.server.url}/slow"
        running = [Deferred.fromCoroutine(fetcher.fetch(url, {})) for _ in range(fetch.MAX_AT_ONCE + 2)]
        with self.assertRaises(TooBusyError):
            await fetcher.fetch(url, {})
        # Whoever leaves makes room.
        running[-1].addErrback(lambda _: None).cancel()
        last = Deferred.fromCoroutine(fetcher.fetch(url, {}))
        self.server._closing.set()
        answers = await gatherResults([*running[:-1], last])
        self.assertEqual({answer.status for answer in answers}, {404})


class AuthorityTests(SynchronousTestCase):
    """The file of the authority."""

    def test_unusable(self) -> None:
        """A file that is not there, or has no certificate in it, is told at once."""
        self.assertRaises(FileNotFoundError, Fetcher, reactor, 1, "/nonexistent.pem")
        self.assertRaises(ValueError, Fetcher, reactor, 1, "/dev/null")
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            file.flush()
            self.assertRaises(ValueError, Fetcher, reactor, 1, file.name)
