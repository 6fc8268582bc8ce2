"""
What ``hermes check`` looks at beyond the configuration: each look yields findings and changes nothing.

A finding fails when the server could not start, or mail could not be delivered; it warns where something works that is hardly
meant, or will soon not work.
"""

from __future__ import annotations

import enum
import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from hermes.app.accounts import local_accounts
from hermes.app.file_checks import rule_files
from hermes.app.tokens import token_verifier
from hermes.cli.collector_inspection import inspect_collectors
from hermes.cli.directory_inspection import inspect_directory, leads_somewhere
from hermes.cli.ldap_inspection import inspect_ldap
from hermes.cli.queue_inspection import inspect_queue
from hermes.config.catalog import SECTIONS
from hermes.config.errors import ConfigError
from hermes.config.greeting import greeting_lines
from hermes.config.listener import parse_listener
from hermes.config.places import (
    app_passwords_file,
    control_socket,
    shards,
    spool_directory,
    token_directory,
    token_key_file,
)
from hermes.config.schema import Settings
from hermes.config.smarthost_rules import default_smarthost, smarthosts_of
from hermes.core import address
from hermes.core.units import format_size
from hermes.directory.accounts import AccountTable, address_key
from hermes.directory.app_password_file import AppPasswordFile
from hermes.directory.sources.accounts_file import AccountsFileError
from hermes.net.tls import DAYS_OF_WARNING, CertificateError, ServerTLS
from hermes.services.token_store import TokenStore, TokenStoreError
from hermes.spool.errors import SpoolError
from hermes.spool.reader import SpoolReader

#: A message with a picture or two takes as much, once in the queue and once in the mailbox.
FULL_OCTETS = 1024**2


class Level(enum.Enum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Finding:
    """One line of the answer: what was looked at, and how it is."""

    level: Level
    about: str
    text: str


def inspect(settings: Settings) -> Iterator[Finding]:
    """Look at everything."""
    yield from _data(settings)
    yield from _room(settings)
    yield from _certificates(settings)
    yield from _accounts(settings)
    yield from (Finding(Level(level), about, text) for level, about, text in inspect_directory(settings))
    yield from (Finding(Level(level), about, text) for level, about, text in inspect_ldap(settings))
    yield from (Finding(Level(level), about, text) for level, about, text in inspect_collectors(settings))
    yield from _mailboxes(settings)
    for shard in shards(settings):
        yield from _spool(spool_directory(settings, shard))
    yield from (Finding(Level(level), about, text) for level, about, text in inspect_queue(settings))
    yield from _log(settings)
    yield from _manhole(settings)
    yield from _metrics(settings)
    yield from _rule_files(settings)
    yield from _services(settings)
    yield from _sending(settings)
    yield from _greeting(settings)
    yield from _tokens(settings)


def _ok(about: str, text: str) -> Finding:
    return Finding(Level.OK, about, text)


def _warn(about: str, text: str) -> Finding:
    return Finding(Level.WARN, about, text)


def _fail(about: str, text: str) -> Finding:
    return Finding(Level.FAIL, about, text)


def _data(settings: Settings) -> Iterator[Finding]:
    about, data = "data directory", settings.hermes.data
    if not os.path.lexists(data):
        yield from _will_be_made(about, data)
        return
    fault = _unusable_directory(data) or _no_room_for_sockets(settings)
    if fault:
        yield _fail(about, fault)
    elif stat.S_IMODE(os.stat(data).st_mode) & 0o077:
        yield _warn(about, f"{data} is open to others on this machine: chmod 700 {data}")
    else:
        yield _ok(about, f"{data} is writable, and closed to others")


def _room(settings: Settings) -> Iterator[Finding]:
    disks: set[int] = set()
    for path in (settings.hermes.data, settings.mailbox.directory):
        try:
            free, disk = shutil.disk_usage(path).free, os.stat(path).st_dev
        except OSError:
            # It is not there yet, or is of no use: another line says so.
            continue
        if disk in disks:
            continue
        disks.add(disk)
        if free < FULL_OCTETS:
            yield _fail(
                "room", f"the disk of {path} is full, {free // 1024}K left: mail is answered 452; make room there"
            )
        elif free < settings.smtp.max_size:
            size = format_size(settings.smtp.max_size)
            yield _warn("room", f"{path} has {free // 1024}K left: a message of max_size ({size}) is answered 452")


def _certificates(settings: Settings) -> Iterator[Finding]:
    tls = settings.tls
    if not tls.certificate:
        yield _warn("certificate", "there is none: no TLS is offered, and nobody can log in from elsewhere")
        return
    yield from _certificate("certificate", tls.certificate, tls.key, (settings.hermes.hostname,))
    for label, each in settings.certificate.items():
        yield from _certificate(f"certificate:{label}", each.certificate, each.key, each.names)


def _certificate(about: str, certificate: str, key: str, wanted: tuple[str, ...]) -> Iterator[Finding]:
    try:
        tls = ServerTLS(certificate, key)
    except (CertificateError, OSError) as error:
        yield _fail(about, str(error))
        return
    days, names = tls.days_left(), ", ".join(tls.names) or "no name"
    if days < 0:
        yield _fail(
            about, f"{certificate} (for {names}) expired {-days} days ago: renew it, it is taken without a restart"
        )
    elif tls.begins_at > time.time():
        begins, now = (time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) for at in (tls.begins_at, time.time()))
        yield _fail(
            about,
            f"{certificate} (for {names}) is valid from {begins} on: is the clock of this machine right? It says {now}",
        )
    elif days < DAYS_OF_WARNING:
        yield _warn(about, f"{certificate} (for {names}) expires in {days} days")
    else:
        yield _ok(about, f"{certificate} (for {names}) fits its key and is valid for {days} days")
    for name in wanted:
        # RFC 9525 6.3: a wildcard stands for one whole label.
        if not {name.lower(), "*." + name.lower().partition(".")[2]}.intersection(tls.names):
            yield _warn(about, f"{certificate} is not for the name {name}")
    if stat.S_IMODE(os.stat(key).st_mode) & 0o077:
        yield _warn(about, f"the key is open to others on this machine: chmod 600 {key}")


def _accounts(settings: Settings) -> Iterator[Finding]:
    about, local = "accounts", local_accounts(settings)
    try:
        for source in local.sources:
            count, path = len(source.list()), source.path
            yield _ok(about, f"{path} has {count} account{'' if count == 1 else 's'}")
            if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
                yield _warn(about, f"password hashes are open to others on this machine: chmod 600 {path}")
        table = local.table()
    except AccountsFileError as error:
        # Also when there is no such file: the server does not start without.
        yield _fail(about, str(error))
        return
    if settings.hermes.postmaster:
        yield _postmaster(settings, table)
    yield from _app_passwords(settings, table)


def _app_passwords(settings: Settings, table: AccountTable) -> Iterator[Finding]:
    about, path = "app passwords", app_passwords_file(settings)
    if not os.path.exists(path):
        return
    try:
        found = AppPasswordFile(path).list()
    except ValueError as error:
        yield _fail(about, f"{error}: those who use one cannot log in")
        return
    yield _ok(about, f"{path} has {len(found)}")
    # Whom a directory service knows is not asked here.
    strangers = sorted({each.account for each in found} - table.by_name.keys()) if not settings.ldap else []
    if strangers:
        remedy = f"hermes user app-password remove -c {settings.file} --all {strangers[0]}"
        yield _warn(about, f"there is no account {', '.join(strangers[:5])}, which has some: {remedy}")


def _postmaster(settings: Settings, table: AccountTable) -> Finding:
    about, postmaster = "postmaster", settings.hermes.postmaster
    local_part, domain = address.split(postmaster)
    if domain.lower() not in settings.hermes.domains:
        if not settings.hermes.domains:
            return _ok(about, f"{postmaster} is at another server")
        # RFC 5321 4.5.1: mail for postmaster at our domains is ours; elsewhere it would be sent back.
        return _fail(
            about, f"{postmaster} is at another server: name a mailbox here, or mail for postmaster is put off"
        )
    name = table.name_by_address.get(address_key(postmaster))
    if name is None:
        record = table.by_name.get(local_part.lower())
        # An account without addresses has its name at each of our domains.
        name = record.account.name if record is not None and not record.account.addresses else None
    if name is None and leads_somewhere(settings, postmaster):
        return _ok(about, f"{postmaster} stands for others")
    if name is None and settings.ldap:
        return _warn(about, f"{postmaster} is in no file: mail for it waits whenever the directory is down")
    if name is None:
        return _fail(about, f"no account has the address {postmaster}: hermes user add -c {settings.file} {local_part}")
    if table.by_name[name].account.disabled:
        return _fail(about, f"the account {name}, which has the address {postmaster}, is disabled")
    return _ok(about, f"{postmaster} is the account {name}")


def _mailboxes(settings: Settings) -> Iterator[Finding]:
    about, directory = "mailboxes", settings.mailbox.directory
    if not os.path.lexists(directory):
        yield from _will_be_made(about, directory)
        return
    fault = _unusable_directory(directory)
    yield _fail(about, fault) if fault else _ok(about, f"{directory} is writable")


def _spool(directory: str) -> Iterator[Finding]:
    about = "queue"
    if not os.path.lexists(directory):
        yield from _will_be_made(about, directory)
        return
    if fault := _unusable_directory(directory):
        yield _fail(about, fault)
        return
    try:
        with SpoolReader(directory) as spool:
            problems = spool.integrity()
    except (SpoolError, sqlite3.Error) as error:
        problems = [str(error)]
    for problem in problems:
        yield _fail(about, problem)
    if not problems:
        yield _ok(about, f"the store in {directory} is whole")


def _log(settings: Settings) -> Iterator[Finding]:
    about, path = "mail log", settings.log.file
    if not path:
        yield _ok(about, "none is kept (the trace is)")
    elif os.path.lexists(path):
        writable = os.path.isfile(path) and os.access(path, os.W_OK)
        yield _ok(about, f"{path} is writable") if writable else _fail(about, f"{path} cannot be written to")
    else:
        yield from _will_be_made(about, path)


def _manhole(settings: Settings) -> Iterator[Finding]:
    if settings.manhole.listen:
        keys = settings.manhole.authorized_keys
        try:
            lines = Path(keys).read_text("utf-8", "replace").splitlines()
        except OSError as error:
            yield _warn("manhole", f"nobody can enter: {keys} cannot be read: {error.strerror}")
            return
        count = sum(1 for line in lines if line.strip() and not line.lstrip().startswith("#"))
        text = f"{keys} lists {count} key{'' if count == 1 else 's'}"
        yield _ok("manhole", text) if count else _warn("manhole", f"nobody can enter: {text}")


def _metrics(settings: Settings) -> Iterator[Finding]:
    """Whether those who could reach the metrics may read them."""
    open_places = [place for place in settings.metrics.listen if not parse_listener(place).is_private]
    allowed = [
        name
        for name, entry in settings.access.items()
        if entry.action == "allow" and "metrics" in (entry.servers or ("metrics",))
    ]
    if open_places and not allowed:
        text = f"{open_places[0]} can be reached by others, and none may read: name them in an [access:NAME]"
        yield _warn("metrics", text)


def _rule_files(settings: Settings) -> Iterator[Finding]:
    """The files of rules beside config.ini: whether they are understood, and how much is in them."""
    for about, path, counted in rule_files(settings):
        try:
            number, one, more = counted()
        except ConfigError as error:
            for line in str(error).splitlines():
                yield _fail(about, line)
        else:
            yield _ok(about, f"{path} has {number} {one if number == 1 else more}")


def _services(settings: Settings) -> Iterator[Finding]:
    listening = [
        f"{section.name}.{setting.key} {', '.join(places)}"
        for section in SECTIONS.values()
        for setting in section.settings.values()
        if setting.kind == "listeners" and (places := getattr(getattr(settings, section.name), setting.key))
    ]
    if listening:
        yield _ok("listening", "; ".join(listening))
    else:
        yield _warn("listening", "nowhere: no mail comes in, and none can be read")
    if not settings.hermes.domains:
        yield _warn("domains", "there are none: no address is a mailbox here")
    yield from _relaying(settings)
    by_access = (each for entry in settings.access.values() if entry.relay for each in entry.addresses)
    for network in (*settings.smtp.relay_networks, *by_access):
        if network.is_global:
            yield _warn("relaying", f"everybody in {network} on the Internet may send to anybody without a login")


def _relaying(settings: Settings) -> Iterator[Finding]:
    smtp = settings.smtp
    rights = [*smtp.relay_networks, *(entry for entry in settings.access.values() if entry.relay)]
    if smtp.relay == "normal":
        text = (
            "everybody in a private network who gives a sender address of yours may send to anybody without a login: "
        )
        yield _warn("relaying", text + "write relay = authenticated, unless all of these networks are yours")
    if smtp.relay == "only-authenticated" and rights:
        yield _warn(
            "relaying", "relay_networks and relay = yes of [access:NAME] have no effect with only-authenticated"
        )
    if smtp.relay == "strict" and (smtp.submission or smtp.submissions):
        yield _warn("relaying", "with relay = strict people who log in at submission cannot send to other domains")
    for name, each in settings.backup.items():
        verified = "asking their server about each recipient" if each.verify else "whoever the recipient is"
        yield _ok(f"backup:{name}", f"mail for {', '.join(each.domains)} is taken, {verified}")


def _sending(settings: Settings) -> Iterator[Finding]:
    for name, smarthost in smarthosts_of(settings).items():
        place = f"{smarthost.host}:{smarthost.port}"
        if smarthost.chooses:
            yield _ok("sending", f"some mail for others goes through {place}, the smart host {name}")
        elif name == default_smarthost(settings):
            yield _ok("sending", f"mail for others goes through {place}")
        else:
            yield _ok("sending", f"{place}, the smart host {name}, is a fall-back")
        if smarthost.tls != "none" and not smarthost.verify and not smarthost.pin:
            yield _warn("sending", "the smart host's certificate is not verified: anybody in between can read along")
        yield from _token(settings, name, smarthost.oauth)
    if default_smarthost(settings):
        return
    if settings.direct.enabled:
        yield _ok("sending", "mail for others goes straight to their servers")
    elif smarthosts_of(settings):
        remedy = "set host in [smarthost], or enabled = yes in [direct]"
        yield _warn("sending", f"mail for others that none of these smart hosts takes cannot leave: {remedy}")
    else:
        yield _warn("sending", "mail for others cannot leave: set host in [smarthost], or enabled = yes in [direct]")


def _token(settings: Settings, name: str, client: str) -> Iterator[Finding]:
    """Whether somebody has logged in for a smart host that wants tokens."""
    if not client or settings.oauth_clients[client].grant == "client_credentials":
        return
    try:
        record = TokenStore(token_directory(settings), token_key_file(settings)).read(client)
    except (TokenStoreError, OSError) as error:
        yield _fail("sending", f"the OAuth token of {client} cannot be read: {error}")
        return
    if record is None or record.login_needed:
        yield _warn("sending", f"the smart host {name} has no OAuth token: run hermes oauth login {client}")


def _greeting(settings: Settings) -> Iterator[Finding]:
    if settings.smtp.greeting_file:
        try:
            lines = greeting_lines(settings)
        except ValueError as error:
            yield _fail("greeting", str(error))
        else:
            yield _ok("greeting", f"{settings.smtp.greeting_file} says: {lines[0]}")


def _tokens(settings: Settings) -> Iterator[Finding]:
    oauth = settings.oauth
    if oauth.check == "no":
        return
    # Not before it is needed: whoever imports it has chosen one for the whole process.
    from twisted.internet import reactor  # noqa: PLC0415

    try:
        token_verifier(settings, reactor, time.time)
    except ValueError as error:
        yield _fail("tokens", str(error))
        return
    where = oauth.introspection_url if oauth.check == "introspection" else oauth.keys or oauth.keys_url
    yield _ok("tokens", f"they are taken, and checked by {where}; the name is in {oauth.claim}")


def _will_be_made(about: str, path: str) -> Iterator[Finding]:
    """A file or directory that is not there yet: it will be made, if that is possible."""
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    fault = _unusable_directory(parent)
    yield _fail(about, fault) if fault else _ok(about, f"{path} will be made")


def _no_room_for_sockets(settings: Settings) -> str:
    path = control_socket(settings)
    try:
        parse_listener(f"unix:{path}")
    except ValueError as error:
        return f"{error}; choose a shorter one"
    return ""


def _unusable_directory(path: str) -> str:
    """Why nothing can be written there; empty when it can."""
    if not os.path.isdir(path):
        return f"{path} is not a directory"
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return f"{path} cannot be written to by this user (owner: user id {os.stat(path).st_uid})"
    return ""
