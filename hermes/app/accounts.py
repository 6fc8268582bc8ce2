"""The sources of accounts that are kept here, as the settings name them."""

from __future__ import annotations

import time
from collections.abc import Callable

from hermes.config.places import accounts_file
from hermes.config.schema import Settings
from hermes.directory.sources.database import DatabaseSource
from hermes.directory.sources.file import FileSource
from hermes.directory.sources.local import LocalAccounts, LocalSource
from hermes.interfaces import IGroupWorker


def local_sources(
    settings: Settings, reader: IGroupWorker, worker: Callable[[str], IGroupWorker], now: Callable[[], float]
) -> list[LocalSource]:
    """For a server: files are read by ``reader``, a database by a worker of its own."""
    return [
        FileSource(accounts_file(settings), reader, now)
        if kind == "file"
        else DatabaseSource(settings.accounts.database, worker("accounts"), now)
        for kind in settings.accounts.sources
    ]


def local_accounts(settings: Settings) -> LocalAccounts:
    """For a command, which reads and writes at once."""
    return LocalAccounts(
        [
            FileSource(accounts_file(settings), now=time.monotonic)
            if kind == "file"
            else DatabaseSource(settings.accounts.database)
            for kind in settings.accounts.sources
        ]
    )
