"""A Hermes and a Postfix that run beside each other, with one sink for what both relay."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from bench.load import Sink
from bench.pairs import Options
from bench.postfix import Postfix
from bench.process import free_ports
from bench.site import Hermes


@attrs.frozen
class Sides:
    """Both, running; ``idle_octets`` is the memory of Hermes before anything was asked of it."""

    hermes: Hermes
    postfix: Postfix
    sink: Sink
    idle_octets: tuple[int, int]

    def versions(self) -> list[str]:
        """Of both."""
        return [self.hermes.version(), self.postfix.version()]


@contextmanager
def beside_postfix(root: Path, options: Options, accounts: Iterable[str] = ()) -> Iterator[Sides]:
    """Start both with these accounts beside "user", and stop them."""
    if os.getuid() != 0:
        raise SystemExit("Postfix runs as root only: so does this measurement")
    names = list(accounts)
    (sink_port,) = free_ports(1)
    sink = Sink(sink_port, root / "sink.log")
    hermes = Hermes(root / "hermes", sink_port, options.workers, accounts=names)
    postfix = Postfix(root / "postfix", sink_port, names)
    try:
        hermes.start()
        try:
            idle_octets = hermes.resident_octets()
            postfix.start()
            try:
                yield Sides(hermes, postfix, sink, idle_octets)
            finally:
                postfix.stop()
        finally:
            hermes.stop()
    finally:
        sink.stop()
