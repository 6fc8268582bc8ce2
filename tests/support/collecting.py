"""What the tests of collectors share: a box at a foreign server, a real spool, and one collector between them."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hermes.config.schema import HermesSettings, Settings
from hermes.config.sections.collector import CollectorSettings
from hermes.core.event import Event, Kind
from hermes.net.outgoing import Approach, TLSMode
from hermes.policy.access import Access
from hermes.policy.pipeline import Pipeline
from hermes.policy.relay import RelayPolicy
from hermes.protocols.sasl_login import Login
from hermes.services.collected_message import ContentChecks
from hermes.services.collecting_report import Box as Remembering
from hermes.services.collecting_report import Report
from hermes.services.incoming import Writing
from hermes.services.pop3_collector import Collector, Means
from hermes.services.reception import Premises
from hermes.services.uid_memory import UidMemory
from hermes.spool.store import Spool
from tests.support.outgoing import Names
from tests.support.pop3_peer import Box
from tests.support.smtp_site import ListJournal, ListRelayManager, MemoryDirectory, MemoryMailboxes, MemoryRouter
from tests.support.worker import ImmediateWorker

HOST = "pop.example.net"


def message(number: int, *fields: str, text: str = "text\n") -> bytes:
    """A message of its own."""
    lines = [f"Received: by {HOST} with SMTP id {number}", *fields, f"Message-ID: <{number}@example.net>", "Subject: x"]
    return "".join(f"{line}\n" for line in (*lines, "", text.rstrip("\n"))).encode()


class CollectingCase(TestCase):
    """Tests with a foreign box."""

    timeout = 30

    def setUp(self) -> None:
        """Open everything."""
        self.time = 1_800_000_000.0
        self.directory_path = self.mktemp()
        os.makedirs(self.directory_path)
        self.directory = MemoryDirectory()
        self.mailboxes: Any = MemoryMailboxes()
        self.checks: list[Any] = []
        self.ports: list[tuple[Box, Any]] = []
        self.open()

    def open(self) -> None:
        """Open the spool and the memory, as after a start."""
        self.spool = Spool(
            os.path.join(self.directory_path, "spool"),
            ImmediateWorker(),
            ImmediateWorker(),
            now=lambda: self.time,
            observer=lambda event: None,
        )
        self.successResultOf(Deferred.fromCoroutine(self.spool.open()))
        self.worker = ImmediateWorker()
        self.memory = UidMemory(os.path.join(self.directory_path, "collected"), self.worker, lambda: self.time)
        self.relay = ListRelayManager()
        self.journal = ListJournal()
        self.remembering: dict[str, Remembering] = {}

    async def restart(self) -> None:
        """End and begin, as a new process would."""
        await self.memory.close()
        await self.spool.close()
        self.open()

    async def tearDown(self) -> None:
        """Close everything."""
        for box, port in self.ports:
            await port.stopListening()
            for session in box.sessions:
                session.transport.abortConnection()
        await self.memory.close()
        await self.spool.close()

    def serve(self, *messages: bytes) -> Box:
        """A foreign server with these messages."""
        box = Box(*messages)
        self.listen(box)
        return box

    def listen(self, box: Box) -> None:
        """Let it be reached."""
        self.ports.append((box, reactor.listenTCP(0, box, interface="127.0.0.1")))

    def collector(self, box: Any, **settings: Any) -> Collector:
        """A collector for it; for alice, unless the settings say otherwise."""
        (port,) = [port.getHost().port for each, port in self.ports if each is box]
        values = {"account": "alice", "tls": "none", "username": "box", "password": "secret", "host": HOST, **settings}
        chosen = CollectorSettings(port=port, **values)
        site = Settings(hermes=HermesSettings("mail.example.org", ("example.org",), "bob@example.org"))
        router = MemoryRouter(self.directory)
        policy = RelayPolicy(self.directory, router, self.mailboxes, Access({}), site)
        writing = Writing("mail.example.org", 30, lambda: self.time, self.relay)
        premises = Premises(
            self.spool, self.directory, policy, ContentChecks(Pipeline(self.checks)), writing, 10_000_000
        )
        means = Means(
            reactor,
            lambda: self.time,
            Names(**{HOST: ("127.0.0.1",)}),
            getattr(self, "tokens", None),
            self.memory,
            self.directory,
            self.mailboxes,
            self.spool,
            self.journal,
            lambda: premises,
        )
        approach = Approach("mail.example.org", TLSMode.NONE, login=Login("box", chosen.password))
        return Collector("info", chosen, approach, site.hermes.postmaster, 1_000_000, means)

    async def collect(self, box: Any, *, dry: bool = False, **settings: Any) -> Report:
        """One session."""
        collector = self.collector(box, **settings)
        remembering = self.remembering.setdefault(collector.box, Remembering(collector.box, self.memory))
        report = Report()
        await collector.collect(remembering, report, dry=dry)
        return report

    async def stored(self) -> list[tuple[bytes, list[str]]]:
        """The octets of all messages in the queue, without our own lines, and their recipients."""
        found = []
        for one in await self.spool.select(None):
            content = await self.spool.content(one.queue_id)
            octets = content.data or b""
            start = octets.index(b"Received: by " + HOST.encode()) if HOST.encode() in octets[20:] else 0
            start = max(start, 0)
            found.append((octets[start:], [recipient.address for recipient in one.recipients]))
        return found

    async def queue_ids(self) -> list[str]:
        """All that is in the queue."""
        return [one.queue_id for one in await self.spool.select(None)]

    async def received(self, queue_id: str) -> Event:
        """The event with which a message began."""
        events = await self.spool.track(queue_id, 10)
        (event,) = [event for event in events if event.kind is Kind.RECEIVED]
        return event
