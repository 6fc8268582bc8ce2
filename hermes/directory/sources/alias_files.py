"""
The files of aliases, synonyms and groups, read again when one of them changes.

A file that cannot be used leaves everything as it was: all or nothing. That is said once, with file and line. A file that is
not there is an empty one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import attrs
from twisted.logger import Logger

from hermes.config.errors import ConfigError
from hermes.config.rule_file import read_rules
from hermes.core.address import domain_key
from hermes.directory.redirects import RedirectTable, loops
from hermes.directory.shared_work import SharedWork
from hermes.directory.sources.alias_file import MAX_OCTETS, AliasFileError, Entry, Problems, decoded, parse
from hermes.interfaces import IGroupWorker

#: How often the files are looked at while addresses are asked for: an edit is in force within a second or two.
LOOK_SECONDS = 1.0

#: Remarks that are logged; `hermes check` tells all.
MAX_REMARKS = 20

#: Sets of rules that are named. Mercury's users have a handful; each file is read whenever the aliases are.
MAX_RULE_SETS = 1000

_RULES = "FILTER:"

_Stamp = tuple[int, int, int] | None


@attrs.frozen
class Files:
    """
    Which files there are; of several about one address the first counts.

    ``of_domains`` has the files of aliases that hold at one domain alone, by domain.
    """

    aliases: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    of_domains: tuple[tuple[str, tuple[str, ...]], ...] = ()
    domains: tuple[str, ...] = ()
    programs: bool = False

    def paths(self) -> list[str]:
        """Every file."""
        special = [path for _, paths in self.of_domains for path in paths]
        return list(dict.fromkeys([*self.aliases, *self.synonyms, *self.groups, *special]))


@attrs.frozen
class Loaded:
    """What was read of some files, and how they were then."""

    table: RedirectTable
    stamps: tuple[_Stamp, ...]
    files: Files


@attrs.frozen
class _Refused:
    problem: str
    stamps: tuple[_Stamp, ...]
    files: Files
    #: The file of rules that is at fault, if it is one, and how it was.
    rules: str = ""
    rules_stamp: _Stamp = None


class _RulesError(AliasFileError):
    """An alias names rules that cannot be carried out: the file with these, and how it was."""

    def __init__(self, entry: Entry, problem: str, rules: str, stamp: _Stamp) -> None:
        super().__init__(entry.path, entry.line, f"FILTER: {problem}")
        self.rules = rules
        self.stamp = stamp


class AliasFiles:
    """
    The entries of some files.

    ``worker``, whose ``perform`` calls each item, does the reading for a server; without one everything is done in the caller's
    thread. ``now`` gives seconds that only increase.
    """

    _log = Logger()

    def __init__(
        self, files: Files, worker: IGroupWorker | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._files = files
        self._worker = worker
        self._now = now
        self._table = RedirectTable()
        self._stamps: tuple[_Stamp, ...] | None = None
        self._rules = ""
        self._rules_stamp: _Stamp = None
        self._look_at = 0.0
        self._loading = SharedWork()

    async def prepare(self, files: Files) -> Loaded | None:
        """Read other files, for :meth:`use`; None for those that are followed already. Raises AliasFileError."""
        if files == self._files:
            return None
        read = partial(_loaded, files)
        return read() if self._worker is None else await self._worker.submit(read)

    def use(self, loaded: Loaded | None) -> None:
        """Go by the files that were prepared from now on, if they are others."""
        if loaded is not None:
            self._files = loaded.files
            self._take(loaded)
            self._tell()

    def load(self) -> RedirectTable:
        """Read the files now; raise AliasFileError when one cannot be used. A server does this before it starts."""
        self._take(_loaded(self._files))
        return self._table

    async def current(self) -> RedirectTable:
        """All entries; when a file has changed, those that it has now."""
        if self._loading.under_way:
            # Who asks meanwhile need not wait for what was in force a moment ago.
            if self._stamps is None:
                await self._loading.ended()
        elif self._now() >= self._look_at:
            self._look_at = self._now() + LOOK_SECONDS
            if self._has_changed():
                self._loading.begin(self._reload(partial(_attempt, self._files)))
                await self._loading.ended()
        return self._table

    def _has_changed(self) -> bool:
        if _stamps(self._files) != self._stamps:
            return True
        return self._rules != "" and _stamp(self._rules) != self._rules_stamp

    async def _reload(self, attempt: Callable[[], Loaded | _Refused]) -> None:
        result: Loaded | _Refused
        try:
            result = attempt() if self._worker is None else await self._worker.submit(attempt)
        except Exception:
            self._log.failure("aliases, synonyms and groups could not be read")
            return
        if result.files != self._files:
            # A reload meanwhile has others, and has read them.
            return
        if isinstance(result, Loaded):
            self._take(result)
            self._tell()
        else:
            # Complained about once, and read again when one of them has changed again.
            self._stamps = result.stamps
            self._rules, self._rules_stamp = result.rules, result.rules_stamp
            self._log.error("aliases, synonyms and groups stay as they were: {problem}", problem=result.problem)

    def _tell(self) -> None:
        self._log.info("{count} aliases, synonyms and groups read", count=self._table.count)
        for remark in self._table.remarks[:MAX_REMARKS]:
            self._log.warn("{remark}", remark=remark)

    def _take(self, loaded: Loaded) -> None:
        self._table, self._stamps = loaded.table, loaded.stamps
        self._rules = ""


def _loaded(files: Files) -> Loaded:
    # Before the texts: a change while they are being read is then noticed at the next look.
    stamps = _stamps(files)
    return Loaded(_read(files), stamps, files)


def _attempt(files: Files) -> Loaded | _Refused:
    stamps = _stamps(files)
    try:
        return _loaded(files)
    except _RulesError as error:
        return _Refused(str(error), stamps, files, error.rules, error.stamp)
    except AliasFileError as error:
        return _Refused(str(error), stamps, files)


def _read(files: Files) -> RedirectTable:
    remarks: list[str] = []
    problems = Problems()
    aliases: dict[str, Entry] = {}
    for domain, paths in files.of_domains:
        _add(aliases, remarks, problems, paths, files.programs, domain_key(domain))
    _add(aliases, remarks, problems, files.aliases, files.programs)
    synonyms: dict[str, Entry] = {}
    _add(synonyms, remarks, problems, files.synonyms, programs=False)
    for entry in synonyms.values():
        if len(entry.targets) > 1 or ":" in entry.targets[0]:
            words = "a synonym stands for one user: what is more is an alias"
            problems.add(AliasFileError(entry.path, entry.line, words))
    groups: dict[str, Entry] = {}
    _add(groups, remarks, problems, files.groups, files.programs)
    # Last: where only these are at fault, their files are the ones to look at again.
    _read_rule_sets((*aliases.values(), *groups.values()), problems)
    problems.tell()
    remarks += loops(aliases, frozenset(domain_key(domain) for domain in files.domains))
    return RedirectTable(aliases, synonyms, groups, tuple(remarks))


def _add(
    entries: dict[str, Entry],
    remarks: list[str],
    problems: Problems,
    paths: tuple[str, ...],
    programs: bool,
    domain: str = "",
) -> None:
    for path in paths:
        try:
            found, more = _entries_of(path, programs, domain)
        except AliasFileError as error:
            problems.add(error)
            continue
        remarks += more
        if not entries:
            entries.update(found)
            continue
        for key, entry in found.items():
            first = entries.setdefault(key, entry)
            if first is not entry:
                remarks.append(f"{entry.place}: {key} stands in {first.place} already, and that one counts")


def _entries_of(path: str, programs: bool, domain: str) -> tuple[Mapping[str, Entry], list[str]]:
    try:
        with open(path, "rb") as file:
            octets = file.read(MAX_OCTETS + 1)
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        raise AliasFileError(path, 0, error.strerror or str(error)) from None
    if len(octets) > MAX_OCTETS:
        raise AliasFileError(path, 0, f"it is larger than {MAX_OCTETS // 1024**2} MiB")
    return parse(path, decoded(path, octets), programs=programs, domain=domain)


def _read_rule_sets(entries: Iterable[Entry], problems: Problems) -> None:
    """
    Find sets of rules that cannot be carried out.

    What becomes of it afterwards is seen when it is used: then the mail waits, and the aliases are in force.
    """
    seen: set[str] = set()
    for entry in entries:
        for target in entry.targets:
            if not target.startswith(_RULES) or target in seen:
                continue
            seen.add(target)
            if len(seen) > MAX_RULE_SETS:
                text = f"this is more than {MAX_RULE_SETS} sets of rules: let several addresses share one"
                problems.add(AliasFileError(entry.path, entry.line, text))
                return
            path = target.removeprefix(_RULES)
            stamp = _stamp(path)
            try:
                read_rules(path)
            except ConfigError as error:
                for problem in error.problems:
                    problems.add(_RulesError(entry, problem.describe(path), path, stamp))


def _stamps(files: Files) -> tuple[_Stamp, ...]:
    return tuple(_stamp(path) for path in files.paths())


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
