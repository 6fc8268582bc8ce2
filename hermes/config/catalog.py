"""
What the classes of :mod:`hermes.config.schema` say about every setting, as values that can be listed and looked up.

The loader, the reference, ``hermes config`` and the writer all read the schema through this one view.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator
from functools import lru_cache

import attrs

from hermes.config.schema import Settings
from hermes.config.setting import Network
from hermes.core.address_range import AddressRange

#: What a setting can hold: one type for each kind, see the docstring of :mod:`hermes.config.schema`.
Value = str | int | bool | tuple[str, ...] | tuple[int, ...] | tuple[Network, ...] | tuple[AddressRange, ...]

#: The name behind the colon of a repeated section. It has no dot, so that ``access:office.action`` can be one word.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")

_NAMING = "NAME of small letters, digits, - and _, 40 at most"


@attrs.frozen
class Setting:
    """
    One key of one section: how it is written (``kind``, ``choices``), what it is without being set, and what it means.

    A ``fixed`` setting cannot be changed while the server runs: files that are open, and a shell that somebody may be in.
    """

    section: str
    key: str
    kind: str
    default: Value
    doc: str
    choices: tuple[str, ...]
    fixed: bool = False

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
            fixed=field.metadata["fixed"],
        )
        for field in attrs.fields(made_by)
    }
    return Section(name, made_by, inspect.getdoc(made_by) or "", settings)


def _documented() -> Iterator[Section]:
    for field in attrs.fields(Settings):
        repeated = field.metadata.get("repeated")
        if repeated is not None:
            yield _section(f"{field.metadata.get('kind', field.name)}:NAME", repeated)
        elif field.name != "file" and field.default is not None:
            yield _section(field.name, field.default.factory)


#: All sections in the order in which people read them, under the names by which the reference calls them: one that may be
#: repeated is there once, as ``access:NAME``. ``file`` is no section.
DOCUMENTED: dict[str, Section] = {section.name: section for section in _documented()}

#: The sections of which there is always exactly one, by name.
SECTIONS: dict[str, Section] = {name: section for name, section in DOCUMENTED.items() if ":" not in name}

#: The sections that may be repeated, by what stands before the colon.
REPEATED: dict[str, Section] = {name.partition(":")[0]: section for name, section in DOCUMENTED.items() if ":" in name}

#: The field of the settings that holds the repeated sections of a kind: another one where there is a single section, too.
FIELD_OF: dict[str, str] = {
    field.metadata.get("kind", field.name): field.name
    for field in attrs.fields(Settings)
    if "repeated" in field.metadata
}


@lru_cache(4096)
def section_named(name: str) -> Section | None:
    """The section that a header of the file names (``smtp``, ``access:office``); None when there can be none of that name."""
    kind, colon, label = name.partition(":")
    if not colon:
        return SECTIONS.get(name)
    repeated = REPEATED.get(kind)
    return _section(name, repeated.made_by) if repeated is not None and _NAME.match(label) else None


def sections_of(settings: Settings) -> Iterator[Section]:
    """The sections that there are in these settings: each single one, and every one of the repeated."""
    for name, section in DOCUMENTED.items():
        kind, colon, _ = name.partition(":")
        if not colon:
            yield section
            continue
        for label in getattr(settings, FIELD_OF[kind]):
            yield _section(f"{kind}:{label}", section.made_by)


def value_of(settings: Settings, setting: Setting) -> Value:
    """The value of a setting; raise LookupError when it belongs to a repeated section that is not there."""
    kind, colon, label = setting.section.partition(":")
    section = getattr(settings, FIELD_OF[kind] if colon else kind)
    if colon:
        if label not in section:
            raise LookupError(f"there is no section [{setting.section}]")
        section = section[label]
    value: Value = getattr(section, setting.key)
    return value


#: The names of the settings that a server takes only when it starts.
FIXED: tuple[str, ...] = tuple(
    setting.name for section in SECTIONS.values() for setting in section.settings.values() if setting.fixed
)


def find(name: str) -> Setting:
    """The setting of that name (``smtp.max_size``, ``access:office.action``); raise LookupError with a suggestion."""
    section_name, _, key = name.strip().lower().partition(".")
    section = section_named(section_name)
    if section is not None and key in section.settings:
        return section.settings[key]
    names = [setting.name for each in DOCUMENTED.values() for setting in each.settings.values()]
    # A bare key is often enough to know what is meant.
    meant = [known for known in names if known.partition(".")[2] == name.strip().lower()]
    meant = meant or difflib.get_close_matches(name.strip().lower(), names, n=1)
    hint = f"did you mean {' or '.join(meant)}?" if meant else "see hermes config show for all names"
    raise LookupError(f"{name}: there is no such setting; {hint}")


def suggest_section(name: str) -> str:
    """The remedy for an unknown section."""
    kind, colon, label = name.strip().lower().partition(":")
    if kind in REPEATED:
        return f"write [{kind}:NAME], {_NAMING}"
    if colon and _NAME.match(label) and (close := difflib.get_close_matches(kind, REPEATED, n=1)):
        return f"did you mean [{close[0]}:{label}]?"
    if close := difflib.get_close_matches(kind, SECTIONS, n=1):
        return f"did you mean [{close[0]}]?"
    return "there are " + ", ".join(f"[{known}]" for known in DOCUMENTED)


def suggest_key(section: str, key: str) -> str:
    """The remedy for an unknown key of a known section."""
    elsewhere = [f"[{other.name}]" for other in DOCUMENTED.values() if key in other.settings]
    if elsewhere:
        return "it belongs to " + " or ".join(elsewhere)
    known = section_named(section)
    keys = known.settings if known is not None else {}
    close = difflib.get_close_matches(key, keys, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return "there are " + ", ".join(keys)
