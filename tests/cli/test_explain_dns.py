"""Tests of ``hermes explain --dns``, and of what it says when it has not asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

import hermes
from tests.support.command import CommandTestCase
from tests.support.configuration import MINIMAL, write_config
from tests.support.dns_server import NameServer, a, ptr

_RULES = """
[dnsbl:good]
zone = good.example
kind = whitelist

[dnsbl:zen]
zone = zen.example

[dnsbl:tagger]
zone = tag.example
action = tag

[dnsbl:redirector]
zone = redirect.example
action = redirect
redirect_to = anna@example.org

[sender_checks]
unconfirmed_reverse_name = refuse

[greylist]
enabled = yes
"""


def write_account(data: Path) -> None:
    """Anna, whose password nobody knows."""
    file = data / "accounts.ini"
    file.write_text("[anna]\naddresses = anna@example.org\n")
    file.chmod(0o600)


class DNSTests(TestCase):
    """In a process of its own, with a name server here."""

    async def setUp(self) -> None:
        """Lists that have one client each."""
        self.server = NameServer(
            {
                "7.2.0.192.zen.example": [a("127.0.0.2")],
                "8.2.0.192.tag.example": [a("127.0.0.2")],
                "9.2.0.192.redirect.example": [a("127.0.0.2")],
                "10.2.0.192.zen.example": [a("127.0.0.2")],
                "10.2.0.192.good.example": [a("127.0.0.2")],
                "11.2.0.192.in-addr.arpa": [ptr("liar.example")],
            }
        )
        self.server.start(reactor)
        self.config = write_config(self, f"{MINIMAL}[dns]\nnameservers = {self.server.address}\n{_RULES}")
        data = Path(self.config).parent / "data"
        data.mkdir()
        write_account(data)

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await self.server.stop()

    async def explained(self, peer: str, recipient: str = "anna@example.org") -> tuple[dict[str, Any], int]:
        """The last step of what would happen to a message of that client, and the exit code."""
        words = [
            "explain",
            "-c",
            self.config,
            "--json",
            "--dns",
            "--ip",
            peer,
            "--from",
            "x@example.com",
            "--to",
            recipient,
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(hermes.__file__).parents[1])}
        out, err, code = await getProcessOutputAndValue(sys.executable, ["-m", "hermes.cli.main", *words], environment)
        self.assertEqual(err, b"")
        step: dict[str, Any] = json.loads(out)[-1]
        return step, code

    async def test_listed(self) -> None:
        """A list that refuses is the rule, with its section."""
        step, code = await self.explained("192.0.2.7")
        self.assertEqual((step["rule"], step["reply"], code), ("dnsbl.zen", "554 5.7.1 Blocked by zen", 1))
        self.assertIn("[dnsbl:zen] zone", step["because"][0])

    async def test_whitelisted(self) -> None:
        """A whitelist decides that nothing is done; what cannot be known is said."""
        step, code = await self.explained("192.0.2.10")
        self.assertEqual((step["accepted"], code), (True, 0))
        self.assertIn("dnsbl.good=whitelisted", step["found"])
        self.assertEqual(step["moment"], "not asked, and may refuse it: greylist")

    async def test_tagged_and_redirected(self) -> None:
        """What would be done with an accepted message is told."""
        step, _ = await self.explained("192.0.2.8")
        self.assertIn("X-Blocked: Blocked by 'tagger'", step["found"])
        step, _ = await self.explained("192.0.2.9")
        self.assertIn("redirected to anna@example.org", step["found"])

    async def test_sender_test(self) -> None:
        """A test of senders that refuses is the rule, with its setting."""
        step, _ = await self.explained("192.0.2.11")
        self.assertEqual(step["rule"], "sender_checks.unconfirmed_reverse_name")
        self.assertIn("[sender_checks] unconfirmed_reverse_name", step["because"][0])

    async def test_postmaster(self) -> None:
        """The postmaster can be written to, and nothing is left that may refuse it."""
        step, code = await self.explained("192.0.2.7", "postmaster@example.org")
        self.assertEqual((step["accepted"], step["moment"], code), (True, "", 0))


class UnaskedTests(CommandTestCase):
    """Without ``--dns``."""

    def explained(self, rules: str, peer: str = "192.0.2.7") -> str:
        """What is said of the moment."""
        config = self.site(rules)
        write_account(Path(config).parent / "data")
        words = ("explain", "-c", config, "--ip", peer, "--from", "x@example.com", "--to", "anna@example.org")
        steps = self.run_json(*words)
        moment: str = steps[-1]["moment"]
        return moment

    def test_named(self) -> None:
        """What could refuse a stranger is named; a whitelist and a tag could not."""
        self.assertEqual(
            self.explained(_RULES),
            "not asked, and may refuse it: dnsbl.zen, sender_checks.unconfirmed_reverse_name, greylist; --dns asks",
        )

    def test_points(self) -> None:
        """Points may, where there is a limit."""
        said = self.explained("[sender_checks]\nno_reverse_name = score 3\nrefuse_above = 2\n")
        self.assertEqual(said, "not asked, and may refuse it: score; --dns asks")

    def test_nothing(self) -> None:
        """As shipped nothing could; and nobody asks about clients of ours."""
        self.assertEqual(self.explained(""), "")
        self.assertEqual(self.explained(_RULES + "\n[smtp]\nrelay_networks = 192.0.2.0/24\n"), "")
