"""Foreign servers that fail, lie and lose their way: nothing is lost, nothing twice, and others go on."""

from __future__ import annotations

from typing import Any

from hermes.services import uid_memory
from tests.support.collecting import CollectingCase, message
from tests.support.pop3_peer import Box, Peer


class TroubleTests(CollectingCase):
    """One thing goes wrong, and the next session is well."""

    async def after(self, box: Box, *, taken: int = 2, **settings: Any) -> str:
        """A session with mischief, and one without: in the end every message is here once, and none there. The problem."""
        report = await self.collect(box, **settings)
        first = report.problem
        box.mischief.clear()
        for _ in range(3):
            report = await self.collect(box, **settings)
        self.assertEqual(report.problem, "")
        self.assertEqual(len(await self.queue_ids()), taken)
        self.assertEqual(box.messages, [])
        return first

    async def test_drops(self) -> None:
        """The server drops at any command, before or after it has answered it."""
        for verb in ("CAPA", "USER", "PASS", "LIST", "UIDL", "RETR 1", "RETR 2", "DELE 1", "DELE 2", "QUIT"):
            for answers in (False, True):
                await self.restart_empty()

                def drop(peer: Peer, text: str, answers: bool = answers) -> None:
                    if answers:
                        peer.answer(text.split(" ", maxsplit=1)[0], text.partition(" ")[2])
                    peer.transport.loseConnection()

                box = self.serve(message(1), message(2))
                box.mischief[verb] = drop
                problem = await self.after(box)
                if not answers:
                    self.assertTrue(problem, verb)

    async def restart_empty(self) -> None:
        """With nothing in the queue."""
        for queue_id in await self.queue_ids():
            await self.spool.remove(queue_id, (await self.spool.track(queue_id, 1))[0])

    async def test_in_the_middle_of_a_message(self) -> None:
        """Half a message is none."""
        box = self.serve(message(1), message(2))

        def half(peer: Peer, text: str) -> None:
            peer.transport.write(b"+OK\r\nReceived: by pop.example.net\r\n\r\nhalf")
            peer.transport.loseConnection()

        box.mischief["RETR 1"] = half
        self.assertIn("closed", await self.after(box))

    async def test_deletes_that_are_not_carried_out(self) -> None:
        """A server that says OK to QUIT and deletes nothing gets no message fetched twice."""
        box = self.serve(message(1))
        box.mischief["QUIT"] = lambda peer, text: peer.say("+OK")
        self.assertEqual((await self.collect(box)).deleted, 1)
        self.assertEqual(box.count("RETR"), 1)
        await self.after(box, taken=1)
        self.assertEqual(box.count("RETR"), 1)

    async def test_no_uidl(self) -> None:
        """Without UIDL a message is known by its octets; two that are alike in everything are one."""
        box = self.serve(message(1), message(1), message(2))
        box.uids = None
        box.capabilities = None
        box.mischief["QUIT"] = lambda peer, text: peer.cut()
        await self.after(box)

    async def test_no_uidl_and_left_there(self) -> None:
        """Without UIDL and with leave all are looked at each time, so many at once, and taken once."""
        box = self.serve(*(message(number) for number in range(5)))
        box.uids = None
        box.capabilities = ("USER",)
        # When all have been looked at, the next session is not at once.
        for taken, more in ((2, True), (4, True), (5, False), (5, True)):
            report = await self.collect(box, leave="always", max_messages=2)
            self.assertEqual((len(await self.queue_ids()), report.more), (taken, more))
        self.time += 200
        await self.collect(box, leave="time", leave_time=100)
        self.assertEqual(len(box.messages), 0)

    async def test_dry_without_uidl(self) -> None:
        """A dry run in between changes nothing about which messages are looked at next."""
        box = self.serve(*(message(number) for number in range(5)))
        box.uids = None
        box.capabilities = ("USER",)
        for taken in (2, 4, 5):
            await self.collect(box, leave="always", max_messages=2, dry=True)
            await self.collect(box, leave="always", max_messages=2)
            self.assertEqual(len(await self.queue_ids()), taken)

    async def test_repeated_uids(self) -> None:
        """A unique id that two messages have is none."""
        box = self.serve(message(1), message(2))
        box.uids = ["same", "same"]
        await self.after(box)

    async def test_other_uids(self) -> None:
        """A server that numbers all anew has no message fetched twice into the queue."""
        box = self.serve(message(1), message(2))
        await self.collect(box, leave="always")
        box.uids = ["new1", "new2"]
        report = await self.collect(box, leave="always")
        self.assertEqual((report.taken, dict(report.skipped)), (0, {"here already": 2}))
        report = await self.collect(box, leave="always")
        self.assertEqual(box.count("RETR"), 4)

    async def test_other_numbers(self) -> None:
        """Message numbers mean nothing from one session to the next."""
        box = self.serve(message(1), message(2))
        await self.collect(box, leave="always")
        box.messages.insert(0, message(3))
        assert box.uids is not None
        box.uids.insert(0, "uid3")
        report = await self.collect(box, leave="always")
        self.assertEqual(report.taken, 1)
        self.assertEqual(box.commands.count("RETR 1"), 2)

    async def test_unstuffed_dot(self) -> None:
        """A message that ends early because its dots are not doubled is not taken for whole; the others are."""
        for capabilities in (("UIDL",), ("UIDL", "PIPELINING")):
            await self.restart_empty()
            box = self.serve(message(1, text="a\n.\nb\n"), message(2))
            box.capabilities = (*capabilities, "USER")
            box.stuffed = lambda number, box=box: box.messages[number - 1].split(b"\n")[:-1]  # type: ignore[method-assign]
            report = await self.collect(box)
            self.assertIn("ended too early", report.problem)
            report = await self.collect(box)
            self.assertEqual((report.taken, report.deleted, report.problem), (1, 1, ""))
            self.assertEqual(len(box.messages), 1)

    async def test_lf_only(self) -> None:
        """A server that ends its lines with LF alone is understood."""
        box = self.serve(message(1, text=".x\n"), message(2))
        box.line_end = b"\n"
        await self.after(box)
        self.assertIn(message(1, text=".x\n"), [octets for octets, _ in await self.stored()])

    async def test_sends_for_ever(self) -> None:
        """Whatever never ends is left: greeting lines, listings, and a message without an end."""
        for verb, start in (("UIDL", b"+OK\r\n"), ("LIST", b"+OK "), ("RETR 1", b"+OK\r\na: b\r\n\r\n")):
            box = self.serve(message(1), message(2))

            def flood(peer: Peer, text: str, start: bytes = start) -> None:
                peer.transport.write(start + b"y" * 3_000_000)

            box.mischief[verb] = flood
            report = await self.collect(box, max_size=1_000_000)
            self.assertTrue(report.problem, verb)

    async def test_silence(self) -> None:
        """A server that says nothing more is left when its time is over."""
        for verb in ("CAPA", "PASS", "LIST", "RETR 2", "DELE 1", "QUIT"):
            box = self.serve(message(1), message(2))
            box.mischief[verb] = lambda peer, text: None
            report = await self.collect(box, timeout=0.1)
            self.assertIn("no answer within 0.1 seconds", report.problem, verb)

    async def test_login(self) -> None:
        """A login that is refused today is accepted tomorrow."""
        box = self.serve(message(1))
        box.password = "other"
        report = await self.collect(box)
        self.assertTrue(report.refused)
        self.assertIn("it refuses the login", report.problem)
        box.password = "secret"
        self.assertEqual((await self.collect(box)).taken, 1)

    async def test_not_given(self) -> None:
        """A message that the server does not give is passed over."""
        box = self.serve(message(1), message(2))
        box.mischief["RETR 1"] = lambda peer, text: peer.say("-ERR gone")
        report = await self.collect(box)
        self.assertEqual((report.taken, dict(report.skipped), len(box.messages)), (1, {"not given": 1}, 1))

    async def test_many(self) -> None:
        """A box of 50,000 messages that are here already is looked through; those that are gone are forgotten in time."""
        count = 50_000
        box = self.serve(*[b"x\n"] * count, message(1))
        box.uids = [f"uid{number}" for number in range(count + 1)]
        collector = self.collector(box, leave="always")
        await self.memory.load(collector.box)
        rows = [(collector.box, f"uid{number}", "taken", "", b"", self.time) for number in range(count)]
        connection = self.memory._connection
        assert connection is not None
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, NULL)", rows)
        connection.execute("COMMIT")
        report = await self.collect(box, leave="always")
        self.assertEqual((report.taken, report.skipped["here already"]), (1, count))
        box.messages, box.uids = box.messages[:1], box.uids[:1]
        await self.collect(box, leave="always")
        self.assertEqual(len(await self.memory.load(collector.box)), count + 1)
        self.time += uid_memory.FORGET_SECONDS + 1
        await self.collect(box, leave="always")
        self.assertEqual(len(await self.memory.load(collector.box)), 1)
