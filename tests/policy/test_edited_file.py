"""Files that are edited while the server runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.at_once import AtOnce
from hermes.config.errors import ConfigError
from hermes.policy import edited_file
from hermes.policy.edited_file import LOOK_SECONDS, MAX_PROBLEMS, EditedFile, Lines, read_lines


def words(lines: Lines) -> list[str]:
    """Each line is a word of letters."""
    found = []
    for number, text in lines:
        if text.isalpha():
            found.append(text)
        else:
            lines.wrong(number, f"{text!r} is no word")
    return found


class LaterWorker(AtOnce):
    """Does what it was given when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def submit(self, item: Any) -> Deferred[Any]:
        """Keep it."""
        done: Deferred[Any] = Deferred()
        self.waiting.append((item, done))
        return done

    def work(self) -> None:
        """Do all of it."""
        waiting, self.waiting = self.waiting, []
        for item, done in waiting:
            try:
                done.callback(item())
            except ConfigError:
                done.errback()


class EditedFileTestCase(SynchronousTestCase):
    """A file and a clock."""

    def setUp(self) -> None:
        """Make them."""
        self.clock = Clock()
        self.path = self.mktemp()
        self.logged: list[str] = []

    def write(self, text: str | bytes) -> None:
        """Write the file anew, as editors do: another file under its name."""
        beside = Path(self.path + ".new")
        beside.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.replace(beside, self.path)

    def edited(self, worker: AtOnce | None = None) -> EditedFile[list[str]]:
        """The file under test."""
        return EditedFile(self.path, words, worker or AtOnce(), self.clock.seconds)


class FirstReadingTests(EditedFileTestCase):
    """A file that the worker reads already the first time."""

    def test_read_by_the_worker(self) -> None:
        """It is there when the worker has read it, and what is written meanwhile is seen at the next look."""
        self.write("one")
        worker = LaterWorker()
        reading = Deferred.fromCoroutine(EditedFile.read(self.path, words, worker, self.clock.seconds))
        self.assertNoResult(reading)
        worker.work()
        file = self.successResultOf(reading)
        self.assertEqual(file.current(), ["one"])
        self.assertTrue(file.is_in_force())
        self.write("two")
        self.assertFalse(file.is_in_force())
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(file.current(), ["one"])
        worker.work()
        self.assertEqual(file.current(), ["two"])

    def test_cannot_be_understood(self) -> None:
        """Then there is none, and the words are those of whoever reads it at once."""
        self.write("one\n2")
        reading = Deferred.fromCoroutine(EditedFile.read(self.path, words, AtOnce(), self.clock.seconds))
        told = self.failureResultOf(reading, ConfigError).getErrorMessage()
        self.assertEqual(told, str(self.assertRaises(ConfigError, self.edited)))


class ReadingTests(EditedFileTestCase):
    """What is in a file."""

    def test_lines(self) -> None:
        """Empty lines and comments do not count, nor space around a line, nor how it ends."""
        self.write("\ufeff# comment\r\n\r\n  one \r\n\t#x\ntwo")
        self.assertEqual(read_lines(self.path, words), ["one", "two"])

    def test_code_page(self) -> None:
        """What is not UTF-8 is taken for the code page of Windows, which Mercury wrote."""
        self.write("Grüße\n".encode("cp1252"))
        self.assertEqual(read_lines(self.path, words), ["Grüße"])

    def test_problems(self) -> None:
        """Each line that is wrong is named, with its number."""
        self.write("one\n2\n\n3\n")
        error = self.assertRaises(ConfigError, read_lines, self.path, words)
        self.assertEqual(str(error), f"{self.path}:2: '2' is no word\n{self.path}:4: '3' is no word")

    def test_many_problems(self) -> None:
        """Of very many only the first are told."""
        for count in (MAX_PROBLEMS - 1, MAX_PROBLEMS, MAX_PROBLEMS + 1):
            self.write("1\n" * count)
            error = self.assertRaises(ConfigError, read_lines, self.path, words)
            self.assertEqual(len(error.problems), min(count, MAX_PROBLEMS))

    def test_no_file(self) -> None:
        """A file that is not there is an error when the server starts."""
        error = self.assertRaises(ConfigError, self.edited)
        self.assertEqual(str(error), f"{self.path}: cannot be read: No such file or directory")

    def test_size(self) -> None:
        """There is a largest file."""
        self.patch(edited_file, "MAX_OCTETS", 10)
        for octets in (9, 10):
            self.write("a" * octets)
            self.assertEqual(read_lines(self.path, words), ["a" * octets])
        self.write("a" * 11)
        self.assertIn("is larger than 10 octets", str(self.assertRaises(ConfigError, read_lines, self.path, words)))


class EditingTests(EditedFileTestCase):
    """What happens when it is edited."""

    def setUp(self) -> None:
        """Listen to the log."""
        super().setUp()
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: Any) -> None:
        if event.get("log_namespace") == "hermes.policy.edited_file.EditedFile":
            self.logged.append(str(event.get("problems") or event["log_format"]))

    def test_edit(self) -> None:
        """An edit is in force a second later at most."""
        self.write("one")
        edited = self.edited()
        self.write("two")
        self.clock.advance(LOOK_SECONDS - 0.1)
        self.assertEqual(edited.current(), ["one"])
        self.clock.advance(0.1)
        edited.current()
        self.assertEqual(edited.current(), ["two"])

    def test_unchanged(self) -> None:
        """A file that has not changed is not read again: what is in force is the same thing."""
        self.write("one")
        edited = self.edited()
        before = edited.current()
        self.clock.advance(LOOK_SECONDS)
        self.assertIs(edited.current(), before)
        self.assertEqual(self.logged, [])

    def test_mistake(self) -> None:
        """A mistake leaves all as it was and is complained about once; when it is mended, that is in force."""
        self.write("one")
        edited = self.edited()
        self.write("2")
        for _ in range(3):
            self.clock.advance(LOOK_SECONDS)
            self.assertEqual(edited.current(), ["one"])
        self.assertEqual(self.logged, [f"{self.path}:1: '2' is no word"])
        self.write("two")
        self.clock.advance(LOOK_SECONDS)
        edited.current()
        self.assertEqual(edited.current(), ["two"])

    def test_what_is_in_force(self) -> None:
        """It is the file as long as that has not changed, and again when a change has been read; not with a mistake in it."""
        worker = LaterWorker()
        self.write("one")
        edited = self.edited(worker)
        for text, read in (("two", True), ("3", False), ("four", True)):
            self.write(text)
            self.clock.advance(LOOK_SECONDS)
            edited.current()
            self.assertFalse(edited.is_in_force(), text)
            worker.work()
            self.assertEqual(edited.is_in_force(), read, text)
        os.unlink(self.path)
        self.assertFalse(edited.is_in_force())

    def test_gone(self) -> None:
        """A file that is gone leaves all as it was."""
        self.write("one")
        edited = self.edited()
        os.unlink(self.path)
        for _ in range(2):
            self.clock.advance(LOOK_SECONDS)
            self.assertEqual(edited.current(), ["one"])
        self.assertEqual(len(self.logged), 1)

    def test_while_reading(self) -> None:
        """Nobody waits for a file that is being read, and it is read by one at a time."""
        worker = LaterWorker()
        self.write("one")
        edited = self.edited(worker)
        self.write("two")
        for _ in range(3):
            self.clock.advance(LOOK_SECONDS)
            self.assertEqual(edited.current(), ["one"])
        self.assertEqual(len(worker.waiting), 1)
        worker.work()
        self.assertEqual(edited.current(), ["two"])

    def test_clock_set_back(self) -> None:
        """A clock that is set back does not keep edits from being seen."""
        self.clock.advance(1000)
        self.write("one")
        edited = self.edited()
        self.write("two")
        self.clock.rightNow = 10.0
        edited.current()
        self.assertEqual(edited.current(), ["two"])

    def test_fault(self) -> None:
        """A fault of ours while it is read is logged, and leaves all as it was."""
        self.write("one")

        def parse(lines: Lines) -> list[str]:
            if len(found := list(lines)) > 1:
                raise ZeroDivisionError
            return [text for _, text in found]

        edited = EditedFile(self.path, parse, AtOnce(), self.clock.seconds)
        self.write("one\ntwo")
        self.clock.advance(LOOK_SECONDS)
        edited.current()
        self.assertEqual(edited.current(), ["one"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
