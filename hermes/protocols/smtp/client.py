"""
The SMTP client's engine: replies in, commands out, one event at a time (RFC 5321, 2920, 3207, 4954, 3030).

The owner connects, passes what comes in to :meth:`ClientEngine.receive`, takes events from :meth:`ClientEngine.next_event`, and
after either sends :meth:`ClientEngine.data_to_send`. It begins by itself: a greeting is answered with EHLO (HELO when that is
not understood), and :class:`Ready` follows. Then any of :meth:`start_tls`, :meth:`log_in`, :meth:`begin` and :meth:`quit`,
one at a time, each ended by its event.

Whatever the server does, the engine ends with an outcome for every recipient and never holds more than one bounded reply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from hermes.core.reply import Reply
from hermes.protocols.sasl_login import Derivation, Exchange, Keys
from hermes.protocols.smtp import client_commands
from hermes.protocols.smtp.capabilities import Capabilities, parse_capabilities
from hermes.protocols.smtp.client_events import (
    ContentWanted,
    Ended,
    Event,
    Peer,
    Ready,
    Refused,
    Stage,
    TLSReady,
    Told,
    TransactionDone,
)
from hermes.protocols.smtp.client_login import ClientLogin, Unproved, line
from hermes.protocols.smtp.replies import ReplyFault, ReplyReader
from hermes.protocols.smtp.transaction import Parcel, Transaction
from hermes.protocols.wire import WireEncoder


class ClientEngine:
    """One session. ``hostname`` is our name; ``peer`` is whom the outcomes will name."""

    def __init__(self, hostname: str, peer: Peer) -> None:
        self._hello = client_commands.hello(b"EHLO", hostname)
        self._helo = client_commands.hello(b"HELO", hostname)
        self.peer = peer
        self.capabilities = Capabilities()
        #: Replies understood so far: while it grows, the server is alive.
        self.replies = 0
        #: Transactions begun on this connection.
        self.transactions = 0
        self._reader = ReplyReader()
        self._out: list[bytes] = []
        self._events: deque[Event] = deque()
        #: What the replies to come are answers to, in order.
        self._expected: deque[Stage] = deque([Stage.GREETING])
        self._ended = False
        self._extended = True
        #: Between the 220 to STARTTLS and the first octet inside TLS nothing that comes means anything.
        self._deaf = False
        self._login: ClientLogin | None = None
        self._transaction: Transaction | None = None
        self._encoder: WireEncoder | None = None
        self._left = 0
        self._take_reply: dict[Stage, Callable[[Reply], None]] = {
            Stage.GREETING: self._greeting,
            Stage.HELLO: self._hello_reply,
            Stage.STARTTLS: self._starttls_reply,
            Stage.LOGIN: self._login_reply,
            Stage.RESET: self._reset_reply,
            Stage.ETRN: self._etrn_reply,
            Stage.MAIL: self._mail_reply,
            Stage.RECIPIENT: self._recipient_reply,
            Stage.DATA: self._data_reply,
            Stage.FINAL: self._final_reply,
            Stage.QUIT: self._quit_reply,
        }

    # What the owner sees.

    @property
    def stage(self) -> Stage:
        """What is being waited for."""
        if self._expected:
            return self._expected[0]
        return Stage.IDLE if self._transaction is None else Stage.CONTENT

    @property
    def ended(self) -> bool:
        """True when the session is over: only closing the connection remains."""
        return self._ended

    def receive(self, data: bytes) -> None:
        """Take octets from the server."""
        if not self._ended and not self._deaf:
            self._reader.feed(data)

    def next_event(self) -> Event | None:
        """The next event, or None when more octets are needed."""
        while not self._events and not self._ended:
            reply = self._reader.next()
            if reply is None:
                return None
            if isinstance(reply, ReplyFault):
                self._end(f"{self.peer.host} does not speak SMTP: {reply.reason}", "4.5.0")
            else:
                self._take(reply)
        return self._events.popleft() if self._events else None

    def data_to_send(self) -> bytes:
        """What is to be sent now; it is forgotten here."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    # What the owner asks for.

    def start_tls(self) -> None:
        """Ask for TLS; :class:`TLSReady` or :class:`Refused` follows."""
        self._command(Stage.STARTTLS, b"STARTTLS\r\n")

    def tls_started(self, description: str, *, implicit: bool = False, verified: str = "") -> None:
        """
        TLS has begun, after TLSReady or (``implicit``) before the greeting.

        RFC 3207 4.2: everything the server said before is forgotten, and EHLO is said again; :class:`Ready` follows.
        """
        self._reader.clear()
        self._deaf = False
        self.peer = attrs.evolve(self.peer, tls=description, verified=verified or None)
        if not implicit:
            self.capabilities = Capabilities()
            self._extended = True
            self._command(Stage.HELLO, self._hello)

    def log_in(self, exchange: Exchange) -> None:
        """Run a SASL exchange (RFC 4954): :class:`LoggedIn` or :class:`Refused` follows, or first a :class:`Derivation`."""
        self._login = ClientLogin(exchange, self.peer)
        self._command(Stage.LOGIN, self._login.command())

    def derived(self, derivation: Derivation, keys: Keys) -> None:
        """Go on with a login, unless the session has ended meanwhile."""
        if not self._ended:
            self._command(Stage.LOGIN, line(derivation.proceed(keys)))

    def etrn(self, node: str) -> None:
        """Ask for the mail that waits for a domain (RFC 1985 5); :class:`Told` follows. Raises UnsafeError."""
        self._command(Stage.ETRN, client_commands.etrn(node))

    def begin(self, parcel: Parcel) -> None:
        """
        Begin a transaction: :class:`TransactionDone` follows, with :class:`ContentWanted` before it when it goes well.

        With PIPELINING all commands leave at once, DATA as the last of the group (RFC 2920 3.1).
        """
        transaction = self._transaction = Transaction(parcel, self.capabilities, self.peer)
        if transaction.decided:
            self._finish()
            return
        if self.transactions:
            # Whatever the last transaction left behind ends here (RFC 5321 4.1.1.5); it also shows that the server lives.
            self._command(Stage.RESET, b"RSET\r\n")
        self.transactions += 1
        if self.capabilities.pipelining:
            self._send_mail()
            self._send_recipients(len(transaction.rcpt_commands))
            if not transaction.binary and not transaction.question:
                self._command(Stage.DATA, b"DATA\r\n")
        elif not self._expected:
            self._send_mail()

    def content(self, chunk: bytes) -> bytes:
        """The next piece of the stored message, as it goes over the wire."""
        if self._encoder is not None:
            return self._encoder.encode(chunk)
        self._left -= len(chunk)
        if self._left < 0:
            raise ValueError("the message is longer than was announced with BDAT")
        return chunk

    def end_content(self) -> None:
        """The message is whole."""
        if self._encoder is not None:
            self._out.append(self._encoder.finish())
            self._encoder = None
        elif self._left:
            raise ValueError("the message is shorter than was announced with BDAT")
        self._expected.append(Stage.FINAL)

    def quit(self) -> None:
        """Say goodbye (RFC 5321 4.1.1.10); :class:`Ended` follows."""
        self._command(Stage.QUIT, b"QUIT\r\n")

    def connection_lost(self, why: str) -> None:
        """The connection is gone."""
        if not self._ended:
            reason = f"the connection to {self.peer.host} was lost while waiting for {self._awaited()}: {why}"
            self._end(reason, "4.4.2")

    def timed_out(self, seconds: float) -> None:
        """The server took longer than it may."""
        if not self._ended:
            self._end(f"{self.peer.host} took more than {seconds:g} seconds for {self._awaited()}", "4.4.2")

    # How replies are taken.

    def _command(self, stage: Stage, command: bytes) -> None:
        self._expected.append(stage)
        self._out.append(command)

    def _take(self, reply: Reply) -> None:
        self.replies += 1
        if not self._expected:
            self._unexpected(reply)
        elif reply.code == 421:
            # RFC 5321 4.2.1 and 3.8: the server closes the connection; it may say so in answer to anything.
            reason = f"{self.peer.host} closed the session at {self._awaited()}: {reply}"
            self._end(reason, reply.enhanced or "4.3.2", reply)
        else:
            self._take_reply[self._expected.popleft()](reply)

    def _unexpected(self, reply: Reply) -> None:
        """The server spoke although nothing was asked: it is closing, or it gave up on the message being sent."""
        if self._transaction is not None and reply.code >= 400 and reply.code != 421:
            # The message cannot be broken off but by closing the connection, so the session ends; its words are the answer.
            self._transaction.final_reply(reply)
            self._ended = True
            self._finish()
        elif reply.is_temporary:
            self._end(f"{self.peer.host} closed the session: {reply}", reply.enhanced or "4.3.2", reply)
        else:
            self._end(f"{self.peer.host} answered what was not asked: {reply}", "4.5.0", reply)

    def _odd(self, stage: Stage, reply: Reply) -> None:
        """A reply that its command cannot have (RFC 5321 4.3.2): after it, nothing is certain."""
        self._expected.appendleft(stage)
        self._end(f"{self.peer.host} gave an answer to {stage.value} that it cannot have: {reply}", "4.5.0", reply)

    def _refuse(self, stage: Stage, reply: Reply) -> None:
        self._events.append(Refused(stage, self.peer.refused(stage, reply)))

    def _greeting(self, reply: Reply) -> None:
        if reply.is_positive:
            self._command(Stage.HELLO, self._hello)
        elif reply.is_intermediate:
            self._odd(Stage.GREETING, reply)
        else:
            self._refuse(Stage.GREETING, reply)

    def _hello_reply(self, reply: Reply) -> None:
        if reply.is_positive:
            if self._extended:
                self.capabilities = parse_capabilities(reply)
            else:
                self.capabilities = Capabilities(name=reply.lines[0].partition(" ")[0])
            self._events.append(Ready(self.capabilities))
        elif reply.is_intermediate:
            self._odd(Stage.HELLO, reply)
        elif reply.is_permanent and self._extended and self.peer.tls is None:
            # RFC 5321 3.2: a server may know HELO only. One that has just done TLS knows EHLO.
            self._extended = False
            self._command(Stage.HELLO, self._helo)
        else:
            self._refuse(Stage.HELLO, reply)

    def _starttls_reply(self, reply: Reply) -> None:
        if reply.is_positive:
            # RFC 3207 4.2 and the lesson of response injection: what came with the reply was not protected.
            self._reader.clear()
            self._deaf = True
            self._events.append(TLSReady())
        elif reply.is_intermediate:
            self._odd(Stage.STARTTLS, reply)
        else:
            self._refuse(Stage.STARTTLS, reply)

    def _login_reply(self, reply: Reply) -> None:
        assert self._login is not None
        step = self._login.take(reply)
        match step:
            case None:
                self._odd(Stage.LOGIN, reply)
            case bytes():
                self._command(Stage.LOGIN, step)
            case Unproved():
                self._expected.appendleft(Stage.LOGIN)
                self._end(step.reason, "4.7.0", reply)
            case _:
                self._events.append(step)

    def _reset_reply(self, reply: Reply) -> None:
        if not reply.is_positive:
            self._odd(Stage.RESET, reply)
        elif not self.capabilities.pipelining:
            self._send_mail()

    def _etrn_reply(self, reply: Reply) -> None:
        if reply.is_intermediate:
            self._odd(Stage.ETRN, reply)
        else:
            self._events.append(Told(reply))

    def _send_mail(self) -> None:
        self._command(Stage.MAIL, self._current.mail_command)

    def _send_recipients(self, count: int) -> None:
        transaction = self._current
        first = transaction.answered
        for command in transaction.rcpt_commands[first : first + count]:
            self._command(Stage.RECIPIENT, command)

    @property
    def _current(self) -> Transaction:
        transaction = self._transaction
        if transaction is None:
            raise RuntimeError("there is no transaction")
        return transaction

    def _mail_reply(self, reply: Reply) -> None:
        if reply.is_intermediate:
            self._odd(Stage.MAIL, reply)
            return
        self._current.mail_reply(reply)
        if not self._expected:
            if self._current.decided:
                self._finish()
            else:
                self._send_recipients(1)

    def _recipient_reply(self, reply: Reply) -> None:
        if reply.is_intermediate:
            self._odd(Stage.RECIPIENT, reply)
            return
        transaction = self._current
        transaction.recipient_reply(reply)
        if self._expected:
            return
        # One command at a time, or the group ended without DATA because the message is binary.
        if not transaction.all_answered:
            self._send_recipients(1)
        elif transaction.decided:
            self._finish()
        elif transaction.question:
            transaction.final_reply(reply)
            self._finish()
        elif transaction.binary:
            # RFC 3030 2: one chunk that is the last; it is as long as the message.
            self._out.append(b"BDAT %d LAST\r\n" % transaction.octets)
            self._left = transaction.octets
            self._events.append(ContentWanted())
        else:
            self._command(Stage.DATA, b"DATA\r\n")

    def _data_reply(self, reply: Reply) -> None:
        transaction = self._current
        if reply.is_positive:
            self._odd(Stage.DATA, reply)
        elif not reply.is_intermediate:
            transaction.data_refused(reply)
            self._finish()
        elif transaction.decided:
            # RFC 2920 3.1: nobody was accepted, yet the server wants a message: it gets an empty one.
            self._command(Stage.FINAL, b".\r\n")
        else:
            self._encoder = WireEncoder()
            self._events.append(ContentWanted())

    def _final_reply(self, reply: Reply) -> None:
        if reply.is_intermediate:
            self._odd(Stage.FINAL, reply)
            return
        self._current.final_reply(reply)
        self._finish()

    def _quit_reply(self, reply: Reply) -> None:
        self._ended = True
        self._events.append(
            Ended(Stage.QUIT, self.peer.deferred(f"{self.peer.host} closed the session: {reply}", "4.4.2"))
        )

    def _finish(self, *, elsewhere: bool = False) -> None:
        done: TransactionDone = self._current.done(elsewhere=elsewhere)
        self._transaction = None
        self._encoder = None
        self._events.append(done)

    def _awaited(self) -> str:
        stage = self.stage
        if stage is Stage.IDLE:
            return "a command"
        return stage.value if stage is Stage.CONTENT else f"the answer to {stage.value}"

    def _end(self, reason: str, status: str, reply: Reply | None = None) -> None:
        stage = self.stage
        self._ended = True
        self._expected.clear()
        transaction = self._transaction
        if transaction is None:
            self._events.append(Ended(stage, self.peer.deferred(reason, status, reply)))
            return
        # RFC 1047, RFC 5321 4.5.3.2.6: after the final dot, without a reply, nobody knows whether the message arrived.
        uncertain = stage is Stage.FINAL and (reply is None or not reply.is_temporary)
        if uncertain:
            reason += "; the message had been sent, so it may have been delivered"
        transaction.interrupted(self.peer.deferred(reason, status, reply))
        self._finish(elsewhere=not uncertain)
