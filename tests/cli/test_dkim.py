"""Tests of ``hermes dkim``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

import hermes
from hermes.policy.dkim_keys import State, create_key, keys_of
from hermes.protocols.dkim_signature import ED25519, RSA
from tests.support.command import CommandTestCase
from tests.support.configuration import MINIMAL, write_config
from tests.support.dns_server import NameServer, txt


class KeyCommandTests(CommandTestCase):
    """What needs no DNS."""

    def test_create(self) -> None:
        """Two keys that sign nothing yet, and their records as lines of a zone, in strings of 255 octets at most."""
        config = self.site()
        lines = self.run_hermes("dkim", "create", "-c", config, "Example.ORG").stdout.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], r'^h\d{6}-rsa\._domainkey\.example\.org\. IN TXT \( "v=DKIM1; k=rsa; p=MII')
        self.assertRegex(lines[1], r'^h\d{6}-ed\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=ed25519; p=[^"]{44}"$')
        strings = lines[0].split('"')[1::2]
        self.assertEqual((len(strings), len(strings[0])), (2, 255))
        rows = self.run_json("dkim", "list", "-c", config)
        self.assertEqual([(row["type"], row["state"]) for row in rows], [("rsa 2048", "next"), ("ed25519", "next")])
        self.assertEqual(rows[0]["record"], "".join(strings))
        again = self.run_hermes("dkim", "create", "-c", config, "example.org").stdout
        self.assertRegex(again, r"^h\d{6}b-rsa\.")

    def test_selector(self) -> None:
        """A selector of one's own, used at once; none is used twice, and odd ones are refused."""
        config = self.site()
        words = ("dkim", "create", "-c", config, "example.org", "--type", "ed25519", "--now")
        self.assertIn("mail._domainkey.example.org.", self.run_hermes(*words, "--selector", "mail").output)
        self.assertIn("already", self.run_hermes(*words, "--selector", "mail", exit_code=1).output)
        for odd in ("a/b", "-a", "a..b", "x" * 64, ""):
            self.assertIn("is not a selector", self.run_hermes(*words, "--selector", odd, exit_code=1).output)
        self.assertRegex(self.run_hermes("dkim", "list", "-c", config).output, r"mail +ed25519 +in use")

    def test_domain(self) -> None:
        """A domain in any script is one; what is none is wrong usage."""
        config = self.site()
        output = self.run_hermes("dkim", "create", "-c", config, "Bücher.example", "--type", "ed25519").output
        self.assertIn("._domainkey.xn--bcher-kva.example.", output)
        for odd in ("..", "a b", "-", "x" * 300):
            self.run_hermes("dkim", "create", "-c", config, odd, exit_code=2)

    def test_record(self) -> None:
        """The records again, of one key or of all that are not retired, also as forms on the web want them."""
        config = self.site()
        self.assertIn("has no key", self.run_hermes("dkim", "record", "-c", config, "example.org", exit_code=1).output)
        self.assertIn("no keys", self.run_hermes("dkim", "list", "-c", config).output)
        made = self.run_hermes("dkim", "create", "-c", config, "example.org").stdout
        self.assertEqual(self.run_hermes("dkim", "record", "-c", config, "example.org").output, made)
        (row, _) = self.run_json("dkim", "list", "-c", config, "example.org")
        words = ("dkim", "record", "-c", config, "example.org", row["selector"], "--plain")
        self.assertEqual(self.run_hermes(*words).output, f"{row['selector']}._domainkey.example.org {row['record']}\n")
        self.assertIn(
            "no key none", self.run_hermes("dkim", "record", "-c", config, "example.org", "none", exit_code=1).output
        )

    def test_rotate(self) -> None:
        """The first time there are new keys of the same kinds, the second time they sign and the old ones are retired."""
        config = self.site()
        self.run_hermes("dkim", "create", "-c", config, "example.org", "--type", "rsa", "--selector", "old", "--now")
        output = self.run_hermes("dkim", "rotate", "-c", config, "example.org").output
        self.assertIn("IN TXT", output)
        self.assertIn("give the same command again", output)
        self.assertEqual([row["state"] for row in self.run_json("dkim", "list", "-c", config)], ["next", "in use"])
        output = self.run_hermes("dkim", "rotate", "-c", config, "example.org", "--force").output
        self.assertRegex(output, r"^h\d{6}-rsa signs for example\.org from now on\nold is retired: .* 7 days\n$")
        self.assertEqual([row["state"] for row in self.run_json("dkim", "list", "-c", config)], ["in use", "retired"])
        self.assertNotIn("old", self.run_hermes("dkim", "record", "-c", config, "example.org").output)

    def test_rotate_from_nothing(self) -> None:
        """Without any key it begins with both kinds."""
        config = self.site()
        self.run_hermes("dkim", "rotate", "-c", config, "example.org")
        self.assertEqual(len(self.run_json("dkim", "list", "-c", config)), 2)

    def test_broken_key(self) -> None:
        """A file that is no key is told, with its name."""
        config = self.site()
        place = Path(config).parent / "data" / "dkim" / "example.org"
        place.mkdir(parents=True)
        place.joinpath("bad.pem").write_bytes(b"x")
        output = self.run_hermes("dkim", "list", "-c", config).output
        self.assertIn("bad.pem: this is not a private key", output)

    def test_nothing_to_check(self) -> None:
        """Without keys there is nothing to check, and a domain without any is told."""
        config = self.site()
        self.assertIn("no keys", self.run_hermes("dkim", "check", "-c", config).output)
        self.assertEqual(self.run_json("dkim", "check", "-c", config), [])
        self.assertIn("has no keys", self.run_hermes("dkim", "check", "-c", config, "example.org", exit_code=1).output)


class RecordTests(TestCase):
    """What asks the DNS, in a process of its own, with a name server here."""

    async def setUp(self) -> None:
        """A site with a key in use."""
        self.server = NameServer()
        self.server.start(reactor)
        self.config = write_config(self, f"{MINIMAL}[dns]\nnameservers = {self.server.address}\n")
        self.directory = os.path.join(os.path.dirname(self.config), "data", "dkim")
        os.makedirs(os.path.dirname(self.directory), exist_ok=True)
        self.key = create_key(self.directory, "example.org", "one", ED25519, State.IN_USE)

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await self.server.stop()

    async def run_dkim(self, *words: str) -> tuple[str, int]:
        """Run it; what it printed, and its exit code."""
        environment = {**os.environ, "PYTHONPATH": str(Path(hermes.__file__).parents[1])}
        words = ("-m", "hermes.cli.main", "dkim", words[0], "-c", self.config, *words[1:])
        output, errors, code = await getProcessOutputAndValue(sys.executable, words, environment, reactor=reactor)
        return (output + errors).decode(), code

    async def test_check(self) -> None:
        """A key in use without its record, with another one, or with two, is a failure; t=y and small keys are a warning."""
        name = self.key.name
        for texts, level, words, code in (
            ([], "fail", "is not in the DNS", 1),
            ([self.key.record], "ok", "(ed25519, in use) is in the DNS", 0),
            (["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="], "fail", "another key", 1),
            ([self.key.record, "v=spf1 -all"], "fail", "2 records", 1),
            ([f"{self.key.record}; t=y"], "warn", "says t=y", 0),
        ):
            self.server.zone[name] = [txt(text) for text in texts]
            output, exit_code = await self.run_dkim("check")
            self.assertEqual((output[:4].strip(), exit_code), (level, code), output)
            self.assertIn(words, output)
        small = create_key(self.directory, "example.net", "small", RSA, State.IN_USE, 1024)
        self.server.zone[small.name] = [txt(small.record)]
        output, exit_code = await self.run_dkim("check", "example.net")
        self.assertEqual((output[:4], exit_code), ("warn", 0))

    async def test_rotate(self) -> None:
        """The keys change over only when the new record can be seen."""
        coming = create_key(self.directory, "example.org", "two", RSA, State.NEXT, 2048)
        output, code = await self.run_dkim("rotate", "example.org")
        self.assertIn("Nothing has been changed", output)
        self.assertIn("two._domainkey.example.org is not in the DNS", output)
        self.assertEqual(code, 1)
        output, code = await self.run_dkim("check", "example.org")
        self.assertIn("two._domainkey.example.org is not in the DNS", output)
        self.server.zone[coming.name] = [txt(coming.record[:255], coming.record[255:])]
        output, code = await self.run_dkim("rotate", "example.org")
        self.assertEqual(code, 0, output)
        keys, _ = keys_of(self.directory, "example.org")
        self.assertEqual({key.selector: key.state for key in keys}, {"two": State.IN_USE, "one": State.RETIRED})
