"""Tests of what becomes of an account: changed, renamed, disabled, exported, erased; and of many added at once."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tarfile
import time
from pathlib import Path

from argon2 import PasswordHasher
from twisted.internet.defer import Deferred

from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Event, Kind
from hermes.mailbox.lock import FILE
from hermes.spool.store import Spool
from tests.support.command import CommandTestCase, fill_spool, record


class AccountTestCase(CommandTestCase):
    """A site with one account."""

    def setUp(self) -> None:
        """Make it."""
        self.config = self.site()
        self.data = Path(self.config).parent / "data"
        self.run_hermes("user", "add", "-c", self.config, "bob", "--password-file", "-", typed="secret\n")

    def hermes(self, *words: str, exit_code: int = 0, typed: str | None = None) -> str:
        """What ``hermes user`` prints."""
        command, *rest = words
        return str(self.run_hermes("user", command, "-c", self.config, *rest, exit_code=exit_code, typed=typed).output)

    @property
    def accounts(self) -> str:
        """The accounts file."""
        return (self.data / "accounts.ini").read_text()

    def mailbox(self, name: str = "bob") -> Path:
        """Make a mailbox with one message."""
        path = self.data / "mail" / name
        for part in ("new", "cur", "tmp"):
            (path / part).mkdir(parents=True)
        (path / "new" / "1.x.host").write_text("Subject: x\n\nbody\n")
        return path


class ChangeTests(AccountTestCase):
    """Changing what stands in the file."""

    def test_set(self) -> None:
        """Name, quota and addresses are replaced, each when it is said, and other lines stay as they are."""
        path = self.data / "accounts.ini"
        path.write_text(path.read_text() + "# a remark\n")
        self.hermes("set", "bob", "--full-name", "Bob  Miller", "--quota", "500M", "--address", "b@example.org")
        self.assertIn("name = Bob Miller\n", self.accounts)
        self.assertIn("quota = 500M\n", self.accounts)
        self.assertIn("addresses = b@example.org\n", self.accounts)
        self.assertIn("# a remark\n", self.accounts)
        self.hermes("set", "bob", "--no-addresses", "--quota", "0")
        self.assertNotIn("addresses", self.accounts)
        self.assertNotIn("quota", self.accounts)
        self.assertIn("Bob Miller", self.hermes("set", "bob"))
        shown = self.run_json("user", "set", "-c", self.config, "bob")
        self.assertEqual(shown, {"name": "bob", "full_name": "Bob Miller", "addresses": [], "quota": ""})

    def test_set_refused(self) -> None:
        """What cannot be is refused in words, and nothing is written."""
        self.run_hermes("user", "add", "-c", self.config, "ann", "--address", "a@example.org", "--generate")
        before = self.accounts
        for words, said in (
            (("nobody", "--quota", "1M"), "no account"),
            (("bob", "--quota", "much"), "much"),
            (("bob", "--address", "no address"), "not an address"),
            (("bob", "--address", "a@example.org"), "listed by"),
        ):
            self.assertIn(said, self.hermes("set", *words, exit_code=1))
        self.hermes("set", "bob", "--address", "b@example.org", "--no-addresses", exit_code=2)
        self.assertEqual(self.accounts, before)

    def test_disable(self) -> None:
        """An account can be disabled and enabled."""
        before = self.accounts
        self.assertIn("disabled", self.hermes("disable", "Bob"))
        self.assertIn("disabled = yes\n", self.accounts)
        self.hermes("enable", "bob")
        self.assertEqual(self.accounts, before)
        self.hermes("disable", "nobody", exit_code=1)


class RenameTests(AccountTestCase):
    """Another name for an account."""

    def test_renamed(self) -> None:
        """The account has the new name, and its mailbox with it."""
        self.mailbox()
        self.assertIn("bob is robert now", self.hermes("rename", "bob", "Robert"))
        self.assertTrue(self.accounts.startswith("[robert]\n"))
        self.assertTrue((self.data / "mail" / "robert" / "new" / "1.x.host").exists())
        self.assertFalse((self.data / "mail" / "bob").exists())

    def test_profile(self) -> None:
        """What finger tells goes along, and is not told of somebody else who gets the old name."""
        profiles = self.data / "finger"
        profiles.mkdir()
        (profiles / "bob.txt").write_text("me")
        self.hermes("rename", "bob", "robert")
        self.assertEqual(os.listdir(profiles), ["robert.txt"])
        (profiles / "bobby.txt").mkdir()
        self.assertIn("cannot be renamed", self.hermes("rename", "robert", "bobby", exit_code=1))
        self.assertTrue(self.accounts.startswith("[robert]\n"))

    def test_keeps_address(self) -> None:
        """On demand mail to the old name still arrives."""
        self.hermes("rename", "bob", "robert", "--keep-address")
        self.assertIn("addresses = robert@example.org, bob@example.org\n", self.accounts)

    def test_interrupted(self) -> None:
        """A rename that was interrupted when the mailbox had moved goes on where it was."""
        os.rename(self.mailbox(), self.data / "mail" / "robert")
        self.hermes("rename", "bob", "robert")
        self.assertTrue((self.data / "mail" / "robert" / "new" / "1.x.host").exists())

    def test_refused(self) -> None:
        """Names that are taken or cannot be, and a mailbox that is in use."""
        self.run_hermes("user", "add", "-c", self.config, "ann", "--generate")
        before = self.accounts
        self.assertIn("already", self.hermes("rename", "bob", "ann", exit_code=1))
        self.assertIn("can not be", self.hermes("rename", "bob", "../x", exit_code=1))
        self.assertIn("no account", self.hermes("rename", "nobody", "x", exit_code=1))
        mailbox = self.mailbox()
        with (mailbox / FILE).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.assertIn("reading mail", self.hermes("rename", "bob", "robert", exit_code=1))
        self.mailbox("robert")
        self.assertIn("exists already", self.hermes("rename", "bob", "robert", exit_code=1))
        self.assertEqual(self.accounts, before)

    def test_login_of_somebody(self) -> None:
        """A name that another logs in by is refused before the mailbox has moved; the own login becomes the name."""
        self.run_hermes("user", "add", "-c", self.config, "ann", "--generate")
        self.hermes("profile", "ann", "--login", "archer")
        self.hermes("profile", "bob", "--login", "robert")
        mailbox = self.mailbox()
        self.assertIn("ann logs in by it", self.hermes("rename", "bob", "archer", exit_code=1))
        self.assertTrue(mailbox.exists())
        self.hermes("rename", "bob", "robert")
        self.assertFalse(mailbox.exists())

    def test_mail_in_the_queue(self) -> None:
        """Mail that is on its way to the old name is waited for."""

        def work(spool: Spool) -> list[Deferred[object]]:
            writer = spool.create()
            writer.write(b"Return-Path: <>\n\n")
            envelope = Envelope("", (Recipient("bob@example.org"),))
            commit = writer.commit(envelope, Origin("ESMTP"), {"bob@example.org": "local:bob"}, "", 2, 16, {})
            return [Deferred.fromCoroutine(commit)]

        fill_spool(self, self.config, work)
        self.assertIn("in the queue", self.hermes("rename", "bob", "robert", exit_code=1))


class DataTests(AccountTestCase):
    """Everything about an account."""

    def test_exported(self) -> None:
        """Mail, settings and trace are in the archive, which is private; what proves the password is not."""
        self.mailbox()
        record(self, self.config, Event(1.0, Kind.LOGIN, address="bob", facts={"result": "accepted"}))
        archive = self.data.parent / "bob.tar.gz"
        self.assertIn("1 files of mail", self.hermes("export", "bob", str(archive)))
        self.assertEqual(stat.S_IMODE(archive.stat().st_mode), 0o600)
        with tarfile.open(archive) as tar:
            names = tar.getnames()
            files = {name: tar.extractfile(name) for name in names}
            described = json.loads((files["bob/account.json"] or self.fail()).read())
            trace = (files["bob/trace.jsonl"] or self.fail()).read().decode().splitlines()
        self.assertIn("bob/mail/new/1.x.host", names)
        self.assertEqual((described["name"], described["addresses"]), ("bob", ["bob@example.org"]))
        self.assertNotIn("argon2", json.dumps(described))
        self.assertEqual([json.loads(line)["event"] for line in trace], ["login"])

    def test_exported_whole(self) -> None:
        """What several addresses have in common is in the trace once, in its order."""
        self.hermes("set", "bob", "--address", "b@example.org", "--address", "bob@example.org")
        events = [
            Event(float(number), Kind.REFUSED, address=address, reverse_path=sender)
            for number, (address, sender) in enumerate(
                [
                    ("b@example.org", "x@example.com"),
                    ("bob@example.org", "b@example.org"),
                    ("x@example.org", "y@example.com"),
                ]
            )
        ]
        record(self, self.config, *events, Event(9.0, Kind.LOGIN, address="bob"))
        archive = self.data.parent / "bob.tar.gz"
        self.hermes("export", "bob", str(archive))
        with tarfile.open(archive) as tar:
            trace = (tar.extractfile("bob/trace.jsonl") or self.fail()).read().decode().splitlines()
        self.assertEqual([json.loads(line)["event"] for line in trace], ["refused", "refused", "login"])
        self.assertEqual(sorted(os.listdir(archive.parent)), ["bob.tar.gz", "config.ini", "data"])

    def exported(self, name: str) -> list[str]:
        """The addresses in the trace of an account, as its archive has it."""
        archive = self.data.parent / "export.tar.gz"
        self.hermes("export", name, str(archive))
        with tarfile.open(archive) as tar:
            trace = (tar.extractfile(f"{name}/trace.jsonl") or self.fail()).read().decode().splitlines()
        archive.unlink()
        return [json.loads(line)["to"].strip("<>") for line in trace]

    def test_exported_under_another_name(self) -> None:
        """What an account was called before is looked for up to its renaming, and the new name from then on."""
        long_ago, to_come = time.time() - 60, time.time() + 3600
        about = ("bob", "bob@example.org")
        record(self, self.config, *(Event(long_ago, Kind.REFUSED, address=each) for each in (*about, "robert")))
        self.hermes("rename", "bob", "robert")
        record(self, self.config, *(Event(to_come, Kind.REFUSED, address=each) for each in ("bob", "robert")))
        self.assertEqual(self.exported("robert"), [*about, "robert"])
        # Somebody else gets the name, and then a third person that of the account that was renamed.
        self.hermes("add", "bob", "--generate")
        self.assertEqual(self.exported("robert"), [*about, "robert"])
        for end in (("remove",), ("erase", "--yes")):
            self.hermes(end[0], "robert", *end[1:])
            self.hermes("add", "robert", "--generate")
            self.assertEqual(self.exported("robert"), ["robert"])
            self.hermes("rename", "robert", "rob")
            self.hermes("rename", "rob", "robert")

    def test_export_refused(self) -> None:
        """Nothing is overwritten, and nothing is left of an archive that could not be written."""
        archive = self.data.parent / "bob.tar.gz"
        archive.write_text("precious")
        self.assertIn("exists already", self.hermes("export", "bob", str(archive), exit_code=1))
        self.assertEqual(archive.read_text(), "precious")
        self.assertIn("no account", self.hermes("export", "nobody", str(archive.with_name("x")), exit_code=1))
        self.hermes("export", "bob", str(self.data / "missing" / "x"), exit_code=1)

    def test_exported_twice_at_once(self) -> None:
        """What another export is writing is left to it."""
        archive = self.data.parent / "bob.tar.gz"
        partly = archive.with_name("bob.tar.gz.part")
        partly.write_text("half an archive")
        self.assertIn("another export", self.hermes("export", "bob", str(archive), exit_code=1))
        self.assertEqual(partly.read_text(), "half an archive")
        self.assertFalse(archive.exists())

    def test_erased(self) -> None:
        """Account, mail and profile are gone."""
        mailbox = self.mailbox()
        (self.data / "finger").mkdir()
        (self.data / "finger" / "bob.txt").write_text("me")
        self.assertIn("bob is gone", self.hermes("erase", "bob", typed="y\n"))
        self.assertNotIn("[bob]", self.accounts)
        self.assertEqual([name for name in os.listdir(mailbox.parent) if not name.startswith(".departed-")], [])
        self.assertEqual(os.listdir(self.data / "finger"), [])
        self.assertIn("no account", self.hermes("erase", "bob", "--yes", exit_code=1))

    def test_not_erased(self) -> None:
        """Who does not say yes loses nothing, and neither does somebody who is reading."""
        mailbox = self.mailbox()
        before = self.accounts
        self.assertIn("Nothing was removed", self.hermes("erase", "bob", typed="n\n", exit_code=1))
        with (mailbox / FILE).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.assertIn("reading mail", self.hermes("erase", "bob", "--yes", exit_code=1))
        self.assertEqual(self.accounts, before)
        self.assertTrue((mailbox / "new" / "1.x.host").exists())

    def test_erased_after_removal(self) -> None:
        """The mail of an account that was only removed can be erased, too."""
        mailbox = self.mailbox()
        self.hermes("remove", "bob")
        self.hermes("erase", "bob", "--yes")
        self.assertFalse(mailbox.exists())


class ImportTests(AccountTestCase):
    """Many accounts at once."""

    def file(self, name: str, text: str) -> str:
        """Write a file; its path."""
        path = self.data.parent / name
        path.write_text(text)
        return str(path)

    def password(self, name: str) -> str:
        """The hash of somebody's password, empty without one."""
        lines = self.accounts.split(f"[{name}]\n")[1].split("\n\n")[0].splitlines()
        return next((line.removeprefix("password = ") for line in lines if line.startswith("password")), "")

    def test_table(self) -> None:
        """Rows become accounts; who is there already is passed over, however often it is said."""
        path = self.file(
            "people.csv",
            "name;password;full_name;addresses;quota\n"
            "Ann;pa ss;Ann Smith;ann@example.org a.smith@example.org;1G\nbob;x;;;\ncarl;;;;\n",
        )
        self.assertIn("would be added: ann, carl", self.hermes("import", path, "--dry-run"))
        self.assertNotIn("[ann]", self.accounts)
        self.assertIn("2 accounts added; 1 were there already; 1 have no password", self.hermes("import", path))
        self.assertTrue(PasswordHasher().verify(self.password("ann"), "pa ss"))
        self.assertTrue(PasswordHasher().verify(self.password("bob"), "secret"))
        self.assertEqual(self.password("carl"), "")
        self.assertIn("addresses = ann@example.org, a.smith@example.org\n", self.accounts)
        self.assertIn("quota = 1G\n", self.accounts)
        self.assertIn("0 accounts added; 3 were there already", self.hermes("import", path))

    def test_generated(self) -> None:
        """Passwords are made on demand, and printed once."""
        printed = self.hermes("import", self.file("people.csv", "name\nann\n"), "--generate")
        made = printed.split()[-1]
        self.assertTrue(PasswordHasher().verify(self.password("ann"), made))

    def test_wrong_lines(self) -> None:
        """Every line that is wrong is named, and nothing is added."""
        before = self.accounts
        path = self.file("people.csv", "name,quota\nann,1G\n-x,\ncarl,much\nann,\n")
        printed = self.hermes("import", path, exit_code=1)
        for line, words in ((3, "can not be"), (4, "much"), (5, "line 2 already")):
            self.assertRegex(printed, f"{path}:{line}: .*{words}")
        self.assertIn("no column 'color'", self.hermes("import", self.file("x.csv", "name,color\n"), exit_code=1))
        self.assertIn("must be called name", self.hermes("import", self.file("y.csv", "quota\n1G\n"), exit_code=1))
        self.assertEqual(self.accounts, before)

    def test_taken_addresses(self) -> None:
        """An address that is somebody's, here or in a line before, is wrong before anything is added."""
        self.hermes("set", "bob", "--address", "bob@example.org", "--address", "sales@example.org")
        before = self.accounts
        path = self.file(
            "people.csv",
            "name,addresses\nann,ann@example.org\ncarl,Sales@Example.org\ndora,dora@example.org ANN@example.org\n",
        )
        printed = self.hermes("import", path, exit_code=1)
        self.assertIn(f"{path}:3: Sales@Example.org is listed by bob and by carl", printed)
        self.assertIn(f"{path}:4: ANN@example.org is listed by ann and by dora", printed)
        self.assertEqual(self.accounts, before)

    def test_too_many_columns(self) -> None:
        """A name with a comma and no quotes does not lose what is behind the comma."""
        path = self.file("people.csv", "name,full_name\nann,Smith, Ann\n")
        self.assertIn(f"{path}:2: there are more than 2 columns", self.hermes("import", path, exit_code=1))
        path = self.file("people.csv", 'name,full_name\nann,"Smith, Ann"\n')
        self.assertIn("1 accounts added", self.hermes("import", path))

    def test_mercury(self) -> None:
        """Mercury's PMAIL.USR is read as it is, and the passwords in the mailboxes."""
        path = self.file("PMAIL.USR", "# users\nA;Admin;The Boss\nU;joe;Joe Smith\nU;ann;\n")
        mail = self.data.parent / "MAIL"
        (mail / "ADMIN").mkdir(parents=True)
        (mail / "joe").mkdir()
        (mail / "joe" / "PASSWD.PM").write_text("# comment\nPOP3_access: pass word\nAPOP_secret: other\n")
        printed = self.hermes("import", path, "--mail", str(mail))
        self.assertIn("3 accounts added; 0 were there already; 2 have no password", printed)
        self.assertTrue(PasswordHasher().verify(self.password("joe"), "pass word"))
        self.assertEqual(self.password("admin"), "")
        self.assertIn("name = Joe Smith\n", self.accounts)
        self.assertIn("write A or U", self.hermes("import", self.file("x.usr", "X;joe;Joe\n"), exit_code=1))
