"""What the settings of DKIM must be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import ConfigError
from hermes.config.loader import load
from tests.support.configuration import MINIMAL, write_config


class RuleTests(SynchronousTestCase):
    """[dkim] and [dkim:NAME]."""

    def test_good(self) -> None:
        """Everything at once."""
        settings = load(
            write_config(
                self,
                f"{MINIMAL}[dkim]\nheaders = From, Subject, X-Mine\noversign = from\n"
                "[dkim:office]\ndomains = a.example.org, Example.net\nsign = no\n"
                "[dkim:sub]\ndomains = b.example.org, example.org\nsigning_domain = Example.org\nselectors = s1, s2.x\n",
            )
        )
        self.assertEqual(settings.dkim.directory.rpartition("/")[2], "dkim")
        self.assertFalse(settings.dkim_domains["office"].sign)

    def test_wrong(self) -> None:
        """What is wrong is told with its place and a remedy."""
        for text, words in (
            ("[dkim]\nheaders = From:\n", "'From:' is not the name of a header field"),
            ("[dkim:x]\ndomains = -\n", "domains"),
            ("[dkim:x]\ndomains = a.example\n[dkim:y]\ndomains = A.example\n", "stands in [dkim:x] too"),
            ("[dkim:x]\ndomains = a.example\nsigning_domain = b.example\n", "is not above a.example"),
            ("[dkim:x]\ndomains = ba.example\nsigning_domain = a.example\n", "is not above ba.example"),
            ("[dkim:x]\ndomains = a.example\nselectors = a/b\n", "'a/b' is not a selector"),
        ):
            with self.assertRaises(ConfigError) as raised:
                load(write_config(self, MINIMAL + text))
            self.assertIn(words, str(raised.exception))
