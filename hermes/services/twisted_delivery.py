"""
Somebody else's ``twisted.mail.smtp.IMessageDelivery`` behind Hermes's sessions.

A realm that a Twisted programmer wrote gives avatars of that interface (or its factory). They are called as Twisted's own
``smtp.SMTP`` calls them: ``validateFrom``, ``validateTo`` for each recipient, ``receivedHeader``, then each message's
``lineReceived`` and ``eomReceived``. Exceptions of theirs that name a reply become that reply; others are temporary failures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.mail import smtp
from zope.interface import implementer

from hermes.core.envelope import BodyType, Recipient
from hermes.core.outcome import PASS, Verdict
from hermes.core.received import path
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.interfaces import IIncomingMessage, IReception

#: A line that ``lineReceived`` is given at most: what Twisted's own receivers take.
MAX_LINE_OCTETS = 16384

_BINARY = Verdict(Reply.of(554, "5.6.3", "Binary messages are not taken here"), "delivery.binary")
_LINE_TOO_LONG = Verdict(Reply.of(554, "5.6.0", "The message has too long a line"), "delivery.line_too_long")
_FAULT = Verdict(Reply.of(451, "4.3.0", "Something went wrong here: try again later"), "delivery.fault")


@implementer(IReception)
class TwistedDelivery:
    """Adapts a delivery, or a factory that is asked for one at each MAIL; ``protocol`` is what ``smtp.User`` shows."""

    account = None

    def __init__(self, delivery: Any, protocol: smtp.SMTP) -> None:
        self._factory = delivery if smtp.IMessageDeliveryFactory.providedBy(delivery) else None
        self._delivery = delivery
        self._protocol = protocol
        self._helo: tuple[bytes, bytes] = (b"", b"")
        self._origin: smtp.Address = smtp.Address(b"<>")
        self._accepted: list[tuple[smtp.User, Callable[[], Any]]] = []

    async def sender(self, transaction: Transaction, command: str = "") -> Verdict:
        """Call ``validateFrom``."""
        if transaction.body is BodyType.BINARY:
            return _BINARY
        self._accepted = []
        origin = transaction.origin
        self._helo = (origin.hello.encode("utf-8", "replace"), origin.peer.encode("ascii", "replace"))
        try:
            if self._factory is not None:
                self._delivery = self._factory.getMessageDelivery()
            address = smtp.Address(path(transaction.reverse_path).encode("utf-8", "replace"))
            self._origin = await maybeDeferred(self._delivery.validateFrom, self._helo, address)
        except (smtp.SMTPServerError, smtp.AddressError) as error:
            return _verdict(error)
        return PASS

    async def recipient(self, transaction: Transaction, recipient: Recipient, command: str = "") -> tuple[Verdict, str]:
        """Call ``validateTo``."""
        try:
            target = path(recipient.address).encode("utf-8", "replace")
            user = smtp.User(target, self._helo, self._protocol, self._origin)
            self._accepted.append((user, await maybeDeferred(self._delivery.validateTo, user)))
        except (smtp.SMTPServerError, smtp.AddressError) as error:
            return _verdict(error), ""
        return PASS, ""

    async def begin(self, transaction: Transaction) -> IIncomingMessage | Verdict:
        """Make the messages, and give each its ``Received:`` line."""
        message = LineMessage()
        try:
            for user, make in self._accepted:
                part = make()
                message.add(part)
                header = self._delivery.receivedHeader(self._helo, self._origin, [user])
                if header:
                    part.lineReceived(header)
        except smtp.SMTPServerError as error:
            message.abort()
            return _verdict(error)
        except Exception:
            message.abort()
            raise
        return message


@implementer(IIncomingMessage)
class LineMessage:
    """Gives the lines of one message to the messages of all its recipients."""

    _log = Logger()

    queue_id = ""
    congested = False

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._count = 0
        self._rest = b""
        self._at_start = True
        self._refusal: Verdict | None = None

    def add(self, part: Any) -> None:
        """Add a recipient's ``smtp.IMessage``."""
        self._parts.append(part)
        self._count += 1

    def write(self, chunk: bytes) -> None:
        """Give out the lines that are whole."""
        if self._refusal is not None:
            return
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_OCTETS or max(map(len, lines), default=0) > MAX_LINE_OCTETS:
            self._refuse(_LINE_TOO_LONG)
            return
        try:
            for line in lines:
                self._line(line)
        except smtp.SMTPServerError as error:
            self._refuse(_verdict(error))

    def _line(self, line: bytes) -> None:
        if self._at_start:
            self._at_start = False
            if line and b":" not in line:
                # A message without a header: its text must not become part of ours.
                self._give(b"")
        self._give(line)

    def _give(self, line: bytes) -> None:
        for part in self._parts:
            part.lineReceived(line)

    def _refuse(self, refusal: Verdict) -> None:
        self._refusal = refusal
        self.abort()

    async def drained(self) -> None:
        """Nothing waits here."""

    async def finish(self, wire_octets: int) -> list[Verdict]:
        """Call every ``eomReceived``; each recipient gets what its own message says."""
        if self._rest and self._refusal is None:
            self.write(b"\n")
        if self._refusal is not None:
            return [self._refusal] * self._count
        parts, self._parts = self._parts, []
        # All are begun before any is waited for.
        ends = [maybeDeferred(part.eomReceived) for part in parts]
        return [await self._end(end) for end in ends]

    async def _end(self, end: Deferred[Any]) -> Verdict:
        try:
            await end
        except smtp.SMTPServerError as error:
            return _verdict(error)
        except Exception:
            self._log.failure("A message could not be delivered")
            return _FAULT
        return PASS

    def abort(self) -> None:
        """Tell every message that it was cut short."""
        parts, self._parts = self._parts, []
        for part in parts:
            with self._log.failuresHandled("while a message was given up"):
                part.connectionLost()


def _verdict(error: smtp.SMTPServerError | smtp.AddressError) -> Verdict:
    if isinstance(error, smtp.AddressError):
        # RFC 3463 3.2: X.1.3, bad destination mailbox address syntax; Twisted knows less syntax than the standards.
        return Verdict(Reply.of(553, "5.1.3", "That address cannot be handled here"), "delivery.address", str(error))
    text = error.resp.decode("utf-8", "replace") if isinstance(error.resp, bytes) else str(error.resp)
    # Whatever is wrong with the number, the client gets a refusal that it can understand.
    code = error.code if 400 <= error.code <= 599 else 451
    return Verdict(Reply.parsed(code, tuple(text.splitlines()) or ("",)), "delivery.refused")
