"""The load: Postfix's smtp-source sends, the maildir or smtp-sink says what arrived."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from pathlib import Path
from typing import Protocol

import attrs

from bench.process import files_in, stop, wait_until


class Server(Protocol):
    """What is measured."""

    name: str
    port: int
    maildir: Path

    def clear(self) -> None:
        """Empty the mailbox."""


@attrs.frozen
class Load:
    """One row: so many messages of that size over that many sessions; ``kept`` sends all of a session's over one connection."""

    messages: int
    octets: int
    sessions: int
    kept: bool

    def __str__(self) -> str:
        size = f"{self.octets // 1024} KiB" if self.octets < 1024**2 else f"{self.octets // 1024**2} MB"
        how = "kept connections" if self.kept else "a connection a message"
        return f"{size}, {self.sessions} session{'s' if self.sessions > 1 else ''}, {how}"


class Sink:
    """Postfix's smtp-sink, counting."""

    def __init__(self, port: int, log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            command = ["/usr/sbin/smtp-sink", "-c", f"127.0.0.1:{port}", "1000"]
            if os.getuid() == 0:
                command[1:1] = ["-u", "postfix"]
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        self._port = port

    def count(self) -> int:
        """Messages received so far."""
        # It rewrites one line: "sess=.. quit=.. mesg=N".
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 200))
            tail = log.read()
        words = tail.replace(b"\r", b" ").split()
        counts = [word.partition(b"=")[2] for word in words if word.startswith(b"mesg=")]
        return int(counts[-1]) if counts and counts[-1].isdigit() else 0

    def stop(self) -> None:
        """Stop it."""
        stop(self._process)


def send(server: Server, load: Load, recipient: str) -> None:
    """Send the load with smtp-source and wait until it is sent."""
    # -l is the length of the body it makes.
    command = ["/usr/sbin/smtp-source", "-s", str(load.sessions), "-m", str(load.messages), "-l", str(load.octets)]
    if load.kept:
        command.append("-d")
    command += ["-f", "sender@example.net", "-t", recipient, f"127.0.0.1:{server.port}"]
    subprocess.run(command, check=True, capture_output=True, timeout=240)


def delivered_per_second(server: Server, load: Load) -> float:
    """Messages a second, from the first connection until the last message is in the maildir."""
    server.clear()
    began = time.monotonic()
    send(server, load, "user@example.org")
    wait_until(
        f"{load.messages} messages in {server.maildir}",
        lambda: sum(1 for _ in files_in(server.maildir)) >= load.messages,
    )
    seconds = time.monotonic() - began
    check_mailbox(server, load)
    return load.messages / seconds


def relayed_per_second(server: Server, load: Load, sink: Sink) -> float:
    """Messages a second, from the first connection until the last message is in the sink."""
    before = sink.count()
    began = time.monotonic()
    send(server, load, "someone@example.com")
    wait_until(f"{load.messages} messages in the sink", lambda: sink.count() - before >= load.messages)
    return load.messages / (time.monotonic() - began)


def check_mailbox(server: Server, load: Load) -> None:
    """See that exactly what was sent is there: the number of messages, and the bodies of twenty byte for byte."""
    names = [entry.path for entry in files_in(server.maildir)]
    if len(names) != load.messages:
        raise AssertionError(f"{server.name}: {len(names)} messages in the mailbox, {load.messages} were sent")
    bodies = {hashlib.sha256(_body(name)).hexdigest() for name in names[:20]}
    if len(bodies) != 1:
        raise AssertionError(f"{server.name}: bodies that were sent alike differ")
    size = len(_body(names[0]))
    if abs(size - load.octets) > 100 + load.octets // 50:
        raise AssertionError(f"{server.name}: a body of {size} octets where {load.octets} were sent")


def _body(name: str) -> bytes:
    return Path(name).read_bytes().partition(b"\n\n")[2]
