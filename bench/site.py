"""A private Hermes for measurements: a site of a few accounts, all defaults but the ports and the length of a session."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.process import (
    cpu_seconds,
    free_ports,
    is_listening,
    put_away,
    resident_octets,
    running_seconds,
    stop,
    wait_until,
)
from hermes.directory.passwords import hash_password

CONFIG = """\
[hermes]
hostname = bench.example.org
domains = example.org
postmaster = user@example.org
data = data
workers = {workers}

[smtp]
listen = 127.0.0.1:{port}
relay_networks = 127.0.0.0/8
max_messages = 1000000
max_commands = 10000000
{in_smtp}
[smarthost]
host = 127.0.0.1
port = {sink}
tls = none

[pop3]
listen = 127.0.0.1:{pop3}
auth_without_tls = loopback
"""

PASSWORD = "benchmark"


class Hermes:
    """A Hermes in ``root``; relays other domains to the port ``sink``."""

    name = "hermes"
    password = PASSWORD

    def __init__(
        self,
        root: Path,
        sink: int,
        workers: str = "1",
        *,
        in_smtp: str = "",
        more: str = "",
        accounts: Iterable[str] = (),
    ) -> None:
        """
        ``in_smtp`` has further lines for ``[smtp]``, ``more`` whole sections; ``accounts`` stand beside "user"; all have the same
        password.
        """
        self._root = root
        self.port, self.pop3_port = free_ports(2)
        # Behind a front end the SMTP server waits for a header.
        self._greets = self.pop3_port if in_smtp else self.port
        root.mkdir(parents=True, mode=0o700)
        self._config = root / "config.ini"
        config = CONFIG.format(port=self.port, pop3=self.pop3_port, sink=sink, workers=workers, in_smtp=in_smtp)
        self._config.write_text(config + more)
        self._config.chmod(0o600)
        (root / "data").mkdir(mode=0o700)
        self.maildir = self.mailbox("user")
        hashed = hash_password(PASSWORD)
        file = root / "data" / "accounts.ini"
        file.write_text("".join(f"[{account}]\npassword = {hashed}\n" for account in ("user", *accounts)))
        file.chmod(0o600)

    def mailbox(self, account: str) -> Path:
        """The maildir of an account."""
        return self._root / "data" / "mail" / account

    def start(self) -> None:
        """Start it and wait for its greeting."""
        with (self._root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self._command("run", "-c", str(self._config)), stdout=log, stderr=log)
        wait_until("Hermes", lambda: is_listening(self._greets))

    def stop(self) -> None:
        """Stop it."""
        stop(self.process)

    def clear(self, account: str = "user") -> None:
        """Empty a mailbox."""
        for part in ("new", "cur"):
            put_away(self.mailbox(account) / part, self._root / "away")

    def resident_octets(self) -> tuple[int, int]:
        """Memory of all processes of the server: proportional, and resident."""
        return resident_octets(self.process.pid)

    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        return cpu_seconds(self.process.pid)

    def running_seconds(self) -> float:
        """The same, for what takes next to nothing."""
        return running_seconds(self.process.pid)

    def version(self) -> str:
        """Name and version."""
        return "Hermes " + self._run("--version").split()[-1]

    def _run(self, *words: str) -> str:
        return subprocess.run(self._command(*words), capture_output=True, text=True, check=True).stdout

    @staticmethod
    def _command(*words: str) -> list[str]:
        return [sys.executable, "-m", "hermes.cli.main", *words]
