"""
What lies in a box, what of it is new, and what need not stay: the first part of a collector's session.

Messages are known by their unique ids (RFC 1939 7). A server that has none, or the same for several messages, is believed that
these are other messages each time, until their octets have been seen; one that numbers all anew is found out by their headers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import attrs

from hermes.core.event import Kind
from hermes.interfaces import ISpool
from hermes.net.pop3_session import POP3Session
from hermes.protocols.pop3.client import MAX_UID_CHARACTERS
from hermes.protocols.pop3.client_events import Ended, Listing
from hermes.services.collecting_report import Box, Limits, Report
from hermes.services.uid_memory import DELETED, INTENDED, REFUSED, TAKEN, Remembered

#: A listing of so many messages as anybody has, over a slow line.
LISTING_SECONDS = 900.0

#: A message that was refused is offered to the checks again after a day: they may have been mended.
REFUSED_AGAIN_SECONDS = 86400.0

#: What stands in front of a digest that takes the place of a unique id; no unique id of RFC 1939 7 holds a space.
DIGEST = "digest "


@attrs.define
class Listed:
    """A message at the server; ``octets`` is what it says, ``uid`` empty where it has no unique id, or one for several."""

    number: int
    octets: int
    uid: str = ""


@attrs.define
class Plan:
    """What is fetched, in this order, and what is deleted, because we have it."""

    fetch: list[Listed] = attrs.field(factory=list)
    delete: list[Listed] = attrs.field(factory=list)


class Survey:
    """
    Looks at one box. After :meth:`plan`, :attr:`known` is what is remembered of it by unique id, :attr:`vanished` the unique ids
    of messages that we have and the server does not list, by the digests of their headers, :attr:`copies` who has had which
    message lately, and :attr:`deletable` the unique ids of what need not stay.
    """

    def __init__(
        self,
        session: POP3Session,
        box: Box,
        limits: Limits,
        report: Report,
        *,
        spool: ISpool,
        now: Callable[[], float],
        deleted_here: Callable[[set[str]], Awaitable[set[str]]] | None = None,
    ) -> None:
        self.report = report
        self.known: dict[str, Remembered] = {}
        self.vanished: dict[bytes, str] = {}
        self.copies: dict[bytes, set[str]] = {}
        self.deletable: set[str] = set()
        self._session = session
        self._engine = session.engine
        self._box = box
        self._memory = box.memory
        self._limits = limits
        self._spool = spool
        self._now = now
        self._deleted_here = deleted_here

    async def _list(self) -> list[Listed] | None:
        self._session.allow(LISTING_SECONDS)
        self._engine.sizes()
        sizes = await self._listing()
        if sizes is None:
            self.report.problem = self.report.problem or "the server does not list its messages"
            return None
        uids: Listing | None = None
        if self._engine.offer.uidl or not self._engine.offer.known:
            self._engine.unique_ids()
            uids = await self._listing()
            if self.report.problem:
                return None
        names = uids.entries if uids is not None else {}
        often = Counter(names.values())
        listed = [
            Listed(number, _size(text), _uid(names.get(number, ""), often))
            for number, text in sorted(sizes.entries.items())
        ]
        self.report.listed = len(listed) + sizes.more
        self.report.octets = sum(one.octets for one in listed)
        return listed

    async def _listing(self) -> Listing | None:
        event = await self._session.event()
        if isinstance(event, Listing):
            return event
        if isinstance(event, Ended):
            self.report.problem = event.reason
        return None

    async def plan(self, *, dry: bool) -> Plan | None:
        """What is to be done; None when the server does not say what there is. A ``dry`` run remembers nothing."""
        listed = await self._list()
        if listed is None:
            return None
        known = self.known = await self._memory.load(self._box.name)
        if self._limits.copies:
            self.copies = await self._memory.copies(self._box.name)
        await self._clear_up(dry=dry)
        here = {one.uid for one in listed if one.uid}
        if not dry:
            box = self._box
            box.trouble &= here
            box.put_off = {uid: rule for uid, rule in box.put_off.items() if uid in here}
            await self._memory.listed(
                self._box.name,
                [uid for uid, one in known.items() if uid in here and one.gone is not None],
                [uid for uid, one in known.items() if uid not in here and one.gone is None],
            )
        self.vanished = {
            one.mark: uid
            for uid, one in known.items()
            if uid not in here and one.state == TAKEN and one.mark and not uid.startswith(DIGEST)
        }
        plan, new = Plan(), []
        self.deletable = await self._deletable(here)
        for one in listed:
            remembered = known.get(one.uid) if one.uid else None
            if remembered is not None and remembered.state in (TAKEN, DELETED):
                if one.uid in self.deletable:
                    plan.delete.append(one)
                else:
                    self.report.skipped["here already"] += 1
            elif self.is_refused(one.uid):
                self.report.skipped["refused"] += 1
            elif one.octets > self._limits.max_octets:
                self.report.skipped["too large"] += 1
                self.report.remark(f"message {one.number} is too large: {one.octets} octets")
            else:
                new.append(one)
        self._choose(plan, new, dry=dry)
        return plan

    def is_refused(self, uid: str) -> bool:
        """Whether a message has been refused, and not so long ago that it is asked about again."""
        one = self.known.get(uid)
        return one is not None and one.state == REFUSED and self._now() < one.at + REFUSED_AGAIN_SECONDS

    def _choose(self, plan: Plan, new: list[Listed], *, dry: bool) -> None:
        """Which of the new ones are fetched now."""
        box = self._box
        # What has ended sessions before is tried when there is nothing else to do: it must not stand in the way of the others,
        # nor of deletions, which a session that ends badly does not carry out.
        easy = [one for one in new if one.uid not in box.trouble]
        if easy or plan.delete:
            new = easy
        # Mail for a full mailbox must not stand in the way of the others either. And without unique ids everything is new until
        # it has been seen: those that have not been looked at in this round come first.
        new.sort(key=self._seen)
        plan.fetch, rest = new[: self._limits.max_messages], new[self._limits.max_messages :]
        # The next session follows at once, so it must have something to do that this one had not.
        self.report.more = not all(map(self._seen, rest))
        nameless = [one.number for one in plan.fetch if not one.uid]
        if not dry:
            box.looked = nameless[-1] if nameless and self.report.more else 0

    def _seen(self, one: Listed) -> bool:
        """Whether an earlier session has looked at a message that is new all the same."""
        return one.uid in self._box.put_off if one.uid else one.number <= self._box.looked

    async def _clear_up(self, *, dry: bool) -> None:
        """Find out what became of messages in the middle of which an earlier process has ended."""
        for uid, one in list(self.known.items()):
            if one.state != INTENDED:
                continue
            events = await self._spool.track(one.queue_id, 10)
            if any(event.kind is not Kind.REFUSED for event in events):
                one.state = TAKEN
                if not dry:
                    await self._memory.settle(self._box.name, uid, TAKEN, one.mark, one.queue_id)
            else:
                del self.known[uid]
                if not dry:
                    await self._memory.forget(self._box.name, uid, one.queue_id)

    async def _deletable(self, here: set[str]) -> set[str]:
        """The unique ids of messages that we have and that need not stay."""
        ours = {
            uid: one
            for uid, one in self.known.items()
            if (uid in here or uid.startswith(DIGEST)) and one.state in (TAKEN, DELETED)
        }
        match self._limits.leave:
            case "no":
                return set(ours)
            case "time":
                before = self._now() - self._limits.leave_seconds
                return {uid for uid, one in ours.items() if one.at <= before or one.state == DELETED}
            case "until-deleted" if self._deleted_here is not None:
                gone: set[str] = await self._deleted_here({one.queue_id for one in ours.values() if one.queue_id})
                return {uid for uid, one in ours.items() if one.queue_id in gone or one.state == DELETED}
        return set()


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _uid(name: str, often: Counter[str]) -> str:
    """The unique id, if it is one (RFC 1939 7)."""
    return name if name and often[name] == 1 and len(name) <= MAX_UID_CHARACTERS else ""
