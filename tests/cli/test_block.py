"""Tests of ``hermes block``, with and without a server, and of what ``hermes explain`` says of it."""

from __future__ import annotations

import time
from ipaddress import ip_network
from pathlib import Path

from twisted.internet.defer import Deferred

from hermes.config.loader import load
from hermes.config.places import offenders_file
from hermes.core.offender import Offender
from hermes.policy.offender_store import OffenderStore
from tests.support.command import CommandTestCase, FakeServer
from tests.support.worker import ImmediateWorker

_ROW = {
    "network": "203.0.113.7",
    "since": "2027-01-15T08:00:00.000Z",
    "until": "2027-01-15T08:30:00.000Z",
    "by": "rule",
    "rule": "limits.login_failures",
    "reason": "10 wrong passwords in ten minutes",
    "times": 2,
}


def _count(kind: str, subject: str, failures: int, refused: bool) -> dict[str, object]:
    return {"kind": kind, "subject": subject, "failures": failures, "limit": 20, "refused": refused}


class BlockTestCase(CommandTestCase):
    """A site with a list."""

    def fill(self, config: str, *entries: Offender) -> None:
        """Put entries on the list of a site whose server is down."""
        store = OffenderStore(offenders_file(load(config)), ImmediateWorker())
        store.open(0)
        for one in entries:
            self.successResultOf(store.put(one))
        self.successResultOf(Deferred.fromCoroutine(store.close()))


class BlockTests(BlockTestCase):
    """What is asked, and what is made of the answer."""

    def test_list(self) -> None:
        """The running server's list."""
        config = self.site()
        for_good = {**_ROW, "network": "198.51.100.0/24", "until": None, "by": "administrator", "rule": "administrator"}
        counts = [_count("account", "anna", 20, True), _count("address", "203.0.113.9", 3, False)]
        both = {"blocked": [_ROW, for_good], "logins": counts}
        FakeServer(self, config, {"ok": True, "result": both}, {"ok": True, "result": {"blocked": [], "logins": []}})
        lines = self.run_hermes("block", "list", "-c", config).stdout.splitlines()
        self.assertIn("203.0.113.7", lines[1])
        self.assertIn("limits.login_failures: 10 wrong passwords in ten minutes", lines[1])
        self.assertIn("until removed", lines[2])
        self.assertIn("administrator", lines[2])
        self.assertEqual(lines[3], "")
        self.assertEqual(lines[5].split(maxsplit=4), ["account", "anna", "20", "20", "no password is looked at"])
        self.assertEqual(lines[6].split(maxsplit=4), ["address", "203.0.113.9", "3", "20", "each answer waits"])
        self.assertEqual(self.run_hermes("block", "list", "-c", config).stdout, "Nobody is blocked.\n")

    def test_rates(self) -> None:
        """With --rates it also asks for how much mail comes from whom."""
        config = self.site()
        used = {
            "kind": "account",
            "subject": "anna",
            "what": "messages",
            "used": 60,
            "limit": "60/minute",
            "refused": True,
        }
        some = {**used, "subject": "bob", "used": 3, "refused": False}
        server = FakeServer(self, config, {"ok": True, "result": {"blocked": [], "logins": [], "rates": [used, some]}})
        lines = self.run_hermes("block", "list", "-c", config, "--rates").stdout.splitlines()
        self.assertEqual(
            lines[3].split(maxsplit=5), ["account", "anna", "messages", "60", "60/minute", "no more is taken"]
        )
        self.assertEqual(lines[4].split(), ["account", "bob", "messages", "3", "60/minute"])
        self.assertEqual(server.questions, [{"command": "block.list", "arguments": {"rates": True}}])

    def test_no_rates(self) -> None:
        """With --rates it is said also that nothing is counted: "nobody is blocked" alone would leave that open."""
        config = self.site()
        FakeServer(self, config, {"ok": True, "result": {"blocked": [], "logins": [], "rates": []}})
        said = self.run_hermes("block", "list", "-c", config, "--rates").stdout
        self.assertEqual(said, "Nobody is blocked.\nNo mail is counted against a limit of [rates].\n")

    def test_list_as_json(self) -> None:
        """The same for programs."""
        config = self.site()
        both = {"blocked": [_ROW], "logins": [_count("account", "anna", 20, True)]}
        FakeServer(self, config, {"ok": True, "result": both})
        self.assertEqual(self.run_json("block", "list", "-c", config), both)

    def test_list_without_a_server(self) -> None:
        """The list is read from the disk, without what has ended."""
        config, now = self.site(), time.time()
        self.fill(
            config,
            Offender(ip_network("203.0.113.7"), now - 60, now + 600, "some.rule", "because"),
            Offender(ip_network("203.0.113.8"), now - 60, now - 1, "some.rule", "because"),
        )
        result = self.run_hermes("block", "list", "-c", config)
        self.assertIn("The server is not running", result.stderr)
        self.assertIn("203.0.113.7", result.stdout)
        self.assertNotIn("203.0.113.8", result.stdout)
        self.assertEqual(len(self.run_json("block", "list", "-c", config)["blocked"]), 1)

    def test_list_before_there_is_one(self) -> None:
        """A site that has never run has nobody blocked."""
        self.assertEqual(self.run_hermes("block", "list", "-c", self.site()).stdout, "Nobody is blocked.\n")

    def test_list_damaged(self) -> None:
        """A file that cannot be read is told in a line."""
        config = self.site()
        Path(offenders_file(load(config))).write_bytes(b"nonsense" * 1000)
        self.assertIn(
            "offenders.sqlite cannot be read", self.run_hermes("block", "list", "-c", config, exit_code=1).stderr
        )

    def test_add(self) -> None:
        """What is to be blocked, for how long, and why, goes to the server."""
        config = self.site()
        server = FakeServer(
            self, config, *[{"ok": True, "result": _ROW}] * 2, {"ok": True, "result": {**_ROW, "until": None}}
        )
        self.run_hermes(
            "block", "add", "-c", config, "--for", "1h 30m", "--reason", "spam", "203.0.113.7", "2001:db8::/48"
        )
        result = self.run_hermes("block", "add", "-c", config, "203.0.113.7")
        self.assertEqual(result.stdout, "203.0.113.7 is blocked until it is removed\n")
        self.assertEqual(
            server.questions,
            [
                {"command": "block.add", "arguments": {"network": "203.0.113.7", "seconds": 5400, "reason": "spam"}},
                {"command": "block.add", "arguments": {"network": "2001:db8::/48", "seconds": 5400, "reason": "spam"}},
                {"command": "block.add", "arguments": {"network": "203.0.113.7", "seconds": None, "reason": ""}},
            ],
        )

    def test_add_as_json(self) -> None:
        """The entries for programs."""
        config = self.site()
        FakeServer(self, config, {"ok": True, "result": _ROW})
        self.assertEqual(self.run_json("block", "add", "-c", config, "203.0.113.7"), [_ROW])

    def test_add_nonsense(self) -> None:
        """What makes no sense is wrong usage, and nothing is done."""
        config = self.site()
        for words, text in (
            (("anna",), "is not an address"),
            (("203.0.113.7/24",), "did you mean"),
            (("--for", "soon", "203.0.113.7"), "is not a time"),
            (("--for", "0", "203.0.113.7"), "at least 1s"),
            ((), "Missing argument"),
        ):
            self.assertIn(text, self.run_hermes("block", "add", "-c", config, *words, exit_code=2).stderr)

    def test_remove(self) -> None:
        """Each is removed that can be, and what cannot is told."""
        config = self.site()
        server = FakeServer(
            self,
            config,
            {"ok": True, "result": ["203.0.113.7"]},
            {"ok": False, "error": "203.0.113.8 is not blocked"},
            {"ok": True, "result": ["203.0.113.1", "203.0.113.2"]},
        )
        result = self.run_hermes(
            "block", "remove", "-c", config, "203.0.113.7", "203.0.113.8", "203.0.113.0/29", exit_code=1
        )
        self.assertEqual(result.stdout, "203.0.113.7 taken off the list\n203.0.113.1, 203.0.113.2 taken off the list\n")
        self.assertEqual(result.stderr, "203.0.113.8 is not blocked\n")
        self.assertEqual(server.questions[0], {"command": "block.remove", "arguments": {"subject": "203.0.113.7"}})

    def test_remove_all(self) -> None:
        """Everything that rules have listed."""
        config = self.site()
        server = FakeServer(self, config, {"ok": True, "result": ["203.0.113.7"]})
        self.assertEqual(self.run_hermes("block", "remove", "-c", config, "--all").stdout, "1 taken off the list\n")
        self.assertEqual(server.questions, [{"command": "block.clear", "arguments": {}}])

    def test_remove_what(self) -> None:
        """Names or all, one of them."""
        config = self.site()
        for words in ((), ("--all", "203.0.113.7")):
            self.assertIn("or say --all", self.run_hermes("block", "remove", "-c", config, *words, exit_code=2).stderr)

    def test_without_a_server(self) -> None:
        """What changes the list of a running server says so when there is none."""
        config = self.site()
        for words in (("add", "203.0.113.7"), ("remove", "203.0.113.7"), ("remove", "--all")):
            self.assertIn("not running", self.run_hermes("block", *words, "-c", config, exit_code=1).stderr)


class ExplainTests(BlockTestCase):
    """What ``hermes explain`` says: it is a matter of the moment, beside the rules."""

    def site_with_accounts(self, more: str = "") -> str:
        """A site where nobody has a mailbox."""
        config = self.site(more)
        Path(config).with_name("data").joinpath("accounts.ini").touch(mode=0o600)
        return config

    def test_explain(self) -> None:
        """Who is blocked just now is told so, and what the rules say is told all the same."""
        config, now = self.site_with_accounts("[access:friend]\naddresses = 203.0.113.9\nexempt = yes\n"), time.time()
        self.fill(config, Offender(ip_network("203.0.113.0/24"), now - 60, now + 600, "some.rule", "because"))
        result = self.run_hermes("explain", "-c", config, "--ip", "203.0.113.7")
        self.assertIn("220 Connection accepted", result.stdout)
        self.assertIn("now  421 4.7.0 203.0.113.7 is blocked here for another 10m", result.stdout)
        self.assertIn("rule offenders.listed: 203.0.113.0/24 was listed by some.rule: because", result.stdout)
        (step, *_) = self.run_json("explain", "-c", config, "--ip", "203.0.113.7")
        self.assertIn("421 4.7.0", step["moment"])
        for peer in ("203.0.113.9", "192.0.2.1", "127.0.0.1"):
            (step, *_) = self.run_json("explain", "-c", config, "--ip", peer)
            self.assertEqual(step["moment"], "", peer)

    def test_explain_damaged(self) -> None:
        """A list that cannot be read does not keep the rules from being explained."""
        config = self.site_with_accounts()
        Path(offenders_file(load(config))).write_bytes(b"nonsense" * 1000)
        self.assertNotIn("now", self.run_hermes("explain", "-c", config, "--ip", "203.0.113.7").stdout)
