"""Driving the POP3 engine without a network: what the client says goes in cut in every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hermes.protocols.pop3.events import Answered, Event, Refused, Response, accepted
from hermes.protocols.pop3.parameters import ServerParameters
from hermes.protocols.pop3.server import POP3Server
from hermes.protocols.smtp.events import MessageData
from tests.support.cuts import CUTS, Cut, whole


class Conversation:
    """
    An engine, the events it gave, and what it sent.

    An event that wants a reply gets ``answers(event)``; refusals are answered with their own response.
    """

    def __init__(
        self,
        *,
        cut: Cut = whole,
        tls: bool = True,
        stls: bool = False,
        login_in_clear: bool = False,
        mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN"),
        expire: str = "NEVER",
        login_delay: int = 0,
        xtnd_xmit: bool = False,
        max_size_octets: int = 0,
        normalize_newlines: bool = False,
    ) -> None:
        parameters = ServerParameters(
            "mail.example.org",
            stls,
            mechanisms,
            login_in_clear,
            expire=expire,
            login_delay=login_delay,
            xtnd_xmit=xtnd_xmit,
            max_size_octets=max_size_octets,
            normalize_newlines=normalize_newlines,
        )
        self.engine = POP3Server(parameters, tls=tls)
        self.events: list[Event] = []
        self.sent = b""
        self.answers: Callable[[Event], Response] = lambda event: accepted()
        self._cut = cut

    def client(self, octets: bytes) -> list[Event]:
        """The client says this; the events that follow."""
        before = len(self.events)
        for piece in self._cut(octets):
            self.engine.receive(piece)
            while (event := self.engine.next_event()) is not None:
                self.events.append(event)
                self._answer(event)
        return self.events[before:]

    def says(self, *lines: str) -> bytes:
        """The client says these lines; what the engine sends."""
        before = len(self.sent)
        self.client("".join(line + "\r\n" for line in lines).encode())
        return self.sent[before:]

    def logged_in(self) -> Conversation:
        """The same, in the TRANSACTION state."""
        self.client(b"USER ada\r\nPASS secret\r\n")
        self.events.clear()
        self.sent = b""
        return self

    def _answer(self, event: Event) -> None:
        if isinstance(event, Answered):
            self.sent += event.octets
        elif not isinstance(event, MessageData):
            response = event.response if isinstance(event, Refused) else self.answers(event)
            self.sent += self.engine.reply(response)


def in_every_cut(**options: Any) -> Iterator[Conversation]:
    """Conversations whose octets arrive whole, byte by byte and cut at random."""
    for cut in CUTS:
        yield Conversation(cut=cut, **options)
