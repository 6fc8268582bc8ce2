"""The active set: the messages that are being worked on, and how much memory they may take. The others wait on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from hermes.core.message import QueuedMessage, QueuedRecipient

#: Octets of messages held in memory at once.
MAX_OCTETS = 64 * 1024**2

#: Recipients for each place in the set, on the average: a few messages to a thousand people fill it as many to one do.
RECIPIENTS_A_PLACE = 20

#: What a message takes beside its octets, and all that one takes whose octets are in a file.
_OVERHEAD_OCTETS = 2048

#: The spool gives octets up to about this many in memory, and names a file for more.
_IN_MEMORY_OCTETS = 128 * 1024


@attrs.define(eq=False)
class ActiveMessage:
    """
    A message that is being worked on.

    ``deliveries`` are those that have not ended; with the last one the message leaves. ``incomplete`` says that it may have
    recipients on disk that are in none of them; ``next_attempt_at`` when the first of those is due that were put off.
    ``silent`` says that it was removed and nobody is told of it any more; ``returning`` that the administrator wants it
    returned, and ``returned_only`` for which recipients, if not for all.
    """

    message: QueuedMessage
    octets: int
    recipients: int
    incomplete: bool
    deliveries: list[Delivery] = attrs.field(factory=list)
    next_attempt_at: float | None = None
    silent: bool = False
    returning: bool = False
    returned_only: set[int] | None = None

    def give_up(self, ordinals: Collection[int] | None) -> None:
        """Return it, for these recipients or for all, when it leaves."""
        if ordinals is None:
            self.returned_only = None
        elif not self.returning:
            self.returned_only = set(ordinals)
        elif self.returned_only is not None:
            self.returned_only.update(ordinals)
        self.returning = True


@attrs.define(eq=False)
class Delivery:
    """
    One attempt for the recipients of one message that have one destination; ``task`` is set once it has been
    started, ``keeps_waiting`` when it takes longer than it should.
    """

    active: ActiveMessage
    destination: str
    agent: str
    next_hop: str
    recipients: list[QueuedRecipient]
    task: Deferred[None] | None = None
    keeps_waiting: bool = False
    timer: IDelayedCall | None = None


class ActiveSet:
    """At most ``most`` messages, :data:`MAX_OCTETS` octets, and so many recipients; one message always fits."""

    def __init__(self, most: int, max_octets: int = MAX_OCTETS) -> None:
        self._most = most
        self._max_octets = max_octets
        self._max_recipients = most * RECIPIENTS_A_PLACE
        self._messages: dict[str, ActiveMessage] = {}
        self.octets = 0
        self.recipients = 0

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, queue_id: str) -> bool:
        return queue_id in self._messages

    def __iter__(self) -> Iterator[str]:
        return iter(self._messages)

    def get(self, queue_id: str) -> ActiveMessage | None:
        """The message, when it is active."""
        return self._messages.get(queue_id)

    @property
    def free(self) -> int:
        """How many more messages there is room for; 0 also when memory is used up."""
        if self.octets >= self._max_octets or self.recipients >= self._max_recipients:
            return 0
        return max(self._most - len(self._messages), 0)

    def add(self, message: QueuedMessage) -> ActiveMessage:
        """Take a message, whose octets are or will be in memory."""
        size = message.content.size_octets
        octets = _OVERHEAD_OCTETS + (size if size <= _IN_MEMORY_OCTETS and message.content.path is None else 0)
        count = len(message.recipients)
        active = ActiveMessage(message, octets, count, incomplete=count < len(message.envelope.recipients))
        self._messages[message.queue_id] = active
        self.octets += octets
        self.recipients += count
        return active

    def recount(self, active: ActiveMessage) -> None:
        """The message has other recipients than before, if it has not left meanwhile."""
        if self._messages.get(active.message.queue_id) is not active:
            return
        count = len(active.message.recipients)
        self.recipients += count - active.recipients
        active.recipients = count

    def remove(self, active: ActiveMessage) -> None:
        """The message leaves."""
        del self._messages[active.message.queue_id]
        self.octets -= active.octets
        self.recipients -= active.recipients
