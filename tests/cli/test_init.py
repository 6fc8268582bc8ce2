"""Tests of ``hermes init``: a site from nothing, or no trace of one."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from twisted.conch.ssh.keys import Key

from hermes.config import site
from hermes.config.loader import load
from hermes.directory.sources.file import FileSource
from hermes.net.tls import load_context
from tests.support.command import CommandTestCase


def _tree(directory: Path) -> dict[str, str]:
    """Every path below a directory with its rights."""
    return {str(path.relative_to(directory)): oct(stat.S_IMODE(path.stat().st_mode)) for path in directory.rglob("*")}


class InitTestCase(CommandTestCase):
    """A place for sites."""

    def setUp(self) -> None:
        """Make it."""
        self.top = Path(tempfile.mkdtemp(prefix="hermes-")).resolve()
        self.addCleanup(shutil.rmtree, self.top)
        self.directory = self.top / "site"

    def init(self, *words: str, typed: str | None = None, exit_code: int = 0) -> str:
        """Run ``hermes init`` for the place; what it printed."""
        return self.run_hermes(
            "init", str(self.directory), "--domain", "example.org", *words, typed=typed, exit_code=exit_code
        ).output


class InitTests(InitTestCase):
    """Making a site."""

    def test_site(self) -> None:
        """A site listens everywhere at the standard ports, and everything in it belongs to its owner alone."""
        output = self.init("--user", "Anna", "--password-file", "-", typed="secret\n")
        settings = load(self.directory / "config.ini")
        self.assertEqual(settings.hermes.hostname, "mail.example.org")
        self.assertEqual(settings.hermes.domains, ("example.org",))
        self.assertEqual(settings.hermes.postmaster, "anna@example.org")
        self.assertEqual(settings.smtp.listen, ("*:25",))
        self.assertEqual(settings.smtp.submission, ("*:587",))
        self.assertEqual(settings.smtp.submissions, ("*:465",))
        self.assertEqual(settings.smtp.auth_without_tls, "never")
        self.assertEqual(settings.pop3.listen, ("*:110",))
        self.assertEqual(settings.pop3.listen_tls, ("*:995",))
        self.assertEqual(settings.manhole.listen, ())
        self.assertEqual(
            _tree(self.directory),
            {
                "config.ini": "0o600",
                "data": "0o700",
                "data/accounts.ini": "0o600",
                "data/manhole": "0o700",
                "data/manhole/authorized_keys": "0o600",
                "data/manhole/host_key": "0o600",
                "data/tls": "0o700",
                "data/tls/certificate.pem": "0o644",
                "data/tls/key.pem": "0o600",
            },
        )
        self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o700)
        self.assertEqual(
            [account.name for account in FileSource(f"{settings.hermes.data}/accounts.ini").list()], ["anna"]
        )
        self.assertIn(f"hermes run -c {self.directory}/config.ini", output)
        self.assertNotIn("secret", output)

    def test_check_is_content(self) -> None:
        """What init has made passes ``hermes check``."""
        for words in ((), ("--demo",), ("--user", "anna", "--password-file", "-", "--hostname", "mx.example.net")):
            self.init(*words, typed="secret")
            config = str(self.directory / "config.ini")
            findings = self.run_json("check", "-c", config)
            self.assertEqual({each["level"] for each in findings if each["about"] != "sending"}, {"ok"})
            shutil.rmtree(self.directory)

    def test_certificate(self) -> None:
        """The certificate is for host name and domain, for ten years, signed by its own key, and no authority."""
        self.init("--hostname", "MX.example.net")
        settings = load(self.directory / "config.ini")
        load_context(settings.tls.certificate, settings.tls.key)
        certificate = x509.load_pem_x509_certificate(Path(settings.tls.certificate).read_bytes())
        certificate.verify_directly_issued_by(certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["mx.example.net", "example.org"])
        self.assertFalse(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        self.assertEqual(lifetime.days, site.CERTIFICATE_DAYS)

    def test_postmaster(self) -> None:
        """Without --user the postmaster gets an account, whose password is printed."""
        output = self.init()
        self.assertRegex(output, r"login +postmaster\n +password +\w{20} ")
        self.assertEqual(load(self.directory / "config.ini").hermes.postmaster, "postmaster@example.org")

    def test_demo(self) -> None:
        """A demonstration listens on loopback only at the standard ports + 2000, with a login in the clear."""
        output = self.init("--demo")
        settings = load(self.directory / "config.ini")
        self.assertEqual(settings.smtp.listen, ("127.0.0.1:2025",))
        self.assertEqual(settings.smtp.submission, ("127.0.0.1:2587",))
        self.assertEqual(settings.smtp.submissions, ("127.0.0.1:2465",))
        self.assertEqual(settings.pop3.listen, ("127.0.0.1:2110",))
        self.assertEqual(settings.pop3.listen_tls, ("127.0.0.1:2995",))
        self.assertEqual(settings.manhole.listen, ("127.0.0.1:2022",))
        self.assertEqual({settings.smtp.auth_without_tls, settings.pop3.auth_without_tls}, {"loopback"})
        self.assertEqual(settings.hermes.postmaster, "demo@example.org")
        found = re.search(r"password +(\w{20}) ", output)
        assert found is not None
        self.assertIn(f"curl --user demo:{found[1]} pop3://127.0.0.1:2110/1", output)
        self.assertIn("smtp://127.0.0.1:2025", output)
        names = x509.load_pem_x509_certificate(Path(settings.tls.certificate).read_bytes()).extensions
        addresses = names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.IPAddress)
        self.assertEqual(addresses, [ipaddress.ip_address("127.0.0.1")])

    def test_demo_manhole(self) -> None:
        """The demonstration's manhole lets the key in that lies beside the configuration, and has its own host key."""
        self.init("--demo")
        settings = load(self.directory / "config.ini")
        entry = Key.fromFile(str(self.directory / "manhole_key"))
        listed = [
            Key.fromString(line)
            for line in Path(settings.manhole.authorized_keys).read_bytes().splitlines()
            if not line.startswith(b"#")
        ]
        self.assertEqual(listed, [entry.public()])
        self.assertNotEqual(Key.fromFile(settings.manhole.host_key), entry)
        serialization.load_ssh_private_key(Path(settings.manhole.host_key).read_bytes(), None)

    def test_port_offset(self) -> None:
        """--port-offset is added to every port, up to the last that is one."""
        self.init("--port-offset", "1000")
        self.assertEqual(load(self.directory / "config.ini").smtp.listen, ("*:1025",))
        shutil.rmtree(self.directory)
        self.init("--demo", "--port-offset", "64540")
        self.assertEqual(load(self.directory / "config.ini").pop3.listen_tls, ("127.0.0.1:65535",))
        shutil.rmtree(self.directory)
        self.init("--port-offset", "64541", exit_code=2)
        self.assertFalse(self.directory.exists())

    def test_empty_directory(self) -> None:
        """An empty directory is taken, and closed to others; missing parents are made."""
        self.directory.mkdir(mode=0o755)
        self.init()
        self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o700)
        self.directory = self.top / "a" / "b" / "site"
        self.init()
        self.assertTrue((self.directory / "config.ini").exists())


class RefusalTests(InitTestCase):
    """When there will be no site, there is no trace of one."""

    def test_overwrites_nothing(self) -> None:
        """A directory with anything in it, a file, or a link that leads nowhere, is left alone."""
        self.directory.mkdir(mode=0o755)
        (self.directory / "notes").write_text("mine")
        self.assertIn("nothing was changed", self.init(exit_code=1))
        self.assertEqual(_tree(self.directory), {"notes": "0o644"})
        self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o755)
        self.directory = self.top / "file"
        self.directory.write_text("mine")
        self.init(exit_code=1)
        self.assertEqual(self.directory.read_text(), "mine")
        self.directory = self.top / "link"
        self.directory.symlink_to(self.top / "nowhere")
        self.init(exit_code=1)

    def test_second_run(self) -> None:
        """Running it again changes nothing."""
        self.init()
        before = {path: path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}
        self.init(exit_code=1)
        self.assertEqual({path: path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}, before)

    def test_undone_at_every_step(self) -> None:
        """Whichever file cannot be written, everything that was made is taken away, and nothing else."""
        self.init()
        files = sum(1 for path in self.directory.rglob("*") if path.is_file()) - 1  # accounts.ini is written elsewhere
        shutil.rmtree(self.directory)
        real = os.open
        for step in range(files):
            count = 0

            def failing(
                path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None, step: int = step
            ) -> int:
                nonlocal count
                if flags & os.O_EXCL and str(path).startswith(str(self.directory)):
                    count += 1
                    if count == step + 1:
                        raise OSError(28, "No space left on device", path)
                return real(path, flags, mode, dir_fd=dir_fd)

            with mock.patch("os.open", failing):
                self.assertIn("No space left on device", self.init(exit_code=1))
            self.assertEqual(list(self.top.iterdir()), [], f"step {step}")

    def test_account_fails(self) -> None:
        """When the first account cannot be made, all is undone: an empty directory stays, with the rights it had."""
        self.directory.mkdir(mode=0o755)
        with mock.patch.object(FileSource, "add", side_effect=OSError(5, "Input/output error", "accounts.ini")):
            self.assertIn("accounts.ini: Input/output error", self.init(exit_code=1))
        self.assertEqual(_tree(self.directory), {})
        self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o755)

    def test_what_can_be_typed(self) -> None:
        """The commands that are printed begin as the command was called, unless it is found by its name alone."""
        for called, found, printed in (
            (".venv/bin/hermes", None, ".venv/bin/hermes"),
            ("/opt/my mail/bin/hermes", None, "'/opt/my mail/bin/hermes'"),
            ("/usr/bin/hermes", "/usr/bin/hermes", "hermes"),
            ("/usr/lib/hermes/cli/main.py", None, "hermes"),
        ):
            with mock.patch.object(sys, "argv", [called]), mock.patch.object(shutil, "which", return_value=found):
                output = self.init("--demo")
            self.assertIn(f"    {printed} track -c {self.directory}/config.ini", output)
            shutil.rmtree(self.directory)

    def test_full_disk(self) -> None:
        """A disk that is full says so of no file: the site is named instead."""
        with mock.patch.object(FileSource, "add", side_effect=OSError(28, "No space left on device")):
            self.assertIn(f"{self.directory}: No space left on device; nothing was changed", self.init(exit_code=1))
        self.assertEqual(list(self.top.iterdir()), [])

    def test_own_result_is_wrong(self) -> None:
        """What init has written is read back: were it wrong, it would be told, and undone."""
        with mock.patch.object(site, "config_ini", return_value="[smtp]\nmax_sise = 1\n"):
            self.assertIn("max_sise: unknown key", self.init(exit_code=3))
        self.assertEqual(list(self.top.iterdir()), [])

    def test_usage(self) -> None:
        """Names that cannot be, and a password without an account, are wrong usage and change nothing."""
        for words in (
            ("--domain", "exa mple.org"),
            ("--hostname", "192.0.2.1"),
            ("--user", "../x", "--password-file", "-"),
            ("--user", "anna"),
            ("--password-file", "-"),
        ):
            self.init(*words, exit_code=2)
        self.run_hermes("init", str(self.directory), exit_code=2)
        self.assertEqual(list(self.top.iterdir()), [])
