"""``hermes export``: the mail of a mailbox, for other programs."""

from __future__ import annotations

import os
import stat
import sys

import attrs
import click

from hermes.cli.output import EXIT_REFUSED, Refused, config_option, json_option, remark, say, say_json
from hermes.cli.progress import progress
from hermes.config.loader import load
from hermes.core.archived import Keeping
from hermes.directory.accounts import check_name
from hermes.mailbox import folders
from hermes.mailbox.export_files import CnmTarget, ExportError, MaildirTarget
from hermes.mailbox.export_mbox import MboxTarget
from hermes.mailbox.exporting import Exported, Target
from hermes.mailbox.exporting import export as export_folders
from hermes.mailbox.lock import InUseError

_TARGETS: dict[Keeping, type[MboxTarget | MaildirTarget | CnmTarget]] = {
    Keeping.MBOX: MboxTarget,
    Keeping.MAILDIR: MaildirTarget,
    Keeping.CNM: CnmTarget,
}


@click.command()
@config_option
@json_option
@click.option(
    "--format",
    "kind",
    type=click.Choice([each.value for each in Keeping]),
    help="Default: maildir for a directory that is there, else mbox.",
)
@click.option(
    "--folder", default="", metavar="NAME", help="Only this folder. Default: INBOX; with a maildir, all folders."
)
@click.argument("name")
@click.argument("target")
def export(config: str, as_json: bool, kind: str | None, folder: str, name: str, target: str) -> None:
    """
    Copy the mail in the mailbox of NAME to TARGET.

    TARGET is an mbox (mboxrd), a maildir, or a directory that gets a .CNM file for each message. What is there stays; a message
    that is there is not copied again. The server may run or not, and nobody is kept from reading. Interrupted, the command goes
    on when it is said again.
    """
    settings = load(config)
    keeping = Keeping(kind) if kind else (Keeping.MAILDIR if os.path.isdir(target) else Keeping.MBOX)
    try:
        path = os.path.join(settings.mailbox.directory, check_name(name.lower()))
        wanted = [folders.named(folder)]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not os.path.isdir(path):
        raise Refused(f"{name.lower()} has no mailbox: there is no {path}.")
    others = sorted(folders.inside(path))
    if wanted[0] and wanted[0] not in others:
        raise Refused(f"the mailbox has no folder {folder!r}; it has {', '.join(others) or 'none'}")
    if keeping is Keeping.MAILDIR and not folder:
        wanted += others
    _check_target(target, keeping)
    done, fault = _run(path, wanted, keeping, target)
    left_out = [] if folder or keeping is Keeping.MAILDIR else others
    _report(done, fault, left_out, name.lower(), target, as_json=as_json)


def _check_target(target: str, keeping: Keeping) -> None:
    """What is there must be what is to be written, and no link, which may lead anywhere."""
    if target == "-":
        raise Refused("An mbox is put into its place when it is whole, and cannot go to standard output: name a file.")
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise Refused(f"{target} is a link: name what it leads to.")
    if keeping is Keeping.MBOX and not stat.S_ISREG(mode):
        raise Refused(f"{target} is no file, as an mbox is: name another, or say --format maildir.")
    if keeping is not Keeping.MBOX and not stat.S_ISDIR(mode):
        raise Refused(f"{target} is no directory: name another, or say --format mbox.")


def _run(path: str, wanted: list[str], keeping: Keeping, target: str) -> tuple[Exported, str]:
    """Export; how far it came, and what ended it before its time."""
    done = Exported()
    opened: Target | None = None
    try:
        # A name alone has no directory in front of it, whose entries have to be made durable.
        opened = _TARGETS[keeping](os.path.abspath(target))
        with progress("Exporting") as show:
            export_folders(
                path, wanted, opened, done, lambda seen, total: show(seen, total, f"{seen} of {total} messages")
            )
    except (ExportError, InUseError) as error:
        return done, f"{target}: {error}"
    except OSError as error:
        return done, f"{error.filename or target}: {error.strerror or error}"
    except KeyboardInterrupt:
        return done, "interrupted"
    finally:
        if opened is not None:
            opened.close()
    return done, ""


def _report(done: Exported, fault: str, left_out: list[str], name: str, target: str, *, as_json: bool) -> None:
    if as_json:
        facts = attrs.asdict(done)
        say_json({"account": name, "target": target, **facts, "folders_left_out": left_out, "fault": fault})
    elif not fault:
        say(f"{done.exported} messages of {name} exported to {target}")
        if done.already:
            say(f"{done.already} were there")
        if done.gone:
            say(f"{done.gone} were deleted meanwhile")
        for problem in done.problems:
            remark(problem)
        if left_out:
            remark(f"Folders are not in it: {', '.join(left_out)}. Name one with --folder, or export to a maildir.")
    if fault:
        raise Refused(f"Not all is exported: {fault}. Say the command again to go on.")
    if done.failed:
        sys.exit(EXIT_REFUSED)
