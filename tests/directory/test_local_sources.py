"""What the file and the database of accounts have in common: the contract, held against each of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account, Local, Unknown
from hermes.core.reading_profile import ReadingProfile
from hermes.directory.directory import Directory
from hermes.directory.old_hashes import is_old_hash
from hermes.directory.sources.accounts_file import AccountsFileError
from hermes.directory.sources.database import DatabaseSource
from hermes.directory.sources.file import FileSource
from hermes.directory.sources.local import LocalAccounts, LocalSource
from hermes.directory.sources.several import SeveralSources
from hermes.directory.sources.watched import LOOK_SECONDS
from tests.support.accounts import passwords_with, quick_hash
from tests.support.maildirs import calling_worker, clock_at
from tests.support.scram import quick_keys
from tests.support.worker import ImmediateWorker

HASH, OTHER = quick_hash("secret"), quick_hash("other")

#: "secret" as bcrypt has it, with the least work.
OLD = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

SEALED = "gAAAAA" + "x" * 94


class Contract:
    """Tests of a source at ``self.path``, which ``self.kind`` makes."""

    kind: type[FileSource] | type[DatabaseSource]

    def setUp(self: Any) -> None:
        """Joe and Ann are there."""
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "accounts")
        self.clock = clock_at()
        self.tool = self.kind(self.path)
        self.tool.add(Account("joe", ("joe@example.org", "j@example.org"), "Joe  of the Desk"), HASH)
        self.tool.add(Account("ann", (), quota_octets=1024**3), "")
        self.source: LocalSource = self.server()
        self.source.load()

    def server(self: Any) -> LocalSource:
        """One as a server has it."""
        # The file's worker is others', too, and runs already.
        worker = calling_worker() if self.kind is FileSource else ImmediateWorker()
        source: LocalSource = self.kind(self.path, worker, self.clock.seconds)
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(source.stop())))
        return source

    def names(self: Any, source: LocalSource | None = None) -> list[str]:
        """Who a server knows now."""
        asked = Deferred.fromCoroutine((source or self.source).current())
        return list(self.successResultOf(asked).by_name)

    def test_listed(self: Any) -> None:
        """All that was said of an account is there, in the order in which they came; addresses keep theirs."""
        self.assertEqual(
            [
                Account("joe", ("joe@example.org", "j@example.org"), "Joe of the Desk"),
                Account("ann", (), quota_octets=1024**3),
            ],
            self.tool.list(),
        )
        whole = Account(
            "bob",
            ("b@example.org",),
            "Bob",
            True,
            5 * 1024**2,
            ("bob@example.net", "bob@example.com"),
            True,
            7,
            ("b.miller", "robert"),
            ReadingProfile(mark_read=False, show_read=True, no_delete=True, expire_seconds=30 * 86400),
        )
        keys = str(quick_keys("secret"))
        self.tool.add(whole, HASH, keys)
        record = self.tool.record("bob")
        self.assertEqual(record.account, whole)
        self.assertEqual((record.password_hash, record.scram, record.cram), (HASH, keys, ""))
        self.assertIn(self.path, record.place)

    def test_what_cannot_be_added(self: Any) -> None:
        """Names and addresses that are taken or cannot be change nothing."""
        before = self.tool.list()
        for account, password_hash in (
            (Account("joe", ()), HASH),
            (Account("Bob", ()), HASH),
            (Account("../bob", ()), HASH),
            (Account("bob", ("JOE@Example.org",)), HASH),
            (Account("bob", ("x@example.org", "bob")), HASH),
            (Account("bob", (), logins=("joe",)), HASH),
            (Account("bob", (), logins=("No Name",)), HASH),
            (Account("bob", ()), "secret"),
        ):
            self.assertRaises((ValueError, AccountsFileError), self.tool.add, account, password_hash)
        self.assertRaises(ValueError, self.tool.add, Account("bob", ()), HASH, "no keys")
        self.assertEqual(before, self.tool.list())

    def test_names_in_other_letters(self: Any) -> None:
        """An address is one address, whichever way its domain is written."""
        self.tool.add(Account("bob", ("b\u00fcro@b\u00fccher.example",)), "")
        for other in ("b\u00fcro@xn--bcher-kva.example", "B\u00dcRO@b\u00dccher.example"):
            with self.assertRaises((ValueError, AccountsFileError)):
                self.tool.add(Account("eve", (other,)), "")
            with self.assertRaises((ValueError, AccountsFileError)):
                self.tool.change("ann", {"addresses": other})
        self.assertEqual(["joe", "ann", "bob"], [account.name for account in self.tool.list()])

    def test_removed(self: Any) -> None:
        """An account goes with all that it has, and its addresses are free."""
        self.tool.remove("joe")
        self.assertRaises(LookupError, self.tool.remove, "joe")
        self.tool.add(Account("bob", ("joe@example.org",)), "")
        self.assertEqual(["ann", "bob"], [account.name for account in self.tool.list()])

    def test_forwards(self: Any) -> None:
        """Set, replaced and taken away, in their order."""
        for forward, also in ((("z@example.net", "a@example.net"), True), (("b@example.net",), False), ((), False)):
            self.tool.set_forward("joe", forward, deliver_also=also)
            account = self.tool.record("joe").account
            self.assertEqual((forward, also), (account.forward, account.deliver_also))
        self.assertRaises(LookupError, self.tool.set_forward, "bob", ("b@example.net",))
        self.assertRaises(ValueError, self.tool.set_forward, "joe", ("no address",))

    def test_passwords(self: Any) -> None:
        """A hash replaces another, with its keys; and only while it is still the one that was checked, where that is asked."""
        keys = str(quick_keys("other"))
        self.assertTrue(self.tool.set_password("joe", OTHER, scram=keys))
        self.assertFalse(self.tool.set_password("joe", HASH, instead_of=HASH))
        record = self.tool.record("joe")
        self.assertEqual((OTHER, keys), (record.password_hash, record.scram))
        self.assertTrue(self.tool.set_password("joe", HASH, instead_of=OTHER))
        record = self.tool.record("joe")
        self.assertEqual((HASH, ""), (record.password_hash, record.scram))
        self.assertRaises(LookupError, self.tool.set_password, "bob", HASH)
        self.assertRaises(ValueError, self.tool.set_password, "joe", "secret")
        self.assertRaises(ValueError, self.tool.set_password, "joe", HASH, None, "no keys")

    def test_secrets(self: Any) -> None:
        """A secret for CRAM-MD5 is set and removed, and a running server knows that there is one."""
        self.assertFalse(self.source.known().has_cram)
        self.tool.set_cram("joe", SEALED)
        self.clock.advance(LOOK_SECONDS)
        self.names()
        self.assertTrue(self.source.known().has_cram)
        self.assertEqual(SEALED, self.tool.record("joe").cram)
        self.tool.set_cram("joe", "")
        self.assertEqual("", self.tool.record("joe").cram)
        self.assertRaises(LookupError, self.tool.set_cram, "bob", SEALED)
        self.assertRaises(ValueError, self.tool.set_cram, "joe", "swordfish")

    def test_reading(self: Any) -> None:
        """How a mailbox is read, and further names to log in by; one that is somebody else's changes nothing."""
        profile = ReadingProfile(show_status=True, delete_is_final=False, expire_seconds=0)
        self.tool.set_reading("joe", profile, ("desk",))
        account = self.tool.record("joe").account
        self.assertEqual((profile, ("desk",)), (account.reading, account.logins))
        for login in ("joe", "desk", "No Name"):
            with self.assertRaises((ValueError, AccountsFileError)):
                self.tool.set_reading("ann", ReadingProfile(), (login,))
        self.assertEqual((), self.tool.record("ann").account.logins)
        self.tool.set_reading("joe", ReadingProfile(), ())
        account = self.tool.record("joe").account
        self.assertEqual((ReadingProfile(), ()), (account.reading, account.logins))
        self.assertRaises(LookupError, self.tool.set_reading, "bob", profile, ())

    def test_changed(self: Any) -> None:
        """Keys as commands write them; an empty one is the usual; what cannot be changes nothing."""
        self.tool.change("joe", {"name": "Joe", "quota": "5M", "addresses": "x@example.org", "disabled": "yes"})
        self.assertEqual(Account("joe", ("x@example.org",), "Joe", True, 5 * 1024**2), self.tool.record("joe").account)
        self.tool.change("joe", {"name": "", "quota": "", "addresses": "", "disabled": ""})
        self.assertEqual(Account("joe", ()), self.tool.record("joe").account)
        self.tool.change("ann", {"addresses": "joe@example.org"})
        for keys in (
            {"quota": "much"},
            {"addresses": "Joe@example.org"},
            {"addresses": "none"},
            {"name": "J", "disabled": "x"},
        ):
            self.assertRaises((ValueError, AccountsFileError), self.tool.change, "joe", keys)
        self.assertEqual(Account("joe", ()), self.tool.record("joe").account)
        self.assertRaises(LookupError, self.tool.change, "bob", {"disabled": "yes"})

    def test_renamed(self: Any) -> None:
        """The account keeps what it has; a name that is taken or cannot be changes nothing."""
        before = self.tool.record("joe")
        self.tool.set_forward("joe", ("j@example.net",))
        self.tool.rename("joe", "jim")
        account = self.tool.record("jim").account
        self.assertEqual(attrs.evolve(before.account, name="jim", forward=("j@example.net",)), account)
        self.assertEqual(HASH, self.tool.record("jim").password_hash)
        self.assertRaises(LookupError, self.tool.record, "joe")
        self.tool.set_reading("ann", ReadingProfile(), ("jimmy", "ann"))
        self.assertRaises((ValueError, AccountsFileError), self.tool.add, Account("jimmy", ()), "")
        for name, new in (("jim", "ann"), ("jim", "../x"), ("jim", "Jim"), ("jim", "jimmy")):
            self.assertRaises((ValueError, AccountsFileError), self.tool.rename, name, new)
        self.assertRaises(LookupError, self.tool.rename, "nobody", "somebody")
        self.tool.rename("ann", "jimmy")
        self.assertEqual({"jimmy", "ann"}, set(self.tool.record("jimmy").account.logins))

    def test_a_change_is_seen(self: Any) -> None:
        """At the first question a second after the last look, and not before; one's own change at once."""
        self.assertEqual(["joe", "ann"], self.names())
        self.tool.add(Account("bob", ()), "")
        self.clock.advance(LOOK_SECONDS / 2)
        self.assertEqual(["joe", "ann"], self.names())
        self.clock.advance(LOOK_SECONDS / 2)
        self.assertEqual(["joe", "ann", "bob"], self.names())
        changed = Deferred.fromCoroutine(self.source.change_password("joe", OTHER, HASH))
        self.assertTrue(self.successResultOf(changed))
        self.names()
        self.assertEqual(OTHER, self.source.known().by_name["joe"].password_hash)

    def test_many_changes_in_a_moment(self: Any) -> None:
        """Each is seen, however fast they follow one another."""
        for number in range(20):
            self.tool.set_forward("joe", (f"{number}@example.net",))
            self.clock.advance(LOOK_SECONDS)
            self.names()
            self.assertEqual((f"{number}@example.net",), self.source.known().by_name["joe"].account.forward)

    def test_no_change(self: Any) -> None:
        """While nothing changes the accounts stay the very same."""
        table = self.source.known()
        for _ in range(3):
            self.clock.advance(LOOK_SECONDS)
            self.names()
        self.assertIs(table, self.source.known())

    def test_known(self: Any) -> None:
        """Who must not wait gets what was read last, and a change is read for the next one."""
        self.names()
        self.tool.remove("ann")
        self.clock.advance(LOOK_SECONDS)
        worker = self.source._worker
        worker.paused = True
        self.assertEqual(["joe", "ann"], list(self.source.known().by_name))
        worker.resume()
        self.assertEqual(["joe"], list(self.source.known().by_name))

    def test_everybody_waits_for_the_new_accounts(self: Any) -> None:
        """While they are read nobody is answered from the old ones: one may have a password that was changed."""
        self.names()
        self.tool.remove("ann")
        self.clock.advance(LOOK_SECONDS)
        worker = self.source._worker
        worker.paused = True
        first, second = (Deferred.fromCoroutine(self.source.current()) for _ in range(2))
        first.cancel()
        self.failureResultOf(first)
        self.assertNoResult(second)
        worker.resume()
        self.assertEqual(["joe"], list(self.successResultOf(second).by_name))

    def test_login(self: Any) -> None:
        """The directory checks passwords against it, and puts a new hash into the place of one of another system."""
        self.tool.set_password("ann", OLD)
        directory = Directory(self.source, ["example.org"], "", passwords_with())
        self.clock.advance(LOOK_SECONDS)

        def verify(password: str) -> object:
            return self.successResultOf(Deferred.fromCoroutine(directory.verify("ann@example.org", password)))

        self.assertTrue(is_old_hash(OLD))
        self.assertIsNone(verify("wrong"))
        self.assertEqual("ann", getattr(verify("secret"), "name", None))
        self.assertTrue(self.tool.record("ann").password_hash.startswith("$argon2id$"))
        self.assertEqual("ann", getattr(verify("secret"), "name", None))

    def test_missing(self: Any) -> None:
        """What is not there is no empty list of accounts; adding one makes it, for its owner alone."""
        for name in os.listdir(self.directory):
            os.unlink(os.path.join(self.directory, name))
        self.assertIn("hermes user add", str(self.assertRaises(AccountsFileError, self.server().load)))
        for call in (lambda: self.tool.remove("joe"), self.tool.list):
            self.assertRaises(AccountsFileError, call)
        self.tool.add(Account("bob", ()), "")
        self.assertEqual(["bob"], [account.name for account in self.tool.list()])
        self.assertEqual(0o600, os.stat(self.path).st_mode & 0o777)


class FileContractTests(Contract, SynchronousTestCase):
    """``accounts.ini``."""

    kind = FileSource

    def test_emptied(self) -> None:
        """A file that has lost every octet is not believed: an editor is writing, or the disk was full. A comment is enough."""
        octets = Path(self.path).read_bytes()
        for text, names in (
            (b"", ["joe", "ann"]),
            (octets, ["joe", "ann"]),
            (b"", ["joe", "ann"]),
            (b"#", []),
            (b"", []),
        ):
            Path(self.path).write_bytes(text)
            self.clock.advance(LOOK_SECONDS)
            with capturedLogs() as events:
                self.assertEqual(names, self.names(), text)
                # It is said once.
                self.clock.advance(LOOK_SECONDS)
                self.assertEqual(names, self.names(), text)
            told = [formatEvent(event) for event in events if event["log_level"] is LogLevel.error]
            self.assertEqual([text == b"" and names != []], [bool(told)])
            self.assertLessEqual(len(told), 1)
        # A server that starts has nothing to lose by it: where nobody has a mailbox an empty file will do.
        server = self.server()
        server.load()
        self.assertEqual([], self.names(server))


class DatabaseContractTests(Contract, SynchronousTestCase):
    """The SQLite database."""

    kind = DatabaseSource


class LocalAccountsTests(SynchronousTestCase):
    """Both, in order."""

    def setUp(self) -> None:
        """Joe is in the file; another Joe, and Ann, are in the database."""
        self.file, self.database = FileSource(self.mktemp()), DatabaseSource(self.mktemp())
        self.file.add(Account("joe", ("desk@example.org",), "Joe Miller"), HASH)
        self.database.add(Account("joe", ("other@example.org",), "Joe Baker", logins=("jb",)), OTHER)
        self.database.add(Account("ann", ("ann@example.org", "desk@example.org"), "Joe Miller", logins=("al",)), HASH)
        self.database.set_cram("ann", SEALED)
        self.local = LocalAccounts([self.file, self.database])

    def test_order(self) -> None:
        """A name or an address that the file has, the database does not take from it."""
        self.assertEqual(["joe", "ann"], [account.name for account in self.local.list()])
        table = self.local.table()
        self.assertEqual({"desk@example.org": "joe", "ann@example.org": "ann"}, dict(table.name_by_address))
        self.assertEqual({"al": "ann"}, dict(table.name_by_login))
        self.assertEqual(("joe", "ann"), table.names_by_form["joe.miller"])
        self.assertTrue(table.has_cram)

    def test_same_as_a_server(self) -> None:
        """A server that asks one after the other comes to the same result, and knows all logins."""
        for source in (self.file, self.database):
            source.load()
        source = SeveralSources([self.file, self.database])
        directory = Directory(source, ["example.org"], "", passwords_with())

        def resolve(address: str) -> object:
            found = self.successResultOf(Deferred.fromCoroutine(directory.resolve(address)))
            return found.account.name if isinstance(found, Local) else type(found)

        for address, expected in (
            ("desk@example.org", "joe"),
            ("ann@example.org", "ann"),
            ("other@example.org", Unknown),
            ("nobody@example.org", Unknown),
        ):
            self.assertEqual(expected, resolve(address), address)
        self.assertEqual(dict(self.local.table().name_by_login), dict(source.known().name_by_login))
        self.assertIs(source.known(), source.known())
        login = self.successResultOf(Deferred.fromCoroutine(directory.verify("al", "secret")))
        self.assertEqual("ann", getattr(login, "name", None))

    def test_edits(self) -> None:
        """A change goes to where the account stands, who is new to the first, and nobody's name or address is taken."""
        self.local.set_password("ann", OTHER)
        self.local.set_forward("ann", ("a@example.net",))
        self.local.set_cram("ann", "")
        self.local.set_reading("ann", ReadingProfile(mark_read=True), ())
        self.local.change("ann", {"quota": "1M"})
        record = self.database.record("ann")
        self.assertEqual((OTHER, "", ("a@example.net",)), (record.password_hash, record.cram, record.account.forward))
        self.assertEqual(record.account, self.local.record("ann").account)
        self.local.rename("ann", "anna")
        self.local.add(Account("bob", ("bob@example.org",)), "")
        self.assertEqual(["joe", "bob"], [account.name for account in self.file.list()])
        self.assertRaises(ValueError, self.local.add, Account("anna", ()), "")
        self.assertRaises(ValueError, self.local.add, Account("new", ("ann@example.org",)), "")
        self.local.remove("anna")
        self.assertEqual(["joe"], [account.name for account in self.database.list()])
        for call in (self.local.record, self.local.remove):
            self.assertRaises(LookupError, call, "nobody")

    def test_is_there(self) -> None:
        """Before the first account nothing is."""
        self.assertTrue(self.local.is_there())
        self.assertFalse(LocalAccounts([FileSource(self.mktemp()), DatabaseSource(self.mktemp())]).is_there())
