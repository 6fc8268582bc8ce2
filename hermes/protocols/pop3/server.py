"""
The server's side of POP3, without any input or output (RFC 1939, 2449, 2595, 5034, 6856), with Berkeley's XTND XMIT.

The engine is given octets and yields events (:mod:`hermes.protocols.pop3.events`); what it is told to reply, it returns as
octets and changes its state by it:

    AUTHORIZATION --positive reply to a login--> TRANSACTION --QUIT--> UPDATE
    AUTHORIZATION --QUIT--> UPDATE

Nothing that a client sends is an exception here: a line that is no command is refused, and the session goes on.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

from hermes.protocols import cram_md5, sasl, sasl_mechanisms
from hermes.protocols.pop3 import events
from hermes.protocols.pop3.capabilities import capabilities, language_listing, matching_language
from hermes.protocols.pop3.commands import TRANSACTION_COMMANDS, MalformedError, nothing
from hermes.protocols.pop3.events import Answered, Event, Refused, Response, accepted, refused
from hermes.protocols.pop3.parameters import MAX_COMMAND_OCTETS, MAX_SASL_OCTETS, ServerParameters
from hermes.protocols.receive_buffer import Line, ReceiveBuffer
from hermes.protocols.sasl import Credentials, Digest, KeysWanted, Proof, ServerPart, TokenHint, TokenShown
from hermes.protocols.saslprep import saslprep
from hermes.protocols.smtp.data import DataReader, StoredForm
from hermes.protocols.smtp.events import MessageData, MessageEnded
from hermes.protocols.tap import Tap

#: RFC 2449 3: a command is printable. NUL and CR would be read differently by whoever looks at logs.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")

#: What ends the AUTHORIZATION state when it is answered positively.
_LOGINS = Credentials | Digest | Proof | TokenShown


class State(enum.Enum):
    """The states of RFC 1939 3."""

    AUTHORIZATION = "authorization"
    TRANSACTION = "transaction"
    UPDATE = "update"


class POP3Server:
    """
    The engine of one session.

    ``tls`` says that the connection is under TLS from its first octet. ``state`` and ``utf8`` (RFC 6856 2.1) are to be read.
    """

    def __init__(self, parameters: ServerParameters, *, tls: bool = False) -> None:
        self.state = State.AUTHORIZATION
        self.utf8 = False
        #: The argument of EXPIRE; after the login it is that of the account (RFC 2449 6.7).
        self.expire = parameters.expire
        #: Who listens, for a transcript; None when nobody does.
        self.tap: Tap | None = None
        self._parameters = parameters
        self._tls = tls
        self._starting_tls = False
        self._buffer = ReceiveBuffer()
        self._unanswered: Event | None = None
        self._mechanism: sasl.Mechanism | None = None
        # The one whose exchange goes on when it gets keys, or when its token is refused.
        self._wanting: sasl.Mechanism | None = None
        # The name that USER gave is good for the very next command only (RFC 1939 7).
        self._name: str | None = None
        self._next_name: str | None = None
        # What reads the message that a client is sending.
        self._reader: DataReader | None = None

    def greeting(self) -> bytes:
        """The first line. A timestamp at its end offers APOP (RFC 1939 7); after STLS it still holds: no other greeting comes."""
        timestamp = f" {self._parameters.timestamp}" if self._parameters.timestamp else ""
        return accepted(f"{self._parameters.hostname} POP3 server ready{timestamp}").encode()

    def receive(self, data: bytes) -> None:
        """Take octets from the client."""
        self._buffer.feed(data)

    def next_event(self) -> Event | None:
        """The next thing the client said; None when more octets are needed, or when nothing may follow."""
        if self._starting_tls or self.state is State.UPDATE:
            return None
        if self._reader is not None:
            return self._read_message(self._reader)
        # A token as initial response is longer than a command may be, and there are clients that send one so all the same.
        authorizing = self.state is State.AUTHORIZATION and self._login_allowed
        line = self._buffer.line(MAX_SASL_OCTETS if authorizing or self._mechanism is not None else MAX_COMMAND_OCTETS)
        if line is Line.INCOMPLETE:
            return None
        if self.tap is not None:
            (self.tap.command if self._mechanism is None else self.tap.response)(line)
        self._name, self._next_name = self._next_name, None
        try:
            event = self._understand(line)
        except MalformedError as error:
            event = Refused("command.malformed", refused(str(error)))
        self._unanswered = None if type(event) is Answered else event
        return event

    @property
    def awaits_reply(self) -> bool:
        """True when the last event has not been answered yet."""
        return self._unanswered is not None

    def reply(self, response: Response) -> bytes:
        """Answer the last event: the octets of the answer, or of its first line. The state changes by it."""
        event, self._unanswered = self._unanswered, None
        if isinstance(event, events.Quit):
            # RFC 1939 6: whatever became of the messages, the session is over.
            self.state = State.UPDATE
        elif response.positive and isinstance(event, _LOGINS):
            self.state = State.TRANSACTION
        elif response.positive and isinstance(event, events.StartTLS):
            self._starting_tls = True
        elif response.positive and isinstance(event, events.Transmit):
            parameters = self._parameters
            form = StoredForm(parameters.max_size_octets, normalize=parameters.normalize_newlines)
            self._reader = DataReader(self._buffer, form)
        return response.encode()

    def challenge(self, part: ServerPart | TokenHint) -> bytes:
        """Answer KeysWanted with what the exchange goes on with, or TokenShown with what is wrong with the token."""
        match self._unanswered, part:
            case KeysWanted() as wanted, ServerPart():
                prompt = wanted.proceed(part)
            case TokenShown() as shown, TokenHint():
                prompt = shown.refuse(part)
            case _:
                raise RuntimeError("nobody waits for that")
        self._unanswered = None
        self._mechanism, self._wanting = self._wanting, None
        return _challenge(prompt)

    def tls_started(self) -> None:
        """The next octet is under TLS; nothing that came before it survives (RFC 2595 4)."""
        self._buffer.clear()
        self._tls = True
        self._starting_tls = False

    def _understand(self, line: bytes | Line) -> Event:
        mechanism, self._mechanism = self._mechanism, None
        too_long = not isinstance(line, bytes) or (
            mechanism is None and len(line) > MAX_COMMAND_OCTETS and line[:5].upper() != b"AUTH "
        )
        if too_long or not isinstance(line, bytes):
            return Refused("command.too_long", refused("the line is too long"))
        # RFC 1939 3 ends a command with CRLF. A bare LF is taken too: people try servers by hand, and since no command of a
        # POP3 client is passed on to anybody, there is nothing to be smuggled by it. In messages it counts: see DataReader.
        line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        if mechanism is not None:
            return self._continue_exchange(mechanism, line)
        if _CONTROL.search(line):
            raise MalformedError("control characters are not allowed")
        keyword, _, argument = line.partition(b" ")
        keyword = keyword.upper()
        parse = TRANSACTION_COMMANDS.get(keyword)
        if parse is not None:
            return parse(argument) if self.state is State.TRANSACTION else _out_of_sequence("log in first")
        command = _COMMANDS.get(keyword)
        if command is None or (keyword == b"XTND" and not self._parameters.xtnd_xmit):
            return Refused("command.unknown", refused("there is no such command"))
        perform, state = command
        if state is None or state is self.state:
            return perform(self, argument)
        return _out_of_sequence("log in first" if state is State.TRANSACTION else "that is for before the login")

    # Logging in.

    def _user(self, argument: bytes) -> Event:
        if not self._login_allowed:
            return _login_in_clear()
        self._next_name = _prepared(argument.strip(b" "))
        # RFC 1939 7 lets any name be accepted here: nobody learns who has a mailbox.
        return Answered(accepted("send PASS").encode())

    def _pass(self, argument: bytes) -> Event:
        if not self._login_allowed:
            return _login_in_clear()
        if self._name is None:
            return _out_of_sequence("send USER first")
        # All the rest of the line: a password may hold spaces (RFC 1939 7), and begin or end with them.
        return Credentials("USER", self._name, _prepared(argument))

    def _apop(self, argument: bytes) -> Event:
        if not self._login_allowed:
            return _login_in_clear()
        if not self._parameters.timestamp:
            return Refused("auth.mechanism", refused("APOP is not offered"))
        step = cram_md5.answered(cram_md5.APOP, self._parameters.timestamp.encode("ascii"), argument.strip(b" "))
        return Refused("auth.malformed", refused(step.reason)) if isinstance(step, sasl.Malformed) else step

    def _auth(self, argument: bytes) -> Event:
        if not self._login_allowed:
            return _login_in_clear()
        words = argument.decode("ascii", "replace").split()
        if not words:
            return Answered(self._mechanism_listing())
        name = words[0].upper()
        if name not in self._mechanisms:
            return Refused("auth.mechanism", refused("that mechanism is not offered"))
        mechanism = sasl_mechanisms.begin(name, self._mechanisms, self._parameters.challenge)
        if len(words) == 1:
            return self._step(mechanism, None)
        if len(words) > 2:
            raise MalformedError("AUTH takes a mechanism and an initial response")
        # RFC 5034 4: "=" stands for an initial response that is there and empty.
        initial = words[1].encode("ascii", "replace")
        return self._step(mechanism, b"" if initial == b"=" else _decoded(initial))

    def _continue_exchange(self, mechanism: sasl.Mechanism, line: bytes) -> Event:
        if line == b"*":
            # RFC 5034 4: the client calls the exchange off.
            return Refused("auth.canceled", refused("authentication canceled"))
        return self._step(mechanism, _decoded(line))

    def _step(self, mechanism: sasl.Mechanism, response: bytes | None) -> Event:
        step = mechanism.step(response)
        if isinstance(step, sasl.Prompt):
            self._mechanism = mechanism
            return Answered(_challenge(step))
        if isinstance(step, sasl.Malformed):
            return Refused("auth.malformed", refused(step.reason))
        if isinstance(step, sasl.TokenRefused):
            # RFC 7628 3.2.3: now that the client has answered, the failure itself.
            return Refused("login.token", refused("the token is not accepted", "AUTH"))
        if isinstance(step, KeysWanted | TokenShown):
            self._wanting = mechanism
        return step

    @property
    def _login_allowed(self) -> bool:
        return self._tls or self._parameters.login_in_clear

    @property
    def _mechanisms(self) -> list[str]:
        """What AUTH offers now."""
        return sasl_mechanisms.usable(self._parameters.mechanisms, tls=self._tls) if self._login_allowed else []

    def _mechanism_listing(self) -> bytes:
        # Not in RFC 5034: mail programs from before CAPA ask so, and others answer.
        lines = [accepted("mechanisms follow").encode()]
        lines += [f"{name}\r\n".encode("ascii") for name in self._mechanisms]
        return b"".join(lines) + events.TERMINATION

    # The other commands that need no mailbox.

    def _stls(self, argument: bytes) -> Event:
        nothing(argument)
        if self._tls:
            return _out_of_sequence("TLS is active already")
        if not self._parameters.stls:
            return Refused("command.unknown", refused("TLS is not available"))
        if self.utf8:
            return _out_of_sequence("STLS comes before UTF8")  # RFC 6856 2.1
        return events.StartTLS()

    def _capa(self, argument: bytes) -> Event:
        nothing(argument)
        logged_in = self.state is State.TRANSACTION
        return Answered(
            capabilities(
                mechanisms=self._mechanisms,
                stls=self._parameters.stls and not self._tls and not logged_in,
                logged_in=logged_in,
                expire=self.expire,
                login_delay=self._parameters.login_delay,
                xtnd_xmit=self._parameters.xtnd_xmit,
            )
        )

    def _utf8(self, argument: bytes) -> Event:
        nothing(argument)
        self.utf8 = True
        return Answered(accepted("UTF-8 mode").encode())

    def _lang(self, argument: bytes) -> Event:
        ranges = argument.decode("ascii", "replace").split()
        if not ranges:
            return Answered(language_listing())
        language = matching_language(ranges[0]) if len(ranges) == 1 else None
        if language is None:
            return Refused("command.language", refused("there is no such language"))
        return Answered(accepted(f"{language} language chosen").encode())

    def _noop(self, argument: bytes) -> Event:
        nothing(argument)
        return Answered(accepted().encode())

    def _xtnd(self, argument: bytes) -> Event:
        # Berkeley's, and older than RFC 2449. What else some had behind XTND has to do with reading, and nobody asks for it now.
        if argument.strip(b" ").upper() != b"XMIT":
            raise MalformedError("XTND takes XMIT alone")
        return events.Transmit()

    def _read_message(self, reader: DataReader) -> Event | None:
        data = b"" if reader.ended else reader.read()
        if data:
            if self.tap is not None:
                self.tap.body(data)
            return MessageData(data)
        if not reader.ended:
            return None
        self._reader = None
        octets = reader.form.wire_octets
        if self.tap is not None:
            self.tap.body_over(octets)
        event = self._unanswered = reader.form.fault or MessageEnded(octets)
        return event

    def _quit(self, argument: bytes) -> Event:
        nothing(argument)
        return events.Quit(update=self.state is State.TRANSACTION)


#: What the engine does for each keyword, and in which state it may be used (None: in any).
_COMMANDS: dict[bytes, tuple[Callable[[POP3Server, bytes], Event], State | None]] = {
    b"USER": (POP3Server._user, State.AUTHORIZATION),
    b"PASS": (POP3Server._pass, State.AUTHORIZATION),
    b"APOP": (POP3Server._apop, State.AUTHORIZATION),
    b"AUTH": (POP3Server._auth, State.AUTHORIZATION),
    b"STLS": (POP3Server._stls, State.AUTHORIZATION),
    b"UTF8": (POP3Server._utf8, State.AUTHORIZATION),
    b"NOOP": (POP3Server._noop, State.TRANSACTION),
    b"CAPA": (POP3Server._capa, None),
    b"LANG": (POP3Server._lang, None),
    b"QUIT": (POP3Server._quit, None),
    b"XTND": (POP3Server._xtnd, State.TRANSACTION),
}


def _out_of_sequence(text: str) -> Refused:
    return Refused("command.sequence", refused(text))


def _login_in_clear() -> Refused:
    # RFC 2595 2.3, RFC 8314 3.1: no password in the clear.
    return Refused("auth.clear", refused("use TLS first: say STLS, or connect to the port for TLS", "AUTH"))


def _challenge(prompt: sasl.Prompt) -> bytes:
    # RFC 5034 4: the space stays when the challenge is empty.
    return f"+ {sasl.encoded(prompt.octets)}\r\n".encode("ascii")


def _decoded(text: bytes) -> bytes:
    octets = sasl.decoded(text)
    if octets is None:
        raise MalformedError("that is not base64")
    return octets


def _prepared(octets: bytes) -> str:
    """A name or password as it is compared (RFC 6856 2.2)."""
    try:
        text = saslprep(octets.decode("utf-8"))
    except ValueError as error:
        raise MalformedError("a name or password must be plain text or UTF-8") from error
    if not text:
        raise MalformedError("a name or password is missing")
    return text
