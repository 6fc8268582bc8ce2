"""
``make bench-quick``: in under two minutes, whether Hermes is as fast beside Postfix and Dovecot as it was.

A few short rows, pair by pair in rounds, so that a moment at which the machine has other work meets one pair of each row and not
all of one. What fell by more than a fifth is told. The exit status is 1 only when a row fell by half, twice in a row; when the
machine has much other work, only when it fell by three quarters.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from bench import load, ratios
from bench.load import Load
from bench.pairs import Options
from bench.pop3_client import POP3Client
from bench.pop3_rows import THREADS, readers
from bench.side_by_side import beside_postfix
from bench.smtp_rows import KIB, MB, check_relayed

#: Pairs of each row: as many as there is time for. The median of three is right when one of them was disturbed.
MIN_ROUNDS, MAX_ROUNDS = 3, 9

#: After so many seconds no other round begins. Starting and stopping the servers, a round of a slow machine, and a second look
#: come on top of it.
BUDGET_SECONDS = 50.0

DELIVERED = [
    Load(600, 4 * KIB, 10, False),
    Load(800, 4 * KIB, 10, True),
    Load(80, MB, 10, False),
]
RELAYED = [Load(400, 4 * KIB, 10, False)]

#: All of it goes before what else the machine does, where the system lets it: that changes ratios less than other work does.
NICENESS = -10

#: So many processors are used, however many there are: with more, Postfix's many processes gain and one process does not.
PROCESSORS = 2

#: The part of the processors from which on a machine counts as busy, before anything is measured or after it.
BUSY = 0.25

#: How long a look at the processors is.
LOOK_SECONDS = 1.5

#: What Hermes does and what the other does, each in messages or sessions a second.
Pair = tuple[Callable[[], float], Callable[[], float]]


def measure(pairs: Mapping[str, Pair], most: int, budget_seconds: float) -> dict[str, float]:
    """The median ratio of each row."""
    found: dict[str, list[float]] = {what: [] for what in pairs}
    began = time.monotonic()
    for number in range(most):
        if number >= MIN_ROUNDS and time.monotonic() - began > budget_seconds:
            break
        for what, (ours, theirs) in pairs.items():
            if number % 2:
                other, own = theirs(), ours()
            else:
                own, other = ours(), theirs()
            found[what].append(own / other)
    return {what: statistics.median(some) for what, some in found.items()}


def look(pairs: Mapping[str, Pair], stored: Mapping[str, float]) -> dict[str, float]:
    """Measure; what fell by half is measured again, and the better of the two counts."""
    measured = measure(pairs, MAX_ROUNDS, BUDGET_SECONDS)
    bad = [each.what for each in ratios.compare(stored, measured) if each.is_bad]
    again = measure({what: pairs[what] for what in bad}, MIN_ROUNDS, 0)
    return {what: max(ratio, again.get(what, 0)) for what, ratio in measured.items()}


def busy_part(before: str, after: str) -> float:
    """How much of the processors was in use between two looks at ``/proc/stat``, by this machine or by others on its host."""
    earlier, later = ([int(word) for word in text.splitlines()[0].split()[1:9]] for text in (before, after))
    spent = [then - now for now, then in zip(earlier, later, strict=True)]
    # proc(5): user nice system idle iowait irq softirq steal
    return 1 - (spent[3] + spent[4]) / max(1, sum(spent))


def busy_now() -> float:
    """The same for a moment from now on."""
    stat = Path("/proc/stat")
    before = stat.read_text()
    time.sleep(LOOK_SECONDS)
    return busy_part(before, stat.read_text())


def rows(root: Path, stack: ExitStack) -> dict[str, Pair]:
    """Start everything; what is measured, by its name."""
    options = Options(scale=0.01)
    for part in ("smtp", "pop3"):
        (root / part).mkdir(mode=0o755)
    sides = stack.enter_context(beside_postfix(root / "smtp", options))
    client = POP3Client(root)
    _, hermes, dovecot, _ = stack.enter_context(readers(options, root / "pop3", client))
    found: dict[str, Pair] = {}
    for one in DELIVERED:
        found[f"delivered: {one}"] = (
            partial(load.delivered_per_second, sides.hermes, one),
            partial(load.delivered_per_second, sides.postfix, one),
        )
    for one in RELAYED:
        found[f"relayed: {one}"] = (
            partial(load.relayed_per_second, sides.hermes, one, sides.sink),
            partial(load.relayed_per_second, sides.postfix, one, sides.sink),
        )
    found[f"login, STAT, QUIT, {THREADS} at once"] = (
        partial(hermes.logins_per_second, THREADS, 20),
        partial(dovecot.logins_per_second, THREADS, 20),
    )
    found[f"RETR of 4 KiB, {THREADS} at once"] = (
        partial(hermes.messages_per_second, THREADS, 3, root / "copy"),
        partial(dovecot.messages_per_second, THREADS, 3, root / "copy"),
    )
    # What is done for the first time takes longer: caches, passwords, the disk.
    for ours, theirs in found.values():
        ours()
        theirs()
    check_relayed(sides, RELAYED[0])
    return found


def main() -> int:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.quick", description=__doc__)
    parser.add_argument("--store", action="store_true", help="remember what is measured, for the next time")
    chosen = parser.parse_args()
    began, stored = time.monotonic(), {} if chosen.store else ratios.load()
    with suppress(OSError):
        os.nice(NICENESS)
    # All that is started from here has the same.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSORS])
    busy = busy_now()
    with tempfile.TemporaryDirectory(prefix="hermes-bench-") as directory, ExitStack() as stack:
        measured = look(rows(Path(directory), stack), stored)
    busy = max(busy, busy_now())
    comparisons = ratios.compare(stored, measured, ratios.BAD_FROM_WHEN_BUSY if busy > BUSY else ratios.BAD_FROM)
    print("Hermes beside Postfix and Dovecot: how many times as fast")
    print("\n".join(map(str, comparisons)))
    if busy > BUSY:
        print(f"other work takes {busy:.0%} of the processors: only what fell by three quarters counts as bad")
    print(f"{ratios.summary(comparisons)} ({time.monotonic() - began:.0f} s)")
    if chosen.store:
        ratios.store(measured)
    return 1 if any(each.is_bad for each in comparisons) else 0


if __name__ == "__main__":
    sys.exit(main())
