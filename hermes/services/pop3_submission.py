"""
XTND XMIT: mail that people send through their POP3 session, as Berkeley's server and Mercury's took it.

It is a submission like those of SMTP (RFC 6409): the account that has logged in sends as itself, by the same rules and checks,
into the same spool. What SMTP says in MAIL and RCPT stands in the header here: the sender in ``From:`` and its like, the
recipients in ``To:``, ``Cc:`` and ``Bcc:``, the last of which goes. A message is for all of them or for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hermes.config.schema import SMTPSettings
from hermes.core.dropped import Addressed, addressed, without_bcc
from hermes.core.envelope import BodyType, Origin, Recipient
from hermes.core.event import Kind
from hermes.core.header_facts import MAX_HEADER_OCTETS, header_end
from hermes.core.outcome import PASS, Verdict
from hermes.core.printable import one_line
from hermes.core.received import path
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.interfaces import UnavailableError
from hermes.net.server_gate import refusal_by
from hermes.protocols.smtp.grammar import MalformedError, parse_path
from hermes.protocols.smtp.parameters import MAX_PATH_OCTETS
from hermes.services.pop3_trace import SessionTrace
from hermes.services.reception import Premises, Reception
from hermes.services.session_checks import SessionChecks
from hermes.services.smtp_intake import FAULT, Intake

#: The command, for log and trace.
COMMAND = "XTND XMIT"

#: Recipients of one refused message that have an event each, as in SMTP: more would fill the trace.
MAX_RECORDED_RECIPIENTS = 20

#: Recipients that are judged before other sessions run: some milliseconds.
RECIPIENTS_BEFORE_YIELDING = 32

_NOT_NOW = Reply.of(451, "4.3.0", "The directory cannot be asked now: try again later")
_NO_ACCOUNT = Verdict(Reply.of(550, "5.7.1", "This login has no account that could send mail"), "xtnd.no_account")
_FOR_READING = Reply.of(550, "5.7.1", "This app password is for reading alone")
_NO_RECIPIENT = Verdict(
    Reply.of(554, "5.5.1", "The message names no recipient: it wants To, Cc or Bcc"), "xtnd.no_recipient"
)
_HEADER_TOO_LARGE = Verdict(
    Reply.of(554, "5.6.0", f"The message's header is too large: at most {MAX_HEADER_OCTETS} octets"),
    "xtnd.header_size",
)
_LOST = Verdict(None, "session.lost", "the connection was lost before the message was whole")


@attrs.frozen
class Submissions:
    """
    What the sessions of a POP3 server need for it.

    ``premises`` gives those of the SMTP server, ``visit_of`` makes what its checks know of a peer, ``settings`` are its own.
    """

    premises: Callable[[], Premises]
    visit_of: Callable[[str], Visit]
    settings: SMTPSettings


@attrs.frozen
class Sender:
    """
    Who sends: the account's name, where it came from and how, and the name of the listener in the trace.

    ``reading_password`` is the name of the app password that it has logged in by, when that is for reading alone.
    """

    account: str
    peer: str
    via: str
    tls: str | None
    listener: str
    reading_password: str = ""


class Submission:
    """The messages of one session, one after the other; ``receiving`` is true while one comes in."""

    _log = Logger()

    def __init__(self, submissions: Submissions, sender: Sender, clock: IReactorTime, trace: SessionTrace) -> None:
        self.receiving = False
        self._settings = submissions.settings
        self._premises = submissions.premises()
        self._sender = sender
        self._clock = clock
        self._trace = trace
        self._intake = Intake()
        self._visit = visit = submissions.visit_of(sender.peer)
        visit.via, visit.listener, visit.tls, visit.submission = sender.via, sender.listener, sender.tls, True
        self._messages = 0
        self._forget()

    def _forget(self) -> None:
        self._intake.drop()
        self.receiving = False
        # The header, until it is whole.
        self._held: bytearray | None = bytearray()
        self._octets = 0
        self._refusal: Verdict = PASS
        self._transaction: Transaction | None = None
        # The recipient that is to blame for the refusal.
        self._refused: Recipient | None = None

    async def begin(self) -> Verdict:
        """Whether a message may come: what can be said before it does."""
        self._forget()
        most = self._settings.max_messages
        if self._messages >= most:
            text = f"At most {most} messages in a session: connect again for more"
            return Verdict(Reply.of(421, "4.7.0", text), "limit.messages")
        # Who may not send by SMTP from there may not by this way round.
        refusal = refusal_by(self._visit.entry, self._sender.peer)
        if refusal is not None:
            return refusal
        if self._sender.reading_password:
            reason = f"the app password {self._sender.reading_password} is not for smtp"
            return Verdict(_FOR_READING, "xtnd.app_password", reason)
        try:
            account = await self._premises.directory.account(self._sender.account)
        except UnavailableError as error:
            return Verdict(_NOT_NOW, "directory.unavailable", str(error))
        if account is None or account.disabled:
            return _NO_ACCOUNT
        self._visit.account = account
        self._messages += 1
        self.receiving = True
        return PASS

    async def data(self, octets: bytes) -> None:
        """Take octets of the message; what is wrong with it is said at its end."""
        if not self._refusal.accepted:
            return
        if self._held is None:
            self._write(octets)
        else:
            searched = len(self._held)
            self._held += octets
            end = header_end(self._held, searched)
            # One of the limit is seen to be whole by the octet behind it.
            if end >= 0 or len(self._held) > MAX_HEADER_OCTETS:
                await self._open(bytes(self._held), end)
        if self._intake.congested:
            await self._intake.drained()

    async def end(self) -> tuple[Verdict, str]:
        """The message is whole: keep it; and its queue id."""
        if self._refusal.accepted and self._held is not None:
            # No empty line has come: it is all header.
            await self._open(bytes(self._held), len(self._held))
        if self._refusal.accepted:
            # From here on losing the connection must not take it back.
            self.receiving = False
            queue_id = self._intake.queue_id
            refused = [each for each in await self._intake.end(self._octets) if each.reply is not None]
            if not refused:
                self._forget()
                return PASS, queue_id
            self._refusal = min(refused, key=lambda verdict: verdict.reply.code if verdict.reply else 0)
        return self._refusal, ""

    def refused(self, verdict: Verdict, errors: int) -> tuple[Verdict, str]:
        """
        Record a refusal, and forget the message: what to say instead, or that refusal, and its text for the client.

        ``errors`` is how many commands of the session have been refused with this one.
        """
        self._visit.errors = errors
        if verdict is not self._refusal:
            # It is about the message as it came over the wire, whoever it is for.
            self._refused = None
        checks = SessionChecks(self._premises.checks, self._visit)
        said = checks.refused(verdict, COMMAND, self._transaction, self._refused)
        text = said.reply.text if said.reply is not None else ""
        if self._refused is not None and said is verdict:
            text = f"{self._refused.address}: {text}"
        self._record(said, text)
        self._forget()
        return said, text

    def lost(self) -> None:
        """The session is over."""
        if self.receiving:
            self._record(_LOST, None)
        self._forget()

    # What SMTP has commands for.

    async def _open(self, held: bytes, end: int) -> None:
        """The header is whole, or will not be: judge what it says, and begin to write."""
        self._held = None
        try:
            verdict = await self._opened(held, end)
        except CancelledError:
            raise
        except Exception:
            self._log.failure("A message of {account} could not be taken", account=self._sender.account)
            verdict = FAULT
        self._refusal = verdict

    async def _opened(self, held: bytes, end: int) -> Verdict:
        if not 0 <= end <= MAX_HEADER_OCTETS:
            return _HEADER_TOO_LARGE
        named = addressed(held[:end])
        recipients = self._recipients(named)
        if isinstance(recipients, Verdict):
            return recipients
        account = self._visit.account
        assert account is not None
        reverse_path = named.sender or next(iter(account.addresses), "")
        transaction = self._transaction = self._new_transaction(reverse_path, recipients)
        reception = Reception(account, self._premises)
        verdict = await self._intake.sender(reception, transaction, f"MAIL FROM:{path(reverse_path)}")
        for count, recipient in enumerate(recipients if verdict.accepted else (), 1):
            verdict = await self._intake.recipient(recipient, f"RCPT TO:{path(recipient.address)}")
            if not verdict.accepted:
                self._refused = recipient
                break
            if count % RECIPIENTS_BEFORE_YIELDING == 0:
                await deferLater(self._clock, 0)
        if verdict.accepted:
            verdict = await self._intake.begin()
        if verdict.accepted:
            # RFC 5322 3.6.3: who is named in Bcc is not shown to the others.
            self._write(without_bcc(held[:end]) + held[end:])
        return verdict

    def _recipients(self, named: Addressed) -> list[Recipient] | Verdict:
        most = self._settings.max_recipients
        if len(named.recipients) > most:
            text = f"At most {most} recipients of a message: send it to the others separately"
            return Verdict(Reply.of(554, "5.5.3", text), "limit.recipients")
        found = []
        for text in (*named.strays, *named.recipients):
            try:
                address, rest = parse_path(f"<{text}>", "5.1.3")
            except MalformedError as error:
                return self._malformed(text, str(error))
            if rest:
                return self._malformed(text, "that is no address")
            found.append(Recipient(address))
        return found or _NO_RECIPIENT

    def _malformed(self, text: str, problem: str) -> Verdict:
        # It may be as long as the header.
        text = one_line(text, MAX_PATH_OCTETS)
        self._refused = Recipient(text)
        return Verdict(Reply.of(501, "5.1.3", problem), "protocol.syntax", text)

    def _new_transaction(self, reverse_path: str, recipients: Sequence[Recipient]) -> Transaction:
        sender = self._sender
        return Transaction(
            Origin("POP3", sender.peer, "", sender.tls, sender.account),
            sender.listener,
            True,
            reverse_path,
            # Nobody says so here, and it is known only at the end; where a server wants to be told, this does no harm.
            body=BodyType.EIGHT_BIT,
            smtputf8=not all(map(str.isascii, (reverse_path, *(each.address for each in recipients)))),
            via=sender.via,
            visit=self._visit,
            facts={"command": COMMAND},
        )

    def _write(self, octets: bytes) -> None:
        # On the wire an LF is a CRLF.
        self._octets += len(octets) + octets.count(b"\n")
        self._intake.data(octets)

    def _record(self, verdict: Verdict, text: str | None) -> None:
        """Put a refusal into the trace, for each recipient that it is about."""
        sender, transaction = self._sender, self._transaction
        addresses = [self._refused.address] if self._refused is not None else self._intake.addresses
        facts: dict[str, str | int | float | bool | None] = {
            "rule": verdict.rule,
            "reason": verdict.reason or None,
            "reply": f"-ERR {text}" if text is not None else None,
            "command": COMMAND,
            "listener": sender.listener,
            "account": sender.account,
            "tls": sender.tls,
        }
        if transaction is not None and (summary := transaction.findings.summary()):
            facts["checks"] = summary
        if verdict.place:
            facts["place"] = verdict.place
        if len(addresses) > MAX_RECORDED_RECIPIENTS:
            facts["recipients"] = len(addresses)
        for address in addresses[:MAX_RECORDED_RECIPIENTS] or ("",):
            self._trace.record(
                Kind.REFUSED,
                queue_id=self._intake.queue_id,
                address=address,
                reverse_path=transaction.reverse_path if transaction is not None else None,
                **facts,
            )
