"""
Edits of ``accounts.ini`` that keep every other line as it is: comments, order and spacing are people's own.

The edits are functions from text to text; :class:`hermes.directory.sources.file.FileSource` writes the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hermes.core.account import Account
from hermes.core.reading_profile import ReadingProfile
from hermes.core.units import format_size, format_time
from hermes.directory.sources.accounts_file import READING, Section, sections_of


def with_account(text: str, account: Account, password_hash: str, scram: str = "") -> str:
    """The text with a new account at its end."""
    lines = [f"[{account.name}]"]
    if password_hash:
        lines.append(f"password = {password_hash}")
    if scram:
        lines.append(f"scram = {scram}")
    if account.addresses:
        lines.append(f"addresses = {', '.join(account.addresses)}")
    if account.full_name:
        lines.append(f"name = {account.full_name}")
    if account.disabled:
        lines.append("disabled = yes")
    if account.quota_octets:
        lines.append(f"quota = {format_size(account.quota_octets)}")
    if account.forward:
        lines.append(f"forward = {', '.join(account.forward)}")
    if account.deliver_also:
        lines.append("deliver_also = yes")
    if account.new_recipients is not None:
        lines.append(f"new_recipients = {account.new_recipients}")
    if account.logins:
        lines.append(f"logins = {', '.join(account.logins)}")
    lines += [f"{key} = {text}" for key, text in reading_keys(account.reading).items() if text]
    before = text.rstrip("\n")
    return (f"{before}\n\n" if before else "") + "\n".join(lines) + "\n"


def without_account(path: str, text: str, name: str) -> str:
    """The text without an account; LookupError when there is none. What stands above its header stays."""
    section = _section(path, text, name)
    lines = text.split("\n")
    # With the account goes the empty line that set it off from the one above.
    first = section.line - 1
    if first and not lines[first - 1].strip():
        first -= 1
    return _joined([*lines[:first], *lines[section.last_line :]])


def with_password(path: str, text: str, name: str, password_hash: str, scram: str = "") -> str:
    """
    The text with another password for an account; LookupError when there is none.

    Keys of the old password go with it, or it would still open the mailbox; ``scram`` are those of the new one, if any.
    """
    section = _section(path, text, name)
    lines = text.split("\n")
    old = [section.values[key][:2] for key in ("password", "scram") if key in section.values]
    place = section.values["password"][0] if "password" in section.values else section.line + 1
    body: list[str] = []
    for number in range(section.line + 1, section.last_line + 2):
        if number == place:
            body.append(f"password = {password_hash}")
            body += [f"scram = {scram}"] if scram else []
        if number <= section.last_line and not any(first <= number <= last for first, last in old):
            body.append(lines[number - 1])
    return _joined([*lines[: section.line], *body, *lines[section.last_line :]])


def with_cram(path: str, text: str, name: str, sealed: str) -> str:
    """The text with another secret for CRAM-MD5 for an account, or with none; LookupError when there is no such account."""
    section = _section(path, text, name)
    lines = text.split("\n")
    first, last = section.values["cram"][:2] if "cram" in section.values else (section.last_line + 1, section.last_line)
    return _joined([*lines[: first - 1], *([f"cram = {sealed}"] if sealed else []), *lines[last:]])


def with_forward(path: str, text: str, name: str, forward: Sequence[str], deliver_also: bool) -> str:
    """The text with other forwards for an account, or none; LookupError when there is no such account."""
    section = _section(path, text, name)
    lines = text.split("\n")
    old = [section.values[key][:2] for key in ("forward", "deliver_also") if key in section.values]
    body = [
        lines[number - 1]
        for number in range(section.line + 1, section.last_line + 1)
        if not any(first <= number <= last for first, last in old)
    ]
    if forward:
        body.append(f"forward = {', '.join(forward)}")
        body += ["deliver_also = yes"] if deliver_also else []
    return _joined([*lines[: section.line], *body, *lines[section.last_line :]])


def reading_keys(reading: ReadingProfile) -> dict[str, str]:
    """The keys about reading mail as they are written; empty where nothing is said."""
    return {key: _reading_text(getattr(reading, name)) for key, name in READING.items()}


def _reading_text(value: bool | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_time(value) if value else "never"


def with_keys(path: str, text: str, name: str, keys: Mapping[str, str]) -> str:
    """The text with other values for some keys of an account, an empty one taking the key out; LookupError likewise."""
    section = _section(path, text, name)
    lines = text.split("\n")
    old = [section.values[key][:2] for key in keys if key in section.values]
    body = [
        lines[number - 1]
        for number in range(section.line + 1, section.last_line + 1)
        if not any(first <= number <= last for first, last in old)
    ]
    body += [f"{key} = {value}" for key, value in keys.items() if value]
    return _joined([*lines[: section.line], *body, *lines[section.last_line :]])


def with_name(path: str, text: str, name: str, new_name: str) -> str:
    """The text with another name for an account; LookupError when there is none."""
    section = _section(path, text, name)
    lines = text.split("\n")
    lines[section.line - 1] = f"[{new_name}]"
    return _joined(lines)


def password_in(path: str, text: str, name: str) -> str:
    """The password hash of an account, empty when it has none; LookupError when there is no such account."""
    section = _section(path, text, name)
    return section.values["password"][2] if "password" in section.values else ""


def _section(path: str, text: str, name: str) -> Section:
    for section in sections_of(path, text):
        if section.name == name:
            return section
    raise LookupError(f"there is no account {name!r}")


def _joined(lines: Sequence[str]) -> str:
    text = "\n".join(lines).strip("\n")
    return text + "\n" if text else ""
