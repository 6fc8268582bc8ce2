"""The page of refusals is whole: it has every rule of the source, in the words of the source, and none besides."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import attrs
import click
from twisted.trial.unittest import SynchronousTestCase

from hermes.cli.main import main
from hermes.config.schema import Settings
from hermes.config.sections.rates import KINDS
from hermes.config.sections.sender_checks import SenderChecksSettings
from hermes.core.transaction_filter import Pass
from tests.support.rule_names import Rule, rules

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "refusals.md"

#: Where servers refuse.
PACKAGES = ("protocols", "services", "policy", "net", "mailbox", "core", "app")

#: Where a rule is handed on: those that it may be are found where they are made, or stand here.
HANDED_ON = {
    # The page of an administrator, and not said to anybody.
    "app/explain.py: entry.rule": (),
    "app/explain.py: step.rule": (),
    "net/gate.py: rule": (),
    "net/login_limits.py: kind.rule": (),
    "net/server_gate.py: entry.rule": ("access.*",),
    "policy/misconduct.py: refused.rule": (),
    "policy/relay.py: route.rule": ("route.*",),
    "protocols/smtp/commands.py: found.rule": (),
    "protocols/smtp/commands.py: rule": (),
    "services/finger_server.py: rule": (),
    "services/password_server.py: event.rule": (),
    "services/pop3_session.py: event.rule": (),
    "services/smtp_session.py: event.rule": (),
}


@attrs.frozen
class Row:
    """One line of a table: its rules, and what is said."""

    rules: tuple[str, ...]
    reply: str
    advice: tuple[str, ...]


def rows() -> list[Row]:
    """All lines of the tables but their heads."""
    found = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line[1:-1].split("|")]
            if len(cells) != 5:
                raise ValueError(f"not five cells: {line}")
            found.append(Row(tuple(re.findall(r"`([^`]+)`", cells[0])), cells[1], tuple(cells[2:])))
    return found


@cache
def source() -> tuple[list[Rule], set[str]]:
    """What is in the source; reading it takes a second."""
    return rules(ROOT, PACKAGES)


def concrete(name: str) -> str:
    """A name of the page with something in the place of the words in capitals."""
    return re.sub(r"[A-Z]+", "x", name)


class RefusalsPageTests(SynchronousTestCase):
    """``docs/refusals.md`` against ``hermes/``."""

    def setUp(self) -> None:
        """Read both."""
        self.rows = {name: row for row in rows() for name in row.rules}
        self.rules, self.handed_on = source()
        names = {name for some in HANDED_ON.values() for name in some}
        self.names = {rule.name for rule in self.rules} | names

    def rows_of(self, name: str) -> list[Row]:
        """The lines about a rule of the source."""
        return [row for written, row in self.rows.items() if fnmatchcase(concrete(written), name)]

    def test_each_once(self) -> None:
        """No rule has two lines, and there are as many as there should be."""
        self.assertEqual(sum(len(row.rules) for row in rows()), len(self.rows))
        self.assertGreater(len(self.rows), 100)

    def test_source_is_understood(self) -> None:
        """Every place of the source is known that refuses by a rule which is not written there."""
        self.assertEqual(self.handed_on, set(HANDED_ON))

    def test_every_rule_has_a_line(self) -> None:
        """What can refuse is on the page."""
        missing = sorted(name for name in self.names if not self.rows_of(name) and not name.startswith("phonebook."))
        self.assertEqual(missing, [])

    def test_every_line_has_a_rule(self) -> None:
        """What is on the page can refuse."""
        idle = [one for one in self.rows if not any(fnmatchcase(concrete(one), name) for name in self.names)]
        self.assertEqual(idle, [])

    def test_every_variant_has_a_line(self) -> None:
        """Where a part of a rule is one of several words, each has a line."""
        tests = {each.name for each in attrs.fields(SenderChecksSettings)} - {"refuse_above", "dns_failure"}
        engine = (ROOT / "hermes/protocols/ph.py").read_text()
        server = (ROOT / "hermes/services/phonebook_server.py").read_text()
        codes = set(re.findall(r"Refused\(\s*(\d{3})", engine)) | set(re.findall(r"_refuse\((\d{3})", server))
        self.assertGreater(len(codes), 7)
        families = {
            "sender_checks": tests | {"dns_failure"},
            "filter": {each.name.lower() for each in Pass},
            "rates": {f"SCOPE_{kind}" for kind in KINDS},
            "phonebook": codes,
        }
        for family, words in families.items():
            written = {name.partition(".")[2] for name in self.rows if name.startswith(f"{family}.")}
            self.assertEqual(written, words, family)

    def test_replies(self) -> None:
        """Wherever the source has reply and rule together, the line has these words."""
        seen = 0
        for rule in self.rules:
            if rule.said and "finger" not in rule.place:
                seen += 1
                self.assertTrue(
                    any(re.search(rule.said, row.reply) for row in self.rows_of(rule.name)),
                    f"{rule} is not on the page",
                )
        self.assertGreater(seen, 80)

    def test_advice(self) -> None:
        """Every line says something beside the reply: what it means, or what to do."""
        for row in rows():
            meaning, peer, administrator = row.advice
            self.assertTrue(meaning or peer or administrator or row.reply.startswith("`5"), row)


class PagesTests(SynchronousTestCase):
    """What pages tell an administrator to set and to type exists."""

    PAGES = ("refusals.md", "receiving.md", "blocked.md")

    def test_settings(self) -> None:
        """Every ``[section]`` with a key behind it is in the configuration."""
        sections = {}
        for field in attrs.fields(Settings):
            repeated = field.metadata.get("repeated")
            kind = field.metadata.get("kind", field.name)
            sections[kind if repeated else field.name] = repeated or field.type
        for page in self.PAGES:
            text = (ROOT / "docs" / page).read_text()
            for section, key in re.findall(r"`\[([a-z_]+)(?::[A-Za-z]+)?\] ([a-z_]+)`", text):
                self.assertIn(section, sections, page)
                kind = self.resolved(section)
                self.assertIn(key, {each.name for each in attrs.fields(kind)}, f"{page}: [{section}] {key}")

    def resolved(self, section: str) -> type:
        """The class of a section; annotations are texts there."""
        for field in attrs.fields(attrs.resolve_types(Settings)):
            if field.metadata.get("kind", field.name) == section and "repeated" in field.metadata:
                found: type = field.metadata["repeated"]
                return found
            if field.name == section and isinstance(field.type, type):
                return field.type
        raise AssertionError(section)

    def test_commands(self) -> None:
        """Every ``hermes WORD WORD`` is a command."""
        for page in self.PAGES:
            text = (ROOT / "docs" / page).read_text()
            for first, second in re.findall(r"`hermes ([a-z]+)(?: ([a-z]+))?", text):
                command = main.get_command(click.Context(main), first)
                self.assertIsNotNone(command, f"{page}: hermes {first}")
                if second and isinstance(command, click.Group):
                    self.assertIn(second, command.commands, f"{page}: hermes {first} {second}")
