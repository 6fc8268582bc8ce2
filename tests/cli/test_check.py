"""Tests of ``hermes check``: what is not in order is found, and nothing is changed."""

from __future__ import annotations

import datetime
import os
import shutil
import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hermes.cli.collector_inspection import inspect_collectors
from hermes.cli.finding import Level
from hermes.cli.inspection import FULL_OCTETS
from hermes.cli.queue_inspection import AHEAD_SECONDS
from hermes.config.loader import load
from hermes.directory.app_password_file import AppPasswordFile
from hermes.net.tls import DAYS_OF_WARNING
from tests.support.command import CommandTestCase, queue_message
from tests.support.oauth import P256, jwk, jwks

_TLS = "[tls]\ncertificate = cert.pem\nkey = key.pem\n"


class CheckTests(CommandTestCase):
    """Looking at a site."""

    def findings(self, config: str, about: str, exit_code: int = 0) -> list[tuple[str, str]]:
        """Level and text of what is said about one thing."""
        found: list[dict[str, Any]] = self.run_json("check", "-c", config, exit_code=exit_code)
        return [(each["level"], each["text"]) for each in found if each["about"] == about]

    def assert_finding(self, config: str, about: str, level: str, part: str) -> None:
        """One finding of that level holds the words; a failure means exit code 1."""
        found = self.findings(config, about, exit_code=1 if level == "fail" else 0)
        self.assertTrue(any(each == level and part in text for each, text in found), found)

    def complete_site(self, more: str = "") -> str:
        """A site whose postmaster has an account."""
        config = self.site(more)
        self.run_hermes("user", "add", "-c", config, "anna", "--generate")
        return config

    def test_certificates_by_name(self) -> None:
        """Every certificate is listed with its names and its days; one that is not for a name given to it is warned of."""
        section = "[certificate:two]\ncertificate = cert.pem\nkey = key.pem\n"
        config = self.complete_site(f"{_TLS}{section}names = mail.example.org, mx.example.net\n")
        self.certificate(config, "mail.example.org", 60)
        for about in ("certificate", "certificate:two"):
            self.assert_finding(config, about, "ok", "(for mail.example.org) fits its key and is valid for 60 days")
        self.assert_finding(config, "certificate:two", "warn", "is not for the name mx.example.net")
        (Path(config).parent / "data" / "cert.pem").unlink()
        self.assert_finding(config, "certificate:two", "fail", "cannot be read")

    def test_relay_modes(self) -> None:
        """Modes that let in more than is meant, or less, are warned of; a backup is told."""
        for more, part in (
            ("relay = normal\n", "private network"),
            ("relay = only-authenticated\nrelay_networks = 192.168.0.0/16\n", "no effect"),
            ("relay = strict\nauth_without_tls = loopback\nsubmission = 127.0.0.1:2587\n", "submission"),
        ):
            self.assert_finding(self.complete_site(f"[smtp]\n{more}"), "relaying", "warn", part)
        backup = self.complete_site("[backup:friend]\ndomains = example.net\n")
        self.assert_finding(backup, "backup:friend", "ok", "example.net is taken, asking their server")

    def test_greeting(self) -> None:
        """A greeting file that cannot be used is found, before a server refuses to start with it."""
        config = self.complete_site("[smtp]\ngreeting_file = greeting.txt\n")
        self.assert_finding(config, "greeting", "fail", "No such file")
        file = Path(config).parent / "data" / "greeting.txt"
        file.write_text("x" * 513)
        self.assert_finding(config, "greeting", "fail", "more than 512")
        file.write_text("Welcome\n")
        self.assert_finding(config, "greeting", "ok", "Welcome")

    def test_tokens(self) -> None:
        """Keys for tokens that cannot be used are found; nothing is said where tokens are not taken."""
        section = "[oauth]\ncheck = jwt\nissuer = https://login.example.org\naudience = hermes\nkeys = keys.json\n"
        config = self.complete_site(section)
        self.assert_finding(config, "tokens", "fail", "keys.json: No such file")
        (Path(config).parent / "data" / "keys.json").write_bytes(jwks(jwk(P256, "ES256")))
        self.assert_finding(config, "tokens", "ok", "the name is in email")

    def certificate(self, config: str, name: str, days: int) -> None:
        """Write a certificate for a name that is valid for so many days, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1000))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        data = Path(config).parent / "data"
        (data / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8
        octets = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        (data / "key.pem").write_bytes(octets)
        (data / "key.pem").chmod(0o600)

    def test_lines(self) -> None:
        """Each finding is a line that begins with ok, warn or fail; warnings alone end with 0."""
        config = self.complete_site()
        lines = self.run_hermes("check", "-c", config).stdout.splitlines()
        self.assertEqual(lines[0], f"ok   configuration: {config} is understood")
        self.assertLessEqual({line[:5] for line in lines}, {"ok   ", "warn "})

    def test_wrong_configuration(self) -> None:
        """A configuration that is wrong ends with 3, and every problem has its line."""
        config = self.site("[smtp]\nmax_sise = 1\nlisten = 25\n")
        result = self.run_hermes("check", "-c", config, exit_code=3)
        self.assertEqual([line.split(" ")[0] for line in result.stderr.splitlines()], [f"{config}:6:", f"{config}:7:"])

    def test_changes_nothing(self) -> None:
        """Nothing is written, whatever is missing."""
        config = self.site()
        self.run_hermes("check", "-c", config, exit_code=1)
        self.assertEqual(list((Path(config).parent / "data").iterdir()), [])

    def test_room(self) -> None:
        """A disk that has less room than a message may need is warned of, and only such a one."""
        config = self.complete_site("[smtp]\nmax_size = 2M\n")
        for free, warned in ((2 * 1024**2, False), (2 * 1024**2 - 1, True)):
            self.patch(shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
            result = self.run_hermes("check", "-c", config)
            self.assertEqual("2047K left: a message of max_size (2M)" in result.stdout, warned)

    def test_full_disk(self) -> None:
        """A disk on which no more mail finds room fails, whatever max_size is; it is told of once, not for each directory."""
        config = self.complete_site("[smtp]\nmax_size = 100K\n")
        for free, full in ((FULL_OCTETS, False), (FULL_OCTETS - 1, True), (0, True)):
            self.patch(shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
            result = self.run_hermes("check", "-c", config, exit_code=1 if full else 0)
            self.assertEqual(result.stdout.count("make room"), 1 if full else 0, free)

    def test_data_directory(self) -> None:
        """The data directory must be one, be writable, and should be closed to others."""
        config = self.complete_site()
        data = Path(config).parent / "data"
        self.assert_finding(config, "data directory", "ok", str(data))
        data.chmod(0o750)
        self.assert_finding(config, "data directory", "warn", f"chmod 700 {data}")
        self.patch(os, "access", lambda path, mode: str(path) != str(data))
        self.assert_finding(config, "data directory", "fail", "cannot be written to")
        deep = self.site()
        deep_data = Path(deep).parent / ("d" * 100)
        deep_data.mkdir(mode=0o700)
        self.run_hermes("config", "set", "-c", deep, "hermes.data", str(deep_data))
        self.assert_finding(deep, "data directory", "fail", "too long")
        other = self.site("[mailbox]\ndirectory = /dev/null\n[log]\nfile = /dev/null/mail.log\n")
        self.assert_finding(other, "mailboxes", "fail", "/dev/null is not a directory")
        self.assert_finding(other, "mail log", "fail", "/dev/null is not a directory")

    def test_certificate(self) -> None:
        """The certificate must be readable, fit its key and be valid, and should be for the server's name."""
        self.assert_finding(self.complete_site(), "certificate", "warn", "there is none")
        config = self.complete_site(_TLS)
        self.assert_finding(config, "certificate", "fail", "cert.pem")
        for days, level in ((DAYS_OF_WARNING, "ok"), (DAYS_OF_WARNING - 1, "warn"), (0, "warn"), (-1, "fail")):
            self.certificate(config, "mail.example.org", days)
            self.assertEqual(
                [found for found, _ in self.findings(config, "certificate", int(level == "fail"))], [level]
            )
        with patch("time.time", return_value=time.time() - 2000 * 86400):
            self.certificate(config, "mail.example.org", 100)
            self.assert_finding(config, "certificate", "fail", "is the clock of this machine right? It says 20")
        key = (Path(config).parent / "data" / "key.pem").read_bytes()
        self.certificate(config, "mail.example.org", 100)
        (Path(config).parent / "data" / "key.pem").write_bytes(key)
        self.assert_finding(config, "certificate", "fail", "does not belong")

    def test_name_of_certificate(self) -> None:
        """A wildcard stands for one label; a certificate for another name, or an open key, gets a warning."""
        config = self.complete_site(_TLS)
        for name, levels in (("MAIL.example.org", ["ok"]), ("*.example.org", ["ok"]), ("example.org", ["ok", "warn"])):
            self.certificate(config, name, 100)
            self.assertEqual([level for level, _ in self.findings(config, "certificate")], levels, name)
        (Path(config).parent / "data" / "key.pem").chmod(0o644)
        self.assert_finding(config, "certificate", "warn", "chmod 600")

    def test_app_passwords(self) -> None:
        """They are counted; those of nobody are named, and a file that cannot be read keeps people out."""
        config = self.site()
        self.run_hermes("user", "add", "-c", config, "anna", "--generate")
        self.run_hermes("user", "app-password", "add", "-c", config, "anna", "phone")
        path = Path(config).parent / "data" / "app-passwords.sqlite"
        self.assert_finding(config, "app passwords", "ok", f"{path} has 1")
        AppPasswordFile(str(path)).rename("anna", "eve")
        self.assert_finding(config, "app passwords", "warn", f"remove -c {config} --all eve")
        path.write_bytes(b"no database at all, " * 100)
        self.assert_finding(config, "app passwords", "fail", str(path))

    def test_accounts(self) -> None:
        """The accounts must be readable; that others may read them is a warning."""
        config = self.site()
        self.assert_finding(config, "accounts", "fail", "there is no such file")
        self.run_hermes("user", "add", "-c", config, "anna", "--generate")
        self.assert_finding(config, "accounts", "ok", "1 account")
        accounts = Path(config).parent / "data" / "accounts.ini"
        accounts.chmod(0o640)
        self.assert_finding(config, "accounts", "warn", f"chmod 600 {accounts}")
        accounts.write_text("[anna]\npasword = x\n")
        self.assert_finding(config, "accounts", "fail", f"{accounts}:2:")
        accounts.write_bytes(b"\xff")
        self.assert_finding(config, "accounts", "fail", "UTF-8")

    def test_postmaster(self) -> None:
        """The postmaster must be the address of an account here that is not disabled, unless no domain is ours."""
        config = self.complete_site()
        self.assert_finding(config, "postmaster", "ok", "is the account anna")
        accounts = Path(config).parent / "data" / "accounts.ini"
        accounts.write_text("[bob]\naddresses = Anna@example.org\n")
        self.assert_finding(config, "postmaster", "ok", "is the account bob")
        accounts.write_text("[anna]\naddresses = bob@example.org\n")
        self.assert_finding(config, "postmaster", "fail", "no account has the address")
        accounts.write_text("[anna]\ndisabled = yes\n")
        self.assert_finding(config, "postmaster", "fail", "is disabled")
        self.run_hermes("config", "set", "-c", config, "hermes.postmaster", "anna@example.net")
        self.assert_finding(config, "postmaster", "fail", "name a mailbox here")
        self.run_hermes("config", "set", "-c", config, "hermes.domains", "")
        self.assert_finding(config, "postmaster", "ok", "at another server")

    def test_collectors(self) -> None:
        """Whoever is to have collected mail must be there, and be able to have it."""
        self.assertEqual(self.findings(self.complete_site(), "collectors"), [])
        section = "[collector:{0}]\nhost = pop.example.net\nusername = {0}\npassword = x\n"
        more = section.format("one") + "account = Anna\n" + section.format("many") + "default = anna\n"
        config = self.complete_site(more + section.format("free") + "account = joe@example.net\n")
        self.assert_finding(config, "collectors", "ok", "3 boxes at other servers")
        accounts = Path(config).parent / "data" / "accounts.ini"
        accounts.write_text("[anna]\ndisabled = yes\n")
        self.assert_finding(
            config, "collectors", "fail", "[collector:one] account: the account Anna is disabled, and its"
        )
        accounts.write_text("[bob]\naddresses = anna@example.org\n")
        self.assert_finding(config, "collectors", "fail", "[collector:one] account: there is no account Anna")
        said = "[collector:many] default: there is no account anna, and mail for nobody goes to the postmaster"
        self.assertEqual(self.findings(config, "collectors", exit_code=1)[1], ("warn", said))
        accounts.write_text("nonsense")
        self.assertEqual(self.findings(config, "collectors", exit_code=1), [])
        accounts.write_text("")
        with open(config, "a") as file:
            file.write("[ldap:staff]\nservers = ldaps://ldap.example.org\nbase = dc=example,dc=org\n")
        found = list(inspect_collectors(load(config)))
        self.assertEqual([each.level for each in found], [Level.WARN, Level.WARN])
        self.assertIn("Anna is in no file: mail for it waits whenever the directory is down", found[0].text)

    def test_spool(self) -> None:
        """The store of the queue must be whole."""
        config = self.complete_site()
        message = queue_message(self, config)
        self.assert_finding(config, "queue", "ok", "is whole")
        database = Path(config).parent / "data" / "spool" / "spool.sqlite"
        with sqlite3.connect(database) as connection:
            connection.execute("DELETE FROM bodies")
        connection.close()
        self.assert_finding(config, "queue", "fail", message.queue_id)
        database.write_bytes(b"this is no database, and was one a moment ago" * 100)
        self.assert_finding(config, "queue", "fail", "docs/trouble.md says how to save what is in it")

    def test_pauses(self) -> None:
        """What is paused is warned of, for it is easily forgotten; with a damaged list no server starts."""
        config = self.complete_site()
        self.assertEqual(self.findings(config, "pauses"), [])
        path = Path(config).parent / "data" / "pauses.json"
        path.write_text('{"example.net": 5.0}')
        self.assert_finding(
            config, "pauses", "warn", f"1 in force, for which mail waits: hermes queue pause -c {config}"
        )
        path.write_text("{garb")
        self.assert_finding(config, "pauses", "fail", "remove it")
        path.unlink()
        path.mkdir()
        self.assert_finding(config, "pauses", "fail", f"{path}: Is a directory")

    def test_clock(self) -> None:
        """Mail from the future says that the clock was ahead, and what to do: it would wait for that time."""
        config = self.complete_site()
        queue_message(self, config)
        database = Path(config).parent / "data" / "spool" / "spool.sqlite"
        for ahead, levels in ((AHEAD_SECONDS - 30, []), (AHEAD_SECONDS + 30, ["warn"]), (1000 * 86400, ["warn"])):
            with sqlite3.connect(database) as connection:
                connection.execute("UPDATE messages SET accepted_at = ?", (time.time() + ahead,))
            connection.close()
            self.assertEqual([level for level, _ in self.findings(config, "clock")], levels, ahead)
        self.assert_finding(config, "clock", "warn", "1 message in the queue came in the future")
        self.assert_finding(config, "clock", "warn", f"hermes queue retry -c {config}")

    def test_manhole(self) -> None:
        """A manhole that nobody can enter is a warning."""
        config = self.complete_site("[manhole]\nlisten = 127.0.0.1:2022\n")
        self.assert_finding(config, "manhole", "warn", "cannot be read")
        keys = Path(config).parent / "data" / "manhole" / "authorized_keys"
        keys.parent.mkdir()
        keys.write_text("# nobody\n\n")
        self.assert_finding(config, "manhole", "warn", "lists 0 keys")
        keys.write_text("# me\nssh-ed25519 AAAA me\n")
        self.assert_finding(config, "manhole", "ok", "lists 1 key")
        self.assertEqual(self.findings(self.complete_site(), "manhole"), [])

    def test_metrics(self) -> None:
        """Metrics that others can reach and none may read are a warning, until an entry lets somebody."""
        for more, levels in (
            ("", []),
            ("[metrics]\nlisten = 127.0.0.1:9025\n", []),
            ("[metrics]\nlisten = 127.0.0.1:9025, *:9026\n", ["warn"]),
            ("[metrics]\nlisten = *:9026\n[access:a]\naddresses = 192.0.2.9\nservers = smtp\n", ["warn"]),
            ("[metrics]\nlisten = *:9026\n[access:a]\naddresses = 192.0.2.9\naction = refuse\n", ["warn"]),
            ("[metrics]\nlisten = *:9026\n[access:a]\naddresses = 192.0.2.9\n", []),
            ("[metrics]\nlisten = *:9026\n[access:a]\naddresses = 192.0.2.9\nservers = metrics\n", []),
        ):
            found = self.findings(self.complete_site(more), "metrics")
            self.assertEqual([level for level, _ in found], levels, more)

    def test_services(self) -> None:
        """A server that listens nowhere, serves no domain or sends nothing on gets warnings."""
        config = self.complete_site()
        self.assert_finding(config, "listening", "warn", "nowhere")
        self.assert_finding(config, "sending", "warn", "[smarthost]")
        config = self.complete_site("[smtp]\nlisten = 127.0.0.1:25, [::1]:25\n[direct]\nenabled = yes\n")
        self.assert_finding(config, "listening", "ok", "smtp.listen 127.0.0.1:25, [::1]:25")
        self.assert_finding(config, "sending", "ok", "straight")
        config = self.complete_site(
            "[smarthost:a]\nhost = a.test\nsenders = a.test\nfallback = b\n[smarthost:b]\nhost = b.test\n"
        )
        self.assert_finding(config, "sending", "ok", "some mail for others goes through a.test:587, the smart host a")
        self.assert_finding(config, "sending", "ok", "b.test:587, the smart host b, is a fall-back")
        self.assert_finding(config, "sending", "warn", "that none of these smart hosts takes cannot leave")
        client = "[oauth_client:o]\npreset = microsoft\nclient_id = a\n"
        config = self.complete_site(client + "[smarthost]\nhost = a.test\nusername = u\noauth = o\n")
        self.assert_finding(config, "sending", "warn", "run hermes oauth login o")
        config = self.complete_site("[smarthost]\nhost = relay.test\nverify = no\n")
        self.assert_finding(config, "sending", "ok", "relay.test:587")
        self.assert_finding(config, "sending", "warn", "not verified")
        config = self.complete_site()
        Path(config).write_text("")
        self.assert_finding(config, "domains", "warn", "there are none")

    def test_relaying(self) -> None:
        """Networks of the Internet that may relay are a warning; private ones are not."""
        for more in (
            "[smtp]\nrelay_networks = 10.0.0.0/8, 8.8.8.0/24\n",
            "[access:ours]\naddresses = 10.0.0.0/8, 8.8.8.0/24\nrelay = yes\n",
        ):
            ((level, text),) = self.findings(self.complete_site(more), "relaying")
            self.assertEqual(level, "warn")
            self.assertIn("8.8.8.0/24", text)
        self.assertEqual(self.findings(self.complete_site("[access:ours]\naddresses = 8.8.8.0/24\n"), "relaying"), [])

    def test_words_of_strangers(self) -> None:
        """Control characters in names of files do not reach the terminal."""
        config = self.complete_site("[log]\nfile = a\u2028\u202eb\n")
        self.assertTrue(self.run_hermes("check", "-c", config).output.isascii())
