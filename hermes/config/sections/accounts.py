"""Accounts that are kept here, and what holds for all accounts."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class AccountsSettings:
    """Where accounts are kept, what is kept of people's passwords, how they can log in, and how much they can do then."""

    sources: tuple[str, ...] = setting(
        "words",
        ("file",),
        "Where accounts are kept here, in the order in which they are asked: file, which is accounts.ini, and sqlite. New ones "
        "go to the first; directory services, [ldap:NAME], are asked after them.",
        fixed=True,
    )
    database: str = setting(
        "path", "accounts.sqlite", "The SQLite database of accounts, where it is one of them.", fixed=True
    )
    scram: str = setting(
        "choice",
        "no",
        "Whether SCRAM-SHA-256 keys of passwords are kept and logins by them are offered; prepare keeps them, and offers nothing "
        "yet: they are made when a password is set, and at logins by PLAIN and LOGIN.",
        choices=("no", "prepare", "yes"),
    )
    new_recipients: int = setting(
        "number",
        200,
        "How many addresses at other servers an account may write to in a day for the first time in 90 days; an account may have "
        "a number of its own. 0: no limit.",
    )
