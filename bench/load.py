"""The load: Postfix's smtp-source sends, the maildir or smtp-sink says what arrived."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import attrs

from bench.process import files_in, is_listening, stop, wait_until


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
        self._port = port
        self._log = log
        self._start()

    def _start(self, *options: str) -> None:
        command = ["/usr/sbin/smtp-sink", "-c", *options, f"127.0.0.1:{self._port}", "1000"]
        if os.getuid() == 0:
            command[1:1] = ["-u", "postfix"]
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        wait_until("smtp-sink", lambda: is_listening(self._port))

    def count(self) -> int:
        """Messages received so far."""
        # It rewrites one line: "sess=.. quit=.. mesg=N".
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 200))
            tail = log.read()
        words = tail.replace(b"\r", b" ").split()
        counts = [word.partition(b"=")[2] for word in words if word.startswith(b"mesg=")]
        return int(counts[-1]) if counts and counts[-1].isdigit() else 0

    @contextmanager
    def keeping(self, directory: Path) -> Iterator[None]:
        """Write what comes into files of a directory while the block runs."""
        directory.mkdir()
        if os.getuid() == 0:
            shutil.chown(directory, "postfix")
        self.stop()
        self._start("-d", f"{directory}/%s.")
        try:
            yield
        finally:
            self.stop()
            self._start()

    def stop(self) -> None:
        """Stop it."""
        stop(self._process)


def send(server: Server, load: Load, recipient: str, recipients: int = 1) -> None:
    """Send the load with smtp-source and wait until it is sent; for several recipients it puts numbers before the address."""
    # -l is the length of the body it makes.
    command = ["/usr/sbin/smtp-source", "-s", str(load.sessions), "-m", str(load.messages), "-l", str(load.octets)]
    if load.kept:
        command.append("-d")
    if recipients > 1:
        command += ["-r", str(recipients)]
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
    check_mailbox(server.name, server.maildir, load)
    return load.messages / seconds


def relayed_per_second(server: Server, load: Load, sink: Sink) -> float:
    """Messages a second, from the first connection until the last message is in the sink."""
    before = sink.count()
    began = time.monotonic()
    send(server, load, "someone@example.com")
    wait_until(f"{load.messages} messages in the sink", lambda: sink.count() - before >= load.messages)
    return load.messages / (time.monotonic() - began)


def check_relayed(server: Server, load: Load, sink: Sink, directory: Path) -> None:
    """Send a few more, see that what arrives at the sink is what was sent, octet by octet."""
    few = attrs.evolve(load, messages=min(load.messages, 2 * load.sessions))
    with sink.keeping(directory):
        send(server, few, "someone@example.com")
        octets = few.messages * len(body(few.octets))
        wait_until("the messages in files", lambda: sum(path.stat().st_size for path in _files(directory)) >= octets)
        wait_until("the messages in the sink", lambda: sink.count() >= few.messages)
    _check(server.name, _files(directory), few)


def check_mailbox(who: str, maildir: Path, load: Load) -> None:
    """See that exactly what was sent is there: the number of messages, and the bodies of twenty octet by octet."""
    _check(who, [Path(entry.path) for entry in files_in(maildir)], load)


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def _check(who: str, files: list[Path], load: Load) -> None:
    if len(files) != load.messages:
        raise AssertionError(f"{who}: {len(files)} messages arrived, {load.messages} were sent")
    expected = body(load.octets)
    for path in files[:20]:
        if (found := path.read_bytes().partition(b"\n\n")[2].rstrip(b"\n")) != expected:
            raise AssertionError(f"{who}: {path.name} has a body of {len(found)} octets that is not what was sent")


def body(octets: int) -> bytes:
    """What smtp-source sends as the body when it is told this length: lines of 80 octets with CRLF, here with LF."""
    made = bytearray(b"X" * octets)
    for end in range(80, octets, 80):
        made[end - 80] = b"0123456789"[end // 80 % 10]
        made[end - 2 : end] = b"\r\n"
    return bytes(made).replace(b"\r\n", b"\n")
