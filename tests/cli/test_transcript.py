"""Tests of ``hermes transcript``."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import CommandTestCase, FakeServer

_NAMES = ("20260101T120000.000000Z-smtp-192.0.2.7-1.txt", "20260101T120001.000000Z-pop3-2001_db8__7-2.txt")


class TranscriptTests(CommandTestCase):
    """What is asked of the server, and what is read without one."""

    def with_files(self) -> str:
        """A site with two transcripts."""
        config = self.site()
        directory = Path(config).parent / "data" / "transcripts"
        directory.mkdir(parents=True)
        for name in _NAMES:
            (directory / name).write_text(f"in {name}\n")
        return config

    def test_on(self) -> None:
        """The server is told whose, and for how many seconds."""
        for words, expected in (
            (("--ip", "192.0.2.0/24"), {"ip": "192.0.2.0/24", "seconds": 600}),
            (("--account", "anna", "--for", "2h"), {"account": "anna", "seconds": 7200}),
            (("--service", "pop3", "--for", "90s"), {"service": "pop3", "seconds": 90}),
        ):
            config = self.site()
            server = FakeServer(self, config, {"ok": True, "result": "as you wish"})
            self.assertEqual(self.run_hermes("transcript", "on", "-c", config, *words).stdout, "as you wish\n")
            self.assertEqual(server.questions, [{"command": "transcript.on", "arguments": expected}])

    def test_wrong_usage(self) -> None:
        """One kind of session, for a time that is one."""
        config = self.site()
        for words in (
            (),
            ("--ip", "::1", "--account", "anna"),
            ("--ip", "::1", "--for", "soon"),
            ("--service", "imap"),
        ):
            self.run_hermes("transcript", "on", "-c", config, *words, exit_code=2)
        self.run_hermes("transcript", "off", "-c", config, "--ip", "::1", "--account", "anna", exit_code=2)

    def test_off(self) -> None:
        """One, or all."""
        for words, expected in (((), {}), (("--account", "anna"), {"account": "anna"})):
            config = self.site()
            server = FakeServer(self, config, {"ok": True, "result": "1 order ended"})
            self.run_hermes("transcript", "off", "-c", config, *words)
            self.assertEqual(server.questions, [{"command": "transcript.off", "arguments": expected}])

    def test_list(self) -> None:
        """What is asked for, and the files; without a server the files alone."""
        config = self.with_files()
        self.assertEqual(self.run_hermes("transcript", "list", "-c", config).stdout.split(), list(_NAMES))
        orders = [{"kind": "ip", "which": "::1", "seconds_left": 59}]
        FakeServer(self, config, {"ok": True, "result": orders}, {"ok": True, "result": orders})
        shown = self.run_hermes("transcript", "list", "-c", config).stdout
        for part in ("::1", "59s", *_NAMES):
            self.assertIn(part, shown)
        self.assertEqual(
            self.run_json("transcript", "list", "-c", config), {"asked_for": orders, "transcripts": list(_NAMES)}
        )

    def test_none(self) -> None:
        """That there are none is said."""
        self.assertIn("no transcripts", self.run_hermes("transcript", "list", "-c", self.site()).stdout)

    def test_show(self) -> None:
        """The newest one, or the newest whose name has that in it."""
        config = self.with_files()
        for words, number in (((), 1), (("192.0.2.7",), 0), (("smtp",), 0), (("2001:db8::7",), 1), (("20260101",), 1)):
            result = self.run_hermes("transcript", "show", "-c", config, *words)
            self.assertEqual(result.stdout, f"in {_NAMES[number]}\n")
        result = self.run_hermes("transcript", "show", "-c", config, "198.51.100.1", exit_code=1)
        self.assertIn("no such transcript", result.stderr)
