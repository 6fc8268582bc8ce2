"""Tests of ``hermes dnsbl``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

import hermes
from hermes.config.mercury_lists import MAX_OCTETS
from tests.support.command import CommandTestCase, FakeServer
from tests.support.configuration import MINIMAL, write_config
from tests.support.dns_server import NameServer, a, txt


class TestTests(TestCase):
    """``hermes dnsbl test``, in a process of its own, with a name server here."""

    async def setUp(self) -> None:
        """Two lists, of which one is dead."""
        self.server = NameServer(
            {
                "2.0.0.127.one.example": [a("127.0.0.2")],
                "7.2.0.192.one.example": [a("127.0.0.2"), txt("it sends spam")],
            }
        )
        self.server.start(reactor)
        self.config = write_config(
            self,
            f"{MINIMAL}[dns]\nnameservers = {self.server.address}\n"
            "[dnsbl:one]\nzone = one.example\n[dnsbl:two]\nzone = two.example\n",
        )

    async def tearDown(self) -> None:
        """Nothing stays open."""
        await self.server.stop()

    async def run_test(self, *words: str) -> tuple[list[str], int]:
        """Run it; the lines that it printed, and its exit code."""
        environment = {**os.environ, "PYTHONPATH": str(Path(hermes.__file__).parents[1])}
        words = ("-m", "hermes.cli.main", "dnsbl", "test", "-c", self.config, *words)
        output, errors, code = await getProcessOutputAndValue(sys.executable, words, environment, reactor=reactor)
        self.assertEqual(errors, b"")
        return output.decode().splitlines(), code

    async def test_all(self) -> None:
        """Each list has a line, and one that cannot be used makes the exit code 1."""
        lines, code = await self.run_test()
        self.assertEqual(lines[0], "ok   one: one.example lists 127.0.0.2 and does not list 127.0.0.1")
        self.assertEqual(lines[1][:10], "fail two: ")
        self.assertEqual((len(lines), code), (2, 1))

    async def test_address(self) -> None:
        """What one list says about an address."""
        lines, code = await self.run_test("one", "--ip", "192.0.2.7")
        said = "warn one: 192.0.2.7 is listed: 7.2.0.192.one.example is 127.0.0.2 (it sends spam)"
        self.assertEqual((lines, code), ([said], 0))

    async def test_json(self) -> None:
        """The same for programs."""
        lines, code = await self.run_test("one", "--json")
        self.assertEqual(code, 0)
        self.assertIn('"level": "ok"', "\n".join(lines))


class StatusTests(CommandTestCase):
    """What needs no name server."""

    def test_no_lists(self) -> None:
        """Without lists there is nothing to test; a list that is not there is named."""
        config = self.site()
        self.assertIn("no lists", self.run_hermes("dnsbl", "test", "-c", config).output)
        result = self.run_hermes("dnsbl", "test", "-c", config, "zen", exit_code=1)
        self.assertIn("There is no [dnsbl:zen]", result.output)

    def test_status(self) -> None:
        """The counters of the running server."""
        config = self.site()
        counters = {
            "asked": 3,
            "listed": 1,
            "unanswered": 1,
            "refused": 0,
            "passed_over": 2,
            "not_asked": 4,
            "refusal": None,
        }
        answer = {"ok": True, "result": {"version": "1", "dnsbl_one": counters}}
        FakeServer(self, config, answer, answer, {"ok": True, "result": {}})
        self.assertEqual(
            self.run_hermes("dnsbl", "status", "-c", config).output,
            "one: asked 3, listed 1, unanswered 1, refused 0, passed over 2, not asked 4\n",
        )
        self.assertEqual(self.run_json("dnsbl", "status", "-c", config), {"one": counters})
        self.assertIn("asks no lists", self.run_hermes("dnsbl", "status", "-c", config).output)


class ImportTests(CommandTestCase):
    """``hermes dnsbl import``."""

    def run_import(self, octets: bytes, exit_code: int = 0) -> str:
        """What it says about a file."""
        path = Path(self.mktemp())
        path.write_bytes(octets)
        return self.run_hermes("dnsbl", "import", str(path), exit_code=exit_code).output

    def test_import(self) -> None:
        """Sections are printed, whatever Windows has made of the umlauts in the comments."""
        said = self.run_import(b"# f\xfcr uns\r\nBegin\r\nName: A\r\nHostname: a.example\r\nEnd\r\n")
        self.assertEqual(said, "[dnsbl:a]\nzone = a.example\nanswers = normal\n")
        self.assertIn("no definitions", self.run_import(b""))

    def test_refused(self) -> None:
        """A mistake is told with file and line; what is much too large is no file of Mercury's."""
        self.assertRegex(self.run_import(b"Begin\n", exit_code=1), r":1: ")
        self.assertIn("it has more than 262144 octets", self.run_import(b"#" * (MAX_OCTETS + 1), exit_code=1))
