"""The checks of the SMTP server that go by the settings, and by files beside them, alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hermes.config.schema import Settings
from hermes.config.sections.filters import filters_of
from hermes.core.transaction_filter import Filter
from hermes.interfaces import ICheck, IGroupWorker
from hermes.policy.edited_file import EditedFile, read_lines
from hermes.policy.filter_file import parse_filters
from hermes.policy.filters import Filters, Report


def file_checks(
    settings: Settings, reader: IGroupWorker, now: Callable[[], float], report: Report | None
) -> Iterator[ICheck]:
    """
    Those that the settings ask for; ConfigError tells what is wrong with a file of theirs.

    ``reader`` is a worker that calls each item, for files that change; ``now`` gives seconds; ``report`` puts a client on the
    list of offenders, and is None where that is not to be done.
    """
    sources: list[Callable[[], Sequence[Filter]]] = []
    if settings.filters.file:
        sources.append(EditedFile(settings.filters.file, parse_filters, reader, now).current)
    if settings.filter:
        own = filters_of(settings)
        sources.append(lambda: own)
    if sources:
        yield Filters(sources, report)


def rule_files(settings: Settings) -> Iterator[tuple[str, str, Callable[[], tuple[int, str]]]]:
    """
    The files of rules beside ``config.ini``: which setting names each, its path, and how much is in it.

    What is in it is read when it is asked for; ConfigError tells what is wrong with it.
    """
    if path := settings.filters.file:
        yield "filters.file", path, lambda: (len(read_lines(path, parse_filters)), "filter")
