"""Reading what Mercury has written, for the commands that print it as sections of ``config.ini``."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from hermes.cli.output import Refused
from hermes.config.errors import MercuryFileError


def translated(file: BinaryIO, what: str, most_octets: int, sections_of: Callable[[str, str], str]) -> str:
    """
    What the file says, as sections; raise Refused with all that cannot be said so.

    It should be ``what``; one with more octets is something else, and refused before it is read whole.
    """
    try:
        return sections_of(_text_of(file, what, most_octets), file.name)
    except MercuryFileError as error:
        raise Refused(str(error)) from None


def _text_of(file: BinaryIO, what: str, most_octets: int) -> str:
    octets = file.read(most_octets + 1)
    if len(octets) > most_octets:
        raise Refused(f"{file.name}: this is not {what}: it has more than {most_octets} octets")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Mercury writes the code page of its Windows.
        return octets.decode("cp1252", "replace")
