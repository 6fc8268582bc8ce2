"""A message of the spool as Twisted's stock ``smtp.SMTP`` hands one over: line by line, one for each recipient."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.mail import smtp
from zope.interface import implementer

from hermes.services.incoming import SpooledMessage

#: What ``validateTo`` leads to.
MessageFactory = Callable[[], "StockMessage"]


@implementer(smtp.IMessage)
class StockMessage:
    """Turns lines into octets, and does what a stock session does not: it limits the size and refuses bare line ends."""

    def __init__(self, message: SpooledMessage, max_size_octets: int) -> None:
        self._message = message
        self._max_size_octets = max_size_octets
        self._wire_octets = 0

    def lineReceived(self, line: bytes) -> None:
        """Take a line without its end; raise SMTPServerError when the message cannot be accepted."""
        self._wire_octets += len(line) + 2
        if self._wire_octets > self._max_size_octets:
            raise smtp.SMTPServerError(552, b"5.3.4 The message is too big")
        if b"\n" in line or b"\r" in line:
            # RFC 5321 2.3.8: CR and LF stand for a line end together, or not at all.
            raise smtp.SMTPServerError(554, b"5.6.0 The message has a CR or LF that stands alone")
        self._message.write(line + b"\n")

    def eomReceived(self) -> Deferred[str]:
        """The message is whole: succeed when it is durable."""
        return Deferred.fromCoroutine(self._finish())

    async def _finish(self) -> str:
        try:
            verdict = (await self._message.finish(self._wire_octets))[0]
        except BaseException:
            self._message.abort()
            raise
        if verdict.reply is not None:
            # It is logged, and the client told a 550 of the stock session's own.
            raise smtp.SMTPServerError(verdict.reply.code, str(verdict.reply)[4:])
        return self._message.queue_id

    def connectionLost(self) -> None:
        """The message was cut short: forget it."""
        self._message.abort()
