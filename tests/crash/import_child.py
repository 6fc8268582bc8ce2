"""An import that dies: see :mod:`tests.crash.mortal` for how it is run."""

from __future__ import annotations

from hermes.mailbox.kept_mail import Heading
from tests.crash.mortal import Death, main
from tests.support.kept import Messages, import_into
from tests.support.maildirs import NOW

#: New ones, old ones, a large one, one in a folder, and two that are the same.
TEXTS = (b"a: 1\n\nnew\n", b"a: 2\n\nold\n", b"a: 3\n\n" + b"large\n" * 60_000, b"a: 4\n\nfolder\n", b"a: 1\n\nnew\n")


def source() -> Messages:
    """What is imported."""
    return Messages(
        (Heading("1", at=NOW - 5), TEXTS[0]),
        (Heading("2", flags="S", is_old=True), TEXTS[1]),
        (Heading("3", at=NOW - 9), TEXTS[2]),
        (Heading("4", ".Work"), TEXTS[3]),
        (Heading("5", at=NOW - 5), TEXTS[4]),
        cut=100_000,
    )


def live(death: Death, path: str) -> None:
    """Import into a mailbox that is not there yet."""
    death.on_disk()
    import_into(path, source())


if __name__ == "__main__":
    main(live)
