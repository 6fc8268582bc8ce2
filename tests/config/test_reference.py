"""Tests of the generated reference."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.catalog import DOCUMENTED, FIELD_OF, REPEATED, SECTIONS
from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.reference import INI_FILE, KINDS, MARKDOWN_FILE, config_ini, markdown
from tests.support.configuration import write_config

_TOP = Path(__file__).resolve().parents[2]


class ReferenceTests(SynchronousTestCase):
    """``etc/config.ini`` and ``docs/configuration.md``."""

    def test_up_to_date(self) -> None:
        """Both files are what the schema says now; ``python -m hermes.config.reference`` makes them so."""
        self.assertEqual((_TOP / INI_FILE).read_text(), config_ini({}))
        self.assertEqual((_TOP / MARKDOWN_FILE).read_text(), markdown())

    def test_says_the_defaults(self) -> None:
        """``etc/config.ini`` means the defaults: as it is, and with every commented setting in force."""
        text = (_TOP / INI_FILE).read_text()
        uncommented = re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)
        self.assertNotEqual(uncommented, text)
        settings = [load(write_config(self, each)) for each in (text, uncommented)]
        self.assertEqual(*(_without_directory(each) for each in settings))

    def test_every_setting_is_in_it(self) -> None:
        """No setting is left out: uncommenting a wrong value of each is noticed."""
        for section in SECTIONS.values():
            for setting in section.settings.values():
                place = rf"^#{setting.key} =.*$"
                text = config_ini({})
                start = text.index(f"\n[{section.name}]\n")
                broken = text[:start] + re.sub(place, f"{setting.key}_ = 1", text[start:], count=1, flags=re.MULTILINE)
                error = self.assertRaises(ConfigError, load, write_config(self, broken))
                self.assertEqual([problem.section for problem in error.problems], [section.name])

    def test_repeated_sections(self) -> None:
        """A section of which there may be several stands in both files as a form with every key; copies of it are understood."""
        for kind, section in REPEATED.items():
            form = (_TOP / INI_FILE).read_text().partition(f"#     [{section.name}]\n")[2].partition("\n\n")[0]
            keys = re.findall(r"^#     (\w+) =", form, flags=re.MULTILINE)
            self.assertEqual(keys, list(section.settings))
            copied = re.sub(r"^#( {4})?", "", form, flags=re.MULTILINE)
            for key, value in (
                ("addresses", "192.0.2.7"),
                ("zone", "list.example"),
                ("host", "r.test"),
                ("senders", "a.test"),
                ("pattern", "*x*"),
                ("certificate", "c.pem"),
                *((("domains", "r.test"),) if kind == "backup" else ()),
                ("to", "hold"),
                *((("username", "u"), ("password", "p"), ("account", "a")) if kind == "collector" else ()),
                ("key", "k.pem"),
                ("preset", "microsoft"),
                ("client_id", "a"),
                ("servers", "ldaps://ldap.example.org" if kind == "ldap" else "smtp"),
                ("base", "o=acme"),
            ):
                copied = re.sub(f"^ *{key} =(?: none)?$", f" {key} = {value}", copied, flags=re.MULTILINE)
            # One box is collected once.
            second = copied.replace("port = 995", "port = 996")
            settings = load(
                write_config(
                    self, f"[tls]\ncertificate = c.pem\nkey = k.pem\n[{kind}:one]\n{copied}\n[{kind}:two]\n{second}\n"
                )
            )
            self.assertEqual(list(getattr(settings, FIELD_OF[kind])), ["one", "two"])
            self.assertIn(f"\n## `[{section.name}]`\n", markdown())

    def test_kinds(self) -> None:
        """Every kind is explained, and none that does not exist."""
        kinds = {setting.kind for section in DOCUMENTED.values() for setting in section.settings.values()}
        self.assertEqual(set(KINDS), kinds)

    def test_active_settings(self) -> None:
        """Settings in force stand below their documentation."""
        text = config_ini({("smtp", "listen"): "127.0.0.1:2025"})
        self.assertIn("#listen =\nlisten = 127.0.0.1:2025\n", text)
        self.assertEqual(load(write_config(self, text)).smtp.listen, ("127.0.0.1:2025",))


def _without_directory(settings: object) -> str:
    """The settings as text, without the directory that the file happens to be in."""
    assert attrs.has(type(settings))
    beside = str(Path(getattr(settings, "file")).parent)  # noqa: B009
    return str(settings).replace(beside, "")
