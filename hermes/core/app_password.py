"""
App passwords: further passwords of an account, each for one program or device, which can be taken away one by one.

Hermes makes them, 28 letters in groups of four. So a password that is not of this form is none, which nobody needs to look up,
and one that is has too many bits to be guessed, so that a quick hash keeps it as safe as a slow one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from hashlib import blake2b

import attrs

#: The services that an app password can be for. The password server is none of them: who has a device shall not change the
#: password of its owner.
SERVICES = ("smtp", "pop3")

#: 28 of 26 letters are 131 bits.
LETTERS = 28
_GROUP = 4
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"

#: Programs and devices of one person; more are forgotten ones, each a key that somebody may have found.
MAX_OF_AN_ACCOUNT = 32

MAX_NAME_CHARACTERS = 64

# People type what they see, as a telephone's keyboard lets them: capitals, spaces, or no hyphens at all.
_LOOSE = re.compile(rf"[a-z](?:[ -]?[a-z]){{{LETTERS - 1}}}\Z", re.ASCII | re.IGNORECASE)


@attrs.frozen
class AppPassword:
    """
    What is known of one: ``services`` it is for, when it was made, and when, from where and for which service it was used last.

    One that was taken away is for none. Times are seconds since the epoch; ``used_at`` is None for one that was never used.
    """

    account: str
    name: str
    services: tuple[str, ...]
    made_at: float
    used_at: float | None = None
    used_from: str = ""
    used_for: str = ""


def generate() -> str:
    """A new one, as it is shown."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(LETTERS))
    return "-".join(letters[start : start + _GROUP] for start in range(0, LETTERS, _GROUP))


def digest_of(password: str) -> bytes | None:
    """What is kept of it; None for a password that cannot be one."""
    # The longest has a separator between any two letters.
    if len(password) > 2 * LETTERS or not _LOOSE.match(password):
        return None
    letters = password.replace("-", "").replace(" ", "").lower()
    return blake2b(letters.encode("ascii"), digest_size=32, person=b"hermes-app-pw").digest()


def check_name(name: str) -> str:
    """The name without white space around it, when it can be one; else ValueError with what is wrong."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise ValueError(
            f"{name[:80]!r} cannot name an app password: write up to {MAX_NAME_CHARACTERS} letters, like phone"
        )
    return name


def check_services(services: Iterable[str]) -> tuple[str, ...]:
    """The services in their order, all where none is named; ValueError for one that cannot be."""
    wanted = {service.strip().lower() for service in services} - {""}
    if unknown := sorted(wanted.difference(SERVICES)):
        raise ValueError(f"an app password cannot be for {unknown[0]!r}: there are {', '.join(SERVICES)}")
    return tuple(service for service in SERVICES if not wanted or service in wanted)
