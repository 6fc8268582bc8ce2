"""Starting servers for a measurement, and asking the system about them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

#: Whatever is waited for, it is a matter of seconds; a measurement that takes longer has failed.
PATIENCE_SECONDS = 240.0


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nothing listens at now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def wait_until(what: str, holds: Callable[[], bool], pause_seconds: float = 0.02) -> None:
    """Return when ``holds`` does; raise TimeoutError naming ``what``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_SECONDS:.0f} s for {what}")
        time.sleep(pause_seconds)


def is_listening(port: int) -> bool:
    """True when a server greets at that port."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(5)
            greeting = connection.recv(4)
            connection.sendall(b"QUIT\r\n")
            connection.recv(512)
            return greeting in (b"220 ", b"+OK ")
    except OSError:
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to stop, then make it."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def resident_octets(pid: int) -> int:
    """Resident memory of one process."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def cpu_seconds(pid: int) -> float:
    """User and system time that one process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def files_in(directory: Path) -> Iterator[os.DirEntry[str]]:
    """The messages of a maildir that nobody has read."""
    try:
        with os.scandir(directory / "new") as entries:
            yield from entries
    except FileNotFoundError:
        return
