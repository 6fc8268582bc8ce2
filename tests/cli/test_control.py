"""Tests of the commands that a running server carries out."""

from __future__ import annotations

from pathlib import Path

from hermes.cli import control_client
from hermes.cli.run import SET_BACK_SECONDS
from tests.support.command import CommandTestCase, FakeServer

_ID = "06G7X5Z4T2QK"
_OTHER_ID = "06G7X5Z4T2QM"


class ServerDownTests(CommandTestCase):
    """What is said when no server answers."""

    def test_not_running(self) -> None:
        """Without a server the command says so, says how to start it, and ends with 1."""
        config = self.site()
        for words in (("status",), ("sessions",), ("reload",), ("stop",), ("queue", "retry"), ("queue", "hold", _ID)):
            result = self.run_hermes(*words, "-c", config, exit_code=1)
            self.assertEqual(result.stderr, f"The server is not running; start it with: hermes run -c {config}\n")
            self.assertEqual(result.stdout, "")

    def test_left_over_socket(self) -> None:
        """A socket that a killed server left behind is no server."""
        config = self.site()
        FakeServer(self, config)._socket.close()
        self.assertIn("not running", self.run_hermes("status", "-c", config, exit_code=1).stderr)

    def test_not_a_socket(self) -> None:
        """Something else in the socket's place is told as what it is."""
        config = self.site()
        (Path(config).parent / "data" / "control.sock").write_text("")
        self.run_hermes("status", "-c", config, exit_code=1)

    def test_nonsense(self) -> None:
        """An answer that is none is not taken for one."""
        for answer in (b"220 smtp\r\n", b"", b"[]\n", b'{"ok": true}\n'):
            config = self.site()
            FakeServer(self, config, answer)
            result = self.run_hermes("status", "-c", config, exit_code=1)
            self.assertIn("is not a Hermes server", result.stderr)

    def test_silence(self) -> None:
        """A server that does not answer is not waited for for ever."""
        self.patch(control_client, "TIMEOUT_SECONDS", 0.01)
        config = self.site()
        server = FakeServer(self, config)
        self.assertIn("did not answer", self.run_hermes("status", "-c", config, exit_code=1).stderr)
        self.assertEqual(server.questions, [])


class CommandTests(CommandTestCase):
    """What is asked, and what is made of the answer."""

    def test_questions(self) -> None:
        """Each command asks for what its name says."""
        cases = [
            (("reload",), "reload", {}),
            (("stop",), "stop", {}),
            (("queue", "retry"), "queue.retry", {"id": None}),
            (("queue", "retry", "--all"), "queue.retry", {"id": None}),
            (("queue", "retry", _ID), "queue.retry", {"id": _ID}),
            (("queue", "hold", _ID.lower()), "queue.hold", {"id": _ID}),
            (("queue", "release", _ID), "queue.release", {"id": _ID}),
            (("queue", "remove", _ID), "queue.remove", {"id": _ID}),
            (("queue", "return", _ID), "queue.return", {"id": _ID}),
        ]
        for words, command, arguments in cases:
            config = self.site()
            server = FakeServer(self, config, {"ok": True, "result": "it is done"})
            self.assertEqual(self.run_hermes(*words, "-c", config).stdout, "it is done\n")
            self.assertEqual(server.questions, [{"command": command, "arguments": arguments}])

    def test_refused(self) -> None:
        """The server's words for a refusal are printed, and the exit code is 1."""
        config = self.site()
        FakeServer(self, config, {"ok": False, "error": "there is no such message"})
        result = self.run_hermes("queue", "hold", _ID, "-c", config, exit_code=1)
        self.assertEqual((result.stdout, result.stderr), ("", "there is no such message\n"))

    def test_several(self) -> None:
        """Of several messages each is asked for; one refusal does not keep the others from being done."""
        config = self.site()
        server = FakeServer(self, config, {"ok": False, "error": "gone"}, {"ok": True, "result": "held"})
        result = self.run_hermes("queue", "hold", _ID, _OTHER_ID, "-c", config, exit_code=1)
        self.assertEqual((result.stdout, result.stderr), ("held\n", "gone\n"))
        self.assertEqual([question["arguments"]["id"] for question in server.questions], [_ID, _OTHER_ID])

    def test_ids_are_whole(self) -> None:
        """What is no queue id is not sent to the server; hold needs one, and retry takes ids or --all."""
        config = self.site()
        self.assertIn("is not a queue id", self.run_hermes("queue", "hold", "06G7", "-c", config, exit_code=1).stderr)
        self.run_hermes("queue", "hold", "-c", config, exit_code=2)
        self.run_hermes("queue", "retry", "--all", _ID, "-c", config, exit_code=2)

    def test_status(self) -> None:
        """Status is printed as names and values, parts below their names, or as JSON."""
        answer = {
            "pid": 7,
            "queue": {"active": 1, "destinations": [{"name": "x", "running": 2}]},
            "full": False,
            "last": None,
        }
        config = self.site()
        FakeServer(self, config, {"ok": True, "result": answer}, {"ok": True, "result": answer})
        self.assertEqual(
            self.run_hermes("status", "-c", config).stdout,
            "pid    7\nqueue\n    active        1\n    destinations\n        name=x running=2\nfull   no\nlast\n",
        )
        self.assertEqual(self.run_json("status", "-c", config), answer)

    def test_clock(self) -> None:
        """A clock that was set back so far that it is noticed is told, with what to do; ahead it holds nothing up."""
        config = self.site()
        cases = (
            (0, False),
            (-SET_BACK_SECONDS, False),
            (-SET_BACK_SECONDS - 1, True),
            (-90_000, True),
            (90_000, False),
        )
        FakeServer(self, config, *[{"ok": True, "result": {"clock_set_by_seconds": set_by}} for set_by, _ in cases])
        for set_by, told in cases:
            said = self.run_hermes("status", "-c", config).stderr
            self.assertEqual("The clock has been set back by" in said, told, set_by)
            if set_by == -90_000:
                self.assertIn("by 1d 1h since the server was started", said)
                self.assertIn(f"hermes queue retry -c {config}", said)

    def test_sessions(self) -> None:
        """Sessions are a table, in which a client's words cannot reach the terminal; or JSON."""
        rows = [{"peer": "192.0.2.7", "hello": "\x1b[2Jx"}, {"peer": "::1", "hello": None}]
        config = self.site()
        FakeServer(self, config, *[{"ok": True, "result": answer} for answer in (rows, rows, [])])
        output = self.run_hermes("sessions", "-c", config).stdout
        self.assertEqual(output, "PEER       HELLO\n192.0.2.7   [2Jx\n::1\n")
        self.assertEqual(self.run_json("sessions", "-c", config), rows)
        self.assertEqual(self.run_hermes("sessions", "-c", config).stdout, "Nobody is connected.\n")

    def test_reload_looks_first(self) -> None:
        """A configuration that is wrong is not even offered to the server."""
        config = self.site("[smtp]\nmax_size = big\n")
        result = self.run_hermes("reload", "-c", config, exit_code=3)
        self.assertIn(f"{config}:6: [smtp] max_size:", result.stderr)

    def test_answers_of_any_length(self) -> None:
        """An answer comes in many pieces and is read whole."""
        rows = [{"peer": f"2001:db8::{number:x}"} for number in range(20_000)]
        config = self.site()
        FakeServer(self, config, {"ok": True, "result": rows})
        self.assertEqual(len(self.run_json("sessions", "-c", config)), 20_000)

    def test_from_the_environment(self) -> None:
        """The configuration may be named by HERMES_CONFIG; without it and without -c the usage is wrong."""
        config = self.site()
        FakeServer(self, config, {"ok": True, "result": {}})
        self.run_hermes("status", environment={"HERMES_CONFIG": config})
        self.assertIn("--config", self.run_hermes("status", exit_code=2).stderr)
