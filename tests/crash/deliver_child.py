"""
A delivery that dies: see :mod:`tests.crash.mortal` for how it is run.

Further arguments: the file that the body comes from or ``-`` for a body in memory, yes when the maildirs are there already, and
their names, which stand below the path.
"""

from __future__ import annotations

import os
import sys

from hermes.mailbox import maildir
from hermes.mailbox.deposit import Deposit, Depositor
from tests.crash.mortal import Death, main

#: What is delivered when it does not come from a file.
BODY = b"Return-Path: <ann@example.com>\nSubject: x\n\n" + b"body\n" * 500

#: What its file is called.
NAME = f"1700000000.01GA4GC6N2T0_0.mail.example.org,S={len(BODY)},W={len(BODY) + BODY.count(10)}"


def deposit(path: str, source: str, *, repeated: bool) -> Deposit:
    """The delivery to one maildir."""
    data, file = (BODY, None) if source == "-" else (None, source)
    return Deposit(path, [NAME], data, file, repeated)


def live(death: Death, path: str) -> None:
    """Deliver for the first time."""
    source, made, *names = sys.argv[2:]
    maildirs = [os.path.join(path, name) for name in names]
    os.mkdir(path)
    for each in maildirs if made == "yes" else ():
        maildir.make(each)
    for error in Depositor(death.before).perform([deposit(each, source, repeated=False) for each in maildirs]):
        if error is not None:
            raise error


if __name__ == "__main__":
    main(live)
