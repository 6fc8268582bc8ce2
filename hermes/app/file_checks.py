"""The checks of the SMTP server that go by the settings, and by files beside them, alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import attrs

from hermes.app.known_files import KnownFiles
from hermes.app.phone_book import book_files
from hermes.config.report_templates import count_templates, wording_of
from hermes.config.schema import Settings
from hermes.config.sections.filters import filters_of
from hermes.core.transaction_filter import Filter
from hermes.interfaces import ICheck, IContentReader, IGroupWorker
from hermes.policy.address_file import parse_addresses, parse_moved
from hermes.policy.compliance import Compliance
from hermes.policy.edited_file import EditedFile, Parse, read_lines
from hermes.policy.filter_file import parse_filters
from hermes.policy.filters import Filters, Report
from hermes.policy.no_longer_valid import NoLongerValid

_Value = TypeVar("_Value")


@attrs.frozen
class Edited:
    """
    How files are followed: ``worker`` calls each item, ``now`` gives seconds. Those that are stand in ``files``.

    In ``known`` are some that have been read already.
    """

    worker: IGroupWorker
    now: Callable[[], float]
    known: KnownFiles = attrs.field(factory=dict)
    files: list[EditedFile[Any]] = attrs.field(factory=list)

    def file(self, path: str, parse: Parse[_Value]) -> Callable[[], _Value] | None:
        """What gives the state of a file, read now unless it is known; None where there is no path. Raises ConfigError."""
        if not path:
            return None
        file = self.known.get((path, parse)) or EditedFile(path, parse, self.worker, self.now)
        self.files.append(file)
        return file.current


def lists_of(settings: Settings) -> list[tuple[str, Parse[Any]]]:
    """The files that :func:`file_checks` goes by, in the order in which it wants them, and how they are understood."""
    wanted = settings.compliance
    lists: list[tuple[str, Parse[Any]]] = [
        (settings.filters.file, parse_filters),
        (wanted.killfile, parse_addresses),
        (wanted.exceptions, parse_addresses),
        (wanted.no_longer_valid, parse_moved),
    ]
    return [(path, parse) for path, parse in lists if path]


def file_checks(
    settings: Settings, edited: Edited, report: Report | None, contents: IContentReader | None
) -> Iterator[ICheck]:
    """
    Those that the settings ask for; ConfigError tells what is wrong with a file of theirs.

    ``report`` puts a client on the list of offenders, and ``contents`` reads messages; they are None where that is not done.
    """
    file = edited.file(settings.filters.file, parse_filters)
    sources: list[Callable[[], Sequence[Filter]]] = [file] if file is not None else []
    if settings.filter:
        own = filters_of(settings)
        sources.append(lambda: own)
    if sources:
        yield Filters(sources, report)
    wanted = settings.compliance
    killfile, exceptions = (edited.file(path, parse_addresses) for path in (wanted.killfile, wanted.exceptions))
    compliance = Compliance(wanted, killfile, exceptions, contents)
    if compliance.stages:
        yield compliance
    moved = edited.file(wanted.no_longer_valid, parse_moved)
    if moved is not None:
        yield NoLongerValid(moved)


def rule_files(settings: Settings) -> Iterator[tuple[str, str, Callable[[], tuple[int, str, str]]]]:
    """
    The files of rules beside ``config.ini``: which setting names each, its path, and how much is in it (one, several).

    What is in it is read when it is asked for; ConfigError tells what is wrong with it.
    """
    wanted = settings.compliance
    if path := settings.filters.file:
        yield "filters.file", path, lambda: (len(read_lines(path, parse_filters)), "filter", "filters")
    if killfile := wanted.killfile:
        yield "compliance.killfile", killfile, lambda: (len(read_lines(killfile, parse_addresses)), "entry", "entries")
    if exceptions := wanted.exceptions:
        yield (
            "compliance.exceptions",
            exceptions,
            lambda: (len(read_lines(exceptions, parse_addresses)), "entry", "entries"),
        )
    if moved := wanted.no_longer_valid:
        yield "compliance.no_longer_valid", moved, lambda: (len(read_lines(moved, parse_moved)), "address", "addresses")
    if templates := settings.reports.templates:
        yield "reports.templates", templates, lambda: (_templates(settings), "template", "templates")
    yield from book_files(settings)


def _templates(settings: Settings) -> int:
    wording_of(settings)
    return count_templates(settings.reports.templates)
