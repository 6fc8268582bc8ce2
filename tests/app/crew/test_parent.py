"""The parent of several workers: a reload that all of them take, or none."""

from __future__ import annotations

from typing import Any

from twisted.internet import unix
from twisted.internet.defer import Deferred

from hermes.app.crew.link import Answer, Change, Forget, Prepare
from hermes.app.crew.member import State
from hermes.app.crew.parent import Parent
from hermes.config.loader import load
from tests.app.crew.test_crew import CrewTestCase
from tests.support.configuration import MINIMAL, write_config


class ReloadTests(CrewTestCase):
    """Parent.reload()."""

    def setUp(self) -> None:
        """Keep Twisted from comparing the path of a UNIX socket, which it has in octets, with text too."""
        super().setUp()
        self.patch(unix, "_inFilesystemNamespace", lambda path: path[:1] != b"\0")

    async def running(self) -> Parent:
        """A parent with its two workers."""
        path = write_config(self, MINIMAL + "workers = 2\n")
        failures: list[Any] = []
        nursery: Any = self.nursery
        parent = Parent(path, load(path), self.clock, failures.append, self.broken.append, nursery, self.tables)
        self.crew = parent._crew
        parent.service.startService()
        assert parent.service._starting is not None
        await parent.service._starting
        self.assertEqual(failures, [])
        self.addCleanup(self.end_of, parent)
        return parent

    async def end_of(self, parent: Parent) -> None:
        """Stop."""
        stopped = parent.service.stopService()
        await self.until(lambda: all(member.state is not State.READY for member in self.crew.members))
        for member in self.crew.members:
            self.nursery.kill(member.number, 0)
        await stopped
        await self.hang_up()

    async def test_one_refuses(self) -> None:
        """Who has made ready what another cannot go by is told to forget it; nobody changes, and the next reload is taken."""
        parent = await self.running()
        wrong = Answer(0, error="value", text="it cannot be used")
        self.nursery.answers |= {"Prepare": {0: "ready", 1: wrong}, "Change": {0: "done", 1: "done"}}
        settings = parent.settings
        with self.assertRaisesRegex(ValueError, "it cannot be used"):
            await parent.reload()
        self.assertIs(parent.settings, settings)
        actors = [self.nursery.alive(number) for number in range(2)]
        await self.until(lambda: all(actor.of(Forget) for actor in actors))
        self.assertEqual([len(actor.of(Prepare)) for actor in actors], [1, 1])
        self.assertEqual([actor.of(Change) for actor in actors], [[], []])
        self.nursery.answers["Prepare"][1] = "ready"
        self.assertEqual(await Deferred.fromCoroutine(parent.reload()), "The configuration is in force.")
        self.assertEqual([len(actor.of(Change)) for actor in actors], [1, 1])
        self.assertEqual([len(actor.of(Forget)) for actor in actors], [1, 1])
        self.assertIsNot(parent.settings, settings)
