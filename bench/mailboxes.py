"""Maildirs that are full before anything is measured, and whether what a client fetched is what is in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

HEAD = """\
Return-Path: <sender@example.net>
Received: from client.example.net by bench.example.org; Sat, 21 Nov 2026 12:00:00 +0000
From: sender@example.net
To: user@example.org
Subject: number {0}
Message-ID: <{0}@example.net>
"""

#: The dots are doubled on the way, and halved again.
LINES = ("A line of text, of which there are some more.\n", ".A line that begins with a dot.\n", ".\n")


def message(number: int, octets: int) -> bytes:
    """A message of about so many octets, as it is on disk: with LF."""
    text = HEAD.format(number) + "\n"
    while len(text) < octets:
        text += LINES[len(text) % len(LINES)]
    return text.encode()


def fill(mailbox: Path, count: int, octets: int) -> None:
    """
    Put so many messages into a maildir that its server has made, or make it.

    All have been read, and their names tell their sizes as those of Courier, Dovecot and Hermes do: nothing is left for
    the first reader to change or to measure.
    """
    for part in ("tmp", "new", "cur"):
        (mailbox / part).mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = (mailbox / "cur").stat()
    for number in range(count):
        body = message(number, octets)
        wire = len(body) + body.count(b"\n")
        path = mailbox / "cur" / f"{1_700_000_000 + number}.M{number}P1.bench,S={len(body)},W={wire}:2,S"
        path.write_bytes(body)
        os.chown(path, owner.st_uid, owner.st_gid)


def check_fetched(who: str, fetched: Sequence[bytes], mailbox: Path) -> None:
    """See that what was fetched is what is in the mailbox, all of it, octet by octet."""
    there = [
        path.read_bytes().replace(b"\n", b"\r\n") for part in ("new", "cur") for path in (mailbox / part).iterdir()
    ]
    if sorted(fetched) != sorted(there):
        raise AssertionError(f"{who}: {len(fetched)} messages were fetched, {len(there)} are there, or they differ")
