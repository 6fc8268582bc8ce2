"""
A message over an open session, in as many transactions as the server's limits ask for; and over one address after another
until nothing is left that another one could take.

RFC 5321 4.5.3.1.8 and 4.5.3.1.10 (recipients of one transaction), 5.1 (the next address), RFC 9422 (limits that are announced).
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from hermes.core.address import domain_of
from hermes.core.envelope import Recipient
from hermes.core.message import QueuedMessage, QueuedRecipient, Signature
from hermes.core.outcome import FAULT, STOPPED, Outcome, Result
from hermes.core.remote_id import remote_queue_id
from hermes.interfaces import IContentReader, ISigner
from hermes.net.client_session import ClientSession, Setback
from hermes.net.outgoing import Target
from hermes.protocols.smtp.capabilities import Capabilities
from hermes.protocols.smtp.client_events import Peer, Stage
from hermes.protocols.smtp.transaction import Parcel
from hermes.services.connection_cache import ConnectionCache
from hermes.services.patience import SILENCE_SECONDS, Patience

#: RFC 3463 3.5: a routing loop was detected.
LOOP = "5.4.6"


@attrs.define
class Consignment:
    """
    A message on its way to some recipients.

    ``outcomes`` holds what is known of each; ``waiting`` lists those (by position) that may still be tried, here or elsewhere.
    ``shut`` says that no other address of this host may be tried. ``signature`` goes in front of it. ``target`` is being tried,
    in the visit of that number, over ``session`` when one is open.
    """

    message: QueuedMessage
    recipients: Sequence[QueuedRecipient]
    outcomes: list[Outcome | None] = attrs.field(init=False)
    waiting: list[int] = attrs.field(init=False)
    shut: bool = attrs.field(init=False, default=False)
    signature: Signature | None = attrs.field(init=False, default=None)
    target: Target | None = attrs.field(init=False, default=None)
    session: ClientSession | None = attrs.field(init=False, default=None)
    visits: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self.outcomes = [None] * len(self.recipients)
        self.waiting = list(range(len(self.recipients)))

    def set_back(self, outcome: Outcome) -> None:
        """A host did not come to the message at all. As long as one of them may still take it, no refusal is final."""
        for position in self.waiting:
            known = self.outcomes[position]
            if known is None or known.result is not Result.DEFERRED or outcome.result is Result.DEFERRED:
                self.outcomes[position] = outcome

    def progress(self) -> tuple[int, int] | None:
        """
        How far it is, for :class:`hermes.services.patience.Patience`. None from the first octet of the message on: who is cut off
        then may have taken it, and it would be sent twice.
        """
        if self.session is None:
            return self.visits, 0
        return None if self.session.stage in {Stage.CONTENT, Stage.FINAL} else (self.visits, self.session.replies)

    def not_reached(self, last: Outcome) -> None:
        """The server ended the transactions before the turn of some came; ``last`` is what it said to another one."""
        for position in self.waiting:
            if self.outcomes[position] is None:
                reason = f"{last.host} took no more recipients: {last.reason}"
                self.outcomes[position] = attrs.evolve(last, result=Result.DEFERRED, reason=reason, status="4.5.3")

    def broken_off(self, outcome: Outcome) -> bool:
        """
        Nobody else is tried; whose turn had not come gets this outcome. False when nothing is decided about anybody.

        What is decided has to be written down: whoever has the message would get it again.
        """
        if len(self.waiting) == len(self.recipients):
            return False
        self.outcomes = [known or outcome for known in self.outcomes]
        self.waiting.clear()
        return True

    def result(self) -> list[Outcome]:
        """One outcome for each recipient."""
        missing = Outcome.deferred("the connection ended before it was this recipient's turn", "4.4.2")
        return [outcome or missing for outcome in self.outcomes]


#: Opens a session to a target.
Opener = Callable[[Target], Awaitable[ClientSession | Setback]]


class Transfer:
    """
    Carries messages over the connections of one agent.

    ``signer`` signs them, as ``reader`` gives them; ``author`` is the address that it has put into their From field, or empty;
    ``broke`` is told of a place whose connection broke, or hung, before it had said anything about a message; ``patience`` ends
    attempts that are silent for too long.
    """

    _log = Logger()

    def __init__(
        self,
        reader: IContentReader,
        connections: ConnectionCache,
        open_session: Opener,
        signer: ISigner | None = None,
        *,
        author: str = "",
        broke: Callable[[Target], object] = lambda target: None,
        patience: Patience | None = None,
    ) -> None:
        self._reader = reader
        self._connections = connections
        self._open_session = open_session
        self._signer = signer
        self._author = author
        self._broke = broke
        self._patience = patience

    async def run(self, targets: Iterable[Target], consignment: Consignment) -> None:
        """Try one target after another while recipients are waiting; a fault, or the stop, undoes nothing that is decided."""
        try:
            await self._run_signed(targets, consignment)
        except CancelledError:
            if not consignment.broken_off(STOPPED):
                raise
        except Exception:
            if not consignment.broken_off(FAULT):
                raise
            queue_id = consignment.message.queue_id
            self._log.failure("The attempt for {queue_id} had a fault after a part of it was done", queue_id=queue_id)

    async def _run_signed(self, targets: Iterable[Target], consignment: Consignment) -> None:
        if self._signer is None:
            await self._run(targets, consignment)
            return
        message = consignment.message
        # Before anybody is connected to, because a large message takes seconds.
        consignment.signature = await self._signer.sign(message, lambda: self._octets(message), self._author)
        await self._run(targets, consignment)
        if any(outcome is None or outcome.result is Result.DEFERRED for outcome in consignment.outcomes):
            await self._signer.keep(message, self._author)

    async def _run(self, targets: Iterable[Target], consignment: Consignment) -> None:
        trial = self._try(targets, consignment)
        if self._patience is None:
            await trial
        elif not await self._patience.spend(trial, consignment.progress) and (target := consignment.target) is not None:
            self._broke(target)
            why = f"no answer within {SILENCE_SECONDS:g} seconds, while many other servers keep us waiting"
            # RFC 3463 3.5: 4.4.1, no answer from host.
            peer = Peer(target.host, target.location)
            consignment.set_back(peer.deferred(f"{target.host} at {target.location} gave {why}", "4.4.1"))

    async def _try(self, targets: Iterable[Target], consignment: Consignment) -> None:
        for target in targets:
            while await self._visit(target, consignment):
                pass  # the connection was used up, or had gone stale: this target has not had its say
            if not consignment.waiting or consignment.shut:
                return

    async def _visit(self, target: Target, consignment: Consignment) -> bool:
        """Use one connection; True when another one to the same target should follow."""
        consignment.target, consignment.session = target, None
        consignment.visits += 1
        kept = self._connections.take(target)
        if kept is None:
            session = await self._open_session(target)
            if not isinstance(session, ClientSession):
                consignment.set_back(session.outcome)
                if session.stage is Stage.LOGIN:
                    # Every address of the host has the same accounts.
                    consignment.shut = True
                if session.outcome.status == LOOP:
                    # Behind ourselves nobody may be tried (RFC 5321 5.1).
                    consignment.waiting.clear()
                return False
            self._connections.opened(target, session)
        else:
            session = kept
        before = list(consignment.waiting)
        consignment.session = session
        try:
            refused = await self._send(session, consignment)
        except BaseException:
            self._connections.discard(session)
            raise
        ended = session.ended
        self._connections.give_back(session)
        progress = len(consignment.waiting) < len(before)
        if kept is None and ended and not _has_spoken(consignment.outcomes[position] for position in before):
            self._broke(target)
        # A kept connection may have gone stale, which says nothing about the server; a new one may be used up half-way.
        # Each round ends a kept connection or decides about a recipient, so this comes to an end.
        return bool(consignment.waiting) and (
            (kept is not None and ended and not progress) or (progress and not refused)
        )

    async def _send(self, session: ClientSession, consignment: Consignment) -> bool:
        """Run transactions until all who wait have been offered to this server; True when it does not want any more now."""
        todo = deque(consignment.waiting)
        while todo and session.usable:
            group = take_group(todo, consignment.recipients, session.capabilities)
            parcel, began = self._parcel(consignment, group), session.age_seconds
            done = await session.deliver(parcel, self._chunks(consignment))
            took = round(session.age_seconds - began, 3)
            again = {group[index] for index in done.again}
            decided = set()
            for position, outcome in zip(group, done.outcomes, strict=True):
                consignment.outcomes[position] = _noted(outcome, consignment.signature, parcel.octets, took)
                if outcome.result is not Result.DEFERRED or not (done.elsewhere or position in again):
                    decided.add(position)
            consignment.waiting = [position for position in consignment.waiting if position not in decided]
            todo.extend(position for position in group if position in again)
            if done.elsewhere:
                # What this server does not want now, it will not want from the next group either.
                # What it said of this server, and not of a recipient who was refused for good, if there is any such word.
                deferred = (each for each in reversed(done.outcomes) if each.result is Result.DEFERRED)
                consignment.not_reached(next(deferred, done.outcomes[-1]))
                return True
        return False

    def _octets(self, message: QueuedMessage) -> AsyncGenerator[bytes, None]:
        """What is sent of a message, in its stored form."""
        chunks: AsyncGenerator[bytes, None] = self._reader.chunks(message.content, message.content.prefix_octets)
        return chunks

    def _chunks(self, consignment: Consignment) -> AsyncGenerator[bytes, None]:
        """The same with the signature in front, where there is one."""
        signature = consignment.signature
        return self._octets(consignment.message) if signature is None else self._signed(consignment, signature)

    async def _signed(self, consignment: Consignment, signature: Signature) -> AsyncGenerator[bytes, None]:
        yield _wire_lines(signature) if consignment.message.content.binary else signature.lines
        async with aclosing(self._octets(consignment.message)) as pieces:
            async for piece in pieces:
                yield piece

    @staticmethod
    def _parcel(consignment: Consignment, group: Sequence[int]) -> Parcel:
        message = consignment.message
        content = message.content
        recipients = tuple(
            Recipient(recipient.address, recipient.notify, recipient.original)
            for recipient in (consignment.recipients[position] for position in group)
        )
        octets = content.size_octets - content.prefix_octets if content.binary else content.wire_octets
        octets += len(_wire_lines(consignment.signature))
        return Parcel(message.envelope, recipients, octets, content.binary)


def _has_spoken(outcomes: Iterable[Outcome | None]) -> bool:
    """Whether a server has said anything about a message, other than that it is too busy (421)."""
    return any(outcome is not None and outcome.reply is not None and outcome.reply.code != 421 for outcome in outcomes)


def _noted(outcome: Outcome, signature: Signature | None, octets: int, seconds: float) -> Outcome:
    """With what the trace tells of a message that another server has taken."""
    if outcome.result is not Result.RELAYED or outcome.reply is None:
        return outcome
    signed = None if signature is None else signature.names
    remote_id = remote_queue_id(outcome.reply.text) or None
    return attrs.evolve(outcome, signed=signed, octets=octets, seconds=seconds, remote_id=remote_id)


def _wire_lines(signature: Signature | None) -> bytes:
    return b"" if signature is None else signature.lines.replace(b"\n", b"\r\n")


def take_group(todo: deque[int], recipients: Sequence[QueuedRecipient], capabilities: Capabilities) -> list[int]:
    """Take the recipients of the next transaction: as many, and in as many domains, as the server takes at once."""
    group: list[int] = []
    domains: set[str] = set()
    passed: list[int] = []
    while todo and len(group) < capabilities.max_recipients:
        position = todo.popleft()
        domain = domain_of(recipients[position].address)
        if capabilities.max_domains is not None and domain not in domains and len(domains) >= capabilities.max_domains:
            passed.append(position)
            continue
        domains.add(domain)
        group.append(position)
    todo.extendleft(reversed(passed))
    return group
