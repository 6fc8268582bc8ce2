"""
Copies mail out of a mailbox, each message once however often it is begun; the mailbox stays as it is, and need not be locked.

A message that comes while this goes on may be left for the next time; one that its owner deletes meanwhile is counted as gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from hermes.mailbox.importing import MAX_PROBLEMS
from hermes.mailbox.stored_mail import OpenedMessage, messages_of


class Target(Protocol):
    """Where messages go."""

    def put(self, opened: OpenedMessage, folder: str) -> bool:
        """Add a message that is in a folder; False when it is there."""

    def finish(self) -> None:
        """All messages have been added: make them durable."""

    def close(self) -> None:
        """Let go of it; harmless after :meth:`finish`."""


@attrs.define
class Exported:
    """
    How far it has come.

    ``already`` were there; ``gone`` were deleted meanwhile. ``problems`` say what could not be read; there are ``failed`` of
    them.
    """

    exported: int = 0
    already: int = 0
    gone: int = 0
    failed: int = 0
    problems: list[str] = attrs.field(factory=list)

    @property
    def seen(self) -> int:
        """All that have been looked at."""
        return self.exported + self.already + self.gone + self.failed


def export(
    path: str, folders: Sequence[str], target: Target, so_far: Exported, show: Callable[[int, int], None]
) -> None:
    """
    Copy folders of the maildir at ``path``; ``show`` is called with how many messages were looked at, and how many there are.

    Raises OSError when the target cannot be written, and what the target raises.
    """
    listed = [(folder, messages_of(os.path.join(path, folder) if folder else path)) for folder in folders]
    total = sum(len(messages) for _, messages in listed)
    for folder, messages in listed:
        for message in messages:
            show(so_far.seen, total)
            try:
                opened = message.open()
            except FileNotFoundError:
                so_far.gone += 1
                continue
            except OSError as error:
                so_far.failed += 1
                if len(so_far.problems) < MAX_PROBLEMS:
                    so_far.problems.append(f"{os.fsdecode(message.name)}: {error.strerror}")
                continue
            with opened:
                if target.put(opened, folder):
                    so_far.exported += 1
                else:
                    so_far.already += 1
    target.finish()
