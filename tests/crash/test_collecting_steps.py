"""A collector that ends before or after any of its durable steps: the next one gets every message once, and loses none."""

from __future__ import annotations

from typing import Any

from hermes.services.collected_message import CollectedMessage
from hermes.services.uid_memory import UidMemory
from tests.support.collecting import CollectingCase, message


class KilledError(Exception):
    """The process is no more."""


class CollectingStepsTests(CollectingCase):
    """
    The steps: the intention, the commit, the end of the intention, the deletion, its note.

    What was durable at the moment is what the next process finds; nothing that would have followed is done.
    """

    async def check(self, owner: Any, step: str, *, after: bool, uidl: bool) -> None:
        """End at one step, and begin anew."""
        box = self.serve(message(1), message(2), message(3))
        if not uidl:
            box.uids = None
            box.capabilities = ("USER",)
        original = getattr(owner, step)

        async def killed(*arguments: Any, **more: Any) -> Any:
            if after:
                await original(*arguments, **more)
            raise KilledError

        setattr(owner, step, killed)
        try:
            await self.collect(box)
        except KilledError:
            pass
        finally:
            setattr(owner, step, original)
        self.flushLoggedErrors(KilledError)
        await self.restart()
        for _ in range(2):
            report = await self.collect(box)
            self.assertEqual(report.problem, "")
        about = (step, after, uidl)
        ids = await self.queue_ids()
        self.assertEqual(len(ids), 3, about)
        found = sorted(octets for octets, _ in await self.stored())
        self.assertEqual(found, [message(1), message(2), message(3)], about)
        self.assertEqual(box.messages, [], about)
        for queue_id in ids:
            await self.spool.remove(queue_id, (await self.spool.track(queue_id, 1))[0])

    async def test_every_step(self) -> None:
        """Before and after each, for a server with unique ids and one without."""
        for uidl in (True, False):
            for after in (False, True):
                for owner, step in (
                    (UidMemory, "load"),
                    (UidMemory, "intend"),
                    (CollectedMessage, "finish"),
                    (UidMemory, "settle"),
                    (UidMemory, "deleted"),
                ):
                    await self.check(owner, step, after=after, uidl=uidl)
