"""The README has every command, and the guide for those who change the source names files that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

from hermes.cli.main import main
from hermes.config.catalog import DOCUMENTED

ROOT = Path(__file__).resolve().parents[1]

#: A line of the README's list: words, of which one or several may stand for one another.
_LINE = re.compile(r"^    hermes ([a-z|]+)(?: ([a-z][a-z|-]*)(?= ))?", re.MULTILINE)


def commands() -> Iterator[tuple[str, str]]:
    """The words of each command: a group's name and its command's, or a name and nothing."""
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, word) for word in command.commands)
        else:
            yield name, ""


class ReadmeTests(SynchronousTestCase):
    """``README.md``."""

    def test_every_command(self) -> None:
        """Its list has each command there is, and none besides."""
        text = (ROOT / "README.md").read_text().partition("## The command")[2].partition("\n## ")[0]
        listed = {
            (name, word)
            for names, words in _LINE.findall(text)
            for name in names.split("|")
            for word in words.split("|")
        }
        self.assertEqual(sorted(listed), sorted(commands()))


class MercuryTests(SynchronousTestCase):
    """``docs/from-mercury.md``."""

    def test_settings(self) -> None:
        """Each section and setting that it names is there."""
        text = (ROOT / "docs" / "from-mercury.md").read_text()
        here = [cells[1] for line in text.splitlines() if len(cells := line.strip("|").split(" | ")) > 1]
        named = {found for cell in here for found in re.findall(r"`\[([a-z_]+(?::NAME)?)\](?: ([a-z_0-9]+))?`", cell)}
        self.assertGreater(len(named), 40)
        missing = [
            (section, key)
            for section, key in sorted(named)
            if section not in DOCUMENTED or (key and key not in DOCUMENTED[section].settings)
        ]
        self.assertEqual(missing, [])


class WhereTests(SynchronousTestCase):
    """``docs/where.md``."""

    def test_files(self) -> None:
        """Each file and folder of the source that it names is there."""
        text = (ROOT / "docs" / "where.md").read_text()
        named = set(re.findall(r"`((?:hermes|tests|docs|etc)/[\w./]+)`", text))
        self.assertGreater(len(named), 20)
        self.assertEqual([path for path in sorted(named) if not (ROOT / path).exists()], [])
