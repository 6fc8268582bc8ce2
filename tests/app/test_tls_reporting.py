"""Reports about TLS in a whole server: from the settings to the queue, signed."""

from __future__ import annotations

from pathlib import Path
from random import Random

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.tls_reporting import FLUSH_SECONDS, MAX_DELAY_SECONDS, ROUND_SECONDS, TLSReporting, post, sender_of
from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.core.envelope import Envelope, Recipient, TLSNeed
from hermes.core.event import Kind
from hermes.core.tls_report import letter
from hermes.policy.dkim_keys import State, create_key
from hermes.protocols.dkim_signature import ED25519
from tests.support.configuration import MINIMAL, write_config
from tests.support.dkim import verified
from tests.support.server import ServerTestCase
from tests.support.smtp_peer import SMTPPeer


class PostTests(ServerTestCase):
    """A letter of our own."""

    async def test_signed(self) -> None:
        """It goes the way of all mail, from the postmaster, and has our signature."""
        peer = SMTPPeer()
        peer.start(reactor)
        self.addCleanup(peer.stop)
        server = self.make(
            f"[tls_reports]\nsend = yes\n[smarthost]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n"
        )
        self.addCleanup(server.service.stopService)
        key = create_key(str(Path(server.settings.dkim.directory)), "example.org", "e1", ED25519, State.IN_USE)
        events = self.events()
        await self.begin(server)
        sender = sender_of(server.settings)
        octets = letter("example.com", "2026-01-31", b"packed", "r@example.com", sender, 0.0)
        envelope = Envelope(sender.address, (Recipient("r@example.com"),), tls=TLSNeed.OPTIONAL)
        await post(server._stores.spool, server._circle.router, server._queues.own, envelope, octets, "<1@x>")
        await events.until(Kind.RELAYED)
        (got,) = peer.messages
        self.assertTrue(verified(got.data, {f"{key.name}.": key.record.encode()}))
        self.assertIn("anna@example.org", got.mail)


class Counted:
    """Stands for the results and for what reports them; ``broken`` makes both fail."""

    def __init__(self) -> None:
        self.wanted = False
        self.flushed = self.rounds = 0
        self.broken = False

    async def flush(self) -> None:
        """Count."""
        self.flushed += 1
        if self.broken:
            raise OSError("the disk is full")

    async def round(self) -> int:
        """Count."""
        self.rounds += 1
        return 0


class ModuleTests(SynchronousTestCase):
    """When it does something."""

    def test_times(self) -> None:
        """Counts are written each minute; rounds are made hourly after a random delay; a fault ends nothing."""
        clock, counted = Clock(), Counted()
        wanted = [False]
        module = TLSReporting(clock, counted, counted, lambda: wanted[0], Random(1))  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(module.start()))
        self.assertEqual((counted.flushed, counted.wanted), (1, False))
        wanted[0] = counted.broken = True
        clock.advance(FLUSH_SECONDS)
        self.assertEqual((counted.flushed, counted.wanted), (2, True))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        counted.broken = False
        clock.pump([FLUSH_SECONDS] * int(MAX_DELAY_SECONDS // FLUSH_SECONDS))
        rounds = counted.rounds
        self.assertGreaterEqual(rounds, 1)
        clock.advance(ROUND_SECONDS)
        self.assertEqual(counted.rounds, rounds + 1)
        wanted[0] = False
        clock.advance(ROUND_SECONDS)
        self.assertEqual(counted.rounds, rounds + 1)
        self.successResultOf(Deferred.fromCoroutine(module.stop()))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_stopped_early(self) -> None:
        """Before the first round."""
        clock, counted = Clock(), Counted()
        module = TLSReporting(clock, counted, counted, lambda: True, Random(1))  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(module.start()))
        self.successResultOf(Deferred.fromCoroutine(module.stop()))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_settings(self) -> None:
        """Who reports, and what is wrong."""
        sender = sender_of(load(write_config(self, f"{MINIMAL}[tls_reports]\nsend = yes\norganization = Us\n")))
        self.assertEqual(
            (sender.organization, sender.contact, sender.address), ("Us", "anna@example.org", "anna@example.org")
        )
        for text, words in (
            ("[hermes]\nhostname = mail.example.org\n[tls_reports]\nsend = yes\n", "write the address for questions"),
            (f"{MINIMAL}[tls_reports]\ncontact = nobody\n", "is not a mail address"),
            (f"{MINIMAL}[tls_reports]\nsender = a b@example.org\n", "is not a mail address"),
        ):
            with self.assertRaises(ConfigError) as raised:
                load(write_config(self, text))
            self.assertIn(words, str(raised.exception))
