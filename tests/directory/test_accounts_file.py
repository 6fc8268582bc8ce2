"""``accounts.ini``: what is read out of it, and every complaint with its line."""

from __future__ import annotations

import configparser

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account
from hermes.directory.sources.accounts_file import AccountsFileError, parse
from tests.support.accounts import quick_hash
from tests.support.scram import quick_keys

HASH = quick_hash("secret")

WHOLE = f"""\
# Who has a mailbox.

[joe]
password = {HASH}
addresses = joe@example.org, info@example.org
   sales@example.org
; a comment between keys
name = Joe  of the = Front # Desk
disabled = no
quota = 100M

[ann]
Disabled = Yes

[bob.b+x]
"""


class ParseTests(SynchronousTestCase):
    """:func:`parse`."""

    def refused(self, text: str) -> AccountsFileError:
        """Why the text cannot be used."""
        return self.assertRaises(AccountsFileError, parse, "accounts.ini", text)

    def test_whole_file(self) -> None:
        """Every key, comments, continued values and defaults."""
        table = parse("accounts.ini", WHOLE)
        addresses = ("joe@example.org", "info@example.org", "sales@example.org")
        self.assertEqual(
            [
                Account("joe", addresses, "Joe of the = Front # Desk", False, 100 * 1024**2),
                Account("ann", (), "", True, 0),
                Account("bob.b+x", (), "", False, 0),
            ],
            [record.account for record in table.by_name.values()],
        )
        self.assertEqual([HASH, "", ""], [record.password_hash for record in table.by_name.values()])

    def test_the_standard_reader_agrees(self) -> None:
        """What configparser reads without interpolation is what is read here."""
        standard = configparser.RawConfigParser(delimiters=("=",), default_section="")
        standard.read_string(WHOLE)
        table = parse("accounts.ini", WHOLE)
        self.assertEqual(standard.sections(), list(table.by_name))
        self.assertEqual(standard["joe"]["password"], table.by_name["joe"].password_hash)
        listed = standard["joe"]["addresses"].replace(",", " ").split()
        self.assertEqual(listed, list(table.by_name["joe"].account.addresses))

    def test_scram(self) -> None:
        """Keys for SCRAM are kept as they are written; what is none is refused with its line, and not repeated."""
        keys = str(quick_keys("secret"))
        table = parse("a", f"[joe]\npassword = {HASH}\nscram = {keys}\n[ann]\nscram =\n")
        self.assertEqual([keys, ""], [record.scram for record in table.by_name.values()])
        error = self.refused("[joe]\nscram = hunter2\n")
        self.assertEqual(2, error.line)
        self.assertNotIn("hunter2", str(error))

    def test_line_ends(self) -> None:
        """A file from Windows is the same file."""
        self.assertEqual(parse("a", WHOLE), parse("a", WHOLE.replace("\n", "\r\n")))

    def test_empty(self) -> None:
        """An empty file, or one of comments, has no accounts."""
        for text in ("", "\n\n", "# nobody\n"):
            self.assertEqual({}, dict(parse("accounts.ini", text).by_name))

    def test_complaints(self) -> None:
        """Each says file and line, and what is wrong there."""
        for text, line, words in (
            ("[joe\n", 1, "bracket"),
            ("[joe]\nnonsense\n", 2, "neither"),
            ("[joe]\n= x\n", 2, "neither"),
            ("name = x\n", 1, "above the first"),
            ("[joe]\n  more\n", 2, "nothing to continue"),
            ("  more\n", 1, "nothing to continue"),
            ("[joe]\nname = a\n\n  more\n", 4, "nothing to continue"),
            ("[joe]\nname = a\nname = b\n", 3, "line 2"),
            ("[joe]\n[ann]\n\n[joe]\n", 4, "line 1"),
            ("[Joe]\n", 1, "lower case"),
            ("[DEFAULT]\nname = x\n", 1, "lower case"),
            ("[../joe]\n", 1, "can not be an account"),
            ("[]\n", 1, "can not be an account"),
            ("[joe]\nadresses = joe@example.org\n", 2, "did you mean 'addresses'"),
            ("[joe]\nshoe size = 44\n", 2, "there are password"),
            ("[joe]\naddresses = joe\n", 2, "not an address"),
            ("[joe]\ndisabled = perhaps\n", 2, "neither yes nor no"),
            ("[joe]\nquota = much\n", 2, "size"),
            ("[joe]\naddresses = x@a.test\n\n[ann]\nname = Ann\naddresses = X@a.test\n", 6, "joe"),
        ):
            with self.subTest(text):
                error = self.refused(text)
                self.assertEqual(line, error.line)
                self.assertTrue(str(error).startswith(f"accounts.ini:{line}: "), str(error))
                self.assertIn(words, str(error))

    def test_a_password_in_the_clear(self) -> None:
        """A password that is no hash is refused, and is not repeated in the complaint, which goes to logs."""
        for value in ("hunter2", "$1$salt$hash", HASH[:-1] + "!", "{SHA}x", HASH.replace("argon2id", "argon3")):
            error = self.refused(f"[joe]\npassword = {value}\n")
            self.assertEqual(2, error.line)
            self.assertNotIn(value, str(error))

    def test_other_kinds_of_argon2(self) -> None:
        """Hashes of argon2i and argon2d, which other programs wrote, are accepted."""
        for kind in ("argon2i", "argon2d"):
            parse("accounts.ini", f"[joe]\npassword = {HASH.replace('argon2id', kind)}\n")

    def test_new_recipients(self) -> None:
        """A number of the account's own; 0 is no limit, and without it that of the settings holds."""
        for text, number in (("", None), ("new_recipients = 0", 0), ("new_recipients = 500", 500)):
            self.assertEqual(parse("a", f"[joe]\n{text}\n").by_name["joe"].account.new_recipients, number)
        for value in ("-1", "many", "1k", "\u0663", "9" * 10):
            error = self.assertRaises(AccountsFileError, parse, "a", f"[joe]\nnew_recipients = {value}\n")
            self.assertIn("a:2: ", str(error))

    def test_sealed_secret(self) -> None:
        """A secret for CRAM-MD5 is there in its sealed form, or the file is refused without repeating it."""
        error = self.assertRaises(AccountsFileError, parse, "a", "[joe]\ncram = swordfish\n")
        self.assertIn("a:2: ", str(error))
        self.assertNotIn("swordfish", str(error))
        sealed = "gAAAAA" + "x" * 94
        table = parse("a", f"[joe]\ncram = {sealed}\n")
        self.assertEqual((table.by_name["joe"].cram, table.has_cram), (sealed, True))
        self.assertFalse(parse("a", f"[joe]\ncram = {sealed}\ndisabled = yes\n").has_cram)
