"""Receiving beside aiosmtpd, the other SMTP server in Python: both answer 250 when the message is on disk."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

from bench.pairs import Options
from bench.process import free_ports, is_listening, put_away, resident_octets, running_seconds, stop, wait_until
from bench.site import Hermes
from bench.smtp_rows import SMALL, delivered
from bench.table import Section


class Aiosmtpd:
    """A process of ``bench.aiosmtpd_server`` with a maildir below ``root``."""

    name = "aiosmtpd"

    def __init__(self, root: Path, *chain: Path) -> None:
        """With a certificate and its key it offers STARTTLS."""
        self._chain = chain
        (self.port,) = free_ports(1)
        self.maildir = root / "mail"
        self._log = root / "server.log"
        root.mkdir(parents=True)

    def start(self) -> None:
        """Start it and wait for its greeting."""
        words = map(str, (self.port, self.maildir, *self._chain))
        command = [sys.executable, "-m", "bench.aiosmtpd_server", *words]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=log, stderr=log)
        wait_until("aiosmtpd", lambda: is_listening(self.port))

    def stop(self) -> None:
        """Stop it."""
        stop(self._process)

    def resident_octets(self) -> tuple[int, int]:
        """Its memory: proportional, and resident."""
        return resident_octets(self._process.pid)

    def running_seconds(self) -> float:
        """Processor time used so far, by nanoseconds."""
        return running_seconds(self._process.pid)

    def clear(self) -> None:
        """Empty the mailbox, whose directories it keeps open."""
        put_away(self.maildir / "new", self.maildir.parent / "away")


def need() -> None:
    """End the program when it is not installed, before anything is measured."""
    if importlib.util.find_spec("aiosmtpd") is None:
        raise SystemExit("aiosmtpd is not installed: pip install -e '.[bench]'")


def version() -> str:
    """Name and version."""
    return f"aiosmtpd {importlib.metadata.version('aiosmtpd')}"


def measure(options: Options, root: Path) -> Section:
    """All rows."""
    need()
    hermes, peer = Hermes(root / "hermes", free_ports(1)[0], options.workers), Aiosmtpd(root / "aiosmtpd")
    hermes.start()
    try:
        peer.start()
        try:
            rows = [delivered(options, one, hermes, peer) for one in SMALL]
        finally:
            peer.stop()
    finally:
        hermes.stop()
    return Section("aiosmtpd", "aiosmtpd", options, [hermes.version(), version()], rows, unit="messages/s")
