"""Reading what Mercury has written, for the commands that print it as sections of ``config.ini``."""

from __future__ import annotations

from typing import BinaryIO

from hermes.cli.output import Refused


def text_of(file: BinaryIO, what: str, most_octets: int) -> str:
    """The text of a file that should be ``what``; one with more octets is something else, and refused before it is read whole."""
    octets = file.read(most_octets + 1)
    if len(octets) > most_octets:
        raise Refused(f"{file.name}: this is not {what}: it has more than {most_octets} octets")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Mercury writes the code page of its Windows.
        return octets.decode("cp1252", "replace")
