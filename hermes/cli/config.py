"""``hermes config``: what is in force and why, what a setting means, and changing some."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import click

from hermes.cli import password
from hermes.cli.output import Refused, config_option, json_option, remark, say, say_json, say_table
from hermes.config import catalog
from hermes.config.catalog import DOCUMENTED, REPEATED, SECTIONS, Section, Setting
from hermes.config.errors import ConfigError
from hermes.config.loader import Loaded, read
from hermes.config.reference import KINDS
from hermes.config.values import format_value

_MASK = "********"


@click.group()
def config() -> None:
    """Show, explain and change the settings."""


@config.command()
@config_option
@json_option
@click.argument("name", metavar="[SECTION[.KEY]]", required=False)
def show(config: str, as_json: bool, name: str | None) -> None:
    """
    Print what is in force and where each value comes from.

    With SECTION or SECTION.KEY, only that. Secrets are not shown.
    """
    loaded = read(config)
    settings = _chosen(name, list(catalog.sections_of(loaded.settings)))
    if as_json:
        say_json({setting.name: _described(loaded, setting) for setting in settings})
        return
    rows = [(setting.name, _text(loaded, setting), _source(loaded, setting)) for setting in settings]
    say_table(("setting", "value", "from"), rows)


@config.command()
@config_option
@click.argument("name", metavar="SECTION.KEY")
def get(config: str, name: str) -> None:
    """Print one value that is in force, and nothing else."""
    loaded = read(config)
    setting = _find(name)
    if setting.kind == "secret" and loaded.value(setting):
        raise Refused(f"{setting.name} is a secret and not shown; it is set in {_source(loaded, setting)}")
    say(_text(loaded, setting))


@config.command("set")
@config_option
@click.argument("words", metavar="SECTION.KEY VALUE [SECTION.KEY VALUE]...", nargs=-1, required=True)
def set_(config: str, words: Sequence[str]) -> None:
    """
    Change settings in the file.

    Several are changed together or not at all; a user name and its password are right only together. Comments and order
    stay. Nothing is written unless the whole configuration is right afterwards. The file as it was stays
    beside it with a ~ at its end. A running server takes the change at: hermes reload; some need a restart, and that is said.

    A secret may be given as - and is then read from standard input, where no list of processes shows it.
    """
    if len(words) % 2:
        raise click.UsageError(f"{words[-1]} has no value: write SECTION.KEY VALUE, both, for each setting.")
    changes = {_find(name): value for name, value in zip(words[::2], words[1::2], strict=True)}
    for setting, value in changes.items():
        if setting.kind == "secret" and value == "-":
            changes[setting] = password.obtain_secret("-")
    # Only here: a server that runs for years would carry along what edits need.
    from hermes.config.writer import set_values  # noqa: PLC0415

    loaded = set_values(config, {setting.name: value for setting, value in changes.items()})
    for setting in changes:
        say(f"{setting.name} = {_text(loaded, setting)}")
    fixed = [setting.name for setting in changes if setting.fixed]
    if fixed:
        # With one of them changed, a reload is refused as a whole.
        remark(f"A running server takes this at a restart; {', '.join(fixed)} cannot be changed while it runs.")
    else:
        remark(f"A running server takes this at: hermes reload -c {config}")


@config.command()
@click.option(
    "-c",
    "--config",
    "config",
    envvar="HERMES_CONFIG",
    metavar="FILE",
    help="Say also what is in force in this config.ini.",
)
@json_option
@click.argument("name", metavar="[SECTION[.KEY]]", required=False)
def explain(config: str | None, as_json: bool, name: str | None) -> None:
    """
    Say what a setting means and how it is written.

    With SECTION, all settings of that section; without anything, all there are. Needs no configuration file.
    """
    settings = _chosen(name, list(DOCUMENTED.values()))
    if as_json:
        say_json({setting.name: _explained(setting) for setting in settings})
        return
    loaded = None
    if config is not None:
        try:
            loaded = read(config)
        except ConfigError:
            remark(f"{config} is not in order, see: hermes check -c {config}")
    for number, setting in enumerate(settings):
        if number:
            click.echo()
        say(setting.name)
        say(f"    {setting.doc}")
        say(f"    kind:     {_kind(setting)}")
        say(f"    default:  {format_value(setting.kind, setting.default) or '(empty)'}")
        if setting.fixed:
            say("    change:   needs a restart")
        if loaded is not None and _is_there(loaded, setting):
            say(f"    in force: {_text(loaded, setting) or '(empty)'}    ({_source(loaded, setting)})")


def _find(name: str) -> Setting:
    try:
        return catalog.find(name)
    except LookupError as error:
        raise Refused(str(error)) from None


def _chosen(name: str | None, among: list[Section]) -> list[Setting]:
    """The settings that a name means, or all: a setting, a section, or all sections of one kind (``access``)."""
    if name is not None and name not in SECTIONS and name not in REPEATED:
        section = catalog.section_named(name.strip().lower())
        return [_find(name)] if section is None else list(section.settings.values())
    return [
        setting
        for section in among
        if name is None or section.name.partition(":")[0] == name
        for setting in section.settings.values()
    ]


def _is_there(loaded: Loaded, setting: Setting) -> bool:
    try:
        loaded.value(setting)
    except LookupError:
        return False
    return True


def _text(loaded: Loaded, setting: Setting) -> str:
    try:
        value = loaded.value(setting)
    except LookupError as error:
        raise Refused(f"{loaded.settings.file}: {error}") from None
    return _MASK if setting.kind == "secret" and value else format_value(setting.kind, value)


def _source(loaded: Loaded, setting: Setting) -> str:
    line = loaded.lines.get((setting.section, setting.key))
    return f"{loaded.settings.file}:{line}" if line else "default"


def _described(loaded: Loaded, setting: Setting) -> dict[str, object]:
    line = loaded.lines.get((setting.section, setting.key))
    return {"value": _text(loaded, setting), "default": line is None, "file": loaded.settings.file, "line": line}


def _kind(setting: Setting) -> str:
    if setting.choices:
        return f"one of {', '.join(setting.choices)}"
    return f"{setting.kind}: {KINDS[setting.kind]}".replace("`", "")


def _explained(setting: Setting) -> dict[str, object]:
    described = attrs.asdict(setting, filter=attrs.filters.include("section", "key", "kind", "doc", "choices", "fixed"))
    return {**described, "default": format_value(setting.kind, setting.default)}
