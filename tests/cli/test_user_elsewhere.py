"""``hermes user`` with accounts that a directory service keeps: exported like others, and changed there alone."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hermes.core.event import Event, Kind
from tests.support.command import CommandTestCase, record
from tests.support.scripted_ldap import BIND, EXTENDED, SEARCH, ScriptedLDAP, entry, result

SECRET = "correct horse 7 battery"

#: More than Hermes asks for: a password must not come into an archive even if a server hands it out.
JOE = {
    "objectClass": ["inetOrgPerson"],
    "uid": ["joe"],
    "cn": ["Joe Doe"],
    "displayName": ["Joe Doe"],
    "mail": ["joe@example.org", "info@example.org"],
    "userPassword": [SECRET],
}

#: Like the one above, without any address.
SAM = {"objectClass": ["inetOrgPerson"], "uid": ["sam"], "cn": ["Sam"]}


class ElsewhereTests(CommandTestCase):
    """A site with an account of its own, and a directory server with the people in ``people``."""

    def setUp(self) -> None:
        """Joe and Sam are in the directory, ann is in the file."""
        self.people: dict[str, dict[str, list[str]]] = {"uid=joe,o=acme": dict(JOE), "uid=sam,o=acme": dict(SAM)}
        # The group of those without mail, as the server is asked for it.
        self.no_mail: list[bytes] = []
        self.old, self.changes = SECRET, list[bytes]()
        self.server = ScriptedLDAP(self.answer)
        self.stopped = False
        self.addCleanup(self.stop)
        section = f"[ldap:acme]\nservers = {self.server.url}\nstarttls = no\nbase = o=acme\nno_mail = cn=nomail\n"
        self.config = self.site(section)
        self.data = Path(self.config).parent / "data"
        self.archive = self.data.parent / "out.tar.gz"
        self.hermes("add", "ann", "--address", "ann@example.org", "--password-file", "-", typed="secret\n")

    def answer(self, request: int, body: bytes) -> Sequence[bytes]:
        """The server's: it hands out everybody, whoever is asked for, which no client may rely on."""
        if request == BIND:
            # Joe's own password, or nobody's (RFC 4511 4.1.9: 49 is invalidCredentials).
            return [result(BIND, 49 if b"uid=joe" in body and self.old.encode() not in body else 0)]
        if request == EXTENDED:
            self.changes.append(body)
            return [result(EXTENDED, 0)]
        if request != SEARCH:
            return [result(request, 0)]
        if b"cn=nomail" in body:
            return [*self.no_mail, result(SEARCH, 0)]
        return [*(entry(dn, values) for dn, values in self.people.items()), result(SEARCH, 0)]

    def stop(self) -> None:
        """Let the directory be down from now on."""
        if not self.stopped:
            self.stopped = True
            self.server.close()

    def hermes(self, command: str, *words: str, exit_code: int = 0, typed: str | None = None) -> str:
        """What ``hermes user`` prints."""
        ran = self.run_hermes("user", command, "-c", self.config, *words, exit_code=exit_code, typed=typed)
        return str(ran.output)

    def mailbox(self, name: str) -> Path:
        """Make a mailbox with one message."""
        path = self.data / "mail" / name
        for part in ("new", "cur", "tmp"):
            (path / part).mkdir(parents=True)
        (path / "new" / "1.x.host").write_text("Subject: x\n\nbody\n")
        return path

    def exported(self, name: str) -> tuple[dict[str, Any], list[str], list[str]]:
        """The settings in the archive of an account, the addresses in its trace, and the names of its files."""
        self.hermes("export", name, str(self.archive))
        with tarfile.open(self.archive) as tar:
            files = {each: (tar.extractfile(each) or self.fail()).read() for each in tar.getnames()}
        self.assertNotIn(SECRET.encode(), b"".join(files.values()))
        self.archive.unlink()
        trace = [json.loads(line) for line in files[f"{name}/trace.jsonl"].splitlines()]
        return json.loads(files[f"{name}/account.json"]), [each["to"].strip("<>") for each in trace], sorted(files)

    def record_refusals(self, *addresses: str) -> None:
        """One fact about each address in the trace."""
        record(self, self.config, *(Event(float(at), Kind.REFUSED, address=each) for at, each in enumerate(addresses)))

    def test_exported(self) -> None:
        """Mail, what is read of the entry, and what the trace has under the name and each of the addresses."""
        self.mailbox("joe")
        self.record_refusals("joe", "joe@example.org", "info@example.org", "sam@example.org", "ann@example.org")
        settings, trace, files = self.exported("joe")
        self.assertEqual(
            (settings["name"], settings["full_name"], settings["addresses"], settings["disabled"]),
            ("joe", "Joe Doe", ["joe@example.org", "info@example.org"], False),
        )
        self.assertEqual(settings["kept_in"], "ldap:acme uid=joe,o=acme")
        self.assertEqual(trace, ["joe", "joe@example.org", "info@example.org"])
        self.assertEqual(files, ["joe/account.json", "joe/mail/new/1.x.host", "joe/trace.jsonl"])

    def test_without_addresses(self) -> None:
        """Whoever has none in the directory has the name at each domain."""
        self.record_refusals("joe@example.org", "sam@example.org")
        settings, trace, _ = self.exported("sam")
        self.assertEqual((settings["addresses"], trace), (["sam@example.org"], ["sam@example.org"]))

    def test_disabled(self) -> None:
        """An account without mail is exported, too, and is said to be disabled."""
        self.no_mail = [entry("cn=nomail", {"objectClass": ["groupOfNames"]})]
        self.assertTrue(self.exported("joe")[0]["disabled"])

    def test_address_of_somebody_else(self) -> None:
        """What an account before it has is not its own: neither listed in the directory nor implied by its name."""
        self.hermes("set", "ann", "--address", "Info@example.org", "--address", "sam@example.org")
        self.record_refusals("info@example.org", "joe@example.org", "sam@example.org", "sam")
        settings, trace, _ = self.exported("joe")
        self.assertEqual((settings["addresses"], trace), (["joe@example.org"], ["joe@example.org"]))
        settings, trace, _ = self.exported("sam")
        self.assertEqual((settings["addresses"], trace), ([], ["sam"]))

    def test_kept_here_too(self) -> None:
        """The account that is kept here is the one, and the directory is not asked about it: it may be down."""
        self.hermes("add", "joe", "--full-name", "Joseph", "--password-file", "-", typed="secret\n")
        self.record_refusals("joe@example.org", "info@example.org")
        self.stop()
        settings, trace, _ = self.exported("joe")
        self.assertEqual((settings["full_name"], trace), ("Joseph", ["joe@example.org"]))
        self.assertNotIn("kept_in", settings)
        self.assertIn("joe is joseph now", self.hermes("rename", "joe", "joseph"))
        self.hermes("password", "joseph", "--generate")
        self.hermes("erase", "joseph", "--yes")

    def test_nobody(self) -> None:
        """Who is in neither has no account, nor has somebody who is found by another's name."""
        self.assertIn("there is no account 'eve'", self.hermes("export", "eve", str(self.archive), exit_code=1))
        for command, *words in (("erase", "eve", "--yes"), ("rename", "eve", "x"), ("password", "eve", "--generate")):
            self.assertIn("there is no account 'eve'", self.hermes(command, *words, exit_code=1))
        self.people["uid=joe,o=acme"]["uid"] = ["joe", "archer"]
        self.assertIn("no account 'archer'", self.hermes("export", "archer", str(self.archive), exit_code=1))
        self.assertFalse(self.archive.exists())

    def test_down(self) -> None:
        """While no server answers it cannot be told; nothing is written, and no mail is removed."""
        mailbox = self.mailbox("joe")
        self.stop()
        for command, *words in (
            ("export", "joe", str(self.archive)),
            ("erase", "joe", "--yes"),
            ("rename", "joe", "joseph"),
            ("password", "joe", "--generate"),
        ):
            said = self.hermes(command, *words, exit_code=1)
            self.assertIn("the directory cannot be asked for it", said)
            self.assertIn("hermes check", said)
        self.assertTrue((mailbox / "new" / "1.x.host").exists())
        self.assertEqual(sorted(each.name for each in self.data.parent.iterdir()), ["config.ini", "data"])

    def test_two_of_one_name(self) -> None:
        """Of whom the directory has two nobody knows whose the mail is."""
        self.people["uid=joe,ou=x,o=acme"] = dict(JOE)
        self.assertIn("cannot be told apart", self.hermes("export", "joe", str(self.archive), exit_code=1))
        self.assertFalse(self.archive.exists())

    def test_section_that_cannot_be_used(self) -> None:
        """An authority that cannot be read is named, and accounts that are kept here need none."""
        with open(self.config, "a") as file:
            file.write("authority = missing.pem\n")
        self.assertIn("[ldap:acme] authority", self.hermes("export", "joe", str(self.archive), exit_code=1))
        self.assertIn("everything about ann", self.hermes("export", "ann", str(self.archive)))

    def test_changed_there(self) -> None:
        """The name is changed in the directory, which is named, with the entry."""
        said = self.hermes("rename", "joe", "joseph", exit_code=1)
        self.assertIn("(ldap:acme uid=joe,o=acme): give it another name there", said)
        self.assertNotIn("hermes import", said)
        mailbox = self.mailbox("joe")
        self.assertIn(f"hermes import joseph {mailbox}", self.hermes("rename", "joe", "joseph", exit_code=1))
        self.assertTrue(mailbox.exists())

    def test_settings(self) -> None:
        """What is set in the directory, or for all of its accounts, is said to be; nobody hears that there is no such account."""
        for command, *words in (
            ("set", "joe", "--full-name", "Joe"),
            ("disable", "joe"),
            ("enable", "Joe"),
            ("forward", "joe", "ann@example.org"),
            ("remove", "joe"),
            ("profile", "joe"),
            ("cram", "joe", "on"),
        ):
            said = self.hermes(command, *words, exit_code=1)
            self.assertIn("joe is kept in a directory service (ldap:acme uid=joe,o=acme): ", said)
            self.assertIn("there is no account 'eve'", self.hermes(command, "eve", *words[1:], exit_code=1))

    def change_password(self, old: str, new: str, exit_code: int = 0) -> str:
        """Change that of Joe."""
        file = Path(self.mktemp())
        file.write_text(f"{new}\n")
        words = ("password", "Joe", "--old-password-file", "-", "--password-file", str(file))
        return self.hermes(*words, exit_code=exit_code, typed=f"{old}\n")

    def test_password(self) -> None:
        """It is changed in the directory by RFC 3062, with the old one, and by the rule of the password server."""
        self.assertIn("joe has a new password", self.change_password(SECRET, "staple 8 battery"))
        (body,) = self.changes
        # passwdModifyOID; oldPasswd [1] and newPasswd [2] of RFC 3062 2.
        self.assertIn(b"1.3.6.1.4.1.4203.1.11.1", body)
        for tag, secret in ((0x81, SECRET), (0x82, "staple 8 battery")):
            self.assertIn(bytes((tag, len(secret))) + secret.encode(), body)
        said = self.change_password("wrong", "staple 9 battery", exit_code=1)
        self.assertIn("stays what it was. The directory does not take the old password", said)
        self.assertIn("at least 10 characters", self.change_password(SECRET, "short", exit_code=1))
        self.assertEqual(len(self.changes), 1)

    def test_password_without_the_old_one(self) -> None:
        """It is asked for, before anything is generated; both cannot come the same way."""
        self.assertIn("--old-password-file", self.hermes("password", "joe", "--generate", exit_code=2))
        words = ("--old-password-file", "-", "--password-file", "-")
        self.assertIn("Both", self.hermes("password", "joe", *words, exit_code=2, typed="x\n"))
        self.assertEqual(self.changes, [])

    def test_erased(self) -> None:
        """Mail goes when the account is disabled in the directory, or is there no more; not before."""
        mailbox = self.mailbox("joe")
        self.assertIn("disable it there", self.hermes("erase", "joe", "--yes", exit_code=1))
        self.assertTrue((mailbox / "new" / "1.x.host").exists())
        self.no_mail = [entry("cn=nomail", {"objectClass": ["groupOfNames"]})]
        self.assertIn("still in the directory service (ldap:acme uid=joe", self.hermes("erase", "joe", "--yes"))
        self.assertFalse(mailbox.exists())
        self.mailbox("joe")
        self.people.clear()
        self.assertNotIn("still in", self.hermes("erase", "joe", "--yes"))
        self.assertFalse(mailbox.exists())


class OwnAddressTests(CommandTestCase):
    """Without any directory service."""

    def test_address_of_somebody_else(self) -> None:
        """Where another account lists the address that a name implies, its trace is not in the archive of that name."""
        config = self.site()
        for name in ("bob", "ann"):
            self.run_hermes("user", "add", "-c", config, name, "--generate")
        self.run_hermes("user", "set", "-c", config, "ann", "--address", "bob@example.org")
        record(self, config, Event(1.0, Kind.REFUSED, address="bob@example.org"))
        for name, count in (("bob", 0), ("ann", 1)):
            archive = Path(config).parent / f"{name}.tar.gz"
            self.run_hermes("user", "export", "-c", config, name, str(archive))
            with tarfile.open(archive) as tar:
                trace = (tar.extractfile(f"{name}/trace.jsonl") or self.fail()).read().splitlines()
            self.assertEqual(len(trace), count)
