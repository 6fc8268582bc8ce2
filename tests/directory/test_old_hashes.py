"""Hashes of other systems, by the published test vectors."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account
from hermes.directory.accounts import Record
from hermes.directory.directory import Directory
from hermes.directory.old_hashes import (
    MAX_BCRYPT_COST,
    MAX_PBKDF2_ROUNDS,
    MAX_SHA_ROUNDS,
    is_old_hash,
    matches_old_hash,
)
from hermes.directory.passwords import matches_hash
from tests.support.accounts import MemorySource, passwords_with

_LONG = b"a very much longer text to encrypt.  This one even stretches over morethan one line."

#: From the specification of SHA-crypt; the one with 123456 rounds is left out, for it takes long and tells nothing new.
SHA_CRYPT = [
    (b"Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    (b"Hello world!", "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
    (b"This is just a test", "$5$rounds=5000$toolongsaltstrin$Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"),
    (_LONG, "$5$rounds=1400$anotherlongsalts$Rx.j8H.h8HjEDGomFU8bDkXm3XIUnzyxf12oP84Bnq1"),
    (
        b"the minimum number is still observed",
        "$5$rounds=1000$roundstoolow$yfvwcWrQ8l/K0DAWyuPMDNHpIVlTQebY9l/gL972bIC",
    ),
    (
        b"Hello world!",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
    (
        b"Hello world!",
        "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
    ),
    (
        _LONG,
        "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1",
    ),
]

#: Solar Designer's for bcrypt, and that for more than its 72 octets.
BCRYPT = [
    (b"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    (b"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
    (
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored",
        "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
    ),
]


def _pbkdf2(kind: str, rounds: int, salt: bytes, digest: str) -> str:
    """As passlib writes it."""
    fields = (
        base64.b64encode(octets).decode().rstrip("=").replace("+", ".") for octets in (salt, bytes.fromhex(digest))
    )
    return f"$pbkdf2{kind}${rounds}${'$'.join(fields)}"


#: RFC 6070 2 for SHA-1 and RFC 7914 11 for SHA-256.
PBKDF2 = [
    (b"password", _pbkdf2("", 4096, b"salt", "4b007901b765489abead49d926f721d065a429c1")),
    (
        b"Password",
        _pbkdf2(
            "-sha256",
            80000,
            b"NaCl",
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
            "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d",
        ),
    ),
]

ALL = [*SHA_CRYPT, *BCRYPT, *PBKDF2]


class OldHashTests(SynchronousTestCase):
    """:func:`matches_old_hash`."""

    def test_vectors(self) -> None:
        """The password of each vector is right; another is not, nor none."""
        for password, text in ALL:
            self.assertTrue(is_old_hash(text), text)
            self.assertTrue(matches_old_hash(text, password), text)
        for password, text in (SHA_CRYPT[0], BCRYPT[0], PBKDF2[0]):
            for wrong in (password + b"x", password[:-1], password.swapcase(), b""):
                self.assertFalse(matches_old_hash(text, wrong), text)
        self.assertFalse(matches_old_hash(BCRYPT[0][1], b"U*U\0"))

    def test_work(self) -> None:
        """A hash may ask for so much work, and not for more."""
        letters = SHA_CRYPT[0][1].rpartition("$")[2]
        for form, most in (
            (f"$5$rounds={{}}$salt${letters}", MAX_SHA_ROUNDS),
            ("$2b${:02}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", MAX_BCRYPT_COST),
            (PBKDF2[0][1].replace("$4096$", "${}$"), MAX_PBKDF2_ROUNDS),
        ):
            for rounds, fits in ((most - 1, True), (most, True), (most + 1, False)):
                self.assertEqual(is_old_hash(form.format(rounds)), fits, form.format(rounds))
        self.assertFalse(is_old_hash("$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"))

    def test_what_is_none(self) -> None:
        """Neither plain text, nor what is too short, nor what other systems have besides."""
        for text in (
            "", "secret", "$1$salt$qJH7.N4xYta3aEG/dfqo/0", "$5$salt$short", "{SSHA}abcd", "$y$j9T$abc$def",
            "$6$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "$pbkdf2-sha256$1$c2FsdA$c2hvcnQ",
            "$pbkdf2-md5$1$c2FsdA$c2hvcnQ",
            f"{SHA_CRYPT[0][1]}\n",
        ):  # fmt: skip
            self.assertFalse(is_old_hash(text), text)
            self.assertFalse(matches_old_hash(text, b"x"), text)

    @given(st.text(st.sampled_from("$256aby.=/Z0rounds-pbkdf"), max_size=90), st.binary(max_size=20))
    def test_any_text(self, text: str, password: bytes) -> None:
        """Whatever stands in a file."""
        if len(password) < 2:
            self.assertIn(matches_old_hash(text, password), (True, False))
        self.assertIn(is_old_hash(text), (True, False))

    def test_replaced_at_login(self) -> None:
        """The right password makes a hash of today; a wrong one leaves the old one where it is."""
        for password, text in (SHA_CRYPT[0], BCRYPT[0], PBKDF2[0]):
            source = MemorySource(Record(Account("joe", ("joe@example.org",)), text))
            directory = Directory(source, ("example.org",), "", passwords_with())
            self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(directory.verify("joe", "wrong"))))
            self.assertEqual(source.changed, [])
            self.assertTrue(self.successResultOf(Deferred.fromCoroutine(directory.verify("joe", password.decode()))))
            ((name, new, instead_of),) = source.changed
            self.assertEqual((name, instead_of), ("joe", text))
            self.assertTrue(new.startswith("$argon2id$"))
            self.assertTrue(matches_hash(new, password.decode()))
            self.assertTrue(matches_hash(text, password.decode()))
