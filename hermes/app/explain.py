"""
What would happen if a peer connected, greeted, and named sender and recipients; and which line of the configuration says so.

Nothing is sent, opened or counted, and no server has to run: the engine of the SMTP server is given the commands, and the
:class:`~hermes.app.rulebook.Rulebook` that servers go by gives the answers. What depends on the moment (the limits on
connections) cannot be told, except for the list of offenders, which is told beside the rules; what the DNS has to say is told
when it may be asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address

import attrs

from hermes.app.reasons import Reasons
from hermes.app.rulebook import Rulebook
from hermes.app.unasked import unasked
from hermes.config.rule_file import read_rules
from hermes.config.schema import ACCESS_SERVERS, Settings
from hermes.core.account import Local
from hermes.core.address import domain_of
from hermes.core.envelope import Origin, Recipient
from hermes.core.expansion import Expansion, Kind
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.core.route import whose
from hermes.core.transaction import Transaction
from hermes.net.server_gate import metrics_refusal, refusal_by
from hermes.policy.strangers import is_for_postmaster, is_stranger
from hermes.protocols.smtp import events
from hermes.protocols.smtp.server import SMTPServer
from hermes.queue.router import EXPAND
from hermes.services.smtp_server import server_parameters

#: The servers that can be asked about: the flavors of SMTP, and those that only connecting can be told of.
FLAVORS = {"smtp": events.Flavor.SMTP, "submission": events.Flavor.SUBMISSION, "lmtp": events.Flavor.LMTP}
SERVERS = (*FLAVORS, *(server for server in ACCESS_SERVERS if server not in FLAVORS))

_LET_IN = Reply.of(220, None, "Connection accepted")
_OK = Reply.of(250, "2.0.0", "Ok")
_NO = Reply.of(550, None, "")


@attrs.frozen
class Question:
    """
    Who connects where, and says what.

    ``peer`` is an address in its normal form; ``reverse_path`` is None when there is no MAIL; addresses stand without angle
    brackets unless they are to go over the wire as they are; ``size_octets`` is 0 when not declared.
    """

    peer: str
    server: str = "smtp"
    hello: str = ""
    reverse_path: str | None = None
    recipients: tuple[str, ...] = ()
    size_octets: int = 0


@attrs.frozen
class Step:
    """
    One stage: what was said, the answer, and why.

    ``rule`` is the name of what decided, ``because`` the places where that stands (file, line, section and key), the most
    important first; ``account`` and ``destination`` are for recipients that are accepted. ``moment`` says what would make it
    otherwise just now, and will be over some day, or was not asked; ``found`` what the DNS has said. ``expansion`` has a line
    for each step from a recipient to what it stands for, with the place where that is written, and one for each end.
    """

    stage: str
    said: str
    accepted: bool
    reply: str
    rule: str
    reason: str = ""
    because: tuple[str, ...] = ()
    account: str = ""
    destination: str = ""
    moment: str = ""
    expansion: tuple[str, ...] = ()
    found: str = ""


class Explanation:
    """Answers one question by the rules of a server."""

    def __init__(
        self,
        question: Question,
        settings: Settings,
        rulebook: Rulebook,
        reasons: Reasons,
        listed: Verdict | None = None,
        *,
        dns: bool = False,
    ) -> None:
        """``listed`` is what the list of offenders has to say to the peer, as it is on disk now; ``dns`` says to ask it."""
        self._question = question
        self._unasked = unasked(settings, dns=dns)
        self._listed = listed
        self._rulebook = rulebook
        self._reasons = reasons
        # What depends on the moment only the server can tell; what asks the DNS is there when it may be asked.
        self._checks = rulebook.checks if dns else rulebook.checks.lasting()
        self._visit = rulebook.visit_of(question.peer)
        self._transaction: Transaction | None = None
        flavor = FLAVORS.get(question.server, events.Flavor.SMTP)
        self._submission = flavor is events.Flavor.SUBMISSION
        self._visit.submission = self._submission
        self._verb = "LHLO" if flavor is events.Flavor.LMTP else "EHLO"
        # Whether TLS is on makes no difference to who may send where; that a submission wants a login does.
        self._engine = SMTPServer(
            server_parameters(settings.smtp, settings.hermes.hostname, flavor, starttls=False, has_login=True)
        )

    async def steps(self) -> AsyncIterator[Step]:
        """Each stage, as far as the session would come; a refused recipient does not end it."""
        question = self._question
        step = self._connect()
        if step.accepted and question.server in FLAVORS:
            step = await self._checked(Stage.CONNECT, "connect", question.peer) or step
        yield step
        if not step.accepted or question.server not in FLAVORS:
            return
        hello = question.hello or _literal(question.peer)
        step = await self._ask("hello", hello, f"{self._verb} {hello}")
        yield step
        if not step.accepted or (question.reverse_path is None and not question.recipients):
            return
        reverse_path = question.reverse_path or ""
        step = await self._ask("sender", reverse_path, f"MAIL FROM:{_path(reverse_path)}{self._parameters()}")
        yield step
        if not step.accepted:
            return
        for recipient in question.recipients:
            yield await self._ask("recipient", recipient, f"RCPT TO:{_path(recipient)}")

    def _parameters(self) -> str:
        question = self._question
        size = f" SIZE={question.size_octets}" if question.size_octets else ""
        paths = (question.reverse_path or "", *question.recipients)
        return size + ("" if all(path.isascii() for path in paths) else " SMTPUTF8")

    def _connect(self) -> Step:
        peer = self._question.peer
        server = self._question.server if self._question.server in ACCESS_SERVERS else "smtp"
        entry = self._rulebook.access.entry(peer, server)
        refusal = (metrics_refusal if server == "metrics" else refusal_by)(entry, peer)
        verdict = refusal or Verdict(None, entry.rule if entry is not None else "default")
        reason = verdict.reason or (
            f"[access:{entry.name}] allows {peer}" if entry else "no [access:NAME] names the peer"
        )
        if entry is not None and entry.exempt:
            reason += ", without [limits]"
        reply = verdict.reply or _LET_IN
        because = self._reasons.entry(verdict.rule)
        # Only SMTP has codes; the others have words of their own (POP3: RFC 1939 3, RFC 3206 4).
        if server == "smtp":
            text = str(reply)
        elif server == "pop3":
            text = f"{'+OK' if refusal is None else '-ERR [SYS/PERM]'} {reply.text}"
        else:
            text = reply.text
        moment = ""
        if refusal is None and self._listed is not None and not (entry is not None and entry.exempt):
            moment = f"{self._listed.reply} (rule {self._listed.rule}: {self._listed.reason})"
        return Step("connect", peer, refusal is None, text, verdict.rule, reason, because, moment=moment)

    async def _ask(self, stage: str, said: str, command: str) -> Step:
        """Give a command to the engine, and the event that it becomes to the rules."""
        self._engine.receive(f"{command}\r\n".encode("utf-8", "replace"))
        event = self._engine.next_event()
        match event:
            case events.Refused():
                self._engine.reply(event.reply)
                return Step(stage, said, False, str(event.reply), event.rule, because=self._reasons.of(event.rule))
            case events.Hello():
                self._visit.hello = event.name
                refused = await self._checked(Stage.HELLO, stage, said)
                if refused is not None:
                    self._engine.reply(_NO)
                    return refused
                self._engine.accept_hello("")
                return Step(stage, said, True, str(Reply.of(250, None, f"Hello {event.name}")), "default")
            case events.RecipientTo():
                step = await self._recipient(said, event.recipient.address)
                asked = Stage.RECIPIENT if step.accepted else Stage.REFUSED
                verdict = PASS if step.accepted else Verdict(_NO, step.rule, step.reason)
                step = await self._checked(asked, stage, said, event.recipient, verdict) or step
                self._engine.reply(_OK if step.accepted else _NO)
                return self._with_findings(step, event.recipient)
            case events.MailFrom():
                origin = Origin(self._engine.protocol_keyword, self._visit.peer, self._engine.hello_name)
                self._transaction = Transaction(
                    origin,
                    "",
                    self._submission,
                    event.reverse_path,
                    event.size_octets,
                    event.body,
                    event.smtputf8,
                    visit=self._visit,
                )
                refused = await self._checked(Stage.SENDER, stage, said)
                self._engine.reply(_OK if refused is None else _NO)
                if refused is not None:
                    return refused
            case _:
                self._engine.reply(_OK)
        return Step(stage, said, True, str(_OK), "default")

    async def _checked(
        self, asked: Stage, stage: str, said: str, recipient: Recipient | None = None, verdict: Verdict = PASS
    ) -> Step | None:
        """What the checks say that can be asked here; None when they let it pass."""
        case = Case(asked, self._visit, self._engine.command, self._transaction, recipient, verdict=verdict)
        answer = self._checks.judge(case)
        verdict = answer if isinstance(answer, Verdict) else await answer
        if verdict.reply is None:
            return None
        because = (verdict.place,) if verdict.place else self._reasons.of(verdict.rule)
        return Step(stage, said, False, str(verdict.reply), verdict.rule, verdict.reason, because)

    def _with_findings(self, step: Step, recipient: Recipient) -> Step:
        """Tell what the DNS has said, what follows from it, and what could be refused by what was not asked."""
        transaction = self._transaction
        assert transaction is not None
        measures = transaction.measures
        found = [f"{each.name}={each.result}" for each in transaction.findings]
        found += [f"header {header!r}" for header in measures.headers]
        found += [f"redirected to {measures.redirect}"] if measures.redirect else []
        step = attrs.evolve(step, found=", ".join(found))
        case = Case(Stage.RECIPIENT, self._visit, recipient=recipient)
        if not step.accepted or step.moment or is_for_postmaster(case) or not is_stranger(self._visit):
            return step
        return attrs.evolve(step, moment=self._unasked)

    async def _recipient(self, said: str, address: str) -> Step:
        question, rulebook = self._question, self._rulebook
        verdict, destination = await rulebook.policy.recipient(
            address,
            peer=question.peer,
            account=None,
            authentication_required=self._submission,
            octets=question.size_octets,
            sender=question.reverse_path or "",
        )
        resolution = await rulebook.directory.resolve(address)
        account = resolution.account.name if isinstance(resolution, Local) else ""
        # The address after which a postmaster's mail goes is another one than the recipient's.
        agent, _, next_hop = destination.partition(":")
        whole = await rulebook.directory.expand(next_hop if agent == EXPAND else address)
        lines = () if whole.is_plain else tuple(_followed(whole))
        route = rulebook.routes.choose(address, question.reverse_path or "", whose(resolution))
        if verdict.reply is not None:
            because = self._reasons.of(verdict.rule)
            if route is not None and verdict.rule in (route.rule, "backup.routing"):
                because = self._reasons.route(route.name)
            elif verdict.rule == "backup.routing":
                because = self._reasons.backup(rulebook.policy.backup_of(domain_of(address)))
            entry = rulebook.access.entry(question.peer, "smtp")
            if verdict.rule == "relay.denied" and entry is not None:
                because += self._reasons.entry(entry.rule)
            step = Step("recipient", said, False, str(verdict.reply), verdict.rule, verdict.reason, because, account)
        elif route is not None:
            because = self._reasons.route(route.name)
            step = Step("recipient", said, True, str(_OK), route.rule, "", because, "", destination)
        elif agent == "local":
            because = self._reasons.of("local")
            step = Step("recipient", said, True, str(_OK), "local", "", because, next_hop, destination)
        elif agent == EXPAND:
            because = self._reasons.of("local")
            step = Step("recipient", said, True, str(_OK), "directory", "", because, account, destination)
        elif agent == "backup":
            step = self._backup(said, next_hop, destination)
        else:
            right = await rulebook.policy.right(question.peer, None, question.reverse_path or "")
            because = (*self._reasons.right(right), *self._reasons.way(agent, next_hop))
            reason = f"{question.peer} may relay"
            step = Step("recipient", said, True, str(_OK), right, reason, because, "", destination)
        return attrs.evolve(step, expansion=lines)

    def _backup(self, said: str, domain: str, destination: str) -> Step:
        policy = self._rulebook.policy
        name = policy.backup_of(domain)
        because = self._reasons.backup(name)
        reason = f"this server is a backup for {domain}"
        moment = "the server of that domain is asked first, and may refuse" if policy.asks(name) else ""
        return Step(
            "recipient", said, True, str(_OK), f"backup.{name}", reason, because, "", destination, moment=moment
        )


def _followed(expansion: Expansion) -> list[str]:
    """All steps and ends, and below them the rules that an end consists of, in their order."""
    lines = expansion.lines()
    for target in expansion.targets:
        if target.kind is Kind.RULES:
            lines += [f"  {line}" for line in read_rules(target.value).lines()]
    return lines


def _literal(peer: str) -> str:
    """An address literal (RFC 5321 4.1.3): the name of a client that has none."""
    return f"[IPv6:{peer}]" if ip_address(peer).version == 6 else f"[{peer}]"


def _path(address: str) -> str:
    return address if address.startswith("<") else f"<{address}>"


def accepted(steps: Sequence[Step]) -> bool:
    """True when nothing was refused."""
    return all(step.accepted for step in steps)
