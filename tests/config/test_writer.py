"""Tests of changing config.ini."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config import catalog
from hermes.config.errors import ConfigError
from hermes.config.ini import scan
from hermes.config.loader import load
from hermes.config.reference import config_ini
from hermes.config.writer import edited, set_values
from tests.support.configuration import MINIMAL, write_config

_SETTINGS = [setting for section in catalog.SECTIONS.values() for setting in section.settings.values()]
_WORDS = st.sampled_from(["x", "50M", "a, b", "# no comment", "[x]", "k = v", "", "ä;b"])


class EditTests(SynchronousTestCase):
    """The text after a change."""

    def edit(self, text: str, name: str, value: str) -> str:
        """Change one setting."""
        return edited(text, catalog.find(name), value)

    def test_in_place(self) -> None:
        """A key that is set gets its new value in its place; comments, order and spacing stay."""
        before = "# top\n\n[smtp]\n# why\nlisten = *:25,\n    *:26\n\n; end\nmax_size: 1M\n\n[pop3]\n"
        self.assertEqual(
            self.edit(before, "smtp.listen", "*:27"), before.replace("listen = *:25,\n    *:26", "listen = *:27")
        )

    def test_below_its_documentation(self) -> None:
        """A key that is not set goes below the comment that documents it."""
        before = config_ini({("smtp", "timeout"): "1m"})
        after = self.edit(before, "smtp.max_size", "10M")
        self.assertEqual(after, before.replace("#max_size = 50M\n", "#max_size = 50M\nmax_size = 10M\n"))

    def test_into_its_section(self) -> None:
        """Without documentation it goes below the keys of its section, or below the header, before the next section."""
        self.assertEqual(
            self.edit("[smtp]\ntimeout = 1m\n\n[pop3]\n", "smtp.max_size", "10M"),
            "[smtp]\ntimeout = 1m\nmax_size = 10M\n\n[pop3]\n",
        )
        self.assertEqual(self.edit("[smtp]\n\n[pop3]\n", "smtp.max_size", "10M"), "[smtp]\nmax_size = 10M\n\n[pop3]\n")

    def test_new_section(self) -> None:
        """A section that is not there is made at the end."""
        self.assertEqual(
            self.edit("[smtp]\ntimeout = 1m", "pop3.listen", "*:110"),
            "[smtp]\ntimeout = 1m\n\n[pop3]\nlisten = *:110\n",
        )
        self.assertEqual(self.edit("", "pop3.listen", "*:110"), "[pop3]\nlisten = *:110\n")

    def test_line_ends(self) -> None:
        """A file with CRLF line ends keeps them."""
        self.assertEqual(self.edit("[smtp]\r\ntimeout = 1m\r\n", "smtp.timeout", "2m"), "[smtp]\r\ntimeout = 2m\r\n")

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(_SETTINGS), _WORDS), max_size=6), st.booleans())
    def test_only_what_was_asked_for(self, changes: list[tuple[catalog.Setting, str]], commented: bool) -> None:
        """After any series of changes each setting has its last value and all comments are there, in their order."""
        start = config_ini({}) if commented else ""
        text, expected = start, {}
        for setting, value in changes:
            text = edited(text, setting, value)
            expected[setting.section, setting.key] = value
        document = scan(text)
        self.assertEqual({(entry.section, entry.key): entry.text for entry in document.entries}, expected)
        self.assertEqual(document.problems, [])
        comments = [line for line in text.split("\n") if line.startswith("#")]
        self.assertEqual(comments, [line for line in start.split("\n") if line.startswith("#")])


class SetTests(SynchronousTestCase):
    """Changing the file."""

    def test_set(self) -> None:
        """A changed setting is in the file, in the answer and in what is loaded from now on."""
        path = write_config(self, MINIMAL)
        loaded = set_values(path, {"smtp.max_size": " 10M "})
        self.assertEqual(loaded.settings.smtp.max_size, 10 * 1024**2)
        self.assertEqual(load(path), loaded.settings)
        self.assertIn("\n[smtp]\nmax_size = 10M\n", Path(path).read_text())

    def test_together(self) -> None:
        """Several settings are changed together, or none of them is."""
        path = write_config(self, MINIMAL)
        with self.assertRaises(ConfigError):
            set_values(path, {"smtp.max_size": "10M", "queue.expire": "never"})
        self.assertEqual(Path(path).read_text(), MINIMAL)
        loaded = set_values(path, {"smtp.max_size": "10M", "queue.expire": "2d"})
        self.assertEqual((loaded.settings.smtp.max_size, loaded.settings.queue.expire), (10 * 1024**2, 2 * 86400))

    def test_previous_file_stays(self) -> None:
        """The file as it was stays beside the new one, with the same rights; nothing else is left behind."""
        path = write_config(self, MINIMAL, 0o640)
        set_values(path, {"smtp.max_size": "10M"})
        self.assertEqual(Path(path + "~").read_text(), MINIMAL)
        self.assertEqual(sorted(os.listdir(Path(path).parent)), ["config.ini", "config.ini~"])
        self.assertEqual({stat.S_IMODE(os.stat(name).st_mode) for name in (path, path + "~")}, {0o640})

    def test_link(self) -> None:
        """A link to the file stays a link, and the file behind it is changed."""
        path = write_config(self, MINIMAL)
        link = str(Path(path).parent / "link.ini")
        os.symlink(path, link)
        set_values(link, {"smtp.max_size": "10M"})
        self.assertTrue(os.path.islink(link))
        self.assertEqual(load(path).smtp.max_size, 10 * 1024**2)

    def test_validated_first(self) -> None:
        """A value that would make the configuration wrong is not written."""
        path = write_config(self, MINIMAL)
        for section, key, text in (
            ("smtp", "max_size", "big"),
            ("pop3", "listen_tls", "*:995"),
            ("hermes", "postmaster", ""),
            ("hermes", "hostname", "a\nb"),
        ):
            error = self.assertRaises(ConfigError, set_values, path, {f"{section}.{key}": text})
            self.assertIn(f"[{section}] {key}:", str(error))
        self.assertEqual(Path(path).read_text(), MINIMAL)
        self.assertEqual(os.listdir(Path(path).parent), ["config.ini"])

    def test_mends(self) -> None:
        """A wrong value can be replaced by a right one, also when the file cannot be loaded as it is."""
        path = write_config(self, MINIMAL + "[smtp]\nmax_size = big\n")
        set_values(path, {"smtp.max_size": "10M"})
        self.assertEqual(load(path).smtp.max_size, 10 * 1024**2)

    def test_secret_needs_a_private_file(self) -> None:
        """A secret is not written to a file that others may read."""
        path = write_config(self, MINIMAL + "[smarthost]\nhost = r.test\nusername = u\npassword = file:p\n", 0o644)
        error = self.assertRaises(ConfigError, set_values, path, {"smarthost.password": "hidden"})
        self.assertIn("chmod 600", str(error))
        self.assertNotIn("hidden", str(error) + Path(path).read_text())

    def test_unknown(self) -> None:
        """A setting that does not exist is an error with a suggestion."""
        path = write_config(self, MINIMAL)
        error = self.assertRaises(LookupError, set_values, path, {"smtp.max_sise": "1"})
        self.assertIn("smtp.max_size", str(error))

    def test_not_an_ini_file(self) -> None:
        """A file that cannot be understood, or is not there, is left alone."""
        path = write_config(self, "junk\n[smtp]\nlisten = *:25\nlisten = *:26\n")
        error = self.assertRaises(ConfigError, set_values, path, {"smtp.max_size": "1M"})
        self.assertEqual([problem.line for problem in error.problems], [1, 4])
        self.assertIn(
            "No such file", str(self.assertRaises(ConfigError, set_values, path + "x", {"smtp.max_size": "1M"}))
        )
