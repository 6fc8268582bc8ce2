"""
A message of its own for addresses at other servers, in the place of one here that stands for them.

Its sender is rewritten (:mod:`hermes.core.srs`), so that the next server's look at the sender's policy (SPF) finds us.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import attrs

from hermes.core import address as addresses
from hermes.core.answer import fields
from hermes.core.envelope import BodyType, Origin, Recipient
from hermes.core.event import Kind
from hermes.core.expansion import Target
from hermes.core.message import NewMessage, QueuedMessage, QueuedRecipient, Rest
from hermes.core.printable import one_line
from hermes.core.rule_set import Act
from hermes.core.srs import SRS
from hermes.interfaces import IContentReader, IRouter
from hermes.queue.derived import MAX_TOLD_CHARACTERS, beginning_of, event_of, original_of

_SECONDS_A_DAY = 86400


class SendingOn:
    """
    Makes messages of messages.

    ``own_domains`` are those whose senders need not be rewritten, in lower case; ``srs`` rewrites the others, or is None; ``now``
    gives seconds since the epoch.
    """

    def __init__(
        self,
        router: IRouter,
        reader: IContentReader,
        now: Callable[[], float],
        *,
        own_domains: Sequence[str],
        srs: Callable[[], SRS | None],
    ) -> None:
        self._router = router
        self._reader = reader
        self._now = now
        self._own_domains = frozenset(own_domains)
        self._srs = srs

    async def has_passed(self, message: QueuedMessage, parent: QueuedRecipient) -> bool:
        """True when the message says that it has been sent on from this address before."""
        here = addresses.key(parent.address)
        beginning = await beginning_of(self._reader, message)
        return any(
            name == "delivered-to" and addresses.key(text.strip("<> ")) == here for name, text in fields(beginning)
        )

    async def messages(
        self, message: QueuedMessage, parent: QueuedRecipient, acts: Sequence[Act], notify: frozenset[str] | None
    ) -> list[NewMessage]:
        """One for all that get the same."""
        made = []
        for near, added in dict.fromkeys((self._is_near(act), act.fields) for act in acts):
            targets = [act.target for act in acts if (self._is_near(act), act.fields) == (near, added)]
            made.append(await self._sent_on(message, parent, targets, notify, added, near=near))
        return made

    def _is_near(self, act: Act) -> bool:
        """Whether rules send it to an address of ours: the next server is this one, and the sender may stay."""
        return addresses.domain_of(act.target.address) in self._own_domains

    async def _sent_on(
        self,
        message: QueuedMessage,
        parent: QueuedRecipient,
        outside: list[Target],
        notify: frozenset[str] | None,
        added: Sequence[str],
        *,
        near: bool,
    ) -> NewMessage:
        envelope = message.envelope
        reverse_path = envelope.reverse_path if near else self._sender(envelope.reverse_path)
        recipients = tuple(Recipient(target.address, notify, original_of(parent)) for target in outside)
        account = message.origin.account
        destinations = {
            target.address: await self._router.route(target.address, reverse_path, account or "") for target in outside
        }
        lines = [f"Delivered-To: {one_line(parent.address, 254)}", *added]
        if any(target.forwarded for target in outside):
            # What Mercury's own lists and answers know a forwarded message by.
            lines.append("X-Autoforward: 1")
        to = one_line(", ".join(target.address for target in outside), MAX_TOLD_CHARACTERS)
        facts = {"to": to, "sender": reverse_path} if reverse_path != envelope.reverse_path else {"to": to}
        return self.derived(message, parent, lines, recipients, destinations, facts, reverse_path)

    def derived(
        self,
        message: QueuedMessage,
        parent: QueuedRecipient,
        lines: Sequence[str],
        recipients: tuple[Recipient, ...],
        destinations: dict[str, str],
        facts: dict[str, str],
        reverse_path: str | None = None,
    ) -> NewMessage:
        """The message with further lines on top, as a message of its own; from another sender, if one is given."""
        envelope, content = message.envelope, message.content
        sender = envelope.reverse_path if reverse_path is None else reverse_path
        newline = "\r\n" if envelope.body is BodyType.BINARY else "\n"
        octets = "".join(line + newline for line in lines).encode("utf-8", "replace")
        return NewMessage(
            attrs.evolve(envelope, reverse_path=sender, recipients=recipients),
            octets,
            destinations,
            message.message_id,
            # It goes the way of the account that sent it, also when it is tried again.
            # Not "local": it is not what this server says, and gets no signature of ours unless an account sent it.
            Origin("forward", account=message.origin.account),
            rest=Rest(partial(self._reader.chunks, content, content.prefix_octets), content.wire_octets),
            facts={"sent_on_from": message.queue_id},
            told_by=event_of(self._now(), Kind.FORWARDED, message, parent, facts),
        )

    def _sender(self, reverse_path: str) -> str:
        srs = self._srs()
        # Our own domains say that we may send for them, and reports come from nobody.
        if srs is None or not reverse_path or addresses.domain_of(reverse_path) in self._own_domains:
            return reverse_path
        return srs.forward(reverse_path, int(self._now() // _SECONDS_A_DAY))
