"""A password of more octets than POP3 can carry is refused, whichever command sets it: its owner would be locked out."""

from __future__ import annotations

from pathlib import Path

from argon2 import PasswordHasher

from hermes.config.loader import load
from hermes.directory.sources.accounts_file import parse
from tests.support.command import CommandTestCase

#: PASS has 255 octets with the space and CRLF (RFC 2449 4).
AT_MOST = 255 - len(b"PASS \r\n")

#: Just below, at, and above the limit, as octets; and above it with fewer characters than octets.
FITTING = ("x" * (AT_MOST - 1), "x" * AT_MOST, "é" * (AT_MOST // 2))
TOO_LONG = ("x" * (AT_MOST + 1), "é" * (AT_MOST // 2) + "x", "x" * 2000)


class PasswordLimitTests(CommandTestCase):
    """``user add``, ``user password``, ``user import`` and ``init``."""

    def setUp(self) -> None:
        """Bob has a password."""
        self.config = self.site()
        self.accounts = Path(self.config).parent / "data" / "accounts.ini"
        self.hermes("add", "bob", "--password-file", "-", typed="secret\n")

    def hermes(self, command: str, *words: str, exit_code: int = 0, typed: str = "") -> str:
        """What ``hermes user`` prints."""
        ran = self.run_hermes("user", command, "-c", self.config, *words, exit_code=exit_code, typed=typed)
        return str(ran.output)

    def opens(self, name: str, password: str) -> bool:
        """Whether that is the password of an account."""
        record = parse("accounts.ini", self.accounts.read_text()).by_name[name]
        return bool(PasswordHasher().verify(record.password_hash, password))

    def test_fitting(self) -> None:
        """As many octets as fit are taken."""
        for number, password in enumerate(FITTING):
            self.hermes("add", f"ann{number}", "--password-file", "-", typed=f"{password}\r\n")
            self.assertTrue(self.opens(f"ann{number}", password))
        self.hermes("password", "bob", "--password-file", "-", typed=FITTING[1])
        self.assertTrue(self.opens("bob", FITTING[1]))

    def test_too_long(self) -> None:
        """One more is refused with the limit and the reason in one line, and nothing is changed."""
        before = self.accounts.read_text()
        for command, name in (("add", "ann"), ("password", "bob")):
            for password in TOO_LONG:
                said = self.hermes(command, name, "--password-file", "-", typed=f"{password}\n", exit_code=1)
                self.assertIn(f"more than {AT_MOST} octets, which mail programs cannot send", said)
                self.assertEqual(len(said.splitlines()), 1, said)
        self.assertEqual(self.accounts.read_text(), before)

    def test_import(self) -> None:
        """A table with one is refused with its line, before anything is added; so is one that could not be typed."""
        before = self.accounts.read_text()
        path = Path(self.config).parent / "people.csv"
        path.write_text(f'name,password\nann,{"x" * AT_MOST}\ncarl,{TOO_LONG[0]}\ndora,"two\nlines"\n')
        said = self.hermes("import", str(path), exit_code=1)
        self.assertIn(f"{path}:3: the password has more than {AT_MOST} octets", said)
        self.assertRegex(said, f"{path}:5: the password .*control")
        self.assertNotIn("xxx", said)
        self.assertEqual(self.accounts.read_text(), before)
        path.write_text(f"name,password\nann,{FITTING[1]}\n")
        self.hermes("import", str(path))
        self.assertTrue(self.opens("ann", FITTING[1]))

    def test_init(self) -> None:
        """A site is not begun with one."""
        top = Path(self.config).parent / "new"
        words = ("init", str(top), "--domain", "example.org", "--user", "ann", "--password-file", "-")
        ran = self.run_hermes(*words, typed=TOO_LONG[0], exit_code=1)
        self.assertIn(f"more than {AT_MOST} octets", ran.output)
        self.assertFalse(top.exists())
        self.run_hermes(*words, typed=FITTING[1])

    def test_never_typed(self) -> None:
        """What SASLprep forbids (RFC 4013 2.3) is refused before anything is made, too."""
        top = Path(self.config).parent / "new"
        words = ("init", str(top), "--domain", "example.org", "--user", "ann", "--password-file", "-")
        self.assertIn("cannot be typed or seen", self.run_hermes(*words, typed="abc\ue000", exit_code=1).output)
        self.assertFalse(top.exists())

    def test_not_of_people(self) -> None:
        """Secrets that no mail program sends in the clear have another limit, 1024: for another server, and for CRAM-MD5."""
        for length, exit_code in ((AT_MOST + 1, 0), (1024, 0), (1025, 1)):
            said = self.hermes(
                "cram", "bob", "on", "--password-file", "-", typed="x" * length + "\r\n", exit_code=exit_code
            )
            self.assertEqual("more than 1024 octets" in said, bool(exit_code), said)
        words = ("smarthost.host", "relay.test", "smarthost.username", "u", "smarthost.password", "-")
        self.run_hermes("config", "set", "-c", self.config, *words, typed=TOO_LONG[0])
        self.assertEqual(load(self.config).smarthost.password, TOO_LONG[0])
