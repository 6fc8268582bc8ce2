"""
A spool full of deferred mail, made in seconds; and how long everything takes that is asked of it.

``python -m tests.bench.filled_spool CONFIG [COUNT]`` fills the spool of a site whose server does not run, and prints how long
``hermes queue`` takes for each question, start of the interpreter included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from hermes.config.loader import load
from hermes.config.places import spool_directory
from hermes.core.envelope import Envelope, Origin, Recipient
from hermes.core.event import Event, Kind
from hermes.core.identifiers import encode
from hermes.core.message import Content, QueuedMessage, QueuedRecipient, State
from hermes.spool.bodies import Disk
from hermes.spool.committer import Committer
from hermes.spool.operations import Accept

#: Messages in one transaction.
GROUP = 2000

OCTETS = b"Return-Path: <a@example.org>\nSubject: bench\n\n" + b"A line of text.\n" * 40

QUESTIONS = (
    ("count",),
    ("count", "--to", "domain7.example"),
    ("count", "--reply", "MAILBOX FULL", "--state", "deferred"),
    ("count", "--older", "2h", "--younger", "1d", "--from", "*@example.org", "--destination", "direct:domain1*"),
    ("list",),
    ("list", "--to", "domain7.example", "--older", "1h"),
    ("shape",),
    ("shape", "--by", "sender"),
)


def fill(directory: str, count: int, now: float, span_seconds: float = 2 * 86400, wait_seconds: float = 86400) -> None:
    """
    Put so many messages into a spool, accepted over ``span_seconds`` until now, all tried and due some time in the next
    ``wait_seconds``; their senders and recipients are of some hundred domains.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    committer = Committer(directory, Disk())
    committer.open()
    try:
        for start in range(0, count, GROUP):
            numbers = range(start, min(start + GROUP, count))
            committer.perform([_accepted(number, count, now, span_seconds, wait_seconds) for number in numbers])
    finally:
        committer.close()


def _accepted(number: int, count: int, now: float, span: float, wait: float) -> Accept:
    at = now - span + span * number / count
    queue_id = encode(int(at * 1_000_000) + number % 7)
    sender, to = f"user{number % 1000}@sender{number % 97}.example", f"person{number}@domain{number % 300}.example"
    reason = ("451 4.7.1 come back later", "452 4.2.2 mailbox full", "connection refused")[number % 3]
    recipient = QueuedRecipient(
        0,
        to,
        None,
        None,
        f"direct:domain{number % 300}.example",
        1 + number % 9,
        now + 60 + wait * number / count,
        State.HELD if number % 50 == 0 else State.QUEUED,
        reason,
    )
    message = QueuedMessage(
        queue_id,
        at,
        Envelope(sender, (Recipient(to),)),
        Origin("ESMTPSA", "192.0.2.7", "client.example", None, "anna"),
        f"<{number}@example.org>",
        Content(len(OCTETS), len(OCTETS), 29, data=OCTETS),
        [recipient],
    )
    return Accept(message, Event(at, Kind.RECEIVED, queue_id, to, sender, message.message_id))


def main(config: str, count: int) -> None:
    """Fill and measure."""
    begun = time.monotonic()
    fill(spool_directory(load(config)), count, time.time())
    sys.stdout.write(f"{count} messages in {time.monotonic() - begun:.1f} s\n")
    for question in QUESTIONS:
        begun = time.monotonic()
        command = [sys.executable, "-m", "hermes.cli.main", "queue", *question, "-c", config]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sys.stdout.write(f"{time.monotonic() - begun:6.2f} s  hermes queue {' '.join(question)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
