"""The seams of DKIM: who signs mail that leaves, and where signatures are kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from zope.interface import Interface

from hermes.core.message import QueuedMessage, Signature


class ISigner(Interface):
    """Signs messages that leave (DKIM)."""

    async def sign(
        message: QueuedMessage, chunks: Callable[[], AsyncGenerator[bytes, None]], author: str = ""
    ) -> Signature | None:
        """
        The header fields to put in front of a message; None when it gets none.

        ``chunks`` begins to read the octets as they will be sent, in their stored form, without the prefix. Where a way puts
        another author into From, ``author`` is that address. A signature is made once for each of these.
        """

    async def keep(message: QueuedMessage, author: str = "") -> None:
        """The message has to wait: keep its signature with it. What goes wrong is logged, and does no harm."""


class ISignatures(Interface):
    """Where signatures are kept with the messages that wait."""

    async def keep_signature(queue_id: str, variant: str, signature: Signature) -> None:
        """Keep it for as long as there is the message."""

    async def signature(queue_id: str, variant: str) -> Signature | None:
        """What was kept."""
