"""A relay manager on a clock, with agents that do what a test says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from hermes.config.sections.queue import QueueSettings
from hermes.config.sections.reports import ReportsSettings
from hermes.core import address as addresses
from hermes.core.account import Account, Local, Remote, Resolution, Unknown
from hermes.core.envelope import Envelope, Recipient
from hermes.core.message import Content, QueuedMessage, QueuedRecipient
from hermes.core.outcome import Outcome, Result
from hermes.core.reply import Reply
from hermes.interfaces import IContentReader, IDeliveryAgent, IDirectory, IRouter, ISpool
from hermes.queue.destinations import Concurrency
from hermes.queue.expansion import Expander
from hermes.queue.relay import RelayManager
from hermes.queue.reporting import Reporting
from hermes.queue.router import Router
from tests.support.queue_spool import QueueSpool

#: The time of day when a test begins.
START = 1_700_000_000.0

DELIVERED = Outcome(Result.DELIVERED, "stored", "2.0.0")
RELAYED = Outcome(
    Result.RELAYED, "taken by mx.test", "2.0.0", Reply.of(250, "2.0.0", "ok"), "mx.test", "192.0.2.1:25", "TLSv1.3"
)
DEFERRED = Outcome.deferred("the server is busy", "4.3.2", reply=Reply.of(451, "4.3.2", "Busy"), host="mx.test")
FAILED = Outcome.failed("refused", "5.1.1", reply=Reply.of(550, "5.1.1", "No such user"), host="mx.test")

OCTETS = b"From: a@example.org\nSubject: test\n\nbody\n"


@attrs.define(eq=False)
class Attempt:
    """One call of an agent; ``answer`` ends it."""

    next_hop: str
    message: QueuedMessage
    recipients: list[QueuedRecipient]
    done: Deferred[list[Outcome]]
    cancelled: bool = False

    def answer(self, outcome: Outcome) -> None:
        """The same outcome for all recipients."""
        self.done.callback([outcome] * len(self.recipients))

    @property
    def addresses(self) -> list[str]:
        """The recipients' addresses."""
        return [each.address for each in self.recipients]


@implementer(IDeliveryAgent)
class ScriptedAgent:
    """
    Answers at once with what ``outcomes`` has for the next hop (or ``default``), and waits for the test where ``hangs`` says so.

    ``attempts`` holds all calls; ``most_at_once`` the greatest number that ran together, for each next hop.
    """

    def __init__(self, default: Outcome = DELIVERED) -> None:
        self.default = default
        self.outcomes: dict[str, Outcome | Exception | list[Outcome]] = {}
        self.hangs: Callable[[str], bool] = lambda _: False
        self.attempts: list[Attempt] = []
        self.drained: list[bool] = []
        self.running: list[Attempt] = []
        self.most_at_once: dict[str, int] = {}

    async def deliver(
        self, next_hop: str, message: QueuedMessage, recipients: Sequence[QueuedRecipient]
    ) -> list[Outcome]:
        """As scripted."""
        assert message.content.data is not None
        attempt = Attempt(next_hop, message, list(recipients), Deferred(lambda _: setattr(attempt, "cancelled", True)))
        self.attempts.append(attempt)
        self.drained.append(recipients[0].drained)
        self.running.append(attempt)
        together = sum(1 for each in self.running if each.next_hop == next_hop)
        self.most_at_once[next_hop] = max(together, self.most_at_once.get(next_hop, 0))
        try:
            if self.hangs(next_hop):
                return await attempt.done
            outcome = self.outcomes.get(next_hop, self.default)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome if isinstance(outcome, list) else [outcome] * len(recipients)
        finally:
            self.running.remove(attempt)


@implementer(IDirectory)
class SmallDirectory:
    """example.org is here, with the mailboxes in ``names``; everything else is elsewhere."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.disabled: set[str] = set()
        self.fault: Exception | None = None

    async def resolve(self, address: str) -> Resolution:
        """By domain and name."""
        if self.fault is not None:
            raise self.fault
        local_part, domain = addresses.split(address)
        if domain != "example.org":
            return Remote(domain)
        name = local_part.lower()
        if name in self.disabled:
            return Unknown(address, disabled=True)
        return Local(Account(name, (address,))) if name in self.names else Unknown(address)

    async def account(self, name: str) -> Account | None:
        """Not asked by the queue."""
        raise AssertionError

    async def verify(self, name: str, password: str) -> Account | None:
        """Not asked by the queue."""
        raise AssertionError


@implementer(IContentReader)
class MemoryReader:
    """Reads content that is in memory, in small pieces; ``faults`` are raised first."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []

    async def chunks(self, content: Content, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Pieces of 10,000 octets."""
        if self.faults:
            raise self.faults.pop(0)
        assert content.data is not None
        for start in range(offset, len(content.data), 10_000):
            yield content.data[start : start + 10_000]


class Site:
    """Everything that a relay manager needs, and the manager."""

    def __init__(
        self,
        settings: QueueSettings | None = None,
        limits: Mapping[str, Concurrency] | None = None,
        postmaster: str = "postmaster@example.org",
        reporting: Reporting | None = None,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1)
        self.spool = QueueSpool(self.now)
        self.directory = SmallDirectory("a", "bob", "carol", "postmaster")
        self.local = ScriptedAgent()
        self.direct = ScriptedAgent(RELAYED)
        self.settings = settings or QueueSettings()
        self.limits = limits or {"local": Concurrency(20, 10), "direct": Concurrency(20, 4)}
        self.postmaster = postmaster
        # Most tests are about what senders are told.
        self.reporting = reporting or Reporting(ReportsSettings(double_bounces=False))
        reader = MemoryReader()
        self.reader_faults = reader.faults
        self.use(self.spool, reader)

    def use(self, spool: ISpool, reader: IContentReader) -> None:
        """Make a manager with this store."""
        self._used_spool = spool
        self.reader = reader
        self.manager = self.make_manager()

    def make_manager(self) -> RelayManager:
        """A manager as after a restart: nothing but the spool remembers."""
        return self.manager_with(Router(self.directory, direct_enabled=True, postmaster=self.postmaster))

    def manager_with(
        self, router: IRouter, agents: Mapping[str, IDeliveryAgent] | None = None, expander: Expander | None = None
    ) -> RelayManager:
        """One that goes by this router, with more agents than ours."""
        return RelayManager(
            self._used_spool,
            router,
            {"local": self.local, "direct": self.direct, **(agents or {})},
            self.settings,
            self.clock,
            now=self.now,
            random=Random(1),
            reader=self.reader,
            hostname="mail.example.org",
            postmaster=self.postmaster,
            limits=self.limits,
            reporting=self.reporting,
            own_domains=("example.org",),
            expander=expander,
        )

    def now(self) -> float:
        """The time of day."""
        return START + self.clock.seconds()

    def message(
        self,
        *recipients: Recipient | str,
        sender: str = "a@example.org",
        octets: bytes = OCTETS,
        account: str | None = None,
        **envelope: Any,
    ) -> QueuedMessage:
        """A message that has just become durable, routed as at acceptance."""
        named = tuple(each if isinstance(each, Recipient) else Recipient(each) for each in recipients)
        message = self.spool.add(
            Envelope(sender, named, **envelope),
            [self.destination(each.address) for each in named],
            octets,
            "<m@example.org>",
        )
        message.origin = attrs.evolve(message.origin, account=account)
        self.spool.messages[message.queue_id].origin = message.origin
        return message

    @staticmethod
    def destination(address: str) -> str:
        """As the router says for mailboxes here and for domains elsewhere."""
        local_part, domain = addresses.split(address)
        return f"local:{local_part.lower()}" if domain == "example.org" else f"direct:{domain}"

    def accept(self, *recipients: Recipient | str, **more: Any) -> str:
        """A message comes in; its queue id."""
        message = self.message(*recipients, **more)
        self.manager.accepted(message)
        return message.queue_id

    @property
    def active(self) -> int:
        """How many messages are active."""
        return int(str(self.manager.describe()["active"]))

    def advance(self, seconds: float, steps: int = 1) -> None:
        """Let time pass, in steps."""
        for _ in range(steps):
            self.clock.advance(seconds / steps)
