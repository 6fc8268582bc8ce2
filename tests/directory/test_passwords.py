"""Passwords: what can be one, how checks are spread and bounded, and what is remembered."""

from __future__ import annotations

import os
import threading
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.directory import passwords
from hermes.directory.passwords import (
    MAX_PASSWORD_OCTETS,
    MAX_WAITING,
    REMEMBER_SECONDS,
    Verified,
    encode_new_password,
    encode_password,
    hash_password,
    make_scram_keys,
    matches_hash,
)
from hermes.interfaces import TooBusyError
from hermes.protocols.scram_keys import ITERATIONS, SALT_OCTETS, derive, parse
from tests.support.accounts import QUICK, passwords_with, quick_hash
from tests.support.worker import ImmediateWorker


class Counting(PasswordHasher):
    """The quick hasher, with the hashes that it was asked to verify."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str] = []
        self.fault: Exception | None = None

    @override
    def verify(self, hash: Any, password: Any) -> Any:
        self.verified.append(hash)
        if self.fault is not None:
            raise self.fault
        return super().verify(hash, password)


class EncodePasswordTests(SynchronousTestCase):
    """What can be a password."""

    def test_length(self) -> None:
        """1 to 1024 octets as UTF-8."""
        for text, allowed in (
            ("", False),
            ("x", True),
            ("x" * (MAX_PASSWORD_OCTETS - 1), True),
            ("x" * MAX_PASSWORD_OCTETS, True),
            ("x" * (MAX_PASSWORD_OCTETS + 1), False),
            ("é" * (MAX_PASSWORD_OCTETS // 2), True),
            ("é" * (MAX_PASSWORD_OCTETS // 2 + 1), False),
        ):
            if allowed:
                self.assertEqual(text.encode(), encode_password(text))
            else:
                self.assertRaises(ValueError, encode_password, text)

    def test_one_form(self) -> None:
        """Letters typed in two ways are the same password (RFC 4013)."""
        self.assertEqual(encode_password("caf\u00e9"), encode_password("cafe\u0301"))
        self.assertEqual(b"a b", encode_password("a\u00a0b"))

    def test_what_is_no_text(self) -> None:
        """Lone surrogates, which stand for octets that were not UTF-8, and control characters are refused."""
        for text in ("\udce9", "a\x00b", "a\nb", "\u00ad"):
            self.assertRaises(ValueError, encode_password, text)

    def test_hash_password(self) -> None:
        """The hash is argon2id with the library's parameters, salted: never the same twice."""
        first = hash_password("secret")
        self.assertTrue(first.startswith("$argon2id$v=19$"))
        self.assertFalse(PasswordHasher().check_needs_rehash(first))
        self.assertNotEqual(first, hash_password("secret"))
        self.assertRaises(ValueError, hash_password, "")

    def test_new(self) -> None:
        """What is set anew fits into PASS of POP3, 255 octets with its CRLF (RFC 2449 4), and can be typed."""
        for text, allowed in (
            ("x" * 247, True),
            ("x" * 248, True),
            ("x" * 249, False),
            ("é" * 124, True),
            ("é" * 124 + "x", False),
            # One letter that stands for eighteen (RFC 4013 2.2), three octets on the wire.
            ("\ufdfa" * 20, True),
            ("a\x7f", False),
            ("a\tb", False),
            ("\udce9", False),
        ):
            self.assertEqual(allowed and len(f"PASS {text}\r\n".encode()) <= 255, allowed, text)
            for make in (hash_password, make_scram_keys, encode_new_password):
                if allowed:
                    self.assertTrue(make(text))
                else:
                    self.assertRaises(ValueError, make, text)


class VerifyTests(SynchronousTestCase):
    """:meth:`Passwords.verify`."""

    @override
    def setUp(self) -> None:
        self.clock = Clock()
        self.hasher = Counting()
        self.workers = [ImmediateWorker(), ImmediateWorker()]
        self.passwords = passwords_with(*self.workers, clock=self.clock, hasher=self.hasher)
        self.stored = quick_hash("secret")

    def verify(self, password: str, stored: str | None = None, name: str = "joe") -> Verified:
        """Check it."""
        return self.successResultOf(self.passwords.verify(name, self.stored if stored is None else stored, password))

    def test_right_and_wrong(self) -> None:
        """The right password matches and no other does, whatever its case."""
        self.assertEqual(Verified(True), self.verify("secret"))
        for password in ("Secret", "secret ", "", "x" * 5000, "\udce9"):
            self.assertEqual(Verified(False), self.verify(password))

    def test_set_before(self) -> None:
        """One that was set when more octets were allowed opens its account as ever, and its hash is made anew in time."""
        long = "x" * MAX_PASSWORD_OCTETS
        stored = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(long)
        verified = self.successResultOf(self.passwords.verify("joe", stored, long, wants_scram=True))
        self.assertTrue(verified.matches)
        self.assertTrue(self.hasher.verify(verified.new_hash, long))
        self.assertTrue(str(verified.scram).startswith("SCRAM-SHA-256$"))
        self.assertTrue(matches_hash(stored, long))

    def test_no_such_account(self) -> None:
        """Without a stored hash a whole check is made, with the parameters of a real one, and nothing matches."""
        self.assertEqual(Verified(False), self.verify("secret", ""))
        (dummy,) = self.hasher.verified
        self.assertFalse(self.hasher.check_needs_rehash(dummy))
        self.assertEqual(len(self.stored), len(dummy))
        self.verify("secret", "")
        self.assertEqual(2, len(self.hasher.verified))

    def test_a_right_password_is_remembered(self) -> None:
        """For so long, and no longer, however often it is used meanwhile."""
        for advance, checks in ((0, 1), (1, 1), (REMEMBER_SECONDS - 2, 1), (1, 2)):
            self.clock.advance(advance)
            self.assertTrue(self.verify("secret").matches)
            self.assertEqual(checks, len(self.hasher.verified))

    def test_a_wrong_password_is_not_remembered(self) -> None:
        """Each guess costs a check, also beside a password that is remembered."""
        self.verify("secret")
        for _ in range(2):
            self.assertFalse(self.verify("guess").matches)
        self.assertEqual(3, len(self.hasher.verified))

    def test_a_changed_password_is_forgotten(self) -> None:
        """When the stored hash is another, the old password is wrong at once; nor is it right for another account."""
        self.verify("secret")
        self.assertFalse(self.verify("secret", quick_hash("other")).matches)
        self.verify("secret", name="ann")
        self.assertEqual(3, len(self.hasher.verified))

    def test_remembered_are_bounded(self) -> None:
        """Of more than are remembered the oldest is checked again."""
        self.patch(passwords, "MAX_REMEMBERED", 2)
        for name in ("a", "b", "c"):
            self.verify("secret", name=name)
        self.verify("secret", name="c")
        self.verify("secret", name="b")
        self.assertEqual(3, len(self.hasher.verified))
        self.verify("secret", name="a")
        self.assertEqual(4, len(self.hasher.verified))

    def test_old_parameters(self) -> None:
        """A password that is right for a hash with other parameters comes with a new hash; a wrong one does not."""
        old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("secret")
        verified = self.verify("secret", old)
        self.assertTrue(verified.matches)
        assert verified.new_hash is not None
        self.assertFalse(QUICK.check_needs_rehash(verified.new_hash))
        self.assertTrue(QUICK.verify(verified.new_hash, "secret"))
        self.assertEqual(Verified(False), self.verify("wrong", old))

    def test_keys_for_scram(self) -> None:
        """Keys are made when they are asked for, of a password that is right, in the thread."""
        for password, wants, made in (("secret", False, False), ("wrong", True, False)):
            verified = self.successResultOf(self.passwords.verify("joe", self.stored, password, wants_scram=wants))
            self.assertEqual(made, verified.scram is not None)
        verified = self.successResultOf(self.passwords.verify("ann", self.stored, "secret", wants_scram=True))
        assert verified.scram is not None
        keys = parse(verified.scram)
        self.assertEqual(derive(b"secret", keys.salt), keys)
        self.assertEqual((keys.iterations, len(keys.salt)), (ITERATIONS, SALT_OCTETS))

    def test_keys_for_scram_are_of_one_form(self) -> None:
        """They are made of the same octets as the hash, with a salt of their own each time."""
        keys = parse(make_scram_keys("s\u00e9cret"))
        self.assertEqual(parse(make_scram_keys("se\u0301cret")).iterations, keys.iterations)
        self.assertEqual(derive("s\u00e9cret".encode(), keys.salt), keys)
        self.assertNotEqual(make_scram_keys("secret"), make_scram_keys("secret"))
        self.assertRaises(ValueError, make_scram_keys, "")

    def test_keys_of_nobody(self) -> None:
        """Made-up keys look like real ones, are always the same for a name, and others for another and elsewhere."""
        keys = self.passwords.keys_of_nobody("nobody")
        self.assertEqual(keys, self.passwords.keys_of_nobody("nobody"))
        self.assertEqual((keys.iterations, len(keys.salt)), (ITERATIONS, SALT_OCTETS))
        self.assertEqual(parse(str(keys)), keys)
        again = passwords_with()
        others = (self.passwords.keys_of_nobody("nobodx"), again.keys_of_nobody("nobody"))
        self.assertEqual(3, len({keys.salt, *(other.salt for other in others)}))
        again.secret = self.passwords.secret
        self.assertEqual(keys, again.keys_of_nobody("nobody"))

    def test_a_stored_hash_that_is_none(self) -> None:
        """What stands in a source and is no argon2 hash matches nothing."""
        self.assertEqual(Verified(False), self.verify("secret", "secret"))

    def test_a_fault_is_no_wrong_password(self) -> None:
        """When argon2 itself fails, for want of memory, the check fails, and nobody is told that his password is wrong."""
        self.hasher.fault = VerificationError("Memory allocation error")
        self.failureResultOf(self.passwords.verify("joe", self.stored, "secret"), VerificationError)
        self.hasher.fault = None
        self.assertTrue(self.verify("secret").matches)


class WaitingTests(SynchronousTestCase):
    """Two checks at once, few waiting."""

    @override
    def setUp(self) -> None:
        self.hasher = Counting()
        self.workers = [ImmediateWorker(), ImmediateWorker()]
        self.passwords = passwords_with(*self.workers, hasher=self.hasher)
        self.stored = quick_hash("secret")
        for worker in self.workers:
            worker.paused = True

    def begin(self, count: int) -> list[Deferred[Verified]]:
        """Begin so many checks."""
        return [
            Deferred.fromCoroutine(self.passwords.verify(f"user{number}", self.stored, "secret"))
            for number in range(count)
        ]

    def finish(self) -> None:
        """Let the threads work."""
        for worker in self.workers:
            worker.resume()

    def test_shared_by_the_threads(self) -> None:
        """Each thread gets as many as the other."""
        waiting = self.begin(4)
        self.finish()
        self.assertEqual([[2], [2]], [worker.groups for worker in self.workers])
        self.assertEqual([True] * 4, [self.successResultOf(one).matches for one in waiting])

    def test_bound(self) -> None:
        """Beside the two that are being made, 64 may wait; the next is told to come back, and later is welcome."""
        waiting = self.begin(len(self.workers) + MAX_WAITING)
        for one in waiting:
            self.assertNoResult(one)
        self.failureResultOf(self.passwords.verify("joe", self.stored, "secret"), TooBusyError)
        self.failureResultOf(self.passwords.verify("", "", "secret"), TooBusyError)
        self.finish()
        self.assertTrue(all(self.successResultOf(one).matches for one in waiting))
        self.assertTrue(self.successResultOf(self.passwords.verify("joe", self.stored, "secret")).matches)

    def test_whoever_leaves_is_not_checked(self) -> None:
        """The check of a client that has gone is not made, and makes room."""
        waiting = self.begin(len(self.workers) + MAX_WAITING)
        for one in waiting[:-1]:
            one.cancel()
            self.failureResultOf(one, CancelledError)
        (more,) = self.begin(1)
        self.finish()
        self.assertTrue(self.successResultOf(waiting[-1]).matches)
        self.assertTrue(self.successResultOf(more).matches)
        self.assertEqual(2, len(self.hasher.verified))

    def test_stop(self) -> None:
        """Stopping finishes what waits, and ends the workers."""
        (waiting,) = self.begin(1)
        self.successResultOf(self.passwords.stop())
        self.assertTrue(self.successResultOf(waiting).matches)
        self.assertEqual([True, True], [worker.stopped for worker in self.workers])


class PriorityTests(SynchronousTestCase):
    """:func:`give_way`."""

    def test_thread_of_its_own(self) -> None:
        """The thread has the lower priority, with everything that it starts; the main thread keeps its own."""
        seen: list[int] = []

        def perform() -> None:
            passwords.give_way()
            child = threading.Thread(target=lambda: seen.append(priority()))
            seen.append(priority())
            child.start()
            child.join()

        def priority() -> int:
            return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

        before = priority()
        passwords.give_way()
        self.assertEqual(priority(), before)
        thread = threading.Thread(target=perform)
        thread.start()
        thread.join()
        self.assertEqual(seen, [passwords.NICENESS, passwords.NICENESS])
        self.assertEqual(priority(), before)
