"""
Changing settings in ``config.ini`` without touching anything else in it.

Comments and order stay. The whole result is validated before a single octet is written; then it is written durably, and the
file as it was stays beside it as ``config.ini~``.
"""

from __future__ import annotations

import configparser
import fcntl
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from configupdater import Comment, ConfigUpdater, Section

from hermes.config import catalog
from hermes.config.durable import write_durably
from hermes.config.errors import ConfigError, Problem
from hermes.config.ini import MAX_OCTETS, Document, decode, scan
from hermes.config.loader import Loaded, parse

#: The file as it was before the last change.
BACKUP_SUFFIX = "~"


def set_values(path: str, texts: Mapping[str, str]) -> Loaded:
    """
    Set settings by name (``smtp.max_size``), all of them or none, and return the new configuration.

    Some are right only together, like a user name and its password. Raises LookupError for a setting that does not exist, and
    :class:`ConfigError` when the file would not be right afterwards (nothing is written then) or cannot be read or written.
    """
    changes = [(catalog.find(name), text) for name, text in texts.items()]
    for setting, text in changes:
        if "\n" in text or "\r" in text:
            raise ConfigError(path, [Problem("a value is one line", 0, setting.section, setting.key)])
    # A link to the file stays a link.
    place = os.path.realpath(path)
    try:
        # Two changes at once wait for one another; the lock ends with the descriptor.
        lock = os.open(os.path.dirname(place), os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _replace(path, place, changes)
        finally:
            os.close(lock)
    except OSError as error:
        raise ConfigError(path, [Problem(f"cannot be changed: {error.strerror or error}")]) from None


def _replace(path: str, place: str, changes: Sequence[tuple[catalog.Setting, str]]) -> Loaded:
    with Path(place).open("rb") as file:
        old = file.read(MAX_OCTETS + 1)
        status = os.fstat(file.fileno())
    mode = stat.S_IMODE(status.st_mode)
    try:
        before = decode(old)
    except ValueError as error:
        raise ConfigError(path, [Problem(str(error))]) from None
    try:
        after = before
        for setting, text in changes:
            after = edited(after, setting, text.strip())
    except (configparser.Error, ValueError) as error:
        # It is not even an INI file: our own reader says why, with every line.
        parse(old, path, mode)
        raise ConfigError(path, [Problem(f"cannot be edited, change it by hand: {error}")]) from None
    new = after.encode()
    loaded = parse(new, path, mode)
    owner = (status.st_uid, status.st_gid)
    write_durably(place + BACKUP_SUFFIX, old, mode, owner)
    write_durably(place, new, mode, owner)
    return loaded


def edited(text: str, setting: catalog.Setting, value: str) -> str:
    """The text of a configuration with one setting changed; raise ``configparser.Error`` or ValueError when it cannot be."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    before = re.sub(r"\r\n|\r", "\n", text)
    if before and not before.endswith("\n"):
        before += "\n"
    updater = ConfigUpdater()
    updater.read_string(before)
    if not updater.has_section(setting.section):
        updater.add_section(setting.section)
        if before.strip():
            updater[setting.section].add_before.space(1)
    section = updater[setting.section]
    if setting.key in section:
        section[setting.key].value = value
    else:
        _insert(section, setting.key, value)
    after = str(updater)
    _see_that_nothing_else_changed(scan(before), scan(after), setting, value)
    return after.replace("\n", line_end)


def _insert(section: Section, key: str, value: str) -> None:
    """Put a new key below the comment that documents it, else below the last key, else below the section's header."""
    documented = re.compile(rf"^[#;]\s*{re.escape(key)}\s*[=:]", re.MULTILINE | re.IGNORECASE)
    for block in section.iter_blocks():
        if isinstance(block, Comment) and documented.search(str(block)):
            block.add_after.option(key, value)
            return
    options = list(section.iter_options())
    if options:
        options[-1].add_after.option(key, value)
    else:
        first = next(section.iter_blocks(), None)
        if first is None:
            section.set(key, value)
        else:
            first.add_before.option(key, value)


def _see_that_nothing_else_changed(before: Document, after: Document, setting: catalog.Setting, value: str) -> None:
    """The file is the administrator's: a slip of an editor must never cost a line of it; raise ValueError."""
    place = (setting.section, setting.key)
    expected = {(entry.section, entry.key): entry.text for entry in before.entries} | {place: value}
    if {(entry.section, entry.key): entry.text for entry in after.entries} != expected:
        raise ValueError(f"changing {setting.name} would change other settings as well")
