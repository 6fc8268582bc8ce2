"""Addresses of ours that are no longer valid: whoever writes to one is told so, in words of its own (Mercury's MS_NLV.MER)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import attrs
from zope.interface import implementer

from hermes.core import address
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.interfaces import ICheck

#: Refusals in whose place the words are said: the address is gone, or its account is disabled. Others are about the client.
_INSTEAD_OF = ("relay.unknown_user", "relay.disabled")

RULE = "recipient.no_longer_valid"


@implementer(ICheck)
class NoLongerValid:
    """The check; ``moved`` gives the addresses as they are now."""

    name = "recipient"
    stages: Collection[Stage] = (Stage.RECIPIENT, Stage.REFUSED)
    momentary = False

    def __init__(self, moved: Callable[[], Mapping[str, tuple[Reply, str]]]) -> None:
        self._moved = moved

    def judge(self, case: Case) -> Verdict:
        """Refuse a recipient that is in the file, whether or not it still exists."""
        if case.recipient is None or (case.stage is Stage.REFUSED and case.verdict.rule not in _INSTEAD_OF):
            return PASS
        found = self._moved().get(address.key(case.recipient.address))
        if found is None:
            return PASS
        reply, place = found
        # How long the client waits for it, and what follows, is for other checks to say.
        return attrs.evolve(case.verdict, reply=reply, rule=RULE, reason="", place=place)
