"""Mail that Dovecot reads and writes, as mbox and as maildir: out of Hermes and into it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.integration.site import USER, Site, need
from tests.support.kept import stored

CONFIG = """\
base_dir = {root}/run
state_dir = {root}/run
log_path = {root}/log
ssl = no
protocols =
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
default_internal_user = {name}
default_login_user = {name}
"""

#: What is easily spoiled: lines that begin with From, dots, 8-bit text, long lines, empty lines at the end.
TEXTS = (
    b"From: a@example.com\nSubject: one\nMessage-ID: <1@example.com>\n\nFrom here on\n>From there\n>>From far\n",
    b"From: a@example.com\nSubject: two\nMessage-ID: <2@example.com>\n\n.\n..\n\nGr\xc3\xbc\xc3\x9fe\n\n\n",
    b"From: a@example.com\nSubject: three\nMessage-ID: <3@example.com>\n\n" + b"x" * 20_000 + b"\n",
)


def quoted(text: bytes) -> bytes:
    """As it stands in an mbox."""
    return re.sub(rb"^(>*From )", rb">\1", text, flags=re.MULTILINE)


def plain(text: bytes) -> bytes:
    """A message without the sender that Dovecot has made up, who is the user that it runs as."""
    return re.sub(rb"\AReturn-Path: [^\n]*\n", b"", text)


class Doveadm:
    """Dovecot's command for mailboxes, on a mailbox of its own and without a server."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="doveadm-")
        self.root = Path(self._directory.name)
        # It serves no mailbox of root's.
        self._user = pwd.getpwnam("mail") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        for name in ("run", "home"):
            (self.root / name).mkdir()
        uid, gid, name = self._user.pw_uid, self._user.pw_gid, self._user.pw_name
        (self.root / "dovecot.conf").write_text(CONFIG.format(root=self.root, uid=uid, gid=gid, name=name))
        self.own()

    def own(self) -> None:
        """Everything below is the user's that it runs as."""
        for path in [self.root, *self.root.rglob("*")]:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def run(self, location: str, *words: str, typed: bytes = b"") -> str:
        """What it says about the mailbox at a location."""
        config = ["-c", str(self.root / "dovecot.conf"), "-o", f"mail_location={location}"]
        done = subprocess.run(
            ["doveadm", *config, *words],
            input=typed,
            capture_output=True,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root / "home"), "USER": USER},
            user=self._user.pw_uid if os.getuid() == 0 else None,
            group=self._user.pw_gid if os.getuid() == 0 else None,
            extra_groups=[] if os.getuid() == 0 else None,
        )
        if done.returncode or done.stderr:
            raise AssertionError(f"doveadm {words}: {done.returncode} {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def close(self) -> None:
        """Leave nothing behind."""
        self._directory.cleanup()


class DovecotTests(SynchronousTestCase):
    """A site, and Dovecot beside it."""

    skip = need("doveadm")

    @override
    def setUp(self) -> None:
        self.site = Site()
        self.addCleanup(self.site.close)
        self.dovecot = Doveadm()
        self.addCleanup(self.dovecot.close)
        self.mailbox = str(self.site.data / "mail" / USER)
        self.place = self.dovecot.root / "place"
        self.place.mkdir()
        self.dovecot.own()

    def location(self, kind: str) -> str:
        """Where Dovecot has its mailbox."""
        return {"mbox": f"mbox:{self.place}/mail:INBOX={self.place}/inbox", "maildir": f"maildir:{self.place}/inbox"}[
            kind
        ]

    def test_written_by_dovecot(self) -> None:
        """Messages that Dovecot has saved come with text, flags and dates, and only once in whatever format."""
        for number, kind in enumerate(("mbox", "maildir")):
            location = self.location(kind)
            for text in TEXTS:
                self.dovecot.run(location, "save", "-m", "INBOX", typed=text)
            self.dovecot.run(location, "flags", "add", "\\Seen \\Answered", "mailbox", "INBOX", "subject", "two")
            self.dovecot.run(location, "flags", "add", "\\Flagged", "mailbox", "INBOX", "subject", "three")
            said = self.site.ask("import", USER, str(self.place / "inbox"), "--quoting", "none")
            self.assertEqual((said["failed"], said["fault"]), (0, ""))
            self.assertEqual((said["imported"], said["already"]), ((3, 0), (0, 3))[number], kind)
            self.assertEqual(sorted(map(plain, stored(self.mailbox))), sorted(TEXTS))
            if kind == "mbox":
                names = {
                    plain((self.site.data / "mail" / USER / where / name).read_bytes()): name.partition(":2,")[2]
                    for where in ("new", "cur")
                    for name in os.listdir(f"{self.mailbox}/{where}")
                }
                self.assertEqual([names[text] for text in TEXTS], ["", "RS", "F"])
            shutil.rmtree(self.place)
            self.place.mkdir()
            self.dovecot.own()

    def test_read_by_dovecot(self) -> None:
        """What is exported is to Dovecot what it was: texts, flags, dates, folders."""
        kept = self.dovecot.root / "kept"
        status = (b"", b"Status: RO\nX-Status: A\n", b"Status: O\nX-Status: F\n")
        kept.write_bytes(
            b"".join(
                b"From a@example.com Thu Jan  1 10:00:0%d 2026\n" % number + state + quoted(text) + b"\n"
                for number, (state, text) in enumerate(zip(status, TEXTS, strict=True))
            )
        )
        self.site.ask("import", USER, str(kept))
        self.site.ask("import", USER, str(kept), "--folder", "Old/Drafts & more")
        for kind in ("mbox", "maildir"):
            self.site.ask("export", USER, str(self.place / "inbox"), "--format", kind)
            self.dovecot.own()
            location = self.location(kind)
            fetch = ("fetch", "hdr.subject flags date.received", "mailbox", "INBOX", "all")
            said = self.dovecot.run(location, "-f", "tab", *fetch).splitlines()[1:]
            rows = [tuple(line.split("\t")) for line in said]
            self.assertEqual([row[0] for row in rows], ["one", "two", "three"])
            flags = [set(row[1].split()) - {"\\Recent"} for row in rows]
            self.assertEqual(flags, [set(), {"\\Seen", "\\Answered"}, {"\\Flagged"}])
            self.assertEqual([row[2][-2:] for row in rows], ["00", "01", "02"])
            for subject, text in zip(("one", "two", "three"), TEXTS, strict=True):
                body = self.dovecot.run(location, "fetch", "body", "mailbox", "INBOX", "subject", subject)
                expected = text.partition(b"\n\n")[2].decode()
                if kind == "mbox":
                    # Dovecot shows what stands in the file: it undoes no quoting.
                    expected = quoted(expected.encode()).decode()
                self.assertEqual(
                    body.partition("body:\n")[2].replace("\r\n", "\n").rstrip("\n\f"), expected.rstrip("\n")
                )
            if kind == "maildir":
                folders = self.dovecot.run(location, "mailbox", "list").split("\n")
                self.assertIn("Old.Drafts & more", folders)
            shutil.rmtree(self.place)
            self.place.mkdir()
            self.dovecot.own()
