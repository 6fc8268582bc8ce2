"""How the lists in the DNS have answered: counters, and which of them is not worth asking at the moment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs
from twisted.logger import Logger

from hermes.core.metric import Counts, Family

#: A list that has been silent so often in a row is left alone for a while: each message would wait for it in vain.
SILENCES = 5
PAUSE_SECONDS = 60.0

#: That a list refuses to answer is told again after an hour: it is news for as long as nobody does anything about it.
WARNING_SECONDS = 3600.0


@attrs.define
class Record:
    """The counters of one list since the start: questions, and what came of them; ``refusal`` is the last such answer."""

    asked: int = 0
    listed: int = 0
    unanswered: int = 0
    refused: int = 0
    passed_over: int = 0
    #: Questions that were not asked for reasons of ours: a message had caused too many, or too many were waiting.
    not_asked: int = 0
    refusal: str = ""
    silent_in_row: int = 0
    paused_until: float = float("-inf")
    warned_at: float = float("-inf")


class Records:
    """
    The counters of all lists, by name; they outlive a reload. ``seconds`` tells the time.

    Those of a list that is new are told of once it is kept.
    """

    _log = Logger()

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._records: dict[tuple[str, str], Record] = {}
        #: Of settings that are not in force yet, and may never be.
        self._new: dict[tuple[str, str], Record] = {}

    def of(self, name: str, zone: str) -> Record:
        """The counters of one list; of another zone under the same name they are others."""
        key = name, zone
        return self._records.get(key) or self._new.setdefault(key, Record())

    def keep(self, lists: Collection[tuple[str, str]]) -> None:
        """These are configured now: forget all others."""
        known, self._new = self._records | self._new, {}
        self._records = {key: record for key, record in known.items() if key in lists}

    def may_ask(self, record: Record) -> bool:
        """False for a list that has been silent lately; one question a minute finds out whether it still is."""
        now = self._seconds()
        if now < record.paused_until:
            record.passed_over += 1
            return False
        if record.silent_in_row >= SILENCES:
            # Whatever else is asked while this one waits would wait as long.
            record.paused_until = now + PAUSE_SECONDS
        return True

    def silent(self, name: str, record: Record, reason: str, *, may_pause: bool) -> None:
        """A list has not answered; ``may_pause`` says that this was the list's fault, and no stranger's."""
        record.unanswered += 1
        if not may_pause:
            return
        record.silent_in_row += 1
        if record.silent_in_row >= SILENCES:
            record.paused_until = self._seconds() + PAUSE_SECONDS
            if record.silent_in_row == SILENCES:
                self._log.warn(
                    "The list [dnsbl:{name}] does not answer ({reason}): it is asked once a minute until it does",
                    name=name,
                    reason=reason,
                )

    def not_asked(self, record: Record) -> None:
        """A question was not asked, for reasons of ours: about a silent list it has found out nothing, and the next one may."""
        record.not_asked += 1
        if record.silent_in_row >= SILENCES:
            record.paused_until = float("-inf")

    def answered(self, record: Record) -> None:
        """A list has answered, whatever it said."""
        record.silent_in_row = 0
        record.paused_until = float("-inf")

    def refused(self, name: str, zone: str, record: Record, answer: str) -> None:
        """A list does not want to be asked by us: that is told, and blocks nobody."""
        record.refused += 1
        record.refusal = answer
        now = self._seconds()
        if now - record.warned_at >= WARNING_SECONDS:
            record.warned_at = now
            self._log.warn(
                "The list [dnsbl:{name}] cannot be used: {zone} answers {answer}, which means {meaning}",
                name=name,
                zone=zone,
                answer=answer,
                meaning=meaning_of_refusal(answer),
            )

    def family(self) -> Family:
        """What came of the questions, by list."""
        counts = Counts("list", "result")
        for (name, _), record in self._records.items():
            clear = record.asked - record.listed - record.unanswered - record.refused
            for result, number in (
                ("clear", clear),
                ("listed", record.listed),
                ("unanswered", record.unanswered),
                ("refused", record.refused),
                ("passed_over", record.passed_over),
                ("not_asked", record.not_asked),
            ):
                counts.add((name, result), number)
        return counts.family(
            "hermes_dnsbl_questions_total", "Questions about messages to lists in the DNS, by their end."
        )

    def describe(self) -> dict[str, dict[str, Any]]:
        """The counters of each list, as numbers: those of several processes can be added."""
        return {
            name: {
                "asked": record.asked,
                "listed": record.listed,
                "unanswered": record.unanswered,
                "refused": record.refused,
                "passed_over": record.passed_over,
                "not_asked": record.not_asked,
                "refusal": record.refusal or None,
            }
            for (name, _), record in self._records.items()
        }


def line_of(counters: Mapping[str, Any]) -> str:
    """What :meth:`Records.describe` says of a list, in one line."""
    always = ", ".join(f"{word} {counters[word]}" for word in ("asked", "listed", "unanswered", "refused"))
    refusal, passed_over, not_asked = counters["refusal"], counters["passed_over"], counters["not_asked"]
    return (
        always
        + (f" ({refusal}: {meaning_of_refusal(refusal)})" if refusal else "")
        + (f", passed over {passed_over}" if passed_over else "")
        + (f", not asked {not_asked}" if not_asked else "")
    )


#: What Spamhaus says with its answers in 127.255.255.0/24.
_MEANINGS = {
    "127.255.255.252": "that the zone is written wrong",
    "127.255.255.254": "that it is not told to public resolvers: let [dns] nameservers name one of your own",
    "127.255.255.255": "that it has been asked too often: it wants a subscription",
}


def meaning_of_refusal(answer: str) -> str:
    """What an answer that is no listing says, for the administrator."""
    if answer in _MEANINGS:
        return _MEANINGS[answer]
    if answer.startswith("127."):
        return "that you may not ask: let [dns] nameservers name a resolver of your own, or subscribe"
    return "that it is not the list that answers: its domain is gone, or the resolver makes up addresses"
