"""Secrets that can be read again, and the checker of digests."""

from __future__ import annotations

import hashlib
import hmac

import attrs
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import CramMD5Credentials
from twisted.cred.error import UnauthorizedLogin
from twisted.mail.pop3 import APOPCredentials
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.directory.accounts import Record
from hermes.directory.directory import Directory
from hermes.directory.passwords import MAX_PASSWORD_OCTETS
from hermes.directory.recoverable import DigestChecker, RecoverableSecrets
from hermes.directory.sources.accounts_file import check_sealed
from tests.support.accounts import MemorySource, directory_of, passwords_with, record

KEY = b"k" * 32


class SealingTests(SynchronousTestCase):
    """:class:`RecoverableSecrets`."""

    def test_opened_again(self) -> None:
        """What was sealed is opened, by another one with the same key too, and never written twice alike."""
        sealed = RecoverableSecrets(KEY).seal("joe", "grün\x00x")
        self.assertEqual(RecoverableSecrets(KEY).open("joe", sealed), "grün\x00x".encode())
        self.assertNotEqual(RecoverableSecrets(KEY).seal("joe", "grün\x00x"), sealed)
        self.assertEqual(check_sealed(sealed), sealed)

    def test_for_one_account(self) -> None:
        """A line that was moved to another account is worth nothing there."""
        secrets = RecoverableSecrets(KEY)
        self.assertIsNone(secrets.open("ann", secrets.seal("joe", "x")))
        self.assertIsNone(secrets.open("", ""))

    def test_another_key(self) -> None:
        """Under another key nothing is opened, and it is said once for each attempt."""
        sealed = RecoverableSecrets().seal("joe", "x")
        self.assertIsNone(RecoverableSecrets(KEY).open("joe", sealed))
        self.assertIsNone(RecoverableSecrets(KEY).open("joe", sealed[:-8]))

    def test_length(self) -> None:
        """As long as a password may be, and not empty."""
        for length, good in ((1, True), (MAX_PASSWORD_OCTETS, True), (0, False), (MAX_PASSWORD_OCTETS + 1, False)):
            if good:
                check_sealed(RecoverableSecrets(KEY).seal("a" * 64, "x" * length))
            else:
                self.assertRaises(ValueError, RecoverableSecrets(KEY).seal, "joe", "x" * length)

    def test_not_sealed(self) -> None:
        """A secret that somebody wrote into the file is not repeated in the complaint."""
        for value in ("swordfish", "gAAAAA", "gAAAAA" + "!" * 100):
            error = self.assertRaises(ValueError, check_sealed, value)
            self.assertNotIn(value, str(error))
        self.assertEqual(check_sealed(""), "")


class CheckerTests(SynchronousTestCase):
    """:class:`DigestChecker`, asked with Twisted's own credentials."""

    def setUp(self) -> None:
        """Joe and a disabled account have a secret, Ann has none."""
        self.secrets = RecoverableSecrets(KEY)
        self.directory = directory_of(
            self.with_secret(record("joe", "joe@example.org")),
            self.with_secret(record("gone", disabled=True)),
            record("ann"),
        )
        self.checker = DigestChecker(self.directory, self.secrets)

    def with_secret(self, one: Record) -> Record:
        """The same, with the secret ``tanstaaf``."""
        return attrs.evolve(one, cram=self.secrets.seal(one.account.name, "tanstaaf"))

    def login(self, name: str, secret: str = "tanstaaf") -> bytes | tuple[()] | None:
        """Whose it is, by both mechanisms alike; None when it is refused."""
        challenge = b"<1896.697170952@mail.example.org>"
        apop = hashlib.md5(challenge + secret.encode()).hexdigest()
        cram = CramMD5Credentials()
        cram.challenge = challenge
        cram.username, cram.response = name.encode(), hmac.new(secret.encode(), challenge, "md5").hexdigest().encode()
        found = []
        for credentials in (APOPCredentials(challenge, name.encode(), apop), cram):
            waiting = self.checker.requestAvatarId(credentials)
            waiting.addErrback(lambda failure: failure.trap(UnauthorizedLogin) and None)
            found.append(self.successResultOf(waiting))
        self.assertEqual(found[0], found[1])
        return found[0]

    def test_interface(self) -> None:
        """It is what a portal takes."""
        verifyObject(ICredentialsChecker, self.checker)

    def test_right(self) -> None:
        """By the name or an address, in any case."""
        for name in ("joe", "JOE", "joe@example.org"):
            self.assertEqual(self.login(name), b"joe")

    def test_wrong(self) -> None:
        """A wrong secret, no secret, a disabled account, nobody, and an empty secret for nobody's."""
        for name, secret in (
            ("joe", "guess"),
            ("ann", "tanstaaf"),
            ("gone", "tanstaaf"),
            ("bob", "tanstaaf"),
            ("", ""),
        ):
            self.assertIsNone(self.login(name, secret))
        for name in ("ann", "bob", "gone"):
            self.assertIsNone(self.login(name, ""))

    def test_offered(self) -> None:
        """As long as somebody who may log in has a secret."""
        self.assertTrue(self.directory.offers_digests())
        source = MemorySource(self.with_secret(record("gone", disabled=True)), record("ann"))
        self.assertFalse(Directory(source, ("example.org",), "", passwords_with()).offers_digests())
