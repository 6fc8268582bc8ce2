"""``hermes user import``: many accounts at once, from a table or from Mercury's list of users."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import click

from hermes.app.accounts import local_accounts
from hermes.cli.app_password import app_passwords
from hermes.cli.output import Refused, config_option, say, say_table
from hermes.cli.password import generate
from hermes.cli.user_change import arrived, text_of
from hermes.config.loader import load
from hermes.config.schema import Settings
from hermes.core.account import Account
from hermes.core.units import parse_size
from hermes.directory.accounts import DuplicateAddressError, address_key, check_address, check_name
from hermes.directory.passwords import encode_new_password, hash_password, make_scram_keys
from hermes.directory.sources.local import LocalAccounts
from hermes.mailbox.departed import arriving

#: What a table of accounts may say; name is the one column that there must be.
COLUMNS = ("name", "password", "full_name", "addresses", "quota")

#: Larger files are no lists of accounts: 100,000 of them take a tenth of it.
MAX_OCTETS = 64 * 1024**2

# POP3_access: the password that Mercury's POP3, IMAP and PopPass ask for
_PASSWORD = re.compile(r"^\s*POP3_access\s*:\s*(\S.*?)\s*$", re.MULTILINE | re.IGNORECASE)


@attrs.define
class Wanted:
    """One account of a file: ``line`` is where it stands."""

    line: int
    account: Account
    password: str = attrs.field(default="", repr=False)


class ProblemsError(Exception):
    """What is wrong with a file, a line each."""


@click.command("import")
@config_option
@click.option(
    "--format", "kind", type=click.Choice(["csv", "mercury"]), help="Default: mercury for PMAIL.USR, else csv."
)
@click.option(
    "--mail",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Mercury's directory of mailboxes: passwords are taken from NAME/PASSWD.PM below it.",
)
@click.option("--generate", "generates", is_flag=True, help="Make a password for those without one, and print it once.")
@click.option("--dry-run", is_flag=True, help="Say what would be added, and add nothing.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(config: str, kind: str | None, mail: Path | None, generates: bool, dry_run: bool, file: Path) -> None:
    """
    Add the accounts that FILE lists.

    A table (CSV) has a first line that names its columns: name, and any of password, full_name, addresses (several with
    spaces between) and quota. Mercury's PMAIL.USR is read as it is. Who has an account already is passed over, so the command
    can be said again; when a line is wrong nothing is added.
    """
    settings = load(config)
    source = local_accounts(settings)
    if kind is None:
        kind = "mercury" if file.suffix.lower() == ".usr" else "csv"
    try:
        wanted = read_accounts(file, kind, mail)
        accounts = list(source.list()) if source.is_there() else []
        there = {account.name for account in accounts}
        new = [each for each in wanted if each.account.name not in there]
        _check_addresses(file, accounts, new)
    except (ProblemsError, ValueError) as error:
        raise Refused(str(error)) from None
    if dry_run:
        names = [each.account.name for each in new]
        say(f"{len(new)} of {len(wanted)} accounts would be added: {', '.join(names) or 'all are there already'}")
        return
    made = _add(settings, source, file, new, generates)
    without = sum(1 for each in new if not each.password)
    say(f"{len(new)} accounts added; {len(wanted) - len(new)} were there already; {without} have no password")
    if made:
        say_table(("name", "password"), made)


def _add(
    settings: Settings, source: LocalAccounts, file: Path, new: list[Wanted], generates: bool
) -> list[tuple[str, str]]:
    made: list[tuple[str, str]] = []
    with click.progressbar(new, label="Adding accounts") as progress:
        for each in progress:
            if generates and not each.password:
                each.password = generate()
                made.append((each.account.name, each.password))
            try:
                hashed = hash_password(each.password) if each.password else ""
                keys = make_scram_keys(each.password) if each.password and settings.accounts.scram != "no" else ""
                source.add(each.account, hashed, keys)
                app_passwords(settings).forget(each.account.name)
                arrived(settings, each.account.name)
                arriving(settings.mailbox.directory, each.account.name)
            except ValueError as error:
                raise Refused(f"{file}:{each.line}: {text_of(error)}. Those before it have been added.") from None
    return made


def read_accounts(file: Path, kind: str, mail: Path | None) -> list[Wanted]:
    """What a file lists; raise :class:`ProblemsError` with every line that is wrong."""
    try:
        with file.open("rb") as opened:
            octets = opened.read(MAX_OCTETS + 1)
    except OSError as error:
        raise ProblemsError(f"{file}: {error.strerror}") from None
    if len(octets) > MAX_OCTETS:
        raise ProblemsError(f"{file}: is larger than {MAX_OCTETS} octets, which is no list of accounts")
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Mercury and the tables of its time are in the code page of Windows.
        text = octets.decode("cp1252", "replace")
    problems: list[str] = []

    def wrong(line: int, words: str) -> None:
        problems.append(f"{file}:{line}: {words}")

    wanted = _mercury(text, mail, wrong) if kind == "mercury" else _table(text, wrong)
    lines: dict[str, int] = {}
    for each in wanted:
        first = lines.setdefault(each.account.name, each.line)
        if first != each.line:
            wrong(each.line, f"{each.account.name} stands in line {first} already")
    if problems:
        raise ProblemsError("\n".join(problems[:20]))
    return wanted


def _check_addresses(file: Path, there: Sequence[Account], new: Sequence[Wanted]) -> None:
    """Raise :class:`ProblemsError` with the lines that list an address which is somebody's already."""
    owners = {address_key(address): account.name for account in there for address in account.addresses}
    problems = []
    for each in new:
        for address in each.account.addresses:
            first = owners.setdefault(address_key(address), each.account.name)
            if first != each.account.name:
                problems.append(f"{file}:{each.line}: {DuplicateAddressError(address, first, each.account.name)}")
    if problems:
        raise ProblemsError("\n".join(problems[:20]))


def _table(text: str, wrong: Callable[[int, str], None]) -> list[Wanted]:
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    unknown = [column for column in rows.fieldnames or () if column.strip().lower() not in COLUMNS]
    if "name" not in [column.strip().lower() for column in rows.fieldnames or ()] or unknown:
        what = f"there is no column {unknown[0]!r}" if unknown else "a column must be called name"
        wrong(1, f"{what}: the first line names the columns, which are {', '.join(COLUMNS)}")
        return []
    found: list[Wanted] = []
    try:
        for row in rows:
            if None in row:
                wrong(
                    rows.line_num,
                    f"there are more than {len(rows.fieldnames or ())} columns: put quotes around text with commas",
                )
                continue
            values = {
                (key or "").strip().lower(): (value or "") for key, value in row.items() if isinstance(value, str)
            }
            _one(found, wrong, rows.line_num, values)
    except csv.Error as error:
        wrong(rows.line_num, f"this is no row of a table: {error}")
    return found


def _one(found: list[Wanted], wrong: Callable[[int, str], None], line: int, values: dict[str, str]) -> None:
    try:
        name = check_name(values["name"].strip().lower())
        addresses = tuple(check_address(each) for each in values.get("addresses", "").split())
        quota = parse_size(values["quota"].strip()) if values.get("quota", "").strip() else 0
        full_name = " ".join(values.get("full_name", "").split())
        password = values.get("password", "")
        if password:
            encode_new_password(password)
        found.append(Wanted(line, Account(name, addresses, full_name, quota_octets=quota), password))
    except ValueError as error:
        wrong(line, str(error))


def _mercury(text: str, mail: Path | None, wrong: Callable[[int, str], None]) -> list[Wanted]:
    """Lines ``A;name;Full Name``: A for administrators and U for users, which makes no difference here."""
    found: list[Wanted] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", "*")):
            continue
        kind, _, rest = line.strip().partition(";")
        name, _, full_name = rest.partition(";")
        if kind.strip().upper() not in ("A", "U"):
            wrong(number, "write A or U, the name and the full name, with semicolons between")
            continue
        values = {"name": name, "full_name": full_name, "password": _mercury_password(mail, name.strip())}
        _one(found, wrong, number, values)
    return found


def _mercury_password(mail: Path | None, name: str) -> str:
    """The password in a mailbox's PASSWD.PM, whose name may be written in any case; empty where there is none."""
    for directory in mail.iterdir() if mail is not None else ():
        if directory.name.lower() == name.lower() and directory.is_dir():
            for file in directory.iterdir():
                if file.name.lower() == "passwd.pm":
                    found = _PASSWORD.search(file.read_bytes()[:4096].decode("cp1252", "replace"))
                    return found[1] if found else ""
    return ""
