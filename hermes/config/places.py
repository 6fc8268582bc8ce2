"""Where things are in the data directory: one place that says so, for the server and for the command line."""

from __future__ import annotations

import os
from collections.abc import Iterable

from hermes.config.schema import Settings
from hermes.core.identifiers import MAX_SHARDS


def spool_directory(settings: Settings, shard: int = 0) -> str:
    """The queue store, the trace and large bodies: of the first worker, or of another one, who has a shard of its own."""
    return os.path.join(settings.hermes.data, f"spool-{shard}" if shard else "spool")


def shards(settings: Settings) -> list[int]:
    """The shards that there are: the first always, others when a worker has needed them."""
    return [0, *(shard for shard in range(1, MAX_SHARDS) if os.path.isdir(spool_directory(settings, shard)))]


def accounts_file(settings: Settings) -> str:
    """The accounts, with their hashed passwords."""
    return os.path.join(settings.hermes.data, "accounts.ini")


def accounts_places(settings: Settings) -> list[str]:
    """Where accounts are kept here, in the order of asking."""
    return [
        accounts_file(settings) if kind == "file" else settings.accounts.database for kind in settings.accounts.sources
    ]


def directory_files(settings: Settings, names: Iterable[str]) -> tuple[str, ...]:
    """Files of aliases and the like, in the data directory unless they are named in full."""
    return tuple(os.path.normpath(os.path.join(settings.hermes.data, name)) for name in names)


def secret_file(settings: Settings) -> str:
    """What the server keeps to itself, so that answers stay the same that strangers must not tell apart."""
    return os.path.join(settings.hermes.data, "secret")


def offenders_file(settings: Settings) -> str:
    """The addresses and networks that may not connect for a while."""
    return os.path.join(settings.hermes.data, "offenders.sqlite")


def recoverable_key_file(settings: Settings) -> str:
    """The key under which secrets are sealed that the server must be able to read again."""
    return os.path.join(settings.hermes.data, "recoverable.key")


def token_directory(settings: Settings) -> str:
    """The tokens of OAuth clients, encrypted."""
    return os.path.join(settings.hermes.data, "oauth")


def token_key_file(settings: Settings) -> str:
    """The key under which they are: a backup that shall not give them away leaves it out."""
    return os.path.join(settings.hermes.data, "oauth.key")


def recipients_file(settings: Settings) -> str:
    """To whom accounts have written, as digests."""
    return os.path.join(settings.hermes.data, "recipients.sqlite")


def former_names_file(settings: Settings) -> str:
    """What accounts were called before."""
    return os.path.join(settings.hermes.data, "former-names.json")


def app_passwords_file(settings: Settings) -> str:
    """The app passwords of accounts of every source, as digests."""
    return os.path.join(settings.hermes.data, "app-passwords.sqlite")


def pauses_file(settings: Settings) -> str:
    """What is paused: a table of times."""
    return os.path.join(settings.hermes.data, "pauses.json")


def control_socket(settings: Settings) -> str:
    """Where the command line reaches a running server."""
    return os.path.join(settings.hermes.data, "control.sock")


def greylist_file(settings: Settings) -> str:
    """The SQLite file of those who are known, and of those who have tried."""
    return os.path.join(settings.hermes.data, "greylist.sqlite")


def policies_file(settings: Settings) -> str:
    """The SQLite file of the policies (MTA-STS) that other domains have published for mail to them."""
    return os.path.join(settings.hermes.data, "mta-sts.sqlite")


def tls_results_file(settings: Settings) -> str:
    """The SQLite file of what came of TLS with other servers, until it has been reported."""
    return os.path.join(settings.hermes.data, "tls-results.sqlite")


def collected_file(settings: Settings) -> str:
    """What the collectors remember of the messages at other servers."""
    return os.path.join(settings.hermes.data, "collected.sqlite")
