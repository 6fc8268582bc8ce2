"""Tests of ``hermes export``, and of how long commands show how far they have come."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hermes.cli import export_mail
from hermes.cli.progress import LINE_SECONDS, progress
from hermes.mailbox.export_mbox import PART, MboxTarget
from tests.support.command import CommandTestCase
from tests.support.kept import stored
from tests.support.maildirs import files_in, put

TEXT = b"Subject: x\n\nbody\n"


class ExportTests(CommandTestCase):
    """A site with a mailbox."""

    def setUp(self) -> None:
        """Make it."""
        self.config = self.site()
        self.path = str(Path(self.config).parent / "data" / "mail" / "bob")
        put(self.path, "cur", "100.a.host:2,S", TEXT)
        put(os.path.join(self.path, ".Sent"), "new", "101.a.host", TEXT + b"sent\n")
        self.place = Path(self.mktemp())
        self.place.mkdir()

    def hermes(self, *words: str, exit_code: int = 0) -> str:
        """All that ``hermes export`` prints."""
        return str(self.run_hermes("export", "-c", self.config, *words, exit_code=exit_code).output)

    def test_mbox(self) -> None:
        """A name that is not there becomes an mbox of the mailbox, and it is said which folders are not in it."""
        target = str(self.place / "mbox")
        said = self.hermes("BOB", target)
        self.assertIn("1 messages of bob exported", said)
        self.assertIn("Folders are not in it: .Sent", said)
        self.assertEqual(Path(target).read_bytes().count(b"\n\n"), 2)
        self.assertIn("1 were there", self.hermes("bob", target))
        self.hermes("bob", str(self.place / "sent"), "--folder", "Sent")
        self.assertIn(b"sent\n", (self.place / "sent").read_bytes())

    def test_maildir(self) -> None:
        """A directory becomes a maildir with all folders, or with one."""
        self.assertIn("2 messages", self.hermes("bob", str(self.place)))
        self.assertEqual(files_in(str(self.place), "cur"), ["100.a.host:2,S"])
        self.assertEqual(stored(str(self.place / ".Sent")), [TEXT + b"sent\n"])
        other = str(self.place / "other")
        self.hermes("bob", other, "--folder", "Sent", "--format", "maildir")
        self.assertEqual((stored(other), len(stored(os.path.join(other, ".Sent")))), ([], 1))

    def test_relative(self) -> None:
        """A target that is a name alone is in the directory that one is in, whatever is to become of it."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.place)
        os.mkdir("empty")
        for target, kind in (("empty", "maildir"), ("new", "maildir"), ("mbox", "mbox"), ("cnm", "cnm")):
            if kind == "cnm":
                os.mkdir(target)
            self.assertIn(f"exported to {target}", self.hermes("bob", target, "--format", kind))
            self.assertTrue(os.path.lexists(target), target)

    def test_cnm(self) -> None:
        """Files of Mercury."""
        self.hermes("bob", str(self.place), "--format", "cnm")
        (name,) = os.listdir(self.place)
        self.assertTrue(name.endswith(".CNM"))

    def test_json(self) -> None:
        """The same for programs."""
        told: Any = self.run_json("export", "-c", self.config, "bob", str(self.place / "mbox"))
        self.assertEqual((told["exported"], told["fault"], told["folders_left_out"]), (1, "", [".Sent"]))

    def test_refused(self) -> None:
        """What cannot be is told in a line, and nothing is written."""
        file, link = self.place / "file", self.place / "link"
        file.write_bytes(b"a letter\n")
        os.symlink("file", link)
        for words, said, code in (
            (("nobody", str(self.place / "x")), "has no mailbox", 1),
            (("../bob", str(self.place / "x")), "name", 2),
            (("bob", str(self.place / "x"), "--folder", "Work"), "no folder 'Work'", 1),
            (("bob", str(self.place / "x"), "--folder", "a.b"), "no dot", 2),
            (("bob", "-"), "cannot go to standard output", 1),
            (("bob", str(link)), "is a link", 1),
            (("bob", str(file)), "no mbox", 1),
            (("bob", str(file), "--format", "maildir"), "is no directory", 1),
            (("bob", str(self.place), "--format", "mbox"), "is no file", 1),
            (("bob", str(self.place / "missing" / "x")), "No such file", 1),
        ):
            self.assertIn(said, self.hermes(*words, exit_code=code), words)
        self.assertEqual(file.read_bytes(), b"a letter\n")
        self.assertFalse((self.place / "x").exists())

    def test_ended_before_its_time(self) -> None:
        """Ctrl-C, a disk that fails, and what cannot be read."""
        target = self.place / "mbox"
        for fault, words in (
            (KeyboardInterrupt(), "interrupted"),
            (OSError(28, "No space left on device"), "No space"),
        ):

            def put_(self: object, opened: object, folder: str, fault: BaseException = fault) -> bool:
                raise fault

            with self.subTest(words):
                patched = self.patch(MboxTarget, "put", put_)
                said = self.hermes("bob", str(target), exit_code=1)
                self.assertIn(words, said)
                self.assertIn("Say the command again", said)
                patched.restore()
        self.assertFalse(target.exists())
        self.hermes("bob", str(target))
        self.assertFalse(Path(f"{target}{PART}").exists())

    def test_disk_full(self) -> None:
        """What the disk has no room for is told in the usual words, and comes the next time."""
        target = self.place / "mbox"
        put(self.path, "cur", "200.b.host:2,", TEXT + b"x" * 3000 + b"\n")
        # A file may have as many octets as that: what is written behind them fails, now and when the file is closed.
        limited = f"ulimit -f 1; exec {sys.executable} -m hermes.cli.main export -c {self.config} bob {target}"
        done = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, timeout=180, check=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("Not all is exported", done.stderr)
        self.assertIn("Say the command again", done.stderr)
        self.assertFalse(target.exists())
        self.hermes("bob", str(target))
        self.assertEqual(target.read_bytes().count(b"Subject: x\n"), 2)

    def test_gone_and_unreadable(self) -> None:
        """What is deleted meanwhile is no fault; what cannot be read is."""
        put(self.path, "cur", "200.b.host:2,", TEXT + b"b\n")
        put(self.path, "cur", "300.c.host:2,", TEXT + b"c\n")
        shown = export_mail.progress

        def disturbing(label: str) -> Any:
            cur = os.path.join(self.path, "cur")
            listed = export_mail.export_folders

            def exporting(*arguments: Any) -> None:
                show = arguments[-1]

                def first(seen: int, total: int) -> None:
                    if seen == 0:
                        os.unlink(os.path.join(cur, "200.b.host:2,"))
                        os.unlink(os.path.join(cur, "300.c.host:2,"))
                        os.symlink("/etc/passwd", os.path.join(cur, "300.c.host:2,"))
                    show(seen, total)

                listed(*arguments[:-1], first)

            self.patch(export_mail, "export_folders", exporting)
            return shown(label)

        self.patch(export_mail, "progress", disturbing)
        said = self.hermes("bob", str(self.place / "mbox"), exit_code=1)
        self.assertIn("1 messages of bob exported", said)
        self.assertIn("1 were deleted meanwhile", said)
        self.assertIn("300.c.host:2,: Too many levels of symbolic links", said)


class ProgressTests(CommandTestCase):
    """Lines, and bars."""

    def test_lines(self) -> None:
        """Without a terminal there is a line now and then."""
        said = io.StringIO()
        self.patch(sys, "stderr", said)
        now = 0.0
        with progress("Importing", lambda: now) as show:
            for now in (1.0, LINE_SECONDS - 0.1, LINE_SECONDS, LINE_SECONDS + 1, 2 * LINE_SECONDS):
                show(int(now), 40, f"{int(now)} messages")
            now = 3 * LINE_SECONDS
            show(5, 0, "5 messages")
        self.assertEqual(
            said.getvalue(),
            "Importing: 25 %, 10 messages\nImporting: 50 %, 20 messages\nImporting: 5 messages\n",
        )

    def test_bar(self) -> None:
        """On a terminal there is a bar, in which nothing is taken for markup; it is gone at the end."""

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        said = Terminal()
        self.patch(sys, "stderr", said)
        with progress("Importing") as show:
            show(0, 0, "")
            show(20, 40, "[red]20 messages")
        self.assertIn("[red]20 messages", said.getvalue())
        self.assertIn("50 %", said.getvalue())
