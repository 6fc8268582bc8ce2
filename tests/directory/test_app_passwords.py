"""App passwords: the file, logging in by them, and what it costs."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import attrs
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.core.app_password import MAX_OF_AN_ACCOUNT, digest_of, generate
from hermes.directory import app_password_file
from hermes.directory.accounts import Record
from hermes.directory.app_password_file import REMOVED_SECONDS, AppPasswordFile, Opened
from hermes.directory.app_passwords import MAX_NOTED, NOTE_SECONDS, AppPasswords
from hermes.directory.cred import AccountChecker
from hermes.directory.directory import Directory
from hermes.interfaces import IDirectory, IPasswordShown, UnavailableError
from hermes.services.login_credentials import PasswordShown
from tests.support.accounts import MemorySource, passwords_with, record
from tests.support.asked_source import AskedSource
from tests.support.error_log import ErrorLog
from tests.support.maildirs import clock_at
from tests.support.worker import ImmediateWorker


class AppPasswordTestCase(SynchronousTestCase):
    """A file in a directory of its own."""

    def setUp(self) -> None:
        """There is none yet."""
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "app-passwords.sqlite")
        self.file = AppPasswordFile(self.path)

    def add(self, account: str = "joe", name: str = "phone", *services: str, secret: str = "") -> str:
        """Make one; what it is."""
        secret = secret or generate()
        digest = digest_of(secret)
        assert digest is not None
        self.file.add(account, name, digest, services, 1000.0)
        return secret

    def names(self, account: str | None = None) -> list[tuple[str, str]]:
        """Which there are."""
        return [(each.account, each.name) for each in self.file.list(account)]


class AppPasswordFileTests(AppPasswordTestCase):
    """:class:`AppPasswordFile`."""

    def test_before_there_is_one(self) -> None:
        """Without a file there are none, and looking for them makes none."""
        self.assertEqual(self.file.list(), [])
        self.assertEqual(self.file.remove("joe", "phone", 0.0), 0)
        self.file.forget("joe")
        self.file.rename("joe", "jim")
        self.assertEqual(os.listdir(self.directory), [])

    def test_added(self) -> None:
        """It is for its owner alone, and the password is in no file."""
        secret = self.add("joe", "phone", "pop3")
        self.add("ann", "tablet")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        for path in Path(self.directory).iterdir():
            for form in (secret, secret.replace("-", "")):
                self.assertNotIn(form.encode(), path.read_bytes())
        ann, joe = self.file.list()
        self.assertEqual((ann.account, ann.name, ann.services), ("ann", "tablet", ("smtp", "pop3")))
        self.assertEqual((joe.account, joe.name, joe.services), ("joe", "phone", ("pop3",)))
        self.assertEqual((joe.made_at, joe.used_at), (1000.0, None))
        self.assertEqual(self.names("joe"), [("joe", "phone")])

    def test_names(self) -> None:
        """A name is one account's once, in whatever case; another account may have it too."""
        self.add("joe", "phone")
        self.assertIn("already", str(self.assertRaises(ValueError, self.add, "joe", "Phone")))
        self.add("ann", "phone")
        self.assertEqual(self.file.remove("joe", " PHONE", 0.0), 1)
        self.assertEqual(self.file.remove("joe", "phone", 0.0), 0)
        self.assertEqual(self.names(), [("ann", "phone")])
        self.assertRaises(ValueError, self.add, "joe", "a\nb")
        self.assertRaises(ValueError, self.add, "joe", "x", "poppass")

    def test_not_too_many(self) -> None:
        """An account has so many and not one more; another one is not concerned."""
        for number in range(MAX_OF_AN_ACCOUNT):
            self.add("joe", f"number {number}")
        self.assertIn("remove those", str(self.assertRaises(ValueError, self.add, "joe", "one more")))
        self.add("ann", "phone")
        self.file.remove("joe", "number 0", 0.0)
        self.add("joe", "one more")

    def test_renamed(self) -> None:
        """They go to the new name, whose own are gone; it can be said again."""
        for account, name in (("joe", "phone"), ("jim", "of somebody before"), ("ann", "phone")):
            self.add(account, name)
        for _ in range(2):
            self.file.rename("joe", "jim")
            self.assertEqual(self.names(), [("ann", "phone"), ("jim", "phone")])

    def test_forgotten(self) -> None:
        """All of one account go."""
        for account, name in (("joe", "phone"), ("joe", "tablet"), ("ann", "phone")):
            self.add(account, name)
        self.assertEqual(self.file.remove("joe", None, 2000.0), 2)
        self.assertEqual(self.names(), [("ann", "phone")])
        self.file.forget("ann")
        self.assertEqual(self.names(), [])

    def test_known_when_taken_away(self) -> None:
        """One that was taken away is known as such for 90 days, under the account's new name too, and not when that has gone."""
        first, second = self.add("joe", "phone"), self.add("joe", "tablet")
        self.assertEqual(self.known(first, second), [False, False])
        self.file.remove("joe", "phone", 1000.0)
        self.assertEqual(self.known(first, second), [True, False])
        self.file.remove("joe", "tablet", 1000.0 + REMOVED_SECONDS)
        self.assertEqual(self.known(first, second), [True, True])
        self.file.remove("joe", None, 1001.0 + REMOVED_SECONDS)
        self.assertEqual(self.known(first, second), [False, True])
        self.file.rename("joe", "jim")
        self.file.forget("joe")
        self.assertEqual(self.known(second), [True])
        self.file.forget("jim")
        self.assertEqual(self.known(second), [False])

    def test_known_are_not_too_many(self) -> None:
        """Of more than can be known those that were taken away last are."""
        self.patch(app_password_file, "MAX_REMOVED", 2)
        secrets = []
        for number in range(3):
            secrets.append(self.add("joe", "phone"))
            self.file.remove("joe", "phone", 1000.0 + number)
            self.assertEqual(self.known(*secrets), [False, True, True] if number == 2 else [True] * (number + 1))

    def known(self, *secrets: str) -> list[bool]:
        """Which are known to have been taken away."""
        opened = Opened(self.path)
        try:
            found = [opened.find(digest_of(secret) or b"") for secret in secrets]
        finally:
            opened.close()
        return [each is not None and not each.services for each in found]

    def test_damaged(self) -> None:
        """A file that is none is said so, and is left as it is: people rely on what was in it."""
        Path(self.path).write_bytes(b"no database at all, " * 100)
        for call in (self.file.list, lambda: self.add("joe", "phone"), lambda: self.file.forget("joe")):
            self.assertIn(self.path, str(self.assertRaises(ValueError, call)))
        self.assertEqual(os.listdir(self.directory), [os.path.basename(self.path)])

    def test_no_place(self) -> None:
        """Where no file can be made, that is said."""
        self.file = AppPasswordFile(os.path.join(self.directory, "missing", "file"))
        self.assertIn("cannot be made", str(self.assertRaises(ValueError, self.add)))

    def test_made_by_the_administrator(self) -> None:
        """What root makes belongs to whom the directory belongs."""
        given: list[tuple[int, int]] = []
        self.patch(os, "geteuid", lambda: 0)
        self.patch(os, "fchown", lambda descriptor, user, group: given.append((user, group)))
        self.add()
        self.add("joe", "second")
        owner = os.stat(self.directory)
        self.assertEqual(given, [(owner.st_uid, owner.st_gid)])


class LoginTestCase(AppPasswordTestCase):
    """A directory, and the checker."""

    def setUp(self) -> None:
        """Joe and Ann have passwords; one account is disabled."""
        super().setUp()
        self.source: Any = MemorySource(
            record("joe", password="correct horse"),
            record("ann", "a@example.org", password="battery staple"),
            record("off", password="secret", disabled=True),
        )
        self.hashing, self.worker = ImmediateWorker(), ImmediateWorker()
        self.clock = clock_at()
        self.directory_ = Directory(self.source, ["example.org"], "", passwords_with(self.hashing))
        self.app_passwords = AppPasswords(self.path, self.worker, self.clock.seconds)
        self.checker = AccountChecker(self.directory_, self.app_passwords)

    def tearDown(self) -> None:
        """Close it."""
        self.successResultOf(Deferred.fromCoroutine(self.app_passwords.close()))

    def shown(self, name: str, password: str, service: str = "smtp", peer: str = "192.0.2.7") -> PasswordShown:
        """What a session shows."""
        return PasswordShown(name.encode(), password.encode(), service, peer)

    def enter(self, shown: PasswordShown) -> str:
        """Who was let in."""
        return self.successResultOf(self.checker.requestAvatarId(shown)).decode()  # type: ignore[union-attr]

    def refuse(self, shown: PasswordShown) -> str:
        """What it says to somebody who is refused, after one whole check of a password."""
        before = sum(self.hashing.groups)
        error = self.failureResultOf(self.checker.requestAvatarId(shown), UnauthorizedLogin).value
        self.assertEqual(sum(self.hashing.groups), before + 1)
        self.assertEqual(shown.app_password, "")
        return str(error)


class LoginTests(LoginTestCase):
    """Logging in, by :class:`AccountChecker`."""

    def test_interfaces(self) -> None:
        """What sessions show, and the directory, are what the seams say."""
        verifyObject(IPasswordShown, self.shown("a", "b"))
        verifyObject(IDirectory, self.directory_)

    def test_right(self) -> None:
        """It opens its account, by name or address, in whatever way it is typed, without the cost of a slow hash."""
        secret = self.add()
        for name, password in (
            ("joe", secret),
            ("JOE", secret.upper()),
            ("joe@example.org", secret.replace("-", " ")),
            ("joe", secret.replace("-", "")),
        ):
            shown = self.shown(name, password)
            self.assertEqual(self.enter(shown), "joe")
            self.assertEqual((shown.app_password, shown.services), ("phone", ("smtp", "pop3")))
        self.assertEqual(self.hashing.groups, [])

    def test_own_password(self) -> None:
        """The account's own password works as before, and is no app password."""
        self.add()
        shown = self.shown("joe", "correct horse")
        self.assertEqual(self.enter(shown), "joe")
        self.assertEqual((shown.app_password, shown.reason), ("", ""))
        self.assertEqual(self.worker.groups, [], "what cannot be one is not looked for")

    def test_own_password_of_that_form(self) -> None:
        """Somebody may have chosen a password that looks like one."""
        chosen = "abcd-efgh-ijkl-mnop-qrst-uvwx-yzab"
        self.source.table = MemorySource(record("joe", password=chosen)).table
        self.assertEqual(self.enter(self.shown("joe", chosen)), "joe")

    def test_wrong(self) -> None:
        """Somebody else's, one for another service, one of a disabled account, and any other: all the same, at the same cost."""
        self.add()
        anns, offs, reading = self.add("ann", "phone"), self.add("off", "phone"), self.add("joe", "reader", "pop3")
        gone = self.add("nobody", "phone")
        said = {
            self.refuse(self.shown(*words))
            for words in (
                ("joe", anns),
                ("joe", generate()),
                ("joe", "wrong"),
                ("off", offs),
                ("nobody", generate()),
                ("nobody", gone),
                ("joe", reading),
            )
        }
        self.assertEqual(len(said), 1)
        self.assertEqual(self.enter(self.shown("joe", reading, "pop3")), "joe")

    def test_reason_for_the_trace(self) -> None:
        """Why the right one was refused is told to the session, for the administrator."""
        shown = self.shown("joe", self.add("joe", "reader", "pop3"))
        self.refuse(shown)
        self.assertEqual(shown.reason, "the app password reader is not for smtp")

    def test_only_for_services(self) -> None:
        """Who does not say what is logged in to, as the password server does not, cannot enter by one."""
        secret = self.add()
        checked = self.checker.requestAvatarId(UsernamePassword(b"joe", secret.encode()))
        self.failureResultOf(checked, UnauthorizedLogin)

    def test_at_once(self) -> None:
        """One that is added or removed while the server runs holds for the next login; so does a file in the place of another."""
        self.refuse(self.shown("joe", generate()))
        secret = self.add()
        self.enter(self.shown("joe", secret))
        self.file.remove("joe", "phone", 2000.0)
        shown = self.shown("joe", secret)
        self.refuse(shown)
        self.assertEqual(shown.reason, "the app password phone was taken away")
        self.add("joe", "phone", secret=secret)
        self.enter(self.shown("joe", secret))
        for path in Path(self.directory).iterdir():
            path.unlink()
        self.refuse(self.shown("joe", secret))
        self.add("joe", "phone", secret=secret)
        self.enter(self.shown("joe", secret))

    def test_directory_service(self) -> None:
        """Who is in a directory service has app passwords too, which it is not asked to prove; while it is away nobody enters."""
        secret = self.add()
        self.source = AskedSource(record("joe"))
        self.checker = AccountChecker(
            Directory(self.source, ["example.org"], "", passwords_with(self.hashing)), self.app_passwords
        )
        self.assertEqual(self.enter(self.shown("joe", secret)), "joe")
        self.source.here = False
        self.failureResultOf(self.checker.requestAvatarId(self.shown("joe", secret)), UnavailableError)

    def test_closes_no_account(self) -> None:
        """What was taken away, or is not for this, is not tried at a directory service: enough wrong guesses close an account."""
        reader, old = self.add("joe", "reader", "pop3"), self.add("joe", "old")
        self.file.remove("joe", "old", 0.0)
        self.source = AskedSource(record("joe"))
        keeper = _Keeper()
        self.source.table = AskedSource(attrs.evolve(record("joe"), keeper=keeper)).table
        self.checker = AccountChecker(
            Directory(self.source, ["example.org"], "", passwords_with(self.hashing)), self.app_passwords
        )
        for wrong in (reader, old):
            pretended = self.source.pretended
            self.refuse(self.shown("joe", wrong))
            self.assertEqual(self.source.pretended, pretended + 1, "it takes as long all the same")
        self.assertEqual(keeper.tried, [])
        self.refuse(self.shown("joe", guess := generate()))
        self.assertEqual(keeper.tried, [guess])

    def test_damaged(self) -> None:
        """While the file cannot be read own passwords work, and what could be an app password is put off, not wrong."""
        secret = self.add()
        for path in Path(self.directory).iterdir():
            path.unlink()
        Path(self.path).write_bytes(b"no database at all, " * 100)
        logged: list[str] = []
        self.patch(self.app_passwords, "_log", ErrorLog(logged))
        self.assertEqual(self.enter(self.shown("joe", "correct horse")), "joe")
        self.refuse(self.shown("joe", "wrong"))
        self.failureResultOf(self.checker.requestAvatarId(self.shown("joe", secret)), UnavailableError)
        self.assertEqual(len(logged), 1)
        self.assertNotIn(secret, logged[0])


class LastUseTests(LoginTestCase):
    """When, from where and for what one was used last."""

    def used(self) -> tuple[float | None, str, str]:
        """What is written."""
        (found,) = self.file.list()
        return found.used_at, found.used_from, found.used_for

    def test_written(self) -> None:
        """The first use is written, and then one in five minutes."""
        secret, start = self.add(), self.clock.seconds()
        self.enter(self.shown("joe", secret))
        self.assertEqual(self.used(), (start, "192.0.2.7", "smtp"))
        self.clock.advance(NOTE_SECONDS - 1)
        self.enter(self.shown("joe", secret, "pop3", "192.0.2.8"))
        self.assertEqual(self.used(), (start, "192.0.2.7", "smtp"))
        self.clock.advance(1)
        self.enter(self.shown("joe", secret, "pop3", "192.0.2.8"))
        self.assertEqual(self.used(), (start + NOTE_SECONDS, "192.0.2.8", "pop3"))

    def test_a_storm(self) -> None:
        """A hundred logins are one write."""
        secret = self.add()
        self.enter(self.shown("joe", secret))
        before = os.stat(f"{self.path}-wal").st_size
        for _ in range(100):
            self.enter(self.shown("joe", secret))
        self.assertEqual(os.stat(f"{self.path}-wal").st_size, before)

    def test_a_refused_one(self) -> None:
        """What did not open anything was not used."""
        secret = self.add("joe", "phone", "pop3")
        self.refuse(self.shown("joe", secret))
        self.assertEqual(self.used(), (None, "", ""))

    def test_bounded(self) -> None:
        """What is known here of uses is bounded; of one that is forgotten a use is written again."""
        secret = self.add()
        self.enter(self.shown("joe", secret))
        noted = self.app_passwords._noted
        noted.update((("x", str(number)), 0.0) for number in range(MAX_NOTED))
        self.enter(self.shown("ann", self.add("ann", "tablet")))
        self.assertEqual(len(noted), MAX_NOTED)
        self.clock.advance(1)
        self.enter(self.shown("joe", secret))
        self.assertEqual({each.account: each.used_at for each in self.file.list()}["joe"], self.clock.seconds())

    def test_cannot_be_written(self) -> None:
        """A login does not fail because its time cannot be written."""
        secret = self.add()
        with sqlite3.connect(self.path) as other:
            other.execute("CREATE TRIGGER no BEFORE UPDATE ON app_passwords BEGIN SELECT RAISE(FAIL, 'no'); END")
        other.close()
        self.patch(self.app_passwords, "_log", ErrorLog([]))
        self.assertEqual(self.enter(self.shown("joe", secret)), "joe")
        self.assertEqual(self.used(), (None, "", ""))


class _Keeper(AskedSource):
    """A directory service that counts what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: list[str] = []

    async def proves(self, record: Record, password: str) -> bool:
        """Never."""
        self.tried.append(password)
        return False
