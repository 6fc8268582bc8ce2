"""
Fetching mail from a POP3 box at another server (Mercury's module D): one login, one session, one round of messages.

When that is done is :mod:`hermes.services.collectors`' business, what is fetched :mod:`hermes.services.collecting_plan`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from hermes.config.sections.collector import CollectorSettings
from hermes.core.dns_answer import Status
from hermes.interfaces import IDirectory, IJournal, IMailboxes, ISpool, MailboxDepartedError
from hermes.net.outgoing import Approach, Target
from hermes.net.pop3_opening import Problem, Stage, open_session
from hermes.net.pop3_session import POP3Session
from hermes.net.resolver import Resolver
from hermes.protocols.sasl_login import Login
from hermes.services.collected_message import Addressing, Distribution, Source
from hermes.services.collecting_plan import Survey
from hermes.services.collecting_report import Box, Limits, Report
from hermes.services.oauth_tokens import NoToken, OAuthTokens
from hermes.services.pop3_collecting import Collecting
from hermes.services.reception import Premises
from hermes.services.uid_memory import UidMemory


@attrs.frozen
class Means:
    """What collectors work with; ``premises`` are asked for when the first message comes."""

    reactor: Any
    now: Callable[[], float]
    resolver: Resolver
    tokens: OAuthTokens
    memory: UidMemory
    directory: IDirectory
    mailboxes: IMailboxes
    spool: ISpool
    journal: IJournal
    premises: Callable[[], Premises]


class Collector:
    """One box, by one set of settings; ``approach`` says how its server is approached."""

    def __init__(
        self, name: str, settings: CollectorSettings, approach: Approach, postmaster: str, max_octets: int, means: Means
    ) -> None:
        self.name = name
        self.settings = settings
        #: The key of the box in the memory: it has nothing of the section's name, which may be changed.
        self.box = f"{settings.username}@{settings.host.lower()}:{settings.port}"
        self._means = means
        self._approach = approach
        self._addressing = Addressing(
            Distribution(settings.account, settings.recipient_headers, settings.default, postmaster), means.directory
        )
        self._limits = Limits(
            settings.max_size or max_octets,
            settings.max_messages,
            settings.leave,
            settings.leave_time,
            copies=not settings.account and not settings.duplicates,
        )

    async def collect(self, box: Box, report: Report, *, dry: bool = False) -> Problem | None:
        """Have one session; why there was none, or None."""
        opened = await self._open()
        if isinstance(opened, Problem):
            report.problem = f"{self.settings.host}: {opened.reason}"
            report.refused = opened.refused
            return opened
        session, target = opened
        report.pause_seconds = session.engine.offer.delay_seconds
        tls = session.tls.description if session.tls is not None else None
        source = Source(f"collector:{self.name}", self.settings.host, target.address, tls, self.settings.trusted)
        means = self._means
        survey = Survey(
            session, box, self._limits, report, spool=means.spool, now=means.now, deleted_here=self._deleted_here
        )
        collecting = Collecting(
            session,
            box,
            self._limits,
            source,
            self._addressing,
            means.premises(),
            journal=means.journal,
            now=means.now,
            survey=survey,
        )
        try:
            await collecting.run(dry=dry)
        finally:
            session.abort()
        return None

    async def _open(self) -> tuple[POP3Session, Target] | Problem:
        settings, means = self.settings, self._means
        login = self._approach.login
        assert login is not None
        if settings.oauth:
            token = await means.tokens.token(settings.oauth)
            if isinstance(token, NoToken):
                return Problem(Stage.LOGIN, token.reason)
            login = attrs.evolve(login, token=token)
        answer = await means.resolver.host_addresses(settings.host)
        if answer.status is not Status.FOUND:
            return Problem(Stage.CONNECT, f"it cannot be found: {answer.reason}")
        problem = Problem(Stage.CONNECT, "it has no address")
        for address in answer.values:
            target = Target(settings.host, address, settings.port)
            opened = await self._try(target, login)
            if isinstance(opened, Problem) and opened.refused and login.token:
                fresh = await means.tokens.refused(settings.oauth, login.token, opened.reason)
                if fresh is not None:
                    opened = await self._try(target, attrs.evolve(login, token=fresh))
            if not isinstance(opened, Problem):
                return opened, target
            problem = opened
            if opened.stage is not Stage.CONNECT:
                break
        return problem

    async def _try(self, target: Target, login: Login) -> POP3Session | Problem:
        settings = self.settings
        approach = attrs.evolve(self._approach, login=login)
        return await open_session(
            self._means.reactor,
            target,
            approach,
            settings.timeout,
            in_clear=settings.tls == "none" and bool(settings.auth),
        )

    async def _deleted_here(self, queue_ids: set[str]) -> set[str]:
        """Of these messages those that the account has had, and has no longer."""
        gone = await self._absent(queue_ids) if queue_ids else set()
        delivered = {queue_id for queue_id in gone if not await self._means.spool.select(queue_id)}
        # One that was still in the queue at first may have been delivered since.
        return await self._absent(delivered) if delivered else set()

    async def _absent(self, queue_ids: set[str]) -> set[str]:
        account = await self._means.directory.account(self.settings.account)
        if account is None:
            return set()
        mailbox = self._means.mailboxes.mailbox(account)
        try:
            if not await mailbox.open():
                return set()  # somebody reads it now: the next time
        except MailboxDepartedError:
            return set()  # there can be none yet: the next time
        try:
            return queue_ids - {mailbox.queue_id(number) for number in range(mailbox.count())}
        finally:
            await mailbox.close()
