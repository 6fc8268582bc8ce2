"""
What a server keeps of a password so that SCRAM can prove it (RFC 5802 2.2 and 3, RFC 7677).

The password cannot be computed from the keys, but guesses can be tried on them, and that is cheaper than on an argon2id hash:
PBKDF2 needs no memory. ``docs/decisions.md`` says what follows from that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import attrs

#: RFC 7677 4: the least that a server should announce. A client may refuse less.
MIN_ITERATIONS = 4096

#: A number that no client would wait for is a mistake in the file.
MAX_ITERATIONS = 10_000_000

#: The server does this work when a password is set, in 25 ms; a client does it at each login, on a telephone in some tenths
#: of a second. RFC 7677 4 has 0.1 s of a modern machine as its rule of thumb, and less where there are telephones.
ITERATIONS = 100_000

#: RFC 5802 leaves the length open; as much as argon2 takes.
SALT_OCTETS = 16

# A form in which other servers keep them too: "SCRAM-SHA-256$ITERATIONS:SALT$StoredKey:ServerKey".
_TEXT = re.compile(
    r"SCRAM-SHA-256\$(?P<iterations>[1-9][0-9]{3,7}):(?P<salt>[A-Za-z0-9+/]{4,128}={0,2})"
    r"\$(?P<stored>[A-Za-z0-9+/]{43}=):(?P<server>[A-Za-z0-9+/]{43}=)\Z"
)


@attrs.frozen
class ScramKeys:
    """Salt, number of iterations and the two keys of SCRAM-SHA-256; none of them is ever shown."""

    iterations: int = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)

    def __str__(self) -> str:
        """The form for a file, which :func:`parse` reads."""
        salt, stored, server = (
            base64.b64encode(octets).decode("ascii") for octets in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def derive(password: bytes, salt: bytes, iterations: int = ITERATIONS) -> ScramKeys:
    """Make the keys of a password, which has been through SASLprep; this takes its time."""
    # SaltedPassword := Hi(Normalize(password), salt, i)
    # ClientKey      := HMAC(SaltedPassword, "Client Key")
    # StoredKey      := H(ClientKey)
    # ServerKey      := HMAC(SaltedPassword, "Server Key")   (RFC 5802 3)
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKeys(
        iterations, salt, hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")
    )


def parse(text: str) -> ScramKeys:
    """Read what ``str`` has written; ValueError, which repeats nothing of the text, when it is something else."""
    found = _TEXT.match(text)
    if found is None:
        raise ValueError("these are not SCRAM-SHA-256 keys")
    iterations = int(found["iterations"])
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise ValueError(f"SCRAM-SHA-256 keys want {MIN_ITERATIONS} to {MAX_ITERATIONS} iterations")
    try:
        salt, stored, server = (base64.b64decode(found[part], validate=True) for part in ("salt", "stored", "server"))
    except ValueError:
        raise ValueError("the salt of the SCRAM-SHA-256 keys is not base64") from None
    return ScramKeys(iterations, salt, stored, server)
