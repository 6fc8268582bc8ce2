"""
Before anything is delivered: an address that stands for others is replaced by these, in one durable transaction.

Whatever is at its ends: mailboxes here become recipients of the same message; other servers' addresses become recipients
of a message of its own, whose sender is rewritten so that the next server's look at the sender's policy (SPF) finds us; a text
is sent to the sender as an answer. A set of rules says which of these, and with which further header fields. So a crash finds
either the one address or everything in its place, and nothing twice.

What the sender asked to be told (RFC 3461 5.2.7): an address that stands for one other passes everything on (5.2.7.2); one that
stands for several passes it on without the wish to hear of success, for which the sender gets "expanded" at once (5.2.7.3 c).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs
from twisted.logger import Logger

from hermes.core.envelope import Recipient
from hermes.core.event import Event
from hermes.core.event import Kind as EventKind
from hermes.core.expansion import Expansion, Kind, Target
from hermes.core.message import NewMessage, QueuedMessage, QueuedRecipient, Replaced
from hermes.core.outcome import Outcome, Result
from hermes.core.printable import one_line
from hermes.core.report import Action, Fate
from hermes.core.rule_set import Act
from hermes.core.srs import SRS
from hermes.interfaces import IContentReader, IExpander, IRouter, IRuleSets, ISpool
from hermes.queue.answering import AnsweredLately, Answering
from hermes.queue.derived import MAX_TOLD_CHARACTERS, NEVER, event_of, original_of
from hermes.queue.discard import DISCARD
from hermes.queue.router import DISABLED, EXPAND, FORWARDING_LOOP, NO_SUCH_ADDRESS, NO_WAY
from hermes.queue.sending_on import SendingOn

#: The numbers of recipients that stand in the place of number n begin at (n + 1) * 2**20: more than an address may have
#: ends, and more than a message may have recipients, so no number is ever used twice in one message.
ORDINAL_BITS = 20

#: SQLite's integers have 63 bits. Nothing that was expanded is expanded again but by a change of the configuration.
_MAX_PARENT = 1 << 40

#: What the trace keeps of an expansion: a list of thousands must not be written out for each of its messages. The addresses
#: themselves are keys of the trace, all of them.
MAX_TOLD_LINES = 50

#: The words for the sender; the log has the administrator's.
_NO_END = f"{NO_WAY}:the address leads back to itself, or too far"

_NO_RULES = f"{NO_WAY}:the rules of this address cannot be carried out now"

_NO_TEXT = f"{NO_WAY}:the text that this address answers with cannot be read now"

#: How the sender of a message of whose expansion it wants to hear is told.
Telling = Callable[[QueuedMessage, Sequence[Fate]], Awaitable[list[NewMessage]]]


@attrs.define
class _Plan:
    """What is to be written down for one message."""

    replaced: list[Replaced] = attrs.field(factory=list)
    events: list[Event] = attrs.field(factory=list)
    messages: list[NewMessage] = attrs.field(factory=list)
    expanded: list[Fate] = attrs.field(factory=list)
    mailboxes: set[str] = attrs.field(factory=set)


class Expander:
    """
    Puts recipients into the place of addresses that stand for them.

    ``own_domains`` are those whose senders need not be rewritten, in lower case; ``srs`` rewrites the others, or is None; ``now``
    gives seconds since the epoch.
    """

    _log = Logger()

    def __init__(
        self,
        directory: IExpander,
        router: IRouter,
        spool: ISpool,
        reader: IContentReader,
        now: Callable[[], float],
        *,
        hostname: str,
        own_domains: Sequence[str],
        srs: Callable[[], SRS | None],
        answered: AnsweredLately,
        rules: IRuleSets,
    ) -> None:
        self._directory = directory
        self._spool = spool
        self._now = now
        self._rules = rules
        self._sending_on = SendingOn(router, reader, now, own_domains=own_domains, srs=srs)
        self._answering = Answering(router, reader, now, hostname=hostname, answered=answered)

    async def expand(self, message: QueuedMessage, tell: Telling) -> list[QueuedMessage] | None:
        """
        Replace the recipients whose destination says so, on disk and in the message; the messages that come of it.

        None when that cannot be done any more, because somebody has stopped the message or taken it away.
        """
        plan = _Plan()
        for recipient in message.recipients:
            agent, _, name = recipient.destination.partition(":")
            if agent in {"local", "mailbox"}:
                plan.mailboxes.add(name)
        for recipient in message.recipients:
            agent, _, name = recipient.destination.partition(":")
            if agent == EXPAND:
                await self._plan(plan, message, recipient, await self._directory.expand(name))
        if not plan.replaced:
            return []
        if plan.expanded:
            plan.messages += await tell(message, plan.expanded)
        queued = await self._spool.replace(message.queue_id, plan.replaced, plan.events, plan.messages)
        if queued is not None:
            gone = {each.ordinal for each in plan.replaced}
            message.recipients = [each for each in message.recipients if each.ordinal not in gone]
            message.recipients += [new for each in plan.replaced for new in each.recipients]
        return queued

    async def _plan(self, plan: _Plan, message: QueuedMessage, parent: QueuedRecipient, expansion: Expansion) -> None:
        if expansion.problem or parent.ordinal >= _MAX_PARENT:
            self._log.warn("{address}: {problem}", address=expansion.address, problem=expansion.problem or "too often")
            parent.destination = _NO_END
            return
        told = expansion.lines()
        acts = await self._acts(message, parent, expansion, told)
        if acts is None:
            parent.destination = _NO_RULES
            return
        outside = [act for act in acts if act.target.kind is Kind.OUTSIDE]
        if outside and await self._sending_on.has_passed(message, parent):
            parent.destination = FORWARDING_LOOP
            return
        try:
            texts = [
                (act.target, await self._answering.text(act.target))
                for act in acts
                if act.target.kind in {Kind.FILE, Kind.TEMPLATE}
            ]
        except OSError as error:
            self._log.error("{address} cannot be answered: {error}", address=parent.address, error=error)
            parent.destination = _NO_TEXT
            return
        notify = _passed_on(parent.notify) if len(acts) > 1 else parent.notify
        recipients, copies = self._recipients(plan, message, parent, acts, notify)
        if not acts:
            # By rules alone: the message is nobody's, and goes the way of all that a rule lets nobody have.
            recipients = [self._recipient(parent, 0, "", notify, f"{DISCARD}:the rules of {parent.address}")]
        plan.replaced.append(Replaced(parent.ordinal, tuple(recipients)))
        plan.events.append(event_of(self._now(), EventKind.EXPANDED, message, parent, {"reason": _told(told)}))
        if parent.notify is not None and "SUCCESS" in parent.notify and message.envelope.reverse_path:
            self._tell_success(plan, parent, max(len(acts), 1), carried=bool(recipients or copies or outside))
        plan.messages += copies
        plan.messages += await self._sending_on.messages(message, parent, outside, notify)
        for target, text in texts:
            answer = await self._answering.answer(message, parent, target, text)
            if isinstance(answer, Event):
                plan.events.append(answer)
            else:
                plan.messages.append(answer)

    async def _acts(
        self, message: QueuedMessage, parent: QueuedRecipient, expansion: Expansion, told: list[str]
    ) -> list[Act] | None:
        """All that the address leads to, with what its rules say in their place; None when they cannot be carried out."""
        acts: list[Act] = []
        for target in expansion.targets:
            if target.kind is not Kind.RULES:
                acts.append(Act(target))
                continue
            ran = await self._rules.run(target.value, message.content)
            if ran.problem:
                self._log.error("mail for {address} waits: {problem}", address=parent.address, problem=ran.problem)
                return None
            acts += ran.acts
            told += ran.told
        return acts

    def _recipients(
        self,
        plan: _Plan,
        message: QueuedMessage,
        parent: QueuedRecipient,
        acts: Sequence[Act],
        notify: frozenset[str] | None,
    ) -> tuple[list[QueuedRecipient], list[NewMessage]]:
        """Those who get the message as it is, and for those who get it with more fields a message each."""
        recipients, copies = [], []
        for number, act in enumerate(acts):
            target, destination = act.target, _destination(act.target)
            if target.kind is Kind.MAILBOX:
                if target.value in plan.mailboxes:
                    # One copy is enough, however many of the message's addresses lead to the mailbox.
                    continue
                plan.mailboxes.add(target.value)
            if destination and act.fields:
                facts = {"to": destination, "reason": "\n".join(act.fields)}
                to = Recipient(parent.address, notify, original_of(parent))
                ways = {parent.address: destination}
                copies.append(self._sending_on.derived(message, parent, act.fields, (to,), ways, facts))
            elif destination:
                recipients.append(self._recipient(parent, number, target.address, notify, destination))
        return recipients, copies

    def _recipient(
        self, parent: QueuedRecipient, number: int, address: str, notify: frozenset[str] | None, destination: str
    ) -> QueuedRecipient:
        ordinal = ((parent.ordinal + 1) << ORDINAL_BITS) + number
        return QueuedRecipient(
            ordinal, address or parent.address, notify, original_of(parent), destination, 0, self._now()
        )

    @staticmethod
    def _tell_success(plan: _Plan, parent: QueuedRecipient, targets: int, *, carried: bool) -> None:
        """What is told at once, unless the wish is passed on to the one in whose place another stands now."""
        if targets == 1 and carried:
            return
        # Where nobody is left to whom it could be delivered, a text answers: that is the end of its way (RFC 3461 5.2.3 a).
        action = Action.EXPANDED if targets > 1 else Action.DELIVERED
        outcome = Outcome(Result.DELIVERED, f"it stands for {targets} recipients", "2.0.0")
        plan.expanded.append(Fate(parent.address, parent.original, action, outcome))


def _told(lines: Sequence[str]) -> str:
    """The expansion, and the rules that fired, for the trace."""
    told = [one_line(line, MAX_TOLD_CHARACTERS) for line in lines[:MAX_TOLD_LINES]]
    if len(lines) > MAX_TOLD_LINES:
        told.append(f"and {len(lines) - MAX_TOLD_LINES} more lines: `hermes explain --to` shows all")
    return "\n".join(told)


def _passed_on(notify: frozenset[str] | None) -> frozenset[str] | None:
    """RFC 3461 5.2.7.3 c: without SUCCESS; who wanted to hear of nothing else wants to hear nothing."""
    if notify is None or "SUCCESS" not in notify:
        return notify
    return notify - {"SUCCESS"} or NEVER


def _destination(target: Target) -> str:
    """The destination of a recipient of the same message; empty for what is not one."""
    match target.kind:
        case Kind.MAILBOX:
            return f"mailbox:{target.value}"
        case Kind.PUBLIC:
            return f"public:{target.value}"
        case Kind.PROGRAM:
            return f"program:{target.value}"
        case Kind.NOBODY:
            return NO_SUCH_ADDRESS
        case Kind.DISABLED:
            return DISABLED
        case _:
            return ""
