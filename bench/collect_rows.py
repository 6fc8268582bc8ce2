"""
Fetching a full box from a Dovecot, beside mpop, which puts it into a maildir.

Neither uses TLS, and both delete what they have. mpop syncs each message before it goes on, Hermes many at once in its queue
before it tells the server to delete any, and again in the maildir.
"""

from __future__ import annotations

import collections
import re
import subprocess
import time
from pathlib import Path

from bench import certificate
from bench.mailboxes import fill, message
from bench.pairs import Options, in_turn
from bench.pop3_rows import stopped_at_the_end, version
from bench.process import files_in, free_ports, wait_until
from bench.site import Hermes
from bench.table import Section
from hermes.cli.control_client import ask
from hermes.config.loader import load
from tests.support.dovecot import Dovecot

BOX = "box"

MESSAGES, OCTETS = 10_000, 4096

#: What was to be reached beside mpop.
LEAST = 0.5

COLLECTOR = """
[collector:box]
enabled = no
host = 127.0.0.1
port = {port}
tls = none
username = box
password = secret
account = user
max_messages = {messages}
"""

MPOP = """\
account bench
host 127.0.0.1
port {port}
tls off
auth user
user box
password secret
keep off
uidls_file {root}/uidls
delivery maildir {root}/maildir
"""


def measure(options: Options, root: Path) -> Section:
    """The one row."""
    messages = options.scaled(MESSAGES)
    with stopped_at_the_end(Dovecot(*certificate.make(root), BOX)) as dovecot:
        box = dovecot.root / "mail" / BOX
        more = COLLECTOR.format(port=dovecot.pop3, messages=messages)
        hermes = Hermes(root / "hermes", free_ports(1)[0], options.workers, more=more)
        config = str(root / "hermes" / "config.ini")
        hermes.start()
        try:
            mpop = _mpop(root / "mpop", dovecot.pop3)
            row = in_turn(
                f"a box of {messages:,}, 4 KiB each",
                options.pairs,
                lambda: by_hermes(hermes, config, box, messages),
                lambda: by_mpop(mpop, box, messages),
            )
        finally:
            hermes.stop()
    failure = f"{row.ratio:.2f} is less than {LEAST} times mpop's rate" if row.ratio < LEAST else ""
    said = subprocess.run(["mpop", "--version"], capture_output=True, text=True, check=True).stdout
    versions = [hermes.version(), f"mpop {said.split()[2]}", version()]
    return Section("collect", "mpop", options, versions, [row], unit="messages/s", failure=failure)


def by_hermes(hermes: Hermes, config: str, box: Path, messages: int) -> float:
    """Messages a second, from the order to fetch until the last is in the maildir."""
    _refill(box, messages)
    settings = load(config)
    begun = time.monotonic()
    ask(settings, "collect.begin", {"name": BOX, "dry": False})
    wait_until("the messages", lambda: sum(1 for _ in files_in(hermes.maildir)) >= messages)
    seconds = time.monotonic() - begun
    # They are deleted at the server when the last is safe here.
    wait_until("the end of the session", lambda: not ask(settings, "collect.progress", {"name": BOX})["running"])
    check("hermes", hermes.maildir, messages)
    return messages / seconds


def by_mpop(root: Path, box: Path, messages: int) -> float:
    """Messages a second, from its start to its end."""
    _refill(box, messages)
    begun = time.monotonic()
    subprocess.run(["mpop", f"--file={root / 'mpoprc'}", "--quiet", "bench"], check=True, timeout=600)
    seconds = time.monotonic() - begun
    check("mpop", root / "maildir", messages)
    return messages / seconds


def _mpop(root: Path, port: int) -> Path:
    for part in ("new", "cur", "tmp"):
        (root / "maildir" / part).mkdir(parents=True)
    file = root / "mpoprc"
    file.write_text(MPOP.format(port=port, root=root))
    file.chmod(0o600)
    return root


def _refill(box: Path, messages: int) -> None:
    """Fill the box, in which nothing may have been left."""
    if any(True for part in ("new", "cur") for _ in (box / part).iterdir()):
        raise AssertionError("messages were left at the server")
    # The numbers are the same each time, and the times must not be: they are part of the unique ids, which both remember.
    for path in box.glob("dovecot*"):
        path.unlink()
    fill(box, messages, OCTETS)


def check(who: str, maildir: Path, messages: int) -> None:
    """Every message has come once, and is what it was but for the lines on top; the maildir is empty afterwards."""
    found: collections.Counter[int] = collections.Counter()
    for entry in files_in(maildir):
        octets = Path(entry.path).read_bytes()
        number = re.search(rb"^Subject: number (\d+)$", octets, re.MULTILINE)
        # Whoever delivers it writes a Return-Path of its own.
        if number is None or not octets.endswith(message(int(number[1]), OCTETS).partition(b"\n")[2]):
            raise AssertionError(f"{who}: {entry.path} is not what was sent")
        found[int(number[1])] += 1
        Path(entry.path).unlink()
    if found != collections.Counter(range(messages)):
        raise AssertionError(f"{who}: {found.total()} messages have come, and not each of {messages} once")
