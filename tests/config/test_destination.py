"""What the table of destinations must be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import ConfigError
from hermes.config.loader import load
from tests.support.configuration import MINIMAL, write_config


class RuleTests(SynchronousTestCase):
    """[destination:NAME]."""

    def test_good(self) -> None:
        """Everything at once."""
        settings = load(
            write_config(
                self,
                f"{MINIMAL}[destination:one]\ndomains = a.example, *.B.example, *\ntls = verified\nhosts = *.a.example\n"
                "source_address = 192.0.2.1, 2001:db8::1\nsocks5 = [::1]:1080\nsocks5_username = me\n"
                "socks5_password = x\nconnections = 3\n",
            )
        )
        self.assertEqual(settings.destination["one"].connections, 3)

    def test_wrong(self) -> None:
        """What is wrong is told with a remedy."""
        for text, words in (
            ("domains = a..b\n", "domains"),
            ("hosts = *\n", "hosts"),
            ("domains = a.example\n[destination:y]\ndomains = A.example\n", "stands in [destination:x] too"),
            ("source_address = here\n", "is not an address"),
            ("source_address = 192.0.2.1, 192.0.2.2\n", "two of one kind"),
            ("socks5 = proxy\n", "write HOST:PORT"),
            ("socks5 = proxy:0\n", "write HOST:PORT"),
            ("socks5 = proxy:65536\n", "write HOST:PORT"),
            ("socks5_username = me\n", "belong together"),
            (f"socks5_username = {'x' * 256}\nsocks5_password = x\n", "255 octets"),
        ):
            with self.assertRaises(ConfigError) as raised:
                load(write_config(self, f"{MINIMAL}[destination:x]\n{text}"))
            self.assertIn(words, str(raised.exception))
