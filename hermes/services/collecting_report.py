"""What a collector's session is told beforehand, and what it tells afterwards."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from hermes.services.uid_memory import UidMemory

#: What a person is told about single messages in one session.
MAX_REMARKS = 200


@attrs.frozen
class Limits:
    """``leave`` is the setting's word, ``leave_seconds`` its time; ``copies`` says whether copies are recognized."""

    max_octets: int
    max_messages: int
    leave: str
    leave_seconds: float
    copies: bool = False


@attrs.define
class Report:
    """
    What a session did, or would do; :meth:`as_json` is for the command line. ``problem`` says why it ended early, or is empty;
    ``refused`` that the server does not take our login; ``more`` that messages wait for the next session; ``pause_seconds`` is
    how long the server wants us to wait for it (RFC 2449 6.7).
    """

    listed: int = 0
    octets: int = 0
    taken: int = 0
    deleted: int = 0
    skipped: Counter[str] = attrs.field(factory=Counter)
    remarks: list[str] = attrs.field(factory=list)
    problem: str = ""
    refused: bool = False
    more: bool = False
    pause_seconds: int = 0

    def remark(self, text: str) -> None:
        """Say something about one message; what is too much is left out."""
        if len(self.remarks) < MAX_REMARKS:
            self.remarks.append(text)
        elif len(self.remarks) == MAX_REMARKS:
            self.remarks.append("(more is not shown)")

    def as_json(self) -> dict[str, Any]:
        """Values for JSON."""
        return attrs.asdict(self) | {"skipped": dict(self.skipped)}


@attrs.define
class Box:
    """
    The box as it is remembered: ``name`` is its key in the memory; ``trouble`` are unique ids on which sessions have ended,
    ``put_off`` has the rules by which messages could not be taken, by their unique ids.

    Where there are none, ``looked`` is how many messages have been looked at, so that not the same ones are every time.
    """

    name: str
    memory: UidMemory
    trouble: set[str] = attrs.field(factory=set)
    put_off: dict[str, str] = attrs.field(factory=dict)
    looked: int = 0
