"""An export that dies: see :mod:`tests.crash.mortal` for how it is run. What is to be exported lies beside the targets."""

from __future__ import annotations

import os

from hermes.mailbox.export_files import CnmTarget, MaildirTarget
from hermes.mailbox.export_mbox import MboxTarget
from hermes.mailbox.exporting import Exported, export
from tests.crash.mortal import Death, main

#: The kinds of target, by the beginnings of their names.
TARGETS = {"mbox": MboxTarget, "grown": MboxTarget, "maildir": MaildirTarget, "cnm": CnmTarget}

#: What the target called grown has already.
EARLIER = b"b: 1\n\nother\n"
_GROWN = b"From a@example.org Thu Jan  1 10:00:00 2026\n" + EARLIER + b"\n"


def again(target: str) -> Exported:
    """Export the mailbox beside a target into it."""
    directory, name = os.path.split(target)
    opened = TARGETS[name.partition("-")[0]](target)
    done = Exported()
    try:
        export(os.path.join(directory, "joe"), [""], opened, done, lambda seen, total: None)  # type: ignore[arg-type]
    finally:
        opened.close()  # type: ignore[attr-defined]
    return done


def live(death: Death, target: str) -> None:
    """The first export."""
    death.on_disk()
    if os.path.basename(target).startswith("grown"):
        with open(target, "wb") as file:
            file.write(_GROWN)
    again(target)


if __name__ == "__main__":
    main(live)
