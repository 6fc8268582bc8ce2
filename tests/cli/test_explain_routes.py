"""``hermes explain`` for addresses that a route takes."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import CommandTestCase

_ROUTES = """
[route:store]
recipients = store.example.net, sales@example.org
to = lmtp:unix:/run/lmtp
open = yes

[route:gone]
recipients = gone.example.net, nobody@example.org
to = refuse That office is closed
open = yes

[route:kept]
recipients = *.example.com
senders = example.org
to = hold

[smtp]
relay_networks = 192.0.2.7
"""


class ExplainRouteTests(CommandTestCase):
    """Which route it is, where it stands, and who may send there."""

    def setUp(self) -> None:
        """A site without accounts."""
        self.config = self.site(_ROUTES)
        (Path(self.config).parent / "data" / "accounts.ini").touch(mode=0o600)

    def test_routes(self) -> None:
        """A route is named with its lines; one that is open to all lets strangers in, and only there."""
        config = self.config
        for address, words in (
            ("x@store.example.net", ("goes to lmtp:unix:/run/lmtp", "rule route.store", "[route:store] recipients")),
            ("sales@example.org", ("goes to lmtp:unix:/run/lmtp", "rule route.store")),
        ):
            output = self.run_hermes("explain", "-c", config, "--to", address).stdout
            for word in words:
                self.assertIn(word, output)
        output = self.run_hermes("explain", "-c", config, "--to", "x@gone.example.net", exit_code=1).stdout
        for word in ("550 5.7.1 That office is closed", "rule route.gone", "[route:gone] to"):
            self.assertIn(word, output)
        output = self.run_hermes("explain", "-c", config, "--to", "nobody@example.org", exit_code=1).stdout
        self.assertIn("550 5.7.1 That office is closed", output)
        for trick in ("x%example.net@store.example.net", "a!b@store.example.net"):
            output = self.run_hermes("explain", "-c", config, "--to", trick, exit_code=1).stdout
            self.assertIn("asks the server of its domain", output)

    def test_rights(self) -> None:
        """A route that is not open gives nobody a right: who may relay goes by it, and others are refused as ever."""
        words = ("explain", "-c", self.config, "--from", "a@example.org", "--to", "x@sub.example.com")
        self.assertIn("relay.denied", self.run_hermes(*words, exit_code=1).stdout)
        output = self.run_hermes(*words, "--ip", "192.0.2.7").stdout
        self.assertIn("goes to hold:kept", output)
        self.assertIn("rule route.kept", output)
