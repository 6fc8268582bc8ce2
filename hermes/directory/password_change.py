"""
Changing a password: the one way behind the password server, and whatever else lets people choose one.

An administrator may set any password that can be said (``hermes user password``); what people choose themselves must satisfy
the rule.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from zope.interface import implementer

from hermes.core.account import Account
from hermes.directory.directory import AccountSource
from hermes.directory.passwords import Passwords, encode_new_password
from hermes.directory.sources.several import named
from hermes.interfaces import IPasswordChange

_MEANWHILE = "The password was changed by somebody else just now"


@attrs.frozen
class PasswordRule:
    """What a new password must have: so many characters, so many of them different, and nothing of the account's name."""

    min_length: int
    min_different: int

    def problem(self, account_name: str, old: str, new: str) -> str:
        """What is wrong with a new password, in words for the person who chose it; empty when it will do."""
        if len(new) < self.min_length:
            return f"The new password needs at least {self.min_length} characters"
        try:
            encode_new_password(new)
        except ValueError as error:
            return f"The new password cannot be taken: {error}"
        if new == old:
            return "The new password is the old one"
        if len(set(new)) < self.min_different:
            return f"The new password needs at least {self.min_different} different characters"
        if len(account_name) > 2 and account_name.lower() in new.lower():
            return "The new password must not have the name of the account in it"
        return ""


@implementer(IPasswordChange)
class PasswordChange:
    """
    Changes passwords in a source; with ``makes_scram`` keys for SCRAM are made with them.

    ``changed`` is called when one has been changed that is kept here.
    """

    def __init__(
        self,
        source: AccountSource,
        passwords: Passwords,
        rule: PasswordRule,
        *,
        makes_scram: bool = False,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._passwords = passwords
        self._rule = rule
        self._makes_scram = makes_scram
        self._changed = changed

    async def change(self, account: Account, old: str, new: str) -> str:
        """Set a new password for somebody who has proved the old one; a text for that person when it will not do."""
        problem = self._rule.problem(account.name, old, new)
        if problem:
            return problem
        record = await named(self._source, account.name)
        if record is None or record.account.disabled:
            return "The password cannot be changed"
        if record.keeper is not None:
            return await record.keeper.change(record, old, new)
        # Somebody may have changed it since it was proved, and whoever knows the old one alone must not take that back.
        if not (await self._passwords.verify(account.name, record.password_hash, old)).matches:
            return _MEANWHILE
        made = await self._passwords.make(new, scram=self._makes_scram)
        changed = await self._source.change_password(
            account.name, made.password_hash, instead_of=record.password_hash, scram=made.scram
        )
        if not changed:
            return _MEANWHILE
        self._changed()
        return ""
