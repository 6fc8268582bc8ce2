"""Messages and recipients as rows of the database, and back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from hermes.core.envelope import BodyType, Envelope, Origin, Recipient, TLSNeed
from hermes.core.message import Content, QueuedMessage, QueuedRecipient, State

#: A row as SQLite takes and gives it.
Row = tuple[Any, ...]

MESSAGE_COLUMNS = (
    "queue_id, accepted_at, reverse_path, body_type, smtputf8, ret, envid, protocol, peer, hello, tls, account,"
    " message_id, size_octets, wire_octets, prefix_octets, tls_need, in_file"
)
RECIPIENT_COLUMNS = (
    "queue_id, ordinal, address, notify, original, destination, attempts, next_attempt_at, state, last_reason,"
    " delays_reported, pinned, released, expires_at"
)

_SELECT_MESSAGE = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE queue_id = ?"  # noqa: S608 - constants only
_SELECT_RECIPIENTS = f"SELECT {RECIPIENT_COLUMNS} FROM recipients WHERE queue_id = ? ORDER BY ordinal"  # noqa: S608


def storable(text: str) -> str:
    """The text without what UTF-8 cannot write: octets that came in as something else must not make a fact unstorable."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def message_row(message: QueuedMessage) -> Row:
    """The row of ``messages``."""
    envelope, origin, content = message.envelope, message.origin, message.content
    return (
        message.queue_id,
        message.accepted_at,
        envelope.reverse_path,
        envelope.body.value,
        envelope.smtputf8,
        envelope.ret,
        envelope.envid,
        origin.protocol,
        origin.peer,
        storable(origin.hello),
        origin.tls,
        origin.account,
        storable(message.message_id),
        content.size_octets,
        content.wire_octets,
        content.prefix_octets,
        envelope.tls.value,
        content.path is not None,
    )


def recipient_rows(queue_id: str, recipients: Iterable[QueuedRecipient]) -> list[Row]:
    """The rows of ``recipients``."""
    return [
        (
            queue_id,
            recipient.ordinal,
            recipient.address,
            None if recipient.notify is None else ",".join(sorted(recipient.notify)),
            recipient.original,
            recipient.destination,
            recipient.attempts,
            recipient.next_attempt_at,
            recipient.state.value,
            recipient.last_reason,
            recipient.delays_reported,
            recipient.pinned,
            recipient.released + 2 * recipient.drained,
            recipient.expires_at,
        )
        for recipient in recipients
    ]


def read_message(connection: sqlite3.Connection, queue_id: str) -> QueuedMessage | None:
    """A message with all unfinished recipients, its content without data or path; None when there is none."""
    row = connection.execute(_SELECT_MESSAGE, (queue_id,)).fetchone()
    if row is None:
        return None
    return message_of(row, connection.execute(_SELECT_RECIPIENTS, (queue_id,)))


def content_of(row: Row) -> Content:
    """The sizes from the last columns of a row of ``messages``, without data or path."""
    size_octets, wire_octets, prefix_octets = row[13:16]
    return Content(size_octets, wire_octets, prefix_octets, binary=row[3] == BodyType.BINARY.value)


def message_of(row: Row, recipient_rows: Iterable[Row]) -> QueuedMessage:
    """A message from its row and those of the recipients that are wanted."""
    queue_id, accepted_at, reverse_path, body_type, smtputf8, ret, envid = row[:7]
    recipients = [_recipient(recipient_row) for recipient_row in recipient_rows]
    return QueuedMessage(
        queue_id=queue_id,
        accepted_at=accepted_at,
        envelope=Envelope(
            reverse_path,
            tuple(Recipient(recipient.address, recipient.notify, recipient.original) for recipient in recipients),
            BodyType(body_type),
            bool(smtputf8),
            ret,
            envid,
            TLSNeed(row[16]),
        ),
        origin=Origin(*row[7:12]),
        message_id=row[12],
        content=content_of(row),
        recipients=recipients,
    )


def _recipient(row: Row) -> QueuedRecipient:
    (
        _,
        ordinal,
        address,
        notify,
        original,
        destination,
        attempts,
        next_attempt_at,
        state,
        last_reason,
        delays_reported,
        pinned,
        released,
        expires_at,
    ) = row
    return QueuedRecipient(
        ordinal=ordinal,
        address=address,
        notify=None if notify is None else frozenset(notify.split(",") if notify else ()),
        original=original,
        destination=destination,
        attempts=attempts,
        next_attempt_at=next_attempt_at,
        state=State(state),
        last_reason=last_reason,
        delays_reported=delays_reported,
        pinned=bool(pinned),
        released=bool(released & 1),
        drained=bool(released & 2),
        expires_at=expires_at,
    )
