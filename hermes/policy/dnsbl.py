"""
Lists in the DNS of those whose mail is not wanted, or is: ``[dnsbl:NAME]`` (RFC 5782).

What is known early is asked early: the client's address when it connects, its name when it greets, the rest at MAIL; all lists
at once. They are judged at the first recipient, in the order of the file, so that mail for the postmaster comes through. What
does not answer in time is passed over, and so is an answer that means that we may not ask. A list that could not be asked,
because a message or all of them together have caused too many questions, is not taken for a silent one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from hermes.config.sections.dnsbl import DNSBLSettings
from hermes.core.address import domain_of
from hermes.core.dns_answer import Budget, Status
from hermes.core.dns_list import DNSList, Reading, parse_counting
from hermes.core.findings import Findings
from hermes.core.outcome import PASS, Then, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.core.transaction import Transaction
from hermes.core.visit import Visit
from hermes.interfaces import ICheck, IResolver
from hermes.policy.dnsbl_record import Record, Records
from hermes.policy.once import begun, decided
from hermes.policy.strangers import is_for_postmaster, is_stranger

#: What a list says about somebody is repeated to him, as far as it fits into a reply line (RFC 5321 4.5.3.1.5).
MAX_TEXT_CHARACTERS = 300

#: The word of a finding about somebody who is known as good.
WHITELISTED = "whitelisted"

#: Those of one about a list that has said nothing: it does not answer, or it was not asked, for reasons of ours.
SILENT = "silent"
NOT_ASKED = "not_asked"

_NAME = "dnsbl"


@attrs.frozen
class Listing:
    """What one list has said: the answer that decided, and the name that was asked for; ``unknown`` says why it is nothing."""

    reading: Reading
    question: str = ""
    answer: str = ""
    unknown: str = ""
    asked: bool = True


@attrs.frozen
class _Entry:
    """One list: what it is, how it is configured, and its counters."""

    list: DNSList
    settings: DNSBLSettings
    record: Record


def whitelisted(findings: Findings) -> bool:
    """True when a whitelist has the client or the sender of this message."""
    return any(finding.result == WHITELISTED and finding.name.startswith(f"{_NAME}.") for finding in findings)


def dns_list(name: str, settings: DNSBLSettings) -> DNSList:
    """The list that a section describes."""
    return DNSList(name, zone_of(settings), settings.lookup, parse_counting(settings.answers))


def zone_of(settings: DNSBLSettings) -> str:
    """The domain of a list, in its one form."""
    return settings.zone.rstrip(".").lower()


@implementer(ICheck)
class DNSListCheck:
    """All lists of one set of settings. ``report`` is told who is dropped, by which rule and why."""

    name = _NAME
    stages = (Stage.CONNECT, Stage.HELLO, Stage.SENDER, Stage.RECIPIENT)
    momentary = True
    _log = Logger()

    def __init__(
        self,
        sections: Mapping[str, DNSBLSettings],
        resolver: IResolver,
        records: Records,
        report: Callable[[str, str, str], object] | None = None,
    ) -> None:
        self._resolver = resolver
        self._records = records
        self._report = report
        self._entries: list[_Entry] = []
        for name, settings in sections.items():
            if settings.enabled:
                one = dns_list(name, settings)
                self._entries.append(_Entry(one, settings, records.of(name, one.zone)))

    def judge(self, case: Case) -> Verdict | Awaitable[Verdict]:
        """Ask early, and judge at a recipient."""
        visit, transaction = case.visit, case.transaction
        if not is_stranger(visit):
            return PASS
        if transaction is None:
            self._foresee(visit, "address" if case.stage is Stage.CONNECT else "helo")
            return PASS
        if case.stage is Stage.SENDER:
            begun(transaction, _NAME, lambda: self._decide(visit, transaction))
            return PASS
        if is_for_postmaster(case):
            return PASS
        return decided(transaction, _NAME, lambda: self._decide(visit, transaction))

    def _foresee(self, visit: Visit, lookup: str) -> None:
        """Ask what will be wanted, so that the resolver has it by then, or is at it."""
        for entry in self._entries:
            question = entry.list.question(visit.peer, visit.hello, "") if entry.list.lookup == lookup else ""
            if question and not entry.record.silent_in_row:
                asked = Deferred.fromCoroutine(self._resolver.ipv4_addresses(question, visit.budget))
                _ = asked.addErrback(lambda failure: self._log.failure("A list could not be asked", failure))

    async def _decide(self, visit: Visit, transaction: Transaction) -> Verdict:
        """Ask all lists at once, and take their answers in the order of the file."""
        domain = domain_of(transaction.reverse_path)
        questions = [(entry, entry.list.question(visit.peer, visit.hello, domain)) for entry in self._entries]
        asked = [
            (entry, Deferred.fromCoroutine(self._ask(entry, question, transaction.budget)))
            for entry, question in questions
            if question
        ]
        for entry, answer in asked:
            listing = await answer
            if listing.unknown:
                # The message comes through: whoever asks why finds it here.
                result = SILENT if listing.asked else NOT_ASKED
                transaction.findings.note(f"{_NAME}.{entry.list.name}", result, listing.unknown)
            if listing.reading is not Reading.LISTED:
                continue
            if entry.settings.kind == "whitelist":
                transaction.findings.note(f"{_NAME}.{entry.list.name}", WHITELISTED, _told(listing))
                return PASS
            score = float(entry.settings.score)
            transaction.findings.note(f"{_NAME}.{entry.list.name}", "listed", _told(listing), score)
            if entry.settings.action != "note":
                return await self._act(entry, listing, visit, transaction)
        return PASS

    async def _ask(self, entry: _Entry, question: str, budget: Budget) -> Listing:
        one, record = entry.list, entry.record
        if not self._records.may_ask(record):
            return Listing(Reading.CLEAR, unknown="it has not answered lately, and is left alone for a while")
        answer = await self._resolver.ipv4_addresses(question, budget)
        if not answer.asked:
            self._records.not_asked(record)
            return Listing(Reading.CLEAR, unknown=answer.reason, asked=False)
        record.asked += 1
        if answer.status is Status.UNAVAILABLE:
            # A stranger chooses his name, and may choose one that no name server can answer: that says nothing about the list.
            self._records.silent(one.name, record, answer.reason, may_pause=one.lookup == "address")
            return Listing(Reading.CLEAR, unknown=answer.reason)
        self._records.answered(record)
        reading, decisive = one.read(answer.values)
        if reading is Reading.REFUSED:
            self._records.refused(one.name, one.zone, record, decisive)
        elif reading is Reading.LISTED:
            # Here, and not when it decides: what is not counted as listed is clear, and a count must not go down.
            record.listed += 1
        return Listing(reading, question, decisive)

    async def _act(self, entry: _Entry, listing: Listing, visit: Visit, transaction: Transaction) -> Verdict:
        name, settings, measures = entry.list.name, entry.settings, transaction.measures
        rule = f"{_NAME}.{name}"
        if settings.action in ("tag", "redirect"):
            measures.headers.append(settings.header or f"X-Blocked: Blocked by '{name}'")
            if settings.action == "redirect":
                measures.redirect, measures.redirect_rule = settings.redirect_to, rule
            return PASS
        text = settings.text or await self._text(listing, transaction.budget)
        said = Reply.of(554, "5.7.1", f"Blocked by {name}: {text}" if text else f"Blocked by {name}")
        reason = f"{entry.list.zone} lists it: {_told(listing)}"
        if settings.action == "reject":
            return Verdict(said, rule, reason)
        if self._report is not None:
            self._report(visit.peer, rule, reason)
        return Verdict(said, rule, reason, Then.CLOSE)

    async def _text(self, listing: Listing, budget: Budget) -> str:
        """What the list says about somebody (RFC 5782 2.1), as far as it can stand in a reply."""
        answer = await self._resolver.texts(listing.question, budget)
        text = answer.values[0].decode("ascii", "replace") if answer.values else ""
        return "".join(character if " " <= character <= "~" else "?" for character in text)[
            :MAX_TEXT_CHARACTERS
        ].strip()


def _told(listing: Listing) -> str:
    return f"{listing.question} is {listing.answer}"
