"""The crew: workers are played by the test, at the far ends of real links; the nursery is, too; time stands still."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from hermes.app.crew.control import CrewCommands, CrewOrders, ask_all
from hermes.app.crew.crew import SILENT_TICKS, STOP_SECONDS, TICK_SECONDS, Crew, CrewError
from hermes.app.crew.link import (
    Adopt,
    Alive,
    Answer,
    Ask,
    Begin,
    Change,
    Failed,
    Link,
    Open,
    Prepare,
    Ready,
    Stop,
    connect,
)
from hermes.app.crew.lives import HEALTHY_SECONDS, MAX_DEATHS
from hermes.app.crew.member import State, UnavailableError
from hermes.app.crew.nursery import Born, Died
from hermes.config.schema import HermesSettings, Settings
from hermes.core.metric import GAUGE, Family, by_label, counter, gauge
from hermes.net.counts import SharedCounts, SharedTables


class Mixed(Clock):
    """Time is the test's, sockets are real."""

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class Actor:
    """One life of a worker: answers orders as the test has said."""

    def __init__(self, number: int, end: socket.socket, answers: dict[str, Any], begins: object) -> None:
        self.number = number
        self.heard: list[object] = []
        self.closed = False
        self._answers = answers
        self._begins = begins
        self.link = Link(self._received, self._lost)
        connect(reactor, end, self.link)

    def _received(self, order: Any, sockets: list[socket.socket]) -> None:
        self.heard.append(order)
        for one in sockets:
            one.close()
        if isinstance(order, Begin) and self._begins is not None:
            self.link.send(self._begins)
        elif isinstance(order, Ask | Prepare | Change | Adopt):
            name = order.command if isinstance(order, Ask) else type(order).__name__
            answer = self._answers.get(name, {}).get(self.number)
            if isinstance(answer, Answer):
                self.link.send(Answer(order.number, None, answer.error, answer.text))
            elif answer is not None:
                self.link.send(Answer(order.number, answer))

    def _lost(self) -> None:
        self.closed = True

    def of(self, kind: type) -> list[Any]:
        """What was heard of one kind."""
        return [order for order in self.heard if isinstance(order, kind)]


class Nursery:
    """Gives each link to an actor; its news are a pipe away, as the real one's are."""

    def __init__(self) -> None:
        self.lives: list[Actor] = []
        self.answers: dict[str, Any] = {}
        self.begins: dict[int, object] = {}
        self.unreachable = False
        self.ended = False
        self.closed = False
        self._news: list[Born | Died] = []
        self._ready, self._bell = socket.socketpair()

    def fileno(self) -> int:
        """What the reactor watches."""
        return self._ready.fileno()

    def order(self, number: int, link: socket.socket) -> None:
        """Bear an actor."""
        if self.unreachable:
            raise BrokenPipeError(32, "Broken pipe")
        self.lives.append(Actor(number, link.dup(), self.answers, self.begins.get(number, Ready())))
        self.tell(Born(number, 1000 + len(self.lives)))

    def tell(self, *news: Born | Died) -> None:
        """Have news."""
        self._news += news
        self._bell.send(b"!")

    def news(self) -> list[Born | Died] | None:
        """Tell them."""
        self._ready.recv(100)
        news, self._news = self._news, []
        return None if self.ended else news

    def end(self) -> None:
        """Die."""
        self.ended = True
        self._bell.send(b"!")

    def close(self) -> None:
        """The parent lets go."""
        self.closed = True
        self._ready.close()
        self._bell.close()

    def alive(self, number: int) -> Actor:
        """The actor of a number's present life."""
        return [actor for actor in self.lives if actor.number == number][-1]

    def kill(self, number: int, status: int = -9) -> None:
        """Let a worker die."""
        actor = self.alive(number)
        if actor.link.connected:
            actor.link.transport.loseConnection()  # type: ignore[union-attr]
        if self.ended:
            return
        self.tell(Died(number, 1001 + self.lives.index(actor), status))


class CrewTestCase(TestCase):
    """A crew of two."""

    timeout = 20

    def setUp(self) -> None:
        """Nothing has begun."""
        self.clock = Mixed()
        self.settings = Settings()
        self.nursery = Nursery()
        self.tables = SharedTables(2)
        self.broken: list[str] = []
        self.killed: list[int] = []
        self.patch(os, "kill", lambda process, number: self.killed.append(process))
        self.place = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.place.close)
        self.crew = Crew(
            self.clock,
            self.nursery,  # type: ignore[arg-type]
            self.tables,
            lambda: (self.settings, {"127.0.0.1:25": self.place}),
            self.broken.append,
        )

    async def start(self) -> None:
        """All workers are ready; at the end of the test they die."""
        await self.crew.start()
        self.addCleanup(self.end)

    async def end(self) -> None:
        """Stop, however many there still are."""
        if self.nursery.closed:
            await self.hang_up()
            return
        stopped = Deferred.fromCoroutine(self.crew.stop())
        for member in self.crew.members:
            if member.state is State.STOPPING:
                self.nursery.kill(member.number, 0)
        await stopped
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close all links."""
        for actor in self.nursery.lives:
            if actor.link.connected:
                actor.link.transport.loseConnection()  # type: ignore[union-attr]
        await self.until(lambda: all(actor.closed for actor in self.nursery.lives))

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for what goes over the links."""
        while not holds():
            await deferLater(reactor, 0.001)

    async def die(self, number: int, status: int = -9) -> None:
        """Let a worker die, and the crew hear of it."""
        self.nursery.kill(number, status)
        await self.until(lambda: self.crew.members[number].process == 0)

    async def live_again(self, number: int) -> None:
        """Let the pause pass, and wait for the successor."""
        self.clock.advance(10)
        await self.until(lambda: self.crew.members[number].state is State.READY)


class StartTests(CrewTestCase):
    """All or none."""

    async def test_start(self) -> None:
        """Every worker begins with the settings and the sockets; when all are ready, the start is over."""
        await self.start()
        for number in range(2):
            (begin,) = self.nursery.alive(number).of(Begin)
            self.assertEqual((begin.count, begin.places), (2, ("127.0.0.1:25",)))
        self.assertEqual([member.describe()["state"] for member in self.crew.members], ["ready", "ready"])
        await self.until(lambda: all(actor.of(Open) for actor in self.nursery.lives))
        self.assertEqual(list(self.tables.accepting), [1, 1])

    async def refused(self) -> str:
        """Why the start fails; the other one is stopped."""
        started = Deferred.fromCoroutine(self.crew.start())
        await self.until(lambda: self.nursery.alive(1).of(Begin))
        self.nursery.kill(1, 3)
        await self.until(lambda: self.nursery.alive(0).of(Stop))
        self.nursery.kill(0, 0)
        try:
            await started
        except CrewError as error:
            return str(error)
        raise AssertionError("it started")

    async def test_one_cannot_start(self) -> None:
        """The reason of the one that cannot start is the reason of all."""
        self.nursery.begins[1] = Failed("cannot open the spool")
        self.assertEqual(await self.refused(), "cannot open the spool")
        self.assertTrue(self.nursery.closed)

    async def test_one_dies(self) -> None:
        """One that dies without a word is told by how it died."""
        self.nursery.begins[1] = Alive()
        self.assertEqual(await self.refused(), "worker 1 could not start: ended with 3")

    async def test_no_nursery(self) -> None:
        """Without a nursery there is no start."""
        self.nursery.unreachable = True
        self.addCleanup(self.hang_up)
        await self.assertFailure(Deferred.fromCoroutine(self.crew.start()), CrewError)
        self.assertTrue(self.nursery.closed)


class DeathTests(CrewTestCase):
    """Workers that die."""

    async def test_successor(self) -> None:
        """After a pause there is a successor; connections of the dead one are forgotten, its sockets are there again."""
        await self.start()
        counts = SharedCounts(self.tables, 1)
        counts.enter("address 192.0.2.1")
        await self.die(1)
        self.assertEqual((counts.total(), list(self.tables.accepting)), (0, [1, 0]))
        self.assertEqual([member.number for member in self.crew.missing()], [1])
        self.assertEqual(len(self.nursery.lives), 2)
        self.clock.advance(0.5)
        await self.until(lambda: not self.crew.missing())
        self.assertEqual(len(self.nursery.alive(1).of(Begin)), 1)
        self.assertEqual(len(self.nursery.lives), 3)

    async def test_given_up(self) -> None:
        """One that dies again and again has its shard adopted by the other, who has it for as long as it lives."""
        self.nursery.answers["Adopt"] = {0: True, 1: True}
        await self.start()
        for _ in range(MAX_DEATHS - 1):
            await self.die(1)
            await self.live_again(1)
        await self.die(1)
        await self.until(lambda: self.nursery.alive(0).of(Adopt))
        self.assertEqual(self.nursery.alive(0).of(Adopt)[0].shard, 1)
        self.assertEqual(self.crew.members[1].state, State.GIVEN_UP)
        self.assertEqual((self.crew.missing(), len(self.crew.ready())), ([], 1))

    async def test_orphans(self) -> None:
        """The shards that it had taken care of, because nobody has that number any more, are adopted with its own."""
        data = Path(self.mktemp())
        for shard in (2, 3, 5):
            (data / f"spool-{shard}").mkdir(parents=True)
        self.settings = Settings(HermesSettings(data=str(data)))
        await self.test_given_up()
        await self.until(lambda: len(self.nursery.alive(0).of(Adopt)) == 3)
        self.assertEqual([each.shard for each in self.nursery.alive(0).of(Adopt)], [1, 3, 5])

    async def test_a_shard_that_kills(self) -> None:
        """When the one who has adopted a shard dies at once too, nobody else is given it."""
        await self.test_given_up()
        with capturedLogs() as logs:
            await self.die(0)
        self.assertIn("waits until the server is started again", self.errors(logs))
        await self.live_again(0)
        self.assertEqual(self.nursery.alive(0).of(Adopt), [])

    async def test_an_adopter_that_dies_later(self) -> None:
        """When it has lived with the shard for long, its death has another reason; there being nobody else, the shard waits."""
        await self.test_given_up()
        self.clock.advance(HEALTHY_SECONDS)
        with capturedLogs() as logs:
            await self.die(0)
        self.assertIn("there is nobody to take care of it", self.errors(logs))

    async def test_all_given_up(self) -> None:
        """When the first one is given up the log says what nobody does now; when the last one is, the server cannot go on."""
        await self.start()
        for number in range(2):
            with capturedLogs() as logs:
                for _ in range(MAX_DEATHS):
                    await self.die(number)
                    if self.crew.members[number].state is State.DEAD:
                        await self.live_again(number)
            self.assertEqual("no mail is fetched" in self.errors(logs), number == 0)
        self.assertEqual(self.broken, ["all workers have died too often"])

    async def test_hangs(self) -> None:
        """One that says nothing for too many ticks is killed; one that does is not."""
        await self.start()
        for _ in range(SILENT_TICKS):
            self.clock.advance(TICK_SECONDS)
            self.nursery.alive(0).link.send(Alive())
            await self.until(lambda: self.crew.members[0].silent == 0)
        self.assertEqual(self.killed, [])
        self.clock.advance(TICK_SECONDS)
        self.assertEqual(self.killed, [self.crew.members[1].process])

    async def test_the_nursery_dies(self) -> None:
        """Without it nobody can be replaced: the server stops, and its workers with it."""
        await self.start()
        self.nursery.end()
        await self.until(lambda: self.broken)
        self.assertEqual(self.broken, ["the nursery has ended"])

    def errors(self, logs: Any) -> str:
        """What was logged as an error."""
        return "\n".join(formatEvent(event) or "" for event in logs if event["log_level"] is LogLevel.error)


class StopTests(CrewTestCase):
    """The end."""

    async def test_stop(self) -> None:
        """All are told, and waited for; nobody is born meanwhile."""
        await self.start()
        await self.die(1)
        stopped = Deferred.fromCoroutine(self.crew.stop())
        await self.until(lambda: self.nursery.alive(0).of(Stop))
        self.clock.advance(10)
        self.assertEqual(len(self.nursery.lives), 2)
        self.assertFalse(stopped.called)
        self.nursery.kill(0, 0)
        await stopped
        self.assertTrue(self.nursery.closed)

    async def test_too_slow(self) -> None:
        """Who does not stop in time is killed."""
        await self.start()
        stopped = Deferred.fromCoroutine(self.crew.stop())
        processes = [member.process for member in self.crew.members]
        self.clock.advance(STOP_SECONDS)
        self.assertEqual(self.killed, processes)
        for number in range(2):
            self.nursery.kill(number)
        await stopped

    async def test_the_nursery_dies_meanwhile(self) -> None:
        """When nobody tells of deaths any more the ends of the links do; the stop does not wait for ever for one that stays."""
        await self.start()
        stopped = Deferred.fromCoroutine(self.crew.stop())
        self.nursery.end()
        await self.until(lambda: self.crew._alone)
        self.clock.advance(STOP_SECONDS - 1)
        self.assertFalse(stopped.called)
        self.nursery.kill(1)
        await self.until(lambda: self.crew.members[1].state is State.DEAD)
        self.clock.advance(1)
        await stopped


class Server:
    """What is the parent's own."""

    settings = Settings()
    spool: Any = None

    def __init__(self, crew: Crew) -> None:
        self.relay = CrewOrders(crew)

    def now(self) -> float:
        """Whatever."""
        return 0.0

    def sessions(self) -> list[dict[str, object]]:
        """Nobody."""
        return []

    def families(self) -> list[Family]:
        """The parent's."""
        return [gauge("hermes_own", "The parent's own.", 5)]

    def status(self) -> dict[str, object]:
        """The parent's."""
        return {"process": 1}

    async def reload(self) -> str:
        """Done."""
        return "in force"

    def stop(self) -> None:
        """Whatever."""


ID = "000000000000"

LATER = Answer(0, error="lookup", text="it is not here")


class ControlTests(CrewTestCase):
    """Commands to all workers."""

    async def call(self, command: str, **arguments: Any) -> Any:
        """Carry out a command."""
        return await CrewCommands(Server(self.crew), self.crew).call(command, arguments)

    async def test_status(self) -> None:
        """Numbers are added up, with what each worker does beside them; the process is the parent."""
        self.nursery.answers["status"] = {0: {"connections": 1, "process": 7}, 1: {"connections": 2, "process": 8}}
        await self.start()
        status = await self.call("status")
        self.assertEqual((status["connections"], status["process"]), (3, 1))
        self.assertEqual([(each["number"], each["connections"]) for each in status["workers"]], [(0, 1), (1, 2)])

    async def test_sessions(self) -> None:
        """Every session says at which worker it is."""
        self.nursery.answers["sessions"] = {0: [{"peer": "a"}], 1: [{"peer": "b"}, {"peer": "c"}]}
        await self.start()
        found = [(row["worker"], row["peer"]) for row in await self.call("sessions")]
        self.assertEqual(found, [(0, "a"), (1, "b"), (1, "c")])

    async def test_metrics(self) -> None:
        """Figures are told of each worker by its number, one family for each name; the parent's own have none."""
        figures = [counter("hermes_x_total", "X.", 3), by_label(GAUGE, "hermes_y", "Y.", "list", {"one": 1})]
        told = [each.as_json() for each in figures]
        self.nursery.answers["metrics"] = {0: told, 1: told}
        await self.start()
        own, x, y = await self.call("metrics")
        self.assertEqual((own["name"], own["samples"]), ("hermes_own", [{"value": 5, "labels": {}}]))
        self.assertEqual([each["labels"] for each in x["samples"]], [{"worker": "0"}, {"worker": "1"}])
        self.assertEqual(
            [each["labels"] for each in y["samples"]], [{"worker": "0", "list": "one"}, {"worker": "1", "list": "one"}]
        )

    async def test_another_command(self) -> None:
        """What the parent knows nothing about is asked of all, and added up; so is a refusal."""
        self.nursery.answers["new"] = {0: 1, 1: 2}
        self.nursery.answers["nonsense"] = {0: LATER, 1: LATER}
        await self.start()
        self.assertEqual(await self.call("new"), 3)
        await self.assertFailure(Deferred.fromCoroutine(self.call("nonsense")), LookupError)

    async def test_blocks(self) -> None:
        """Each worker blocks by its own clock, and there is one answer; whom one of them has listed is shown."""
        rows = [
            {"network": f"192.0.2.{at}", "since": f"{at}", "until": f"2026-01-01T00:00:00.00{at}Z"} for at in (1, 2)
        ]
        self.nursery.answers["block.add"] = {0: rows[0], 1: rows[0] | {"until": "2026-01-01T00:00:00.002Z"}}
        self.nursery.answers["block.list"] = {
            0: {"blocked": rows[:1], "logins": []},
            1: {"blocked": rows, "logins": []},
        }
        await self.start()
        self.assertEqual(await self.call("block.add", network="192.0.2.1", seconds=60), rows[0])
        self.assertEqual(await self.call("block.list"), {"blocked": rows, "logins": []})

    async def test_own(self) -> None:
        """The parent carries out a reload itself."""
        await self.start()
        self.assertEqual(await self.call("reload"), "in force")

    async def test_orders(self) -> None:
        """Whoever has a message carries out what is ordered."""
        for command in ("queue.hold", "queue.release", "queue.remove", "queue.return", "queue.retry"):
            self.nursery.answers[command] = {0: LATER, 1: "done"}
        await self.start()
        for word, said in (
            ("hold", "is held"),
            ("release", "goes on"),
            ("remove", "removed"),
            ("return", "returned"),
            ("retry", "1 message will"),
        ):
            self.assertIn(said, await self.call(f"queue.{word}", id=ID))

    async def test_retry_all(self) -> None:
        """What all of them will try is added up."""
        self.nursery.answers["queue.retry"] = {0: 2, 1: 3}
        await self.start()
        self.assertEqual(await self.call("queue.retry"), "5 messages will be tried now")

    async def test_order_for_many(self) -> None:
        """An order for all that a selection names is carried out by all workers, or by none when one is not there."""
        self.nursery.answers["queue.order"] = {
            0: {"messages": 1, "recipients": 2},
            1: {"messages": 3, "recipients": 4},
        }
        await self.start()
        self.assertEqual(await self.call("queue.order"), {"messages": 4, "recipients": 6})
        await self.die(1)
        await self.assertFailure(Deferred.fromCoroutine(self.call("queue.order")), UnavailableError)
        self.assertEqual(len(self.nursery.alive(0).of(Ask)), 1)

    async def test_nobody_has_it(self) -> None:
        """A message that nobody has is not in the queue, unless the one who may have it is just not there."""
        self.nursery.answers["queue.hold"] = {0: LATER, 1: LATER}
        await self.start()
        await self.assertFailure(Deferred.fromCoroutine(self.call("queue.hold", id=ID)), LookupError)
        await self.die(1)
        error = await self.assertFailure(Deferred.fromCoroutine(self.call("queue.hold", id=ID)), UnavailableError)
        self.assertIn("worker 1", str(error))

    async def test_dies_while_asked(self) -> None:
        """Who waits for an answer of a worker that dies is told so; the others' answers count."""
        self.nursery.answers["status"] = {0: {"connections": 1}}
        await self.start()
        asked = Deferred.fromCoroutine(ask_all(self.crew, "status", {}))
        await self.until(lambda: self.nursery.alive(1).of(Ask))
        await self.die(1)
        self.assertEqual(await asked, {0: {"connections": 1}})

    async def test_faults(self) -> None:
        """A fault of a worker is a fault here too, and not an answer; what was not asked for is nothing."""
        self.nursery.answers["status"] = {0: Answer(0, error="fault", text="oh"), 1: {}}
        await self.start()
        self.nursery.alive(0).link.send(Answer(-1, "what nobody has asked"))
        await self.assertFailure(Deferred.fromCoroutine(self.call("status")), RuntimeError)
