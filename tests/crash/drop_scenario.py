"""
A day on which files are taken from a drop directory.

``python -m tests.crash.drop_scenario BASE`` lives it once for every step there is: see :mod:`tests.crash.day`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import attrs
from typing_extensions import override

from hermes.core.dropped import head_of
from hermes.core.envelope import Envelope, Recipient
from hermes.core.jobs import perform_each
from hermes.services import drop_files
from hermes.services.drop import Drop, Way
from hermes.spool.store import Spool
from tests.crash.day import LARGE, SMALL, Day, run
from tests.crash.mortal import Death
from tests.services.test_drop import Router
from tests.support.smtp_site import Site
from tests.support.worker import ImmediateWorker

#: What lies there in the morning: the texts, by the names of their files.
FILES = {"small": SMALL, "large": LARGE}


class MortalDrop(Drop):
    """Dies before each of its own steps, too."""

    def __init__(self, spool: Spool, death: Death) -> None:
        worker = ImmediateWorker()
        worker.start(perform_each)
        premises = attrs.evolve(Site().premises, spool=spool)
        super().__init__(worker, spool, lambda: Way(premises, Router(), "mail.example.org", 10))  # type: ignore[arg-type]
        self._death = death

    @override
    async def _do(self, step: Callable[..., Any], *arguments: Any) -> Any:
        self._death.before(step.__name__)
        result = await super()._do(step, *arguments)
        self._death.before(f"tell of {step.__name__}")
        return result


class DropDay(Day):
    """A small message and a large one are taken."""

    @override
    async def live(self) -> None:
        """From the morning to the evening."""
        await self.spool.open()
        directory = f"{self.directory}.drop"
        drop_files.make(directory, shared=False)
        to = (Recipient("alice@example.org"), Recipient("bob@example.org"))
        for name, text in FILES.items():
            with open(os.path.join(directory, drop_files.NEW, name), "wb") as file:
                file.write(head_of(Envelope(f"{name}@example.org", to)) + b"\n" + text)
        drop = MortalDrop(self.spool, self.death)
        self.note("begins", "")
        for file_ in drop_files.left(directory):
            taken = await drop.take(file_)
            self.note("taken", taken.queue_id)
        await self.spool.close()


if __name__ == "__main__":
    run(DropDay)
