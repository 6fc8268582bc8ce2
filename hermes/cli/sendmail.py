"""
``hermes sendmail``: what programs on this machine call to send mail, with the options and exit codes that they know.

A message is written into the drop directory and made durable before anything else. Then a running server is asked to take it at
once, and its answer becomes the exit code; when none answers, the message stays there, and the server takes it when it is up.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import re
import secrets
import socket
import sys
from collections.abc import Iterable
from typing import IO

import click

from hermes.cli.control_client import NotRunning, ask
from hermes.cli.output import Refused, safe
from hermes.cli.sendmail_bridge import bridge
from hermes.cli.sendmail_words import UsageError, Words, parse
from hermes.config.durable import sync_directory
from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.schema import Settings
from hermes.core.dropped import LineEnds, addressed, body_of, head_of, without_bcc
from hermes.core.envelope import Envelope, Recipient
from hermes.core.header import Header
from hermes.core.header_facts import MAX_HEADER_OCTETS, header_end
from hermes.core.mailbox_list import read
from hermes.protocols.smtp.grammar import MalformedError, parse_path
from hermes.services.drop_files import NEW, TMP, make

#: sysexits.h.
EX_USAGE, EX_DATAERR, EX_UNAVAILABLE, EX_SOFTWARE = 64, 65, 69, 70
EX_CANTCREAT, EX_IOERR, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 73, 74, 75, 77, 78

PIECE_OCTETS = 64 * 1024

#: Longer than a check of a large message takes; when it is over, the message is safe where it is.
TAKE_SECONDS = 60.0

#: Without a configuration that may be read: what a server takes at most unless it says otherwise.
_MAX_OCTETS = 50 * 1024**2


#: A name without a domain, that of somebody here: atext and dots (RFC 5322 3.2.3).
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+\Z")


class _End(Exception):  # noqa: N818 - it is an end, and not always an error
    """How the command ends: exit code, and words for standard error."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]}, add_help_option=True)
@click.option("-c", "--config", envvar="HERMES_CONFIG", metavar="FILE", help="The server's config.ini; also -C FILE.")
@click.option(
    "--drop",
    envvar="HERMES_DROP",
    metavar="DIR",
    help="The drop directory, for users who may not read the configuration.",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def sendmail(config: str | None, drop: str | None, words: tuple[str, ...]) -> None:
    """
    Send a message from standard input, as sendmail does.

    \b
    -t          take the recipients from To:, Cc: and Bcc:, too
    -i, -oi     a line with a single dot does not end the message
    -f ADDRESS  the sender of the envelope; <> for none
    -F NAME     the sender's name, for a message without From:
    -N, -R, -V  what the sender wants to be told (DSN)
    -bs         speak SMTP at standard input and output
    -bp         show the queue
    -q          try what waits in the queue

    Other options of sendmail are known and ignored. The exit code is one of sysexits.h: 0 when the server has the message, or
    will have it when it is up again.
    """  # noqa: D301 - click wants the character itself
    try:
        asked = parse(words)
        _run(asked, asked.config or config, drop)
    except UsageError as error:
        _end(EX_USAGE, str(error))
    except _End as end:
        _end(end.code, str(end))
    except ConfigError as error:
        _end(EX_CONFIG, str(error))
    except PermissionError as error:
        _end(EX_NOPERM, f"{error.filename}: {error.strerror}")
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        _end(EX_TEMPFAIL if full else EX_CANTCREAT, f"{error.filename or 'the drop directory'}: {error.strerror}")


def _end(code: int, text: str) -> None:
    if text:
        click.echo(f"sendmail: {safe(text)}", err=True)
    sys.exit(code)


def _run(asked: Words, config: str | None, drop: str | None) -> None:
    settings = None
    if config is not None:
        try:
            settings = load(config)
        except (ConfigError, OSError):
            if drop is None:
                raise
    if settings is None and drop is None:
        raise _End(
            EX_CONFIG, "name the server's config.ini with -C or HERMES_CONFIG, or its drop directory with HERMES_DROP"
        )
    if asked.mode == "m":
        _send(asked, settings, drop)
        return
    if settings is None:
        raise _End(EX_CONFIG, f"-b{asked.mode} needs the server's config.ini: name it with -C or HERMES_CONFIG")
    match asked.mode:
        case "s":
            code = bridge(settings, sys.stdin.buffer, sys.stdout.buffer)
            raise _End(code)
        case "p":
            # Not before it is needed: reading the queue takes more of Hermes than sending a message.
            from hermes.cli.queue import list_  # noqa: PLC0415

            list_.main(["-c", settings.file], standalone_mode=False)
        case "q":
            _asked(settings, "queue.retry", {"id": None})
        case _:
            _asked(settings, "reload", {})


def _asked(settings: Settings, command: str, arguments: dict[str, object]) -> None:
    try:
        click.echo(safe(ask(settings, command, arguments)))
    except NotRunning as error:
        raise _End(EX_TEMPFAIL, error.format_message()) from None
    except Refused as error:
        raise _End(EX_UNAVAILABLE, error.format_message()) from None


def _send(asked: Words, settings: Settings | None, drop: str | None) -> None:
    directory = drop or (settings.drop.directory if settings is not None else "")
    if not directory:
        raise _End(EX_CONFIG, "the server takes nothing from files: set directory in [drop]")
    hostname = _origin(settings) if settings is not None else socket.getfqdn()
    most = settings.smtp.max_size if settings is not None else _MAX_OCTETS
    pieces = _message(sys.stdin.buffer, most, ignore_dots=asked.ignore_dots)
    envelope, pieces = _envelope(asked, pieces, hostname)
    if drop is None and settings is not None:
        # The server may never have run.
        make(directory, shared=settings.drop.shared)
    name = leave(directory, [head_of(envelope), *pieces])
    if settings is not None:
        _hand_over(settings, name)


def _origin(settings: Settings) -> str:
    """The domain of a name without one: that of the mailboxes here, if there are any."""
    return settings.hermes.domains[0] if settings.hermes.domains else settings.hermes.hostname


def _message(source: IO[bytes], most: int, *, ignore_dots: bool) -> list[bytes]:
    """The message with LF line ends, to its end or to a line with a single dot."""
    ends, pieces, size = LineEnds(), [], 0
    if ignore_dots:
        raw: Iterable[bytes] = iter(lambda: source.read(PIECE_OCTETS), b"")
    else:
        raw = iter(lambda: source.readline(PIECE_OCTETS), b"")
    begins_line = True
    for piece in raw:
        if not ignore_dots and begins_line and piece.rstrip(b"\r\n") == b"." and piece != b".":
            break
        begins_line = piece.endswith(b"\n")
        size += len(piece)
        if size > most:
            raise _End(EX_DATAERR, f"the message is larger than {most} octets (smtp.max_size)")
        pieces.append(ends.feed(piece))
    return [b"".join([*pieces, ends.finish()])]


def _envelope(asked: Words, pieces: list[bytes], hostname: str) -> tuple[Envelope, list[bytes]]:
    text = b"".join(pieces)
    if text.startswith((b"From ", b">From ")):
        text = text.partition(b"\n")[2]
    end = header_end(text[:MAX_HEADER_OCTETS])
    header = text[:end] if end >= 0 else text[:MAX_HEADER_OCTETS]
    named = [each for word in asked.recipients for each in _named(word)]
    if asked.from_header:
        found = addressed(header)
        # As on the command line: root is root here.
        named += [*found.recipients, *filter(_NAME.match, found.strays)]
        if end >= 0:
            text = without_bcc(header) + text[end:]
    recipients = [_address(each, hostname) for each in named]
    if not recipients:
        raise UsageError("there is no recipient: name one, or say -t and have them in the header")
    user = _user()
    sender = user if asked.sender is None else asked.sender
    reverse_path = _address(sender, hostname) if sender else ""
    if end > 0 and Header(header).first("from") is None:
        # Who calls sendmail relies on it (RFC 5322 3.6.2: From is one of the two fields that must be there).
        full_name = asked.full_name.encode("ascii", "ignore").decode().replace('"', "").replace("\\", "")
        author = f"{reverse_path or _address(user, hostname)}"
        line = f'From: "{full_name}" <{author}>\n' if full_name else f"From: {author}\n"
        text = line.encode() + text
    to = tuple(Recipient(each, asked.notify) for each in dict.fromkeys(recipients))
    return Envelope(reverse_path, to, body_of([text]), ret=asked.ret, envid=asked.envid), [text]


def _named(word: str) -> list[str]:
    """Whom a word of the command names: sendmail takes several with commas between them, and names of people beside addresses."""
    if not any(sign in word for sign in ",<"):
        return [word]
    found, strays = read(word)
    return [*found, *strays]


def _address(text: str, hostname: str) -> str:
    """An address as the envelope has it; a name alone is one at this host."""
    text = text.strip().removeprefix("<").removesuffix(">")
    whole = text if "@" in text or text.lower() == "postmaster" else f"{text}@{hostname}"
    if "@" not in whole:
        whole = f"{whole}@{hostname}"
    try:
        address, rest = parse_path(f"<{whole}>", "5.1.3")
    except MalformedError as error:
        raise _End(EX_DATAERR, f"{text}: {error}") from None
    if rest:
        raise _End(EX_DATAERR, f"{text} is not an address")
    return address


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "nobody"


def leave(directory: str, pieces: Iterable[bytes]) -> str:
    """Put a file into the drop directory, durably; its name."""
    name = secrets.token_hex(16)
    written, final = os.path.join(directory, TMP, name), os.path.join(directory, NEW, name)
    owner = os.stat(os.path.join(directory, NEW))
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            elif os.geteuid() != owner.st_uid:
                # The server must be able to read it; nobody else can list the directory, and the name cannot be guessed.
                os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.rename(written, final)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(written)
        raise
    try:
        sync_directory(os.path.join(directory, NEW))
    except PermissionError:
        # Others may put files into a shared directory, and not open it: then everything is made durable, names too.
        os.sync()
    return name


def _hand_over(settings: Settings, name: str) -> None:
    try:
        answer = ask(settings, "drop.take", {"name": name}, TAKE_SECONDS)
    except Refused:
        # It is down, or busy, or this user may not speak to it: the message is safe, and is taken later.
        return
    if answer.get("for_good"):
        raise _End(EX_UNAVAILABLE, str(answer.get("refused")))
