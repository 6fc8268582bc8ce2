"""Tests of ``hermes config``."""

from __future__ import annotations

from pathlib import Path

from hermes.config.catalog import DOCUMENTED, SECTIONS
from hermes.config.loader import load
from tests.support.command import CommandTestCase

_SECRET = "[smarthost]\nhost = relay.test\nusername = u\npassword = hidden-word\n"


class ShowTests(CommandTestCase):
    """What is in force, and why."""

    def test_where_values_come_from(self) -> None:
        """Each setting is shown with its value and with file and line, or as a default."""
        config = self.site("[smtp]\nmax_size = 10240K\n")
        lines = self.run_hermes("config", "show", "-c", config).stdout.splitlines()
        self.assertEqual(
            [line.split() for line in lines if "smtp.max_size" in line], [["smtp.max_size", "10M", f"{config}:6"]]
        )
        self.assertEqual(
            [line.split() for line in lines if "smtp.timeout" in line], [["smtp.timeout", "5m", "default"]]
        )
        self.assertEqual(len(lines) - 1, sum(len(section.settings) for section in SECTIONS.values()))

    def test_part(self) -> None:
        """One section or one setting can be asked for."""
        config = self.site()
        lines = self.run_hermes("config", "show", "-c", config, "tls").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["SETTING", "tls.certificate", "tls.key"])
        self.assertEqual(list(self.run_json("config", "show", "-c", config, "pop3.timeout")), ["pop3.timeout"])

    def test_repeated(self) -> None:
        """Sections of which there are several are shown by their names; one that is not there cannot be shown."""
        config = self.site("[access:a]\naddresses = 192.0.2.7\n[access:b]\naddresses = 192.0.2.8-192.0.2.10\n")
        shown = self.run_json("config", "show", "-c", config, "access")
        self.assertEqual(
            [name for name in shown if name.endswith("addresses")], ["access:a.addresses", "access:b.addresses"]
        )
        self.assertEqual(shown["access:b.addresses"]["value"], "192.0.2.8-192.0.2.10")
        self.assertEqual(len(self.run_json("config", "show", "-c", config, "access:b")), len(shown) // 2)
        self.assertLess(set(shown), set(self.run_json("config", "show", "-c", config)))
        self.assertEqual(self.run_hermes("config", "get", "-c", config, "access:a.action").stdout, "allow\n")
        for words in (("get", "-c", config, "access:c.action"), ("show", "-c", config, "access:c")):
            self.assertIn("no section [access:c]", self.run_hermes("config", *words, exit_code=1).stderr)
        self.assertIn("(" + config, self.run_hermes("config", "explain", "-c", config, "access:a.addresses").stdout)
        self.assertNotIn("in force", self.run_hermes("config", "explain", "-c", config, "access").stdout)

    def test_json(self) -> None:
        """As JSON each setting has value, file and line."""
        config = self.site("[smtp]\nmax_size = 10M\n")
        shown = self.run_json("config", "show", "-c", config)
        self.assertEqual(shown["smtp.max_size"], {"value": "10M", "default": False, "file": config, "line": 6})
        self.assertEqual(shown["smtp.timeout"], {"value": "5m", "default": True, "file": config, "line": None})

    def test_secrets_are_masked(self) -> None:
        """A secret is never shown, in no form; that it is set is."""
        config = self.site(_SECRET)
        for words in (("show",), ("show", "--json"), ("show", "smarthost.password"), ("explain", "smarthost.password")):
            output = self.run_hermes("config", *words, "-c", config).output
            self.assertNotIn("hidden-word", output)
            self.assertIn("********", output)
        result = self.run_hermes("config", "get", "-c", config, "smarthost.password", exit_code=1)
        self.assertNotIn("hidden-word", result.output)
        self.assertIn(f"{config}:8", result.stderr)

    def test_wrong_configuration(self) -> None:
        """A wrong configuration ends with 3 and its problems on standard error, each with its line."""
        config = self.site("[smtp]\nmax_sise = 1\n[pop]\n")
        result = self.run_hermes("config", "show", "-c", config, exit_code=3)
        self.assertEqual(
            result.stderr.splitlines(),
            [
                f"{config}:6: [smtp] max_sise: unknown key; did you mean max_size?",
                f"{config}:7: [pop]: unknown section; did you mean [pop3]?",
            ],
        )
        self.assertEqual(result.stdout, "")


class GetSetTests(CommandTestCase):
    """Reading and changing one setting."""

    def test_get(self) -> None:
        """Get prints the value in force and nothing else; paths are absolute."""
        config = self.site("[smtp]\nlisten = 127.0.0.1:25,\n  [::1]:25\n")
        self.assertEqual(
            self.run_hermes("config", "get", "-c", config, "smtp.listen").stdout, "127.0.0.1:25, [::1]:25\n"
        )
        self.assertEqual(self.run_hermes("config", "get", "-c", config, "smtp.max_size").stdout, "50M\n")
        data = str(Path(config).parent / "data")
        self.assertEqual(self.run_hermes("config", "get", "-c", config, "hermes.data").stdout, data + "\n")

    def test_set(self) -> None:
        """Set changes the file, prints what is in it now, and says how a running server takes it."""
        config = self.site()
        result = self.run_hermes("config", "set", "-c", config, "smtp.max_size", "10240K")
        self.assertEqual(result.stdout, "smtp.max_size = 10M\n")
        self.assertIn("hermes reload", result.stderr)
        self.assertEqual(load(config).smtp.max_size, 10 * 1024**2)

    def test_set_needs_a_restart(self) -> None:
        """What a running server cannot take is said to need a restart, by name, also beside what it could take."""
        config = self.site()
        words = ("log.format", "json", "smtp.max_size", "10M")
        for number in (2, 4):
            result = self.run_hermes("config", "set", "-c", config, *words[:number])
            self.assertIn("at a restart; log.format cannot be changed while it runs", result.stderr)
            self.assertNotIn("reload", result.stderr)

    def test_set_together(self) -> None:
        """Settings that are right only together are set together; a name without a value is wrong usage."""
        config = self.site("[smarthost]\nhost = relay.test\n")
        words = ("smarthost.username", "office", "smarthost.password", "-")
        self.run_hermes("config", "set", "-c", config, *words[:2], exit_code=3)
        self.run_hermes("config", "set", "-c", config, *words[:3], exit_code=2)
        result = self.run_hermes("config", "set", "-c", config, *words, typed="hidden-word\n")
        self.assertEqual(result.stdout, "smarthost.username = office\nsmarthost.password = ********\n")
        smarthost = load(config).smarthost
        self.assertEqual((smarthost.username, smarthost.password), ("office", "hidden-word"))

    def test_set_refused(self) -> None:
        """A value that would make the configuration wrong ends with 3 and leaves the file alone."""
        config = self.site()
        before = Path(config).read_bytes()
        result = self.run_hermes("config", "set", "-c", config, "pop3.listen_tls", "*:995", exit_code=3)
        self.assertIn("[pop3] listen_tls: TLS needs a certificate", result.stderr)
        self.assertEqual(Path(config).read_bytes(), before)

    def test_secret_from_standard_input(self) -> None:
        """A secret may come from standard input, so that no list of processes shows it; it is not printed."""
        config = self.site("[smarthost]\nhost = relay.test\nusername = u\npassword = p\n")
        result = self.run_hermes("config", "set", "-c", config, "smarthost.password", "-", typed="hidden-word\n")
        self.assertEqual(load(config).smarthost.password, "hidden-word")
        self.assertNotIn("hidden-word", result.output)

    def test_unknown(self) -> None:
        """A setting that does not exist is told with what was probably meant."""
        config = self.site()
        for words in (
            ("get", "smtp.max_sise"),
            ("set", "max_size", "1"),
            ("explain", "smtp.max_sise"),
            ("show", "max_size"),
        ):
            result = self.run_hermes("config", words[0], "-c", config, *words[1:], exit_code=1)
            self.assertIn("did you mean smtp.max_size", result.stderr)
        self.assertIn("config show", self.run_hermes("config", "get", "-c", config, "zzz.zzz", exit_code=1).stderr)


class ExplainTests(CommandTestCase):
    """What a setting means."""

    def test_without_a_configuration(self) -> None:
        """Explain needs no file, and says meaning, kind, choices and default."""
        output = self.run_hermes("config", "explain", "smtp.bare_newlines").stdout
        for part in ("stands alone", "one of refuse, normalize", "default:  refuse"):
            self.assertIn(part, output)
        self.assertNotIn("in force", output)

    def test_restart(self) -> None:
        """Of settings that need a restart it says so, and of no others; the same as JSON."""
        for name, fixed in (("queue.active", True), ("queue.expire", False)):
            output = self.run_hermes("config", "explain", name).stdout
            self.assertEqual("needs a restart" in output, fixed, name)
            self.assertEqual(self.run_json("config", "explain", name)[name]["fixed"], fixed, name)

    def test_in_force(self) -> None:
        """With a file it says also what is in force; a file that is wrong does not keep it from explaining."""
        config = self.site("[smtp]\nmax_size = 10M\n")
        output = self.run_hermes("config", "explain", "-c", config, "smtp.max_size").stdout
        self.assertIn(f"in force: 10M    ({config}:6)", output)
        broken = self.site("junk\n")
        result = self.run_hermes("config", "explain", "-c", broken, "smtp.max_size")
        self.assertIn("default:  50M", result.stdout)
        self.assertIn(f"hermes check -c {broken}", result.stderr)

    def test_every_setting(self) -> None:
        """Without a name every setting is explained, as text and as JSON."""
        explained = self.run_json("config", "explain")
        self.assertEqual(
            list(explained), [setting.name for section in DOCUMENTED.values() for setting in section.settings.values()]
        )
        self.assertEqual(explained["smarthost.tls"]["choices"], ["none", "starttls", "implicit"])
        output = self.run_hermes("config", "explain").stdout
        self.assertTrue(all(name in output for name in explained))
