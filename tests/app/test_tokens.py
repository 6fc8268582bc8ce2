"""Logins by token in a whole server, and what an administrator hears who has set them up wrong."""

from __future__ import annotations

from pathlib import Path

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.tokens import token_checkers, token_hint
from hermes.config.schema import Settings
from hermes.config.sections.oauth import OAuthSettings
from hermes.protocols.sasl import TokenHint
from tests.support.accounts import directory_of
from tests.support.oauth import RSA, jwk, jwks


def settings(**oauth: object) -> Settings:
    """Settings with this section."""
    return attrs.evolve(Settings(), oauth=OAuthSettings(**oauth))  # type: ignore[arg-type]


class TokensTests(SynchronousTestCase):
    """:mod:`hermes.app.tokens`."""

    def refused(self, part: str, **oauth: object) -> None:
        """The text for the administrator names section, key, file and reason."""
        with self.assertRaisesRegex(ValueError, part):
            token_checkers(settings(**oauth), directory_of(), Clock(), lambda: 0.0)

    def test_off(self) -> None:
        """By default no tokens are taken, and nothing is said of them."""
        self.assertEqual(token_checkers(settings(), directory_of(), Clock(), lambda: 0.0), ())
        self.assertIsNone(token_hint(settings()))

    def test_on(self) -> None:
        """With keys there is a checker, and clients are told scopes and where to read more."""
        keys = Path(self.mktemp())
        keys.write_bytes(jwks(jwk(RSA, "RS256")))
        oauth = settings(check="jwt", keys=str(keys), scopes=("mail", "send"), discovery="https://a.test")
        self.assertEqual(len(token_checkers(oauth, directory_of(), Clock(), lambda: 0.0)), 1)
        self.assertEqual(token_hint(oauth), TokenHint(scope="mail send", configuration="https://a.test"))

    def test_unusable_files(self) -> None:
        """Each file that cannot be used is named."""
        self.refused(r"\[oauth\] keys: /nonexistent: No such file", check="jwt", keys="/nonexistent")
        self.refused(r"\[oauth\] keys: /dev/null: ", check="jwt", keys="/dev/null")
        asked = {"keys_url": "https://a.test", "authority": "/nonexistent"}
        self.refused(r"\[oauth\] authority: /nonexistent: No such file", check="jwt", **asked)
