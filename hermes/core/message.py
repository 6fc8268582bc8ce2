"""A message in the queue: its envelope, where its octets are, and how far each recipient has come."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Callable, Mapping

import attrs

from hermes.core.envelope import Envelope, Origin
from hermes.core.event import Event


@attrs.frozen
class Content:
    """
    Where a message's octets are.

    The stored form is exactly what a maildir gets: lines end in LF (for BINARYMIME the octets are as they came), and the
    first ``prefix_octets`` octets are our ``Return-Path:`` line, which is not sent on to other servers (RFC 5321 4.4).
    Exactly one of ``data`` and ``path`` is set, or neither when the octets must be asked for (:meth:`ISpool.content`).
    ``size_octets`` is the stored size with the prefix; ``wire_octets`` the size with CRLF line ends, without the prefix.
    ``binary`` says that the octets must not be converted.
    """

    size_octets: int
    wire_octets: int
    prefix_octets: int
    binary: bool = False
    data: bytes | None = None
    path: str | None = None


class State(enum.Enum):
    """The states of a recipient in the queue."""

    QUEUED = "queued"
    HELD = "held"
    PAUSED = "paused"


@attrs.define
class QueuedRecipient:
    """
    One recipient that is not finished.

    ``destination`` is ``agent:next-hop`` as the router wrote it; ``next_attempt_at`` is in seconds since the epoch;
    ``delays_reported`` counts the delay warnings sent. An administrator may have said by which way it goes (``pinned``), that no
    rule holds it any more (``released``), that no pause does (``drained``), and until when it is tried (``expires_at``, else
    None).
    """

    ordinal: int
    address: str
    notify: frozenset[str] | None
    original: str | None
    destination: str
    attempts: int
    next_attempt_at: float
    state: State = State.QUEUED
    last_reason: str = ""
    delays_reported: int = 0
    pinned: bool = False
    released: bool = False
    drained: bool = False
    expires_at: float | None = None


@attrs.define
class QueuedMessage:
    """A message in the queue, with some or all of its unfinished recipients."""

    queue_id: str
    accepted_at: float
    envelope: Envelope
    origin: Origin
    message_id: str
    content: Content
    recipients: list[QueuedRecipient]


@attrs.frozen
class Finished:
    """A recipient that needs nothing more."""

    ordinal: int


@attrs.frozen
class Postponed:
    """A recipient to be tried again, with what changed about it (see :class:`QueuedRecipient`)."""

    ordinal: int
    attempts: int
    next_attempt_at: float
    reason: str
    delays_reported: int = 0


@attrs.frozen
class Held:
    """A recipient that waits until somebody releases it, or resumes its way."""

    ordinal: int
    reason: str
    state: State = State.HELD


Settlement = Finished | Postponed | Held


@attrs.frozen
class Replaced:
    """A recipient in whose place others stand from now on; their ordinals are of no other recipient, before or after."""

    ordinal: int
    recipients: tuple[QueuedRecipient, ...]


@attrs.frozen
class Rest:
    """Octets that need not be in memory: ``pieces`` gives them in the stored form, ``wire_octets`` is their size with CRLF."""

    pieces: Callable[[], AsyncGenerator[bytes, None]]
    wire_octets: int


@attrs.frozen
class Signature:
    """
    What is put in front of a message that leaves: header fields whose lines end in LF, the last one too.

    ``names`` says for the trace whose signatures they are: ``example.org/selector``, with spaces between.
    """

    lines: bytes
    names: str


@attrs.frozen
class NewMessage:
    """
    A message that Hermes itself writes: a report, an answer, or a message that is sent on.

    ``octets`` have no ``Return-Path:``, and LF line ends unless the envelope says that the body is binary; ``rest`` follows
    them. ``facts`` are for its RECEIVED event. ``told_by`` is an event about another message that leads to this one: it is
    recorded together with it, with this one's queue id as its fact ``message``.
    """

    envelope: Envelope
    octets: bytes
    destinations: Mapping[str, str]
    message_id: str
    origin: Origin = attrs.field(factory=lambda: Origin("local"))
    rest: Rest | None = None
    facts: Mapping[str, str | int | float | bool | None] = attrs.field(factory=dict)
    told_by: Event | None = None
