"""The settings of logins by token."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import ConfigError
from hermes.config.loader import load
from tests.support.configuration import write_config

JWT = "[oauth]\ncheck = jwt\nissuer = https://login.example.org\naudience = hermes\nkeys = keys.json\n"
ASKING = (
    "[oauth]\ncheck = introspection\nintrospection_url = https://login.example.org/introspect\nclient_id = hermes\n"
)


class OAuthRulesTests(SynchronousTestCase):
    """What goes together and what does not."""

    def refused(self, text: str, *parts: str) -> None:
        """The configuration has one problem, which holds all these parts."""
        error = self.assertRaises(ConfigError, load, self.write(text))
        self.assertEqual(len(error.problems), 1, str(error))
        for part in parts:
            self.assertIn(part, str(error))

    def write(self, text: str) -> Path:
        """A file that only we can read: there is a secret in it."""
        path = Path(write_config(self, text))
        os.chmod(path, 0o600)
        return path

    def test_whole(self) -> None:
        """Both ways with what they need, and off by default."""
        self.assertEqual(load(self.write("")).oauth.check, "no")
        self.assertEqual(load(self.write(JWT)).oauth.audience, ("hermes",))
        load(self.write(JWT.replace("keys = keys.json", "keys_url = https://login.example.org:8443/jwks?x=1")))
        self.assertEqual(load(self.write(ASKING + "client_secret = s\n")).oauth.client_secret, "s")

    def test_jwt(self) -> None:
        """Keys, an issuer and an audience (RFC 8725 3.8, 3.9)."""
        self.refused(JWT.replace("keys = keys.json\n", ""), "[oauth] keys:", "either keys or keys_url")
        self.refused(JWT + "keys_url = https://login.example.org/jwks\n", "either keys or keys_url")
        self.refused(JWT.replace("issuer = https://login.example.org\n", ""), "[oauth] issuer:")
        self.refused(JWT.replace("audience = hermes\n", ""), "[oauth] audience:", "would open mailboxes")
        self.refused(JWT + "algorithms =\n", "[oauth] algorithms:")
        self.refused(JWT + "claim =\n", "[oauth] claim:")

    def test_algorithms(self) -> None:
        """Neither shared secrets nor nothing at all (RFC 8725 3.1)."""
        for name in ("HS256", "none", "rs256", "ES256K"):
            self.refused(JWT + f"algorithms = RS256, {name}\n", ":6: [oauth] algorithms:", name)

    def test_introspection(self) -> None:
        """An address and a login (RFC 7662 2.1)."""
        self.refused(ASKING, "[oauth] client_id:", "client_secret")
        self.refused("[oauth]\ncheck = introspection\nclient_id = a\nclient_secret = b\n", "[oauth] introspection_url:")

    def test_addresses(self) -> None:
        """Tokens go there: https, a host, and nothing that an address does not have."""
        for url in (
            "http://login.example.org/jwks",
            "login.example.org/jwks",
            "https:///jwks",
            "https://user@login.example.org/",
            "https://login.example.org:0/",
            "https://login.example.org:99999/",
            "https://login.example.org/#x",
            "https://login.example.org/a b",
            "https://[::1/",
            "https://löwe.example.org/",
        ):
            self.refused(f"[oauth]\ndiscovery = {url}\n", ":2: [oauth] discovery:", "https://login.example.org/path")
