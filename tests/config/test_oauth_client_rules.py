"""OAuth clients in config.ini, and the table of providers."""

from __future__ import annotations

from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.oauth_client_rules import accounts_of, facts_of, missing
from hermes.config.providers import providers
from hermes.config.sections.oauth_client import GRANTS, PRESETS, OAuthClientSettings
from tests.support.configuration import write_config

CLIENT = "[oauth_client:one]\npreset = microsoft\nclient_id = app\n"
USER = "[smarthost]\nhost = r.test\noauth = one\nusername = u\n"


class RuleTests(SynchronousTestCase):
    """What is refused, and what not."""

    def accepted(self, text: str) -> None:
        """The text is a configuration."""
        load(write_config(self, text))

    def refused(self, text: str, *words: str) -> None:
        """It is not, and every problem's text has these words."""
        error = self.assertRaises(ConfigError, load, write_config(self, text))
        for word in words:
            self.assertIn(word, str(error))

    def test_missing(self) -> None:
        """Each grant says what it needs and has not."""
        self.accepted(CLIENT)
        self.refused(
            "[oauth_client:one]\npreset = google\n", "[oauth_client:one] client_id: is missing, and code needs it"
        )
        self.refused("[oauth_client:one]\nclient_id = a\n", "token_endpoint: is missing")
        self.refused(CLIENT + "grant = client_credentials\n", "client_secret: is missing")
        endpoint = "[oauth_client:one]\nclient_id = a\ntoken_endpoint = https://l.test/t\n"
        self.refused(endpoint, "authorization_endpoint: is missing")
        self.refused(endpoint + "grant = device\n", "device_endpoint: is missing")
        self.accepted(endpoint + "authorization_endpoint = https://l.test/a\n")
        self.accepted(endpoint + "device_endpoint = https://l.test/d\n")

    def test_https(self) -> None:
        """Endpoints are reached by HTTPS, and the redirect leads to this machine or by HTTPS."""
        for key in ("token_endpoint", "authorization_endpoint", "device_endpoint"):
            for address in ("http://l.test/", "l.test", "https://", "https://[x/"):
                self.refused(
                    CLIENT + f"{key} = {address}\n", f":4: [oauth_client:one] {key}: tokens travel by HTTPS alone"
                )
        for address in ("http://127.0.0.1", "http://localhost:80", "http://[::1]:5/x", "https://web.test/x"):
            self.accepted(CLIENT + f"redirect = {address}\n")
        for address in ("http://web.test", "127.0.0.1", "http://[x"):
            self.refused(CLIENT + f"redirect = {address}\n", ":4: [oauth_client:one] redirect: ")

    def test_smarthosts(self) -> None:
        """A smart host names a client that there is, and its user; a password, or TLS left out, do not go with it."""
        self.accepted(CLIENT + USER)
        self.accepted(CLIENT + USER.replace("[smarthost]", "[smarthost:office]"))
        self.refused(USER, "there is no OAuth client 'one': write [oauth_client:one]")
        self.refused(CLIENT + USER.replace("one", "on"), "did you mean one?")
        self.refused(CLIENT + "[smarthost]\nhost = r.test\noauth = one\n", "username: is missing")
        self.refused(CLIENT + USER + "password = p\n", "takes the place of the password")
        self.refused(CLIENT + USER + "tls = none\n", "must not travel in the clear")
        self.accepted(CLIENT + USER.replace("r.test", "127.0.0.1") + "tls = none\n")

    def test_accounts(self) -> None:
        """Who logs in with a client: the users of all smart hosts that name it."""
        settings = load(
            write_config(
                self, CLIENT + USER + "[smarthost:b]\nhost = b.test\noauth = one\nusername = v\nsenders = <>\n"
            )
        )
        self.assertEqual(accounts_of(settings, "one"), ["u", "v"])
        self.assertEqual(accounts_of(settings, "two"), [])


class FactTests(SynchronousTestCase):
    """The table of providers, and what follows from it."""

    def test_sources(self) -> None:
        """Every fact has an address as its source, and every endpoint is reached by HTTPS."""
        self.assertEqual({"none", *providers()}, set(PRESETS))
        for provider in providers().values():
            for name, fact in provider.facts.items():
                self.assertEqual(urlsplit(fact.source).scheme, "https", name)
                if name.endswith("_endpoint"):
                    self.assertEqual(urlsplit(fact.value).scheme, "https")
            self.assertTrue(set(provider.get("grants")) <= set(GRANTS))

    def test_presets(self) -> None:
        """With an id and a secret every grant that a provider offers is complete, and the tenant stands in its place."""
        for name, provider in providers().items():
            for grant in provider.get("grants"):
                client = OAuthClientSettings(preset=name, client_id="a", client_secret="b", tenant="t.test")
                facts = facts_of("x", client, grant)
                self.assertEqual(missing(facts), "")
                self.assertTrue(facts.scopes)
                self.assertNotIn("{", facts.token_endpoint)
        microsoft = facts_of("x", OAuthClientSettings(preset="microsoft", client_id="a", tenant="t.test"))
        self.assertEqual(microsoft.token_endpoint, "https://login.microsoftonline.com/t.test/oauth2/v2.0/token")
        self.assertEqual(microsoft.grant, "device")
        anybody = facts_of("x", OAuthClientSettings(preset="microsoft", client_id="a"))
        self.assertIn("/common/", anybody.device_endpoint)

    def test_settings_come_first(self) -> None:
        """What the settings say comes before the preset."""
        client = OAuthClientSettings(
            preset="google", client_id="a", scopes=("s",), token_endpoint="https://l.test/t", redirect="https://w.test/"
        )
        facts = facts_of("x", client)
        self.assertEqual(
            (facts.scopes, facts.token_endpoint, facts.redirect), (("s",), "https://l.test/t", "https://w.test/")
        )
        self.assertNotIn("secret", repr(facts_of("x", OAuthClientSettings(client_secret="secret", client_id="a"))))
