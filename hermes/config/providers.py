"""What is known about providers: the table ``providers.toml`` beside this file, in which every fact has its source."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs


@attrs.frozen
class Fact:
    """One thing that a provider says about itself, the page that has it, and when that was read; None: not yet."""

    value: Any
    source: str
    read: datetime.date | None = None


@attrs.frozen
class Provider:
    """One provider; ``facts`` by name."""

    name: str
    title: str
    facts: Mapping[str, Fact] = attrs.field(hash=False)

    def get(self, name: str, default: Any = "") -> Any:
        """The value of a fact; ``default`` where nothing is known."""
        fact = self.facts.get(name)
        return default if fact is None else fact.value


@cache
def providers() -> Mapping[str, Provider]:
    """All of the table."""
    table = tomllib.loads(Path(__file__).with_name("providers.toml").read_text("utf-8"))
    return {
        name: Provider(name, each.pop("title"), {key: Fact(**fact) for key, fact in each.items()})
        for name, each in table.items()
    }
