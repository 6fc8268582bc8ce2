"""
``python -m bench.checks``: what the checks of the SMTP server cost that need no network.

First the pipeline alone, inside this process: microseconds for all stages of one message, with everything on and as shipped. Then
a whole server with everything off and one with everything on, in turn: messages a second, and processor time a message. The
clients are strangers: a PROXY header gives each an address of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from bench.everything import ENTRIES, OFF, ON, write_files
from bench.process import files_in, free_ports, wait_until
from bench.site import Hermes
from hermes.app.circle import Circle
from hermes.app.stores import Stores
from hermes.config.loader import load
from hermes.core.envelope import Origin, Recipient
from hermes.core.header import Header
from hermes.core.message import Content
from hermes.core.outcome import Verdict
from hermes.core.policy import Case, Stage
from hermes.core.transaction import Transaction
from hermes.policy.greylist import Greylist
from hermes.policy.greylist_store import Row
from hermes.policy.pipeline import Pipeline

HEADER = b"""\
Return-Path: <sender@example.com>
Received: from client.example.com ([192.0.2.7]) by bench.example.org; Sat, 21 Nov 2026 12:00:00 +0000
From: "A sender" <sender@example.com>
To: user@example.org
Subject: A letter about nothing in particular, as people write them
Date: Sat, 21 Nov 2026 12:00:00 +0000
Message-ID: <1@client.example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
"""
MESSAGE = HEADER + b"\n" + b"A line of text, of which there are some more.\n" * 85

_MINIMAL = """\
[hermes]
hostname = bench.example.org
domains = example.org
postmaster = user@example.org
data = data
"""

#: The A/B rows send as Postfix's smtp-source does in bench/load.py: 4 KiB, 10 sessions, a connection a message.
SESSIONS = 10


class _Known:
    """Where the greylist would be kept: one network is known, and nothing is written."""

    def open(self) -> list[Row]:
        return [Row("192.0.2.0/24", "", time.time())]

    def put(self, row: Row) -> None: ...

    def expire(self, first_before: float, last_before: float) -> None: ...


class _Whole:
    """A message that is whole."""

    size_octets = len(MESSAGE)

    async def content(self) -> Content:
        return Content(len(MESSAGE), len(MESSAGE), 0, data=MESSAGE)


def circle(directory: Path, more: str) -> Circle:
    """What a server with these settings judges by."""
    config = directory / "config.ini"
    config.write_text(_MINIMAL + more)
    config.chmod(0o600)
    data = directory / "data"
    data.mkdir(exist_ok=True)
    write_files(data)
    settings, clock = load(str(config)), Clock()
    stores = Stores(settings, clock, time.time)
    known: Any = _Known()
    stores.greylist = Greylist(known, time.time)
    nobody: Any = None
    return Circle(settings, stores, clock, clock.seconds, lambda: nobody)


def one_message(one: Circle) -> None:
    """A whole session with one message, as the checks see it."""
    visit = one.visit_of("192.0.2.7")
    _ask(one, Case(Stage.CONNECT, visit))
    visit.hello = "client.example.com"
    _ask(one, Case(Stage.HELLO, visit, "EHLO client.example.com"))
    transaction = Transaction(
        Origin("ESMTP", visit.peer, visit.hello), "smtp", False, "sender@example.com", len(MESSAGE), visit=visit
    )
    _ask(one, Case(Stage.SENDER, visit, "MAIL FROM:<sender@example.com> SIZE=4000", transaction))
    recipient = Recipient("user@example.org")
    _ask(one, Case(Stage.RECIPIENT, visit, "RCPT TO:<user@example.org>", transaction, recipient))
    if one.checks.wanted(Stage.HEADER) or one.checks.wanted(Stage.MESSAGE):
        header = Header(HEADER, whole=True)
        _ask(one, Case(Stage.HEADER, visit, "", transaction, header=header))
        _ask(one, Case(Stage.MESSAGE, visit, "", transaction, header=header, message=_Whole()))


def _ask(one: Circle, case: Case) -> None:
    if not one.checks.wanted(case.stage):
        return
    verdict: Any = one.checks.judge(case)
    if not isinstance(verdict, Verdict):
        # Nothing in it has to wait for anybody: it runs through at once.
        try:
            verdict.send(None)
        except StopIteration as end:
            verdict = end.value
        else:
            raise AssertionError(f"a check waits at {case.stage.value}")
    if verdict.reply is not None:
        raise AssertionError(f"{case.stage.value}: {verdict}")


def microseconds(one: Circle, messages: int, rounds: int = 100) -> float:
    """What the checks cost a message: the least of some rounds with them, without what the same takes with none."""
    every, none = one.checks, Pipeline()
    best = dict.fromkeys((every, none), float("inf"))
    for _ in range(rounds):
        for pipeline in (every, none):
            one.checks = pipeline
            began = time.process_time()
            for _ in range(messages):
                one_message(one)
            # Whatever else runs on the machine can only make it longer: by the caches, and by a core that is two.
            best[pipeline] = min(best[pipeline], (time.process_time() - began) / messages * 1e6)
    one.checks = every
    return best[every] - best[none]


def _session(port: int, first: int, messages: int) -> None:
    body = MESSAGE.replace(b"\n", b"\r\n")
    for number in range(first, first + messages):
        peer = f"192.0.{number // 200 % 200}.{number % 200 + 1}"
        with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as heard:
            connection.sendall(f"PROXY TCP4 {peer} 127.0.0.1 1 25\r\n".encode())
            for said in (
                b"",
                b"EHLO client.example.com\r\n",
                b"MAIL FROM:<sender@example.com> SIZE=4200\r\n",
                b"RCPT TO:<user@example.org>\r\n",
                b"DATA\r\n",
                body + b".\r\n",
                b"QUIT\r\n",
            ):
                connection.sendall(said)
                while (line := heard.readline())[3:4] == b"-":
                    pass
                if line[:1] not in (b"2", b"3"):
                    raise AssertionError(f"{said[:40]!r} was answered {line!r}")


def whole_server(server: Hermes, messages: int) -> tuple[float, float]:
    """Messages a second that are delivered, and milliseconds of processor time for each."""
    server.clear()
    used, began = server.cpu_seconds(), time.monotonic()
    clients = [
        multiprocessing.Process(target=_session, args=(server.port, n * messages, messages // SESSIONS))
        for n in range(SESSIONS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if any(client.exitcode for client in clients):
        raise AssertionError(f"{server.name}: not everything was accepted")
    wait_until("the messages", lambda: sum(1 for _ in files_in(server.maildir)) >= messages)
    seconds = time.monotonic() - began
    return messages / seconds, (server.cpu_seconds() - used) / messages * 1000


def side_by_side(root: Path, messages: int, pairs: int) -> None:
    """A whole server without the checks and one with them, in turn."""
    (sink,) = free_ports(1)
    front_end = "front_ends = 127.0.0.1\nproxy_protocol = yes\n"
    servers = {}
    for name, more in (("off", OFF), ("on", ON + ENTRIES)):
        servers[name] = Hermes(root / name, sink, in_smtp=front_end, more=more)
        write_files(root / name / "data")
    results: dict[str, list[tuple[float, float]]] = {"off": [], "on": []}
    for pair in range(pairs + 1):
        for name in ("off", "on") if pair % 2 else ("on", "off"):
            servers[name].start()
            try:
                # The first messages of a process find everything cold.
                whole_server(servers[name], 10 * SESSIONS)
                result = whole_server(servers[name], messages)
            finally:
                servers[name].stop()
            # The first pair warms the disk.
            results[name] += [result] if pair else []
    _tell(results)


def _tell(results: dict[str, list[tuple[float, float]]]) -> None:
    for name, some in results.items():
        rates, cpu = zip(*some, strict=True)
        print(
            f"all checks {name:<3}  {statistics.median(rates):4.0f} messages/s (at best {max(rates):.0f});"
            f" {statistics.median(cpu):.2f} ms of processor time a message (at least {min(cpu):.2f})"
        )
    for position, what in enumerate(("messages/s", "processor time")):
        ratios = [on[position] / off[position] for off, on in zip(results["off"], results["on"], strict=True)]
        print(f"on / off, {what}: {statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})")


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.checks")
    parser.add_argument("--messages", type=int, default=100, help="in each of the rounds in this process")
    parser.add_argument("--sent", type=int, default=500, help="to each server in each pair; 0: none")
    parser.add_argument("--pairs", type=int, default=5)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        greylist = "\n[greylist]\nenabled = yes\n"
        for what, more in (("as shipped, without DNS", OFF), ("everything on", ON + ENTRIES + greylist)):
            one = circle(root, more)
            cost = microseconds(one, chosen.messages)
            names = " ".join(check.name for check in one.checks.checks() if check.stages)
            print(f"{what}: {cost:.0f} microseconds a message: {names}")
        if chosen.sent:
            side_by_side(root / "servers", chosen.sent - chosen.sent % SESSIONS, chosen.pairs)


if __name__ == "__main__":
    main(sys.argv[1:])
