"""The seams of the directory: who is who, how a password is proved and changed, what an address stands for."""

from __future__ import annotations

from zope.interface import Interface

from hermes.core.account import Account, Resolution
from hermes.core.expansion import Expansion
from hermes.core.message import Content
from hermes.core.rule_set import Ran
from hermes.protocols.scram_keys import ScramKeys


class IDirectory(Interface):
    """Who is who. What it cannot tell now, because a directory service does not answer, raises UnavailableError."""

    async def resolve(address: str) -> Resolution:
        """Say what an address is: a mailbox here, somebody else's, unknown, or one that stands for others (IExpander)."""

    async def account(name: str) -> Account | None:
        """The account of that login name, in any case; None when there is none."""

    async def login(name: str) -> Account | None:
        """Who logs in by that name, a further one, or an address; None when nobody does. It may be disabled."""

    async def verify(name: str, password: str) -> Account | None:
        """
        The account when the password is right and it is not disabled, else None; the answer takes as long for names that
        do not exist. Raises TooBusyError when too many wait already (answer 454, RFC 4954 6).
        """

    async def pretend(password: str) -> None:
        """Take as long as :meth:`verify` does for a wrong password."""


class IPasswordChange(Interface):
    """How people change their own passwords."""

    async def change(account: Account, old: str, new: str) -> str:
        """
        Set a new password for somebody who has proved the old one; empty when that was done, else why not, for that person.

        Raises TooBusyError when too many wait already.
        """


class IExpander(Interface):
    """Follows aliases, groups and forwards."""

    async def expand(address: str) -> Expansion:
        """Where an address leads, to all its ends; one that stands for itself has itself at its end."""


class IRuleSets(Interface):
    """Goes through the sets of rules that addresses stand for (``FILTER:``)."""

    async def run(path: str, content: Content) -> Ran:
        """What the set in that file, as it is now, does with a message; with a problem where that cannot be told."""


class IScramKeys(Interface):
    """Where the keys are that SCRAM proves passwords with."""

    async def scram_keys(name: str) -> tuple[ScramKeys, str]:
        """
        The keys for that login name, or address, and the name of the account.

        For a name without keys, with or without an account, and for one that may not log in: keys that nothing proves, always
        with the same salt, and an empty name.
        """
