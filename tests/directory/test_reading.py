"""How accounts say that they read otherwise, and by which further names they log in."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account
from hermes.core.reading_profile import ReadingProfile
from hermes.directory.accounts import DuplicateLoginError, Record, table_of
from hermes.directory.directory import Directory
from hermes.directory.sources import file_edit
from hermes.directory.sources.accounts_file import AccountsFileError, parse
from tests.support.accounts import MemorySource, passwords_with, quick_hash

KEYS = """\
[joe]
logins = joe.desk, desk
mark_read = no
show_read = no
show_status = yes
no_delete = yes
delete_is_final = no
expire = 30d

[ann]
expire = never
"""


class AccountsFileTests(SynchronousTestCase):
    """``accounts.ini``."""

    def test_keys(self) -> None:
        """Every key is read; what is not there is left to the settings."""
        table = parse("accounts.ini", KEYS)
        joe, ann = (table.by_name[name].account for name in ("joe", "ann"))
        self.assertEqual(joe.logins, ("joe.desk", "desk"))
        self.assertEqual(joe.reading, ReadingProfile(False, False, True, True, False, 30 * 86400))
        self.assertEqual(ann.reading, ReadingProfile(expire_seconds=0))
        self.assertEqual(table.expiries, {0, 30 * 86400})
        self.assertEqual(table.name_by_login, {"joe.desk": "joe", "desk": "joe"})

    def test_written(self) -> None:
        """What is written for a new account is read back as the same account."""
        table = parse("accounts.ini", KEYS)
        for record in table.by_name.values():
            text = file_edit.with_account("", record.account, "")
            self.assertEqual(parse("accounts.ini", text).by_name[record.account.name].account, record.account)

    def test_edited(self) -> None:
        """Some keys change; the others, comments and other accounts stay."""
        text = "[joe]\n# about joe\nlogins = a,\n  b\nname = Joe\n\n[ann]\n"
        changed = file_edit.with_keys("accounts.ini", text, "joe", {"logins": "c", "expire": "7d", "no_delete": ""})
        self.assertEqual(changed, "[joe]\n# about joe\nname = Joe\nlogins = c\nexpire = 7d\n\n[ann]\n")
        self.assertRaises(LookupError, file_edit.with_keys, "accounts.ini", text, "bob", {})

    def test_complaints(self) -> None:
        """What cannot be is told with its line."""
        for text, line, word in (
            ("[joe]\nexpire = 5h\n", 2, "less than a day"),
            ("[joe]\nexpire = soon\n", 2, "not a time"),
            ("[joe]\nmark_read = maybe\n", 2, "neither yes nor no"),
            ("[joe]\nlogins = Joe\n", 2, "lower case"),
            ("[joe]\n[ann]\nlogins = joe\n", 3, "joe logs in by it"),
            ("[ann]\nlogins = a\n\n[joe]\nlogins = b, a\n", 5, "ann logs in by it"),
        ):
            with self.subTest(text=text):
                error = self.assertRaises(AccountsFileError, parse, "accounts.ini", text)
                self.assertEqual(error.line, line)
                self.assertIn(word, str(error))

    def test_twice_at_one_account(self) -> None:
        """An account that lists a login twice, or its own name, harms nobody."""
        table = table_of([Record(Account("joe", (), logins=("joe", "a", "a")))])
        self.assertEqual(table.name_by_login, {"a": "joe"})

    def test_twice(self) -> None:
        """A login of two accounts is refused, whoever is first."""
        records = [Record(Account(name, (), logins=("desk",))) for name in ("joe", "ann")]
        self.assertEqual(self.assertRaises(DuplicateLoginError, table_of, records).name, "ann")


class LoginTests(SynchronousTestCase):
    """The directory."""

    def setUp(self) -> None:
        """Joe logs in by another name, too."""
        joe = Account("joe", (), logins=("joe.desk",), reading=ReadingProfile(expire_seconds=86400))
        record = Record(joe, quick_hash("secret"))
        self.directory = Directory(MemorySource(record), ["example.org"], "", passwords_with())

    def test_by_another_name(self) -> None:
        """The further name opens the account, in any case, with the account's password; it is no address."""
        for name, found in (("joe.desk", True), ("Joe.Desk", True), ("joe", True), ("joe.desk@example.org", False)):
            account = self.successResultOf(Deferred.fromCoroutine(self.directory.verify(name, "secret")))
            self.assertEqual(account is not None and account.name == "joe", found, name)
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.directory.verify("joe.desk", "wrong"))))

    def test_for_expiry(self) -> None:
        """It says which ages there are at which mail is removed."""
        self.assertEqual(self.directory.expiries(), {86400})

    def test_without_a_password(self) -> None:
        """An account without a password lets nobody in, not even with an empty one."""
        record = attrs.evolve(Record(Account("ann", ())), password_hash="")
        directory = Directory(MemorySource(record), ["example.org"], "", passwords_with())
        for password in ("", "x"):
            self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(directory.verify("ann", password))))
