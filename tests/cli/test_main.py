"""Tests of the command as a whole: help, exit codes, faults, pipes."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import click

import hermes
from hermes.cli import output
from hermes.cli.main import main
from hermes.config.loader import Loaded
from tests.support.command import CommandTestCase, queue_message


def _commands(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    """All commands with the words that lead to them."""
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append(((*words, name), command))
        if isinstance(command, click.Group):
            found += _commands(command, (*words, name))
    return found


class HelpTests(CommandTestCase):
    """What is said about the commands."""

    def test_words_that_stay(self) -> None:
        """The commands that tests, benchmarks and users rely on are there."""
        words = {" ".join(each) for each, _ in _commands(main)}
        expected = {"init", "run", "check", "track", "status", "reload"}
        expected |= {f"config {verb}" for verb in ("show", "get", "set", "explain")}
        expected |= {f"user {verb}" for verb in ("add", "list", "remove", "password")}
        expected |= {f"block {verb}" for verb in ("list", "add", "remove")}
        expected |= {f"queue {verb}" for verb in ("list", "show", "retry", "hold", "release", "remove", "return")}
        self.assertLessEqual(expected, words)

    def test_every_command_explains_itself(self) -> None:
        """Each command has a help text, whose first sentence fits into the list of commands, and each option too."""
        for words, command in _commands(main):
            text = self.run_hermes(*words, "--help").stdout
            self.assertIn("Usage: hermes", text)
            self.assertTrue(command.help, words)
            self.assertFalse(command.get_short_help_str(60).endswith("..."), words)
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    self.assertTrue(parameter.help, (words, parameter.name))

    def test_lists_have_json(self) -> None:
        """Every command that lists something has --json."""
        with_json = {
            " ".join(words) for words, command in _commands(main) for each in command.params if "--json" in each.opts
        }
        expected = {
            "check",
            "status",
            "sessions",
            "track",
            "queue list",
            "queue show",
            "block list",
            "user list",
            "config show",
        }
        self.assertLessEqual(expected, with_json)

    def test_version(self) -> None:
        """--version prints name and version."""
        self.assertEqual(self.run_hermes("--version").stdout, f"hermes {hermes.__version__}\n")

    def test_usage(self) -> None:
        """Wrong usage ends with 2."""
        self.run_hermes("frobnicate", exit_code=2)
        self.run_hermes("track", "-c", self.site(), exit_code=2)

    def test_slip_of_the_pen(self) -> None:
        """What is nearly a command is answered with the one that may have been meant."""
        said = self.run_hermes("quueue", "list", exit_code=2).stderr
        self.assertIn("No such command 'quueue'. Did you mean 'queue'?", said)
        said = self.run_hermes("frobnicate", exit_code=2).stderr
        self.assertIn("No such command 'frobnicate'.\n", said)
        self.assertIn("No such option", self.run_hermes("--frobnicate", exit_code=2).stderr)


class EndTests(CommandTestCase):
    """How the command ends when something is wrong."""

    def test_missing_configuration(self) -> None:
        """A configuration that is not there ends with 3 and one line."""
        result = self.run_hermes("check", "-c", "/nonexistent/config.ini", exit_code=3)
        self.assertEqual(result.stderr, "/nonexistent/config.ini: cannot be read: No such file or directory\n")

    def test_fault(self) -> None:
        """A fault of ours is one line without a traceback, and says how to see one."""
        config = self.site()
        with mock.patch.object(Loaded, "value", side_effect=RuntimeError("broken")):
            result = self.run_hermes("config", "show", "-c", config, exit_code=1, environment={"HERMES_DEBUG": ""})
            self.assertEqual(
                result.stderr, "A fault in Hermes itself: RuntimeError: broken. HERMES_DEBUG=1 shows where.\n"
            )
            with self.assertRaises(RuntimeError):
                self.run_hermes("config", "show", "-c", config)

    def test_full_disk(self) -> None:
        """A full disk is told with the file that found no room, and with what to do."""
        config = self.site()
        full = OSError(28, "No space left on device")
        with mock.patch("os.fsync", side_effect=full):
            result = self.run_hermes("user", "add", "-c", config, "ben", "--generate", exit_code=1)
        accounts = config.removesuffix("config.ini") + "data/accounts.ini"
        self.assertEqual(result.stderr, f"{accounts}: No space left on device; make room there, and say it again\n")

    def test_broken_spool(self) -> None:
        """A store that cannot be read is told in one line."""
        config = self.site()
        queue_message(self, config)
        spool = config.removesuffix("config.ini") + "data/spool/spool.sqlite"
        with open(spool, "wb") as file:
            file.write(b"no database" * 1000)
        for words in (("queue", "list"), ("track", "x")):
            result = self.run_hermes(words[0], *words[1:], "-c", config, exit_code=1)
            self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_run(self) -> None:
        """Run hands the configuration's path to the server, and its result is the exit code."""
        for status in (0, 3):
            server = mock.Mock(**{"run.return_value": status})
            with mock.patch.dict(sys.modules, {"hermes.app.main": server}):
                self.run_hermes("run", "-c", "some/config.ini", exit_code=status)
            server.run.assert_called_once_with("some/config.ini")

    def test_closed_pipe(self) -> None:
        """When the reader of a pipe has gone, nothing is said about it."""
        command = [sys.executable, "-m", "hermes.cli.main", "config", "explain"]
        environment = {**os.environ, "PYTHONPATH": str(Path(hermes.__file__).parents[1])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
        self.assertEqual(process.returncode, 1)

    def test_endless_file(self) -> None:
        """Of a file of Mercury's no more is read than such a file can have."""
        config = self.site()
        environment = {**os.environ, "PYTHONPATH": str(Path(hermes.__file__).parents[1])}
        # Whoever tried to read it to its end would have the memory for it soon, and not the whole machine's.
        command = ["sh", "-c", 'ulimit -v 2000000; exec "$@"', "sh", sys.executable, "-m", "hermes.cli.main"]
        for words in (("schedule", "--import"), ("collect", "--import"), ("user", "import")):
            done = subprocess.run(
                [*command, *words, "/dev/zero", "-c", config],
                capture_output=True,
                env=environment,
                timeout=180,
                check=False,
            )
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), (words, done.stderr))


class OutputTests(CommandTestCase):
    """Tables."""

    def table(self, terminal: bool) -> str:
        """What a table of a stranger's words looks like."""
        stream = io.StringIO()
        stream.isatty = lambda: terminal  # type: ignore[method-assign]
        rows = [("1", "[red]x[/red] \x1b[31m" + "word " * 40), ("22", "y")]
        with mock.patch("sys.stdout", stream), mock.patch.dict("os.environ", {"COLUMNS": "60", "TERM": "xterm"}):
            output.say_table(("id", "reason"), rows)
        return stream.getvalue()

    def test_plain(self) -> None:
        """Without a terminal each row is one whole line, in columns."""
        lines = self.table(terminal=False).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[0], "ID  REASON")
        self.assertTrue(lines[1].startswith("1   [red]x[/red]  [31mword word"))
        self.assertEqual(lines[2], "22  y")

    def test_terminal(self) -> None:
        """On a terminal a table is fitted to its width; what strangers wrote is neither markup nor control."""
        lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in self.table(terminal=True).splitlines()]
        self.assertGreater(len(lines), 4)
        self.assertLessEqual(max(map(len, lines)), 60)
        self.assertIn("[red]x[/red]  [31mword", "\n".join(lines))
        self.assertNotIn("\x1b", "".join(lines))

    def test_times(self) -> None:
        """Programs get UTC in milliseconds, people their own time with its offset."""
        self.assertRegex(output.local_time(1_800_000_000.0), r"^2027-01-1\d \d\d:\d\d:00 [+-]\d{4}$")
