"""The seams between an SMTP session and what becomes of its messages."""

from __future__ import annotations

from zope.interface import Attribute, Interface

from hermes.core.envelope import Recipient
from hermes.core.outcome import Verdict
from hermes.core.transaction import Transaction


class IIncomingMessage(Interface):
    """A message that a session is receiving. Either :meth:`finish` or :meth:`abort` ends it."""

    queue_id = Attribute("The id under which the message can be looked up; empty where there is none.")
    congested = Attribute("True while more waits than should: await drained() before the next write.")

    def write(chunk: bytes) -> None:
        """Append octets of the message as the client sent it, in the stored form (:class:`hermes.core.message.Content`)."""

    async def drained() -> None:
        """Return when writing has caught up; raise SpoolFullError when the disk is full."""

    async def finish(wire_octets: int) -> list[Verdict]:
        """
        The message is whole: keep it, and say for each of the transaction's recipients, in order, what came of it.

        Where a verdict is accepted, responsibility has been taken (RFC 5321 4.2.5).
        """

    def abort() -> None:
        """Forget the message; harmless after the end."""


class IReception(Interface):
    """
    What a client of the SMTP server may do: the avatar of a session.

    It is the short way round ``twisted.mail.smtp.IMessageDelivery``: verdicts instead of exceptions, and octets
    written once for all recipients.
    """

    account = Attribute("The account that authenticated, or None.")

    async def sender(transaction: Transaction, command: str = "") -> Verdict:
        """Judge the reverse-path; ``command`` is the command line, for the checks."""

    async def recipient(transaction: Transaction, recipient: Recipient, command: str = "") -> tuple[Verdict, str]:
        """Judge a recipient, and say to which destination its mail goes when it is accepted."""

    async def begin(transaction: Transaction) -> IIncomingMessage | Verdict:
        """Begin to receive the message, or refuse it."""
