"""Accounts and what the directory says about an address."""

from __future__ import annotations

import attrs


@attrs.frozen
class Account:
    """
    Somebody with a mailbox.

    ``name`` is the login name, in lower case; ``addresses`` are all addresses that reach the mailbox, the first being the one
    to write from; ``quota_octets`` is 0 when the default of the mailboxes holds.
    """

    name: str
    addresses: tuple[str, ...]
    full_name: str = ""
    disabled: bool = False
    quota_octets: int = 0


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


Resolution = Local | Remote | Unknown
