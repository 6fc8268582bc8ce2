"""Tests of ``hermes greylist``."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from hermes.app.at_once import AtOnce
from hermes.config.loader import load
from hermes.config.places import greylist_file
from hermes.policy.greylist_store import GreylistStore, Row
from tests.support.command import CommandTestCase, FakeServer
from tests.support.worker import ImmediateWorker


class GreylistTests(CommandTestCase):
    """Looking and forgetting."""

    def test_list(self) -> None:
        """Known networks and first tries; the server need not run."""
        config = self.site()
        self.assertIn("Nobody", self.run_hermes("greylist", "list", "-c", config).output)
        store = GreylistStore(greylist_file(load(config)), AtOnce(), ImmediateWorker())
        store.start()
        store.put(Row("192.0.2.0/24", "", 1_800_000_000.0))
        store.put(Row("192.0.3.0/24", "from.example", 1_800_000_001.0))
        self.successResultOf(Deferred.fromCoroutine(store.close()))
        output = self.run_hermes("greylist", "list", "-c", config).output
        self.assertRegex(output, r"192\.0\.2\.0/24 +known")
        self.assertRegex(output, r"192\.0\.3\.0/24 +waits +from\.example")
        rows = self.run_json("greylist", "list", "-c", config)
        self.assertEqual([row["sender"] for row in rows], [None, "from.example"])

    def test_damaged(self) -> None:
        """A file that is none is told."""
        config = self.site()
        with open(greylist_file(load(config)), "wb") as file:
            file.write(b"no database" * 100)
        self.assertIn("cannot be read", self.run_hermes("greylist", "list", "-c", config, exit_code=1).output)

    def test_remove(self) -> None:
        """The running server forgets a network."""
        config = self.site()
        server = FakeServer(self, config, {"ok": True, "result": "192.0.2.0/24"})
        output = self.run_hermes("greylist", "remove", "-c", config, "192.0.2.7").output
        self.assertEqual(output, "192.0.2.0/24 is forgotten\n")
        self.assertEqual(server.questions[0]["arguments"], {"subject": "192.0.2.7"})
