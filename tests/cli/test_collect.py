"""``hermes collect``: what it asks the server, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hermes.cli import collect as command
from hermes.config.loader import load
from hermes.config.mercury_collectors import MAX_OCTETS
from hermes.services.collecting_report import Report
from tests.support.command import CommandTestCase, FakeServer


def answer(**facts: Any) -> dict[str, Any]:
    """How far a session has come."""
    return {"ok": True, "result": {**Report().as_json(), "running": False, **facts}}


class CollectTests(CommandTestCase):
    """Beside a server that says what a test wants."""

    def setUp(self) -> None:
        """Nobody waits."""
        self.patch(command, "PAUSE_SECONDS", 0.0)

    def test_once(self) -> None:
        """The server is told to begin, and asked until it is done."""
        config = self.site()
        done = answer(listed=3, octets=30, taken=2, deleted=1, skipped={"refused": 1}, remarks=["one"], more=True)
        server = FakeServer(self, config, {"ok": True, "result": "info"}, answer(running=True), done)
        output = self.run_hermes("collect", "-c", config, "info").output
        for words in ("one\n", "3 messages in the box, 30 octets", "1 refused", "2 fetched, 1 deleted", "More wait"):
            self.assertIn(words, output)
        self.assertEqual(server.questions[0]["arguments"], {"name": "info", "dry": False})

    def test_problem(self) -> None:
        """What went wrong is the end of it, and the exit code says so."""
        config = self.site()
        FakeServer(self, config, {"ok": True, "result": "info"}, answer(problem="it refuses the login: no"))
        result = self.run_hermes("collect", "-c", config, "--dry-run", "info", exit_code=1)
        self.assertIn("info: it refuses the login: no", result.stderr)

    def test_import(self) -> None:
        """Mercury's boxes as sections; nothing is asked, and what is none is refused."""
        config = self.site()
        file = Path(config).parent / "MERCURYD.DAT"
        file.write_text("pop.example.net,joe,secret,joe,-\n")
        printed = self.run_hermes("collect", "-c", config, "--import", str(file)).output
        with open(config, "a") as sections:
            sections.write(printed)
        self.assertEqual(load(config).collector["joe"].password, "secret")
        file.write_text("nonsense\n")
        self.assertIn(
            "MERCURYD.DAT:1", self.run_hermes("collect", "-c", config, "--import", str(file), exit_code=1).stderr
        )
        file.write_bytes(b"#" * (MAX_OCTETS + 1))
        self.run_hermes("collect", "-c", config, "--import", str(file), exit_code=1)

    def test_all(self) -> None:
        """Without a name, how all of them stand."""
        config = self.site()
        self.assertIn("not running", self.run_hermes("collect", "-c", config, exit_code=1).output)
        row = dict.fromkeys(("messages", "deleted", "sessions", "connect", "tls", "login", "broken"), 1)
        row |= {"name": "info", "state": "at work", "problem": "none"}
        FakeServer(self, config, {"ok": True, "result": [row]}, {"ok": True, "result": []})
        self.assertIn("at work", self.run_hermes("collect", "-c", config).output)
        self.assertIn("no collectors", self.run_hermes("collect", "-c", config).output)
