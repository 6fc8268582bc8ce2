"""Files of rules and books that have been read before what goes by them is made: by a thread, for a long one takes its time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hermes.interfaces import IGroupWorker
from hermes.policy.edited_file import EditedFile, Parse

#: A file, and how it is understood.
Key = tuple[str, Parse[Any]]

KnownFiles = Mapping[Key, EditedFile[Any]]


async def read_known(
    wanted: Iterable[Key], kept: Iterable[EditedFile[Any]], worker: IGroupWorker, now: Callable[[], float]
) -> KnownFiles:
    """
    Those that are wanted, read by the worker; of those that are followed already, in ``kept``, only what has changed is.

    Raises ConfigError for the first that cannot be understood.
    """
    before = {(file.path, file.parse): file for file in kept}
    known: dict[Key, EditedFile[Any]] = {}
    for key in wanted:
        file = before.get(key)
        if file is None or not file.is_in_force():
            file = await EditedFile.read(*key, worker, now)
        known[key] = file
    return known
