"""The ``hermes`` command: where the words that an administrator types lead."""

from __future__ import annotations

import errno
import os
import sqlite3
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

import hermes
from hermes.cli.output import CannotStart, Refused
from hermes.config.errors import ConfigError

#: Where each command is, in the order in which they are needed. Only the one that is asked for is loaded: each then starts in a
#: fraction of the time, and a server has no memory of the others.
COMMANDS = {
    "init": "hermes.cli.init:init",
    "run": "hermes.cli.run:run",
    "check": "hermes.cli.check:check",
    "status": "hermes.cli.run:status",
    "sessions": "hermes.cli.run:sessions",
    "metrics": "hermes.cli.metrics:metrics",
    "reload": "hermes.cli.run:reload",
    "stop": "hermes.cli.run:stop",
    "track": "hermes.cli.track:track",
    "summary": "hermes.cli.summary:summary",
    "transcript": "hermes.cli.transcript:transcript",
    "explain": "hermes.cli.explain:explain",
    "filter": "hermes.cli.filter:filter_",
    "queue": "hermes.cli.queue:queue",
    "sendmail": "hermes.cli.sendmail:sendmail",
    "block": "hermes.cli.block:block",
    "dkim": "hermes.cli.dkim:dkim",
    "dnsbl": "hermes.cli.dnsbl:dnsbl",
    "collect": "hermes.cli.collect:collect",
    "greylist": "hermes.cli.greylist:greylist",
    "schedule": "hermes.cli.schedule:schedule",
    "user": "hermes.cli.user:user",
    "import": "hermes.cli.import_mail:import_",
    "export": "hermes.cli.export_mail:export",
    "alias": "hermes.cli.alias:alias",
    "oauth": "hermes.cli.oauth:oauth",
    "config": "hermes.cli.config:config",
}


class _Commands(click.Group):
    """The commands in the order in which they are needed; whatever goes wrong in one is told in a line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or say what may have been meant: click knows only commands that are loaded."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            likely = get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {likely[0]!r}?" if likely else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out a command and turn what it raises into a line and an exit code."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise CannotStart(str(error)) from error
        except sqlite3.Error as error:
            raise Refused(f"The queue cannot be read: {error}") from error
        except BrokenPipeError:
            # Whoever read us has seen enough; click knows how to end then.
            raise
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            remedy = "; make room there, and say it again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise Refused(f"{place}{error.strerror or error}{remedy}") from error
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except Exception as error:
            if isinstance(error, _told()):
                raise Refused(str(error)) from error
            if os.environ.get("HERMES_DEBUG"):
                raise
            text = f"A fault in Hermes itself: {type(error).__name__}: {error}. HERMES_DEBUG=1 shows where."
            raise Refused(text) from error


def _told() -> tuple[type[Exception], ...]:
    """What says in its text what is wrong, and what to do; not loaded before something is."""
    from hermes.directory.sources.accounts_file import AccountsFileError  # noqa: PLC0415
    from hermes.directory.sources.alias_file import AliasFileError  # noqa: PLC0415
    from hermes.services.token_store import TokenStoreError  # noqa: PLC0415
    from hermes.spool.errors import SpoolError  # noqa: PLC0415

    return SpoolError, AccountsFileError, AliasFileError, TokenStoreError


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


if __name__ == "__main__":
    main(prog_name="hermes")
