"""``hermes user export|erase``: everything about an account, for the person it is about, and gone for good."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import click

from hermes.app.accounts import local_accounts
from hermes.cli.app_password import app_passwords, described
from hermes.cli.elsewhere import described_record, kept_elsewhere, with_addresses
from hermes.cli.output import Refused, config_option, local_time, remark, say
from hermes.cli.queue import reader
from hermes.cli.user_change import former_names, handed_on, text_of
from hermes.config.durable import sync_directory
from hermes.config.loader import load
from hermes.config.places import recipients_file
from hermes.config.schema import Settings
from hermes.core import event_text
from hermes.core.account import Account
from hermes.core.period import Period
from hermes.core.units import format_time
from hermes.directory.accounts import Record
from hermes.mailbox.departed import departing
from hermes.mailbox.lock import MailboxLock, alone_in
from hermes.policy.recipient_store import clear


@click.command()
@config_option
@click.argument("name")
@click.argument("archive", type=click.Path(dir_okay=False, path_type=Path))
def export(config: str, name: str, archive: Path) -> None:
    """
    Write all that is kept of NAME into ARCHIVE.

    It is a .tar.gz with the mail (a maildir), the settings, without what proves a password, and the trace, one JSON object a
    line; what that has of somebody else who had the name before is left out, and said. Works also when the server is down, and
    for accounts of a directory service. An archive that exists is not overwritten.
    """
    settings = load(config)
    try:
        record = described_record(settings, name.lower())
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None
    if archive.exists():
        raise Refused(f"{archive} exists already: it is not overwritten")
    partly = archive.with_name(archive.name + ".part")
    try:
        with open(partly, "xb", opener=_private) as file:
            try:
                with tarfile.open(fileobj=file, mode="w:gz") as tar:
                    counted, left_out = _fill(tar, archive.absolute().parent, settings, record)
                partly.rename(archive)
            finally:
                partly.unlink(missing_ok=True)
    except FileExistsError:
        raise Refused(f"{partly} is being written by another export, or one that was killed has left it") from None
    except OSError as error:
        raise Refused(f"{archive} cannot be written: {error.strerror or error}") from None
    say(f"{archive} has everything about {record.account.name}: {counted} files of mail and the trace")
    for line in left_out:
        remark(line)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _fill(tar: tarfile.TarFile, room: Path, settings: Settings, record: Record) -> tuple[int, list[str]]:
    """How many files of mail there are, and what of the trace is left out, a line each."""
    account = record.account
    top = account.name
    _add(tar, f"{top}/account.json", json.dumps(_described(settings, record), indent=2).encode() + b"\n")
    left_out = _add_trace(tar, f"{top}/trace.jsonl", room, settings, account)
    profile = Path(settings.finger.profiles) / f"{account.name}.txt"
    if profile.is_file():
        _add(tar, f"{top}/profile.txt", profile.read_bytes())
    counted = 0
    mailbox = Path(settings.mailbox.directory) / account.name
    for path in sorted(mailbox.rglob("*")) if mailbox.is_dir() else ():
        # What is read or delivered meanwhile changes its name, or goes.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                tar.add(path, f"{top}/mail/{path.relative_to(mailbox)}", recursive=False)
                counted += 1
    return counted, left_out


def _add(tar: tarfile.TarFile, name: str, octets: bytes) -> None:
    tar.addfile(_member(name, len(octets)), io.BytesIO(octets))


def _described(settings: Settings, record: Record) -> dict[str, object]:
    account = record.account
    return {
        **attrs.asdict(account),
        # Where else it is kept: what stands here is what Hermes reads of that entry.
        **({"kept_in": record.place} if record.keeper is not None else {}),
        "app_passwords": [described(each) for each in app_passwords(settings).list(account.name)],
    }


def _add_trace(tar: tarfile.TarFile, name: str, room: Path, settings: Settings, account: Account) -> list[str]:
    """Years of a busy account: on the disk first, because an archive wants to know how long a file is."""
    periods = former_names(settings).of(account.name, account.addresses, settings.hermes.domains)
    with tempfile.TemporaryFile(dir=room) as file:
        with reader(settings) as spool:
            for event in spool.history(periods):
                file.write(event_text.as_json(event).encode() + b"\n")
            left_out = [
                _left_out(count, each, [period for period in periods if period.name == each])
                for each in dict.fromkeys(period.name for period in periods if not period.is_ever)
                if (count := spool.count_others(each))
            ]
        member = _member(name, file.tell())
        file.seek(0)
        tar.addfile(member, file)
    return left_out


def _left_out(count: int, name: str, periods: Sequence[Period]) -> str:
    """What is said of facts about a name or an address that are of another time than the account's."""
    its = " and ".join(
        " ".join(
            (["since", local_time(each.since)] if each.since else [])
            + (["until", local_time(each.until)] if each.until < math.inf else [])
        )
        for each in periods
    )
    return (
        f"Left out of the trace: {count} {'fact' if count == 1 else 'facts'} about {name}, of a time when that was somebody "
        f"else's, or nobody's. It is this account's {its}."
    )


def _member(name: str, size_octets: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size_octets, int(time.time()), 0o600
    return member


@click.command()
@config_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("name")
def erase(config: str, yes: bool, name: str) -> None:
    """
    Remove NAME, its mail and all that is only its own.

    It is for good. Nobody may be reading the mailbox. The entry of an account in a directory service is disabled or removed there
    first. Facts in the trace and the mail log, which are about others too, go when
    their time comes.
    """
    settings = load(config)
    source, name = local_accounts(settings), name.lower()
    try:
        known = next((account for account in source.list() if account.name == name), None)
        mailbox = os.path.join(settings.mailbox.directory, name)
        entry = None if known else _entry_elsewhere(settings, name)
        account = entry.account if entry else with_addresses(settings, known or Account(name, ()), source.table())
        if known is None and not os.path.isdir(mailbox):
            raise LookupError(f"there is no account {name!r}, and no mail of one")
        if not yes and not click.confirm(f"Remove {name} and all its mail for good?"):
            raise Refused("Nothing was removed.")
        lock = MailboxLock(mailbox)
        if os.path.isdir(mailbox) and not lock.acquire():
            raise ValueError(f"{name} is reading mail just now: try again later")
        try:
            with alone_in(mailbox), departing(settings.mailbox.directory, name):
                if known:
                    # First of all, so that nothing new arrives.
                    source.remove(name)
                app_passwords(settings).forget(name)
                handed_on(settings, account)
                doomed = _take_away(settings, mailbox, name)
            if doomed:
                shutil.rmtree(doomed)
        finally:
            lock.release()
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None
    except OSError as error:
        raise Refused(f"{mailbox} cannot be removed: {error.strerror}: say it again when that is mended") from None
    clear(recipients_file(settings), name, forget=True)
    (Path(settings.finger.profiles) / f"{name}.txt").unlink(missing_ok=True)
    say(f"{name} is gone, and its mail")
    if entry:
        remark(f"Its entry is still in the directory service ({entry.place}), disabled.")
    remark(f"The trace keeps what happened to messages for {format_time(settings.trace.keep)}.")


def _entry_elsewhere(settings: Settings, name: str) -> Record | None:
    """A disabled account of a directory service; Refused when others can write to it still: mail would come again."""
    record = kept_elsewhere(settings, name) if settings.ldap else None
    if record is not None and not record.account.disabled:
        raise Refused(
            f"{name} is kept in a directory service ({record.place}): disable it there, or remove it, and say this again"
        )
    return record


def _take_away(settings: Settings, mailbox: str, name: str) -> str:
    """
    Give a mailbox another name, if there is one, and return that.

    It is one that no account can have: a removal that is interrupted leaves nothing that looks like a mailbox.
    """
    if not os.path.isdir(mailbox):
        return ""
    doomed = os.path.join(settings.mailbox.directory, f".erased-{name}-{os.getpid()}")
    os.rename(mailbox, doomed)
    sync_directory(settings.mailbox.directory)
    return doomed
