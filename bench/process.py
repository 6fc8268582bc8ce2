"""Starting servers for a measurement, and asking the system about them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

#: Whatever is waited for, it is a matter of seconds; a measurement that takes longer has failed.
PATIENCE_SECONDS = 240.0

#: What :func:`put_away` keeps of one run.
KEPT_OCTETS = 64 * 1024**2


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


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def resident_octets(pid: int) -> tuple[int, int]:
    """
    Memory of a process and its descendants: proportional, and resident.

    What several share counts once in all of them together in the former, and in each of them in the latter.
    """
    texts = [Path(f"/proc/{member}/smaps_rollup").read_text() for member in family(pid)]
    proportional, resident = (
        sum(int(found) for text in texts for found in re.findall(rf"^{word}:\s+(\d+) kB", text, re.MULTILINE))
        for word in ("Pss", "Rss")
    )
    return proportional * 1024, resident * 1024


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and its living descendants have used."""
    stats = [Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split() for member in family(pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")


def running_seconds(pid: int) -> float:
    """The same by nanoseconds instead of hundredths, for what takes next to nothing; threads that have ended are left out."""
    stats = [path.read_text() for member in family(pid) for path in Path(f"/proc/{member}/task").glob("*/schedstat")]
    return sum(int(text.split()[0]) for text in stats) / 1e9


def put_away(directory: Path, away: Path) -> None:
    """
    Empty a directory of messages, which is on one file system with ``away``.

    Removing them would slow down what is measured next, whoever's it is: ext4 without a journal passes over what was removed
    in the last minutes, file by file, whenever it makes a new one. So they go with everything else at the end. Large messages
    are few and would fill the disk.
    """
    away.mkdir(exist_ok=True)
    target = away / str(time.monotonic_ns())
    target.mkdir()
    octets = 0
    for entry in list(directory.iterdir()) if directory.exists() else []:
        octets += entry.stat().st_size
        entry.rename(target / entry.name)
    if octets > KEPT_OCTETS:
        shutil.rmtree(target)


def files_in(directory: Path) -> Iterator[os.DirEntry[str]]:
    """The messages of a maildir that nobody has read."""
    try:
        with os.scandir(directory / "new") as entries:
            yield from entries
    except FileNotFoundError:
        return
