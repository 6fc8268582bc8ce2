"""Tests of loading config.ini: paths, secrets, and problems with their lines."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.catalog import find
from hermes.config.errors import ConfigError
from hermes.config.loader import MAX_SECRET_OCTETS, load, read
from hermes.config.schema import Settings
from tests.support.configuration import MINIMAL, write_config


class LoadTests(SynchronousTestCase):
    """A configuration that is right."""

    def test_empty(self) -> None:
        """An empty file is the defaults, with absolute paths."""
        path = write_config(self, "")
        settings = load(path)
        self.assertEqual(settings.smtp, Settings().smtp)
        self.assertEqual(settings.file, path)

    def test_values(self) -> None:
        """What is set is in force, the rest keeps its default."""
        settings = load(
            write_config(
                self, MINIMAL + "[smtp]\nlisten = *:25,\n  127.0.0.1:2525\nmax_size = 10M\n[queue]\nretry = 1m, 2m\n"
            )
        )
        self.assertEqual(settings.hermes.hostname, "mail.example.org")
        self.assertEqual(settings.hermes.domains, ("example.org",))
        self.assertEqual(settings.smtp.listen, ("*:25", "127.0.0.1:2525"))
        self.assertEqual(settings.smtp.max_size, 10 * 1024**2)
        self.assertEqual(settings.queue.retry, (60, 120))
        self.assertEqual(settings.queue.expire, 5 * 86400)

    def test_names_in_lower_case(self) -> None:
        """Host name and domains are kept in lower case."""
        text = "[hermes]\nhostname = Mail.Example.ORG\ndomains = Example.org\npostmaster = Anna@Example.org\n"
        hermes = load(write_config(self, text)).hermes
        self.assertEqual((hermes.hostname, hermes.domains), ("mail.example.org", ("example.org",)))
        self.assertEqual(hermes.postmaster, "Anna@Example.org")

    def test_paths(self) -> None:
        """The data directory is relative to the file, every other path to the data directory; ~ is a name like any other."""
        text = (
            "[hermes]\ndata = ../var\n[tls]\ncertificate = tls/c.pem\nkey = /etc/k.pem\n[smtp]\nlmtp = unix:lmtp.sock\n"
            "[mailbox]\ndirectory = ~/mail\n[log]\nfile =\n"
        )
        path = write_config(self, text)
        data = str(Path(path).parent.parent / "var")
        settings = load(path)
        self.assertEqual(settings.hermes.data, data)
        self.assertEqual(settings.tls.certificate, f"{data}/tls/c.pem")
        self.assertEqual(settings.tls.key, "/etc/k.pem")
        self.assertEqual(settings.smtp.lmtp, (f"unix:{data}/lmtp.sock",))
        self.assertEqual(settings.mailbox.directory, f"{data}/~/mail")
        self.assertEqual(settings.manhole.host_key, f"{data}/manhole/host_key")
        self.assertEqual(settings.log.file, "")

    def test_socket_in_a_deep_directory(self) -> None:
        """A UNIX socket whose path is too long only together with the data directory is a problem with its line."""
        path = write_config(self, f"[hermes]\ndata = /{'d' * 97}\n[smtp]\nlmtp = unix:lmtp.sock\n")
        error = self.assertRaises(ConfigError, load, path)
        self.assertIn(f"{path}:4: [smtp] lmtp: ", str(error))
        self.assertIn("too long", str(error))
        path = write_config(self, f"[hermes]\ndata = /{'d' * 96}\n[smtp]\nlmtp = unix:lmtp.sock\n")
        self.assertEqual(len(load(path).smtp.lmtp[0]), len("unix:") + 107)

    def test_relative_file_name(self) -> None:
        """Paths are absolute also when the file was named relative to the working directory."""
        path = write_config(self, "")
        settings = load(os.path.relpath(path))
        self.assertEqual(settings.hermes.data, str(Path(path).parent / "data"))

    def test_where_values_come_from(self) -> None:
        """Every value that stands in the file knows its line."""
        loaded = read(write_config(self, "[smarthost]\n\nhost = relay.example.net\nport = 25\n"))
        self.assertEqual(loaded.lines, {("smarthost", "host"): 3, ("smarthost", "port"): 4})
        self.assertEqual(loaded.value(find("smarthost.port")), 25)


class SecretTests(SynchronousTestCase):
    """Secrets in the file and beside it."""

    _TEXT = "[smarthost]\nhost = relay.example.net\nusername = u\npassword = {}\n"

    def test_in_the_file(self) -> None:
        """A secret may stand in a file that only its owner can read."""
        self.assertEqual(load(write_config(self, self._TEXT.format("p"))).smarthost.password, "p")

    def test_readable_by_others(self) -> None:
        """A secret in a file that group or others may use is refused; a file without secrets may be open."""
        for mode in (0o640, 0o604, 0o660, 0o602):
            path = write_config(self, self._TEXT.format("hidden-word"), mode)
            error = self.assertRaises(ConfigError, load, path)
            self.assertIn(f"{path}:4: [smarthost] password:", str(error))
            self.assertIn(f"chmod 600 {path}", str(error))
            self.assertNotIn("hidden-word", str(error))
        load(write_config(self, MINIMAL, 0o644))

    def test_in_another_file(self) -> None:
        """file:PATH is read relative to the data directory, without the line end; then the mode does not matter."""
        path = write_config(self, self._TEXT.format("file:secret"), 0o644)
        data = Path(path).parent / "data"
        data.mkdir()
        (data / "secret").write_bytes("pä ss\r\n".encode())
        self.assertEqual(load(path).smarthost.password, "pä ss")

    def test_unusable_file(self) -> None:
        """A secret's file that is missing, empty, too large or no text is a problem that names it, never its content."""
        path = write_config(self, self._TEXT.format("file:secret"))
        data = Path(path).parent / "data"
        data.mkdir()
        for content, why in (
            (None, "No such file"),
            (b"\n", "empty"),
            (b"s" * (MAX_SECRET_OCTETS + 1), "larger"),
            (b"hidden\xff", "not UTF-8"),
        ):
            if content is not None:
                (data / "secret").write_bytes(content)
            error = self.assertRaises(ConfigError, load, path)
            self.assertEqual(len(error.problems), 1)
            self.assertIn(str(data / "secret"), str(error))
            self.assertIn(why, str(error))
            self.assertNotIn("hidden", str(error))
        (data / "secret").write_bytes(b"s" * MAX_SECRET_OCTETS)
        self.assertEqual(len(load(path).smarthost.password), MAX_SECRET_OCTETS)


class ProblemTests(SynchronousTestCase):
    """A configuration that is wrong."""

    def problems_of(self, text: str) -> list[str]:
        """The lines of the error, without the path of the file."""
        path = write_config(self, text)
        error = self.assertRaises(ConfigError, load, path)
        return str(error).replace(path, "config.ini").split("\n")

    def test_unknown_key(self) -> None:
        """An unknown key is named with file and line, and with what was probably meant."""
        self.assertEqual(
            self.problems_of("# top\n\n[smtp]\nmax_sise = 1M\n"),
            ["config.ini:4: [smtp] max_sise: unknown key; did you mean max_size?"],
        )

    def test_key_of_another_section(self) -> None:
        """A key that stands in the wrong section is sent to its own."""
        self.assertEqual(
            self.problems_of("[smtp]\nlisten_tls = *:995\n"),
            ["config.ini:2: [smtp] listen_tls: unknown key; it belongs to [pop3] or [poppass]"],
        )
        self.assertIn("there are certificate, key", self.problems_of("[tls]\nzzz = 1\n")[0])

    def test_unknown_section(self) -> None:
        """An unknown section is named, and its keys are not complained about as well."""
        self.assertEqual(
            self.problems_of("[SMTP]\nlisten = *:25\n"), ["config.ini:1: [SMTP]: unknown section; did you mean [smtp]?"]
        )
        self.assertIn("[smtp]", self.problems_of("[smtp:second]\nhost = x\n")[0])
        self.assertIn("there are [hermes]", self.problems_of("[zzzzzz]\n")[0])

    def test_all_at_once(self) -> None:
        """One attempt shows every problem, in the order of the file."""
        problems = self.problems_of(
            "[hermes]\nhostname = a b\n[smtp]\nlisten = 25\nmax_size = big\nmax_size = 1M\n[pop]\n[tls]\njunk\nkey = k\n"
        )
        self.assertEqual(
            [line.split(" ")[0] for line in problems],
            [f"config.ini:{line}:" for line in (2, 4, 5, 6, 7, 8, 9)],
        )

    def test_missing_file(self) -> None:
        """A file that cannot be read is said to be so."""
        error = self.assertRaises(ConfigError, load, "/nonexistent/config.ini")
        self.assertEqual(str(error), "/nonexistent/config.ini: cannot be read: No such file or directory")
        self.assertRaises(ConfigError, load, "/")

    def test_not_text(self) -> None:
        """A file that is not UTF-8 is refused with the line."""
        path = write_config(self, "")
        Path(path).write_bytes(b"[hermes]\nhostname = \xe4\n")
        self.assertIn("line 2 is not UTF-8", str(self.assertRaises(ConfigError, load, path)))

    def test_bad_value_is_told_once(self) -> None:
        """A value that was not understood does not break further rules: its problem is told once."""
        self.assertEqual(len(self.problems_of("[hermes]\ndomains = a b\n")), 2)
        self.assertEqual(
            self.problems_of("[smtp]\nmax_recipients = none\n"),
            ["config.ini:2: [smtp] max_recipients: 'none' is not a number: write digits alone"],
        )
