"""
The LMTP client's engine: SMTP's, but for a greeting of its own and an answer for each recipient (RFC 2033).

LMTP is for delivery into mailboxes, by a server that keeps no queue: who could not be delivered to is told of at once, and
tried again later alone.
"""

from __future__ import annotations

from typing_extensions import override

from hermes.core.reply import Reply
from hermes.protocols.smtp import client_commands
from hermes.protocols.smtp.client import ClientEngine
from hermes.protocols.smtp.client_events import Peer, Stage


class LMTPClientEngine(ClientEngine):
    """One session with an LMTP server; see :class:`~hermes.protocols.smtp.client.ClientEngine`."""

    def __init__(self, hostname: str, peer: Peer) -> None:
        super().__init__(hostname, peer)
        # RFC 2033 4.1: LHLO in the place of HELO and EHLO; there is nothing older to fall back on.
        self._hello = self._helo = client_commands.hello(b"LHLO", hostname)

    @override
    def end_content(self) -> None:
        """The message is whole: each recipient that was accepted has an answer of its own (RFC 2033 4.2, 4.3)."""
        super().end_content()
        self._expected.extend([Stage.FINAL] * (self._current.undecided - 1))

    @override
    def _data_reply(self, reply: Reply) -> None:
        if reply.is_intermediate and self._current.decided:
            # RFC 2033 4.2: after no accepted RCPT, DATA must be refused. How many answers would follow is anybody's guess.
            self._odd(Stage.DATA, reply)
        else:
            super()._data_reply(reply)

    @override
    def _final_reply(self, reply: Reply) -> None:
        if reply.is_intermediate:
            self._odd(Stage.FINAL, reply)
            return
        self._current.next_final_reply(reply)
        if self._current.decided:
            self._finish()
