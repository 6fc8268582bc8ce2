"""
The POP3 client's engine: commands out, answers in, one event at a time (RFC 1939, 2449, 2595, 5034).

The owner connects, passes what comes in to :meth:`ClientEngine.receive`, takes events from :meth:`ClientEngine.next_event`, and
after either sends :meth:`ClientEngine.data_to_send`. It begins with a :class:`Greeting`; then any of the commands may be asked
for, and each is answered by its events in that order. Where the server has announced PIPELINING they go out together
(RFC 2449 6.6), else one after the other, which makes no difference to the owner.

Whatever the server does, no more than one line and what the owner has not fetched yet is held, and a listing of
:data:`MAX_LISTED` messages.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import deque

import attrs

from hermes.core.printable import one_line
from hermes.protocols.pop3.client_events import Answer, Ended, Event, Greeting, Listing, MessageEnd, Piece, Verb
from hermes.protocols.pop3.message_reader import MessageReader
from hermes.protocols.pop3.offer import Offer, offer_of
from hermes.protocols.receive_buffer import Line, ReceiveBuffer
from hermes.protocols.sasl_client import challenge_in
from hermes.protocols.sasl_login import Derivation, Exchange, Keys

#: RFC 1939 3 and RFC 2449 4 let a response line have 512 octets, and a challenge of RFC 5034 be longer; no mechanism of ours is
#: sent more than some hundreds.
MAX_LINE_OCTETS = 4096

#: Messages of a listing that are kept, 10 MB of it; the others have their turn when these have been fetched.
MAX_LISTED = 100_000

#: Lines of a listing that are read: no mailbox has more, and a server that lists for ever has to be left.
MAX_LISTING_LINES = 1_000_000

#: Lines of an answer to CAPA; servers send some fifteen.
MAX_CAPABILITIES = 100

#: Commands that are under way at once: enough to keep the line busy, and so short that a server need not read them to go on.
MAX_UNDER_WAY = 32

#: What a person is shown of the server's words.
MAX_TEXT_CHARACTERS = 300

#: RFC 1939 7 says 70 characters; some servers take more.
MAX_UID_CHARACTERS = 250

# timestamp = a msg-id   (RFC 1939 7, APOP)
_TIMESTAMP = re.compile(r"<[^<>\s]{1,250}>")

# resp-code = "[" resp-level *("/" resp-level) "]"   (RFC 2449 8)
_CODE = re.compile(r"\[([A-Za-z][A-Za-z0-9/-]{0,60})\] ?")

# scan-listing = msg SP octets,  unique-id listing = msg SP unique-id   (RFC 1939 5, 7)
_LISTED = re.compile(r"\s*([0-9]{1,9})\s+(\S+)")

_UNASKED = "it says something that nobody has asked for"
_TOO_EARLY = "a message ended too early: the server does not mark lines that are a dot alone"

_MULTI_LINE = frozenset({Verb.CAPA, Verb.LIST, Verb.UIDL})
_MESSAGES = frozenset({Verb.RETR, Verb.TOP})


@attrs.define
class _Command:
    verb: Verb
    line: bytes = attrs.field(repr=False)
    #: The size that the server has said the message has; 0 when it is not known.
    octets: int = 0
    exchange: Exchange | None = None
    begun: bool = False
    #: Nobody has asked for it but the engine.
    silent: bool = False


class ClientEngine:
    """One session."""

    def __init__(self) -> None:
        self.offer = Offer()
        #: Lines and messages understood so far: while it grows, the server is alive.
        self.answers = 0
        self.ended = False
        self._buffer = ReceiveBuffer()
        self._out: list[bytes] = []
        self._waiting: deque[_Command] = deque()
        self._under_way: deque[_Command] = deque()
        self._reader: MessageReader | None = None
        self._lines: list[str] | None = None
        self._listing: dict[int, str] = {}
        self._counted = 0
        self._doubted: MessageEnd | None = None
        self._events: deque[Event] = deque()
        self._greeted = False
        self._timestamp = ""

    # What can be asked for.

    def capabilities(self) -> None:
        """Ask what the server can do: afterwards :attr:`offer` says it. RFC 2449 5: it may be asked anew after TLS or login."""
        self._ask(_Command(Verb.CAPA, b"CAPA"))

    def start_tls(self) -> None:
        """STLS; after its answer the owner starts TLS and says :meth:`tls_started`."""
        self._ask(_Command(Verb.STLS, b"STLS"))

    def tls_started(self) -> None:
        """RFC 2595 4: what was said in the clear is forgotten, and what came behind the answer was never said."""
        self._buffer.clear()
        self.offer = Offer()

    def user(self, name: str) -> None:
        """USER."""
        self._ask(_Command(Verb.USER, _line("USER", name)))

    def password(self, password: str) -> None:
        """PASS."""
        self._ask(_Command(Verb.PASS, _line("PASS", password)))

    def apop(self, name: str, password: str) -> None:
        """APOP, with the digest of the timestamp and the password (RFC 1939 7)."""
        digest = hashlib.md5(f"{self._timestamp}{password}".encode(), usedforsecurity=False).hexdigest()
        self._ask(_Command(Verb.APOP, _line("APOP", f"{name} {digest}")))

    def authenticate(self, exchange: Exchange) -> None:
        """
        AUTH (RFC 5034), and never with what is sent first: that has 255 octets there, and some servers take it only when
        they have asked for it.
        """
        self._ask(_Command(Verb.AUTH, _line("AUTH", exchange.mechanism), exchange=exchange))

    def derived(self, derivation: Derivation, keys: Keys) -> None:
        """Go on with AUTH after a :class:`Derivation`, unless the session has ended meanwhile."""
        if not self.ended:
            self._out.append(base64.b64encode(derivation.proceed(keys)) + b"\r\n")

    def sizes(self) -> None:
        """LIST of all messages."""
        self._ask(_Command(Verb.LIST, b"LIST"))

    def unique_ids(self) -> None:
        """UIDL of all messages."""
        self._ask(_Command(Verb.UIDL, b"UIDL"))

    def top(self, number: int) -> None:
        """TOP: the header alone."""
        self._ask(_Command(Verb.TOP, b"TOP %d 0" % number))

    def retrieve(self, number: int, octets: int = 0) -> None:
        """RETR; ``octets`` is the size that the server has announced, or 0."""
        self._ask(_Command(Verb.RETR, b"RETR %d" % number, octets=octets))

    def delete(self, number: int) -> None:
        """DELE."""
        self._ask(_Command(Verb.DELE, b"DELE %d" % number))

    def quit(self) -> None:
        """QUIT: what was deleted is gone when it is answered (RFC 1939 6)."""
        self._ask(_Command(Verb.QUIT, b"QUIT"))

    # What the owner passes on.

    def receive(self, data: bytes) -> None:
        """Take what has come in."""
        if not self.ended:
            self._buffer.feed(data)

    def connection_lost(self, reason: str) -> None:
        """The connection is gone; what has come before is still understood."""
        while not self.ended and self._step():
            pass
        self._end(reason)

    def data_to_send(self) -> bytes:
        """What has to go out."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_event(self) -> Event | None:
        """What has happened; None when more has to come in."""
        while not self._events and not self.ended and self._step():
            pass
        return self._events.popleft() if self._events else None

    # How it is done.

    def _ask(self, command: _Command) -> None:
        self._waiting.append(command)
        self._send()

    def _send(self) -> None:
        most = MAX_UNDER_WAY if self.offer.pipelining else 1
        if self._waiting and self._greeted and not self._under_way and len(self._buffer):
            # An answer that was there before the question is no answer.
            self._end(_UNASKED if self._doubted is None else _TOO_EARLY)
        while self._waiting and len(self._under_way) < most and self._greeted:
            command = self._waiting.popleft()
            self._under_way.append(command)
            self._out.append(command.line + b"\r\n")

    def _end(self, reason: str) -> None:
        if not self.ended:
            self.ended = True
            self._doubted = None
            self._buffer.clear()
            self._events.append(Ended(reason))

    def _step(self) -> bool:
        """Understand one thing; False when more has to come in."""
        if self._reader is not None:
            return self._read_message(self._reader)
        line = self._buffer.line(MAX_LINE_OCTETS)
        if line is Line.INCOMPLETE and not self._buffer.overlong:
            return False
        if isinstance(line, Line):
            self._end("it sends lines that are too long for POP3")
        elif self._lines is not None:
            self._listed(line, self._lines)
        else:
            self._understand(line)
        return True

    def _read_message(self, reader: MessageReader) -> bool:
        octets = reader.read()
        if octets:
            self._events.append(Piece(octets))
        if not reader.ended:
            return bool(octets)
        command = self._done()
        self._reader = None
        end = MessageEnd(command.verb, reader.wire_octets)
        if command.verb is Verb.RETR and reader.wire_octets < command.octets:
            # It may have ended with a line of the message that is a single dot, which should have had two. Then what comes
            # next is no answer, and the message was not whole.
            self._doubted = end
            if not self._under_way:
                self._waiting.appendleft(_Command(Verb.NOOP, b"NOOP", silent=True))
        else:
            self._events.append(end)
        self._send()
        return True

    def _done(self) -> _Command:
        self.answers += 1
        return self._under_way.popleft()

    def _understand(self, line: bytes) -> None:
        """A line that begins an answer, or should."""
        word, text = _words(line)
        ok, refused = word == "+OK", word == "-ERR"
        if not self._greeted:
            self._greeting(ok, refused, text)
            return
        if not self._under_way:
            self._end(_UNASKED)
            return
        command = self._under_way[0]
        if word == "+" and command.exchange is not None:
            self._challenged(command, command.exchange, text)
        elif not ok and not refused:
            self._end("what it sent is no answer of POP3" if self._doubted is None else _TOO_EARLY)
        else:
            if self._doubted is not None:
                self._events.append(self._doubted)
                self._doubted = None
            self._answered(command, ok, text, line)

    def _greeting(self, ok: bool, refused: bool, text: str) -> None:
        if not ok and not refused:
            self._end("it does not speak POP3")
            return
        self._greeted = True
        found = _TIMESTAMP.search(text)
        self._timestamp = found[0] if found else ""
        self._events.append(Greeting(self._timestamp, "" if ok else _shown(text) or "it does not want us"))
        self._send()

    def _answered(self, command: _Command, ok: bool, text: str, line: bytes) -> None:
        if ok and command.verb in _MESSAGES:
            self._reader = MessageReader(self._buffer, b"\r\n" if line.endswith(b"\r\n") else b"\n")
            return
        if ok and command.verb in _MULTI_LINE:
            self._lines, self._listing, self._counted = [], {}, 0
            return
        self._done()
        if command.verb is Verb.CAPA:
            self.offer = Offer()
        if not command.silent:
            self._events.append(_answer(command, ok, text))
        if command.verb is Verb.QUIT:
            self._end("")
        else:
            self._send()

    def _challenged(self, command: _Command, exchange: Exchange, text: str) -> None:
        answer: bytes | Derivation | None = None
        challenge = challenge_in(text)
        if challenge is not None:
            # What is sent first answers the first "+", which then has nothing to say.
            answer = None if command.begun else exchange.initial()
            if answer is None:
                answer = exchange.respond(challenge)
        command.begun = True
        if isinstance(answer, Derivation):
            self._events.append(answer)
            return
        # RFC 5034 4: "*" calls the exchange off.
        self._out.append((b"*" if answer is None else base64.b64encode(answer)) + b"\r\n")

    def _listed(self, line: bytes, lines: list[str]) -> None:
        """A line of a listing."""
        text = line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
        verb = self._under_way[0].verb
        if text == ".":
            self._lines = None
            self._done()
            if verb is Verb.CAPA:
                self.offer = offer_of(lines)
                self._events.append(Answer(verb, ok=True))
            else:
                self._events.append(Listing(verb, self._listing, self._counted - len(self._listing)))
            self._listing = {}
            self._send()
            return
        self._counted += 1
        if self._counted > (MAX_CAPABILITIES if verb is Verb.CAPA else MAX_LISTING_LINES):
            self._end("its answer has no end")
        elif verb is Verb.CAPA:
            lines.append(text)
        elif len(self._listing) < MAX_LISTED and (found := _LISTED.match(text)):
            self._listing[int(found[1])] = found[2][: MAX_UID_CHARACTERS + 1]


def _line(verb: str, argument: str) -> bytes:
    if "\r" in argument or "\n" in argument:
        raise ValueError(f"a line end in what follows {verb}")
    return f"{verb} {argument}".encode()


def _words(line: bytes) -> tuple[str, str]:
    """The status indicator in capital letters (RFC 1939 3), and what follows it."""
    word, _, text = line.rstrip(b"\r\n").decode("utf-8", "replace").partition(" ")
    return word.upper(), text


def _shown(text: str) -> str:
    return one_line(text, MAX_TEXT_CHARACTERS).strip()


def _answer(command: _Command, ok: bool, text: str) -> Answer:
    found = _CODE.match(text)
    code = found[1].upper() if found else ""
    exchange = command.exchange
    if exchange is not None:
        if ok and not exchange.satisfied:
            why = exchange.remark or "without proving that it knows the password"
            return Answer(
                command.verb, False, f"it let us in by {exchange.mechanism}, but is not believed: {why}", code
            )
        if not ok and exchange.remark:
            text = f"{text} ({exchange.remark})"
    return Answer(command.verb, ok, _shown(text), code)
