"""The file with which an administrator says more in the SMTP greeting (``[smtp] greeting_file``)."""

from __future__ import annotations

import re

from hermes.config.schema import Settings

#: Characters of the whole file. Every client reads the greeting before anything else, and many keep no more than this of it.
MAX_CHARACTERS = 512

#: A reply line has 512 octets at most (RFC 5321 4.5.3.1.5), of which the code and CRLF take six.
MAX_LINE_OCTETS = 506

# textstring = 1*(%d09 / %d32-126)   (RFC 5321 4.2); a tab would only harm.
_TEXT = re.compile(r"[\x20-\x7e]*\Z")


def greeting_lines(settings: Settings) -> tuple[str, ...]:
    """
    The lines that follow the first one of the greeting; none when there is no file.

    Raises ValueError, which names the file, for one that cannot be used.
    """
    path = settings.smtp.greeting_file
    if not path:
        return ()
    try:
        with open(path, "rb") as file:
            octets = file.read(4 * MAX_CHARACTERS)
    except OSError as error:
        raise ValueError(f"[smtp] greeting_file: {path}: {error.strerror}") from error
    try:
        return _checked(octets)
    except ValueError as error:
        raise ValueError(f"[smtp] greeting_file: {path}: {error}") from None


def _checked(octets: bytes) -> tuple[str, ...]:
    lines = [line.rstrip() for line in octets.decode("utf-8", "replace").splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ValueError("it is empty: write a text, or remove the setting")
    if sum(len(line) + 1 for line in lines) - 1 > MAX_CHARACTERS:
        raise ValueError(f"it has more than {MAX_CHARACTERS} characters")
    for number, line in enumerate(lines, 1):
        if not _TEXT.match(line):
            raise ValueError(f"line {number} has a character that is not printable ASCII (RFC 5321 4.2)")
        if len(line) > MAX_LINE_OCTETS:
            raise ValueError(f"line {number} is too long for a line of a reply (RFC 5321 4.5.3.1.5)")
    return tuple(lines)
