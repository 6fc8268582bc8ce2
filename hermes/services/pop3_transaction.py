"""
The answers of POP3's TRANSACTION state: what is in the maildrop, and its messages (RFC 1939 5 and 7).

Long answers leave in pieces, each when the client has taken the one before; neither a big message nor the list of a big
mailbox is ever held as a whole, and other sessions run in between.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import assert_never

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from hermes.net.turns import Turns
from hermes.protocols.pop3 import events
from hermes.protocols.pop3.events import TERMINATION, Response, accepted, refused
from hermes.protocols.pop3.outgoing import OutgoingMessage
from hermes.protocols.pop3.server import POP3Server
from hermes.services.pop3_maildrop import Maildrop
from hermes.services.pop3_view import MailboxView

#: Lines of a listing that are made at once: some 2 ms of work.
LISTING_LINES = 2000

#: Smaller messages that a client asks for in a pipeline leave together: with what Turns lets come together, half a megabyte.
ANSWERS_TOGETHER_OCTETS = 16 * 1024

#: The events that are answered here.
Command = (
    events.Statistics
    | events.ScanListing
    | events.UniqueIds
    | events.Retrieve
    | events.Top
    | events.Delete
    | events.Reset
)


class Transaction:
    """Answers one session's commands from its maildrop; ``retrieved`` is told of each message that was fetched, once."""

    def __init__(
        self,
        maildrop: Maildrop,
        engine: POP3Server,
        turns: Turns,
        clock: IReactorTime,
        retrieved: Callable[[Maildrop, int], None],
    ) -> None:
        self._maildrop = maildrop
        self._mailbox = maildrop.mailbox
        self._engine = engine
        self._turns = turns
        self._clock = clock
        self._retrieved = retrieved
        self._recorded: set[int] = set()

    async def answer(self, event: Command) -> None:
        """Answer one command. A fault is raised before the reply is given, or else the answer must be broken off."""
        match event:
            case events.Retrieve():
                await self._retrieve(event.number)
            case events.Delete():
                self._reply(self._delete(event.number))
            case events.ScanListing():
                await self._list(event.number, self._mailbox.size)
            case events.UniqueIds():
                await self._list(event.number, self._mailbox.uid)
            case events.Top():
                await self._top(event.number, event.lines)
            case events.Statistics():
                count, octets = self._mailbox.total()
                self._reply(accepted(f"{count} {octets}"))
            case events.Reset():
                self._mailbox.undelete_all()
                self._maildrop.deleted.clear()
                self._reply(accepted("no message is marked"))
            case _:
                assert_never(event)

    def _reply(self, response: Response) -> None:
        self._turns.write(self._engine.reply(response))

    def _refusal(self, number: int) -> Response | None:
        """Why a message number of the wire cannot be used, or None."""
        if not 0 < number <= self._mailbox.count():
            return refused("there is no such message")
        if self._mailbox.is_deleted(number - 1):
            return refused("that message is marked deleted")
        return None

    def _delete(self, number: int) -> Response:
        refusal = self._refusal(number)
        if refusal is not None:
            return refusal
        try:
            self._mailbox.delete(number - 1)
        except (ValueError, IndexError):
            # By these Twisted's mailboxes say that a message must stay.
            return refused("that message cannot be deleted")
        if self._mailbox.is_deleted(number - 1):
            # An account may have it that nothing is deleted.
            self._maildrop.deleted.add(number - 1)
        return accepted(f"message {number} marked")

    async def _list(self, number: int | None, value: Callable[[int], int | str]) -> None:
        """Answer LIST or UIDL: ``value`` is what stands behind the number of a message."""
        if number is not None:
            self._reply(self._refusal(number) or accepted(f"{number} {value(number - 1)}"))
            return
        mailbox = self._mailbox
        count = mailbox.count()
        for start in range(0, count, LISTING_LINES):
            lines = [
                f"{index + 1} {value(index)}\r\n"
                for index in range(start, min(start + LISTING_LINES, count))
                if not mailbox.is_deleted(index)
            ]
            if start:
                await self._turns.written()
                await deferLater(self._clock, 0)
            else:
                self._reply(accepted("listing follows"))
            self._turns.write("".join(lines).encode("ascii"))
        if not count:
            self._reply(accepted("listing follows"))
        self._turns.write(TERMINATION)

    async def _retrieve(self, number: int) -> None:
        refusal = self._refusal(number)
        if refusal is not None:
            self._reply(refusal)
        elif await self._send(number - 1, accepted(f"{self._mailbox.size(number - 1)} octets")):
            self._fetched(number - 1)

    def _fetched(self, index: int) -> None:
        self._mailbox.mark_retrieved(index)
        # Once a session tells that it was read; a client that fetches it a thousand times must not fill the trace.
        if index not in self._recorded:
            self._recorded.add(index)
            self._retrieved(self._maildrop, index)

    async def _top(self, number: int, lines: int) -> None:
        refusal = self._refusal(number)
        if refusal is not None:
            self._reply(refusal)
        else:
            await self._send(number - 1, accepted("top of message follows"), lines)

    async def _send(self, index: int, response: Response, lines: int | None = None) -> bool:
        """Reply and send a message, or its top; False when the message has gone from the mailbox."""
        turns = self._turns
        outgoing = OutgoingMessage(utf8=self._engine.utf8, lines=lines)
        answered = False
        status = self._mailbox.status_line(index) if isinstance(self._mailbox, MailboxView) else b""
        octets = self._mailbox.octets_at_once(index)
        if octets is not None:
            self._reply(response)
            turns.write_body(outgoing.whole(status + octets if status else octets))
            if len(octets) > ANSWERS_TOGETHER_OCTETS:
                await turns.written()
            return True
        try:
            content = await self._mailbox.content(index)
            async with aclosing(self._maildrop.reader.chunks(content)) as pieces:
                async for piece in pieces:
                    if answered:
                        await turns.written()
                    else:
                        self._reply(response)
                        answered = True
                    turns.write_body(outgoing.take(status + piece if status else piece))
                    status = b""
                    if outgoing.done:
                        break
        except FileNotFoundError:
            if answered:
                raise
            # Another program has taken it away since the mailbox was opened.
            self._reply(refused("that message is gone"))
            return False
        if not answered:
            self._reply(response)
        turns.write_body(outgoing.finish())
        return True
