"""``hermes alias``: the aliases, synonyms and groups that are in the files."""

from __future__ import annotations

from collections.abc import Mapping

import click

from hermes.app.redirects import files_of
from hermes.cli.output import config_option, json_option, remark, say, say_json, say_table
from hermes.config.loader import load
from hermes.directory.sources.alias_file import Entry
from hermes.directory.sources.alias_files import AliasFiles


@click.group()
def alias() -> None:
    """Look at aliases, synonyms and groups. They are changed in their files; a running server sees that by itself."""


@alias.command("list")
@config_option
@json_option
@click.argument("part", required=False, default="")
def list_(config: str, as_json: bool, part: str) -> None:
    """
    List aliases, synonyms and groups, or those with PART.

    `hermes explain --to ADDRESS` follows one address to all its ends.
    """
    table = AliasFiles(files_of(load(config))).load()
    kinds = (("alias", table.aliases), ("synonym", table.synonyms), ("group", table.groups))
    rows = [row for kind, entries in kinds for row in _rows(kind, entries, part.lower())]
    if as_json:
        names = ("kind", "name", "targets", "place")
        say_json([dict(zip(names, row, strict=True)) for row in rows])
    elif not rows:
        say("There are none.")
    else:
        say_table(
            ("kind", "name", "stands for", "place"),
            [(kind, name, ", ".join(targets), place) for kind, name, targets, place in rows],
        )
    for text in table.remarks:
        remark(text)


def _rows(kind: str, entries: Mapping[str, Entry], part: str) -> list[tuple[str, str, list[str], str]]:
    return [
        (kind, name, list(entry.targets), entry.place)
        for name, entry in entries.items()
        if part in name or any(part in target.lower() for target in entry.targets)
    ]
