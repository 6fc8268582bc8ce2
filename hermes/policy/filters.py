"""
Transaction filters at work: what Mercury does with its ``transflt.mer``.

Each pass goes through its filters in their order, until one decides. Filters of the pass D look at the greeting, but not before
MAIL, and not at all when the client has logged in by then. Whom connection control calls unfiltered is spared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from twisted.logger import Logger
from zope.interface import implementer

from hermes.core.encoded_words import decoded
from hermes.core.outcome import PASS, Then, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.printable import one_line
from hermes.core.transaction_filter import REFUSING, Action, Filter, Pass
from hermes.interfaces import ICheck

#: As much of a command or subject as filters look at. RFC 5321 4.5.3.1.4 has 512 octets for a command, RFC 5322 2.1.1 998 for
#: a line; a subject of more is folded more than once, and what people read of it stands in front.
MAX_CHARACTERS = 2000

#: What a log line of a filter tells of the client's words.
MAX_LOGGED = 200

#: Names of what one pass leaves for the next: the greeting, and that no filter is to be looked at any more.
_HELLO = "filter.hello"
_STOPPED = "filter.stopped"

_THEN = {
    Action.REFUSE: Then.ONLY_QUIT,
    Action.FAIL: Then.GO_ON,
    Action.CLOSE: Then.CLOSE,
    Action.DROP: Then.VANISH,
}

#: Puts a peer on the list of offenders: peer, rule, reason.
Report = Callable[[str, str, str], object]


@implementer(ICheck)
class Filters:
    """
    The check.

    ``sources`` give filters: those of the file as they are now, and those of the configuration. Without ``report`` nobody is put
    on the list of offenders.
    """

    name = "filter"
    stages: Collection[Stage] = (Stage.HELLO, Stage.SENDER, Stage.RECIPIENT, Stage.HEADER)
    momentary = False

    _log = Logger()

    def __init__(self, sources: Sequence[Callable[[], Sequence[Filter]]], report: Report | None = None) -> None:
        self._sources = sources
        self._report = report
        self._sorted_from: list[Sequence[Filter]] | None = None
        self._by_pass: dict[Pass, list[Filter]] = {}

    def judge(self, case: Case) -> Verdict:
        """Go through the passes of this stage."""
        visit, transaction = case.visit, case.transaction
        if visit.entry is not None and visit.entry.unfiltered:
            return PASS
        if case.stage is Stage.HELLO:
            visit.memory[_HELLO] = case.command
            # Who delivers by LMTP is a program of ours (RFC 2033 5).
            visit.memory[_STOPPED] = case.command[:4].upper() == "LHLO"
            return PASS if visit.memory[_STOPPED] else self._go_through(Pass.HELLO, case, case.command)
        if visit.memory.get(_STOPPED) or (transaction is not None and transaction.memory.get(_STOPPED)):
            return PASS
        if case.stage is Stage.SENDER:
            return self._sender(case)
        if case.stage is Stage.RECIPIENT:
            return self._go_through(Pass.RECIPIENT, case, case.command)
        return self._subject(case)

    def _sender(self, case: Case) -> Verdict:
        hello = case.visit.memory.get(_HELLO)
        if case.visit.account is None and isinstance(hello, str):
            verdict = self._go_through(Pass.DEFERRED, case, hello)
            if not verdict.accepted or (case.transaction is not None and case.transaction.memory.get(_STOPPED)):
                return verdict
        return self._go_through(Pass.SENDER, case, case.command)

    def _subject(self, case: Case) -> Verdict:
        subject = case.header.first("Subject") if case.header is not None else None
        if subject is None:
            return PASS
        return self._go_through(Pass.SUBJECT, case, *subject_texts(subject))

    def _go_through(self, stage: Pass, case: Case, *texts: str) -> Verdict:
        if max(map(len, texts)) > MAX_CHARACTERS:
            texts = tuple(text[:MAX_CHARACTERS] for text in texts)
        # Every line of every client comes here, and meets many filters, of which nearly all look for what is not there.
        together = "\n".join(texts)
        lowered = together.lower() if together.isascii() else ""
        for one in self._filters(stage):
            absent = lowered and one.needs not in lowered
            if not (one.negate if absent else one.triggers(*texts)):
                continue
            rule = f"filter.{stage.name.lower()}"
            if one.block and self._report is not None:
                self._report(case.visit.peer, rule, f"{one.place}: {one.expression}")
            if one.action in REFUSING:
                return Verdict(one.reply, rule, one.expression, _THEN[one.action], place=one.place)
            if one.action is not Action.LOG:
                if one.action is Action.STOP:
                    (case.transaction or case.visit).memory[_STOPPED] = True
                break
            self._log.info(
                "{place}: {text} (peer {peer}: {said})",
                place=one.place,
                text=one.text,
                peer=case.visit.peer,
                said=one_line(texts[0], MAX_LOGGED),
            )
        return PASS

    def _filters(self, stage: Pass) -> Sequence[Filter]:
        """The filters of a pass, as they are now."""
        lists = [source() for source in self._sources]
        # The lists are replaced as a whole when they change, never edited; which cost little to compare, being the same.
        if self._sorted_from != lists:
            self._by_pass = {each: [one for filters in lists for one in filters if one.stage is each] for each in Pass}
        # Those that were read again and are equal are the same from here on: to compare a thousand takes a millisecond.
        self._sorted_from = lists
        return self._by_pass[stage]


def subject_texts(subject: str) -> list[str]:
    """In which ways a subject can be read: as text and as the whole line; as people read it, and as it was coded."""
    subject = subject[:MAX_CHARACTERS]
    readings = dict.fromkeys((decoded(subject), subject))
    return [text for reading in readings for text in (reading, f"Subject: {reading}")]
