"""
What is said in an SMTP, submission or LMTP session, and what Hermes answers (RFC 5321, 6409, 2033).

Each event of the engine has one method, which returns the reply. Refusals are verdicts and go into the trace; a fault of ours
becomes 451, is logged, and costs no mail.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from typing_extensions import override

from hermes.core.envelope import Origin
from hermes.core.outcome import Then, Verdict
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.interfaces import IReception, UnavailableError
from hermes.net import tls
from hermes.protocols.smtp import events
from hermes.services.smtp_connection import TOO_MANY_ERRORS, SMTPConnection
from hermes.services.smtp_intake import FAULT

_OK = Reply.of(250, "2.0.0", "Ok")
_SENDER_OK = Reply.of(250, "2.1.0", "Sender ok")
_RECIPIENT_OK = Reply.of(250, "2.1.5", "Recipient ok")
_SEND_IT = Reply.of(354, None, "Send the message, and end it with a dot on a line of its own")
_LOGGED_IN = Reply.of(235, "2.7.0", "Logged in")
_GO_AHEAD = Reply.of(220, "2.0.0", "Go ahead with TLS")
_GOODBYE = Reply.of(221, "2.0.0", "Goodbye")
# RFC 5321 7.3: a server that does not tell whether an address exists answers 252, to VRFY and to EXPN alike. The enhanced
# code is not 2.1.5, which would say that the address is valid (RFC 3463 3.2).
_NOT_TOLD = Reply.of(252, "2.0.0", "That is not told here: send the mail and see")
_NO_TLS = Verdict(Reply.of(454, "4.7.0", "TLS is not available now"), "tls.unavailable")
_TOO_MANY_REFUSALS = Verdict(TOO_MANY_ERRORS, "session.max_errors")
_TOO_MANY_COMMANDS = Verdict(Reply.of(421, "4.7.0", "Too many commands: goodbye"), "session.max_commands")


class SMTPSession(SMTPConnection):
    """
    One session.

    A ``delivery`` or ``deliveryFactory`` that is set before the first MAIL is used without asking the portal.
    """

    @override
    async def _respond(self, event: events.Event) -> None:
        if type(event) is events.MessageData:
            self._intake.data(event.data)
            if self._intake.congested:
                await self._intake.drained()
            return
        self._commands += 1
        if self._commands > self._context.settings.max_commands:
            self._end(_TOO_MANY_COMMANDS)
            return
        if self._shunned is not None and type(event) is not events.Quit:
            self._shun(self._shunned)
            return
        try:
            reply = await _ANSWERS[type(event)](self, event)
        except CancelledError:
            raise
        except UnavailableError as error:
            self._log.warn(
                "{command} of {peer} has to wait: {error}", command=type(event).__name__, peer=self.peer, error=error
            )
            reply = FAULT.reply
        except Exception:
            self._log.failure("{command} of {peer} could not be answered", command=type(event).__name__, peer=self.peer)
            reply = FAULT.reply
        if self._refused_by is not None and await self._suffer(self._refused_by):
            return
        if reply is not None:
            if reply.code == 421 or self._last_word:
                self._close(reply)
                return
            self._write(self._engine.reply(reply))
        if self._goodbye is not None and not self._intake.receiving:
            self._close(self._goodbye)

    async def _suffer(self, verdict: Verdict) -> bool:
        """Let what a refusal asks for happen; True when there is nothing left to say."""
        self._refused_by = None
        if verdict.delay_seconds and self._turns is not None:
            # What was answered before it shall not wait with it.
            await self._turns.written()
            await deferLater(self._clock, verdict.delay_seconds)
        if verdict.then is Then.VANISH:
            self._vanish()
            return True
        if verdict.then is Then.ONLY_QUIT:
            self._shunned = verdict.reply
        self._last_word = verdict.then is Then.CLOSE
        return False

    def _shun(self, reply: Reply) -> None:
        """Say the refusal again that left the client nothing but QUIT; too often is too often."""
        self._intake.drop()
        self._errors += 1
        if self._errors >= self._context.settings.max_errors:
            self._end(_TOO_MANY_REFUSALS)
        else:
            self._write(self._engine.reply(reply))

    def _write(self, data: bytes) -> None:
        assert self._turns is not None
        self._turns.write(data)

    # The session's own commands.

    async def _hello(self, event: events.Hello) -> Reply | None:
        self._intake.drop()
        # The handshake is over by now, whichever way TLS was begun.
        self._tls = tls.describe(self.transport) if self._engine.tls_active else None
        verdict = await self._checks.hello(event.name, self._engine.command, self._tls)
        if verdict.reply is not None:
            return self._refuse(verdict, event.verb)
        self._write(self._engine.accept_hello(f"Hello {event.name}"))
        return None

    async def _start_tls(self, event: events.StartTLS) -> Reply | None:
        assert self._turns is not None
        try:
            assert self._context.server_tls is not None
            context_factory = self._context.server_tls.context_factory()
        except Exception:
            self._log.failure("TLS cannot be started")
            return self._refuse(_NO_TLS, "STARTTLS")
        # RFC 3207 4.2: nothing that came before TLS counts, neither octets nor what they have led to.
        self._engine.discard_input()
        self._intake.drop()
        self._log_out()
        self._write(self._engine.reply(_GO_AHEAD))
        await self._turns.written()
        self.transport.startTLS(context_factory)
        self._engine.tls_started()
        return None

    async def _client(self, event: events.XClient) -> Reply | None:
        """XCLIENT: what comes next is that client's, from the greeting on."""
        self._intake.drop()
        self._log_out()
        if event.address is not None:
            verdict = self._become(event.address)
            if verdict.reply is not None:
                # What went before was said by somebody else, so there is nothing to go back to.
                self._close(self._refuse(verdict, "XCLIENT"))
                return None
            self._engine.parameters = self._parameters()
        self._write(self._engine.accept_client(self._context.greeting))
        return None

    async def _keys_wanted(self, event: events.KeysWanted) -> Reply | None:
        binding = tls.channel_binding(self.transport, event.binding) if event.binding else b""
        part = await self._login.server_part(event, self._tls, binding)
        if isinstance(part, Verdict):
            return self._refuse(part, "AUTH")
        self._write(self._engine.challenge(part))
        return None

    async def _token(self, event: events.TokenShown) -> Reply | None:
        verdict = await self._login.log_in(event, self._tls)
        hint = self._context.tokens
        if verdict.reply is not None and self._login.token_fault and hint is not None:
            # It has been recorded. What the client answers ends the exchange with 535.
            self._write(self._engine.challenge(attrs.evolve(hint, status=self._login.token_fault)))
            return None
        return self._judged(verdict)

    async def _credentials(self, event: events.Credentials | events.Digest | events.Proof) -> Reply | None:
        return self._judged(await self._login.log_in(event, self._tls))

    def _judged(self, verdict: Verdict) -> Reply:
        """A login has been judged: from here on the checks know who it is."""
        if verdict.reply is not None:
            return self._refuse(verdict, "AUTH")
        self._checks.visit.account = self._login.account
        self._scribe.logged_in(self._login.name)
        return _LOGGED_IN

    def _log_out(self) -> None:
        self._login.detach()
        self._checks.visit.account = None

    async def _challenge(self, event: events.Challenge) -> Reply | None:
        return event.reply

    async def _reset(self, event: events.Reset) -> Reply | None:
        self._intake.drop()
        return _OK

    async def _noop(self, event: events.Noop) -> Reply | None:
        return _OK

    async def _verify(self, event: events.Verify | events.Expand) -> Reply | None:
        return _NOT_TOLD

    async def _turn(self, event: events.TurnAround) -> Reply | None:
        turn = self._context.turn
        # Without one it was not offered, and the engine has said so.
        reply = _OK if turn is None else await turn(event.node)
        return reply if reply.is_positive else self._refuse(Verdict(reply, "etrn"), "ETRN")

    async def _help(self, event: events.Help) -> Reply | None:
        standards = "RFC 2033 and RFC 5321" if self._context.flavor is events.Flavor.LMTP else "RFC 5321"
        return Reply.of(214, "2.0.0", f"Commands: {' '.join(event.commands)}\nSee {standards}")

    async def _quit(self, event: events.Quit) -> Reply | None:
        self._close(_GOODBYE)
        return None

    async def _refused(self, event: events.Refused) -> Reply | None:
        if event.rule == "chunking.refused":
            # Our own refusal of the first chunk: it has been recorded, and is said now that the chunk is over.
            self._intake.drop()
            return event.reply
        verdict, verb = Verdict(event.reply, event.rule), self._engine.verb
        if self._intake.transaction is not None and not self._engine.in_transaction:
            # A chunk that could not be taken has taken the transaction with it.
            return self._given_up(verdict, verb)
        return self._refuse(verdict, verb)

    # Mail.

    async def _mail(self, event: events.MailFrom) -> Reply | None:
        reception = self._login.reception or await self._anonymous()
        if isinstance(reception, Verdict):
            return self._refuse(reception, "MAIL", reverse_path=event.reverse_path)
        engine, context = self._engine, self._context
        transaction = Transaction(
            Origin(engine.protocol_keyword, self.peer, engine.hello_name, self._tls, self._login.name or None),
            context.listener,
            context.flavor is events.Flavor.SUBMISSION,
            event.reverse_path,
            event.size_octets,
            event.body,
            event.smtputf8,
            event.ret,
            event.envid,
            replies_for_each=context.flavor is events.Flavor.LMTP,
            via=self.via,
            tls=event.tls,
            visit=self._checks.visit,
        )
        verdict = await self._intake.sender(reception, transaction, engine.command)
        return _SENDER_OK if verdict.reply is None else self._refuse(verdict, "MAIL", reverse_path=event.reverse_path)

    async def _anonymous(self) -> IReception | Verdict:
        own = self.deliveryFactory or self.delivery
        if own is not None:
            return self._login.attach(own)
        verdict = await self._login.anonymous()
        return self._login.reception or verdict

    async def _recipient(self, event: events.RecipientTo) -> Reply | None:
        verdict = await self._intake.recipient(event.recipient, self._engine.command)
        return _RECIPIENT_OK if verdict.reply is None else self._refuse(verdict, "RCPT", [event.recipient.address])

    async def _message_started(self, event: events.MessageStarted) -> Reply | None:
        verdict = await self._intake.begin()
        if verdict.reply is not None:
            return self._refuse(verdict, "BDAT" if event.chunking else "DATA", self._intake.addresses)
        return _OK if event.chunking else _SEND_IT

    async def _chunk_ended(self, event: events.ChunkEnded) -> Reply | None:
        verdict = self._intake.so_far()
        if verdict.reply is None:
            return Reply.of(250, "2.0.0", f"{event.octets} octets received")
        return self._given_up(verdict)

    async def _message_failed(self, event: events.MessageFailed) -> Reply | None:
        return self._given_up(Verdict(event.reply, event.rule))

    def _given_up(self, verdict: Verdict, command: str = "message") -> Reply:
        reply = self._refuse(verdict, command, self._intake.addresses)
        self._intake.drop()
        return reply

    async def _message_ended(self, event: events.MessageEnded) -> Reply | None:
        verdicts = await self._intake.end(event.wire_octets)
        queue_id = self._intake.queue_id
        accepted = Reply.of(250, "2.0.0", f"accepted as {queue_id}" if queue_id else "accepted")
        refused = [verdict for verdict in verdicts if verdict.reply is not None]
        if not refused:
            self._errors = 0
        if self._context.flavor is events.Flavor.LMTP:
            self._answer_each(verdicts, accepted)
            return None
        if refused:
            # One reply must do for all recipients: where one can be helped by trying again, the client is to try again.
            said = min(refused, key=lambda verdict: verdict.reply.code if verdict.reply else 0)
            return self._refuse_all(said, verdicts)
        self._intake.drop()
        return accepted

    def _refuse_all(self, said: Verdict, verdicts: list[Verdict]) -> Reply:
        """Refuse the message in the words of one verdict; the trace has for each recipient what became of it."""
        addresses = self._intake.addresses
        own = {address: each for each, address in zip(verdicts, addresses, strict=False) if not each.accepted}
        reply = self._refuse(said, "message", addresses, own=own)
        self._intake.drop()
        return reply

    def _answer_each(self, verdicts: list[Verdict], accepted: Reply) -> None:
        """RFC 2033 4.2: after the message, a reply for each recipient."""
        for verdict, address in zip(verdicts, self._intake.addresses, strict=False):
            if verdict.reply is not None:
                self._record(verdict, verdict.reply, "message", [address])
        self._intake.drop()
        self._write(self._engine.replies([verdict.reply or accepted for verdict in verdicts]))
        if self._engine.closing:
            # A 421 was among them (RFC 5321 3.8).
            self._leave()


#: How each event is answered. What raises becomes 451; what returns None has written its answer itself.
_ANSWERS: dict[type, Callable[[SMTPSession, Any], Awaitable[Reply | None]]] = {
    events.Hello: SMTPSession._hello,
    events.StartTLS: SMTPSession._start_tls,
    events.KeysWanted: SMTPSession._keys_wanted,
    events.Credentials: SMTPSession._credentials,
    events.Digest: SMTPSession._credentials,
    events.Proof: SMTPSession._credentials,
    events.TokenShown: SMTPSession._token,
    events.Challenge: SMTPSession._challenge,
    events.MailFrom: SMTPSession._mail,
    events.RecipientTo: SMTPSession._recipient,
    events.MessageStarted: SMTPSession._message_started,
    events.ChunkEnded: SMTPSession._chunk_ended,
    events.MessageEnded: SMTPSession._message_ended,
    events.MessageFailed: SMTPSession._message_failed,
    events.Reset: SMTPSession._reset,
    events.Noop: SMTPSession._noop,
    events.Verify: SMTPSession._verify,
    events.Expand: SMTPSession._verify,
    events.TurnAround: SMTPSession._turn,
    events.Help: SMTPSession._help,
    events.Quit: SMTPSession._quit,
    events.XClient: SMTPSession._client,
    events.Refused: SMTPSession._refused,
}
