"""
What the checks have found out about a client and a message: the store that later checks, the trace and the log read.

A finding is a fact, not a decision: what becomes of the message is for verdicts to say. Those of a session hold for all of its
messages; those of a message end with it.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

#: Findings of one session or one message. Checks are few, and no peer may fill the store by what it says.
MAX_FINDINGS = 100


@attrs.frozen
class Finding:
    """
    What one check found.

    ``name`` is the check's (``rdns``, ``dnsbl.spamhaus``, ``spf``); ``result`` a word of its own (``none``, ``listed``,
    ``pass``); ``detail`` is for people; ``score`` says how much it speaks against the message, in points that are added up.
    """

    name: str
    result: str
    detail: str = ""
    score: float = 0.0


class Findings:
    """The findings of a message, or of a session; ``before`` are those of the session that it came in."""

    __slots__ = ("_before", "_own")

    def __init__(self, before: Findings | None = None) -> None:
        self._before = before
        self._own: dict[str, Finding] | None = None

    def note(self, name: str, result: str, detail: str = "", score: float = 0.0) -> None:
        """Keep a finding; one of the same name is replaced."""
        if self._own is None:
            self._own = {}
        if name in self._own or len(self._own) < MAX_FINDINGS:
            self._own[name] = Finding(name, result, detail, score)

    def get(self, name: str) -> Finding | None:
        """The finding of that name; the message's own comes before the session's."""
        if self._own is not None and name in self._own:
            return self._own[name]
        return self._before.get(name) if self._before is not None else None

    def __iter__(self) -> Iterator[Finding]:
        own = self._own or {}
        if self._before is not None:
            yield from (finding for finding in self._before if finding.name not in own)
        yield from own.values()

    @property
    def score(self) -> float:
        """The sum of all scores."""
        return 0.0 if self._is_empty() else sum(finding.score for finding in self)

    def summary(self) -> str:
        """One line for log and trace: ``rdns=none dnsbl.example=listed``; empty when nothing was found."""
        if self._is_empty():
            return ""
        return " ".join(f"{finding.name}={finding.result}" for finding in self)

    def _is_empty(self) -> bool:
        return self._own is None and (self._before is None or self._before._is_empty())
