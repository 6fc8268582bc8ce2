"""Which smart host takes a message: by its sender, its recipient and the account that sent it."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from hermes.core.address_pattern import any_matches


@attrs.frozen
class SmarthostRule:
    """
    For whom a smart host is; of an empty list nothing is asked.

    ``senders`` and ``recipients`` hold patterns (:mod:`hermes.core.address_pattern`), ``accounts`` login names.
    """

    name: str
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()

    def takes(self, recipient: str, sender: str, account: str) -> bool:
        """Whether all that is asked for holds."""
        return (
            any_matches(self.senders, sender)
            and any_matches(self.recipients, recipient)
            and (not self.accounts or account.lower() in map(str.lower, self.accounts))
        )


def choose(rules: Sequence[SmarthostRule], recipient: str, sender: str, account: str) -> str:
    """The name of the first that takes the message; empty when none does."""
    for rule in rules:
        if rule.takes(recipient, sender, account):
            return rule.name
    return ""
