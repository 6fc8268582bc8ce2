"""
A message that a collector fetches, on its way into the spool: for whom it is, and the same checks as for one that came by SMTP.

Its header is held until it is whole, for it tells the recipients; everything else streams through.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs
from zope.interface import implementer

from hermes.core import envelope_traces
from hermes.core.account import Account, Local, Redirected
from hermes.core.address import key
from hermes.core.envelope import BodyType, Origin, Recipient
from hermes.core.header import Header
from hermes.core.header_facts import MAX_HEADER_OCTETS, header_end
from hermes.core.outcome import Verdict
from hermes.core.policy import Case, Stage
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.interfaces import IDirectory, IIncomingMessage, IPolicy
from hermes.services.reception import Premises, Reception
from hermes.services.session_checks import judged


@implementer(IPolicy)
class ContentChecks:
    """The checks of headers and messages alone: whom a collector speaks to says nothing about whom a message is from."""

    def __init__(self, checks: IPolicy) -> None:
        self._checks = checks

    def wanted(self, stage: Stage) -> bool:
        """True for stages that look at what a message holds."""
        return stage in (Stage.HEADER, Stage.MESSAGE) and self._checks.wanted(stage)

    async def judge(self, case: Case) -> Verdict:
        """Ask them."""
        return await judged(self._checks, case)


class Fate(enum.Enum):
    """What becomes of a message that does not go into the spool."""

    RENAMED = "renamed"  #: we have it, under another unique id
    DUPLICATE = "duplicate"  #: every recipient has had a copy
    REFUSED = "refused"  #: a check does not want it
    LATER = "later"  #: it cannot be taken now


@attrs.frozen
class Turned:
    """A message that does not go into the spool, and why; ``renamed_from`` is its old unique id."""

    fate: Fate
    reason: str = ""
    renamed_from: str = ""
    rule: str = ""


@attrs.frozen
class Distribution:
    """For whom the mail of one box is: one account, or whoever ``headers`` name, or else ``default``."""

    account: str
    headers: tuple[str, ...]
    default: str
    postmaster: str


class Addressing:
    """Finds the recipients of messages."""

    def __init__(self, distribution: Distribution, directory: IDirectory) -> None:
        self._distribution = distribution
        self._directory = directory

    async def recipients(self, header: Header) -> list[str]:
        """The addresses of ours that a message is for, to be tried one list after the other; empty when nobody can have it."""
        distribution = self._distribution
        if distribution.account:
            return await self._addresses(distribution.account)
        for group in envelope_traces.candidates(header, distribution.headers):
            own = {key(one): one for one in group if await self._is_ours(one)}
            if own:
                return list(own.values())
        return []

    async def fallbacks(self) -> list[str]:
        """Who gets what is for nobody: the default, then the postmaster."""
        distribution = self._distribution
        if distribution.account:
            return []
        named = await self._addresses(distribution.default) if distribution.default else []
        return [*named, *([distribution.postmaster] if distribution.postmaster else [])]

    async def _addresses(self, name: str) -> list[str]:
        """The address of an account, or the address itself."""
        if "@" in name:
            return [name]
        account: Account | None = await self._directory.account(name)
        return list(account.addresses[:1]) if account is not None else []

    async def _is_ours(self, address: str) -> bool:
        try:
            resolution = await self._directory.resolve(address)
        except ValueError:
            return False
        return isinstance(resolution, Local) or (isinstance(resolution, Redirected) and not resolution.problem)


@attrs.define
class Source:
    """Where the messages of one session come from."""

    listener: str
    host: str
    peer: str
    tls: str | None
    trusted: bool

    def transaction(self, reverse_path: str, uid: str) -> Transaction:
        """A transaction for one message."""
        origin = Origin("POP3", self.peer, self.host, self.tls)
        visit = Visit(
            self.peer, self.listener, hello=self.host, tls=self.tls, relays=self.listener if self.trusted else ""
        )
        facts = {"collector": self.listener.partition(":")[2], "host": self.host, "uid": uid}
        return Transaction(
            origin, self.listener, False, reverse_path, body=BodyType.EIGHT_BIT, visit=visit, facts=facts
        )


class CollectedMessage:
    """One message. :meth:`write` what comes, :meth:`decide` when :attr:`undecided`, and :meth:`finish` or :meth:`abort`."""

    def __init__(self, uid: str, source: Source, addressing: Addressing, premises: Premises) -> None:
        self.uid = uid
        self.mark = b""
        self.copy = b""
        self.header: Header | None = None
        self.turned: Turned | None = None
        self.recipients: list[str] = []
        self.octets = 0
        self._source = source
        self._addressing = addressing
        self._premises = premises
        self._held = bytearray()
        self._searched = 0
        self._transaction: Transaction | None = None
        self._message: IIncomingMessage | None = None

    @property
    def queue_id(self) -> str:
        """The id that it has here."""
        return self._message.queue_id if self._message is not None else ""

    @property
    def congested(self) -> bool:
        """True when :meth:`drained` should be awaited before more is written."""
        return self._message is not None and bool(self._message.congested)

    def write(self, octets: bytes) -> bool:
        """Take octets; true when the header is whole, and :meth:`read_header` and :meth:`begin` are to follow."""
        self.octets += len(octets)
        if self._message is not None:
            self._message.write(octets)
            return False
        if self.turned is not None:
            return False
        self._held += octets
        if self.header is not None:
            return False
        whole = header_end(self._held, self._searched) >= 0 or len(self._held) >= MAX_HEADER_OCTETS
        self._searched = len(self._held)
        return whole

    def read_header(self) -> None:
        """Look at the header, as much of it as there is."""
        end = header_end(self._held)
        octets = bytes(self._held[:end] if end >= 0 else self._held)
        self.header = Header(octets, whole=end >= 0)
        self.mark = envelope_traces.mark(octets)

    def turn(self, turned: Turned) -> None:
        """It does not go into the spool: what comes of it is thrown away."""
        self.turned = turned
        self._held.clear()
        if self._message is not None:
            self._message.abort()
            self._message = None

    async def begin(self, had: Sequence[str] | set[str] = ()) -> None:
        """Find the recipients, without those who ``had`` a copy, and begin to write; or :attr:`turned` says why not."""
        header = self.header
        assert header is not None
        transaction = self._source.transaction(envelope_traces.reverse_path(header), self.uid)
        reception = Reception(None, self._premises)
        found = await self._addressing.recipients(header)
        wanted = [one for one in found if key(one) not in had]
        if found and not wanted:
            self.turn(Turned(Fate.DUPLICATE, f"{', '.join(found)} has it already"))
            return
        refusals: list[Verdict] = []
        # Those who should have had it, for the trace; those who get it when it begins.
        self.recipients = wanted
        for one in wanted:
            await self._admit(reception, transaction, one, refusals)
        if not transaction.recipients and not refusals:
            # Nobody is named here, and nobody else is guessed.
            for one in await self._addressing.fallbacks():
                self.recipients = [*self.recipients, one]
                if await self._admit(reception, transaction, one, refusals):
                    break
        if not transaction.recipients or any(_is_temporary(one) for one in refusals):
            # Whoever has room could have it now, but then it would have to come twice.
            self.turn(turned_by(refusals))
            return
        message = await reception.begin(transaction)
        if isinstance(message, Verdict):
            self.turn(turned_by([message]))
            return
        self.recipients = [one.address for one in transaction.recipients]
        self._transaction, self._message = transaction, message
        held, end = bytes(self._held), len(header.octets)
        self._held.clear()
        message.write(envelope_traces.without_return_path(held[:end]) + held[end:])

    async def _admit(
        self, reception: Reception, transaction: Transaction, address: str, refusals: list[Verdict]
    ) -> bool:
        recipient = Recipient(address)
        verdict, destination = await reception.recipient(transaction, recipient)
        if not verdict.accepted:
            refusals.append(verdict)
            return False
        transaction.recipients.append(recipient)
        transaction.destinations[address] = destination
        return True

    async def drained(self) -> None:
        """Wait until what was taken has been written."""
        if self._message is not None:
            await self._message.drained()

    async def finish(self, wire_octets: int) -> Turned | None:
        """Make it durable; None when that was done."""
        assert self._message is not None
        verdicts = await self._message.finish(wire_octets)
        return None if any(verdict.accepted for verdict in verdicts) else turned_by(verdicts)

    def abort(self) -> None:
        """Forget it; harmless after the end."""
        if self._message is not None:
            self._message.abort()


def _is_temporary(verdict: Verdict) -> bool:
    return verdict.reply is not None and not verdict.reply.is_permanent


def turned_by(verdicts: Sequence[Verdict]) -> Turned:
    """What refusals come to: for good only if all are."""
    later = [verdict for verdict in verdicts if _is_temporary(verdict)]
    if not verdicts:
        return Turned(Fate.LATER, "nobody here can have it: write default, or [hermes] postmaster")
    verdict = later[0] if later else verdicts[0]
    reason = verdict.reason or str(verdict.reply)
    return Turned(Fate.LATER if later else Fate.REFUSED, reason, rule=verdict.rule)
