"""Tests of ``hermes user``."""

from __future__ import annotations

import stat
from pathlib import Path
from unittest import mock

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from hermes.cli.password import generate, obtain
from hermes.protocols.scram_keys import derive, parse
from tests.support.command import CommandTestCase


class UserTests(CommandTestCase):
    """Accounts by the command line."""

    def accounts(self, config: str) -> str:
        """The accounts file."""
        return (Path(config).parent / "data" / "accounts.ini").read_text()

    def assert_password(self, config: str, secret: str) -> None:
        """The only account in the file has this password."""
        (hashed,) = [line.split(" = ")[1] for line in self.accounts(config).splitlines() if line.startswith("password")]
        try:
            PasswordHasher().verify(hashed, secret)
        except VerifyMismatchError:
            self.fail(f"the password is not {secret!r}")

    def test_add(self) -> None:
        """An account is added with the password of standard input's first line; the file is the owner's alone."""
        config = self.site()
        result = self.run_hermes("user", "add", "-c", config, "Bob", "--password-file", "-", typed="pä ss\n")
        self.assertEqual(result.stdout, "bob has a mailbox: bob@example.org\n")
        self.assert_password(config, "pä ss")
        self.assertNotIn("pä ss", self.accounts(config))
        mode = stat.S_IMODE((Path(config).parent / "data" / "accounts.ini").stat().st_mode)
        self.assertEqual(mode, 0o600)

    def test_scram(self) -> None:
        """Keys for SCRAM are kept where the settings want them, and go with the password in any case."""
        for choice, kept in (("no", False), ("prepare", True), ("yes", True)):
            config = self.site(f"[accounts]\nscram = {choice}\n")
            self.run_hermes("user", "add", "-c", config, "bob", "--generate")
            before = self.accounts(config)
            self.assertEqual("\nscram = SCRAM-SHA-256$" in before, kept, choice)
            self.run_hermes("user", "password", "-c", config, "bob", "--password-file", "-", typed="other\n")
            after = self.accounts(config)
            self.assertEqual(len(after.splitlines()), len(before.splitlines()))
            self.assertFalse(set(after.splitlines()[1:]) & set(before.splitlines()[1:]))
            self.assert_password(config, "other")
        scram = next(line for line in after.splitlines() if line.startswith("scram"))
        keys = parse(scram.partition(" = ")[2])
        self.assertEqual(keys, derive(b"other", keys.salt, keys.iterations))
        Path(config).write_text(Path(config).read_text().replace("scram = yes", "scram = no"))
        self.run_hermes("user", "password", "-c", config, "bob", "--generate")
        self.assertNotIn("scram", self.accounts(config))

    def test_add_before_the_first_start(self) -> None:
        """The data directory is made when it is missing."""
        config = self.site()
        (Path(config).parent / "data").rmdir()
        self.run_hermes("user", "add", "-c", config, "bob", "--generate")
        self.assertEqual(stat.S_IMODE((Path(config).parent / "data").stat().st_mode), 0o700)

    def test_add_in_full(self) -> None:
        """Addresses, name and quota are kept, and listed."""
        config = self.site()
        words = (
            "--address",
            "bob@example.org",
            "--address",
            "info@example.org",
            "--full-name",
            "Bob B.",
            "--quota",
            "1G",
        )
        self.run_hermes("user", "add", "-c", config, "bob", *words, "--password-file", "-", typed="secret")
        self.assertEqual(
            self.run_json("user", "list", "-c", config),
            [
                {
                    "name": "bob",
                    "addresses": ["bob@example.org", "info@example.org"],
                    "full_name": "Bob B.",
                    "disabled": False,
                    "quota_octets": 1024**3,
                    "forward": [],
                    "deliver_also": False,
                }
            ],
        )
        output = self.run_hermes("user", "list", "-c", config).stdout
        self.assertEqual(output.splitlines()[1], "bob   bob@example.org, info@example.org  Bob B.            1G")

    def test_list_of_none(self) -> None:
        """Without accounts the list is empty."""
        config = self.site()
        self.assertEqual(self.run_hermes("user", "list", "-c", config).stdout, "There are no accounts.\n")
        self.assertEqual(self.run_json("user", "list", "-c", config), [])

    def test_generate(self) -> None:
        """A generated password is printed once and is the account's."""
        config = self.site()
        output = self.run_hermes("user", "add", "-c", config, "bob", "--generate").stdout
        self.assert_password(config, output.splitlines()[1].removeprefix("password: "))
        output = self.run_hermes("user", "password", "-c", config, "bob", "--generate").stdout
        self.assert_password(config, output.splitlines()[1].removeprefix("password: "))
        self.assertEqual(len({generate() for _ in range(100)}), 100)

    def test_password(self) -> None:
        """A password is changed, from a file."""
        config = self.site()
        self.run_hermes("user", "add", "-c", config, "bob", "--generate")
        file = Path(config).parent / "secret"
        file.write_bytes(b"new word\r\n")
        result = self.run_hermes("user", "password", "-c", config, "BOB", "--password-file", str(file))
        self.assertEqual(result.stdout, "bob has a new password\n")
        self.assert_password(config, "new word")

    def test_passwords_that_are_none(self) -> None:
        """Nothing, more than a line, no text, or a missing file is not a password; for length see test_password_limit."""
        config = self.site()
        add = ("user", "add", "-c", config, "bob", "--password-file")
        for typed, why in (
            (b"", "empty"),
            (b"\n", "empty"),
            (b"a\nb\n", "one line"),
            (b"a\0b", "control"),
            (b"\xff", "UTF-8"),
        ):
            self.assertIn(why, self.run_hermes(*add, "-", typed=typed, exit_code=1).stderr)
        self.assertIn("No such file", self.run_hermes(*add, "/nonexistent/file", exit_code=1).stderr)

    def test_no_terminal(self) -> None:
        """Without a terminal and without a file there is nobody to ask: the usage is wrong."""
        config = self.site()
        result = self.run_hermes("user", "add", "-c", config, "bob", exit_code=2)
        self.assertIn("--password-file", result.stderr)
        self.run_hermes("user", "add", "-c", config, "bob", "--generate", "--password-file", "-", exit_code=2)

    def test_terminal(self) -> None:
        """On a terminal the password is asked for twice, without being shown."""
        terminal = mock.Mock(isatty=lambda: True)
        with mock.patch("sys.stdin", terminal), mock.patch("click.prompt", return_value="typed") as prompt:
            self.assertEqual(obtain("bob", None), "typed")
        prompt.assert_called_once_with("Password for bob", hide_input=True, confirmation_prompt=True)

    def test_remove(self) -> None:
        """A removed account is gone; its mail stays and is named."""
        config = self.site()
        self.run_hermes("user", "add", "-c", config, "bob", "--generate")
        mail = Path(config).parent / "data" / "mail" / "bob"
        mail.mkdir(parents=True)
        result = self.run_hermes("user", "remove", "-c", config, "Bob")
        self.assertIn(str(mail), result.stderr)
        self.assertEqual(self.run_json("user", "list", "-c", config), [])
        self.assertTrue(mail.exists())

    def test_refused(self) -> None:
        """Names that cannot be, exist already or do not exist are told in one line."""
        config = self.site()
        self.run_hermes("user", "add", "-c", config, "bob", "--generate")
        for words in (
            ("add", "bob", "--generate"),
            ("add", "../x", "--generate"),
            ("add", "eve", "--generate", "--address", "bob"),
            ("add", "eve", "--generate", "--quota", "much"),
            ("remove", "eve"),
            ("password", "eve", "--generate"),
        ):
            result = self.run_hermes("user", words[0], "-c", config, *words[1:], exit_code=1)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertEqual(len(self.run_json("user", "list", "-c", config)), 1)

    def test_broken_file(self) -> None:
        """An accounts file that cannot be used is told with its line and left alone."""
        config = self.site()
        file = Path(config).parent / "data" / "accounts.ini"
        file.write_text("[bob]\nwhat\n")
        for words in (("list",), ("add", "eve", "--generate"), ("remove", "bob")):
            result = self.run_hermes("user", words[0], "-c", config, *words[1:], exit_code=1)
            self.assertIn(f"{file}:2:", result.stderr)
        self.assertEqual(file.read_text(), "[bob]\nwhat\n")
