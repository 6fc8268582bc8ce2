"""Where the ``hermes`` command gets passwords from, and how it makes them."""

from __future__ import annotations

import secrets
import string
import sys
from pathlib import Path

import click

from hermes.cli.output import Refused
from hermes.directory.passwords import MAX_PASSWORD_OCTETS

#: A longer file is a mistake, and read no further than needed to see that; it may end in CR LF.
_MAX_READ = MAX_PASSWORD_OCTETS + 3

#: 20 characters of an alphabet of 55: 115 bits, and nothing in it is misread or needs quoting.
_ALPHABET = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI5S")))
_GENERATED_LENGTH = 20


def generate() -> str:
    """A new password that can be read out over a telephone."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GENERATED_LENGTH))


def obtain(name: str, file: str | None) -> str:
    """The password for an account: from a file, from standard input (``-``), or asked for twice on a terminal."""
    return _obtain(f"Password for {name}", file, "--password-file", twice=True)


def obtain_old(name: str, file: str | None) -> str:
    """The password that an account has: from a file, from standard input (``-``), or asked for once on a terminal."""
    return _obtain(f"Old password of {name}", file, "--old-password-file", twice=False)


def _obtain(what: str, file: str | None, option: str, *, twice: bool) -> str:
    if file == "-":
        return _checked(sys.stdin.buffer.read(_MAX_READ), "standard input")
    if file is not None:
        try:
            with Path(file).open("rb") as opened:
                return _checked(opened.read(_MAX_READ), file)
        except OSError as error:
            raise Refused(f"{file}: the password cannot be read: {error.strerror or error}") from None
    if not sys.stdin.isatty():
        raise click.UsageError(f"There is no terminal to ask for the password: use {option} FILE (- is stdin).")
    typed: str = click.prompt(what, hide_input=True, confirmation_prompt=twice)
    return _checked(typed.encode("utf-8", "surrogateescape"), "the terminal")


def _checked(octets: bytes, source: str) -> str:
    """The first and only line as text."""
    line = octets.removesuffix(b"\n").removesuffix(b"\r")
    if not line:
        raise Refused(f"{source}: the password is empty.")
    if len(line) > MAX_PASSWORD_OCTETS:
        raise Refused(f"{source}: the password has more than {MAX_PASSWORD_OCTETS} octets.")
    try:
        password = line.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{source}: the password is not UTF-8 text.") from None
    if any(ord(character) < 0x20 or character == "\x7f" for character in password):
        # Nobody could type it into a mail program (and RFC 4616 2 forbids NUL).
        raise Refused(f"{source}: the password must be one line without control characters.")
    return password
