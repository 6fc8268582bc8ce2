"""``hermes import``: mail that other programs have kept, into a mailbox of an account."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import attrs
import click

from hermes.app.importing import told
from hermes.cli.control_client import NotRunning, ask
from hermes.cli.output import EXIT_REFUSED, Refused, config_option, json_option, remark, say, say_json
from hermes.cli.progress import Show, progress
from hermes.cli.sources import account_named
from hermes.config.loader import load
from hermes.config.places import spool_directory
from hermes.config.schema import Settings
from hermes.core.account import Account
from hermes.core.archived import Keeping
from hermes.core.event import Event
from hermes.core.mbox import Quoting
from hermes.core.units import format_time, parse_size
from hermes.interfaces import UnavailableError
from hermes.mailbox import folders, maildir
from hermes.mailbox.departed import DepartedError
from hermes.mailbox.import_record import ImportRecord, ImportRecordError
from hermes.mailbox.importing import Imported, Importer, Limits, MailboxFullError, Place
from hermes.mailbox.kept_mail import (
    CNM_SUFFIX,
    CnmSource,
    Item,
    KeptMailError,
    MaildirSource,
    MboxSource,
    Source,
    is_maildir,
)
from hermes.mailbox.lock import InUseError
from hermes.mailbox.sizes import open_regular
from hermes.spool.errors import SpoolError
from hermes.spool.recording import record

#: Octets of facts in one question to the server: a line of its control socket has 16 KiB at most.
FACTS_OCTETS = 12 * 1024

#: Message-IDs are cut here, as in the trace, so that one fact is never too much: a character takes up to twelve octets of JSON.
MAX_MESSAGE_ID = 255

#: How often facts are offered to a server that does not take them, and after what time: ten seconds, in which one starts or
#: stops. One that takes them needs some milliseconds.
TRIES = 20
PAUSE_SECONDS = 0.5
ANSWER_SECONDS = 10.0


@click.command("import")
@config_option
@json_option
@click.option(
    "--format", "kind", type=click.Choice([each.value for each in Keeping]), help="Default: what SOURCE looks like."
)
@click.option("--folder", default="", metavar="NAME", help="Put the mail into this folder, like Archive/2019.")
@click.option(
    "--quoting",
    type=click.Choice([each.value for each in Quoting]),
    default=Quoting.MBOXRD.value,
    show_default=True,
    help='How lines ">From " of an mbox are to be understood.',
)
@click.option("--max-size", metavar="SIZE", help="The largest message, like 100M. Default: max_size of [smtp].")
@click.option("--old-too", is_flag=True, help="Import also where old mail is removed: some of it may go at once.")
@click.argument("name")
@click.argument("source")
def import_(
    config: str,
    as_json: bool,
    kind: str | None,
    folder: str,
    quoting: str,
    max_size: str | None,
    old_too: bool,
    name: str,
    source: str,
) -> None:
    """
    Put kept mail into the mailbox of the account NAME.

    SOURCE is an mbox (- for standard input), a maildir with its folders, or Mercury's .CNM files: a directory or one of them. It
    is only read. The server may run or not. Interrupted, the command goes on when it is said again, and no message comes twice.
    """
    settings = load(config)
    account = _account(settings, name.lower())
    try:
        limits = Limits(
            parse_size(max_size) if max_size else settings.smtp.max_size, account.quota_octets or settings.mailbox.quota
        )
        place = Place(account.name, os.path.join(settings.mailbox.directory, account.name), folders.named(folder))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not old_too:
        _check_expiry(settings, account)
    _check_user(settings)
    try:
        with _opened(source, place.path, kind, Quoting(quoting)) as opened:
            done, fault = _run(settings, place, limits, opened)
    except (KeptMailError, ImportRecordError, InUseError) as error:
        raise Refused(f"{source}: {error}") from None
    _report(done, fault, account, source, as_json=as_json)


def _account(settings: Settings, name: str) -> Account:
    try:
        account = account_named(settings, name)
    except UnavailableError as error:
        raise Refused(f"the directory cannot be asked: {error}") from None
    if account is None:
        raise Refused(f"there is no account {name!r}: 'hermes user list' shows them")
    return account


def _check_expiry(settings: Settings, account: Account) -> None:
    seconds = account.reading.expire_seconds
    if seconds is None:
        seconds = settings.pop3.expire
    if seconds:
        raise Refused(
            f"The server removes mail of {account.name} that is older than {format_time(seconds)}, and this mail keeps its "
            f"dates: say --old-too, or first 'hermes user profile --expire never {account.name}'."
        )


def _check_user(settings: Settings) -> None:
    """What another user writes the server could not read."""
    directory = settings.mailbox.directory
    owner = os.stat(directory if os.path.isdir(directory) else settings.hermes.data).st_uid
    if owner != os.geteuid():
        try:
            who = pwd.getpwuid(owner).pw_name
        except KeyError:
            who = str(owner)
        raise Refused(f"{directory} belongs to {who}: run this as that user, like 'sudo -u {who}'.")


@contextlib.contextmanager
def _opened(path: str, mailbox: str, kind: str | None, quoting: Quoting) -> Iterator[Source]:
    """What ``path`` leads to, outside of the mailbox, by what it looks like unless ``kind`` says it."""
    if path == "-":
        yield MboxSource(sys.stdin.buffer, quoting)
        return
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        raise Refused(f"{path} is a link: name what it leads to.")
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(mailbox)):
        raise Refused(f"{path} is in the mailbox that the mail is to go to.")
    keeping = Keeping(kind) if kind else _looks_like(path, directory=stat.S_ISDIR(mode))
    if keeping is Keeping.MBOX:
        with os.fdopen(open_regular(path), "rb", buffering=0) as file:
            yield MboxSource(file, quoting, os.fstat(file.fileno()).st_size)
    elif keeping is Keeping.MAILDIR:
        if not is_maildir(path):
            raise Refused(f"{path} is no maildir: it has neither cur nor new.")
        yield MaildirSource(path)
    else:
        yield CnmSource(path)


def _looks_like(path: str, *, directory: bool) -> Keeping:
    if not directory:
        return Keeping.CNM if os.fsencode(path).lower().endswith(CNM_SUFFIX) else Keeping.MBOX
    if is_maildir(path):
        return Keeping.MAILDIR
    if any(os.fsencode(name).lower().endswith(CNM_SUFFIX) for name in os.listdir(path)):
        return Keeping.CNM
    raise Refused(f"{path} is no maildir, and has no .CNM files.")


def _run(settings: Settings, place: Place, limits: Limits, source: Source) -> tuple[Imported, str]:
    """Import; how far it came, and what ended it before its time."""
    try:
        maildir.make(place.path)
    except DepartedError as error:
        raise Refused(f"{place.path} cannot be made yet: {error.strerror}; {error.advice}.") from None
    opened = ImportRecord(place.path)
    telling = Telling(settings, place.account)
    importer = Importer(place, opened, limits, tell=telling.tell, now=time.time)
    try:
        with progress("Importing") as show:
            watched = _Watched(source, partial(_show, source, importer, show))
            importer.run(watched)
    except MailboxFullError as error:
        return importer.so_far, f"the mailbox is full: {error}"
    except OSError as error:
        return importer.so_far, f"{error.filename or place.path}: {error.strerror or error}"
    except KeyboardInterrupt:
        return importer.so_far, "interrupted"
    finally:
        opened.close()
    return importer.so_far, ""


def _show(source: Source, importer: Importer, show: Show) -> None:
    so_far = importer.so_far
    known = f", {so_far.already} were there" if so_far.already else ""
    show(source.done, source.total, f"{so_far.imported} messages{known}")


class _Watched:
    """A source that tells how far it has been read."""

    def __init__(self, source: Source, show: Callable[[], None]) -> None:
        self._source = source
        self._show = show
        self.keeping = source.keeping
        self.total = source.total
        self.done = 0

    def items(self) -> Iterator[Item]:
        """The messages."""
        for item in self._source.items():
            if not isinstance(item, bytes):
                self._show()
            yield item


class Telling:
    """Puts facts into the trace: through the server when it runs, else into its spool. That it cannot be done is said once."""

    def __init__(self, settings: Settings, account: str) -> None:
        self._settings = settings
        self._account = account
        self._tries = TRIES

    def tell(self, events: Sequence[Event], octets: int) -> None:
        """Facts about messages that are in the mailbox; they have so many octets."""
        rest, reason = list(events), ""
        for attempt in range(self._tries):
            if attempt:
                # A server that starts or stops has its spool, and does not answer.
                time.sleep(PAUSE_SECONDS)
            try:
                for portion in _portions(events[len(events) - len(rest) :]):
                    words = [_words(event) for event in portion]
                    size = octets if len(rest) == len(events) else 0
                    arguments = {"account": self._account, "octets": size, "events": words}
                    ask(self._settings, "import.record", arguments, ANSWER_SECONDS)
                    del rest[: len(portion)]
            except NotRunning:
                try:
                    record(spool_directory(self._settings), rest)
                except SpoolError as error:
                    reason = str(error)
                    continue
            except Refused as refused:
                reason = refused.format_message()
                continue
            return
        if self._tries > 1:
            remark(f"The messages are imported, but 'hermes track' will not know some of them: {reason}")
        self._tries = 1


def _words(event: Event) -> dict[str, object]:
    return told(attrs.evolve(event, message_id=event.message_id[:MAX_MESSAGE_ID]))


def _portions(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Facts in as many questions as they need."""
    portion: list[Event] = []
    size = 0
    for event in events:
        octets = len(json.dumps(_words(event)))
        if portion and size + octets > FACTS_OCTETS:
            yield portion
            portion, size = [], 0
        portion.append(event)
        size += octets
    if portion:
        yield portion


def _report(done: Imported, fault: str, account: Account, source: str, *, as_json: bool) -> None:
    if as_json:
        say_json({"account": account.name, "source": source, **attrs.asdict(done), "fault": fault})
    else:
        say(f"{done.imported} messages imported for {account.name}, {done.octets} octets")
        if done.already:
            say(f"{done.already} had been imported before")
        for why, count in sorted(done.passed_over.items()):
            say(f"{count} passed over: {why}")
        for problem in done.problems:
            remark(problem)
        if done.failed:
            remark(f"{done.failed} messages could not be imported")
    if fault:
        raise Refused(f"Not all is imported: {fault}. Say the command again to go on.")
    if done.failed:
        sys.exit(EXIT_REFUSED)
