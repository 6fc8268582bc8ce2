"""One message to many people here, beside Postfix: what is done once, and what for each of them."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from bench.load import Load, check_mailbox, send
from bench.pairs import Options, in_turn
from bench.postfix import Postfix
from bench.process import files_in, wait_until
from bench.side_by_side import beside_postfix
from bench.site import Hermes
from bench.smtp_rows import KIB, scaled
from bench.table import Section

RECIPIENTS = 50

#: smtp-source puts a number before the name of each recipient but the first.
OTHERS = [f"{number}user" for number in range(2, RECIPIENTS + 1)]
NAMES = ["user", *OTHERS]

LOADS = [Load(50, 4 * KIB, 1, False), Load(100, 4 * KIB, 10, False), Load(10, 1024 * KIB, 1, False)]


def measure(options: Options, root: Path) -> Section:
    """All rows."""
    with beside_postfix(root, options, OTHERS) as sides:
        rows = []
        for one in LOADS:
            some = scaled(options, one)
            rows.append(
                in_turn(
                    f"one message to {RECIPIENTS} people: {one}",
                    options.pairs,
                    partial(copies_per_second, sides.hermes, some),
                    partial(copies_per_second, sides.postfix, some),
                )
            )
        return Section("recipients", "Postfix", options, sides.versions(), rows, unit="copies/s")


def copies_per_second(server: Hermes | Postfix, one: Load) -> float:
    """Copies a second, from the first connection until the last is in its maildir."""
    for name in NAMES:
        server.clear(name)
    began = time.monotonic()
    send(server, one, "user@example.org", RECIPIENTS)
    wait_until(
        f"{one.messages} messages in each of {RECIPIENTS} maildirs",
        lambda: all(sum(1 for _ in files_in(server.mailbox(name))) >= one.messages for name in NAMES),
    )
    seconds = time.monotonic() - began
    for name in NAMES:
        check_mailbox(server.name, server.mailbox(name), one)
    return one.messages * RECIPIENTS / seconds
