"""
What files beside ``config.ini`` say, read before the settings that name them are in force.

A list of addresses, an address book or a greylist may be so long that nobody should wait for it: all are read by threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from hermes.app.file_checks import lists_of
from hermes.app.greylisting import contents_for
from hermes.app.known_files import KnownFiles, read_known
from hermes.app.phone_book import Books
from hermes.app.redirects import files_of
from hermes.app.stores import Stores
from hermes.config.errors import ConfigError
from hermes.config.schema import Settings
from hermes.directory.sources.alias_file import AliasFileError
from hermes.directory.sources.alias_files import Loaded
from hermes.policy.edited_file import EditedFile
from hermes.policy.greylist import Contents


@attrs.frozen
class Readings:
    """The lists that checks go by and the address books; greylist and aliases, where they are not in force already."""

    lists: KnownFiles
    books: Books
    greylist: Contents | None
    aliases: Loaded | None

    def come_into_force(self, stores: Stores) -> None:
        """Have what outlives a reload go on from what was read."""
        stores.greylist.use(self.greylist)
        stores.redirects.use(self.aliases)


async def read_beside(
    settings: Settings,
    stores: Stores,
    lists: Iterable[EditedFile[Any]],
    books: Books,
    now: Callable[[], float],
    seconds: Callable[[], float],
) -> Readings:
    """
    Read what has changed since ``lists`` and ``books``, and what is new.

    ValueError, with a text for the administrator, tells which file cannot be used, and which of its lines.
    """
    try:
        aliases = await stores.redirects.prepare(files_of(settings))
        known = await read_known(lists_of(settings), lists, stores.mailbox_worker, now)
    except (ConfigError, AliasFileError) as error:
        raise ValueError(str(error)) from None
    greylist = await contents_for(settings, stores.greylist)
    new_books = Books()
    await new_books.read(settings, stores.lookup_worker, seconds, books)
    return Readings(known, new_books, greylist, aliases)
