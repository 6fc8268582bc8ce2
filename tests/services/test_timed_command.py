"""Commands that may take only so long: real ones, run by the real reactor."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from hermes.services.timed_command import MAX_OUTPUT_OCTETS, Ran, run_command


class TimedCommandTests(TestCase):
    """:func:`run_command`."""

    async def ran(self, command: str, seconds: float = 30) -> Ran:
        """How a command ends."""
        return await run_command(reactor, command, seconds, os.getcwd())

    async def test_output(self) -> None:
        """What a command says, on both ways, is kept line by line, without what could harm a log."""
        ran = await self.ran("sh -c 'echo one; echo; echo \"t\033wo\" >&2'")
        self.assertEqual((ran.problem, len(ran.lines), ran.lines[0]), ("", 2, "one"))
        self.assertNotIn("\033", ran.lines[1])

    async def test_no_shell(self) -> None:
        """There is no shell but one that is written."""
        ran = await self.ran("echo '$HOME' `x` ; false")
        self.assertEqual(ran, Ran("", ("$HOME `x` ; false",)))

    async def test_failures(self) -> None:
        """An exit code, a signal, a program that is not there: each in words."""
        self.assertEqual((await self.ran("sh -c 'exit 3'")).problem, "it ended with 3")
        self.assertEqual((await self.ran("sh -c 'kill -9 $$'")).problem, "it was ended by signal 9")
        ran = await self.ran("no-such-program-here")
        self.assertEqual(ran, Ran("it ended with 1", ("no-such-program-here: No such file or directory",)))

    async def test_too_long(self) -> None:
        """What takes too long is ended with all that it has started."""
        ran = await self.ran("sh -c 'echo begun; sleep 60 & sleep 60'", 0.5)
        self.assertEqual(ran, Ran("it took longer than 0.5 s", ("begun",)))

    async def test_left_behind(self) -> None:
        """A daemon that a command leaves behind is not waited for, and goes on."""
        mark = Path(self.mktemp())
        ran = await self.ran(f"sh -c '(sleep 3; touch {mark.resolve()}) & echo done'", 0.5)
        self.assertEqual(ran, Ran("", ("done",)))

    async def test_much_output(self) -> None:
        """Of a flood only the beginning is kept."""
        ran = await self.ran("sh -c 'yes | head -c 1000000'")
        self.assertEqual(ran.problem, "")
        self.assertEqual(len(ran.lines), MAX_OUTPUT_OCTETS // 2)

    async def test_cancelled(self) -> None:
        """A command that nobody waits for any more is ended first."""
        running = Deferred.fromCoroutine(self.ran("sleep 60"))
        running.cancel()
        with self.assertRaises(CancelledError):
            await running
