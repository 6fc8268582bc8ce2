"""All that is written about addresses beside the accounts: aliases, synonyms, groups, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import attrs

from hermes.core.address import domain_key, split
from hermes.directory.accounts import address_key, local_part_key
from hermes.directory.sources.alias_file import Entry

#: Loops that are told of: more than a few say the same.
MAX_LOOPS_TOLD = 20


@attrs.frozen
class RedirectTable:
    """
    Everything at one moment, ready to be looked up.

    Keys are local parts, which hold at every domain, and addresses as :func:`~hermes.directory.accounts.address_key` makes
    them. ``remarks`` are for the administrator: lines that do not count, and loops.
    """

    aliases: Mapping[str, Entry] = attrs.field(factory=dict)
    synonyms: Mapping[str, Entry] = attrs.field(factory=dict)
    groups: Mapping[str, Entry] = attrs.field(factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self.aliases) + len(self.synonyms) + len(self.groups)

    def commands(self) -> set[str]:
        """Every command that an alias may run."""
        every = (*self.aliases.values(), *self.groups.values())
        return {target[1:] for entry in every for target in entry.targets if target.startswith("|")}


class RedirectSource(Protocol):
    """Where they come from: files, or a directory service."""

    async def current(self) -> RedirectTable:
        """All of them, as they are now."""


class NoRedirects:
    """There are none."""

    _table = RedirectTable()

    async def current(self) -> RedirectTable:
        """An empty table."""
        return self._table


def loops(aliases: Mapping[str, Entry], domains: frozenset[str]) -> Iterator[str]:
    """A sentence for each of the first loops among aliases. An alias that names itself means the mailbox of that name."""
    done: set[str] = set()
    told = 0
    for start in aliases:
        if start in done:
            continue
        # Depth first with a stack of its own: a chain may be as long as the file.
        chain: dict[str, Iterator[str]] = {start: _following(start, aliases, domains)}
        while chain and told < MAX_LOOPS_TOLD:
            last = next(reversed(chain))
            following = next(chain[last], None)
            if following is None:
                done.add(last)
                del chain[last]
            elif following in chain and following != last:
                way = [*list(chain)[list(chain).index(following) :], following]
                yield f"{aliases[following].place}: {' -> '.join(way)} is a loop: mail for these is put off"
                told += 1
            elif following not in done and following != last:
                chain[following] = _following(following, aliases, domains)


def _following(name: str, aliases: Mapping[str, Entry], domains: frozenset[str]) -> Iterator[str]:
    for target in aliases[name].targets:
        if target.startswith("|"):
            continue
        local_part, domain = split(target)
        if domain and domain_key(domain) not in domains:
            continue
        for key in (address_key(target), local_part_key(local_part)):
            if key in aliases:
                yield key
                break
