"""
Asking the server of a domain whether a recipient exists, before mail is taken for it (as a backup must that does not want to send
reports to forged senders later).

A transaction with the null reverse-path is begun and goes no further than RCPT. Answers are remembered. Where there is none the
caller decides: a server that does not answer is what a backup is there for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as WaitedTooLong
from twisted.logger import Logger
from zope.interface import implementer

from hermes.core import address as addresses
from hermes.core.envelope import Envelope, Recipient
from hermes.core.outcome import Outcome, Result
from hermes.interfaces import ICallAhead
from hermes.net.client_session import ClientSession
from hermes.net.outgoing import Target
from hermes.protocols.smtp.client_events import TransactionDone
from hermes.protocols.smtp.transaction import Parcel
from hermes.services.connection_cache import ConnectionCache
from hermes.services.direct_delivery import DirectAgent

#: The client waits meanwhile, and is to wait for five minutes (RFC 5321 4.5.3.2.3). Most servers answer within one second; what
#: takes twenty is as good as down.
ASK_SECONDS = 20.0

#: How long it is remembered that a recipient exists, and that it does not: who has just been given a mailbox shall not be
#: refused for long, and who loses one gets his mail reported back for some hours.
ACCEPTED_SECONDS = 6 * 3600.0
REFUSED_SECONDS = 1800.0

#: How long a domain whose server does not answer is not asked again: otherwise every recipient would wait for it.
DOWN_SECONDS = 60.0

#: Answers remembered, those asked for longest ago forgotten first: some 3 MB.
MAX_ANSWERS = 10_000

#: Questions that may wait for the one connection to a domain. Others get no answer at once: whoever asks for so many at a time is
#: guessing addresses.
MAX_WAITING = 20


@attrs.frozen
class _Answer:
    refusal: Outcome | None
    until: float


@implementer(ICallAhead)
class CallAhead:
    """Asks by way of ``agent``, one question at a time for each domain, on connections that are kept for a while."""

    _log = Logger()

    def __init__(self, clock: Any, agent: DirectAgent) -> None:
        self._clock = clock
        self._agent = agent
        self._connections = ConnectionCache(clock)
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._locks: dict[str, DeferredLock] = {}
        self._down: dict[str, tuple[float, Outcome]] = {}

    async def ask(self, address: str) -> Outcome:
        """See :class:`hermes.interfaces.ICallAhead`."""
        # RFC 5321 2.4: what its own server makes of capital letters in a local part is not for us to say.
        local_part, domain = addresses.split(address)
        domain = domain.lower()
        key = f"{local_part}@{domain}"
        known = self._known(key)
        if known is not None:
            return known
        lock = self._locks.setdefault(domain, DeferredLock())
        if len(lock.waiting) >= MAX_WAITING:
            return Outcome.deferred("too many recipients of that domain are being asked for", "4.4.5")
        await lock.acquire()
        try:
            # Somebody else may have asked the same meanwhile.
            return self._known(key) or await self._asked(key, address, domain)
        finally:
            lock.release()
            if not lock.locked:
                self._locks.pop(domain, None)

    async def stop(self) -> None:
        """End the connections."""
        await self._connections.stop()

    def describe(self) -> list[dict[str, Any]]:
        """The connections that are open."""
        return self._connections.describe()

    def _known(self, key: str) -> Outcome | None:
        answer = self._answers.get(key)
        if answer is None:
            return None
        if answer.until <= self._clock.seconds():
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        return answer.refusal or _EXISTS

    async def _asked(self, key: str, address: str, domain: str) -> Outcome:
        now = self._clock.seconds()
        until, why = self._down.get(domain, (0.0, _EXISTS))
        if until > now:
            return why
        self._down.pop(domain, None)
        try:
            asking = Deferred.fromCoroutine(self._ask(address, domain))
            outcome = await asking.addTimeout(ASK_SECONDS, self._clock)
        except WaitedTooLong:
            outcome = Outcome.deferred(f"the server for {domain} took more than {ASK_SECONDS:g} seconds", "4.4.2")
        if outcome.result is Result.RELAYED:
            self._remember(key, None, ACCEPTED_SECONDS)
        elif outcome.result is Result.FAILED:
            self._remember(key, outcome, REFUSED_SECONDS)
        elif outcome.reply is None:
            # It has not spoken. Where it did, only this recipient was put off.
            self._down[domain] = (self._clock.seconds() + DOWN_SECONDS, outcome)
        return outcome

    def _remember(self, key: str, refusal: Outcome | None, seconds: float) -> None:
        self._answers[key] = _Answer(refusal, self._clock.seconds() + seconds)
        if len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)

    async def _ask(self, address: str, domain: str) -> Outcome:
        targets = await self._agent.targets(domain, Envelope("", ()))
        if isinstance(targets, Outcome):
            # What is wrong with the domain itself is not the recipient's fault: delivery will tell.
            return Outcome.deferred(targets.reason, "4.4.0")
        outcome = Outcome.deferred(f"there is no server for {domain}", "4.4.0")
        for target in targets:
            outcome = await self._ask_at(target, address)
            if outcome.result is not Result.DEFERRED or outcome.reply is not None:
                break
        return outcome

    async def _ask_at(self, target: Target, address: str) -> Outcome:
        kept = self._connections.take(target)
        if kept is not None:
            outcome = await self._answer(kept, target, address)
            if outcome.result is not Result.DEFERRED or outcome.reply is not None:
                return outcome
            # It was closed while it was kept, which says nothing about the server.
        session = await self._agent.open(target)
        if not isinstance(session, ClientSession):
            return Outcome.deferred(session.outcome.reason, "4.4.1")
        self._connections.opened(target, session)
        return await self._answer(session, target, address)

    async def _answer(self, session: ClientSession, target: Target, address: str) -> Outcome:
        smtputf8 = not address.isascii()
        parcel = Parcel(Envelope("", (), smtputf8=smtputf8), (Recipient(address),), 0, question=True)
        try:
            done: TransactionDone = await session.deliver(parcel, _nothing())
        except BaseException:
            self._connections.discard(session)
            raise
        (outcome,) = done.outcomes
        self._connections.give_back(session)
        if done.mail_refused:
            # It has not been asked about the recipient at all.
            reason = f"{target.host} does not take the null sender: {outcome.reason}"
            return Outcome.deferred(reason, "4.4.0", reply=outcome.reply)
        return outcome


_EXISTS = Outcome(Result.RELAYED, "the server of that domain would accept it", "2.1.5")


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk
