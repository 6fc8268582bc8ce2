"""
One session of a collector: what lies in the box, what of it is new, fetching it, and deleting what need not stay.

Messages are fetched in a row, and made durable beside one another, so that one fsync serves many. Nothing is deleted before all
of them are safe here: a POP3 server carries deletions out at QUIT in any case (RFC 1939 6), so nothing is gained by haste.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger

from hermes.core.address import key
from hermes.core.envelope_traces import copy_mark, reverse_path
from hermes.core.event import Event, Kind
from hermes.interfaces import IJournal, SpoolFullError
from hermes.net.pop3_session import POP3Session
from hermes.net.shielded import shielded
from hermes.protocols.pop3.client_events import Answer, Ended, MessageEnd, Piece
from hermes.services.collected_message import Addressing, CollectedMessage, Fate, Source, Turned
from hermes.services.collecting_plan import DIGEST, LISTING_SECONDS, Listed, Plan, Survey
from hermes.services.collecting_report import Box, Limits
from hermes.services.reception import Premises
from hermes.services.uid_memory import DELETED, REFUSED, TAKEN, Remembered

#: Messages that are being made durable at once: what one fsync serves. Their octets wait in memory, up to 128 KiB of each.
MAX_COMMITTING = 128

#: Recipients of one refused message that have an event each, as in SMTP.
MAX_RECORDED_RECIPIENTS = 20

#: A message may take this long, plus a second for each kibibyte: slower than a modem, yet it comes to an end.
MESSAGE_SECONDS = 300.0
SLOWEST_OCTETS_PER_SECOND = 1024


class Collecting:
    """One session; :meth:`run` returns when it is over, with :attr:`report` complete."""

    _log = Logger()

    def __init__(
        self,
        session: POP3Session,
        box: Box,
        limits: Limits,
        source: Source,
        addressing: Addressing,
        premises: Premises,
        *,
        journal: IJournal,
        now: Callable[[], float],
        survey: Survey,
    ) -> None:
        self._survey = survey
        self.report = survey.report
        self._session = session
        self._engine = session.engine
        self._box = box
        self._memory = box.memory
        self._limits = limits
        self._source = source
        self._addressing = addressing
        self._premises = premises
        self._journal = journal
        self._now = now
        self._committing: set[Deferred[None]] = set()
        self._slots = DeferredSemaphore(MAX_COMMITTING)
        self._copies_committing: set[bytes] = set()
        self._safe: list[Listed] = []
        #: Known by their octets alone, and need not stay.
        self._found: list[Listed] = []
        self._stop = ""

    async def run(self, *, dry: bool = False) -> None:
        """Do everything; a ``dry`` run looks only."""
        plan = await self._survey.plan(dry=dry)
        if plan is not None:
            if dry:
                self._describe(plan)
            else:
                await self._fetch_and_delete(plan)
        await self._leave()

    async def _fetch_and_delete(self, plan: Plan) -> None:
        try:
            await self._fetch(plan.fetch)
        finally:
            await self._committed_all()
        if self._stop and not self.report.problem:
            self.report.problem = self._stop
        if not self.report.problem:
            rest = self._safe if self._limits.leave == "no" else []
            await self._delete([*plan.delete, *self._found, *rest])

    async def _leave(self) -> None:
        problem = await self._session.quit() if not self._engine.ended else ""
        await self._session.left()
        if problem and not self.report.problem:
            self.report.problem = f"the server did not answer QUIT: {problem}"

    def _describe(self, plan: Plan) -> None:
        then = ", and deleted when it is safe here" if self._limits.leave == "no" else ""
        for one in plan.fetch:
            self.report.remark(f"message {one.number} would be fetched{then}: {one.octets} octets")
        for one in plan.delete:
            self.report.remark(f"message {one.number} would be deleted: it is here")

    # Fetching.

    async def _fetch(self, wanted: list[Listed]) -> None:
        for one in wanted:
            self._engine.retrieve(one.number, one.octets)
        self._session.flush()
        for one in wanted:
            ended = await self._fetch_one(one)
            self._stop = self._stop or (ended or "")
            if self._stop:
                if ended is not None and one.uid:
                    self._box.trouble.add(one.uid)
                self._session.abort()
                self.report.problem = self._stop
                self.report.more = False
                return
            self._box.trouble.discard(one.uid)

    async def _fetch_one(self, one: Listed) -> str | None:
        """Take one message in; why the session cannot go on, or None."""
        self._session.allow(MESSAGE_SECONDS + min(one.octets, self._limits.max_octets) / SLOWEST_OCTETS_PER_SECOND)
        message = CollectedMessage(one.uid, self._source, self._addressing, self._premises)
        digest = hashlib.blake2b(digest_size=20) if not one.uid else None
        whole = False
        try:
            while True:
                event = await self._session.event()
                match event:
                    case Piece(octets):
                        if digest is not None:
                            digest.update(octets)
                        if message.write(octets):
                            await self._begin(message)
                        if message.congested:
                            await message.drained()
                        if message.octets > self._limits.max_octets:
                            self.report.skipped["too large"] += 1
                            return (
                                f"message {one.number} is larger than it said, and too large: the session is given up"
                            )
                    case MessageEnd(wire_octets=wire_octets):
                        if message.header is None:
                            await self._begin(message)
                        whole = True
                        if digest is not None:
                            one.uid = f"{DIGEST}{digest.hexdigest()}"
                        await self._end(one, message, wire_octets)
                        return None
                    case Answer(ok=False, text=text):
                        self.report.skipped["not given"] += 1
                        self.report.remark(f"message {one.number} is not given to us: {text}")
                        return None
                    case Ended(reason):
                        return reason
                    case _:
                        return "it answers what it was not asked"
        except SpoolFullError:
            return "there is no room for mail here"
        finally:
            if not whole:
                message.abort()

    async def _begin(self, message: CollectedMessage) -> None:
        """The header is whole."""
        message.read_header()
        old = self._survey.vanished.get(message.mark) if message.uid else None
        if old is not None:
            # The same message under another name: some servers number all anew when they are moved.
            message.turn(Turned(Fate.RENAMED, renamed_from=old))
            return
        if self._limits.copies and message.header is not None:
            message.copy = copy_mark(message.header)
            if message.copy in self._copies_committing:
                # The one before must be safe, or not, before this one is said to be a copy of it.
                await self._committed_all()
        await message.begin(self._survey.copies.get(message.copy, ()))

    async def _end(self, one: Listed, message: CollectedMessage, wire_octets: int) -> None:
        if one.uid.startswith(DIGEST) and await self._is_known(one):
            message.abort()
        elif message.turned is not None:
            await self._turned(one, message, message.turned)
        else:
            await self._slots.acquire()
            if message.copy:
                self._copies_committing.add(message.copy)
            work = shielded(self._commit(one, message, wire_octets), f"taking message {message.queue_id}")
            self._committing.add(work)
            _ = work.addBoth(self._committed, work)

    async def _is_known(self, one: Listed) -> bool:
        """Whether we have a message that is known by its octets alone; two may come one behind the other."""
        await self._committed_all()
        known = self._survey.known.get(one.uid)
        if known is None or known.state not in (TAKEN, DELETED):
            return False
        self.report.skipped["here already"] += 1
        # It is forgotten when it has not been seen for long.
        await self._memory.listed(self._box.name, (), (one.uid,))
        if self._limits.leave == "no" or one.uid in self._survey.deletable:
            self._found.append(one)
        return True

    async def _committed_all(self) -> None:
        while self._committing:
            await next(iter(self._committing))
        self._copies_committing.clear()

    def _committed(self, result: Any, work: Deferred[None]) -> None:
        self._slots.release()
        self._committing.discard(work)
        if result is not None:
            self._stop = self._stop or "something went wrong here; the log says what"
            self._log.failure("A collected message could not be taken", result)

    async def _commit(self, one: Listed, message: CollectedMessage, wire_octets: int) -> None:
        box, memory = self._box.name, self._memory
        recipients = [key(each) for each in message.recipients]
        await memory.intend(box, one.uid, message.queue_id, message.mark, message.copy, recipients)
        try:
            turned = await message.finish(wire_octets)
        except BaseException:
            message.abort()
            raise
        if turned is None:
            # A crash from here on is found out about by the queue id.
            await memory.settle(box, one.uid, TAKEN, message.mark, message.queue_id)
            self._box.put_off.pop(one.uid, None)
            self._survey.known[one.uid] = Remembered(TAKEN, message.queue_id, message.mark, self._now())
            if message.copy:
                self._survey.copies.setdefault(message.copy, set()).update(recipients)
            self.report.taken += 1
            self.report.remark(f"message {one.number} is {message.queue_id}, for {', '.join(message.recipients)}")
            self._safe.append(one)
        else:
            await memory.forget(box, one.uid, message.queue_id)
            await self._turned(one, message, turned)

    async def _turned(self, one: Listed, message: CollectedMessage, turned: Turned) -> None:
        box, memory = self._box.name, self._memory
        self.report.skipped[_WORDS[turned.fate]] += 1
        before = self._box.put_off.pop(one.uid, None)
        if turned.reason:
            self.report.remark(f"message {one.number} is not taken: {turned.reason}")
        if turned.fate is Fate.RENAMED:
            await memory.renamed(box, turned.renamed_from, one.uid)
            self._survey.vanished.pop(message.mark, None)
            self._safe.append(one)
        elif turned.fate is Fate.DUPLICATE:
            await memory.settle(box, one.uid, TAKEN, message.mark)
            self._safe.append(one)
        elif turned.fate is Fate.REFUSED:
            if not self._survey.is_refused(one.uid):
                self._record(one, message, turned)
            await memory.settle(box, one.uid, REFUSED, message.mark)
        else:
            # Once is enough: it is tried again and again.
            if before != turned.rule:
                self._record(one, message, turned)
            self._box.put_off[one.uid] = turned.rule

    def _record(self, one: Listed, message: CollectedMessage, turned: Turned) -> None:
        """The trace has it for each recipient, under the id of the message: that is how people look for it."""
        header = message.header
        assert header is not None
        facts = {
            "rule": turned.rule,
            "reason": turned.reason,
            "listener": self._source.listener,
            "peer": self._source.peer,
            "uid": one.uid,
        }
        sender, message_id = reverse_path(header), header.first("message-id") or ""
        for address in message.recipients[:MAX_RECORDED_RECIPIENTS] or ("",):
            self._journal.record(Event(self._now(), Kind.REFUSED, "", address, sender, message_id, facts))

    # Deleting.

    async def _delete(self, safe: Iterable[Listed]) -> None:
        wanted = list(safe)
        self._session.allow(LISTING_SECONDS)
        for one in wanted:
            self._engine.delete(one.number)
        marked = []
        for one in wanted:
            answer = await self._session.answer()
            if isinstance(answer, Ended):
                self.report.problem = f"the session ended while messages were deleted: {answer.reason}"
                return
            if answer.ok:
                marked.append(one.uid)
        problem = await self._session.quit()
        if problem:
            # Whether they are deleted is seen the next time.
            self.report.problem = f"the server did not answer QUIT: {problem}"
        elif marked:
            await self._memory.deleted(self._box.name, marked)
            self.report.deleted = len(marked)


_WORDS = {
    Fate.RENAMED: "here already",
    Fate.DUPLICATE: "duplicates",
    Fate.REFUSED: "refused",
    Fate.LATER: "put off",
}
