"""The configuration of a server that runs, read again."""

from __future__ import annotations

from hermes.config.catalog import FIXED
from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.schema import Settings


def load_again(path: str, before: Settings) -> Settings:
    """Read a changed configuration; raise ValueError when it is wrong, or changes what cannot be changed."""
    try:
        settings = load(path)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    changed = [key for key in FIXED if _value(before, key) != _value(settings, key)]
    if changed:
        raise ValueError(f"{', '.join(changed)} cannot be changed while the server runs: restart it")
    return settings


def _value(settings: Settings, key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)
