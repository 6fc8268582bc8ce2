"""Where the ``hermes`` command gets passwords from, and how it makes them."""

from __future__ import annotations

import secrets
import string
import sys
from pathlib import Path

import click

from hermes.cli.output import Refused
from hermes.directory.passwords import MAX_NEW_OCTETS, MAX_PASSWORD_OCTETS, TOO_LONG, encode_new_password

#: A longer file is a mistake, and read no further than needed to see that; it may end in CR LF.
_MAX_READ = MAX_PASSWORD_OCTETS + 3

#: 20 characters of an alphabet of 55: 115 bits, and nothing in it is misread or needs quoting.
_ALPHABET = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI5S")))
_GENERATED_LENGTH = 20


def generate() -> str:
    """A new password that can be read out over a telephone."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GENERATED_LENGTH))


def obtain(name: str, file: str | None) -> str:
    """A new password for an account: from a file, from standard input (``-``), or asked for twice on a terminal."""
    return _obtain(f"Password for {name}", file, "--password-file", new=True)


def obtain_old(name: str, file: str | None) -> str:
    """The password that an account has: from a file, from standard input (``-``), or asked for once on a terminal."""
    return _obtain(f"Old password of {name}", file, "--old-password-file", new=False)


def obtain_secret(file: str) -> str:
    """A secret that nobody types into a mail program: from a file, or from standard input (``-``)."""
    return _read(file, new=False)


def _obtain(what: str, file: str | None, option: str, *, new: bool) -> str:
    if file is not None:
        return _read(file, new=new)
    if not sys.stdin.isatty():
        raise click.UsageError(f"There is no terminal to ask for the password: use {option} FILE (- is stdin).")
    typed: str = click.prompt(what, hide_input=True, confirmation_prompt=new)
    return _checked(typed.encode("utf-8", "surrogateescape"), "the terminal", new=new)


def _read(file: str, *, new: bool) -> str:
    if file == "-":
        return _checked(sys.stdin.buffer.read(_MAX_READ), "standard input", new=new)
    try:
        with Path(file).open("rb") as opened:
            return _checked(opened.read(_MAX_READ), file, new=new)
    except OSError as error:
        raise Refused(f"{file}: the password cannot be read: {error.strerror or error}") from None


def _checked(octets: bytes, source: str, *, new: bool) -> str:
    """The first and only line as text."""
    line = octets.removesuffix(b"\n").removesuffix(b"\r")
    if not line:
        raise Refused(f"{source}: the password is empty.")
    if len(line) > (MAX_NEW_OCTETS if new else MAX_PASSWORD_OCTETS):
        raise Refused(f"{source}: {TOO_LONG if new else f'the password has more than {MAX_PASSWORD_OCTETS} octets'}.")
    try:
        password = line.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{source}: the password is not UTF-8 text.") from None
    if any(ord(character) < 0x20 or character == "\x7f" for character in password):
        # Nobody could type it into a mail program (and RFC 4616 2 forbids NUL).
        raise Refused(f"{source}: the password must be one line without control characters.")
    if new:
        try:
            encode_new_password(password)
        except ValueError as error:
            raise Refused(f"{source}: {error}.") from None
    return password
