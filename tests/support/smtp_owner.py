"""An owner of the SMTP server's engine for tests: it accepts what it is given, unless its address says otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hermes.core.reply import Reply
from hermes.protocols.sasl import ServerPart
from hermes.protocols.smtp import events
from hermes.protocols.smtp.parameters import ServerParameters
from hermes.protocols.smtp.server import SMTPServer
from tests.support.engines import replay
from tests.support.scram import quick_keys

HOSTNAME = "mx.example.org"
OK = Reply.of(250, "2.0.0", "Ok")

#: What SCRAM goes on with, whoever it is; the password is ``secret``.
SERVER_PART = ServerPart(quick_keys("secret"), "of-the-server")

_ANSWERS = {
    events.StartTLS: Reply.of(220, "2.0.0", "Go ahead"),
    events.MailFrom: Reply.of(250, "2.1.0", "Sender ok"),
    events.RecipientTo: Reply.of(250, "2.1.5", "Recipient ok"),
    events.ChunkEnded: Reply.of(250, "2.0.0", "Chunk ok"),
    events.Verify: Reply.of(252, "2.0.0", "Send and see"),
    events.Expand: Reply.of(252, "2.0.0", "Send and see"),
    events.Help: Reply.of(214, "2.0.0", "See RFC 5321"),
    events.Quit: Reply.of(221, "2.0.0", "Bye"),
}

#: What an address whose local part begins so is answered.
_BY_ADDRESS = {
    "unknown": Reply.of(550, "5.1.1", "Unknown"),
    "later": Reply.of(451, "4.3.0", "Later"),
    "gone": Reply.of(421, "4.3.2", "Going down"),
}


class Owner:
    """
    Drives an engine.

    ``events`` are those it gave, with the octets of messages in ``messages`` instead; ``output`` is what went to the client.
    The right password is ``secret``. ``refuse_message`` answers DATA or the first BDAT, ``refuse_chunk`` a later one.
    """

    def __init__(
        self,
        *,
        refuse_message: Reply | None = None,
        refuse_chunk: Reply | None = None,
        refuse_hello: Reply | None = None,
        **parameters: Any,
    ) -> None:
        self.engine = SMTPServer(ServerParameters(HOSTNAME, **parameters))
        self.events: list[events.Event] = []
        self.messages: list[bytes] = []
        self.pieces = 0
        self.output = b""
        self.refuse_message = refuse_message
        self.refuse_chunk = refuse_chunk
        self.refuse_hello = refuse_hello
        self._recipients = 0
        self._data = b""

    def receive(self, *pieces: bytes) -> bytes:
        """Give octets and answer everything that comes out; what was sent."""
        before = len(self.output)
        for piece in pieces:
            self.engine.receive(piece)
            while (event := self.engine.next_event()) is not None:
                if isinstance(event, events.MessageData):
                    self.pieces += 1
                    self._data += event.data
                else:
                    self.events.append(event)
                    self.output += self._answer(event)
        return self.output[before:]

    def lines(self, *lines: bytes) -> list[bytes]:
        """Give lines without their ends; the lines that were sent."""
        return self.receive(b"".join(line + b"\r\n" for line in lines)).splitlines()

    @property
    def last(self) -> events.Event:
        """The event that came last."""
        return self.events[-1]

    def _answer(self, event: events.Event) -> bytes:
        if isinstance(event, events.Hello):
            return self.engine.reply(self.refuse_hello) if self.refuse_hello else self.engine.accept_hello("greets you")
        if isinstance(event, events.XClient):
            return self.engine.accept_client("greets you")
        if isinstance(event, events.KeysWanted):
            return self.engine.challenge(SERVER_PART)
        reply = self._reply(event)
        if isinstance(event, events.MessageEnded) and self.engine.parameters.flavor is events.Flavor.LMTP:
            return self.engine.replies([reply] * self._recipients)
        answer = self.engine.reply(reply)
        if isinstance(event, events.StartTLS):
            self.engine.tls_started()
        return answer

    def _reply(self, event: events.Event) -> Reply:
        match event:
            case events.Refused() | events.MessageFailed() | events.Challenge():
                return event.reply
            case events.Credentials():
                right = event.password == "secret"
                return Reply.of(235, "2.7.0", "Logged in") if right else Reply.of(535, "5.7.8", "Wrong")
            case events.Proof():
                return Reply.of(235, "2.7.0", "Logged in") if event.matches else Reply.of(535, "5.7.8", "Wrong")
            case events.MailFrom():
                self._recipients = 0
                reply = self._by_address(event, event.reverse_path)
            case events.RecipientTo():
                reply = self._by_address(event, event.recipient.address)
                self._recipients += reply.is_positive
            case events.MessageStarted():
                self._data = b""
                reply = self.refuse_message or (OK if event.chunking else Reply.of(354, None, "Go on"))
            case events.ChunkEnded():
                reply = self.refuse_chunk or _ANSWERS[events.ChunkEnded]
            case events.MessageEnded():
                self.messages.append(self._data)
                reply = OK
            case _:
                reply = _ANSWERS.get(type(event), OK)
        return reply

    @staticmethod
    def _by_address(event: events.Event, address: str) -> Reply:
        for beginning, reply in _BY_ADDRESS.items():
            if address.startswith(beginning):
                return reply
        return _ANSWERS[type(event)]


def ready(**parameters: Any) -> Owner:
    """An owner whose client has said EHLO, or LHLO; nothing of that is in what it remembers."""
    owner = Owner(**parameters)
    lmtp = parameters.get("flavor") is events.Flavor.LMTP
    owner.lines(b"LHLO client.example.com" if lmtp else b"EHLO client.example.com")
    owner.events.clear()
    owner.output = b""
    return owner


def in_message(**parameters: Any) -> Owner:
    """An owner whose client has been told to send its message."""
    owner = ready(**parameters)
    owner.lines(b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.org>", b"DATA")
    owner.events.clear()
    owner.output = b""
    return owner


def replayed(data: bytes, start: Any = ready, **parameters: Any) -> Owner:
    """Give the octets in every cut to fresh owners, which must all come to the same; one of them."""

    def run(pieces: Iterable[bytes]) -> tuple[Any, ...]:
        owner = start(**parameters)
        owner.receive(*pieces)
        kept.append(owner)
        return owner.events, owner.messages, owner.output, owner.engine.closing

    kept: list[Owner] = []
    replay(data, run)
    return kept[0]
