"""The POP3 client of ``pop3_client.c``: compiled, run, and what it measured."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import attrs

SOURCE = Path(__file__).with_name("pop3_client.c")

#: A run is seconds; the client itself waits two minutes for an answer.
PATIENCE_SECONDS = 900


@attrs.frozen
class Measured:
    """What one run did, and how long it took; ``latency_ms`` has count, p50, p90, p99 and max by what was timed."""

    sessions: int
    messages: int
    octets: int
    seconds: float
    latency_ms: Mapping[str, Mapping[str, float]]


class POP3Client:
    """The compiled client, in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._program = directory / "pop3_client"
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", str(self._program), str(SOURCE)]
        subprocess.run(command, check=True)

    def run(
        self,
        port: int,
        name: str,
        password: str,
        *options: str,
        threads: int = 1,
        sessions: int = 1,
        copy: Path | None = None,
    ) -> Measured:
        """
        Run so many sessions in each of the threads; ``copy`` gets the messages of the first one.

        The options are those of the program: ``-l``, ``-r``, ``-n SECONDS``. AssertionError says what was answered wrongly.
        """
        words = [str(self._program), *options, *(("-o", str(copy)) if copy else ())]
        words += [str(port), str(threads), str(sessions), name, password]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if done.returncode:
            raise AssertionError(done.stderr.strip() or f"pop3_client ended with {done.returncode}")
        facts = json.loads(done.stdout)
        latency = {key.removesuffix("_ms"): value for key, value in facts.items() if key.endswith("_ms")}
        result = Measured(facts["sessions"], facts["messages"], facts["octets"], facts["seconds"], latency)
        if result.sessions != threads * sessions:
            raise AssertionError(f"{result.sessions} sessions where {threads * sessions} were wanted")
        return result


def messages_of(copy: Path) -> list[bytes]:
    """The messages that a run wrote down."""
    octets, messages = copy.read_bytes(), []
    while octets:
        length, _, octets = octets.partition(b"\n")
        messages.append(octets[: int(length)])
        octets = octets[int(length) :]
    return messages
