"""``hermes user profile``: how an account reads its mail by POP3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import click

from hermes.app.accounts import local_accounts
from hermes.cli.elsewhere import refuse_elsewhere
from hermes.cli.output import Refused, config_option, json_option, say_json, say_table
from hermes.config.loader import load
from hermes.core.reading_profile import ReadingProfile
from hermes.core.units import format_time
from hermes.directory.sources.accounts_file import parse_expiry

_SWITCHES = {
    "mark_read": "What is fetched counts as read.",
    "show_read": "Mail that has been read is offered.",
    "show_status": "Messages get a line Status:.",
    "no_delete": "DELE is answered as always, and deletes nothing.",
    "delete_is_final": "What is marked deleted goes however the session ends.",
}


def _switches(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, text in reversed(_SWITCHES.items()):
        option = click.option(f"--{name.replace('_', '-')}", type=click.Choice(["yes", "no", "default"]), help=text)
        command = option(command)
    return command


@click.command()
@config_option
@json_option
@_switches
@click.option("--expire", metavar="AGE", help="Age at which mail is removed, like 30d; never, or default.")
@click.option("--login", "logins", multiple=True, metavar="NAME", help="A further name to log in by; may be repeated.")
@click.option("--no-logins", is_flag=True, help="Take all further names to log in by away.")
@click.argument("name")
def profile(
    config: str,
    as_json: bool,
    expire: str | None,
    logins: tuple[str, ...],
    no_logins: bool,
    name: str,
    **switches: str | None,
) -> None:
    """
    Show or change how NAME reads mail by POP3.

    What is default follows [pop3] of the settings. --login replaces the further names that there are.
    """
    if logins and no_logins:
        raise click.UsageError("Say --login or --no-logins, not both.")
    settings = load(config)
    source, name = local_accounts(settings), name.lower()
    changes: dict[str, Any] = {
        key: None if text == "default" else text == "yes" for key, text in switches.items() if text is not None
    }
    try:
        if expire is not None:
            changes["expire_seconds"] = None if expire == "default" else parse_expiry(expire)
        refuse_elsewhere(settings, name, "its mailbox is read as [pop3] says")
        account = source.record(name).account
        if changes or logins or no_logins:
            kept = () if no_logins else logins or account.logins
            source.set_reading(name, attrs.evolve(account.reading, **changes), kept)
            account = source.record(name).account
    except (LookupError, ValueError) as error:
        raise Refused(str(error.args[0] if error.args else error)) from None
    if as_json:
        say_json({"name": name, "logins": account.logins, **attrs.asdict(account.reading)})
    else:
        say_table(("about", name), [*_rows(account.reading), ("logins", ", ".join(account.logins) or "none")])


def _rows(reading: ReadingProfile) -> list[tuple[str, str]]:
    def text(value: bool | None) -> str:
        return "default" if value is None else "yes" if value else "no"

    rows = [(key, text(getattr(reading, key))) for key in _SWITCHES]
    seconds = reading.expire_seconds
    return [*rows, ("expire", "default" if seconds is None else format_time(seconds) if seconds else "never")]
