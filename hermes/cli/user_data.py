"""``hermes user export|erase``: everything about an account, for the person it is about, and gone for good."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import click

from hermes.app.accounts import local_accounts
from hermes.cli.app_password import app_passwords, described
from hermes.cli.output import Refused, config_option, remark, say
from hermes.cli.queue import reader
from hermes.cli.user_change import addresses_of, text_of
from hermes.config.durable import sync_directory
from hermes.config.loader import load
from hermes.config.places import recipients_file
from hermes.config.schema import Settings
from hermes.core import event_text
from hermes.core.account import Account
from hermes.core.event import Event
from hermes.core.units import format_time
from hermes.mailbox.lock import MailboxLock
from hermes.policy.recipient_store import clear

#: Facts of each address that are exported: years of a busy account.
MAX_EVENTS = 1_000_000


@click.command()
@config_option
@click.argument("name")
@click.argument("archive", type=click.Path(dir_okay=False, path_type=Path))
def export(config: str, name: str, archive: Path) -> None:
    """
    Write all that is kept of NAME into ARCHIVE.

    It is a .tar.gz with the mail (a maildir), the settings, without what proves a password, and the trace, one JSON object a
    line. Works also when the server is down. An archive that exists is not overwritten.
    """
    settings = load(config)
    try:
        account = local_accounts(settings).record(name.lower()).account
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None
    if archive.exists():
        raise Refused(f"{archive} exists already: it is not overwritten")
    partly = archive.with_name(archive.name + ".part")
    try:
        with open(partly, "xb", opener=_private) as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
            counted = _fill(tar, settings, account)
        partly.rename(archive)
    except OSError as error:
        raise Refused(f"{archive} cannot be written: {error.strerror or error}") from None
    finally:
        partly.unlink(missing_ok=True)
    say(f"{archive} has everything about {account.name}: {counted} files of mail and the trace")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _fill(tar: tarfile.TarFile, settings: Settings, account: Account) -> int:
    top = account.name
    _add(tar, f"{top}/account.json", json.dumps(_described(settings, account), indent=2).encode() + b"\n")
    trace = "".join(event_text.as_json(event) + "\n" for event in _events(settings, account))
    _add(tar, f"{top}/trace.jsonl", trace.encode())
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
    return counted


def _add(tar: tarfile.TarFile, name: str, octets: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(octets), int(time.time()), 0o600
    tar.addfile(member, io.BytesIO(octets))


def _described(settings: Settings, account: Account) -> dict[str, object]:
    return {
        **attrs.asdict(account),
        "addresses": addresses_of(settings, account),
        "app_passwords": [described(each) for each in app_passwords(settings).list(account.name)],
    }


def _events(settings: Settings, account: Account) -> Iterator[Event]:
    seen: set[str] = set()
    with reader(settings) as spool:
        for query in (account.name, *addresses_of(settings, account)):
            for event in spool.track(query, MAX_EVENTS):
                line = event_text.as_json(event)
                if line not in seen:
                    seen.add(line)
                    yield event


@click.command()
@config_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("name")
def erase(config: str, yes: bool, name: str) -> None:
    """
    Remove NAME, its mail and all that is only its own.

    It is for good. Nobody may be reading the mailbox. Facts in the trace and the mail log, which are about others too, go when
    their time comes.
    """
    settings = load(config)
    source, name = local_accounts(settings), name.lower()
    try:
        known = any(account.name == name for account in source.list())
        mailbox = os.path.join(settings.mailbox.directory, name)
        if not known and not os.path.isdir(mailbox):
            raise LookupError(f"there is no account {name!r}, and no mail of one")
        if not yes and not click.confirm(f"Remove {name} and all its mail for good?"):
            raise Refused("Nothing was removed.")
        lock = MailboxLock(mailbox)
        if os.path.isdir(mailbox) and not lock.acquire():
            raise ValueError(f"{name} is reading mail just now: try again later")
        try:
            if known:
                # First of all, so that nothing new arrives.
                source.remove(name)
            app_passwords(settings).forget(name)
            _remove_mailbox(settings, mailbox, name)
        finally:
            lock.release()
    except (LookupError, ValueError) as error:
        raise Refused(text_of(error)) from None
    except OSError as error:
        raise Refused(f"{mailbox} cannot be removed: {error.strerror}: say it again when that is mended") from None
    clear(recipients_file(settings), name, forget=True)
    (Path(settings.finger.profiles) / f"{name}.txt").unlink(missing_ok=True)
    say(f"{name} is gone, and its mail")
    remark(f"The trace keeps what happened to messages for {format_time(settings.trace.keep)}.")


def _remove_mailbox(settings: Settings, mailbox: str, name: str) -> None:
    if not os.path.isdir(mailbox):
        return
    # Under a name that no account can have, a removal that is interrupted leaves nothing that looks like a mailbox.
    doomed = os.path.join(settings.mailbox.directory, f".erased-{name}-{os.getpid()}")
    os.rename(mailbox, doomed)
    sync_directory(settings.mailbox.directory)
    shutil.rmtree(doomed)
