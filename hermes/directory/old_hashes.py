"""
Hashes of passwords that other systems made: bcrypt, SHA-crypt and PBKDF2. They are verified, and replaced at the next login.

``$2b$...`` is bcrypt's, ``$5$`` and ``$6$`` are those of ``/etc/shadow``, ``$pbkdf2-sha256$ROUNDS$SALT$HASH`` is passlib's.
SHA-crypt is by Ulrich Drepper's specification ("Unix crypt using SHA-256 and SHA-512"), whose steps have numbers there; Python
has dropped its module for it, and the system's library need not know it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

import bcrypt

#: The most work that a hash may ask for: some seconds each, far above what anybody sets. One in the file must not stop a thread.
MAX_BCRYPT_COST, MAX_SHA_ROUNDS, MAX_PBKDF2_ROUNDS = 16, 1_000_000, 10_000_000

#: What bcrypt looks at. Those who made the hashes cut longer passwords off, and so the same must be done here.
_BCRYPT_OCTETS = 72

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}\Z", re.ASCII)
_SHA = re.compile(
    r"\$([56])\$(?:rounds=([1-9]\d{3,8})\$)?([^$\s:,]{0,16})\$([./A-Za-z0-9]{43}|[./A-Za-z0-9]{86})\Z", re.ASCII
)
_PBKDF2 = re.compile(r"\$pbkdf2(-sha256|-sha512)?\$([1-9]\d{0,8})\$([./A-Za-z0-9]+)\$([./A-Za-z0-9]+)\Z", re.ASCII)

#: Without "rounds=" (SHA-crypt).
_DEFAULT_ROUNDS = 5000

#: The order of the octets in the text, by threes (step 22 of SHA-crypt, b and e).
_ORDER_256 = "0 10 20 21 1 11 12 22 2 3 13 23 24 4 14 15 25 5 6 16 26 27 7 17 18 28 8 9 19 29 . 31 30"
_ORDER_512 = (
    "0 21 42 22 43 1 44 2 23 3 24 45 25 46 4 47 5 26 6 27 48 28 49 7 50 8 29 9 30 51 31 52 10 53 11 32 12 33 54 34 55 13 56 14 "
    "35 15 36 57 37 58 16 59 17 38 18 39 60 40 61 19 62 20 41 . . 63"
)


def is_old_hash(text: str) -> bool:
    """Whether it is a hash of one of these kinds, and asks for no more work than it may."""
    if match := _BCRYPT.match(text):
        return 4 <= int(match[1]) <= MAX_BCRYPT_COST
    if match := _SHA.match(text):
        return int(match[2] or _DEFAULT_ROUNDS) <= MAX_SHA_ROUNDS and len(match[4]) == (43 if match[1] == "5" else 86)
    if match := _PBKDF2.match(text):
        salt, digest = _adapted(match[3]), _adapted(match[4])
        return int(match[2]) <= MAX_PBKDF2_ROUNDS and salt is not None and digest is not None and len(digest) >= 16
    return False


def matches_old_hash(text: str, password: bytes) -> bool:
    """Whether it is the password's hash. It takes as long as the hash asks for."""
    if not is_old_hash(text) or not password:
        return False
    if _BCRYPT.match(text):
        # A NUL would end the password for whoever made the hash, and is in none.
        return b"\0" not in password and bcrypt.checkpw(password[:_BCRYPT_OCTETS], text.encode("ascii"))
    if match := _SHA.match(text):
        made = _sha_crypt(match[1], password, match[3].encode("ascii"), int(match[2] or _DEFAULT_ROUNDS))
        return hmac.compare_digest(made, match[4])
    match = _PBKDF2.match(text)
    assert match is not None, "it is one of the three"
    salt, digest = _adapted(match[3]), _adapted(match[4])
    assert salt is not None, "it has been looked at"
    assert digest is not None, "it has been looked at"
    made_digest = hashlib.pbkdf2_hmac((match[1] or "-sha1")[1:], password, salt, int(match[2]), len(digest))
    return hmac.compare_digest(made_digest, digest)


def _adapted(text: str) -> bytes | None:
    """Base64 with ``.`` for ``+`` and without ``=``, as passlib writes it."""
    try:
        return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None


def _sha_crypt(kind: str, password: bytes, salt: bytes, rounds: int) -> str:
    name, order = ("sha256", _ORDER_256) if kind == "5" else ("sha512", _ORDER_512)

    def digest(*parts: bytes) -> bytes:
        return hashlib.new(name, b"".join(parts)).digest()

    def repeated(octets: bytes, length: int) -> bytes:
        return (octets * (length // len(octets) + 1))[:length]

    # Steps 4 to 8, and with it 1 to 3 and 9 to 12.
    other = digest(password, salt, password)
    parts = [password, salt, repeated(other, len(password))]
    length = len(password)
    while length:
        parts.append(other if length & 1 else password)
        length >>= 1
    mixed = digest(*parts)
    # Steps 13 to 16, and 17 to 20.
    of_password = repeated(digest(password * len(password)), len(password))
    of_salt = repeated(digest(salt * (16 + mixed[0])), len(salt)) if salt else b""
    # Step 21.
    for number in range(rounds):
        mixed = digest(
            of_password if number & 1 else mixed,
            of_salt if number % 3 else b"",
            of_password if number % 7 else b"",
            mixed if number & 1 else of_password,
        )
    return _in_letters(mixed, order.split())


def _in_letters(octets: bytes, order: list[str]) -> str:
    """Step 22: four letters for three octets, six bits each, the lowest first; none for what is not there."""
    text = []
    for place in range(0, len(order), 3):
        three = order[place : place + 3]
        bits = 0
        for number in three:
            bits = bits << 8 | (octets[int(number)] if number != "." else 0)
        text += [_ALPHABET[bits >> shift & 0x3F] for shift in range(0, 24 - 6 * three.count("."), 6)]
    return "".join(text)
