"""A Hermes for one test: made with ``hermes init``, run as its own process on free loopback ports, and stopped at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

#: What is waited for is a matter of seconds; a busy machine may take many times as long, and waiting is free when all is well.
PATIENCE_SECONDS = 120.0

#: Programs that hang are ended, those of a busy machine are not.
PROGRAM_SECONDS = 180.0

USER, PASSWORD = "joe", "correct horse 7 battery"

CONFIG = """\
[hermes]
hostname = mail.example.org
domains = example.org
postmaster = joe@example.org
data = data

[tls]
certificate = {certificate}
key = {key}

[smtp]
listen = 127.0.0.1:{smtp}
submission = 127.0.0.1:{submission}
submissions = 127.0.0.1:{submissions}
lmtp = unix:{lmtp}

[pop3]
listen = 127.0.0.1:{pop3}
listen_tls = 127.0.0.1:{pop3s}
"""


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nothing listens at now."""
    return [free_port() for _ in range(count)]


def wait_until(what: str, holds: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Return what ``holds`` returns once that is true; fail naming ``what``."""
    deadline = time.monotonic() + seconds
    while not (result := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        # Another process is waited for: there is no clock of ours to advance.
        time.sleep(0.02)
    return result


def run(*command: str | Path, stdin: str | bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Run a client to its end; with ``check`` its output is in the error when it fails."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        list(map(str, command)), check=False, input=data, capture_output=True, timeout=PROGRAM_SECONDS, env=environment
    )
    if check and done.returncode != 0:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise AssertionError(f"{command[0]} exited with {done.returncode}:\n{output}")
    return done


def need(*programs: str) -> str | None:
    """What trial's ``skip`` wants: None when all programs are there, else what to install."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    return f"not installed: {', '.join(missing)} (.ci/run installs it)" if missing else None


class Site:
    """One server in a temporary directory."""

    def __init__(self, extra: str = "") -> None:
        # Below /tmp, because the path of a UNIX socket must be short, and open to clients that run as another user.
        self._directory = tempfile.TemporaryDirectory(prefix="hermes-")
        self.root = Path(self._directory.name)
        self.root.chmod(0o755)
        self.directory = self.root / "site"
        names = ("smtp", "submission", "submissions", "pop3", "pop3s")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.process: subprocess.Popen[bytes] | None = None
        self.config = self.directory / "config.ini"
        self.data = self.directory / "data"
        self.certificate = self.root / "certificate.pem"
        self.lmtp = self.root / "lmtp.sock"
        try:
            self._make(extra)
        except BaseException:
            self._directory.cleanup()
            raise

    def _make(self, extra: str) -> None:
        words = ("init", str(self.directory), "--domain", "example.org", "--user", USER, "--password-file", "-")
        self.hermes(*words, stdin=PASSWORD)
        certificate, key = self.data / "tls" / "certificate.pem", self.data / "tls" / "key.pem"
        shutil.copy(certificate, self.certificate)
        self.config.write_text(CONFIG.format(certificate=certificate, key=key, lmtp=self.lmtp, **self.ports) + extra)

    def start(self) -> Site:
        """Start it and wait until it answers."""
        log = (self.root / "server.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hermes.cli.main", "run", "-c", str(self.config)], stdout=log, stderr=log
            )
        wait_until("the server", self._answers)
        return self

    def stop(self) -> int:
        """Stop it in order; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PROGRAM_SECONDS)

    def kill(self) -> None:
        """Stop it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def workers(self) -> list[int]:
        """The processes of the workers, which are the nursery's children."""
        assert self.process is not None
        return [worker for nursery in _children(self.process.pid) for worker in _children(nursery)]

    def depositors(self) -> list[int]:
        """The processes that write mailboxes: each server, or each worker, has one from its first delivery on."""
        assert self.process is not None
        return [each for server in (self.process.pid, *self.workers()) for each in _children(server) if _deposits(each)]

    def configure(self, section: str, *lines: str) -> None:
        """Put lines at the head of a section of the configuration."""
        head = f"[{section}]\n"
        self.config.write_text(self.config.read_text().replace(head, head + "\n".join(lines) + "\n", 1))

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self._directory.cleanup()

    def log(self) -> str:
        """What the server has said."""
        return (self.root / "server.log").read_text(errors="replace")

    def hermes(self, *words: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run the ``hermes`` command."""
        return run(sys.executable, "-m", "hermes.cli.main", *words, stdin=stdin, check=check)

    def ask(self, *words: str) -> Any:
        """Run a ``hermes`` command with ``--json`` for this site, and return what it says."""
        return json.loads(self.hermes(*words, "-c", str(self.config), "--json").stdout)

    def messages(self, user: str = USER) -> list[bytes]:
        """What is in a mailbox, unread and read."""
        maildir = self.data / "mail" / user
        return [path.read_bytes() for part in ("new", "cur") for path in sorted((maildir / part).glob("*"))]

    def wait_for_messages(self, count: int, user: str = USER) -> list[bytes]:
        """The messages of a mailbox, once there are so many."""
        return list(wait_until(f"{count} messages", lambda: len(found := self.messages(user)) >= count and found))

    def logins(self, *facts: str) -> list[tuple[str | None, ...]]:
        """These facts of each login, as the mail log has them."""
        lines = [line.split() for line in (self.data / "mail.log").read_text().splitlines()]
        known = [dict(word.partition("=")[::2] for word in words) for words in lines if "login" in words]
        return [tuple(map(each.get, facts)) for each in known]

    def gnu_sasl_words(self, port: str, mechanism: str, secret: str) -> list[str]:
        """How msmtp and mpop are told to log in, inside TLS that is begun by STARTTLS or STLS."""
        return [
            "--host=127.0.0.1", f"--port={self.ports[port]}", f"--user={USER}", f"--auth={mechanism}",
            f"--passwordeval=printf %s '{secret}'", "--tls=on", "--tls-starttls=on",
            f"--tls-trust-file={self.certificate}", "--tls-host-override=mail.example.org",
        ]  # fmt: skip

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
        try:
            with socket.create_connection(("127.0.0.1", self.ports["smtp"]), 5) as connection:
                connection.settimeout(5)
                greeted = connection.recv(4) == b"220 "
                connection.sendall(b"QUIT\r\n")
                return greeted
        except OSError:
            return False


def _deposits(process: int) -> bool:
    try:
        return b"perform_deposits" in Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def _children(process: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def running(extra: str = "") -> Iterator[Site]:
    """A site that runs inside the ``with``."""
    site = Site(extra)
    try:
        yield site.start()
    finally:
        site.close()
