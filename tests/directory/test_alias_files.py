"""The files of aliases, synonyms and groups in a running server."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from hermes.core.jobs import perform_each
from hermes.directory.redirects import MAX_LOOPS_TOLD, RedirectTable
from hermes.directory.sources import alias_files
from hermes.directory.sources.alias_file import MAX_OCTETS, AliasFileError
from hermes.directory.sources.alias_files import LOOK_SECONDS, MAX_RULE_SETS, AliasFiles, Files
from tests.support.maildirs import calling_worker, clock_at


class FilesTestCase(SynchronousTestCase):
    """A directory with a file of aliases."""

    @override
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        self.clock = clock_at()
        self.worker = calling_worker()

    def path(self, name: str) -> str:
        """Where a file is."""
        return str(self.directory / name)

    def write(self, text: str, name: str = "aliases") -> None:
        """Replace a file, as an editor does."""
        (self.directory / "new~").write_text(text)
        os.rename(self.directory / "new~", self.path(name))

    def files(self, **more: Any) -> AliasFiles:
        """The source."""
        return AliasFiles(Files(**{"aliases": (self.path("aliases"),), **more}), self.worker, self.clock.seconds)

    def now(self, source: AliasFiles) -> RedirectTable:
        """What there is now."""
        return self.successResultOf(Deferred.fromCoroutine(source.current()))


class ReloadTests(FilesTestCase):
    """Edits."""

    def test_edit(self) -> None:
        """An edit is in force when the file is looked at the next time."""
        self.write("a == b")
        source = self.files()
        self.assertEqual(list(self.now(source).aliases), ["a"])
        self.write("c == d")
        self.assertEqual(list(self.now(source).aliases), ["a"])
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(list(self.now(source).aliases), ["c"])
        os.unlink(self.path("aliases"))
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.now(source).count, 0)

    def test_mistake(self) -> None:
        """A file that cannot be used changes nothing; the log says once which line it is; mending it is noticed."""
        self.write("a == b")
        source = self.files()
        source.load()
        self.write("a == b\nc ==")
        for _ in range(3):
            self.clock.advance(LOOK_SECONDS)
            self.assertEqual(list(self.now(source).aliases), ["a"])
        self.write("c == d")
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(list(self.now(source).aliases), ["c"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_half_written(self) -> None:
        """What was read half-way through its writing, and is whole when that is noticed, is read again."""
        self.write("a == b")
        source = self.files()
        source.load()
        self.write("a == b\nc ==")
        self.clock.advance(LOOK_SECONDS)

        def written_meanwhile(jobs: list[Any]) -> list[Any]:
            read = perform_each(jobs)
            self.write("a == b\nc == d")
            return read

        self.worker.start(written_meanwhile)
        self.assertEqual(list(self.now(source).aliases), ["a"])
        self.worker.start(perform_each)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(list(self.now(source).aliases), ["a", "c"])

    def test_mistake_at_the_start(self) -> None:
        """A server does not start with a file that it cannot use, or read."""
        self.write("\n\nc ==")
        error = self.assertRaises(AliasFileError, self.files().load)
        self.assertTrue(str(error).startswith(f"{self.path('aliases')}:3: "), error)
        self.assertRaises(AliasFileError, self.files(aliases=(str(self.directory),)).load)
        with open(self.path("aliases"), "wb") as file:
            file.truncate(MAX_OCTETS + 1)
        self.assertIn("larger", str(self.assertRaises(AliasFileError, self.files().load)))

    def test_others_do_not_wait(self) -> None:
        """While the files are read again, who asks gets what was there before; nothing is asked of the disk meanwhile."""
        self.write("a == b")
        source = self.files()
        self.worker.paused = True
        first, second = (Deferred.fromCoroutine(source.current()) for _ in range(2))
        self.assertNoResult(second)
        self.worker.resume()
        self.assertEqual(list(self.successResultOf(first).aliases), ["a"])
        self.assertEqual(list(self.successResultOf(second).aliases), ["a"])
        self.write("c == d")
        self.clock.advance(LOOK_SECONDS)
        self.worker.paused = True
        noticed = Deferred.fromCoroutine(source.current())
        self.assertEqual(list(self.now(source).aliases), ["a"])
        noticed.cancel()
        self.failureResultOf(noticed)
        self.worker.resume()
        self.assertEqual(list(self.now(source).aliases), ["c"])

    def test_other_files(self) -> None:
        """After a reload of the settings other files count, at once; not before, and nothing if they cannot be used."""
        self.write("a == b")
        self.write("c == d", "more")
        source = self.files()
        source.load()
        self.now(source)
        more = Files(aliases=(self.path("more"),))
        loaded = self.successResultOf(Deferred.fromCoroutine(source.prepare(more)))
        self.assertEqual(list(self.now(source).aliases), ["a"])
        source.use(loaded)
        self.assertEqual(list(self.now(source).aliases), ["c"])
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(source.prepare(more))))
        source.use(None)
        self.assertEqual(list(self.now(source).aliases), ["c"])
        self.write("e ==", "others")
        refused = Deferred.fromCoroutine(source.prepare(Files(aliases=(self.path("others"),))))
        self.assertIn("others:1: ", self.failureResultOf(refused, AliasFileError).getErrorMessage())
        self.assertEqual(list(self.now(source).aliases), ["c"])
        self.write("f == g", "more")
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(list(self.now(source).aliases), ["f"])

    def test_other_files_meanwhile(self) -> None:
        """What was being read of the files before does not count any more when it is there, whether it can be used or not."""
        self.write("c == d", "more")
        for text in ("e == f", "e =="):
            self.write("a == b")
            source = self.files()
            source.load()
            self.now(source)
            self.write(text)
            self.clock.advance(LOOK_SECONDS)
            self.worker.paused = True
            late = Deferred.fromCoroutine(source.current())
            source.use(alias_files._loaded(Files(aliases=(self.path("more"),))))
            self.worker.resume()
            self.assertEqual(list(self.successResultOf(late).aliases), ["c"])
            self.clock.advance(LOOK_SECONDS)
            self.assertEqual(list(self.now(source).aliases), ["c"])

    def test_fault(self) -> None:
        """A fault of the worker is logged, and what was there stays."""
        self.write("a == b")
        source = self.files()
        source.load()
        self.write("c == d")
        self.clock.advance(LOOK_SECONDS)
        self.worker.start(lambda group: [RuntimeError("no")] * len(group))
        self.assertEqual(list(self.now(source).aliases), ["a"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class KindsTests(FilesTestCase):
    """Which file says what."""

    def test_order(self) -> None:
        """Of several files the first to name an address counts; a domain's own file comes before all."""
        self.write("a == first\nb == first")
        self.write("a == second\nc == second", "more")
        self.write("b == shop", "shop")
        paths = (self.path("aliases"), self.path("more"))
        table = self.files(aliases=paths, of_domains=(("shop.example", (self.path("shop"),)),)).load()
        found = {key: entry.targets for key, entry in table.aliases.items()}
        expected = {"a": ("first",), "b": ("first",), "c": ("second",), "b@shop.example": ("shop",)}
        self.assertEqual(found, expected)
        self.assertEqual(len(table.remarks), 1)

    def test_synonyms(self) -> None:
        """A synonym stands for one user."""
        self.write("j.doe == joe", "synonyms")
        table = self.files(synonyms=(self.path("synonyms"),)).load()
        self.assertEqual(table.synonyms["j.doe"].targets, ("joe",))
        for text in ("a: b, c", "a == FILE:x"):
            self.write(text, "synonyms")
            self.assertRaises(AliasFileError, self.files(synonyms=(self.path("synonyms"),)).load)

    def test_commands(self) -> None:
        """The commands that may run are those of the files."""
        self.write('a == |one x\nb: c, "|two"')
        self.write('g: "|three"', "groups")
        table = self.files(groups=(self.path("groups"),), programs=True).load()
        self.assertEqual(table.commands(), {"one x", "two", "three"})


class RulesTests(FilesTestCase):
    """Sets of rules that aliases stand for."""

    def test_mistake_at_the_start(self) -> None:
        """A server does not start with rules that cannot be carried out; both places are named."""
        self.write("a == b\nsales == FILTER:sales.rul\n")
        self.assertIn("sales.rul: cannot be read", str(self.assertRaises(AliasFileError, self.files().load)))
        self.write("\nAlways Print", "sales.rul")
        error = self.assertRaises(AliasFileError, self.files().load)
        places = f"{self.path('aliases')}:2: FILTER: {self.path('sales.rul')}:2: Print is no action"
        self.assertTrue(str(error).startswith(places), error)
        self.write("Always Exit", "sales.rul")
        self.assertEqual(self.files().load().count, 2)

    def test_all_at_once(self) -> None:
        """Every mistake in every file is named, those of rules last; when the rules alone are wrong it is enough to mend them."""
        self.write("a == b\nd == DAEMON:x.dll\nsales == FILTER:sales.rul\nhelp == FILTER:help.rul")
        self.write("j.doe: joe, ann\nj.roe: joe, ann", "synonyms")
        self.write("nothing", "groups")
        self.write("Always Print\nAlways Fly", "sales.rul")
        self.write("Always Print", "help.rul")
        places = {"synonyms": (self.path("synonyms"),), "groups": (self.path("groups"),)}
        error = self.assertRaises(AliasFileError, self.files(**places).load)
        found = [line.removeprefix(f"{self.directory}/").partition(": ")[0] for line in str(error).splitlines()]
        # The wrong line keeps the sets of its file from being looked at.
        self.assertEqual(found, ["aliases:2", "synonyms:1", "synonyms:2", "groups:1"])
        self.write("a == b\nsales == FILTER:sales.rul\nhelp == FILTER:help.rul")
        error = self.assertRaises(AliasFileError, self.files().load)
        found = [line.split(f"{self.directory}/")[2].partition(": ")[0] for line in str(error).splitlines()]
        self.assertEqual(found, ["sales.rul:1", "sales.rul:2", "help.rul:1"])

    def test_in_a_group(self) -> None:
        """Groups may stand for one as well; a synonym stands for a user."""
        self.write("all: joe, FILTER:all.rul", "groups")
        source = self.files(groups=(self.path("groups"),))
        self.assertRaises(AliasFileError, source.load)
        self.write("Always Exit", "all.rul")
        self.assertEqual(source.load().count, 1)
        self.write("all == FILTER:all.rul", "synonyms")
        self.assertRaises(AliasFileError, self.files(synonyms=(self.path("synonyms"),)).load)

    def test_mended(self) -> None:
        """While the rules of a new alias are wrong, everything stays as it was; it is enough to mend the rules."""
        self.write("a == b")
        source = self.files()
        source.load()
        self.write("Always Print", "sales.rul")
        self.write("a == b\nsales == FILTER:sales.rul")
        for _ in range(3):
            self.clock.advance(LOOK_SECONDS)
            self.assertEqual(list(self.now(source).aliases), ["a"])
        self.write("Always Exit", "sales.rul")
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(list(self.now(source).aliases), ["a", "sales"])

    def test_turned_bad(self) -> None:
        """Rules that turn bad later are seen when they are used: the other aliases are in force and can be edited."""
        self.write("Always Exit", "sales.rul")
        self.write("sales == FILTER:sales.rul")
        source = self.files()
        source.load()
        self.write("Always Print", "sales.rul")
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(list(self.now(source).aliases), ["sales"])

    def test_many(self) -> None:
        """So many sets, however many addresses share one, and not one more."""
        for number in range(MAX_RULE_SETS + 1):
            (self.directory / str(number)).write_text("Always Exit")
        for count, fits in ((MAX_RULE_SETS - 1, True), (MAX_RULE_SETS, True), (MAX_RULE_SETS + 1, False)):
            self.write("".join(f"a{n} == FILTER:{n}\nb{n} == FILTER:{n}\n" for n in range(count)))
            if fits:
                self.assertEqual(self.files().load().count, 2 * count)
            else:
                self.assertIn("sets of rules", str(self.assertRaises(AliasFileError, self.files().load)))


class LoopTests(FilesTestCase):
    """Loops are found when the files are read."""

    def remarks(self, text: str) -> tuple[str, ...]:
        """What is said."""
        self.write(text)
        return self.files(domains=("example.org",)).load().remarks

    def test_loops(self) -> None:
        """A loop is told with its way and the line that closes it, however it is entered."""
        (remark,) = self.remarks("x == a\na == b@example.org\nb: c, d\nc == a@EXAMPLE.org\nd == e\ny == b")
        self.assertIn("a -> b -> c -> a is a loop", remark)
        self.assertTrue(remark.startswith(f"{self.path('aliases')}:2: "), remark)

    def test_no_loops(self) -> None:
        """What names itself means its mailbox; an address elsewhere, a command, and two ways to one end are no loops."""
        for text in ("joe: joe, ann", "a == a@example.net", "a: b, c\nb == d\nc == d\nd == e"):
            self.assertEqual(self.remarks(text), (), text)

    def test_many(self) -> None:
        """A long chain is followed; of many loops only some are told."""
        chain = "\n".join(f"a{number} == a{number + 1}" for number in range(3000))
        self.assertEqual(self.remarks(chain), ())
        many = "\n".join(f"a{number} == b{number}\nb{number} == a{number}" for number in range(MAX_LOOPS_TOLD + 5))
        self.assertEqual(len(self.remarks(many)), MAX_LOOPS_TOLD)


class SpeedTests(FilesTestCase):
    """Large files."""

    def test_hundred_thousand(self) -> None:
        """A hundred thousand aliases are read in a few seconds on any machine (under one on that of the developers)."""
        lines = [
            f"alias{n} == user{n % 1000}@example.org\nlist{n}: alias{n}, u{n}@example.net\n" for n in range(50_000)
        ]
        self.write("".join(lines))
        began = time.process_time()
        self.assertEqual(self.files(domains=("example.org",)).load().count, 100_000)
        # A run that measures coverage looks at every line, which takes several times as long.
        self.assertLess(time.process_time() - began, 5 if sys.gettrace() is None else 30)
