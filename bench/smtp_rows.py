"""Receiving and relaying beside Postfix: small and large messages, few sessions and many."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import attrs

from bench import load
from bench.load import Load, Server
from bench.pairs import Options, Row, in_turn
from bench.side_by_side import Sides, beside_postfix
from bench.table import Section, memory

KIB, MB = 1024, 1024**2

SMALL = [
    Load(1000, 4 * KIB, 1, False),
    Load(2000, 4 * KIB, 10, False),
    Load(2000, 4 * KIB, 40, False),
    Load(1000, 4 * KIB, 1, True),
    Load(2000, 4 * KIB, 10, True),
    Load(2000, 4 * KIB, 40, True),
]

LARGE = [
    Load(100, MB, 1, False),
    Load(200, MB, 10, False),
    Load(200, MB, 40, False),
    Load(100, MB, 1, True),
    Load(200, MB, 10, True),
    Load(200, MB, 40, True),
]

RELAYED = [
    Load(500, 4 * KIB, 1, False),
    Load(1000, 4 * KIB, 10, False),
    Load(1000, 4 * KIB, 40, True),
    Load(100, MB, 10, False),
]


def measure(options: Options, root: Path) -> Section:
    """All rows."""
    with beside_postfix(root, options) as sides:
        rows = [delivered(options, one, sides.hermes, sides.postfix) for one in (*SMALL, *LARGE)]
        rows += [relayed(sides, options, one) for one in RELAYED]
        note = f"Idle memory of Hermes: {memory(sides.idle_octets)}."
        return Section("smtp", "Postfix", options, sides.versions(), rows, [note], "messages/s")


def delivered(options: Options, one: Load, hermes: Server, peer: Server) -> Row:
    """Messages a second into a maildir."""
    some = scaled(options, one)
    return in_turn(
        f"delivered: {one}",
        options.pairs,
        partial(load.delivered_per_second, hermes, some),
        partial(load.delivered_per_second, peer, some),
    )


def relayed(sides: Sides, options: Options, one: Load) -> Row:
    """Messages a second to the next server."""
    some = scaled(options, one)
    row = in_turn(
        f"relayed: {one}",
        options.pairs,
        partial(load.relayed_per_second, sides.hermes, some, sides.sink),
        partial(load.relayed_per_second, sides.postfix, some, sides.sink),
    )
    check_relayed(sides, some)
    return row


def check_relayed(sides: Sides, one: Load) -> None:
    """See that what both relay is what they were sent."""
    for server in (sides.hermes, sides.postfix):
        with tempfile.TemporaryDirectory(prefix="hermes-sink-") as directory:
            # The sink writes there as another user.
            Path(directory).chmod(0o711)
            load.check_relayed(server, one, sides.sink, Path(directory) / "kept")


def scaled(options: Options, one: Load) -> Load:
    """The same with as many messages as were asked for, one at least in each session."""
    return attrs.evolve(one, messages=options.scaled(one.messages, one.sessions))
