"""
What the classes of :mod:`hermes.config.schema` say about every setting, as values that can be listed and looked up.

The loader, the reference, ``hermes config`` and the writer all read the schema through this one view.
"""

from __future__ import annotations

import difflib
import inspect

import attrs

from hermes.config.schema import Network, Settings

#: What a setting can hold: one type for each kind, see the docstring of :mod:`hermes.config.schema`.
Value = str | int | bool | tuple[str, ...] | tuple[int, ...] | tuple[Network, ...]


@attrs.frozen
class Setting:
    """One key of one section: how it is written (``kind``, ``choices``), what it is without being set, and what it means."""

    section: str
    key: str
    kind: str
    default: Value
    doc: str
    choices: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name by which commands know it: ``smtp.max_size``."""
        return f"{self.section}.{self.key}"


@attrs.frozen
class Section:
    """One section: the class that holds its values, what it is for, and its settings by key."""

    name: str
    made_by: type
    doc: str
    settings: dict[str, Setting]


def _section(name: str, made_by: type) -> Section:
    settings = {
        field.name: Setting(
            section=name,
            key=field.name,
            kind=field.metadata["kind"],
            default=field.default,
            doc=field.metadata["doc"],
            choices=field.metadata["choices"],
        )
        for field in attrs.fields(made_by)
    }
    return Section(name, made_by, inspect.getdoc(made_by) or "", settings)


#: All sections by name, in the order in which people read them; ``file`` is no section.
SECTIONS: dict[str, Section] = {
    field.name: _section(field.name, field.default.factory)
    for field in attrs.fields(Settings)
    if field.name != "file" and field.default is not None
}


def find(name: str) -> Setting:
    """The setting of that name (``smtp.max_size``); raise LookupError with a suggestion."""
    section, _, key = name.strip().lower().partition(".")
    if section in SECTIONS and key in SECTIONS[section].settings:
        return SECTIONS[section].settings[key]
    names = [setting.name for each in SECTIONS.values() for setting in each.settings.values()]
    # A bare key is often enough to know what is meant.
    meant = [known for known in names if known.partition(".")[2] == name.strip().lower()]
    meant = meant or difflib.get_close_matches(name.strip().lower(), names, n=1)
    hint = f"did you mean {' or '.join(meant)}?" if meant else "see hermes config show for all names"
    raise LookupError(f"{name}: there is no such setting; {hint}")


def suggest_section(name: str) -> str:
    """The remedy for an unknown section."""
    close = difflib.get_close_matches(name.strip().lower(), SECTIONS, n=1)
    if close:
        return f"did you mean [{close[0]}]?"
    return "there are " + ", ".join(f"[{known}]" for known in SECTIONS)


def suggest_key(section: str, key: str) -> str:
    """The remedy for an unknown key of a known section."""
    elsewhere = [f"[{other.name}]" for other in SECTIONS.values() if key in other.settings]
    if elsewhere:
        return "it belongs to " + " or ".join(elsewhere)
    close = difflib.get_close_matches(key, SECTIONS[section].settings, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return "there are " + ", ".join(SECTIONS[section].settings)
