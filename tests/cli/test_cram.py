"""``hermes user cram``: a secret for those who can do no better."""

from __future__ import annotations

import stat
from pathlib import Path

from hermes.app.secret import kept_secret
from hermes.directory.recoverable import RecoverableSecrets
from hermes.directory.sources.accounts_file import parse
from tests.support.command import CommandTestCase


class CramTests(CommandTestCase):
    """An account, and its secret."""

    def setUp(self) -> None:
        """Anna has a password."""
        super().setUp()
        self.config = self.site()
        self.data = Path(self.config).parent / "data"
        self.run_hermes("user", "add", "-c", self.config, "anna", "--password-file", "-", typed="password of anna\n")

    def cram(self, *words: str, exit_code: int = 0, typed: str = "") -> str:
        """What the command says."""
        return self.run_hermes("user", "cram", "-c", self.config, *words, exit_code=exit_code, typed=typed).output

    def secret(self) -> bytes | None:
        """What the server would read."""
        text = (self.data / "accounts.ini").read_text()
        sealed = parse("accounts.ini", text).by_name["anna"].cram
        return RecoverableSecrets(kept_secret(str(self.data / "recoverable.key"))).open("anna", sealed)

    def test_generated(self) -> None:
        """A secret is made and printed once, and stands in no file as it is; the key is the server's alone."""
        said = self.cram("Anna", "on")
        secret = next(line.removeprefix("secret: ") for line in said.splitlines() if line.startswith("secret: "))
        self.assertEqual(self.secret(), secret.encode())
        for path in self.data.rglob("*"):
            if path.is_file():
                self.assertNotIn(secret.encode(), path.read_bytes())
        self.assertEqual(stat.S_IMODE((self.data / "recoverable.key").stat().st_mode), 0o600)
        self.assertIn("a secret", self.cram("anna"))

    def test_given_and_taken_away(self) -> None:
        """A secret from a file replaces one; off removes it; everything else in the file stays."""
        before = (self.data / "accounts.ini").read_text()
        self.cram("anna", "on")
        self.assertNotIn("tanstaaf", self.cram("anna", "on", "--password-file", "-", typed="tanstaaf\n"))
        self.assertEqual(self.secret(), b"tanstaaf")
        self.cram("anna", "off")
        self.assertEqual((self.data / "accounts.ini").read_text(), before)
        self.assertIn("no secret", self.cram("anna"))
        self.cram("anna", "off")

    def test_kept_with_another_password(self) -> None:
        """The secret is not the password's, and stays when that changes."""
        self.cram("anna", "on", "--password-file", "-", typed="tanstaaf\n")
        self.run_hermes("user", "password", "-c", self.config, "anna", "--generate")
        self.assertEqual(self.secret(), b"tanstaaf")

    def test_not_the_password(self) -> None:
        """The account's own password cannot be it."""
        said = self.cram("anna", "on", "--password-file", "-", typed="password of anna\n", exit_code=1)
        self.assertIn("must be another one", said)
        self.assertIsNone(self.secret())

    def test_usage(self) -> None:
        """An unknown account, a word that is neither, and a file for nothing."""
        for words, exit_code in (
            (("bob",), 1),
            (("bob", "on"), 1),
            (("bob", "off"), 1),
            (("anna", "maybe"), 2),
            (("anna", "off", "--password-file", "-"), 2),
        ):
            self.cram(*words, exit_code=exit_code)
