"""What ``[collector:NAME]`` may say."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.collector_rules import MIN_POLL_SECONDS, collector_findings
from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.oauth_client_rules import accounts_of
from hermes.config.schema import HermesSettings, OAuthClientSettings, Settings
from hermes.config.sections.collector import CollectorSettings
from tests.support.configuration import MINIMAL, write_config

GOOD = {"host": "pop.example.net", "username": "box", "password": "secret"}


def findings(*sections: dict[str, Any], postmaster: str = "anna@example.org", **settings: Any) -> list[str]:
    """What is wrong with collectors that say this, beside what they need."""
    collectors = {f"c{number}": CollectorSettings(**{**GOOD, **each}) for number, each in enumerate(sections)}
    hermes = HermesSettings("mail.example.org", ("example.org",), postmaster)
    return [each.text for each in collector_findings(Settings(hermes=hermes, collector=collectors, **settings))]


class CollectorRulesTests(SynchronousTestCase):
    """One rule after the other."""

    def check(self, text: str, *sections: dict[str, Any], **settings: Any) -> None:
        """One thing is wrong, and is told in these words."""
        (found,) = findings(*sections, **settings)
        self.assertIn(text, found)

    def test_good(self) -> None:
        """The least that is needed, and what may be said beside."""
        oauth = {"oauth_clients": {"o": OAuthClientSettings(client_id="x", preset="google")}}
        for each in (
            {},
            {"account": "joe", "leave": "until-deleted"},
            {"tls": "none", "host": "127.0.0.1", "port": 110},
            {"tls": "none", "auth": ("USER",), "port": 110},
            {"poll": MIN_POLL_SECONDS},
            {"default": "joe@example.org", "recipient_headers": ("To", "X-Any")},
        ):
            self.assertEqual(findings(each), [], each)
        self.assertEqual(findings({"password": "", "oauth": "o"}, **oauth), [])

    def test_host(self) -> None:
        """It must be there, and be a name or an address."""
        self.check("is missing", {"host": ""})
        self.assertTrue(findings({"host": "pop_.example..net"}))

    def test_login(self) -> None:
        """A name, and either a password or a token."""
        self.check("is missing", {"username": ""})
        self.check("write the password", {"password": ""})
        oauth = {"oauth_clients": {"google": OAuthClientSettings(client_id="x", preset="google")}}
        self.check("takes the place", {"oauth": "google"}, **oauth)
        self.check("did you mean google", {"password": "", "oauth": "gogle"}, **oauth)
        self.check("[oauth_client:o]", {"password": "", "oauth": "o"})
        self.check("line end", {"username": "a\nb"})
        self.check("did you mean apop", {"auth": ("apo",)})
        self.check("there are user", {"auth": ("???",)})

    def test_never_in_the_clear_by_chance(self) -> None:
        """A password travels in the clear only to this machine, or where the way has been named."""
        self.check("must not travel in the clear", {"tls": "none"})

    def test_distribution(self) -> None:
        """It must be clear who gets the mail."""
        self.check("gets everything", {"account": "joe", "default": "anna"})
        self.check("nobody gets this mail", {}, postmaster="")
        self.check("is empty", {"recipient_headers": ()})
        self.check("only one account", {"leave": "until-deleted"})
        self.check("not the name of a header field", {"recipient_headers": ("A:",)})

    def test_poll(self) -> None:
        """A pause that is too short would have many servers lock the box."""
        self.check("too often", {"poll": MIN_POLL_SECONDS - 1})

    def test_same_box(self) -> None:
        """One box is collected once."""
        self.check("the same box is collected by [collector:c0]", {}, {"host": "POP.example.net"})
        self.assertEqual(findings({}, {"enabled": False}), [])
        self.assertEqual(findings({}, {"username": "other"}), [])

    def test_file(self) -> None:
        """From the file to the settings; a mistake is told with its line."""
        text = MINIMAL + "\n[collector:info]\nhost = pop.example.net\nusername = box\npassword = secret\npoll = 5m\n"
        self.assertEqual(load(write_config(self, text)).collector["info"].poll, 300)
        with self.assertRaises(ConfigError) as caught:
            load(write_config(self, text.replace("poll = 5m", "poll = 1s")))
        self.assertIn("too often", str(caught.exception))

    def test_users_of_a_client(self) -> None:
        """Hermes oauth login says for whom a token is."""
        settings = Settings(collector={"a": CollectorSettings(username="box", oauth="o")})
        self.assertEqual(accounts_of(settings, "o"), ["box"])
