"""What ``hermes check`` looks at in collectors: whether there is anybody who could have their mail."""

from __future__ import annotations

from collections.abc import Iterator

from hermes.app.accounts import local_accounts
from hermes.cli.finding import Finding, fail, ok, warn
from hermes.config.schema import Settings
from hermes.directory.sources.accounts_file import AccountsFileError

_ABOUT = "collectors"


def inspect_collectors(settings: Settings) -> Iterator[Finding]:
    """Look at all of them; nobody is asked, neither servers nor directory services."""
    if not settings.collector:
        return
    try:
        accounts = local_accounts(settings).table().by_name
    except AccountsFileError:
        # Another line says so.
        return
    sound = True
    for name, each in settings.collector.items():
        for key in ("account", "default"):
            wanted = getattr(each, key)
            record = accounts.get(wanted.lower())
            if not wanted or "@" in wanted or (record is not None and not record.account.disabled):
                continue
            sound = False
            about = f"[collector:{name}] {key}"
            if record is None and settings.ldap:
                yield warn(
                    _ABOUT,
                    f"{about}: {wanted} is in no file: mail for it waits whenever the directory is down",
                )
                continue
            problem = f"the account {wanted} is disabled" if record is not None else f"there is no account {wanted}"
            if key == "account":
                yield fail(_ABOUT, f"{about}: {problem}, and its mail stays at the server")
            else:
                yield warn(_ABOUT, f"{about}: {problem}, and mail for nobody goes to the postmaster")
    if sound:
        count = len(settings.collector)
        yield ok(_ABOUT, f"{count} {'box' if count == 1 else 'boxes'} at other servers")
