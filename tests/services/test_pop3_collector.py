"""Fetching from a foreign POP3 server: what is taken, for whom, what stays, and what is remembered."""

from __future__ import annotations

from typing import Any

from hermes.core.header import Header
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.interfaces import MailboxDepartedError
from tests.support.collecting import CollectingCase, message
from tests.support.smtp_site import FULL

OURS = "Delivered-To: alice@example.org"


class OneAccountTests(CollectingCase):
    """All mail of the box is one account's."""

    async def test_fetched_and_deleted(self) -> None:
        """What lies there is in the spool, octet for octet, and then it is gone there."""
        messages = [message(1), message(2, text=".\n..\n.x\n"), message(3, text="ä\n")]
        box = self.serve(*messages)
        report = await self.collect(box)
        self.assertEqual((report.listed, report.taken, report.deleted, report.problem), (3, 3, 3, ""))
        self.assertEqual(sorted(await self.stored()), sorted((one, ["alice@example.org"]) for one in messages))
        self.assertEqual(box.messages, [])
        self.assertEqual(len(self.relay.messages), 3)

    async def test_trace(self) -> None:
        """The trace says by which collector it came, from which host, and under which unique id; the header says POP3."""
        box = self.serve(b"Return-Path: <a@example.net>\n" + message(1))
        await self.collect(box)
        (queue_id,) = await self.queue_ids()
        event = await self.received(queue_id)
        self.assertEqual(event.reverse_path, "a@example.net")
        expected = {"listener": "collector:info", "collector": "info", "host": "pop.example.net", "uid": "uid1"}
        self.assertEqual({key: event.facts[key] for key in expected}, expected)
        content = await self.spool.content(queue_id)
        assert content.data is not None
        self.assertEqual(content.data.count(b"Return-Path:"), 1)
        self.assertIn(b"with POP3", content.data)

    async def test_remembered(self) -> None:
        """With leave, nothing is deleted and nothing fetched again, after a restart neither."""
        box = self.serve(message(1), message(2))
        await self.collect(box, leave="always")
        await self.restart()
        report = await self.collect(box, leave="always")
        self.assertEqual((report.taken, report.deleted, dict(report.skipped)), (0, 0, {"here already": 2}))
        self.assertEqual(box.count("RETR"), 2)
        self.assertEqual(len(box.messages), 2)

    async def test_leave_for_a_time(self) -> None:
        """What has been here for so long is deleted there, and not a moment before."""
        box = self.serve(message(1))
        for seconds, left in ((0, 1), (99, 1), (1, 0)):
            self.time += seconds
            await self.collect(box, leave="time", leave_time=100)
            self.assertEqual(len(box.messages), left, seconds)

    async def test_until_deleted(self) -> None:
        """A message stays until it has been delivered here and is there no longer; while somebody reads, it stays."""
        box = self.serve(message(1), message(2))
        await self.collect(box, leave="until-deleted")
        mailbox = Mailbox()
        self.mailboxes.mailbox = lambda account: mailbox
        ids = await self.queue_ids()

        async def left() -> int:
            await self.collect(box, leave="until-deleted")
            return len(box.messages)

        self.assertEqual(await left(), 2, "both are in the queue still")
        for queue_id in ids:
            await self.spool.remove(queue_id, (await self.spool.track(queue_id, 1))[0])
        mailbox.ids = list(ids)
        self.assertEqual(await left(), 2)
        mailbox.ids = ids[1:]
        mailbox.busy = True
        self.assertEqual(await left(), 2)
        mailbox.busy = False
        mailbox.departed = True
        self.assertEqual(await left(), 2, "nobody can say what somebody has deleted who has no mailbox yet")
        mailbox.departed = False
        self.assertEqual(await left(), 1)
        self.assertEqual(mailbox.opened, mailbox.closed)

    async def test_size_limit(self) -> None:
        """A message at the limit is taken, one above it stays, and one that lied about it ends the session and stays."""
        box = self.serve(message(1), message(2))
        size = box.size(1)
        box.sizes[2] = size + 1
        report = await self.collect(box, max_size=size)
        self.assertEqual((report.taken, dict(report.skipped)), (1, {"too large": 1}))
        box = self.serve(message(3, text="x" * 2000 + "\n"), message(4))
        box.sizes[1] = 10
        report = await self.collect(box, max_size=1000)
        self.assertIn("larger than it said", report.problem)
        report = await self.collect(box, max_size=1000)
        self.assertEqual((report.taken, report.deleted, report.problem), (1, 1, ""))

    async def test_so_many_at_a_time(self) -> None:
        """One session fetches so many, and says that more wait."""
        box = self.serve(*(message(number) for number in range(5)))
        for taken, more in ((2, True), (2, True), (1, False)):
            report = await self.collect(box, max_messages=2)
            self.assertEqual((report.taken, report.more), (taken, more))

    async def test_dry(self) -> None:
        """A dry run says what would be done, and does nothing."""
        box = self.serve(message(1), message(2))
        await self.collect(box, leave="always")
        box.messages.append(message(3))
        assert box.uids is not None
        box.uids.append("uid3")
        report = await self.collect(box, dry=True)
        self.assertEqual(len(report.remarks), 3)
        self.assertIn("message 3 would be fetched, and deleted when it is safe here: ", report.remarks[0])
        self.assertEqual((report.taken, report.deleted, len(box.messages), box.count("RETR")), (0, 0, 3, 2))

    async def test_no_such_account(self) -> None:
        """Without the account nothing is taken, and nothing deleted."""
        box = self.serve(message(1))
        report = await self.collect(box, account="nobody")
        self.assertEqual((report.taken, len(box.messages), dict(report.skipped)), (0, 1, {"put off": 1}))


class ManyTests(CollectingCase):
    """The box is for many."""

    async def recipients(self, *fields: str, **settings: Any) -> list[list[str]]:
        """Who gets a message with these fields."""
        box = self.serve(message(1, *fields))
        await self.collect(box, account="", **settings)
        found = [to for _, to in await self.stored()]
        for queue_id in await self.queue_ids():
            await self.spool.remove(queue_id, (await self.spool.track(queue_id, 1))[0])
        return found

    async def test_fields(self) -> None:
        """The fields that the server has written tell; addresses of others and unknown ones do not count."""
        for fields, expected in (
            (["Delivered-To: box@example.net", OURS], ["alice@example.org"]),
            (["X-Original-To: bob@example.org", OURS], ["alice@example.org"]),
            (["X-Envelope-To: bob@example.org, alice@example.org"], ["bob@example.org", "alice@example.org"]),
            (["Received: from x by y for <sales@example.org>; now"], ["sales@example.org"]),
            (["Delivered-To: nobody@example.org", "X-Original-To: alice@example.org"], ["alice@example.org"]),
        ):
            self.assertEqual(await self.recipients(*fields), [expected], fields)

    async def test_never_guessed(self) -> None:
        """To alone tells nothing, unless it has been named: what is for nobody here is the default's, or the postmaster's."""
        to = ("To: alice@example.org", "Cc: sales@example.org")
        self.assertEqual(await self.recipients(*to), [["bob@example.org"]])
        self.assertEqual(await self.recipients(*to, default="alice"), [["alice@example.org"]])
        self.assertEqual(await self.recipients(*to, default="sales@example.org"), [["sales@example.org"]])
        self.assertEqual(await self.recipients(*to, default="missing"), [["bob@example.org"]])
        named = await self.recipients(*to, recipient_headers=("Delivered-To", "To", "Cc"))
        self.assertEqual(named, [["alice@example.org", "sales@example.org"]])

    async def test_default_that_cannot(self) -> None:
        """A default that does not take it gives way to the postmaster."""
        self.assertEqual(await self.recipients(default="gone@example.org"), [["bob@example.org"]])

    async def test_copies(self) -> None:
        """Each recipient gets one copy, within one session and in a later one; each copy for another is delivered."""

        def copy(field: str) -> bytes:
            return message(7, field)

        box = self.serve(copy(OURS), copy(OURS), copy("Delivered-To: bob@example.org"))
        report = await self.collect(box, account="")
        self.assertEqual((report.taken, report.deleted, dict(report.skipped)), (2, 3, {"duplicates": 1}))
        box.messages, box.uids = [copy(OURS)], ["other"]
        report = await self.collect(box, account="")
        self.assertEqual((report.taken, report.deleted, dict(report.skipped)), (0, 1, {"duplicates": 1}))

    async def test_copies_wanted(self) -> None:
        """Where duplicates are wanted, or a message has no Message-ID, all are delivered."""
        one = message(7, OURS)
        report = await self.collect(self.serve(one, one + b"more\n"), account="", duplicates=True)
        self.assertEqual(report.taken, 2)
        bare = one.replace(b"Message-ID: <7@example.net>\n", b"")
        report = await self.collect(self.serve(bare, bare + b"more\n"), account="")
        self.assertEqual(report.taken, 2)


class ChecksTests(CollectingCase):
    """The same checks as for mail that came by SMTP."""

    async def test_refused(self) -> None:
        """What a check refuses stays at the server, is in the trace, and is not fetched again before a day is over."""
        check = Refusing(Verdict(Reply.of(554, "5.7.1", "no"), "filter.test"))
        self.checks = [check]
        box = self.serve(message(1))
        for seconds, fetched in ((0, 1), (86399, 1), (1, 2)):
            self.time += seconds
            report = await self.collect(box)
            self.assertEqual((report.taken, len(box.messages), box.count("RETR")), (0, 1, fetched))
        self.assertEqual(self.journal.refusals(), [("filter.test", "alice@example.org")] * 2)
        self.assertEqual({case.stage for case in check.cases}, {Stage.HEADER})
        self.assertFalse(check.cases[0].visit.trusted)

    async def test_refused_without_uidl(self) -> None:
        """What is refused has to be looked at each time to be known, and is in the trace once."""
        self.checks = [Refusing(Verdict(Reply.of(554, "5.7.1", "no"), "filter.test"))]
        box = self.serve(message(1))
        box.uids = None
        box.capabilities = ("USER",)
        for _ in range(2):
            self.assertEqual((await self.collect(box)).skipped["refused"], 1)
        self.assertEqual(self.journal.refusals(), [("filter.test", "alice@example.org")])

    async def test_later(self) -> None:
        """What cannot be taken now is tried in the next session."""
        self.mailboxes.verdicts["alice"] = FULL
        box = self.serve(message(1))
        for _ in range(2):
            report = await self.collect(box)
            self.assertEqual((report.taken, dict(report.skipped)), (0, {"put off": 1}))
        # Once, though it is tried again and again; for whom it is, and under its id.
        (event,) = self.journal.events
        self.assertEqual((event.facts["rule"], event.address), (FULL.rule, "alice@example.org"))
        self.assertEqual(event.message_id, "<1@example.net>")
        self.mailboxes.verdicts["alice"] = Verdict(Reply.of(452, "4.2.2", "no"), "another")
        await self.collect(box)
        self.assertEqual(self.journal.refusals()[1:], [("another", "alice@example.org")])
        self.mailboxes.verdicts.clear()
        self.assertEqual((await self.collect(box)).taken, 1)
        self.assertEqual(self.remembering.popitem()[1].put_off, {})

    async def test_full_mailbox_in_the_way(self) -> None:
        """Mail for a full mailbox does not keep other mail away, and nobody asks for it again and again without a pause."""
        self.mailboxes.verdicts["alice"] = FULL
        to = [f"Delivered-To: {name}@example.org" for name in ("alice", "alice", "alice", "bob")]
        box = self.serve(*(message(number, field) for number, field in enumerate(to)))
        for taken, more, off in ((0, True, 2), (1, False, 1), (0, False, 2)):
            report = await self.collect(box, account="", max_messages=2)
            self.assertEqual((report.taken, report.more, report.skipped["put off"]), (taken, more, off))
        del box.messages[0], box.uids[0]  # type: ignore[union-attr]
        await self.collect(box, account="", max_messages=2)
        (remembering,) = self.remembering.values()
        self.assertEqual(len(remembering.put_off), 2)

    async def test_trusted(self) -> None:
        """A box may be trusted; checks can see it."""
        check = Refusing(PASS)
        self.checks = [check]
        await self.collect(self.serve(message(1)), trusted=True)
        self.assertTrue(check.cases[0].visit.trusted)
        self.assertIsInstance(check.cases[0].header, Header)


class Refusing:
    """A check that says what it is told."""

    name = "test"
    stages = frozenset(Stage)
    momentary = False

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.cases: list[Case] = []

    def judge(self, case: Case) -> Verdict:
        """Say it of headers."""
        if case.stage is Stage.MESSAGE:
            return PASS
        self.cases.append(case)
        return self.verdict


class Mailbox:
    """What ``IStreamingMailbox`` has of ids."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.busy = self.departed = False
        self.opened = self.closed = 0

    async def open(self) -> bool:
        """Unless somebody reads it, or there can be none yet."""
        if self.departed:
            raise MailboxDepartedError("an account of that name was removed", 60)
        self.opened += not self.busy
        return not self.busy

    async def close(self) -> None:
        """Done."""
        self.closed += 1

    def count(self) -> int:
        """How many."""
        return len(self.ids)

    def queue_id(self, number: int) -> str:
        """One of them."""
        return self.ids[number]
