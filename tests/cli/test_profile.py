"""``hermes user profile``: how somebody reads mail."""

from __future__ import annotations

import json
from pathlib import Path

from hermes.core.reading_profile import ReadingProfile
from hermes.directory.sources.accounts_file import parse
from tests.support.command import CommandTestCase


class ProfileTests(CommandTestCase):
    """An account and its keys."""

    def setUp(self) -> None:
        """Anna and Ben have accounts."""
        super().setUp()
        self.config = self.site()
        self.file = Path(self.config).parent / "data" / "accounts.ini"
        for name in ("anna", "ben"):
            self.run_hermes("user", "add", "-c", self.config, name, "--password-file", "-", typed="a good password\n")

    def profile(self, *words: str, exit_code: int = 0) -> str:
        """What the command says."""
        return self.run_hermes("user", "profile", "-c", self.config, *words, exit_code=exit_code).output

    def reading(self) -> ReadingProfile:
        """What the server reads of Anna."""
        return parse("accounts.ini", self.file.read_text()).by_name["anna"].account.reading

    def test_shown(self) -> None:
        """Without options it says how things stand, and changes nothing."""
        before = self.file.read_text()
        said = self.profile("Anna")
        self.assertEqual(said.count("default"), 6)
        self.assertEqual(self.file.read_text(), before)

    def test_changed_and_taken_back(self) -> None:
        """What is set stands in the file, the rest stays; default takes it out again."""
        before = self.file.read_text()
        self.profile("anna", "--mark-read", "no", "--no-delete", "yes", "--expire", "30d")
        self.assertEqual(self.reading(), ReadingProfile(mark_read=False, no_delete=True, expire_seconds=30 * 86400))
        self.profile("anna", "--expire", "never")
        self.assertEqual(self.reading(), ReadingProfile(mark_read=False, no_delete=True, expire_seconds=0))
        self.assertIn("never", self.profile("anna"))
        self.profile("anna", "--mark-read", "default", "--no-delete", "default", "--expire", "default")
        self.assertEqual(self.file.read_text(), before)

    def test_logins(self) -> None:
        """Further names to log in by are replaced, and taken away; other changes leave them."""
        self.profile("anna", "--login", "a.smith", "--login", "as")
        self.profile("anna", "--show-status", "yes")
        found = json.loads(self.profile("anna", "--json"))
        self.assertEqual((found["logins"], found["show_status"], found["mark_read"]), (["a.smith", "as"], True, None))
        self.assertIn("none", self.profile("anna", "--no-logins"))

    def test_refused(self) -> None:
        """Names that are somebody's, ages that are none, accounts that are not there: nothing changes."""
        before = self.file.read_text()
        self.assertIn("ben logs in by it", self.profile("anna", "--login", "ben", exit_code=1))
        self.assertIn("lower case", self.profile("anna", "--login", "Anna.S", exit_code=1))
        self.assertIn("less than a day", self.profile("anna", "--expire", "3h", exit_code=1))
        self.assertIn("no account 'carl'", self.profile("carl", exit_code=1))
        self.assertIn("not both", self.profile("anna", "--login", "x", "--no-logins", exit_code=2))
        self.assertEqual(self.file.read_text(), before)
