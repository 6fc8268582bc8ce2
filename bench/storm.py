"""
``python -m bench.storm``: who is in a session while 200 others a second log in.

Each login is of another account and its first, so that it costs all that argon2 costs; most have to be told to come again, as no
two cores check so many. Meanwhile two sessions, one of SMTP and one of POP3, say NOOP; the longest answers are what is told.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path

from bench.process import free_ports
from bench.site import PASSWORD, Hermes

#: Between two NOOPs of a session.
PAUSE_SECONDS = 0.005


async def _login(port: int, number: int, told: Counter[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(f"USER user{number}\r\n".encode())
    await reader.readline()
    writer.write(f"PASS {PASSWORD}\r\n".encode())
    answer = (await reader.readline()).decode("ascii", "replace")
    told["let in" if answer.startswith("+OK") else "told to come again" if "[SYS/TEMP]" in answer else answer] += 1
    writer.write(b"QUIT\r\n")
    await reader.readline()
    writer.close()


async def _storm(port: int, rate: int, seconds: int) -> Counter[str]:
    told: Counter[str] = Counter()
    began, waiting = time.monotonic(), []
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        waiting.append(asyncio.create_task(_login(port, number, told)))
    await asyncio.gather(*waiting)
    return told


def _logins(port: int, rate: int, seconds: int, out: Queue[Counter[str]]) -> None:
    out.put(asyncio.run(_storm(port, rate, seconds)))


def _latencies(port: int, greeting: bytes, ended: object) -> list[float]:
    """How long each NOOP took, in milliseconds, until the storm is over."""
    found = []
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as heard:
        heard.readline()
        for line in greeting.splitlines(keepends=True):
            connection.sendall(line)
            heard.readline()
        while not ended.is_set():  # type: ignore[attr-defined]
            began = time.monotonic()
            connection.sendall(b"NOOP\r\n")
            heard.readline()
            found.append((time.monotonic() - began) * 1000)
            time.sleep(PAUSE_SECONDS)
    return found


def _watch(name: str, port: int, greeting: bytes, ended: object, out: Queue[tuple[str, list[float]]]) -> None:
    out.put((name, _latencies(port, greeting, ended)))


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.storm")
    parser.add_argument("--rate", type=int, default=200, help="logins a second")
    parser.add_argument("--seconds", type=int, default=10)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        (sink,) = free_ports(1)
        accounts = (f"user{number}" for number in range(chosen.rate * chosen.seconds))
        server = Hermes(Path(directory) / "site", sink, accounts=accounts)
        server.start()
        try:
            _measure(server, chosen.rate, chosen.seconds)
        finally:
            server.stop()


def _measure(server: Hermes, rate: int, seconds: int) -> None:
    ended, out = multiprocessing.Event(), multiprocessing.Queue()
    sessions = (
        ("SMTP", server.port, b"HELO client.example.com\r\n"),
        ("POP3", server.pop3_port, f"USER user\r\nPASS {PASSWORD}\r\n".encode()),
    )
    watchers = [multiprocessing.Process(target=_watch, args=(*session, ended, out)) for session in sessions]
    for watcher in watchers:
        watcher.start()
    told: Queue[Counter[str]] = multiprocessing.Queue()
    storm = multiprocessing.Process(target=_logins, args=(server.pop3_port, rate, seconds, told))
    storm.start()
    for what, count in told.get().items():
        print(f"{count:6} logins were {what}")
    ended.set()
    for _ in watchers:
        name, found = out.get()
        percentile = statistics.quantiles(found, n=100)[98]
        print(
            f"{name}: {len(found)} times NOOP, median {statistics.median(found):.1f} ms, 99 % within {percentile:.1f} ms,"
            f" at most {max(found):.1f} ms"
        )
    storm.join()


if __name__ == "__main__":
    main(sys.argv[1:])
