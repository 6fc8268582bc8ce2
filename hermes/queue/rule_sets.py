"""
The sets of rules that addresses stand for, as the queue asks them: read again when their files have changed.

Everything that waits for a disk, or looks through a message, is done in a thread. What a set does is told; the expander writes it
down together with everything else that comes of the address, in one transaction.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial

from zope.interface import implementer

from hermes.config.errors import ConfigError
from hermes.config.rule_file import read_rules
from hermes.core.account import Account
from hermes.core.attachments import AttachmentNames
from hermes.core.expansion import Kind
from hermes.core.message import Content
from hermes.core.rule_set import MAX_LOOKED_AT, Examined, Ran, RuleSet
from hermes.interfaces import IGroupWorker, IRuleSets

#: Sets that are kept as they were understood: more than most sites have, and one of a thousand rules takes a megabyte.
MAX_KEPT_SETS = 50

#: A large message is looked through in pieces of so many octets.
PIECE_OCTETS = 1024 * 1024

_Stamp = tuple[int, int, int]


@implementer(IRuleSets)
class RuleSets:
    """``worker``, whose ``perform`` calls each item one after another, goes through them; ``account`` says who has a mailbox."""

    def __init__(self, worker: IGroupWorker, account: Callable[[str], Awaitable[Account | None]]) -> None:
        self._worker = worker
        self._account = account
        # The worker's thread alone touches it.
        self._kept: OrderedDict[str, tuple[_Stamp | None, RuleSet]] = OrderedDict()

    async def run(self, path: str, content: Content) -> Ran:
        """What the set does with the message; a problem is for the administrator, and the message waits."""
        ran: Ran = await self._worker.submit(partial(self._run, path, content))
        for act in ran.acts:
            name = act.target.value
            if act.target.kind is Kind.MAILBOX and await self._account(name) is None:
                return Ran(problem=f"{path}: there is no account {name}: make one, or take it out of the rules")
        return ran

    def _run(self, path: str, content: Content) -> Ran:
        try:
            rules = self._read(path)
        except ConfigError as error:
            return Ran(problem=error.problems[0].describe(error.path))
        message = Examined(_beginning(content), content.wire_octets)
        if rules.wants_attachments:
            message.attachments = _attachments(message, content)
        return rules.run(message)

    def _read(self, path: str) -> RuleSet:
        """The set, read again when the file is another; raises ConfigError, also when it is gone."""
        # Before the text: a change while it is being read is then noticed at the next message.
        stamp = _stamp(path)
        kept = self._kept.get(path)
        if kept is not None and stamp is not None and kept[0] == stamp:
            self._kept.move_to_end(path)
            return kept[1]
        rules = read_rules(path)
        self._kept[path] = stamp, rules
        if len(self._kept) > MAX_KEPT_SETS:
            self._kept.popitem(last=False)
        return rules


def _beginning(content: Content) -> bytes:
    """What rules look at of a message."""
    start = content.prefix_octets
    if content.data is not None:
        return content.data[start : start + MAX_LOOKED_AT]
    if content.path is None:
        raise ValueError("the content has neither data nor path: ask the spool for it")
    with open(content.path, "rb") as file:
        file.seek(start)
        return file.read(MAX_LOOKED_AT)


def _attachments(message: Examined, content: Content) -> list[str]:
    """The names of its files, wherever these stand."""
    found = AttachmentNames(message.header.octets)
    start = content.prefix_octets + message.body_at
    if content.path is None:
        found.look((content.data or b"")[start:])
        return found.names
    with open(content.path, "rb") as file:
        file.seek(start)
        while not found.over and (piece := file.read(PIECE_OCTETS)):
            found.look(piece)
    return found.names


def _stamp(path: str) -> _Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
