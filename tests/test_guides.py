"""The README has every command, and the guide for those who change the source names files that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

from hermes.cli.main import main

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


class WhereTests(SynchronousTestCase):
    """``docs/where.md``."""

    def test_files(self) -> None:
        """Each file and folder of the source that it names is there."""
        text = (ROOT / "docs" / "where.md").read_text()
        named = set(re.findall(r"`((?:hermes|tests|docs|etc)/[\w./]+)`", text))
        self.assertGreater(len(named), 20)
        self.assertEqual([path for path in sorted(named) if not (ROOT / path).exists()], [])
