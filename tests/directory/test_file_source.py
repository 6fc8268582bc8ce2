"""The file of accounts in a running server, and edits of it by several writers."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.core.account import Account
from hermes.core.jobs import perform_each
from hermes.directory.sources.accounts_file import AccountsFileError
from hermes.directory.sources.file import FileSource
from hermes.directory.sources.watched import LOOK_SECONDS
from tests.support.accounts import quick_hash
from tests.support.error_log import ErrorLog
from tests.support.maildirs import Failing, calling_worker, clock_at
from tests.support.scram import quick_keys

HASH = quick_hash("secret")
OTHER = quick_hash("other")

TEXT = f"""\
# The front desk
[joe]
# his password is on the yellow note
password = {HASH}
addresses = joe@example.org

# The laboratory

[ann]
quota=1G
"""


class FileTestCase(SynchronousTestCase):
    """A file with two accounts."""

    @override
    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "accounts.ini")
        self.write(TEXT)
        self.clock = clock_at()
        self.worker = calling_worker()
        self.source = FileSource(self.path, self.worker, self.clock.seconds)

    def write(self, text: str) -> None:
        """Replace the file, as an editor does."""
        with open(self.path + "~", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.path + "~", self.path)

    def read(self) -> str:
        """The file as it is."""
        with open(self.path, encoding="utf-8") as file:
            return file.read()


class ReloadTests(FileTestCase):
    """:meth:`FileSource.current` follows the file."""

    def names(self) -> list[str]:
        """Who is there now."""
        return list(self.successResultOf(self.source.current()).by_name)

    def test_load(self) -> None:
        """A server reads the file before it starts, and refuses to when it cannot."""
        self.source.load()
        self.assertEqual(["joe", "ann"], self.names())
        self.assertEqual([], self.worker.groups)
        self.write("[joe]\nnonsense\n")
        error = self.assertRaises(AccountsFileError, self.source.load)
        self.assertIn("accounts.ini:2: ", str(error))
        os.unlink(self.path)
        error = self.assertRaises(AccountsFileError, self.source.load)
        self.assertIn("hermes user add", str(error))

    def test_change(self) -> None:
        """A change is seen at the first question a second after the last look, not before."""
        self.source.load()
        self.names()
        self.write("[bob]\n")
        self.clock.advance(LOOK_SECONDS / 2)
        self.assertEqual(["joe", "ann"], self.names())
        self.clock.advance(LOOK_SECONDS / 2)
        self.assertEqual(["bob"], self.names())

    def test_known(self) -> None:
        """Who must not wait gets the accounts as they were last read, and a changed file is read for the next one."""
        self.source.load()
        self.write("[bob]\n")
        self.clock.advance(LOOK_SECONDS)
        self.worker.paused = True
        self.assertEqual(["joe", "ann"], list(self.source.known().by_name))
        self.assertEqual(["joe", "ann"], list(self.source.known().by_name))
        self.worker.resume()
        self.assertEqual(["bob"], list(self.source.known().by_name))

    def test_no_change(self) -> None:
        """A file that stays as it is, is not read again."""
        self.source.load()
        for _ in range(3):
            self.names()
            self.clock.advance(LOOK_SECONDS)
        self.assertEqual([], self.worker.groups)

    def test_a_change_of_the_same_length_and_time(self) -> None:
        """Another file in its place is noticed although size and time are the same."""
        self.write("[bob]\n")
        os.utime(self.path, ns=(10**18, 10**18))
        self.assertEqual(["bob"], self.names())
        self.write("[cay]\n")
        os.utime(self.path, ns=(10**18, 10**18))
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(["cay"], self.names())

    def test_everybody_waits_for_the_new_accounts(self) -> None:
        """While the file is being read nobody is answered from the old one: it may hold a password that was changed."""
        self.source.load()
        self.write("[bob]\n")
        self.worker.paused = True
        first = Deferred.fromCoroutine(self.source.current())
        second = Deferred.fromCoroutine(self.source.current())
        third = Deferred.fromCoroutine(self.source.current())
        # One who leaves does not stop the reading.
        first.cancel()
        self.failureResultOf(first)
        self.assertNoResult(second)
        self.worker.resume()
        for waiting in (second, third):
            self.assertEqual(["bob"], list(self.successResultOf(waiting).by_name))
        self.assertEqual([1], self.worker.groups)

    def test_a_broken_file(self) -> None:
        """It leaves the accounts as they were and is complained about once; when it is mended it is read."""
        self.source.load()
        complaints: list[str] = []
        self.patch(self.source, "_log", ErrorLog(complaints))
        self.write("[bob]\nnonsense\n")
        for _ in range(3):
            self.assertEqual(["joe", "ann"], self.names())
            self.clock.advance(LOOK_SECONDS)
        (complaint,) = complaints
        self.assertIn("accounts.ini:2: ", complaint)
        self.write("[bob]\n")
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(["bob"], self.names())

    def test_half_written(self) -> None:
        """What was read half-way through its writing, and is whole when that is noticed, is read again."""
        self.source.load()
        self.patch(self.source, "_log", ErrorLog([]))
        self.write("[bob]\nnon")

        def written_meanwhile(jobs: list[Any]) -> list[Any]:
            read = perform_each(jobs)
            self.write("[bob]\n")
            return read

        self.worker.start(written_meanwhile)
        self.assertEqual(["joe", "ann"], self.names())
        self.worker.start(perform_each)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(["bob"], self.names())

    def test_no_text(self) -> None:
        """A file that is not UTF-8 is complained about with the line; a byte order mark is no fault."""
        self.source.load()
        with open(self.path, "wb") as file:
            file.write(b"[joe]\nname = J\xf6rg\n")
        error = self.assertRaises(AccountsFileError, self.source.list)
        self.assertIn("accounts.ini:2: ", str(error))
        self.write("\ufeff[bob]\n")
        self.assertEqual(["bob"], [account.name for account in self.source.list()])

    def test_a_file_that_disappears(self) -> None:
        """The accounts stay as they were, for as long as it is gone."""
        self.source.load()
        complaints: list[str] = []
        self.patch(self.source, "_log", ErrorLog(complaints))
        os.unlink(self.path)
        for _ in range(3):
            self.assertEqual(["joe", "ann"], self.names())
            self.clock.advance(LOOK_SECONDS)
        self.assertEqual(1, len(complaints))

    def test_a_fault_in_reading(self) -> None:
        """A fault that is not the file's is logged with its traceback; those who wait get the old accounts."""
        self.source.load()
        self.write("[bob]\n")
        self.patch(self.source, "_read", _broken)
        self.assertEqual(["joe", "ann"], self.names())
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))

    def test_without_a_worker(self) -> None:
        """A command line reads the file in its own thread."""
        source = FileSource(self.path, now=self.clock.seconds)
        self.assertEqual(["joe", "ann"], list(self.successResultOf(source.current()).by_name))
        self.assertTrue(self.successResultOf(source.change_password("ann", OTHER)))
        self.assertIn(f"password = {OTHER}\n", self.read())


class EditTests(FileTestCase):
    """Edits keep what people wrote."""

    def test_secret(self) -> None:
        """A secret for CRAM-MD5 is set, replaced and removed, and every other line stays."""
        before = self.read()
        one, two = ("gAAAAA" + letter * 94 for letter in "xy")
        for sealed in (one, two):
            self.source.set_cram("joe", sealed)
            self.assertEqual(self.source.record("joe").cram, sealed)
        self.assertEqual(self.read().replace(f"cram = {two}\n", ""), before)
        self.source.set_cram("joe", "")
        self.source.set_cram("joe", "")
        self.assertEqual(self.read(), before)
        self.assertRaises(LookupError, self.source.set_cram, "nobody", one)
        self.assertRaises(LookupError, self.source.record, "nobody")
        self.assertRaises(ValueError, self.source.set_cram, "joe", "swordfish")

    def test_list(self) -> None:
        """Accounts in the order of the file."""
        self.assertEqual(
            [Account("joe", ("joe@example.org",)), Account("ann", (), quota_octets=1024**3)], self.source.list()
        )

    def test_add(self) -> None:
        """A new account stands at the end, with the keys that it needs; everything above is as it was."""
        account = Account("bob", ("bob@example.org", "b@example.org"), "Bob  Bobson", True, 50 * 1024**2)
        self.source.add(account, OTHER)
        added = f"""
            [bob]
            password = {OTHER}
            addresses = bob@example.org, b@example.org
            name = Bob Bobson
            disabled = yes
            quota = 50M
            """
        self.assertEqual(TEXT + textwrap.dedent(added), self.read())
        self.assertEqual("Bob Bobson", self.source.list()[2].full_name)
        self.source.add(Account("cay", ()), "")
        self.assertTrue(self.read().endswith("quota = 50M\n\n[cay]\n"))

    def test_add_to_a_file_that_does_not_exist(self) -> None:
        """The first account makes the file, which nobody else can read."""
        os.unlink(self.path)
        self.source.add(Account("joe", ()), HASH)
        self.assertEqual(f"[joe]\npassword = {HASH}\n", self.read())
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.path).st_mode))
        self.assertEqual(["accounts.ini"], os.listdir(self.directory))

    def test_what_cannot_be_added(self) -> None:
        """Names and addresses that are taken or cannot be, and what would write lines of its own, change nothing."""
        for account, password_hash in (
            (Account("joe", ()), HASH),
            (Account("Bob", ()), HASH),
            (Account("../bob", ()), HASH),
            (Account("bob]\n[eve", ()), HASH),
            (Account("bob", ("JOE@example.org",)), HASH),
            (Account("bob", ("bob",)), HASH),
            (Account("bob", ("b@example.org\nquota = 0",)), HASH),
            (Account("bob", ()), "secret"),
            (Account("bob", ()), HASH + "\n[eve]"),
        ):
            self.assertRaises(ValueError, self.source.add, account, password_hash)
        self.assertEqual(TEXT, self.read())

    def test_a_name_that_would_write_lines(self) -> None:
        """A full name with line ends becomes one line."""
        self.source.add(Account("bob", (), "Bob\n[eve]\r\npassword = x\u2028y"), HASH)
        self.assertEqual(["joe", "ann", "bob"], [account.name for account in self.source.list()])
        self.assertIn("name = Bob [eve] password = x y\n", self.read())

    def test_remove(self) -> None:
        """An account goes with its lines and the empty line above; comments above it and other accounts stay."""
        self.source.remove("ann")
        self.assertEqual(TEXT.replace("\n\n[ann]\nquota=1G\n", "\n"), self.read())
        self.source.remove("joe")
        self.assertEqual("# The front desk\n\n# The laboratory\n", self.read())
        self.assertRaises(LookupError, self.source.remove, "joe")

    def test_remove_the_only_one(self) -> None:
        """A file without accounts is not without a single octet, which a server would not believe, and can be read."""
        self.write("[joe]\n")
        self.source.remove("joe")
        self.assertEqual(("# The accounts of this server.\n", []), (self.read(), self.source.list()))

    def test_set_password(self) -> None:
        """The line of the password changes and no other; an account without one gets one."""
        self.assertTrue(self.source.set_password("joe", OTHER))
        self.assertEqual(TEXT.replace(HASH, OTHER), self.read())
        self.source.set_password("ann", HASH)
        self.assertTrue(self.read().endswith(f"[ann]\npassword = {HASH}\nquota=1G\n"))
        self.assertRaises(LookupError, self.source.set_password, "bob", HASH)
        self.assertRaises(ValueError, self.source.set_password, "joe", "secret")

    def test_set_password_with_scram(self) -> None:
        """Keys for SCRAM stand below the password; they go with it, or the old password would still be right."""
        keys, others = str(quick_keys("secret")), str(quick_keys("other"))
        self.source.set_password("joe", HASH, scram=keys)
        with_keys = TEXT.replace(HASH, f"{HASH}\nscram = {keys}")
        self.assertEqual(with_keys, self.read())
        self.source.set_password("joe", OTHER, HASH, others)
        self.assertEqual(with_keys.replace(HASH, OTHER).replace(keys, others), self.read())
        self.source.set_password("joe", HASH)
        self.assertEqual(TEXT, self.read())
        self.source.set_password("ann", HASH, scram=keys)
        self.assertTrue(self.read().endswith(f"[ann]\npassword = {HASH}\nscram = {keys}\nquota=1G\n"))
        self.assertRaises(ValueError, self.source.set_password, "joe", HASH, None, "secret")
        self.assertRaises(ValueError, self.source.add, Account("new", ()), HASH, "secret")
        self.source.add(Account("new", ()), HASH, keys)
        self.assertTrue(self.read().endswith(f"[new]\npassword = {HASH}\nscram = {keys}\n"))

    def test_keys_that_stand_elsewhere(self) -> None:
        """Somebody may have put the keys above the password or far below it, or have left them alone."""
        for text in (
            "[joe]\nscram = {keys}\n# here\npassword = {hash}\nname = Joe\n",
            "[joe]\npassword = {hash}\n# here\nname = Joe\nscram = {keys}\n",
            "[joe]\n# here\nname = Joe\nscram = {keys}\n",
        ):
            Path(self.source.path).write_text(text.format(keys=quick_keys("secret"), hash=HASH))
            self.source.set_password("joe", OTHER)
            self.assertEqual(
                sorted(["[joe]", "# here", "name = Joe", f"password = {OTHER}"]), sorted(self.read().split("\n")[:-1])
            )
            self.assertEqual("[joe]", self.read().split("\n")[0])

    def test_set_password_instead_of_another(self) -> None:
        """A hash is replaced only while it is still the one that was checked."""
        self.assertFalse(self.source.set_password("joe", OTHER, instead_of=OTHER))
        self.assertFalse(self.source.set_password("ann", OTHER, instead_of=HASH))
        self.assertEqual(TEXT, self.read())
        self.assertTrue(self.source.set_password("joe", OTHER, instead_of=HASH))
        self.assertEqual(TEXT.replace(HASH, OTHER), self.read())

    def test_change_password_is_in_force_at_once(self) -> None:
        """After a change by the server the very next question sees it."""
        self.source.load()
        self.successResultOf(self.source.current())
        self.assertTrue(self.successResultOf(self.source.change_password("joe", OTHER, HASH)))
        self.assertEqual(OTHER, self.successResultOf(self.source.current()).by_name["joe"].password_hash)

    def test_a_broken_file_is_not_edited(self) -> None:
        """Nothing is added to a file that cannot be read; nor is one that does not exist edited."""
        self.write("[joe\n")
        self.assertRaises(AccountsFileError, self.source.add, Account("bob", ()), HASH)
        self.assertRaises(AccountsFileError, self.source.set_password, "joe", HASH)
        self.assertEqual("[joe\n", self.read())
        os.unlink(self.path)
        self.assertRaises(AccountsFileError, self.source.remove, "joe")

    def test_what_is_no_file(self) -> None:
        """A directory in the place of the file is complained about by readers and by writers."""
        os.unlink(self.path)
        os.mkdir(self.path)
        self.assertRaises(AccountsFileError, self.source.load)
        self.assertRaises(AccountsFileError, self.source.remove, "joe")

    def test_a_link_stays_a_link(self) -> None:
        """When the path is a link, its target is edited."""
        link = os.path.join(self.directory, "link")
        os.symlink("accounts.ini", link)
        FileSource(link).remove("ann")
        self.assertTrue(os.path.islink(link))
        self.assertNotIn("[ann]", self.read())


class DurabilityTests(FileTestCase):
    """An edit is there whole or not at all."""

    def test_steps(self) -> None:
        """The new file is fsynced before it takes the old one's place, and the directory after that."""
        steps: list[str] = []
        fsync, replace = os.fsync, os.replace

        def note_fsync(descriptor: int) -> None:
            steps.append("fsync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
            fsync(descriptor)

        def note_replace(source: str, target: str) -> None:
            steps.append("rename")
            with open(source, encoding="utf-8") as file:
                self.assertIn(OTHER, file.read())
            replace(source, target)

        self.patch(os, "fsync", note_fsync)
        self.patch(os, "replace", note_replace)
        self.source.set_password("joe", OTHER)
        self.assertEqual(["fsync file", "rename", "fsync directory"], steps)

    def test_a_disk_that_fails(self) -> None:
        """Whatever fails, the old file is there as it was and nothing is left beside it."""
        for function in ("fsync", "replace"):
            self.patch(os, function, Failing(getattr(os, function), OSError(28, "No space left on device")))
            self.assertRaises(OSError, self.source.set_password, "joe", OTHER)
            self.assertEqual(TEXT, self.read())
            self.assertEqual(["accounts.ini"], os.listdir(self.directory))

    def test_writers_take_turns(self) -> None:
        """An edit waits for another process's edit, and then starts from what that one wrote."""
        directory = os.open(self.directory, os.O_RDONLY)
        self.addCleanup(os.close, directory)
        fcntl.flock(directory, fcntl.LOCK_EX)
        program = (
            "import sys; from hermes.directory.sources.file import FileSource; from hermes.core.account import Account;"
            "print('ready', flush=True); FileSource(sys.argv[1]).add(Account('bob', ()), '')"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, self.path],
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout is not None
            self.assertEqual(b"ready\n", other.stdout.readline())
            self.write("[cay]\n")
            fcntl.flock(directory, fcntl.LOCK_UN)
            self.assertEqual(0, other.wait())
        self.assertEqual("[cay]\n\n[bob]\n", self.read())

    def test_the_owner_stays(self) -> None:
        """The administrator's edit leaves the file the server's; who cannot give it away keeps what there is."""
        given: list[tuple[int, int]] = []
        self.patch(os, "fchown", lambda descriptor, user, group: given.append((user, group)))
        self.source.set_password("joe", OTHER)
        owner = os.stat(self.directory)
        self.assertEqual([(owner.st_uid, owner.st_gid)], given)
        self.patch(os, "fchown", Failing(lambda *_: None, PermissionError(1, "no")))
        self.source.set_password("joe", HASH)
        self.assertEqual(TEXT, self.read())


def _broken() -> None:
    raise RuntimeError("broken")
