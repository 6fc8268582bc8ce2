"""``hermes init``: from nothing to a site that can be started."""

from __future__ import annotations

import os
import shlex
import shutil
import sys

import attrs
import click

from hermes.cli import password
from hermes.cli.output import Refused, say
from hermes.cli.user import add_account
from hermes.config import site
from hermes.config.host_names import domain_fault
from hermes.config.schema import Settings
from hermes.core.account import Account
from hermes.directory.accounts import check_name

_DEMO_USER = "demo"
_POSTMASTER = "postmaster"

#: Ports below this one need a right that ordinary users do not have (CAP_NET_BIND_SERVICE).
_FIRST_FREE_PORT = 1024

#: The greatest standard port with the greatest offset is still a port.
_MAX_OFFSET = 65535 - max(site.PORTS.values())


@attrs.frozen
class _FirstUser:
    name: str
    secret: str
    generated: bool


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--domain", required=True, help="The mail domain whose addresses are mailboxes here, like example.org.")
@click.option("--hostname", help="The name of this server in the DNS. Default: mail.DOMAIN.")
@click.option("--user", "name", metavar="NAME", help="The first account; also the postmaster.")
@click.option(
    "--password-file", metavar="F", help="Take its password from the first line of this file; - is standard input."
)
@click.option("--demo", is_flag=True, help="For trying out: loopback only, standard ports + 2000, with a login.")
@click.option(
    "--port-offset",
    type=click.IntRange(0, _MAX_OFFSET),
    metavar="N",
    help="Add N to the standard ports. Default: 2000 with --demo, else 0.",
)
def init(
    directory: str,
    domain: str,
    hostname: str | None,
    name: str | None,
    password_file: str | None,
    demo: bool,
    port_offset: int | None,
) -> None:
    """
    Make a new site in DIR.

    Writes DIR/config.ini, the data directory, keys, a self-signed certificate and the first account. Overwrites nothing, and
    takes everything away again when something fails. Without --user, the account "demo" (with --demo) or "postmaster" is made,
    with a password that is printed once.
    """
    if password_file is not None and name is None:
        raise click.UsageError("--password-file is the password of --user: name the user.")
    plan, first = _planned(directory, domain, hostname, name, password_file, demo, port_offset)
    try:
        settings = site.create(plan, lambda made: add_account(made, Account(first.name, ()), first.secret))
    except site.SiteExistsError as error:
        raise Refused(str(error)) from None
    except OSError as error:
        # A full disk names no file.
        raise Refused(f"{error.filename or plan.directory}: {error.strerror or error}; nothing was changed") from None
    _tell(plan, settings, first)


def _planned(
    directory: str,
    domain: str,
    hostname: str | None,
    name: str | None,
    password_file: str | None,
    demo: bool,
    port_offset: int | None,
) -> tuple[site.Plan, _FirstUser]:
    domain = domain.lower()
    hostname = (hostname or f"mail.{domain}").lower()
    for each in (domain, hostname):
        if fault := domain_fault(each):
            raise click.UsageError(fault)
    if name is None:
        first = _FirstUser(_DEMO_USER if demo else _POSTMASTER, password.generate(), generated=True)
    else:
        try:
            name = check_name(name.lower())
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        first = _FirstUser(name, password.obtain(name, password_file), generated=False)
    if port_offset is None:
        port_offset = site.DEMO_OFFSET if demo else 0
    return site.Plan(directory, domain, hostname, f"{first.name}@{domain}", demo, port_offset), first


def _tell(plan: site.Plan, settings: Settings, first: _FirstUser) -> None:
    file = shlex.quote(plan.file)
    say(f"{plan.file} is written and in order. {plan.hostname} takes mail for {plan.domain}.")
    click.echo()
    for service, places in (
        ("SMTP", settings.smtp.listen),
        ("submission", settings.smtp.submission),
        ("submissions", settings.smtp.submissions),
        ("POP3", settings.pop3.listen),
        ("POP3S", settings.pop3.listen_tls),
        ("poppass", settings.poppass.listen),
        ("finger", settings.finger.listen),
        ("phone book", settings.phonebook.listen),
        ("manhole", settings.manhole.listen),
    ):
        if places:
            say(f"    {service:<12} {', '.join(places)}")
    click.echo()
    say(f"    {'login':<12} {first.name}")
    if first.generated:
        say(f"    {'password':<12} {first.secret}    (kept as a hash only: write it down now)")
    say(f"    {'address':<12} {plan.postmaster}, also the postmaster: reports and mail to postmaster arrive there")
    click.echo()
    for line in _next_steps_of_demo(plan, first) if plan.demo else _next_steps(plan, file):
        say(line)


def _next_steps_of_demo(plan: site.Plan, first: _FirstUser) -> list[str]:
    program, file, offset = _program(), shlex.quote(plan.file), plan.port_offset
    secret = first.secret if first.generated else "PASSWORD"
    login = shlex.quote(f"{first.name}:{secret}")
    return [
        "Start it, and leave it running:",
        f"    {program} run -c {file}",
        "Then, in another terminal, send a message and read it:",
        f"    swaks --server 127.0.0.1:{site.PORTS['smtp', 'listen'] + offset} --to {plan.postmaster}",
        f"    curl --user {login} pop3://127.0.0.1:{site.PORTS['pop3', 'listen'] + offset}/1",
        "Without swaks:",
        f"    printf 'Subject: hello\\r\\n\\r\\nIt works.\\r\\n' | curl --upload-file - --mail-from {plan.postmaster} "
        f"--mail-rcpt {plan.postmaster} smtp://127.0.0.1:{site.PORTS['smtp', 'listen'] + offset}",
        "Where is it?",
        f"    {program} track -c {file} {plan.postmaster}",
        "A shell into the running server:",
        f"    ssh -i {shlex.quote(plan.manhole_key)} -p {site.MANHOLE_PORT + offset} {first.name}@127.0.0.1",
    ]


def _next_steps(plan: site.Plan, file: str) -> list[str]:
    program = _program()
    steps = [
        "What to do next:",
        f"    {program} user add -c {file} NAME        for everybody who shall have a mailbox",
        f"    {program} check -c {file}                is everything in order?",
        f"    {program} run -c {file}                  start it (etc/hermes.service does so at boot)",
        f"In the DNS, {plan.hostname} must lead to this machine, and {plan.domain} needs an MX record that names it.",
        "The certificate is self-signed; one of an authority goes into [tls].",
        "Mail for others can leave when [smarthost] or [direct] says by which way.",
    ]
    if min(site.PORTS.values()) + plan.port_offset < _FIRST_FREE_PORT:
        steps.append(f"Ports below {_FIRST_FREE_PORT} need root or CAP_NET_BIND_SERVICE; the systemd unit gives it.")
    return steps


def _program() -> str:
    """The command as it was called, so that what is printed can be typed: in a virtual environment it is on nobody's path."""
    called = sys.argv[0]
    if os.path.basename(called) != "hermes" or shutil.which("hermes") == os.path.abspath(called):
        return "hermes"
    return shlex.quote(called)
