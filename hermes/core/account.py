"""Accounts and what the directory says about an address."""

from __future__ import annotations

import attrs

from hermes.core.reading_profile import ReadingProfile


@attrs.frozen
class Account:
    """
    Somebody with a mailbox.

    ``name`` is the login name, in lower case; ``addresses`` are all addresses that reach the mailbox, the first being the one
    to write from; ``quota_octets`` is 0 when the default of the mailboxes holds. What comes for the mailbox goes to the
    addresses in ``forward``, if there are any, and into the mailbox as well where ``deliver_also`` says so. ``new_recipients``
    is how many people it may write to in a day for the first time: 0 is no limit, None that of the settings. ``logins`` are
    further names to log in by; ``reading`` is what is different in reading its mailbox.
    """

    name: str
    addresses: tuple[str, ...]
    full_name: str = ""
    disabled: bool = False
    quota_octets: int = 0
    forward: tuple[str, ...] = ()
    deliver_also: bool = False
    new_recipients: int | None = None
    logins: tuple[str, ...] = ()
    reading: ReadingProfile = attrs.field(factory=ReadingProfile)

    @property
    def keeps_mail(self) -> bool:
        """True when mail for the account is put into its mailbox."""
        return self.deliver_also or not self.forward


@attrs.frozen
class Local:
    """The address is a mailbox here."""

    account: Account


@attrs.frozen
class Remote:
    """The address belongs to another server; ``domain`` in lower case."""

    domain: str


@attrs.frozen
class Unknown:
    """The domain is ours, the address does not exist (or is disabled: then ``disabled`` is true)."""

    address: str
    disabled: bool = False


@attrs.frozen
class Redirected:
    """
    The address is ours, and leads to several others, to another server, or to something that is no mailbox.

    ``problem`` says why it leads nowhere (a loop), or is empty.
    """

    address: str
    problem: str = ""


Resolution = Local | Remote | Unknown | Redirected
