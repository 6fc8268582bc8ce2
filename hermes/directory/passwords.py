"""
Passwords: hashed with argon2id, checked in threads of their own.

A check is made to be slow (30 to 100 ms) and to need memory (64 MiB): so at most two run at once, few may wait, and the
others are told to come back. A name that does not exist costs as much as one that does.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import attrs
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from twisted.logger import Logger

from hermes.directory.old_hashes import is_old_hash, matches_old_hash
from hermes.interfaces import IGroupWorker, TooBusyError
from hermes.protocols import scram_keys
from hermes.protocols.saslprep import saslprep
from hermes.protocols.scram_keys import ITERATIONS, SALT_OCTETS, ScramKeys

#: Longer ones are refused unread: argon2 digests the password first, and a peer must not choose how much that is.
MAX_PASSWORD_OCTETS = 1024

#: Of a new password: a longer one would lock its owner out. PASS of POP3 has 255 octets with its CRLF (RFC 2449 4), PLAIN hardly
#: more (RFC 4616 2). One that was set before goes on opening its account wherever it can be said.
MAX_NEW_OCTETS = 255 - len("PASS \r\n")

#: What is said of it.
TOO_LONG = f"the password has more than {MAX_NEW_OCTETS} octets, which mail programs cannot send"

#: Checks that may wait: at two in 50 ms the last one waits for under two seconds, which no client gives up on.
MAX_WAITING = 64

#: The niceness of the threads: with 15 they get a thirtieth of a processor that others want too, and all of an idle one.
NICENESS = 15

#: How long a right password is remembered: POP3 clients look every minute or every few, often several at once.
REMEMBER_SECONDS = 600

#: Passwords remembered; at some 200 octets each.
MAX_REMEMBERED = 4096


def encode_password(password: str) -> bytes:
    """
    The octets that are hashed; ValueError when it cannot be a password.

    UTF-8 after SASLprep: keyboards of different systems write the same letters differently (RFC 4616 2, RFC 6856 2.2).
    """
    if len(password) > MAX_PASSWORD_OCTETS:
        raise ValueError(f"the password is longer than {MAX_PASSWORD_OCTETS} octets")
    octets = saslprep(password).encode("utf-8")
    if not octets:
        raise ValueError("the password is empty")
    if len(octets) > MAX_PASSWORD_OCTETS:
        raise ValueError(f"the password is longer than {MAX_PASSWORD_OCTETS} octets")
    return octets


def encode_new_password(password: str) -> bytes:
    """The octets of a password that is about to be set, whoever sets it; ValueError when nobody could log in with it."""
    # As it is sent, which SASLprep does not change.
    if len(password.encode("utf-8", "replace")) > MAX_NEW_OCTETS:
        raise ValueError(TOO_LONG)
    if any(ord(character) < 0x20 or character == "\x7f" for character in password):
        raise ValueError("the password has control characters, which nobody could type into a mail program")
    return encode_password(password)


def is_password(password: str) -> bool:
    """Whether it could be somebody's password at all."""
    try:
        encode_password(password)
    except ValueError:
        return False
    return True


def hash_password(password: str, hasher: PasswordHasher | None = None) -> str:
    """Hash a new password for the accounts file, in the caller's thread; ValueError when it cannot be one."""
    return (hasher or PasswordHasher()).hash(encode_new_password(password))


def matches_hash(stored_hash: str, password: str) -> bool:
    """Whether a stored hash, which may be empty, is of that password; in the caller's thread."""
    try:
        octets = encode_password(password)
        if is_old_hash(stored_hash):
            return matches_old_hash(stored_hash, octets)
        return bool(stored_hash) and PasswordHasher().verify(stored_hash, octets)
    except (VerifyMismatchError, InvalidHashError, ValueError):
        return False


def make_scram_keys(password: str) -> str:
    """Keys of a new password for the accounts file, in the caller's thread; ValueError when it cannot be one."""
    return str(scram_keys.derive(encode_new_password(password), secrets.token_bytes(SALT_OCTETS)))


@attrs.frozen
class Verified:
    """
    What a check found.

    ``new_hash`` is to replace the stored one, whose parameters are out of date; ``scram`` are keys for SCRAM, when they were
    asked for.
    """

    matches: bool
    new_hash: str | None = None
    scram: str | None = None


_WRONG = Verified(False)


@attrs.define
class _Check:
    """One check for the threads."""

    stored_hash: str
    password: bytes
    wants_scram: bool = False
    abandoned: bool = False


@attrs.frozen
class Made:
    """A new password as it is stored; ``scram`` is empty when no keys were asked for."""

    password_hash: str
    scram: str = ""


@attrs.define
class _Making:
    """One new password for the threads."""

    password: bytes
    wants_scram: bool
    abandoned: bool = False


class _Remembered:
    """
    Passwords that were right a moment ago, so that a client that looks every minute does not cost 50 ms each time.

    What is kept is BLAKE2 of account, stored hash and password under a key that exists only in this process's memory. It never
    reaches a disk, and is of no use to anybody who cannot read that memory; who can, can also read the passwords as they
    come in. It only ever says yes to the same octets for the same stored hash: a changed password, or one for another
    account, is another entry. Wrong passwords are not remembered: each guess costs a whole check.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def entry(self, account_name: str, stored_hash: str, password: bytes) -> bytes:
        # Lengths first: no two different triples give the same octets.
        digest = blake2b(key=self._key, digest_size=32)
        for part in (account_name.encode("utf-8"), stored_hash.encode("utf-8"), password):
            digest.update(len(part).to_bytes(4, "big") + part)
        return digest.digest()

    def has(self, entry: bytes) -> bool:
        until = self._until.get(entry)
        if until is None:
            return False
        if until <= self._now():
            del self._until[entry]
            return False
        return True

    def add(self, entry: bytes) -> None:
        # Not prolonged by use: a whole check is made every ten minutes.
        self._until[entry] = self._now() + REMEMBER_SECONDS
        self._until.move_to_end(entry)
        while len(self._until) > MAX_REMEMBERED:
            self._until.popitem(last=False)


def give_way() -> None:
    """
    Lower the priority of the caller's thread, and of the threads that argon2 starts from it, unless it is the main thread.

    Linux has a priority for each thread (sched(7)). A storm of logins would otherwise share the processor evenly with the thread
    that answers everybody else: two checks are eight threads.
    """
    if threading.current_thread() is not threading.main_thread():
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class Passwords:
    """
    Checks passwords in ``workers``, one at a time in each: hand in two. ``now`` gives seconds that only increase.

    The workers are started and stopped here.
    """

    _log = Logger()

    def __init__(
        self, workers: Sequence[IGroupWorker], now: Callable[[], float], hasher: PasswordHasher | None = None
    ) -> None:
        self._workers = workers
        self._waiting = [0] * len(workers)
        self._hasher = hasher or PasswordHasher()
        self._polite = threading.local()
        self._dummy_hash = _hash_of_nothing(self._hasher)
        self._remembered = _Remembered(now)
        #: What keys for names without any are made of; a server keeps one, so that they are the same after a restart.
        self.secret = secrets.token_bytes(32)

    def start(self) -> None:
        """Start the threads."""
        for worker in self._workers:
            worker.start(self._perform_politely)

    async def stop(self) -> None:
        """Finish what waits, then end the threads."""
        for worker in self._workers:
            await worker.stop()

    def keys_of_nobody(self, name: str) -> ScramKeys:
        """
        Keys for SCRAM that nothing proves, for a name that has none: in all that a client sees like those of a real one.

        The salt stays the same for a name, as that of an account does, for as long as :attr:`secret` does.
        """
        salt, stored_key, server_key = (
            hmac.digest(self.secret, purpose + name.encode("utf-8", "surrogatepass"), "sha256")
            for purpose in (b"salt:", b"stored:", b"server:")
        )
        return ScramKeys(ITERATIONS, salt[:SALT_OCTETS], stored_key, server_key)

    async def verify(
        self, account_name: str, stored_hash: str, password: str, *, wants_scram: bool = False
    ) -> Verified:
        """
        Check a password against a stored hash; an empty one stands for an account without a password, or for none.

        With ``wants_scram`` keys for SCRAM are made of a password that is right and was not remembered.
        Raises TooBusyError when :data:`MAX_WAITING` checks wait already.
        """
        try:
            octets = encode_password(password)
        except ValueError:
            # This says nothing about the account: it is so for every name.
            return _WRONG
        entry = self._remembered.entry(account_name, stored_hash, octets)
        if stored_hash and self._remembered.has(entry):
            return Verified(True)
        verified: Verified = await self._in_thread(_Check(stored_hash or self._dummy_hash, octets, wants_scram))
        if not stored_hash:
            return _WRONG
        if verified.matches:
            self._remembered.add(entry)
        return verified

    async def make(self, password: str, *, scram: bool = False) -> Made:
        """
        Hash a new password, and make keys for SCRAM of it.

        Raises ValueError when it cannot be one, and TooBusyError when too many wait already.
        """
        made: Made = await self._in_thread(_Making(encode_new_password(password), scram))
        return made

    async def _in_thread(self, job: _Check | _Making) -> Any:
        if sum(self._waiting) >= MAX_WAITING + len(self._workers):
            raise TooBusyError("too many passwords are being checked")
        which = self._waiting.index(min(self._waiting))
        self._waiting[which] += 1
        try:
            return await self._workers[which].submit(job)
        finally:
            self._waiting[which] -= 1
            # When the peer has gone, the thread need not begin.
            job.abandoned = True

    def _perform_politely(self, jobs: list[_Check | _Making]) -> list[Verified | Made | Exception]:
        """Perform jobs in a thread that gives way to the others."""
        if not hasattr(self._polite, "done"):
            self._polite.done = True
            give_way()
        return self._perform(jobs)

    def _perform(self, jobs: list[_Check | _Making]) -> list[Verified | Made | Exception]:
        results: list[Verified | Made | Exception] = []
        for job in jobs:
            try:
                if job.abandoned:
                    results.append(_WRONG)
                else:
                    results.append(self._verify(job) if isinstance(job, _Check) else self._make(job))
            except Exception as error:
                # argon2 without memory, for one: a fault of ours and no wrong password.
                results.append(error)
        return results

    def _make(self, making: _Making) -> Made:
        octets = making.password
        keys = str(scram_keys.derive(octets, secrets.token_bytes(SALT_OCTETS))) if making.wants_scram else ""
        return Made(self._hasher.hash(octets), keys)

    def _verify(self, check: _Check) -> Verified:
        if is_old_hash(check.stored_hash):
            matches, outdated = matches_old_hash(check.stored_hash, check.password), True
        else:
            matches, outdated = self._verify_argon2(check)
        if not matches:
            return _WRONG
        return Verified(
            True,
            self._hasher.hash(check.password) if outdated else None,
            str(scram_keys.derive(check.password, secrets.token_bytes(SALT_OCTETS))) if check.wants_scram else None,
        )

    def _verify_argon2(self, check: _Check) -> tuple[bool, bool]:
        """Whether the password is right, and whether its hash has other parameters than those of today."""
        try:
            self._hasher.verify(check.stored_hash, check.password)
        except VerifyMismatchError:
            return False, False
        except InvalidHashError:
            self._log.error("a stored password is not a hash that is known")
            return False, False
        return True, self._hasher.check_needs_rehash(check.stored_hash)


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """A hash with the parameters of a real one, of random octets: no password matches it."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).rstrip(b"=").decode("ascii")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    parameters = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2{hasher.type.name.lower()}$v=19${parameters}${salt}${digest}"
