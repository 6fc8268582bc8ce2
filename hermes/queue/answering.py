"""
The answer that an address gives to whoever writes to it: the text of a file, to the sender (RFC 3834).

Nobody is answered who did not write as a person does (:func:`hermes.core.answer.why_not`), or who has had the answer lately.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import aclosing

from twisted.logger import Logger

from hermes.core import address as addresses
from hermes.core.answer import MAX_TEXT_OCTETS, Asked, compose, why_not
from hermes.core.envelope import Envelope, Recipient
from hermes.core.event import Event, Kind
from hermes.core.expansion import Kind as TargetKind
from hermes.core.expansion import Target
from hermes.core.message import Content, NewMessage, QueuedMessage, QueuedRecipient
from hermes.interfaces import IContentReader, IRouter
from hermes.queue.derived import NEVER, beginning_of, event_of
from hermes.queue.reporting import Allowance

#: A sender who writes to the same address again gets no second answer for so long.
ANSWER_PAUSE_SECONDS = 3600.0

#: Answers that are remembered.
MAX_REMEMBERED = 10_000

#: Answers an hour to mail that came without a login. Its senders may be forged, another one in each message, and then the answers
#: are a flood of ours: so many go out in the name of one address, more than people write to it; so many to one sender, and ten
#: times as many to a domain, as of reports.
MAX_ANSWERS = 1000
MAX_ANSWERS_TO_ONE = 60


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


class Answering:
    """Answers in the name of ``hostname``; ``now`` gives seconds since the epoch."""

    _log = Logger()

    def __init__(
        self,
        router: IRouter,
        reader: IContentReader,
        now: Callable[[], float],
        *,
        hostname: str,
        answered: AnsweredLately,
    ) -> None:
        self._router = router
        self._reader = reader
        self._now = now
        self._hostname = hostname
        self._answered = answered

    async def text(self, target: Target) -> str:
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

    async def answer(
        self, message: QueuedMessage, parent: QueuedRecipient, target: Target, text: str
    ) -> NewMessage | Event:
        """The answer to the sender, or what the trace says when there is none."""
        now, sender = self._now(), message.envelope.reverse_path
        message_id = f"<{message.queue_id}.{parent.ordinal}.{int(now * 1000):x}@{self._hostname}>"
        asked = Asked(
            sender, parent.address, await beginning_of(self._reader, message), self._hostname, message_id, now
        )
        logged_in = message.origin.account is not None
        reason = why_not(asked) or self._answered.why_not(parent.address, sender, now, logged_in=logged_in)
        if reason:
            facts = {"file": target.value, "reason": f"without an answer: {reason}"}
            return event_of(now, Kind.ANSWERED, message, parent, facts)
        letter = compose(asked, text, template=target.kind is TargetKind.TEMPLATE)
        # RFC 3834 3.3: from the null sender, so that nothing answers the answer.
        envelope = Envelope("", (Recipient(sender, NEVER),), letter.body, letter.smtputf8)
        told_by = event_of(now, Kind.ANSWERED, message, parent, {"file": target.value})
        ways = {sender: await self._router.route(sender)}
        return NewMessage(envelope, letter.octets, ways, message_id, told_by=told_by)
