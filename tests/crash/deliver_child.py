"""
A delivery that dies: run by :mod:`tests.crash.test_delivery_steps` in a process of its own.

Arguments: maildirs with commas between them, file of the spool or ``-`` for a body in memory, name, number of the step before
which to die (0: never), and yes when the delivery may have been made before. Prints the steps that it came to.
"""

from __future__ import annotations

import os
import signal
import sys

from hermes.mailbox.deposit import Deposit, Depositor

#: What is delivered when it does not come from a file.
BODY = b"Return-Path: <ann@example.com>\nSubject: x\n\n" + b"body\n" * 500


def main() -> None:
    """Deliver, or die."""
    paths, source, name, die_at, repeated = sys.argv[1:]
    steps = 0

    def before(step: str) -> None:
        nonlocal steps
        steps += 1
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()
        if steps == int(die_at):
            os.kill(os.getpid(), signal.SIGKILL)

    data, file = (BODY, None) if source == "-" else (None, source)
    group = [Deposit(path, [name], data, file, repeated == "yes") for path in paths.split(",")]
    for error in Depositor(before).perform(group):
        if error is not None:
            raise error


if __name__ == "__main__":
    main()
