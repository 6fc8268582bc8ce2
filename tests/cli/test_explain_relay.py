"""Tests of ``hermes explain``: modes of relaying, and being a backup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.command import CommandTestCase

_BACKUP = "[backup:friend]\ndomains = example.net\n"


class ExplainRelayTests(CommandTestCase):
    """What is said about a recipient elsewhere."""

    def recipient(self, more: str, *words: str, to: str = "x@example.net", code: int = 0) -> dict[str, Any]:
        """The last step, which is about the recipient."""
        config = self.site(more)
        self.run_hermes("user", "add", "-c", config, "anna", "--generate")
        steps = self.run_json("explain", "-c", config, "--to", to, *words, exit_code=code)
        last: dict[str, Any] = steps[-1]
        return last

    def test_normal(self) -> None:
        """A sender of ours in a private network, and the setting that lets him; elsewhere the same sender is nobody."""
        more = "[smtp]\nrelay = normal\n[direct]\nenabled = yes\n"
        sender = ("--from", "anna@example.org")
        step = self.recipient(more, "--ip", "192.168.1.7", *sender)
        self.assertEqual((step["rule"], step["destination"]), ("smtp.relay", "direct:example.net"))
        self.assertTrue(any("[smtp] relay" in place for place in step["because"]), step)
        self.assertEqual(self.recipient(more, "--ip", "198.51.100.7", *sender, code=1)["rule"], "relay.denied")
        self.assertEqual(
            self.recipient(more, "--ip", "192.168.1.7", "--from", "x@a.test", code=1)["rule"], "relay.denied"
        )

    def test_only_authenticated(self) -> None:
        """A network that counts for nothing, and why."""
        more = "[smtp]\nrelay = only-authenticated\nrelay_networks = 192.168.0.0/16\n[direct]\nenabled = yes\n"
        step = self.recipient(more, "--ip", "192.168.1.7", "--from", "a@example.com", code=1)
        self.assertEqual(step["rule"], "relay.denied")
        self.assertIn("only-authenticated", step["reason"])
        self.assertTrue(any("[smtp] relay" in place for place in step["because"]), step)

    def test_backup(self) -> None:
        """By which section mail is taken and where it goes; that its server is asked first only the server can do."""
        step = self.recipient(_BACKUP, "--ip", "198.51.100.7", "--from", "a@example.com")
        self.assertEqual((step["rule"], step["destination"]), ("backup.friend", "backup:example.net"))
        self.assertIn("asked first", step["moment"])
        self.assertTrue(any("[backup:friend] domains" in place for place in step["because"]), step)
        unasked = self.recipient(_BACKUP + "verify = no\n", "--ip", "198.51.100.7", "--from", "a@example.com")
        self.assertEqual(unasked["moment"], "")

    def test_paused(self) -> None:
        """That mail for a recipient waits just now is said beside where it goes, and not of others."""
        for what, expected in (
            ("example.net", True),
            ("backup", True),
            ("example.com", False),
            ("host:mx.test", False),
        ):
            config = self.site(_BACKUP + "verify = no\n")
            self.run_hermes("user", "add", "-c", config, "anna", "--generate")
            (Path(config).parent / "data" / "pauses.json").write_text(json.dumps({what: 0.0}))
            steps = self.run_json("explain", "-c", config, "--to", "x@example.net", "--from", "a@example.com")
            self.assertEqual(steps[-1]["moment"], f"{what} is paused until it is resumed" if expected else "")
            self.assertEqual({step["moment"] for step in steps[:-1]}, {""})

    def test_backup_is_no_relay(self) -> None:
        """Other domains, and routes through that domain, are refused."""
        for to, rule in (("x@example.com", "relay.denied"), ("x%example.com@example.net", "backup.routing")):
            step = self.recipient(_BACKUP, "--ip", "198.51.100.7", "--from", "a@example.com", to=to, code=1)
            self.assertEqual(step["rule"], rule)
        self.assertTrue(any("[backup:friend] domains" in place for place in step["because"]), step)

    def test_open_route_is_no_relay(self) -> None:
        """What asks the server of an open route to send it on is refused, by the lines of that route."""
        route = "[route:plant]\nrecipients = *@example.net\nto = lmtp:127.0.0.1:2424\nopen = yes\n"
        step = self.recipient(
            route, "--ip", "198.51.100.7", "--from", "a@example.com", to="x%example.com@example.net", code=1
        )
        self.assertEqual(step["rule"], "backup.routing")
        self.assertTrue(any("[route:plant] recipients" in place for place in step["because"]), step)
