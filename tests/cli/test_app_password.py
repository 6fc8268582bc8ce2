"""``hermes user app-password``, and what becomes of app passwords when an account does."""

from __future__ import annotations

import json
import tarfile

from hermes.core.app_password import MAX_OF_AN_ACCOUNT, digest_of, generate
from hermes.directory.app_password_file import AppPasswordFile
from tests.cli.test_user_life import AccountTestCase


class AppPasswordTests(AccountTestCase):
    """An account, Bob."""

    def app(self, command: str, *words: str, exit_code: int = 0) -> str:
        """What ``hermes user app-password`` prints."""
        words = ("user", "app-password", command, "-c", self.config, *words)
        return str(self.run_hermes(*words, exit_code=exit_code).output)

    def listed(self, *words: str) -> list[tuple[str, str]]:
        """Which there are."""
        found = self.run_json("user", "app-password", "list", "-c", self.config, *words)
        return [(each["account"], each["name"]) for each in found]

    def test_added(self) -> None:
        """It is printed once, and listed with what it is for."""
        printed = self.app("add", "Bob", "phone", "--scope", "pop3")
        self.assertRegex(printed, r"(?m)^password: [a-z]{4}(-[a-z]{4}){6}$")
        (found,) = self.run_json("user", "app-password", "list", "-c", self.config, "bob")
        self.assertEqual((found["account"], found["name"], found["services"]), ("bob", "phone", ["pop3"]))
        self.assertIsNone(found["used_at"])
        self.assertRegex(found["made_at"], r"\A\d{4}-\d\d-\d\dT")
        self.assertRegex(self.app("list"), r"bob +phone +pop3 +\d{4}-.* never")
        self.assertNotIn("password:", self.app("list"))

    def test_last_use(self) -> None:
        """The list says when, for what and from where."""
        self.app("add", "bob", "phone")
        path = str(self.data / "app-passwords.sqlite")
        file = AppPasswordFile(path)
        with file._opened() as connection:
            connection.execute("UPDATE app_passwords SET used_at = 0, used_from = '192.0.2.7', used_for = 'smtp'")
        self.assertRegex(self.app("list", "bob"), r"19(70|69)-.* smtp 192\.0\.2\.7")
        (found,) = self.run_json("user", "app-password", "list", "-c", self.config)
        self.assertEqual((found["used_at"][:4], found["used_from"]), ("1970", "192.0.2.7"))

    def test_none(self) -> None:
        """Where there are none, that is said."""
        self.assertIn("There are no app passwords", self.app("list"))
        self.assertEqual(self.listed(), [])
        self.assertIn("no app password 'phone'", self.app("remove", "bob", "phone", exit_code=1))
        self.assertIn("no app password", self.app("remove", "bob", "--all", exit_code=1))
        self.assertFalse((self.data / "app-passwords.sqlite").exists())

    def test_removed(self) -> None:
        """One, or all of an account."""
        for name in ("phone", "tablet", "desk"):
            self.app("add", "bob", name)
        self.assertIn("no app password phone any more", self.app("remove", "BOB", "phone"))
        self.assertEqual(self.listed(), [("bob", "desk"), ("bob", "tablet")])
        self.assertIn("no app passwords any more", self.app("remove", "bob", "--all"))
        self.assertEqual(self.listed(), [])

    def test_refused(self) -> None:
        """Unknown accounts and services, names that are taken, too many; what says neither a name nor all."""
        self.app("add", "bob", "phone")
        for words, said in (
            (("nobody", "phone"), "no account 'nobody'"),
            (("bob", "phone"), "already"),
            (("bob", "x", "--scope", "poppass"), "cannot be for 'poppass'"),
            (("bob", " "), "cannot name"),
        ):
            self.assertIn(said, self.app("add", *words, exit_code=1))
        self.app("remove", "bob", exit_code=2)
        self.app("remove", "bob", "phone", "--all", exit_code=2)
        file = AppPasswordFile(str(self.data / "app-passwords.sqlite"))
        for number in range(MAX_OF_AN_ACCOUNT - 1):
            file.add("bob", str(number), digest_of(generate()) or b"", (), 0.0)
        self.assertIn("remove those", self.app("add", "bob", "one more", exit_code=1))

    def test_damaged(self) -> None:
        """A file that cannot be used is named."""
        (self.data / "app-passwords.sqlite").write_bytes(b"no database at all, " * 100)
        for words in (("add", "bob", "phone"), ("list",), ("remove", "bob", "phone")):
            self.assertIn("app-passwords.sqlite", self.app(*words, exit_code=1))

    def test_with_the_account(self) -> None:
        """They are renamed with it, are in its export without what proves them, and go with it."""
        self.app("add", "bob", "phone")
        self.hermes("rename", "bob", "robert")
        self.assertEqual(self.listed(), [("robert", "phone")])
        archive = self.data.parent / "robert.tar.gz"
        self.hermes("export", "robert", str(archive))
        with tarfile.open(archive) as tar:
            described = json.loads((tar.extractfile("robert/account.json") or self.fail()).read())
        (found,) = described["app_passwords"]
        self.assertEqual((found["name"], found["services"]), ("phone", ["smtp", "pop3"]))
        self.assertNotIn("digest", found)
        self.hermes("erase", "robert", "--yes")
        self.assertEqual(self.listed(), [])

    def test_removed_with_the_account(self) -> None:
        """Whoever has the name later does not inherit them."""
        self.app("add", "bob", "phone")
        self.hermes("remove", "bob")
        self.assertEqual(self.listed(), [])

    def test_of_somebody_before(self) -> None:
        """A new account has none, also where somebody of a directory service was called so."""
        file = AppPasswordFile(str(self.data / "app-passwords.sqlite"))
        for account in ("ann", "eve"):
            file.add(account, "phone", digest_of(generate()) or b"", (), 0.0)
        self.run_hermes("user", "add", "-c", self.config, "ann", "--generate")
        table = self.data.parent / "people.csv"
        table.write_text("name\neve\n")
        self.hermes("import", str(table))
        self.assertEqual(self.listed(), [])
