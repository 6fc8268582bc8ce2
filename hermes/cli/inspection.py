"""
What ``hermes check`` looks at beyond the configuration: each look yields findings and changes nothing.

A finding fails when the server could not start, or mail could not be delivered; it warns where something works that is hardly
meant, or will soon not work.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from hermes.app.file_checks import rule_files
from hermes.app.tokens import token_verifier
from hermes.cli.account_inspection import inspect_accounts
from hermes.cli.collector_inspection import inspect_collectors
from hermes.cli.directory_inspection import inspect_directory
from hermes.cli.finding import Finding, fail, ok, warn
from hermes.cli.ldap_inspection import inspect_ldap
from hermes.cli.queue_inspection import inspect_queue
from hermes.config.catalog import SECTIONS
from hermes.config.errors import ConfigError
from hermes.config.greeting import greeting_lines
from hermes.config.listener import parse_listener
from hermes.config.places import (
    control_socket,
    shards,
    spool_directory,
    token_directory,
    token_key_file,
)
from hermes.config.schema import Settings
from hermes.config.smarthost_rules import default_smarthost, smarthosts_of
from hermes.core.units import format_size
from hermes.net.tls import DAYS_OF_WARNING, CertificateError, ServerTLS
from hermes.services.token_store import TokenStore, TokenStoreError
from hermes.spool.errors import SpoolError
from hermes.spool.reader import SpoolReader

#: A message with a picture or two takes as much, once in the queue and once in the mailbox.
FULL_OCTETS = 1024**2


def inspect(settings: Settings) -> Iterator[Finding]:
    """Look at everything."""
    yield from _data(settings)
    yield from _room(settings)
    yield from _certificates(settings)
    yield from inspect_accounts(settings)
    yield from inspect_directory(settings)
    yield from inspect_ldap(settings)
    yield from inspect_collectors(settings)
    yield from _mailboxes(settings)
    for shard in shards(settings):
        yield from _spool(spool_directory(settings, shard))
    yield from inspect_queue(settings)
    yield from _log(settings)
    yield from _manhole(settings)
    yield from _metrics(settings)
    yield from _rule_files(settings)
    yield from _services(settings)
    yield from _sending(settings)
    yield from _greeting(settings)
    yield from _tokens(settings)


def _data(settings: Settings) -> Iterator[Finding]:
    about, data = "data directory", settings.hermes.data
    if not os.path.lexists(data):
        yield from _will_be_made(about, data)
        return
    fault = _unusable_directory(data) or _no_room_for_sockets(settings)
    if fault:
        yield fail(about, fault)
    elif stat.S_IMODE(os.stat(data).st_mode) & 0o077:
        yield warn(about, f"{data} is open to others on this machine: chmod 700 {data}")
    else:
        yield ok(about, f"{data} is writable, and closed to others")


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
            yield fail(
                "room", f"the disk of {path} is full, {free // 1024}K left: mail is answered 452; make room there"
            )
        elif free < settings.smtp.max_size:
            size = format_size(settings.smtp.max_size)
            yield warn("room", f"{path} has {free // 1024}K left: a message of max_size ({size}) is answered 452")


def _certificates(settings: Settings) -> Iterator[Finding]:
    tls = settings.tls
    if not tls.certificate:
        yield warn("certificate", "there is none: no TLS is offered, and nobody can log in from elsewhere")
        return
    yield from _certificate("certificate", tls.certificate, tls.key, (settings.hermes.hostname,))
    for label, each in settings.certificate.items():
        yield from _certificate(f"certificate:{label}", each.certificate, each.key, each.names)


def _certificate(about: str, certificate: str, key: str, wanted: tuple[str, ...]) -> Iterator[Finding]:
    try:
        tls = ServerTLS(certificate, key)
    except (CertificateError, OSError) as error:
        yield fail(about, str(error))
        return
    days, names = tls.days_left(), ", ".join(tls.names) or "no name"
    if days < 0:
        yield fail(
            about, f"{certificate} (for {names}) expired {-days} days ago: renew it, it is taken without a restart"
        )
    elif tls.begins_at > time.time():
        begins, now = (time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) for at in (tls.begins_at, time.time()))
        yield fail(
            about,
            f"{certificate} (for {names}) is valid from {begins} on: is the clock of this machine right? It says {now}",
        )
    elif days < DAYS_OF_WARNING:
        yield warn(about, f"{certificate} (for {names}) expires in {days} days")
    else:
        yield ok(about, f"{certificate} (for {names}) fits its key and is valid for {days} days")
    for name in wanted:
        # RFC 9525 6.3: a wildcard stands for one whole label.
        if not {name.lower(), "*." + name.lower().partition(".")[2]}.intersection(tls.names):
            yield warn(about, f"{certificate} is not for the name {name}")
    if stat.S_IMODE(os.stat(key).st_mode) & 0o077:
        yield warn(about, f"the key is open to others on this machine: chmod 600 {key}")


def _mailboxes(settings: Settings) -> Iterator[Finding]:
    about, directory = "mailboxes", settings.mailbox.directory
    if not os.path.lexists(directory):
        yield from _will_be_made(about, directory)
        return
    fault = _unusable_directory(directory)
    yield fail(about, fault) if fault else ok(about, f"{directory} is writable")


def _spool(directory: str) -> Iterator[Finding]:
    about = "queue"
    if not os.path.lexists(directory):
        yield from _will_be_made(about, directory)
        return
    if fault := _unusable_directory(directory):
        yield fail(about, fault)
        return
    try:
        with SpoolReader(directory) as spool:
            problems = spool.integrity()
    except (SpoolError, sqlite3.Error) as error:
        problems = [str(error)]
    for problem in problems:
        yield fail(about, problem)
    if not problems:
        yield ok(about, f"the store in {directory} is whole")


def _log(settings: Settings) -> Iterator[Finding]:
    about, path = "mail log", settings.log.file
    if not path:
        yield ok(about, "none is kept (the trace is)")
    elif os.path.lexists(path):
        writable = os.path.isfile(path) and os.access(path, os.W_OK)
        yield ok(about, f"{path} is writable") if writable else fail(about, f"{path} cannot be written to")
    else:
        yield from _will_be_made(about, path)


def _manhole(settings: Settings) -> Iterator[Finding]:
    if settings.manhole.listen:
        keys = settings.manhole.authorized_keys
        try:
            lines = Path(keys).read_text("utf-8", "replace").splitlines()
        except OSError as error:
            yield warn("manhole", f"nobody can enter: {keys} cannot be read: {error.strerror}")
            return
        count = sum(1 for line in lines if line.strip() and not line.lstrip().startswith("#"))
        text = f"{keys} lists {count} key{'' if count == 1 else 's'}"
        yield ok("manhole", text) if count else warn("manhole", f"nobody can enter: {text}")


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
        yield warn("metrics", text)


def _rule_files(settings: Settings) -> Iterator[Finding]:
    """The files of rules beside config.ini: whether they are understood, and how much is in them."""
    for about, path, counted in rule_files(settings):
        try:
            number, one, more = counted()
        except ConfigError as error:
            for line in str(error).splitlines():
                yield fail(about, line)
        else:
            yield ok(about, f"{path} has {number} {one if number == 1 else more}")


def _services(settings: Settings) -> Iterator[Finding]:
    listening = [
        f"{section.name}.{setting.key} {', '.join(places)}"
        for section in SECTIONS.values()
        for setting in section.settings.values()
        if setting.kind == "listeners" and (places := getattr(getattr(settings, section.name), setting.key))
    ]
    if listening:
        yield ok("listening", "; ".join(listening))
    else:
        yield warn("listening", "nowhere: no mail comes in, and none can be read")
    if not settings.hermes.domains:
        yield warn("domains", "there are none: no address is a mailbox here")
    yield from _relaying(settings)
    by_access = (each for entry in settings.access.values() if entry.relay for each in entry.addresses)
    for network in (*settings.smtp.relay_networks, *by_access):
        if network.is_global:
            yield warn("relaying", f"everybody in {network} on the Internet may send to anybody without a login")


def _relaying(settings: Settings) -> Iterator[Finding]:
    smtp = settings.smtp
    rights = [*smtp.relay_networks, *(entry for entry in settings.access.values() if entry.relay)]
    if smtp.relay == "normal":
        text = (
            "everybody in a private network who gives a sender address of yours may send to anybody without a login: "
        )
        yield warn("relaying", text + "write relay = authenticated, unless all of these networks are yours")
    if smtp.relay == "only-authenticated" and rights:
        yield warn("relaying", "relay_networks and relay = yes of [access:NAME] have no effect with only-authenticated")
    if smtp.relay == "strict" and (smtp.submission or smtp.submissions):
        yield warn("relaying", "with relay = strict people who log in at submission cannot send to other domains")
    for name, each in settings.backup.items():
        verified = "asking their server about each recipient" if each.verify else "whoever the recipient is"
        yield ok(f"backup:{name}", f"mail for {', '.join(each.domains)} is taken, {verified}")


def _sending(settings: Settings) -> Iterator[Finding]:
    for name, smarthost in smarthosts_of(settings).items():
        place = f"{smarthost.host}:{smarthost.port}"
        if smarthost.chooses:
            yield ok("sending", f"some mail for others goes through {place}, the smart host {name}")
        elif name == default_smarthost(settings):
            yield ok("sending", f"mail for others goes through {place}")
        else:
            yield ok("sending", f"{place}, the smart host {name}, is a fall-back")
        if smarthost.tls != "none" and not smarthost.verify and not smarthost.pin:
            yield warn("sending", "the smart host's certificate is not verified: anybody in between can read along")
        yield from _token(settings, name, smarthost.oauth)
    if default_smarthost(settings):
        return
    if settings.direct.enabled:
        yield ok("sending", "mail for others goes straight to their servers")
    elif smarthosts_of(settings):
        remedy = "set host in [smarthost], or enabled = yes in [direct]"
        yield warn("sending", f"mail for others that none of these smart hosts takes cannot leave: {remedy}")
    else:
        yield warn("sending", "mail for others cannot leave: set host in [smarthost], or enabled = yes in [direct]")


def _token(settings: Settings, name: str, client: str) -> Iterator[Finding]:
    """Whether somebody has logged in for a smart host that wants tokens."""
    if not client or settings.oauth_clients[client].grant == "client_credentials":
        return
    try:
        record = TokenStore(token_directory(settings), token_key_file(settings)).read(client)
    except (TokenStoreError, OSError) as error:
        yield fail("sending", f"the OAuth token of {client} cannot be read: {error}")
        return
    if record is None or record.login_needed:
        yield warn("sending", f"the smart host {name} has no OAuth token: run hermes oauth login {client}")


def _greeting(settings: Settings) -> Iterator[Finding]:
    if settings.smtp.greeting_file:
        try:
            lines = greeting_lines(settings)
        except ValueError as error:
            yield fail("greeting", str(error))
        else:
            yield ok("greeting", f"{settings.smtp.greeting_file} says: {lines[0]}")


def _tokens(settings: Settings) -> Iterator[Finding]:
    oauth = settings.oauth
    if oauth.check == "no":
        return
    # Not before it is needed: whoever imports it has chosen one for the whole process.
    from twisted.internet import reactor  # noqa: PLC0415

    try:
        token_verifier(settings, reactor, time.time)
    except ValueError as error:
        yield fail("tokens", str(error))
        return
    where = oauth.introspection_url if oauth.check == "introspection" else oauth.keys or oauth.keys_url
    yield ok("tokens", f"they are taken, and checked by {where}; the name is in {oauth.claim}")


def _will_be_made(about: str, path: str) -> Iterator[Finding]:
    """A file or directory that is not there yet: it will be made, if that is possible."""
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    fault = _unusable_directory(parent)
    yield fail(about, fault) if fault else ok(about, f"{path} will be made")


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
