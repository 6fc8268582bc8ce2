"""
Messages that programs on this machine have left in files, on their way into the spool.

A file is read, committed, and removed. Its name is recorded in the transaction that commits it, so a file that is still there
after a crash is known and only removed: nothing is lost, and nothing is sent twice. Whoever may write there may send as anybody
to everybody; what cannot be delivered is returned to the sender by the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from hermes.core.dropped import MAX_HEAD_OCTETS, LineEnds, addressed, body_of, envelope_of, without_bcc
from hermes.core.envelope import BodyType, Envelope, Origin, Recipient
from hermes.core.header_facts import MAX_HEADER_OCTETS, header_end
from hermes.core.outcome import Verdict
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.interfaces import IGroupWorker, IRouter, ISpool, SpoolFullError
from hermes.services import drop_files
from hermes.services.drop_files import DroppedFile, Opened
from hermes.services.reception import Premises, Reception

PIECE_OCTETS = 64 * 1024

#: Where it came in, for the trace and the checks.
LISTENER = "drop"


@attrs.frozen
class Way:
    """What the settings in force say: where a message goes in, and by which ways it goes on."""

    premises: Premises
    router: IRouter
    hostname: str
    max_recipients: int


@attrs.frozen
class Taken:
    """What became of a file: it is ``queue_id`` now, or it was ``refused``, for good or for now."""

    queue_id: str = ""
    refused: str = ""
    for_good: bool = False


class Drop:
    """Takes files; ``worker`` calls each item, ``way`` gives what is in force."""

    _log = Logger()

    def __init__(self, worker: IGroupWorker, spool: ISpool, way: Callable[[], Way]) -> None:
        self._worker = worker
        self._spool = spool
        self._way = way
        self._lock = DeferredLock()

    async def take(self, file: DroppedFile, *, told: bool = False) -> Taken:
        """
        Take one file, if it is there still; ``told`` says that somebody waits for the answer.

        What is refused for good is set aside then, or removed when somebody is told.
        """
        await self._lock.acquire()
        try:
            taken = await self._take(file)
            if taken.for_good:
                if told:
                    await self._do(drop_files.remove, file)
                else:
                    aside = await self._do(drop_files.set_aside, file)
                    self._log.warn(
                        "{path} cannot be taken and is now {aside}: {reason}",
                        path=file.path,
                        aside=aside,
                        reason=taken.refused,
                    )
            return taken
        finally:
            self._lock.release()

    async def _take(self, file: DroppedFile) -> Taken:
        known = await self._spool.track(file.key, 1)
        if known:
            # It was committed, and then the server died.
            await self._do(drop_files.remove, file)
            return Taken(queue_id=known[0].queue_id)
        try:
            opened: Opened = await self._do(drop_files.open_file, file)
        except FileNotFoundError:
            return Taken(refused="it is not there any more")
        except ValueError as error:
            return Taken(refused=str(error), for_good=True)
        try:
            taken = await self._commit(file, opened)
        except ValueError as error:
            return Taken(refused=str(error), for_good=True)
        except SpoolFullError:
            return Taken(refused="there is no room for mail now")
        finally:
            await self._do(opened.file.close)
        if taken.queue_id:
            await self._do(drop_files.remove, file)
        return taken

    async def _commit(self, file: DroppedFile, opened: Opened) -> Taken:
        way = self._way()
        if opened.size_octets > way.premises.max_size_octets + MAX_HEAD_OCTETS:
            raise ValueError(f"it is larger than smtp.max_size ({way.premises.max_size_octets} octets)")
        if file.has_envelope:
            envelope, first = envelope_of(await self._do(opened.file.readline, MAX_HEAD_OCTETS)), b""
        else:
            envelope, first = await self._read_header(opened)
        if not envelope.recipients:
            raise ValueError("it names no recipient")
        if len(envelope.recipients) > way.max_recipients:
            raise ValueError(f"it names more than {way.max_recipients} recipients (smtp.max_recipients)")
        transaction = await self._transaction(envelope, file, opened, way)
        message = await Reception(None, way.premises).begin(transaction)
        if isinstance(message, Verdict):
            raise TypeError("a reception of our own refused to begin")
        ends, wire_octets = LineEnds(), 0
        try:
            piece = first or await self._do(opened.file.read, PIECE_OCTETS)
            while piece:
                data = ends.feed(piece)
                wire_octets += len(data) + data.count(b"\n")
                if wire_octets > way.premises.max_size_octets:
                    raise ValueError(f"it is larger than smtp.max_size ({way.premises.max_size_octets} octets)")
                message.write(data)
                await message.drained()
                piece = await self._do(opened.file.read, PIECE_OCTETS)
            last = ends.finish()
            message.write(last)
            verdicts = await message.finish(wire_octets + 2 * len(last))
        except BaseException:
            message.abort()
            raise
        refusal = next((verdict.reply for verdict in verdicts if verdict.reply is not None), None)
        if refusal is not None and not any(verdict.accepted for verdict in verdicts):
            return Taken(refused=str(refusal), for_good=refusal.is_permanent)
        return Taken(queue_id=message.queue_id)

    async def _read_header(self, opened: Opened) -> tuple[Envelope, bytes]:
        """Envelope and first octets of a message whose header names its recipients."""
        octets = await self._do(opened.file.read, MAX_HEADER_OCTETS)
        text = octets.replace(b"\r\n", b"\n")
        if text.startswith((b"From ", b">From ")):
            text = text.partition(b"\n")[2]
        end = header_end(text)
        if end < 0 and len(octets) >= MAX_HEADER_OCTETS:
            raise ValueError(f"its header has more than {MAX_HEADER_OCTETS} octets")
        header = text if end < 0 else text[:end]
        named = addressed(header)
        sender, recipients = named.sender, named.recipients
        rest = b"" if end < 0 else text[end:]
        # The CR of a CRLF that is cut between two pieces is the reader's business, not ours.
        body = BodyType.EIGHT_BIT if not text.isascii() else body_of([text])
        smtputf8 = not all(map(str.isascii, (sender, *recipients)))
        envelope = Envelope(sender, tuple(map(Recipient, recipients)), body, smtputf8)
        return envelope, without_bcc(header if header.endswith(b"\n") else header + b"\n") + rest

    async def _transaction(self, envelope: Envelope, file: DroppedFile, opened: Opened, way: Way) -> Transaction:
        origin = Origin(LISTENER, hello=way.hostname)
        facts = {"drop": file.key, "user": opened.user}
        transaction = Transaction(
            origin,
            LISTENER,
            True,
            envelope.reverse_path,
            body=envelope.body,
            smtputf8=envelope.smtputf8,
            ret=envelope.ret,
            envid=envelope.envid,
            recipients=list(envelope.recipients),
            visit=Visit("", LISTENER, hello=way.hostname, relays=LISTENER),
            facts=facts,
        )
        for each in envelope.recipients:
            transaction.destinations[each.address] = await way.router.route(each.address, envelope.reverse_path)
        return transaction

    async def _do(self, step: Callable[..., Any], *arguments: Any) -> Any:
        return await self._worker.submit(partial(step, *arguments))
