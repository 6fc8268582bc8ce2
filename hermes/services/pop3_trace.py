"""What the trace keeps of a POP3 session, beside its logins: who was turned away, what was fetched, what was deleted."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hermes.core.event import Event, Kind
from hermes.interfaces import IJournal
from hermes.services.pop3_maildrop import Maildrop

#: Deletions are recorded in groups of this size, and other sessions run in between.
RECORDS_BEFORE_YIELDING = 500


class SessionTrace:
    """Records the facts of the session of ``peer``, for whom ``via`` speaks, if anybody; a fault in it harms nobody's mail."""

    _log = Logger()

    def __init__(self, journal: IJournal, clock: IReactorTime, peer: str, via: str = "") -> None:
        self._journal = journal
        self._clock = clock
        self._peer = peer
        self._via = via

    def record(
        self,
        kind: Kind,
        *,
        queue_id: str = "",
        address: str = "",
        reverse_path: str | None = None,
        **facts: str | int | float | bool | None,
    ) -> None:
        """Record one fact."""
        facts = {"service": "pop3", "peer": self._peer, **facts}
        if self._via:
            facts["via"] = self._via
        self._journal.record(Event(self._clock.seconds(), kind, queue_id, address, reverse_path, facts=facts))

    def retrieved(self, maildrop: Maildrop, number: int) -> None:
        """A message was fetched whole; its number counts from 0."""
        mailbox = maildrop.mailbox
        try:
            self.record(
                Kind.RETRIEVED,
                queue_id=mailbox.queue_id(number),
                address=maildrop.account,
                octets=mailbox.size(number),
                uid=mailbox.uid(number),
            )
        except Exception:
            self._log.failure("recording what {peer} fetched", peer=self._peer)

    async def deleted(self, maildrop: Maildrop, numbers: Collection[int]) -> None:
        """Messages were deleted."""
        mailbox = maildrop.mailbox
        with self._log.failuresHandled("recording what {peer} deleted", peer=self._peer):
            for count, number in enumerate(sorted(numbers), 1):
                self.record(
                    Kind.DELETED, queue_id=mailbox.queue_id(number), address=maildrop.account, uid=mailbox.uid(number)
                )
                if count % RECORDS_BEFORE_YIELDING == 0:
                    await deferLater(self._clock, 0)
