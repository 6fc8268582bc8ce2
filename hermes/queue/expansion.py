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

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial

import attrs
from twisted.logger import Logger

from hermes.core import address as addresses
from hermes.core.answer import MAX_TEXT_OCTETS, Asked, compose, fields, why_not
from hermes.core.envelope import BodyType, Envelope, Origin, Recipient
from hermes.core.event import Event
from hermes.core.event import Kind as EventKind
from hermes.core.expansion import Expansion, Kind, Target
from hermes.core.header_facts import MAX_HEADER_OCTETS
from hermes.core.message import Content, NewMessage, QueuedMessage, QueuedRecipient, Replaced, Rest
from hermes.core.outcome import Outcome, Result
from hermes.core.printable import one_line
from hermes.core.report import Action, Fate
from hermes.core.rule_set import Act
from hermes.core.srs import SRS
from hermes.interfaces import IContentReader, IExpander, IRouter, IRuleSets, ISpool
from hermes.queue.discard import DISCARD
from hermes.queue.reporting import Allowance
from hermes.queue.router import DISABLED, EXPAND, FORWARDING_LOOP, NO_SUCH_ADDRESS, NO_WAY

#: The numbers of recipients that stand in the place of number n begin at (n + 1) * 2**20: more than an address may have
#: ends, and more than a message may have recipients, so no number is ever used twice in one message.
ORDINAL_BITS = 20

#: SQLite's integers have 63 bits. Nothing that was expanded is expanded again but by a change of the configuration.
_MAX_PARENT = 1 << 40

#: A sender who writes to the same address again gets no second answer for so long.
ANSWER_PAUSE_SECONDS = 3600.0

#: Answers that are remembered.
MAX_REMEMBERED = 10_000

#: Answers an hour to mail that came without a login. Its senders may be forged, another one in each message, and then the answers
#: are a flood of ours: so many go out in the name of one address, more than people write to it; so many to one sender, and ten
#: times as many to a domain, as of reports.
MAX_ANSWERS = 1000
MAX_ANSWERS_TO_ONE = 60

#: What the trace keeps of an expansion: a list of thousands must not be written out for each of its messages. The addresses
#: themselves are keys of the trace, all of them.
MAX_TOLD_LINES = 50
MAX_TOLD_CHARACTERS = 300

_SECONDS_A_DAY = 86400

_NEVER = frozenset({"NEVER"})

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


class AnsweredLately:
    """Who has been answered, and how many, in memory: a restart may answer somebody twice."""

    def __init__(self) -> None:
        self._at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._from, self._to = Allowance(), Allowance()

    def why_not(self, address: str, sender: str, now: float, *, logged_in: bool) -> str:
        """Why that sender must not be answered for that address now; empty when it may be, which is then remembered."""
        who = (addresses.key(address), addresses.key(sender))
        if now - self._at.get(who, -ANSWER_PAUSE_SECONDS) < ANSWER_PAUSE_SECONDS:
            return "the sender has had the answer already"
        # Who has logged in sends with no other address than its own.
        if not logged_in and not self._to.take(sender, now, MAX_ANSWERS_TO_ONE):
            return "the sender or its domain has had as many answers as it may in an hour"
        if not logged_in and not self._from.take(address, now, MAX_ANSWERS):
            return f"the address has given {MAX_ANSWERS} answers in an hour"
        self._at[who] = now
        self._at.move_to_end(who)
        if len(self._at) > MAX_REMEMBERED:
            self._at.popitem(last=False)
        return ""


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
        self._router = router
        self._spool = spool
        self._reader = reader
        self._now = now
        self._hostname = hostname
        self._own_domains = frozenset(own_domains)
        self._srs = srs
        self._answered = answered
        self._rules = rules

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
        if outside and await self._has_passed(message, parent):
            parent.destination = FORWARDING_LOOP
            return
        try:
            texts = [
                (act.target, await self._text(act.target))
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
        plan.events.append(self._event(EventKind.EXPANDED, message, parent, {"reason": _told(told)}))
        if parent.notify is not None and "SUCCESS" in parent.notify and message.envelope.reverse_path:
            self._tell_success(plan, parent, max(len(acts), 1), carried=bool(recipients or copies or outside))
        plan.messages += copies
        for near, added in dict.fromkeys((self._is_near(act), act.fields) for act in outside):
            targets = [act.target for act in outside if (self._is_near(act), act.fields) == (near, added)]
            plan.messages.append(await self._sent_on(message, parent, targets, notify, added, near=near))
        for target, text in texts:
            await self._answer(plan, message, parent, target, text)

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
                to = Recipient(parent.address, notify, _original(parent))
                ways = {parent.address: destination}
                copies.append(self._derived(message, parent, act.fields, (to,), ways, facts))
            elif destination:
                recipients.append(self._recipient(parent, number, target.address, notify, destination))
        return recipients, copies

    def _recipient(
        self, parent: QueuedRecipient, number: int, address: str, notify: frozenset[str] | None, destination: str
    ) -> QueuedRecipient:
        ordinal = ((parent.ordinal + 1) << ORDINAL_BITS) + number
        return QueuedRecipient(
            ordinal, address or parent.address, notify, _original(parent), destination, 0, self._now()
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

    # To other servers

    async def _has_passed(self, message: QueuedMessage, parent: QueuedRecipient) -> bool:
        """True when the message says that it has been sent on from this address before."""
        here = addresses.key(parent.address)
        beginning = await self._beginning(message)
        return any(
            name == "delivered-to" and addresses.key(text.strip("<> ")) == here for name, text in fields(beginning)
        )

    async def _beginning(self, message: QueuedMessage) -> bytes:
        beginning = b""
        async with aclosing(self._reader.chunks(message.content, message.content.prefix_octets)) as pieces:
            async for piece in pieces:
                beginning += piece
                if len(beginning) >= MAX_HEADER_OCTETS:
                    break
        return beginning[:MAX_HEADER_OCTETS]

    def _is_near(self, act: Act) -> bool:
        """Whether rules send it to an address of ours: the next server is this one, and the sender may stay."""
        return addresses.domain_of(act.target.address) in self._own_domains

    async def _sent_on(
        self,
        message: QueuedMessage,
        parent: QueuedRecipient,
        outside: list[Target],
        notify: frozenset[str] | None,
        added: Sequence[str],
        *,
        near: bool,
    ) -> NewMessage:
        envelope = message.envelope
        reverse_path = envelope.reverse_path if near else self._sender(envelope.reverse_path)
        recipients = tuple(Recipient(target.address, notify, _original(parent)) for target in outside)
        account = message.origin.account
        destinations = {
            target.address: await self._router.route(target.address, reverse_path, account or "") for target in outside
        }
        lines = [f"Delivered-To: {one_line(parent.address, 254)}", *added]
        if any(target.forwarded for target in outside):
            # What Mercury's own lists and answers know a forwarded message by.
            lines.append("X-Autoforward: 1")
        to = one_line(", ".join(target.address for target in outside), MAX_TOLD_CHARACTERS)
        facts = {"to": to, "sender": reverse_path} if reverse_path != envelope.reverse_path else {"to": to}
        return self._derived(message, parent, lines, recipients, destinations, facts, reverse_path)

    def _derived(
        self,
        message: QueuedMessage,
        parent: QueuedRecipient,
        lines: Sequence[str],
        recipients: tuple[Recipient, ...],
        destinations: dict[str, str],
        facts: dict[str, str],
        reverse_path: str | None = None,
    ) -> NewMessage:
        """The message with further lines on top, as a message of its own; from another sender, if one is given."""
        envelope, content = message.envelope, message.content
        sender = envelope.reverse_path if reverse_path is None else reverse_path
        newline = "\r\n" if envelope.body is BodyType.BINARY else "\n"
        octets = "".join(line + newline for line in lines).encode("utf-8", "replace")
        return NewMessage(
            attrs.evolve(envelope, reverse_path=sender, recipients=recipients),
            octets,
            destinations,
            message.message_id,
            # It goes the way of the account that sent it, also when it is tried again.
            # Not "local": it is not what this server says, and gets no signature of ours unless an account sent it.
            Origin("forward", account=message.origin.account),
            rest=Rest(partial(self._reader.chunks, content, content.prefix_octets), content.wire_octets),
            facts={"sent_on_from": message.queue_id},
            told_by=self._event(EventKind.FORWARDED, message, parent, facts),
        )

    def _sender(self, reverse_path: str) -> str:
        srs = self._srs()
        # Our own domains say that we may send for them, and reports come from nobody.
        if srs is None or not reverse_path or addresses.domain_of(reverse_path) in self._own_domains:
            return reverse_path
        return srs.forward(reverse_path, int(self._now() // _SECONDS_A_DAY))

    # To the sender

    async def _answer(
        self, plan: _Plan, message: QueuedMessage, parent: QueuedRecipient, target: Target, text: str
    ) -> None:
        now, sender = self._now(), message.envelope.reverse_path
        message_id = f"<{message.queue_id}.{parent.ordinal}.{int(now * 1000):x}@{self._hostname}>"
        asked = Asked(sender, parent.address, await self._beginning(message), self._hostname, message_id, now)
        logged_in = message.origin.account is not None
        reason = why_not(asked) or self._answered.why_not(parent.address, sender, now, logged_in=logged_in)
        if reason:
            facts = {"file": target.value, "reason": f"without an answer: {reason}"}
            plan.events.append(self._event(EventKind.ANSWERED, message, parent, facts))
            return
        letter = compose(asked, text, template=target.kind is Kind.TEMPLATE)
        # RFC 3834 3.3: from the null sender, so that nothing answers the answer.
        envelope = Envelope("", (Recipient(sender, _NEVER),), letter.body, letter.smtputf8)
        told_by = self._event(EventKind.ANSWERED, message, parent, {"file": target.value})
        ways = {sender: await self._router.route(sender)}
        plan.messages.append(NewMessage(envelope, letter.octets, ways, message_id, told_by=told_by))

    async def _text(self, target: Target) -> str:
        """The text of a file; raises OSError."""
        octets = b""
        async with aclosing(self._reader.chunks(Content(0, 0, 0, path=target.value))) as pieces:
            async for piece in pieces:
                octets += piece
                if len(octets) > MAX_TEXT_OCTETS:
                    self._log.warn(
                        "{path} is cut: an answer has {most} octets at most", path=target.value, most=MAX_TEXT_OCTETS
                    )
                    break
        octets = octets[:MAX_TEXT_OCTETS]
        try:
            return octets.decode("utf-8-sig")
        except UnicodeDecodeError:
            return octets.decode("cp1252", "replace")

    def _event(self, kind: EventKind, message: QueuedMessage, parent: QueuedRecipient, facts: dict[str, str]) -> Event:
        return Event(
            self._now(), kind, message.queue_id, parent.address, message.envelope.reverse_path, "", dict(facts)
        )


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
    return notify - {"SUCCESS"} or _NEVER


def _original(parent: QueuedRecipient) -> str:
    """ORCPT: what the sender gave, or the address as the sender wrote it, so that reports name that one (RFC 3461 4.2)."""
    if parent.original is not None:
        return parent.original
    # RFC 6533 3: the type for what is not ASCII.
    return f"{'rfc822' if parent.address.isascii() else 'utf-8'};{parent.address}"


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
