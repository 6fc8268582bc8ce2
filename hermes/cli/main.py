"""The ``hermes`` command: where the words that an administrator types lead."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import click

import hermes
from hermes.cli.alias import alias
from hermes.cli.block import block
from hermes.cli.check import check
from hermes.cli.collect import collect
from hermes.cli.config import config
from hermes.cli.dkim import dkim
from hermes.cli.dnsbl import dnsbl
from hermes.cli.explain import explain
from hermes.cli.filter import filter_
from hermes.cli.greylist import greylist
from hermes.cli.init import init
from hermes.cli.oauth import oauth
from hermes.cli.output import CannotStart, Refused
from hermes.cli.queue import queue
from hermes.cli.queue_orders import orders
from hermes.cli.run import reload, run, sessions, status, stop
from hermes.cli.schedule import schedule
from hermes.cli.track import track
from hermes.cli.transcript import transcript
from hermes.cli.user import user
from hermes.config.errors import ConfigError
from hermes.directory.sources.accounts_file import AccountsFileError
from hermes.directory.sources.alias_file import AliasFileError
from hermes.services.token_store import TokenStoreError
from hermes.spool.errors import SpoolError


class _Commands(click.Group):
    """The commands in the order in which they are needed; whatever goes wrong in one is told in a line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of their definition, not of the alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out a command and turn what it raises into a line and an exit code."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise CannotStart(str(error)) from error
        except (SpoolError, AccountsFileError, AliasFileError, TokenStoreError) as error:
            raise Refused(str(error)) from error
        except sqlite3.Error as error:
            raise Refused(f"The queue cannot be read: {error}") from error
        except BrokenPipeError:
            # Whoever read us has seen enough; click knows how to end then.
            raise
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise Refused(f"{place}{error.strerror or error}") from error
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except Exception as error:
            if os.environ.get("HERMES_DEBUG"):
                raise
            text = f"A fault in Hermes itself: {type(error).__name__}: {error}. HERMES_DEBUG=1 shows where."
            raise Refused(text) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(hermes.__version__, prog_name="hermes", message="%(prog)s %(version)s")
def main() -> None:
    """
    Hermes, a mail server: set it up, run it, look into it.

    \b
    Where is a message?        hermes track -c FILE ADDRESS-OR-ID
    What is waiting, and why?  hermes queue list -c FILE
    Is everything in order?    hermes check -c FILE
    What is in force?          hermes config show -c FILE
    Who is blocked, and why?   hermes block list -c FILE
    What would happen?         hermes explain -c FILE --ip ADDRESS --from ADDRESS --to ADDRESS
    Where does it lead?        hermes explain -c FILE --to ADDRESS

    Instead of -c FILE, HERMES_CONFIG=FILE may stand in the environment. Exit codes: 0 done, 1 refused or nothing found,
    2 wrong usage, 3 the configuration is wrong or the server cannot start.
    """  # noqa: D301 - click wants the character itself


for command in (
    init,
    run,
    check,
    status,
    sessions,
    reload,
    stop,
    track,
    transcript,
    explain,
    filter_,
    queue,
    block,
    dkim,
    dnsbl,
    collect,
    greylist,
    schedule,
    user,
    alias,
    oauth,
    config,
):
    main.add_command(command)
for command in orders:
    queue.add_command(command)

if __name__ == "__main__":
    main(prog_name="hermes")
