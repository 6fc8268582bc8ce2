"""
The server's side of SMTP, submission and LMTP, without a network: octets go in, events come out, answers become octets.

The owner feeds :meth:`SMTPServer.receive`, takes one event at a time from :meth:`SMTPServer.next_event`, and answers each before
it asks for the next. The engine refuses by itself what the standards refuse (as :class:`~hermes.protocols.smtp.events.Refused`,
so that the owner can count) and changes its state by the owner's answers. It never holds more than one line and what came in
behind it: an owner that does not read ahead bounds its memory.

What is read next is a state of its own: commands, a SASL exchange, the octets of a message, of a chunk, of a chunk that
is thrown away, or nothing at all. The rules between commands are in :mod:`hermes.protocols.smtp.sequence`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from hermes.core.envelope import BodyType
from hermes.core.reply import Reply
from hermes.protocols import sasl_mechanisms
from hermes.protocols.receive_buffer import Line, ReceiveBuffer
from hermes.protocols.sasl import ServerPart, TokenHint
from hermes.protocols.smtp import commands
from hermes.protocols.smtp.authentication import Exchange, Outcome, go_on, unavailable
from hermes.protocols.smtp.commands import Auth, Chunk, Command, Data, refused
from hermes.protocols.smtp.data import ChunkReader, DataReader, StoredForm, too_big
from hermes.protocols.smtp.events import (
    Challenge,
    ChunkEnded,
    Credentials,
    Digest,
    Event,
    Flavor,
    Hello,
    Help,
    KeysWanted,
    MailFrom,
    MessageData,
    MessageEnded,
    MessageFailed,
    MessageStarted,
    Proof,
    Quit,
    RecipientTo,
    Refused,
    Reset,
    StartTLS,
    TokenShown,
    XClient,
)
from hermes.protocols.smtp.extensions import extensions, protocol_keyword
from hermes.protocols.smtp.parameters import MAX_COMMAND_OCTETS, MAX_SASL_OCTETS, ServerParameters
from hermes.protocols.smtp.sequence import Session, check, offered
from hermes.protocols.tap import Tap

#: How a TLS handshake begins (RFC 8446 5.1): a client that was told to use TLS from the first octet, on a port without.
_TLS_HANDSHAKE = b"\x16\x03"


class SMTPServer:
    """
    One session.

    ``parameters`` may be replaced at any time; ``closing`` is true when the last answer ended the session, and then nothing more
    is read.
    """

    def __init__(self, parameters: ServerParameters) -> None:
        self.parameters = parameters
        self.closing = False
        #: Who listens, for a transcript; None when nobody does.
        self.tap: Tap | None = None
        self._buffer = ReceiveBuffer()
        self._session = Session()
        self._first = True
        self._verb = ""
        self._line = b""
        self._read: Callable[[], Event | None] = self._read_command
        self._pending: Event | None = None
        self._replies_owed = 1
        self._exchange: Exchange | None = None
        self._chunk = Chunk(0, last=False)
        self._reader: DataReader | ChunkReader | None = None
        self._refusal: Refused | MessageFailed | None = None
        self._unwanted_octets = 0

    # What the owner may want to know.

    @property
    def tls_active(self) -> bool:
        """True once TLS is on."""
        return self._session.tls_active

    @property
    def authenticated(self) -> bool:
        """True once a login has been answered 235."""
        return self._session.authenticated

    @property
    def verb(self) -> str:
        """The verb of the last command line, in upper case; empty when it is not one of ours."""
        return self._verb

    @property
    def command(self) -> str:
        """The last command line as the client wrote it, without its end; of AUTH only the verb, for the rest is a secret."""
        return "AUTH" if self._line[:4].upper() == b"AUTH" else self._line.rstrip(b"\r\n").decode("utf-8", "replace")

    @property
    def in_transaction(self) -> bool:
        """True between an accepted MAIL and the end of the message, RSET or EHLO."""
        return self._session.in_transaction

    @property
    def smtputf8(self) -> bool:
        """True when this transaction, or the one that is being asked for, may use UTF-8 (RFC 6531)."""
        pending = self._pending
        return pending.smtputf8 if isinstance(pending, MailFrom) else self._session.smtputf8

    @property
    def hello_name(self) -> str:
        """The name that the client gave, with ``?`` for what cannot be in one; empty before it did."""
        return self._session.hello_name

    @property
    def protocol_keyword(self) -> str:
        """The word behind ``with`` in ``Received:`` (RFC 3848, RFC 6531 4.3)."""
        return protocol_keyword(self._session, self.parameters.flavor, smtputf8=self.smtputf8)

    # Octets in, events out.

    def receive(self, data: bytes) -> None:
        """Take octets from the client."""
        if not self.closing and self._read != self._read_nothing:
            self._buffer.feed(data)

    def next_event(self) -> Event | None:
        """The next thing that the client said, or None when more octets are needed. The one before must have been answered."""
        if self._pending is not None:
            raise RuntimeError(f"{type(self._pending).__name__} has not been answered")
        event = self._read()
        if event is not None and type(event) is not MessageData:
            self._pending = event
        return event

    def discard_input(self) -> None:
        """Throw away what has come in and has not been read."""
        self._buffer.clear()

    def tls_started(self) -> None:
        """
        TLS is on: forget everything that was said before (RFC 3207 4.2), and what came in behind STARTTLS.

        With implicit TLS the owner calls this before the greeting.
        """
        self._begin_again(Session(tls_active=True))

    def _begin_again(self, session: Session) -> None:
        """Forget everything that was said, in words and in octets, but for what is in the new session."""
        self._buffer.clear()
        self._session = session
        self._first = True
        self._pending = None
        self._replies_owed = 1
        self._exchange = None
        self._reader = None
        self._read = self._read_command

    # Answers.

    def greeting(self, text: str) -> bytes:
        """What the session begins with: our name, then the text, whose lines go into lines (RFC 5321 4.2, 4.2.1, 4.3.1)."""
        return Reply.of(220, None, f"{self.parameters.hostname} {text}").encode().decode().encode("ascii", "replace")

    def accept_hello(self, text: str) -> bytes:
        """Accept the greeting: our name and the text, and for EHLO and LHLO what we offer now (RFC 5321 4.1.1.1)."""
        hello = self._pending
        if not isinstance(hello, Hello):
            raise RuntimeError("there is no greeting to accept")
        self._pending = None
        session = self._session
        # RFC 5321 4.1.4: as if RSET had been said.
        session.end_transaction()
        self._reader = None
        session.hello_name = session.told_hello or hello.name
        session.extended = hello.verb != "HELO"
        lines = [f"{self.parameters.hostname} {text}"]
        if session.extended:
            lines += extensions(session, self.parameters)
        return self._encoded(Reply(250, None, tuple(lines)))

    def accept_client(self, text: str) -> bytes:
        """
        Accept XCLIENT: the session begins again, with this greeting. Nothing stays of what was said but by XCLIENT itself.

        What came in behind the command is thrown away: XCLIENT ends a group of commands.
        """
        client = self._pending
        if not isinstance(client, XClient):
            raise RuntimeError("there is no client to accept")
        self._begin_again(self._session.as_client(client))
        return self.greeting(text)

    def reply(self, reply: Reply) -> bytes:
        """
        Answer the event, or say 421 at any time (RFC 5321 3.8); the octets to send.

        What it says changes the state: see the events. After an LMTP message it goes out once for each accepted recipient.
        """
        encoded = self._encoded(reply)
        pending, self._pending = self._pending, None
        if reply.code == 421:
            self._close()
            return encoded
        replies_owed, self._replies_owed = self._replies_owed, 1
        match pending:
            case MailFrom() if reply.is_positive:
                self._session.begin_transaction(pending)
            case RecipientTo() if reply.is_positive:
                self._session.recipients += 1
            case MessageStarted():
                return self._begin_message(reply, encoded, chunking=pending.chunking)
            case MessageEnded() | MessageFailed():
                self._end_transaction()
            case ChunkEnded() if not reply.is_positive:
                self._end_transaction()
            case Reset() if reply.is_positive:
                self._end_transaction()
            case Credentials() | Digest() | Proof() | TokenShown() if reply.is_positive:
                self._session.authenticated = True
            case StartTLS() if reply.is_positive:
                self._buffer.clear()
                self._read = self._read_nothing
            case Hello():
                # RFC 2034 4: no enhanced code here.
                return self._encoded(attrs.evolve(reply, enhanced=None))
            case Quit():
                self._close()
        return encoded * replies_owed

    def challenge(self, part: ServerPart | TokenHint) -> bytes:
        """Answer KeysWanted with what the exchange goes on with, or TokenShown with what is wrong with the token."""
        reply = go_on(self._pending, part)
        self._pending = None
        self._read = self._read_response
        return self._encoded(reply)

    def replies(self, replies: Sequence[Reply]) -> bytes:
        """Answer the end of an LMTP message: one reply for each accepted recipient, in their order (RFC 2033 4.2)."""
        if not isinstance(self._pending, MessageEnded | MessageFailed) or len(replies) != self._replies_owed:
            raise RuntimeError(f"{self._replies_owed} replies are owed to {type(self._pending).__name__}")
        self._pending = None
        self._replies_owed = 1
        encoded = b"".join(self._encoded(reply) for reply in replies)
        self._end_transaction()
        if any(reply.code == 421 for reply in replies):
            self._close()
        return encoded

    def _encoded(self, reply: Reply) -> bytes:
        octets = reply.encode()
        if octets.isascii() or self.smtputf8:
            return octets
        # RFC 6531 3.7.4: no UTF-8 for those who have not asked for it.
        return octets.decode("utf-8").encode("ascii", "replace")

    def _close(self) -> None:
        self.closing = True
        self._buffer.clear()
        self._read = self._read_nothing

    def _end_transaction(self) -> None:
        self._session.end_transaction()
        self._reader = None

    # What is read, by state.

    def _read_nothing(self) -> None:
        """Nothing is read any more, or nothing until TLS is on."""
        return

    def _read_command(self) -> Event | None:
        session, parameters = self._session, self.parameters
        if self._first and self._buffer.startswith(_TLS_HANDSHAKE):
            self._first = False
            self._buffer.clear()
            text = "This port does not begin with TLS: use STARTTLS, or the port for TLS"
            return refused("protocol.tls_handshake", 421, "4.7.0", text)
        auth_possible = not session.authenticated and (parameters.mechanisms or parameters.mechanisms_in_clear)
        line = self._buffer.line(MAX_SASL_OCTETS if auth_possible else MAX_COMMAND_OCTETS)
        if line is Line.INCOMPLETE:
            return None
        if self.tap is not None:
            self.tap.command(line)
        first, self._first = self._first, False
        self._verb = ""
        self._line = b"" if line is Line.TOO_LONG else line
        if line is Line.TOO_LONG or (len(line) > MAX_COMMAND_OCTETS and line[:5].upper() != b"AUTH "):
            return refused("protocol.line_too_long", 500, "5.5.2", f"A line has at most {MAX_COMMAND_OCTETS} octets")
        found = commands.split(line, first=first)
        if isinstance(found, Refused):
            return found
        verb, argument = found
        self._verb = verb
        # A chunk must be read even when it is refused.
        refusal = check(verb, session, parameters) if verb != "BDAT" else None
        if refusal is not None:
            return refusal
        if verb == "MAIL":
            session.messages += 1
        command = commands.parse(verb, argument, tls=session.tls_active)
        return command if isinstance(command, Refused) else self._act(command, argument)

    def _act(self, command: Command, argument: str) -> Event | None:
        """What a command in its place leads to; most go to the owner as they are."""
        match command:
            case MailFrom() if 0 < self.parameters.max_size_octets < command.size_octets:
                # RFC 1870 6.1
                return Refused("size.declared", too_big(self.parameters.max_size_octets))
            case RecipientTo() if not self._session.smtputf8 and not argument.isascii():
                # RFC 6531 3.5
                return refused("address.smtputf8", 553, "5.6.7", "An address outside ASCII wants SMTPUTF8 at MAIL")
            case Data():
                return MessageStarted(chunking=False)
            case Chunk():
                return self._begin_chunk(command)
            case Auth():
                refusal = unavailable(command, self._session, self.parameters)
                if refusal is not None:
                    return refusal
                names = self._session.mechanisms(self.parameters)
                mechanism = sasl_mechanisms.begin(command.mechanism, names, self.parameters.challenge)
                self._exchange = Exchange(mechanism)
                return self._proceed(self._exchange.begin(command.initial))
            case Help():
                return Help(command.topic, offered(self._session, self.parameters))
            case _:
                return command

    def _read_response(self) -> Event | None:
        line = self._buffer.line(MAX_SASL_OCTETS)
        if line is Line.INCOMPLETE:
            return None
        if self.tap is not None:
            self.tap.response(line)
        assert self._exchange is not None
        return self._proceed(self._exchange.take(line))

    def _proceed(self, event: Outcome) -> Event:
        # Where keys are wanted the exchange is over, unless they come; where a token is shown, unless it is refused.
        self._read = self._read_response if isinstance(event, Challenge) else self._read_command
        if not isinstance(event, Challenge | KeysWanted | TokenShown):
            self._exchange = None
        return event

    def _begin_message(self, reply: Reply, encoded: bytes, *, chunking: bool) -> bytes:
        """The owner takes the message, or refuses it."""
        parameters, session = self.parameters, self._session
        form = StoredForm(
            parameters.max_size_octets,
            normalize=parameters.normalize_newlines,
            binary=session.body is BodyType.BINARY,
        )
        if not chunking:
            if reply.is_intermediate:
                self._chunk = Chunk(0, last=True)
                self._reader = DataReader(self._buffer, form)
                self._read = self._read_message
            return encoded
        if reply.is_positive:
            session.chunking = True
            self._reader = ChunkReader(self._buffer, form)
            self._reader.begin(self._chunk.octets, last=self._chunk.last)
            self._read = self._read_message
        else:
            self._throw_away(self._chunk, Refused("chunking.refused", reply))
        return b""

    def _begin_chunk(self, chunk: Chunk) -> Event | None:
        """BDAT: to be taken, or to be thrown away and then refused."""
        reader = self._reader if isinstance(self._reader, ChunkReader) else None
        limit = self.parameters.max_size_octets
        refusal = check("BDAT", self._session, self.parameters)
        if refusal is not None:
            self._throw_away(chunk, refusal)
        elif limit and chunk.octets + (reader.form.wire_octets if reader else 0) > limit:
            # Known before it has come; but a message that the owner has begun must also end for it.
            self._throw_away(chunk, (MessageFailed if reader else Refused)("size.exceeded", too_big(limit)))
        else:
            self._chunk = chunk
            if reader is None:
                return MessageStarted(chunking=True)
            reader.begin(chunk.octets, last=chunk.last)
            self._read = self._read_message
        return self._read()

    def _read_message(self) -> Event | None:
        reader = self._reader
        assert reader is not None
        data = reader.read()
        if self.tap is not None:
            self.tap.body(data)
        if reader.ended:
            self._read = self._end_message
            if not data:
                return self._end_message()
        return MessageData(data) if data else None

    def _end_message(self) -> MessageEnded | MessageFailed | ChunkEnded:
        """The octets are all there: of the message, or of a chunk that others follow."""
        assert self._reader is not None
        form, chunk = self._reader.form, self._chunk
        self._read = self._read_command
        if self.tap is not None:
            self.tap.body_over(chunk.octets if isinstance(self._reader, ChunkReader) else form.wire_octets)
        self._owe_replies(chunk)
        if form.fault is not None:
            return form.fault
        return MessageEnded(form.wire_octets) if chunk.last else ChunkEnded(chunk.octets)

    def _owe_replies(self, chunk: Chunk) -> None:
        """RFC 2033 4.2 and 4.3: DATA, and BDAT with LAST, are answered for each recipient."""
        if chunk.last and self.parameters.flavor is Flavor.LMTP:
            self._replies_owed = max(1, self._session.recipients)

    def _throw_away(self, chunk: Chunk, refusal: Refused | MessageFailed) -> None:
        """
        Read a chunk for nothing and then refuse it (RFC 3030 2). The transaction is over: otherwise the next chunk, in the
        pipeline already, would begin a message without this one.
        """
        self._owe_replies(chunk)
        self._end_transaction()
        self._refusal = refusal
        if self.tap is not None:
            self.tap.body_over(chunk.octets)
        self._unwanted_octets = chunk.octets
        self._read = self._read_unwanted

    def _read_unwanted(self) -> Event | None:
        self._unwanted_octets -= self._buffer.skip(self._unwanted_octets)
        if self._unwanted_octets:
            return None
        self._read = self._read_command
        refusal, self._refusal = self._refusal, None
        return refusal
