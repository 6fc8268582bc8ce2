"""What follows from the settings: who answers where, which ways out there are, and what is kept on disk."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.mail.smtp import IMessageDelivery
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.app.circle import LOCAL_DELIVERIES, Circle
from hermes.app.collecting import collectors_of
from hermes.app.entrances import entrances
from hermes.app.outgoing import INITIAL_DELIVERIES
from hermes.app.stores import Stores
from hermes.config.loader import load
from hermes.config.schema import POP3Settings, Settings, SMTPSettings
from hermes.config.sections.accounts import AccountsSettings
from hermes.core.event import Event, Kind
from hermes.core.message import Content
from hermes.directory.sources.accounts_file import AccountsFileError
from hermes.interfaces import IDeliveryAgent, IRelayManager
from hermes.net.gate import Gate
from hermes.protocols.sasl_login import Derivation
from hermes.protocols.smtp.events import Flavor
from hermes.queue.active import ActiveSet, Delivery
from hermes.queue.destinations import Destinations
from hermes.services.smtp_server import SMTPServerFactory
from tests.support.configuration import MINIMAL, write_config
from tests.support.queue_site import Site
from tests.support.server import ServerTestCase


class CircleTestCase(SynchronousTestCase):
    """A circle that belongs to no server."""

    def circle(self, more: str = "") -> Circle:
        """Of these settings."""
        return self.circle_of(load(write_config(self, MINIMAL + more)))

    def circle_of(self, settings: Settings) -> Circle:
        """Of settings that have been read."""
        self.settings = settings
        self.clock = Clock()
        self.stores = Stores(self.settings, self.clock, self.clock.seconds)
        self.relays = 0

        def relay() -> IRelayManager:
            self.relays += 1
            made: Any = object()
            return made

        return Circle(self.settings, self.stores, self.clock, self.clock.seconds, relay)


class CircleTests(CircleTestCase):
    """Directory, router and agents."""

    def test_no_way_out(self) -> None:
        """By default there are mailboxes and nothing else: nothing is sent anywhere."""
        circle = self.circle()
        self.assertEqual(set(circle.agents), {"local", "mailbox", "public"})
        route = self.successResultOf(Deferred.fromCoroutine(circle.router.route("bob@example.net")))
        self.assertTrue(route.startswith("none:"), route)

    def test_ways_out(self) -> None:
        """The agents are those that are configured, with as many connections as the settings say."""
        circle = self.circle("[smarthost]\nhost = smtp.example.net\nconnections = 3\n")
        self.assertEqual(set(circle.agents), {"local", "mailbox", "public", "smarthost"})
        self.assertEqual(circle.limits["smarthost"].most("default"), 3)
        route = self.successResultOf(Deferred.fromCoroutine(circle.router.route("bob@example.net")))
        self.assertEqual(route, "smarthost:default")
        circle = self.circle("[direct]\nenabled = yes\nconnections = 9\nconnections_per_destination = 2\n")
        self.assertEqual(set(circle.agents), {"local", "mailbox", "public", "direct"})
        self.assertEqual((circle.limits["direct"].total, circle.limits["direct"].per_destination), (9, 2))
        self.assertEqual(circle.limits["local"].total, LOCAL_DELIVERIES)
        for agent in circle.agents.values():
            verifyObject(IDeliveryAgent, agent)

    def test_backups_that_hang(self) -> None:
        """Servers for which this is a backup get what others get, one connection at first, and keep no others from theirs."""
        limits = self.circle("[backup:friends]\ndomains = example.net, example.com\n").limits
        self.assertEqual((limits["backup"].initial, limits["backup"].waiting), (INITIAL_DELIVERIES, 500))
        self.assertEqual(limits["backup"], limits["direct"])
        self.assertEqual((limits["lmtp"].initial, limits["lmtp"].waiting), (INITIAL_DELIVERIES, limits["lmtp"].total))

    def test_connections_of_smart_hosts(self) -> None:
        """Each smart host has all its connections, and one that hangs takes none from another."""
        names = {"office": 1, "shop": 10, "branch": 2}
        sections = [
            f"[smarthost:{name}]\nhost = smtp.example.net\nsenders = {name}.example\nconnections = {most}\n"
            for name, most in names.items()
        ]
        destinations = Destinations(self.circle("".join(sections)).limits, 1000)
        site = Site()
        for name, most in names.items():
            started = 0
            for _ in range(20):
                message = site.message("x@x.test")
                active = ActiveSet(1).add(message)
                started += destinations.add(
                    Delivery(active, f"smarthost:{name}", "smarthost", name, message.recipients)
                )
            self.assertEqual(started, most)

    def test_logins_at_others(self) -> None:
        """Whoever logs in at another server has its keys made by the thread for them."""
        settings = "username = anna\npassword = pencil\n"
        circle = self.circle(
            f"[smarthost]\nhost = smtp.example.net\n{settings}pop_host = pop.example.net\n"
            f"[collector:box]\nhost = pop.example.net\n{settings}"
        )
        (host,) = circle._outgoing.smarthosts._hosts.values()
        boxes: Any = collectors_of(self.settings, circle, self.stores, self.clock, self.clock.seconds)
        for one in (host, host._pop, boxes["box"]):
            self.assertEqual(one._approach.derive, self.stores.derive)

    def test_stop(self) -> None:
        """Leave is taken of all other servers, also when there are none."""
        self.successResultOf(Deferred.fromCoroutine(self.circle().stop()))

    def test_anonymous(self) -> None:
        """Whoever has not logged in may deliver, under the rules of this circle; the relay manager is asked for late."""
        circle = self.circle("[smtp]\nmax_size = 7M\n")
        self.assertEqual(self.relays, 0)
        receptions = [circle._reception(None) for _ in range(2)]
        self.assertEqual(self.relays, 1)
        verifyObject(IMessageDelivery, receptions[0])
        premises: Any = receptions[0]
        self.assertEqual(premises._premises.max_size_octets, 7 * 1024**2)


class EntranceTests(CircleTestCase):
    """Listeners and their factories."""

    def entrances(self, settings: Settings, tls: Any = None) -> dict[str, Any]:
        """By their places."""
        circle = self.circle()
        gate = Gate(settings.limits, self.clock.seconds)
        return {one.place: one for one in entrances(settings, circle, self.stores, self.clock, gate, tls)}

    def test_nothing_by_default(self) -> None:
        """Without listeners nobody is let in."""
        self.assertEqual(self.entrances(Settings()), {})

    def test_scram(self) -> None:
        """SCRAM is offered only where the settings say so; keys are kept a step before that."""
        for choice in ("no", "prepare", "yes"):
            made = self.entrances(
                Settings(
                    smtp=SMTPSettings(submission=("127.0.0.1:587",)),
                    pop3=POP3Settings(listen=("127.0.0.1:110",)),
                    accounts=AccountsSettings(scram=choice),
                )
            )
            smtp, pop3 = made["127.0.0.1:587"].factory, made["127.0.0.1:110"].factory
            self.assertEqual("SCRAM-SHA-256" in smtp._parameters("127.0.0.1").mechanisms, choice == "yes")
            self.assertEqual(pop3.scram is not None, choice == "yes")
            directory = self.circle(f"[accounts]\nscram = {choice}\n").directory
            self.assertEqual(directory._makes_scram, choice != "no")

    def test_each_key(self) -> None:
        """Each key makes its kind of session, and only those that say so begin with TLS."""
        made = self.entrances(
            Settings(
                smtp=SMTPSettings(
                    listen=("127.0.0.1:25", "[::1]:25"),
                    submission=("127.0.0.1:587",),
                    submissions=("127.0.0.1:465",),
                    lmtp=("unix:/run/lmtp",),
                ),
                pop3=POP3Settings(listen=("127.0.0.1:110",), listen_tls=("127.0.0.1:995",)),
            ),
            tls=object(),
        )
        kinds = {}
        for place, one in made.items():
            context = one.factory._context if isinstance(one.factory, SMTPServerFactory) else None
            implicit = context.implicit_tls if context is not None else one.factory.implicit_tls
            kinds[place] = (one.section, context.flavor if context is not None else None, implicit)
        self.assertEqual(
            kinds,
            {
                "127.0.0.1:25": ("[smtp] listen", Flavor.SMTP, False),
                "[::1]:25": ("[smtp] listen", Flavor.SMTP, False),
                "127.0.0.1:587": ("[smtp] submission", Flavor.SUBMISSION, False),
                "127.0.0.1:465": ("[smtp] submissions", Flavor.SUBMISSION, True),
                "unix:/run/lmtp": ("[smtp] lmtp", Flavor.LMTP, False),
                "127.0.0.1:110": ("[pop3] listen", None, False),
                "127.0.0.1:995": ("[pop3] listen_tls", None, True),
            },
        )

    def test_tls_needs_a_certificate(self) -> None:
        """A door that is to begin with TLS cannot be made without a certificate."""
        settings = Settings(smtp=SMTPSettings(submissions=("127.0.0.1:465",)))
        self.assertRaises(ValueError, self.entrances, settings)


class StoresTests(ServerTestCase):
    """Files and threads."""

    def stores(self, more: str = "", *, accounts: bool = True) -> Stores:
        """Not yet started."""
        return Stores(load(self.write(more, accounts=accounts)), reactor, lambda: 0.0)

    async def test_life(self) -> None:
        """The threads live from the start to the stop; facts are in the mail log then."""
        before = threading.active_count()
        stores = self.stores()
        self.assertEqual(threading.active_count(), before)
        await stores.start()
        self.assertGreater(threading.active_count(), before)
        await stores.spool.record([Event(0.0, Kind.LOGIN, address="anna")])
        secret = stores.passwords.secret
        await stores.stop()
        self.assertEqual(threading.active_count(), before)
        self.assertEqual((self.data / "secret").read_bytes(), secret)
        self.assertIn("login to=<anna>", (self.data / "mail.log").read_text())

    async def test_keys_of_passwords(self) -> None:
        """Keys for a login at another server are made in a thread of their own, however many rounds that server wants."""
        stores = self.stores()
        await stores.start()
        try:
            made = []

            def rounds(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
                made.append((threading.current_thread() is threading.main_thread(), iterations))
                return bytes(32)

            self.patch(hashlib, "pbkdf2_hmac", rounds)
            derivation = Derivation(b"pencil", b"salt", 600_000, lambda keys: b"")
            keys = await stores.derive(derivation)
            self.assertEqual((keys, made), (derivation.keys(), [(False, 600_000), (True, 600_000)]))
        finally:
            await stores.stop()

    async def test_no_log(self) -> None:
        """Without a mail log facts are in the trace alone."""
        stores = self.stores("[log]\nfile =\n")
        await stores.start()
        await stores.spool.record([Event(0.0, Kind.LOGIN, address="anna")])
        stores.reopen_log()
        await stores.stop()
        self.assertEqual(
            sorted(path.name for path in self.data.iterdir()),
            ["accounts.ini", "offenders.sqlite", "recoverable.key", "secret", "spool"],
        )

    async def test_a_big_mailbox_keeps_no_message_waiting(self) -> None:
        """While a mailbox is being listed, messages are read for whoever sends or fetches them."""
        stores = self.stores()
        await stores.start()
        listed = threading.Event()
        listing = stores.mailbox_worker.submit(listed.wait)
        message = self.data / "message"
        message.write_bytes(b"Subject: x\n\n")
        try:
            pieces = [piece async for piece in stores.reader.chunks(Content(12, 14, 0, path=str(message)))]
        finally:
            listed.set()
        self.assertEqual(pieces, [b"Subject: x\n\n"])
        self.assertTrue(await listing)
        await stores.stop()

    async def test_cannot_start(self) -> None:
        """A start that fails ends the threads that it has begun."""
        before = threading.active_count()
        stores = self.stores(accounts=False)
        with self.assertRaises(AccountsFileError):
            await stores.start()
        self.assertEqual(threading.active_count(), before)

    async def test_fault_while_closing(self) -> None:
        """A store that cannot be closed does not keep the threads from ending."""
        before = threading.active_count()
        stores = self.stores()
        await stores.start()
        close = stores.spool.close

        async def broken() -> None:
            await close()
            raise OSError("the disk is gone")

        self.patch(stores.spool, "close", broken)
        with self.assertRaises(OSError):
            await stores.stop()
        self.assertEqual(threading.active_count(), before)
