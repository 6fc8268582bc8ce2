"""
From ``config.ini`` to :class:`hermes.config.schema.Settings`.

All or nothing: either every line is understood and the whole makes sense, or :class:`ConfigError` lists everything that is
wrong, each with its line and its remedy. Sections are looked up by the whole text between the brackets, so that repeated ones
(``[access:office]``) are read like all others.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from hermes.config import rules
from hermes.config.catalog import (
    FIELD_OF,
    REPEATED,
    SECTIONS,
    Section,
    Setting,
    Value,
    section_named,
    suggest_key,
    suggest_section,
    value_of,
)
from hermes.config.errors import ConfigError, Problem
from hermes.config.ini import MAX_OCTETS, Document, Entry, decode, scan
from hermes.config.listener import parse_listener
from hermes.config.schema import Settings
from hermes.config.values import parse_value

#: A secret is a password or a token; a larger file is not one.
MAX_SECRET_OCTETS = 64 * 1024

_SECRET_FILE = "file:"  # noqa: S105 - the word that introduces a path


@attrs.frozen
class Loaded:
    """Settings and where they come from: ``lines`` has the line of each key that stands in the file, by section and key."""

    settings: Settings
    lines: Mapping[tuple[str, str], int]

    def value(self, setting: Setting) -> Value:
        """The value in force of one setting; raise LookupError when its section is not there."""
        return value_of(self.settings, setting)


def load(path: str | os.PathLike[str]) -> Settings:
    """Read a configuration; raise :class:`ConfigError`."""
    return read(path).settings


def read(path: str | os.PathLike[str]) -> Loaded:
    """Read a configuration and remember where each value came from; raise :class:`ConfigError`."""
    name = os.fspath(path)
    try:
        with Path(name).open("rb") as file:
            octets = file.read(MAX_OCTETS + 1)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise ConfigError(name, [Problem(f"cannot be read: {error.strerror or error}")]) from None
    return parse(octets, name, mode)


def parse(octets: bytes, path: str, mode: int) -> Loaded:
    """Understand the octets of a configuration that stands (or will stand) at ``path`` with the rights ``mode``."""
    try:
        document = scan(decode(octets))
    except ValueError as error:
        raise ConfigError(path, [Problem(str(error))]) from None
    reading = _Reading(document, path, mode)
    settings = reading.settings()
    if reading.problems:
        raise ConfigError(path, reading.problems)
    return Loaded(settings, document.lines)


class _Reading:
    """One pass over a document; ``problems`` collects all that is wrong."""

    def __init__(self, document: Document, path: str, mode: int) -> None:
        self._document = document
        self._path = os.path.abspath(path)
        self._mode = mode
        self.problems = list(document.problems)
        self._bad: set[tuple[str, str]] = set()

    def settings(self) -> Settings:
        """All settings: with defaults where nothing is set, or where what is set was not understood."""
        for name, line in self._document.sections.items():
            if section_named(name) is None:
                self.problems.append(Problem(f"unknown section; {suggest_section(name)}", line, name))
        known: dict[tuple[str, str], Value] = {}
        for entry in self._document.entries:
            value = self._value(entry)
            if value is not None:
                known[entry.section, entry.key] = value
        settings = self._resolve(known)
        for finding in rules.findings(settings):
            # A rule about a value that was not understood would only repeat what has been said.
            if not self._bad.intersection(finding.about):
                self._report(*finding.about[0], finding.text)
        return settings

    def _value(self, entry: Entry) -> Value | None:
        section = section_named(entry.section)
        if section is None:
            return None
        setting = section.settings.get(entry.key)
        if setting is None:
            self._report(entry.section, entry.key, f"unknown key; {suggest_key(entry.section, entry.key)}")
            return None
        try:
            return parse_value(setting, entry.text)
        except ValueError as error:
            self._bad.add((entry.section, entry.key))
            self._report(entry.section, entry.key, str(error))
            return None

    def _resolve(self, known: Mapping[tuple[str, str], Value]) -> Settings:
        """Make the sections, with absolute paths and with the secrets themselves."""
        beside = os.path.dirname(self._path)
        data = os.path.join(beside, str(known.get(("hermes", "data"), SECTIONS["hermes"].settings["data"].default)))
        data = os.path.normpath(data)
        made = {name: self._made(section, known, data) for name, section in SECTIONS.items()}
        repeated: dict[str, dict[str, Any]] = {kind: {} for kind in REPEATED}
        for name in self._document.sections:
            kind, colon, label = name.partition(":")
            if colon and (section := section_named(name)) is not None:
                repeated[kind][label] = self._made(section, known, data)
        hermes = attrs.evolve(made["hermes"], data=data)
        fields = {FIELD_OF[kind]: sections for kind, sections in repeated.items()}
        return Settings(**{**made, **fields, "hermes": rules.normalized(hermes)}, file=self._path)

    def _made(self, section: Section, known: Mapping[tuple[str, str], Value], data: str) -> Any:
        values = {
            setting.key: self._resolved(setting, known.get((section.name, setting.key), setting.default), data)
            for setting in section.settings.values()
        }
        return section.made_by(**values)

    def _resolved(self, setting: Setting, value: Value, data: str) -> Value:
        if setting.kind == "path" and value:
            return os.path.normpath(os.path.join(data, str(value)))
        if setting.kind == "listeners" and isinstance(value, tuple):
            return self._places(setting, [str(item) for item in value], data)
        if setting.kind == "secret" and value:
            return self._secret(setting, str(value), data)
        return value

    def _places(self, setting: Setting, listeners: list[str], data: str) -> tuple[str, ...]:
        try:
            return tuple(_absolute(listener, data) for listener in listeners)
        except ValueError as error:
            # Together with the data directory a path may be too long for a socket.
            self._bad.add((setting.section, setting.key))
            self._report(setting.section, setting.key, str(error))
            return ()

    def _secret(self, setting: Setting, text: str, data: str) -> str:
        if not text.startswith(_SECRET_FILE):
            # "Secrets may stand in the file" only as long as nobody else can read it.
            if self._mode & (stat.S_IRWXG | stat.S_IRWXO):
                remedy = f"chmod 600 {self._path}, or write file:PATH"
                self._report(setting.section, setting.key, f"is a secret in a file that others may use: {remedy}")
            return text
        path = os.path.join(data, text.removeprefix(_SECRET_FILE).strip())
        try:
            with open(path, "rb") as file:
                octets = file.read(MAX_SECRET_OCTETS + 1)
            if len(octets) > MAX_SECRET_OCTETS:
                raise ValueError(f"is larger than {MAX_SECRET_OCTETS} octets")
            secret = octets.decode("utf-8").rstrip("\r\n")
            if not secret:
                raise ValueError("is empty")
            return secret
        except (OSError, ValueError) as error:
            self._bad.add((setting.section, setting.key))
            why = error.strerror if isinstance(error, OSError) else _without_octets(error)
            self._report(setting.section, setting.key, f"the file {path} cannot be used: {why}")
            return ""

    def _report(self, section: str, key: str, text: str) -> None:
        line = self._document.lines.get((section, key)) or self._document.sections.get(section, 0)
        self.problems.append(Problem(text, line, section, key))


def _absolute(listener: str, data: str) -> str:
    parsed = parse_listener(listener)
    if parsed.kind != "unix":
        return listener
    return str(parse_listener(f"unix:{os.path.normpath(os.path.join(data, parsed.path))}"))


def _without_octets(error: ValueError) -> str:
    # The text of a UnicodeDecodeError shows octets of the secret.
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
