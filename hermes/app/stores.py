"""What Hermes keeps on disk, and the threads and the process that write it: opened first, closed last."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from hermes.app.accounts import local_sources
from hermes.app.echoes import Echoes, SharedAnswers, SharedGreylist, SharedLoginTimes, SharedRates
from hermes.app.redirects import files_of
from hermes.app.resolvers import Resolvers
from hermes.app.secret import kept_secret
from hermes.app.staged import Module
from hermes.app.station import Station, share
from hermes.config.durable import write_durably
from hermes.config.places import (
    app_passwords_file,
    collected_file,
    greylist_file,
    offenders_file,
    pauses_file,
    policies_file,
    recipients_file,
    recoverable_key_file,
    secret_file,
    spool_directory,
    tls_results_file,
    token_directory,
    token_key_file,
)
from hermes.config.schema import Settings
from hermes.config.sections.ldap import LDAPSettings
from hermes.core.event import Event
from hermes.core.event_counts import EventCounts
from hermes.core.jobs import perform_each
from hermes.directory.app_passwords import AppPasswords
from hermes.directory.passwords import Passwords
from hermes.directory.recoverable import RecoverableSecrets
from hermes.directory.sources.alias_files import AliasFiles
from hermes.directory.sources.several import SeveralSources
from hermes.interfaces import IGroupWorker
from hermes.mailbox.deposit import perform_deposits
from hermes.net.content import ContentReader
from hermes.net.fetch import Fetcher
from hermes.net.https import post_form
from hermes.net.process_worker import ProcessWorker
from hermes.net.worker import MAX_GROUP, GroupWorker
from hermes.policy.dkim_signer import SignatureMemory
from hermes.policy.dnsbl_record import Records
from hermes.policy.greylist import Greylist
from hermes.policy.greylist_store import GreylistStore
from hermes.policy.offender_store import OffenderStore
from hermes.policy.offenders import Offenders
from hermes.policy.rates import Rates
from hermes.policy.recipient_store import RecipientStore
from hermes.protocols.sasl_login import Derivation, Keys
from hermes.queue.answering import AnsweredLately
from hermes.queue.pauses import Pauses
from hermes.services.login_times import LoginTimes
from hermes.services.mail_log import MailLog
from hermes.services.mta_sts import STSPolicies
from hermes.services.mta_sts_store import PolicyStore
from hermes.services.oauth_tokens import OAuthTokens
from hermes.services.sending_rate import SendingRates
from hermes.services.tls_results import TLSResults
from hermes.services.token_store import TokenStore
from hermes.services.transcript_files import TranscriptFiles, perform_transcripts
from hermes.services.transcripts import Transcripts
from hermes.services.uid_memory import UidMemory
from hermes.spool.errors import SpoolError
from hermes.spool.store import Spool

if TYPE_CHECKING:
    from hermes.directory.ldap.book import LDAPBook
    from hermes.directory.ldap.source import LDAPSource

#: The directory services of one set of settings, by name and section.
Sources = dict[tuple[str, LDAPSettings], "LDAPSource"]

#: How long mail to a domain whose policy (MTA-STS) is not known yet waits for it; RFC 8461 3.3 suggests a minute.
POLICY_SECONDS = 30.0

#: Policies that are fetched at once: servers that hang, of many domains, shall not keep others' mail waiting. There is a place
#: for each delivery that may wait for one.
POLICIES_AT_ONCE = 32
POLICIES_WAITING = 1000

#: Two passwords at once leave the other core, and the interpreter, to the mail; several workers share them.
PASSWORD_THREADS = 2


class Stores(Module):
    """The spool, the accounts, the mail log, and the threads for them."""

    name = "stores"
    #: Everything that was acknowledged is on disk already: what is left is a checkpoint of the database.
    stop_seconds = 60.0
    #: The server's own, once it has been read.
    secret = b""

    def __init__(
        self, settings: Settings, reactor: Any, now: Callable[[], float], station: Station | None = None
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._now = now
        self.station = station = station or Station()
        self.resolvers = Resolvers(reactor)
        self.events = EventCounts()
        self._mail_log: MailLog | None = None
        self._read_worker = self._worker("read")
        #: Lists and clears mailboxes and reads the accounts, one at a time: a big one of these takes seconds, for which no
        #: message that is being sent or fetched shall wait.
        self.mailbox_worker = self._worker("mailboxes", 1)
        #: What strangers ask finger and phone book: however much it is, they wait for one another and nobody else does.
        self.lookup_worker = self._worker("lookups", 1)
        # Of its own: a set of many expressions takes its time, and nothing else shall wait for it.
        self.rules_worker = self._worker("rules", 1)
        #: Writes mailboxes; it is at the disk with every message, and would take Python's lock away from the reactor as a thread.
        self.deposit_worker = ProcessWorker(reactor, "deliver")
        self.reader = ContentReader(self._read_worker)
        tell = station.tell
        self.answered = AnsweredLately() if tell is None else SharedAnswers(tell)
        self._pauses_file = pauses_file(settings)
        self.pauses = Pauses(
            lambda octets: self._read_worker.submit(partial(write_durably, self._pauses_file, octets, 0o600))
        )
        self.tokens = OAuthTokens(
            reactor,
            TokenStore(token_directory(settings), token_key_file(settings)),
            self._read_worker,
            now,
            lambda address, form, authority: post_form(reactor, address, form, authority=authority),
        )
        self.collected = UidMemory(collected_file(settings), self._worker("collected"), now)
        self._transcript_worker = self._worker("transcripts")
        self._transcript_files = TranscriptFiles(self._transcript_worker, now)
        self.transcripts = Transcripts(reactor, now, self._transcript_files)
        self._make_accounts()
        self._make_sending()
        self._make_policy()
        self.spool = self.shard(station.number)

    def _worker(self, name: str, max_group: int = MAX_GROUP) -> GroupWorker:
        return GroupWorker(self._reactor, f"hermes-{name}", max_group)

    def _make_accounts(self) -> None:
        """Who is who, and what proves it."""
        settings, station = self._settings, self.station
        self.local = local_sources(settings, self.mailbox_worker, self._worker, time.monotonic)
        self._ldap: Sources = {}
        self.source = SeveralSources(self.local)
        self.redirects = AliasFiles(files_of(settings), self.mailbox_worker)
        threads = share(PASSWORD_THREADS, station.number, station.count)
        self.passwords = Passwords(
            [self._worker(f"password-{number}", 1) for number in range(threads)], self._reactor.seconds
        )
        self.app_passwords = AppPasswords(app_passwords_file(settings), self._worker("app-passwords"), self._now)
        self.login_times = LoginTimes() if station.tell is None else SharedLoginTimes(station.tell)
        self.recoverable = RecoverableSecrets()

    def _make_sending(self) -> None:
        """What is known of other servers, and signs what goes to them."""
        settings, now = self._settings, self._now
        self.sending_rates = SendingRates(self._reactor.seconds)
        self.dkim_worker = self._worker("dkim", 1)
        #: Makes keys of our passwords at other servers (SCRAM): each connection to one has one made at most.
        self._key_worker = self._worker("keys", 1)
        self.signatures = SignatureMemory()
        self._policy_worker = self._worker("policies")
        self._policy_store = PolicyStore(policies_file(settings), self._policy_worker)
        self.fetcher = Fetcher(self._reactor, POLICY_SECONDS, at_once=POLICIES_AT_ONCE, waiting=POLICIES_WAITING)
        self.sts = STSPolicies(lambda: self.resolvers.current, self.fetcher, self._policy_store, now)
        self.tls_results = TLSResults(tls_results_file(settings), self._policy_worker, now)

    def _make_policy(self) -> None:
        """What is counted of clients."""
        settings, now, tell = self._settings, self._now, self.station.tell
        self.lists = Records(self._reactor.seconds)
        self._offender_store = OffenderStore(offenders_file(settings), self._worker("offenders"))
        self.offenders = Offenders(self._offender_store, now)
        self.rates = Rates(now) if tell is None else SharedRates(now, tell)
        greylist = GreylistStore(greylist_file(settings), self.mailbox_worker, self._worker("greylist"))
        self.greylist = Greylist(greylist, now) if tell is None else SharedGreylist(greylist, now, tell)
        self.recipients = RecipientStore(recipients_file(settings), self._worker("recipients"))

    def shard(self, number: int) -> Spool:
        """A shard of the spool, not yet open."""
        return Spool(
            spool_directory(self._settings, number),
            self._worker("spool"),
            self._worker("bodies"),
            now=self._now,
            observer=self._observe,
            shard=number,
        )

    async def derive(self, derivation: Derivation) -> Keys:
        """Make the keys for a login at another server, in a thread: the server says how much work they are."""
        keys: Keys = await self._key_worker.submit(derivation.keys)
        return keys

    def password_changed(self) -> None:
        """Tell the other workers: whoever has a new password may try it at any of them, and the old one opens none."""
        if self.station.tell is not None:
            self.station.tell("password changed", ())

    def _look_at_accounts(self) -> None:
        for source in self.local:
            source.look_now()

    def listen(self, echoes: Echoes) -> None:
        """Count what other workers tell."""
        echoes.expect("password changed", self._look_at_accounts)
        for about, store in (
            ("answered", self.answered),
            ("mail", self.rates),
            ("greylist", self.greylist),
            ("logged in", self.login_times),
        ):
            if isinstance(store, SharedAnswers | SharedRates | SharedGreylist | SharedLoginTimes):
                echoes.expect(about, store.hear)

    def prepare_sources(self, settings: Settings) -> Sources:
        """The directory services of these settings: those of the moment, and new ones; ValueError when one cannot be."""
        return {
            (name, section): self._ldap.get((name, section)) or self._ldap_source(name, section)
            for name, section in settings.ldap.items()
        }

    def use_sources(self, sources: Sources) -> list[LDAPSource]:
        """Ask these from now on; those that are not asked any more, to be stopped."""
        before, self._ldap = self._ldap, sources
        self.source.use([*self.local, *sources.values()])
        return [source for key, source in before.items() if sources.get(key) is not source]

    def directory_book(self, name: str) -> LDAPBook | None:
        """The directory service of that section as a phone book; None when there is none (any more)."""
        return next((source.book for (section, _), source in self._ldap.items() if section == name), None)

    def _ldap_source(self, name: str, section: LDAPSettings) -> LDAPSource:
        # Only here: the library takes 4 MB, and few servers have a directory service to ask.
        from hermes.app.ldap import ldap_source  # noqa: PLC0415

        return ldap_source(name, section, self._ldap_workers, self._reactor.seconds, self._now)

    def _ldap_workers(self, name: str, count: int) -> list[IGroupWorker]:
        return [self._worker(f"ldap-{name}-{number}", 1) for number in range(count)]

    @override
    async def start(self) -> None:
        self._read_worker.start(perform_each)
        self.mailbox_worker.start(perform_each)
        self.lookup_worker.start(perform_each)
        self.rules_worker.start(perform_each)
        self.dkim_worker.start(perform_each)
        self._key_worker.start(perform_each)
        self._policy_worker.start(perform_each)
        self.deposit_worker.start(perform_deposits)
        self._transcript_worker.start(perform_transcripts)
        self.passwords.start()
        try:
            for source in self.local:
                source.load()
            self.redirects.load()
            self._load_pauses()
            self.secret = self.passwords.secret = kept_secret(secret_file(self._settings))
            self.recoverable.key = kept_secret(recoverable_key_file(self._settings))
            log = self._settings.log
            if log.file:
                self._mail_log = MailLog(log.file, log.format, self._reactor)
            self.offenders.load(self._offender_store.open(self._now()))
            self.rates.load(self._offender_store.saved_rates())
            if self._settings.greylist.enabled:
                await self.greylist.open()
            await self.spool.open()
        except BaseException:
            await self._stop_threads()
            raise

    def _load_pauses(self) -> None:
        try:
            with open(self._pauses_file, "rb") as file:
                self.pauses.load(file.read())
        except FileNotFoundError:
            pass
        except ValueError as error:
            raise SpoolError(f"{self._pauses_file}: {error}; when nothing is to be paused, remove it") from None

    @override
    async def stop(self) -> None:
        try:
            await self.spool.close()
        finally:
            try:
                await self.keep_rates()
            finally:
                await self._stop_threads()

    async def keep_rates(self) -> None:
        """Keep what has been counted of mail."""
        await self._offender_store.keep_rates(*self.rates.changes(), self._now())

    def reopen_log(self) -> None:
        """Open the mail log anew, after something else has moved it away."""
        if self._mail_log is not None:
            self._mail_log.reopen()

    async def _stop_threads(self) -> None:
        await self._offender_store.close()
        await self.greylist.close()
        await self.recipients.close()
        await self.collected.close()
        await self.app_passwords.close()
        await self.passwords.stop()
        for local in self.local:
            await local.stop()
        for source in self._ldap.values():
            await source.stop()
        await self.dkim_worker.stop()
        await self._key_worker.stop()
        await self._policy_worker.stop()
        self._policy_store.close()
        self.tls_results.close()
        await self.deposit_worker.stop()
        self._transcript_files.stop()
        await self._transcript_worker.stop()
        await self.rules_worker.stop()
        await self.lookup_worker.stop()
        await self.mailbox_worker.stop()
        await self._read_worker.stop()
        if self._mail_log is not None:
            self._mail_log.close()

    def _observe(self, event: Event) -> None:
        self.events.count(event)
        if self._mail_log is not None:
            self._mail_log.write(event)
