"""Maildirs in a test's own directory: workers without threads, mailboxes over them, messages and what became of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from hermes.core.account import Account
from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.identifiers import encode
from hermes.core.jobs import perform_each
from hermes.core.message import Content, QueuedMessage, QueuedRecipient
from hermes.core.reading_profile import PLAIN, ReadingProfile
from hermes.mailbox import maildir
from hermes.mailbox.cached import CachedFiles
from hermes.mailbox.store import Mailboxes
from tests.support.worker import ImmediateWorker

HOST = "mail.example.org"

#: The second at which the clocks of these tests start.
NOW = 1_700_000_000.0

JOE = Account("joe", ("joe@example.org",))


def calling_worker() -> ImmediateWorker:
    """A worker that calls what it is given."""
    worker = ImmediateWorker()
    worker.start(perform_each)
    return worker


def clock_at(now: float = NOW) -> Clock:
    """A clock that shows a date and not the beginning of time."""
    clock = Clock()
    clock.advance(now)
    return clock


def mailboxes_in(
    directory: str,
    reader: ImmediateWorker | None = None,
    clock: Clock | None = None,
    default_quota: int = 0,
    reading: ReadingProfile = PLAIN,
    cached: CachedFiles | None = None,
) -> Mailboxes:
    """Mailboxes in a directory."""
    return Mailboxes(
        directory,
        reader or calling_worker(),
        default_quota=default_quota,
        hostname=HOST,
        now=(clock or clock_at()).seconds,
        reading=reading,
        cached=cached,
    )


def queue_id(number: int, accepted_at: float = NOW) -> str:
    """A queue id of that second."""
    return encode(int(accepted_at) * 1_000_000 + number)


def queued(
    content: Content, *, number: int = 1, accepted_at: float = NOW, ordinals: tuple[int, ...] = (0,), attempts: int = 0
) -> QueuedMessage:
    """A message in the queue for joe, with so many recipients."""
    recipients = [
        QueuedRecipient(ordinal, "joe@example.org", None, None, "local:joe", attempts, accepted_at)
        for ordinal in ordinals
    ]
    envelope = Envelope("ann@example.com", tuple(Recipient(recipient.address) for recipient in recipients))
    return QueuedMessage(
        queue_id(number, accepted_at), accepted_at, envelope, Origin("ESMTP"), "<m@example.com>", content, recipients
    )


PREFIX = b"Return-Path: <ann@example.com>\n"


def content_of(body: bytes, path: str | None = None, binary: bool = False) -> Content:
    """Content with our prefix and a body of LF lines, in memory or in a file that is written here."""
    octets = PREFIX + body
    wire_octets = len(body) if binary else len(body) + body.count(b"\n")
    if path is not None:
        with open(path, "wb") as file:
            file.write(octets)
        return Content(len(octets), wire_octets, len(PREFIX), binary, path=path)
    return Content(len(octets), wire_octets, len(PREFIX), binary, data=octets)


def put(path: str, directory: str, name: str | bytes, octets: bytes = b"Subject: x\n\nbody\n") -> bytes:
    """Write a file into a maildir as another program would; its path."""
    maildir.make(path)
    target = os.path.join(os.fsencode(path), directory.encode(), os.fsencode(name))
    with open(target, "wb") as file:
        file.write(octets)
    return target


def files_in(path: str, directory: str) -> list[str]:
    """The names in one directory of a maildir, sorted; none when it does not exist."""
    try:
        return sorted(os.listdir(os.path.join(path, directory)))
    except FileNotFoundError:
        return []


def read(path: str, directory: str, name: str) -> bytes:
    """The octets of a message."""
    with open(os.path.join(path, directory, name), "rb") as file:
        return file.read()


class Failing:
    """A stand-in for a function of ``os`` that raises ``error`` at call number ``at`` and otherwise does its work."""

    def __init__(self, original: Callable[..., Any], error: OSError, at: int = 1) -> None:
        self._original = original
        self._error = error
        self._at = at
        self.calls = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Raise, or pass it on."""
        self.calls += 1
        if self.calls == self._at:
            raise self._error
        return self._original(*arguments, **named)
