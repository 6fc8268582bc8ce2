"""From a token to an account."""

from __future__ import annotations

import tempfile
from pathlib import Path

import attrs
from twisted.cred.checkers import ICredentialsChecker
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.config.sections.oauth import OAuthSettings
from hermes.directory.token_checker import TokenChecker, make_verifier
from hermes.directory.token_verifiers import FetchedKeys, Introspection, SignedTokens
from hermes.interfaces import IBearerToken, TokenDeniedError
from tests.support.accounts import directory_of, record
from tests.support.oauth import RSA, MemoryFetcher, jwk, jwks


class Names:
    """A verifier for which a token is the name that is in it."""

    async def name_of(self, token: str) -> str:
        """The name."""
        return token


@implementer(IBearerToken)
@attrs.frozen
class Token:
    """Credentials."""

    token: str
    name: str = ""
    host: str = ""
    port: int = 0
    service: str = "smtp"


DIRECTORY = directory_of(
    record("joe", "joe@example.org", "info@example.org"),
    record("ann"),
    record("gone", "gone@example.org", disabled=True),
    domains=("example.org",),
    postmaster="joe@example.org",
)


class CheckerTests(SynchronousTestCase):
    """:class:`TokenChecker`."""

    def setUp(self) -> None:
        """A checker that knows its names."""
        self.checker = TokenChecker(DIRECTORY, Names(), ("mail.example.org", "SMTP.example.org"))

    def accepted(self, token: Token) -> bytes | tuple[()]:
        """Whose it is."""
        return self.successResultOf(self.checker.requestAvatarId(token))

    def denied(self, *tokens: Token) -> None:
        """None of them is good."""
        for token in tokens:
            self.failureResultOf(self.checker.requestAvatarId(token), TokenDeniedError)

    def test_interfaces(self) -> None:
        """It is what a portal takes."""
        verifyObject(ICredentialsChecker, self.checker)
        verifyObject(IBearerToken, Token("joe"))

    def test_whose_token(self) -> None:
        """A token names an account, or an address that it lists or has by its name, in any case."""
        for name in ("joe", "Joe", "joe@example.org", "INFO@Example.Org"):
            self.assertEqual(self.accepted(Token(name)), b"joe")
        self.assertEqual(self.accepted(Token("ann@example.org")), b"ann")

    def test_nobody(self) -> None:
        """What only reaches an account is not its name: details, postmaster; nor is a foreign address, or a disabled account."""
        self.denied(Token("joe+x@example.org"), Token("postmaster@example.org"), Token("joe@example.com"), Token("bob"))
        self.denied(Token("gone"), Token("gone@example.org"), Token("@"), Token("@example.org"))

    def test_what_the_client_says(self) -> None:
        """It may name the same account in another way, and no other."""
        for name in ("joe", "info@example.org"):
            self.assertEqual(self.accepted(Token("joe@example.org", name)), b"joe")
        self.denied(Token("joe", "ann"), Token("joe", "nobody"), Token("joe", "joe+x@example.org"))

    def test_where_the_client_thinks_it_is(self) -> None:
        """RFC 7628 3.2: a host that is told must be one of ours, where ours are known."""
        for host in ("", "mail.example.org", "Smtp.Example.Org"):
            self.assertEqual(self.accepted(Token("joe", host=host)), b"joe")
        self.denied(Token("joe", host="mail.example.net"))
        self.checker = TokenChecker(DIRECTORY, Names())
        self.assertEqual(self.accepted(Token("joe", host="mail.example.net")), b"joe")


class MakingTests(SynchronousTestCase):
    """What the settings ask for."""

    def verifier(self, **settings: object) -> object:
        """What checks tokens."""
        return make_verifier(OAuthSettings(**settings), MemoryFetcher, lambda: 0.0)  # type: ignore[arg-type]

    def test_ways(self) -> None:
        """None, by asking, by keys of a file, by keys from an address."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        keys = Path(directory.name) / "keys.json"
        keys.write_bytes(jwks(jwk(RSA, "RS256")))
        self.assertIsNone(self.verifier())
        self.assertIsInstance(self.verifier(check="introspection", introspection_url="https://a.test/"), Introspection)
        self.assertIsInstance(self.verifier(check="jwt", keys=str(keys)), SignedTokens)
        self.assertIsInstance(self.verifier(check="jwt", keys_url="https://a.test/"), FetchedKeys)

    def test_unusable_keys(self) -> None:
        """A file that is not there, or no set of keys, is told when the checker is made."""
        self.assertRaises(FileNotFoundError, self.verifier, check="jwt", keys="/nonexistent/keys.json")
        self.assertRaises(ValueError, self.verifier, check="jwt", keys="/dev/null")
