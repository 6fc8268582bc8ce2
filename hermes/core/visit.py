"""A session as policy sees it: who the client is, how it came, and what has been found out about it."""

from __future__ import annotations

import attrs

from hermes.core.access_entry import AccessEntry
from hermes.core.account import Account
from hermes.core.dns_answer import Budget
from hermes.core.findings import Findings


@attrs.define
class Visit:
    """
    One client's session.

    ``peer`` is its address, ``via`` the front end that told it or empty; ``listener`` the way in, ``submission`` true where a
    login is demanded; ``entry`` is what connection control says about the peer. ``hello`` is the name that it gave, ``tls`` the
    protocol and cipher, ``account`` who has logged in; ``relays`` says by which rule the peer may relay without that, or is
    empty. ``errors`` counts the refusals since the last message that was accepted. ``counts`` and ``memory`` are for the
    checks: how often something has happened, and what they have to remember, by names of their own. ``budget`` is what may be
    asked of the DNS before there is a message.
    """

    peer: str
    listener: str = ""
    submission: bool = False
    via: str = ""
    entry: AccessEntry | None = None
    hello: str = ""
    tls: str | None = None
    account: Account | None = None
    relays: str = ""
    errors: int = 0
    findings: Findings = attrs.field(factory=Findings)
    counts: dict[str, int] = attrs.field(factory=dict)
    memory: dict[str, object] = attrs.field(factory=dict)
    budget: Budget = attrs.field(factory=Budget)

    @property
    def trusted(self) -> bool:
        """True for clients of ours: an account that has logged in, or a peer that may relay. Most checks are for strangers."""
        return self.account is not None or bool(self.relays)

    def count(self, name: str) -> int:
        """Count something; how often it has happened now."""
        number = self.counts[name] = self.counts.get(name, 0) + 1
        return number


@attrs.define
class Measures:
    """
    What is to be done with an accepted message beside delivering it.

    ``headers`` are lines that go in front of it, complete with their names, and without line ends; ``redirect`` is an address
    that gets it instead of all recipients; ``discard`` the rule by which nobody gets it, although the client is told 250.
    """

    headers: list[str] = attrs.field(factory=list)
    redirect: str = ""
    redirect_rule: str = ""
    discard: str = ""
