"""The seams of the mailboxes."""

from __future__ import annotations

from zope.interface import Attribute, Interface

from hermes.core.account import Account
from hermes.core.message import Content
from hermes.core.outcome import Verdict
from hermes.interfaces.faults import UnavailableError


class MailboxInUseError(Exception):
    """Another session holds the mailbox: the realm raises it at login (POP3 answers ``[IN-USE]``, RFC 2449 8.1.1)."""


class MailboxDepartedError(UnavailableError):
    """
    There can be no mailbox of that name yet, because an account of that name was renamed or removed a short time ago.

    The text says so, and may be told to its owner; after ``seconds`` it is worth while to come again.
    """

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(reason)
        self.seconds = seconds


class IMailboxes(Interface):
    """The mailboxes of all accounts."""

    async def over_quota(account: Account, octets: int) -> Verdict:
        """Say whether a message of that size still fits: PASS (no limit), FITS, or 452 (full) or 552 (could never fit)."""

    async def owners() -> list[str]:
        """The names of the accounts whose mailboxes have been made, in order; there may be no such account any more."""

    def mailbox(account: Account) -> IStreamingMailbox:
        """The account's mailbox, not yet open, which is ``twisted.mail.pop3.IMailbox`` as well."""


class IStreamingMailbox(Interface):
    """
    What Hermes's own mailboxes offer beyond ``twisted.mail.pop3.IMailbox``, so that 100,000 messages open at once.

    Message numbers count from 0. Sizes are in octets as on the wire, with CRLF line ends.
    """

    account = Attribute("The name of the account whose mailbox it is; empty where that is not known.")
    reading = Attribute("How it is read: a :class:`hermes.core.reading_profile.ReadingProfile` without open questions.")

    async def open() -> bool:
        """
        Lock the mailbox for this session and read the list of messages; False when another session holds it.

        Raises :class:`MailboxDepartedError` where there is none, and none may be made yet.
        """

    def count() -> int:
        """How many messages there are, deleted ones included."""

    def size(number: int) -> int:
        """The size of a message; 0 when it is marked deleted."""

    def total() -> tuple[int, int]:
        """The number of messages not marked deleted, and the sum of their sizes."""

    def uid(number: int) -> str:
        """The unique id: 1 to 70 characters from 0x21 to 0x7E, the same for the life of the message (RFC 1939 7)."""

    def queue_id(number: int) -> str:
        """The id under which the message came through the queue; empty when that is not known."""

    def is_seen(number: int) -> bool:
        """True when the message has been read, as far as that is known."""

    def arrived(number: int) -> float | None:
        """When the message came, in seconds since the epoch; None when that is not known."""

    def is_deleted(number: int) -> bool:
        """True when the message is marked deleted."""

    def delete(number: int) -> None:
        """Mark a message deleted."""

    def undelete_all() -> None:
        """Take all marks back."""

    def octets_at_once(number: int) -> bytes | None:
        """The octets of a small message where they can be had without a wait; None where :meth:`content` is to be asked."""

    async def content(number: int) -> Content:
        """Where the octets of the message are; FileNotFoundError when another program has taken it away."""

    def mark_retrieved(number: int) -> None:
        """Remember that the message was fetched: it is marked seen when the session ends."""

    async def update() -> list[int]:
        """Do the deletions (RFC 1939 6); the numbers of messages that could not be deleted."""

    async def close() -> None:
        """Release the lock. Marks that :meth:`update` has not carried out are forgotten."""
