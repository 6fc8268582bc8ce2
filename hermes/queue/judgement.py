"""
From outcomes to what is written down: pure rules, one attempt at a time.

For each recipient: what the queue keeps of it (a settlement), the fact for the trace (an event), and whether the sender is
to be told (RFC 3461 5.2). No clock, no randomness, no disk: these are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import attrs

from hermes.config.sections.queue import QueueSettings
from hermes.core import address
from hermes.core.event import Event, Kind
from hermes.core.message import Finished, Held, Postponed, QueuedMessage, QueuedRecipient, Settlement, State
from hermes.core.outcome import Outcome, Result
from hermes.core.report import Action, Fate
from hermes.queue.schedule import is_expired, next_attempt_at, pauses_of, warnings_due

_KINDS = {
    Result.DELIVERED: Kind.DELIVERED,
    Result.RELAYED: Kind.RELAYED,
    Result.DEFERRED: Kind.DEFERRED,
    Result.FAILED: Kind.FAILED,
    Result.DISCARDED: Kind.DISCARDED,
}


#: What waits for somebody's word: the state that it waits in, and the fact.
_WAITING = {Result.HELD: (State.HELD, Kind.HELD), Result.PAUSED: (State.PAUSED, Kind.PAUSED)}


@attrs.define
class Judgement:
    """
    What follows from one attempt.

    ``failed``, ``delayed`` and ``succeeded`` are those recipients of which the sender shall be told; ``orphaned`` those
    that failed while there is no sender to tell, ``untold`` those of whose failure the sender does not want to hear.
    """

    settlements: list[Settlement] = attrs.field(factory=list)
    events: list[Event] = attrs.field(factory=list)
    failed: list[Fate] = attrs.field(factory=list)
    delayed: list[Fate] = attrs.field(factory=list)
    succeeded: list[Fate] = attrs.field(factory=list)
    orphaned: list[Fate] = attrs.field(factory=list)
    untold: list[Fate] = attrs.field(factory=list)

    @property
    def wants_reports(self) -> bool:
        """True when somebody is to be told."""
        return bool(self.failed or self.delayed or self.succeeded or self.orphaned or self.untold)


class Judge:
    """
    Applies the settings; ``stray`` gives a random number from -1 to 1 for each pause, and ``own_domains`` are those whose people
    are here.
    """

    def __init__(self, settings: QueueSettings, stray: Callable[[], float], own_domains: Collection[str] = ()) -> None:
        self._settings = settings
        self._stray = stray
        self._own_domains = frozenset(domain.lower() for domain in own_domains)
        self._pauses = pauses_of(settings.schedule, settings.retry, settings.period)

    def judge(
        self, message: QueuedMessage, recipients: Sequence[QueuedRecipient], outcomes: Iterable[Outcome], now: float
    ) -> Judgement:
        """Say what follows from the outcomes of one delivery, one for each recipient, in their order."""
        judgement = Judgement()
        for recipient, outcome in zip(recipients, outcomes, strict=True):
            if outcome.result is Result.DEFERRED:
                self._deferred(judgement, message, recipient, outcome, now)
            elif outcome.result in _WAITING:
                _held(judgement, message, recipient, outcome, now)
            else:
                judgement.settlements.append(Finished(recipient.ordinal))
                judgement.events.append(_event(_KINDS[outcome.result], message, recipient, outcome, now))
                if outcome.result is Result.FAILED:
                    _failed(judgement, message, recipient, outcome)
                elif (
                    recipient.notify is not None
                    and "SUCCESS" in recipient.notify
                    # A report of success would lie, and there is no other for it (RFC 3464 2.3.3).
                    and outcome.result is not Result.DISCARDED
                ):
                    _succeeded(judgement, message, recipient, outcome)
        return judgement

    def without_reports(
        self, message: QueuedMessage, recipients: Sequence[QueuedRecipient], outcomes: Iterable[Outcome], now: float
    ) -> Judgement:
        """
        The same when no report can be written: who would have to be told of a failure is kept, and tried again later.

        Returning nothing and forgetting the message would lose it; this does not.
        """
        judgement = Judgement()
        for recipient, outcome in zip(recipients, outcomes, strict=True):
            if outcome.result in {Result.DELIVERED, Result.RELAYED, Result.DISCARDED}:
                judgement.settlements.append(Finished(recipient.ordinal))
                judgement.events.append(_event(_KINDS[outcome.result], message, recipient, outcome, now))
            elif outcome.result in _WAITING:
                _held(judgement, message, recipient, outcome, now)
            else:
                self._postpone(judgement, message, recipient, outcome, now, recipient.delays_reported)
        return judgement

    def _deferred(
        self, judgement: Judgement, message: QueuedMessage, recipient: QueuedRecipient, outcome: Outcome, now: float
    ) -> None:
        tried_enough = outcome.wait_seconds is None and 0 < self._settings.attempts <= recipient.attempts + 1
        if tried_enough or is_expired(now, message.accepted_at, self._expire(message, recipient)):
            judgement.settlements.append(Finished(recipient.ordinal))
            judgement.events.append(_event(Kind.EXPIRED, message, recipient, outcome, now))
            _failed(judgement, message, recipient, outcome, expired=True)
            return
        warnings = warnings_due(now, message.accepted_at, self._settings.delay_warning)
        if warnings > recipient.delays_reported and self._may_warn(message, recipient):
            judgement.delayed.append(Fate(recipient.address, recipient.original, Action.DELAYED, outcome))
        self._postpone(judgement, message, recipient, outcome, now, max(warnings, recipient.delays_reported))

    def _postpone(
        self,
        judgement: Judgement,
        message: QueuedMessage,
        recipient: QueuedRecipient,
        outcome: Outcome,
        now: float,
        delays_reported: int,
    ) -> None:
        expire = self._expire(message, recipient)
        if outcome.wait_seconds is not None:
            attempts = recipient.attempts
            at = min(now + outcome.wait_seconds, max(now, message.accepted_at + expire))
        else:
            attempts = recipient.attempts + 1
            at = next_attempt_at(now, attempts, self._pauses, self._stray(), message.accepted_at, expire)
        judgement.settlements.append(Postponed(recipient.ordinal, attempts, at, outcome.reason, delays_reported))
        judgement.events.append(_event(Kind.DEFERRED, message, recipient, outcome, now, at))

    def _may_warn(self, message: QueuedMessage, recipient: QueuedRecipient) -> bool:
        """RFC 3461 5.2.5: who has asked is told; who has not said anything when he is one of ours, or when all are told."""
        reverse_path = message.envelope.reverse_path
        if address.is_null(reverse_path):
            return False
        if recipient.notify is not None:
            return "DELAY" in recipient.notify
        return (
            self._settings.delay_warning_to == "all"
            or message.origin.account is not None
            or address.domain_of(reverse_path) in self._own_domains
        )

    def _expire(self, message: QueuedMessage, recipient: QueuedRecipient) -> float:
        """The age at which it is given up: what an administrator has said, or what is configured."""
        return self._settings.expire if recipient.expires_at is None else recipient.expires_at - message.accepted_at


def _held(
    judgement: Judgement, message: QueuedMessage, recipient: QueuedRecipient, outcome: Outcome, now: float
) -> None:
    state, kind = _WAITING[outcome.result]
    judgement.settlements.append(Held(recipient.ordinal, outcome.reason, state))
    judgement.events.append(_event(kind, message, recipient, outcome, now))


def _failed(
    judgement: Judgement,
    message: QueuedMessage,
    recipient: QueuedRecipient,
    outcome: Outcome,
    *,
    expired: bool = False,
) -> None:
    """RFC 3461 5.2.6: a report unless NOTIFY says otherwise, and never to the null sender (RFC 3461 5.2)."""
    fate = Fate(recipient.address, recipient.original, Action.FAILED, outcome, expired)
    if address.is_null(message.envelope.reverse_path):
        judgement.orphaned.append(fate)
    elif recipient.notify is None or "FAILURE" in recipient.notify:
        judgement.failed.append(fate)
    else:
        # RFC 3461 5.2.6 b: the postmaster may be told all the same.
        judgement.untold.append(fate)


def _succeeded(judgement: Judgement, message: QueuedMessage, recipient: QueuedRecipient, outcome: Outcome) -> None:
    """RFC 3461 5.2.2 b, 5.2.3 a: "delivered" for our mailboxes; "relayed" when the next server will not report itself."""
    if address.is_null(message.envelope.reverse_path) or outcome.dsn_passed:
        return
    action = Action.DELIVERED if outcome.result is Result.DELIVERED else Action.RELAYED
    judgement.succeeded.append(Fate(recipient.address, recipient.original, action, outcome))


def _event(
    kind: Kind,
    message: QueuedMessage,
    recipient: QueuedRecipient,
    outcome: Outcome,
    now: float,
    next_attempt: float | None = None,
) -> Event:
    """The fact for the trace: who was spoken to, what was said in full, and how long it has been."""
    facts: dict[str, str | int | float | bool | None] = {
        "destination": recipient.destination,
        "attempt": recipient.attempts + 1,
        "seconds": round(now - message.accepted_at, 3),
        "status": outcome.status,
        "reason": outcome.reason,
    }
    if outcome.host is not None:
        facts["host"] = outcome.host
    if outcome.address is not None:
        facts["address"] = outcome.address
    if outcome.smarthost is not None:
        facts["smarthost"] = outcome.smarthost
    if outcome.tls is not None:
        facts["tls"] = outcome.tls
    if outcome.signed is not None:
        facts["dkim"] = outcome.signed
    if outcome.verified is not None:
        facts["verified"] = outcome.verified
    if outcome.octets is not None:
        facts["octets"] = outcome.octets
    if outcome.seconds is not None:
        facts["took_seconds"] = outcome.seconds
    if outcome.remote_id is not None:
        facts["remote_id"] = outcome.remote_id
    if outcome.reply is not None:
        facts["reply"] = str(outcome.reply)
    if next_attempt is not None:
        facts["next_attempt_at"] = round(next_attempt, 3)
    return Event(now, kind, message.queue_id, recipient.address, message.envelope.reverse_path, "", facts)
