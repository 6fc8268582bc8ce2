"""The relay manager: fresh mail, retries, faults, restart and stop."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from unittest.mock import Mock

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.config.sections.queue import QueueSettings
from hermes.core.account import Resolution
from hermes.core.event import Kind
from hermes.core.outcome import Outcome
from hermes.interfaces import IRelayManager, SpoolFullError, UnavailableError
from hermes.queue.destinations import Concurrency
from hermes.queue.judgement import Judge
from hermes.queue.relay import CANCEL_SECONDS, GRACE_SECONDS
from hermes.queue.router import Router
from tests.support.queue_site import DEFERRED, DELIVERED, FAILED, RELAYED, START, Site

DAY = 86400


class FreshMailTests(SynchronousTestCase):
    """Mail that has just been accepted."""

    def setUp(self) -> None:
        """A started manager."""
        self.site = Site()
        self.site.manager.start()
        self.site.spool.calls.clear()

    def test_interface(self) -> None:
        """It is a relay manager."""
        verifyObject(IRelayManager, self.site.manager)

    def test_delivered_from_memory(self) -> None:
        """A fresh message is delivered at once and the spool is asked for nothing but to write down the end."""
        queue_id = self.site.accept("bob@example.org")
        self.assertEqual(self.site.spool.calls, ["settle"])
        self.assertEqual(self.site.spool.messages, {})
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DELIVERED])
        self.assertEqual(self.site.active, 0)
        self.assertEqual(self.site.manager.describe()["octets"], 0)

    def test_one_delivery_for_each_destination(self) -> None:
        """Recipients of one destination share a delivery, in the envelope's order; each mailbox here is one of its own."""
        self.site.accept("x@example.net", "bob@example.org", "y@example.net", "carol@example.org", "z@example.com")
        self.assertEqual(
            [(each.next_hop, each.addresses) for each in self.site.direct.attempts],
            [("example.net", ["x@example.net", "y@example.net"]), ("example.com", ["z@example.com"])],
        )
        self.assertEqual([each.next_hop for each in self.site.local.attempts], ["bob", "carol"])

    def test_event_tells_all(self) -> None:
        """The trace gets who was spoken to, over what, the words, and the time that it took."""
        self.site.direct.hangs = lambda _: True
        queue_id = self.site.accept("x@example.net")
        self.site.clock.advance(2.5)
        self.site.direct.attempts[0].answer(RELAYED)
        (event,) = self.site.spool.events
        self.assertEqual((event.kind, event.queue_id, event.address), (Kind.RELAYED, queue_id, "x@example.net"))
        self.assertEqual(event.reverse_path, "a@example.org")
        self.assertEqual(
            event.facts,
            {
                "destination": "direct:example.net",
                "attempt": 1,
                "seconds": 2.5,
                "status": "2.0.0",
                "reason": "taken by mx.test",
                "host": "mx.test",
                "address": "192.0.2.1:25",
                "tls": "TLSv1.3",
                "reply": "250 2.0.0 ok",
            },
        )

    def test_mixed_outcomes_are_settled_together(self) -> None:
        """One delivery is one settlement, whatever became of its recipients."""
        self.site.direct.outcomes["example.net"] = [RELAYED, DEFERRED, FAILED]
        queue_id = self.site.accept("x@example.net", "y@example.net", "z@example.net")
        self.assertEqual(self.site.spool.calls.count("settle"), 2)  # the message, and the report about z
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.RELAYED, Kind.DEFERRED, Kind.FAILED, Kind.RETURNED])
        self.assertEqual([each.ordinal for each in self.site.spool.messages[queue_id].recipients], [1])

    def test_thousand_recipients(self) -> None:
        """A message to a thousand people at one domain is one attempt, and at a thousand domains a thousand."""
        self.site.accept(*(f"u{number}@example.net" for number in range(1000)))
        self.assertEqual([len(each.recipients) for each in self.site.direct.attempts], [1000])
        self.site.direct.attempts.clear()
        self.site.accept(*(f"u@d{number}.test" for number in range(1000)))
        self.assertEqual(len(self.site.direct.attempts), 1000)
        self.assertEqual(self.site.spool.messages, {})

    def test_unknown_way_is_found_anew(self) -> None:
        """A destination whose agent does not exist (the configuration has changed) is routed again."""
        message = self.site.message("x@example.net")
        message.recipients[0].destination = "smarthost:default"
        self.site.manager.accepted(message)
        self.assertEqual([each.next_hop for each in self.site.direct.attempts], ["example.net"])

    def test_vanished_mailbox(self) -> None:
        """A mailbox that has gone since its mail was accepted is reported as an address that does not exist."""
        message = self.site.message("gone@example.org")
        message.recipients[0].destination = "unrouted:"
        self.site.manager.accepted(message)
        event = self.site.spool.events[0]
        self.assertEqual((event.kind, event.facts["status"]), (Kind.FAILED, "5.1.1"))


class RetryTests(SynchronousTestCase):
    """Mail that could not be delivered yet."""

    def setUp(self) -> None:
        """A started manager, and a destination that puts off everything."""
        self.site = Site()
        self.site.direct.default = DEFERRED
        self.site.manager.start()

    def test_deferred(self) -> None:
        """A temporary failure keeps the recipient, with the reason and the time of the next attempt."""
        queue_id = self.site.accept("x@example.net")
        recipient = self.site.spool.recipient(queue_id)
        self.assertEqual((recipient.attempts, recipient.last_reason), (1, "the server is busy"))
        self.assertTrue(270 <= recipient.next_attempt_at - self.site.now() <= 330)
        self.assertEqual(self.site.spool.events[-1].facts["next_attempt_at"], round(recipient.next_attempt_at, 3))

    def test_tried_when_it_is_due(self) -> None:
        """The next attempt comes when it is due and not before, with nothing but one timer meanwhile."""
        queue_id = self.site.accept("x@example.net")
        due = self.site.spool.recipient(queue_id).next_attempt_at
        self.assertEqual(len(self.site.clock.getDelayedCalls()), 1)
        self.site.clock.advance(due - self.site.now() - 0.5)
        self.assertEqual(len(self.site.direct.attempts), 1)
        self.site.clock.advance(0.6)
        self.assertEqual(len(self.site.direct.attempts), 2)
        self.assertEqual(self.site.spool.recipient(queue_id).attempts, 2)

    def test_each_at_its_time(self) -> None:
        """A message that is put off for longer does not delay one that is due sooner."""
        first = self.site.accept("x@example.net")
        self.site.advance(100)
        self.site.accept("x@example.com")
        self.site.advance(235)
        self.assertEqual(self.site.spool.recipient(first).attempts, 2)

    def test_pauses_grow_until_it_expires(self) -> None:
        """Attempts grow rarer; after five days the message is given up, and nothing is left."""
        queue_id = self.site.accept("x@example.net", sender="")
        times = []
        while queue_id in self.site.spool.messages:
            times.append(self.site.now())
            self.site.clock.advance(self.site.spool.recipient(queue_id).next_attempt_at - self.site.now())
        pauses = [later - earlier for earlier, later in pairwise(times)]
        self.assertEqual(pauses[:7], sorted(pauses[:7]))
        self.assertEqual(self.site.spool.kinds(queue_id)[-1], Kind.EXPIRED)
        self.assertEqual(set(self.site.spool.kinds(queue_id)[:-1]), {Kind.DEFERRED})
        self.assertAlmostEqual(self.site.now(), START + 1 + 5 * DAY, delta=1)
        self.assertEqual(self.site.clock.getDelayedCalls(), [])

    def test_success_in_the_end(self) -> None:
        """When the server takes the message at last, it is finished; the event says which attempt it was."""
        queue_id = self.site.accept("x@example.net")
        self.site.direct.default = RELAYED
        self.site.advance(400)
        self.assertEqual(self.site.spool.messages, {})
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED, Kind.RELAYED])
        self.assertEqual(self.site.spool.events[-1].facts["attempt"], 2)

    def test_routed_anew(self) -> None:
        """A retry goes where the directory says now."""
        self.site.local.outcomes["new"] = DEFERRED
        queue_id = self.site.accept("new@example.org")
        self.assertIn(queue_id, self.site.spool.messages)
        self.site.directory.disabled.add("new")
        self.site.advance(400)
        self.assertEqual(self.site.spool.kinds(queue_id)[1], Kind.FAILED)
        self.assertEqual(len([each for each in self.site.local.attempts if each.next_hop == "new"]), 1)

    def test_account_is_gone(self) -> None:
        """Of mail for an account whose address is not known any more the agent of mailboxes says what becomes of it."""
        self.site.local.outcomes["old"] = DEFERRED
        queue_id = self.site.accept("old@example.org")
        # As after a new name, which the agent knows.
        self.site.local.outcomes["old"] = DELIVERED
        self.site.advance(400)
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED, Kind.DELIVERED])

    def test_directory_fails(self) -> None:
        """While the directory cannot answer, mail waits; no fault of ours fails it."""
        queue_id = self.site.accept("x@example.net")
        self.site.directory.fault = RuntimeError("the directory is down")
        self.site.advance(400)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.site.spool.recipient(queue_id).attempts, 2)
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED, Kind.DEFERRED])

    def test_other_recipients_of_an_active_message(self) -> None:
        """Recipients that fall due while others of the same message are under way are tried soon after these end."""
        self.site.direct.hangs = lambda next_hop: next_hop == "slow.test"
        queue_id = self.site.accept("x@example.net", "y@slow.test")
        self.site.advance(1000)
        self.assertEqual(self.site.spool.recipient(queue_id, 0).attempts, 1)
        self.site.direct.default = RELAYED
        self.site.direct.attempts[1].answer(RELAYED)
        self.site.advance(1)
        self.assertEqual(self.site.spool.messages, {})


class FaultTests(SynchronousTestCase):
    """Faults of ours are temporary, logged, and lose nothing."""

    def setUp(self) -> None:
        """A started manager."""
        self.site = Site()
        self.site.manager.start()

    def test_agent_raises(self) -> None:
        """An agent that raises has failed for now, for all its recipients, and its words stay inside."""
        self.site.direct.outcomes["example.net"] = ZeroDivisionError("secret words")
        queue_id = self.site.accept("x@example.net", "y@example.net")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED, Kind.DEFERRED])
        self.assertNotIn("secret", self.site.spool.recipient(queue_id).last_reason)

    def test_agent_cancels_itself(self) -> None:
        """A cancellation that nobody asked for is a fault like any other."""
        self.site.direct.outcomes["example.net"] = CancelledError()
        queue_id = self.site.accept("x@example.net")
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED])

    def test_router_cancels_itself(self) -> None:
        """So is one while the ways are looked for: the message waits, and is not left standing."""
        self.site.directory.fault = CancelledError()
        self.site.destination = lambda address: "unrouted:"  # type: ignore[method-assign]
        queued = self.site.message("bob@example.org")
        self.site.manager.wake()
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)
        self.assertEqual(self.site.spool.kinds(queued.queue_id), [Kind.DEFERRED])
        self.site.directory.fault = None
        self.site.advance(400)
        self.assertEqual(len(self.site.local.attempts), 1)

    def test_directory_is_down(self) -> None:
        """While the directory cannot be asked, mail to be routed or delivered waits, and nothing fails for it."""
        resolve = self.site.directory.resolve

        async def unavailable(address: str) -> Resolution:
            raise UnavailableError("no server answers")

        self.site.direct.outcomes["example.net"] = UnavailableError("no server answers")
        queue_id = self.site.accept("x@example.net")
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED])
        self.assertEqual(self.site.spool.recipient(queue_id).last_reason, "no server answers")
        self.site.directory.resolve = unavailable  # type: ignore[method-assign]
        self.site.destination = lambda address: "unrouted:"  # type: ignore[method-assign]
        queued = self.site.message("bob@example.org")
        self.site.manager.wake()
        self.assertEqual(self.site.spool.kinds(queued.queue_id), [Kind.DEFERRED])
        self.site.directory.resolve = resolve  # type: ignore[method-assign]
        self.site.advance(400)
        self.assertEqual(len(self.site.local.attempts), 1)

    def test_wrong_number_of_outcomes(self) -> None:
        """Outcomes that do not match the recipients say nothing about any of them."""
        self.site.direct.outcomes["example.net"] = [RELAYED]
        queue_id = self.site.accept("x@example.net", "y@example.net")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.site.spool.kinds(queue_id), [Kind.DEFERRED, Kind.DEFERRED])

    def test_disk_is_full(self) -> None:
        """A result that cannot be written is kept and written later: the message is not delivered twice."""
        self.site.spool.faults["settle"] = [OSError("disk full")] * 4
        queue_id = self.site.accept("bob@example.org")
        self.assertEqual(self.site.active, 1)
        self.site.advance(1 + 2 + 4, steps=7)
        self.assertIn(queue_id, self.site.spool.messages)
        self.site.advance(8, steps=8)
        self.assertEqual(self.site.spool.messages, {})
        self.assertEqual(len(self.site.local.attempts), 1)
        self.assertEqual(self.site.active, 0)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 4)

    def test_queue_cannot_be_read(self) -> None:
        """A look at the disk that fails, or cancels itself, is repeated, with growing pauses."""
        self.site.spool.faults["due"] = [OSError("unreadable"), CancelledError(), OSError("unreadable")]
        self.site.message("bob@example.org")
        self.site.manager.wake()
        self.site.advance(2.5, steps=25)
        self.assertEqual(self.site.local.attempts, [])
        self.site.advance(5, steps=50)
        self.assertEqual(len(self.site.local.attempts), 1)
        self.assertEqual(len(self.flushLoggedErrors(OSError, CancelledError)), 3)

    def test_message_is_gone(self) -> None:
        """A message that was removed before its delivery began is not delivered and leaves nothing behind."""
        self.site.spool.faults["content"] = [KeyError("gone")]
        self.site.message("bob@example.org")
        self.site.manager.wake()
        self.assertEqual((self.site.local.attempts, self.site.spool.events), ([], []))
        self.assertEqual(self.site.active, 0)

    def test_outcome_nobody_expected(self) -> None:
        """When nobody can say what was written down, the message is set aside and not delivered again and again."""
        for attempts, fault in enumerate((ZeroDivisionError, CancelledError), 1):
            with self.subTest(fault=fault):
                self.patch(Judge, "judge", Mock(side_effect=fault))
                queue_id = self.site.accept("bob@example.org")
                self.assertEqual(len(self.flushLoggedErrors(fault)), 1)
                self.site.manager.wake()
                self.site.advance(2000, steps=20)
                self.assertEqual(len(self.site.local.attempts), attempts)
                self.assertIn(queue_id, self.site.spool.messages)


class ReconfigurationTests(SynchronousTestCase):
    """Settings that change while the server runs."""

    def setUp(self) -> None:
        """One delivery of four may run; it hangs."""
        self.site = Site(limits={"direct": Concurrency(1, 1)})
        self.site.direct.hangs = lambda _: True
        self.site.manager.start()
        self.ids = [self.site.accept("x@example.net") for _ in range(4)]

    def reconfigure(self, limit: Concurrency, *, direct: bool = True, **settings: Any) -> None:
        """Give the manager other settings."""
        agents = {"local": self.site.local, **({"direct": self.site.direct} if direct else {})}
        self.site.manager.reconfigure(
            QueueSettings(**settings),
            Router(self.site.directory, direct_enabled=direct),
            agents,
            {"direct": limit},
            hostname="other.example.org",
            postmaster="",
        )

    def test_higher_limits(self) -> None:
        """Deliveries that waited begin at once when the limits allow it."""
        self.assertEqual(len(self.site.direct.running), 1)
        self.reconfigure(Concurrency(10, 3))
        self.assertEqual(len(self.site.direct.running), 3)

    def test_lower_limits(self) -> None:
        """What runs goes on; the next begin when the new limits allow it."""
        self.reconfigure(Concurrency(10, 3))
        self.reconfigure(Concurrency(1, 1))
        self.site.direct.running[0].answer(RELAYED)
        self.assertEqual(len(self.site.direct.running), 2)
        self.site.direct.running[0].answer(RELAYED)
        self.site.direct.running[0].answer(RELAYED)
        self.assertEqual(len(self.site.direct.running), 1)

    def test_way_is_taken_away(self) -> None:
        """Mail that waited for an agent that is gone is put off, and routed anew at the next attempt."""
        self.reconfigure(Concurrency(1, 1), direct=False)
        self.site.direct.running[0].answer(RELAYED)
        self.assertEqual(self.site.spool.kinds(self.ids[1]), [Kind.DEFERRED])
        self.assertIn("taken out of the configuration", self.site.spool.recipient(self.ids[1]).last_reason)
        self.site.advance(400, steps=4)
        self.assertIn("no way out is configured", self.site.spool.recipient(self.ids[1]).last_reason)

    def test_other_pauses_and_reports(self) -> None:
        """Pauses and reports follow the new settings."""
        self.reconfigure(Concurrency(1, 1), retry=(50,))
        self.site.direct.running[0].answer(DEFERRED)
        self.assertLess(self.site.spool.recipient(self.ids[0]).next_attempt_at - self.site.now(), 60)
        self.site.direct.running[0].answer(FAILED)
        self.assertIn(b"MAILER-DAEMON@other.example.org", self.site.spool.reports[0].content.data or b"")


class StartAndStopTests(SynchronousTestCase):
    """What start and stop promise."""

    def test_start_takes_up_everything(self) -> None:
        """After a restart everything that is not finished is taken up, what is due first."""
        site = Site()
        for _ in range(300):
            site.message("bob@example.org")
        late = site.message("x@example.net").queue_id
        site.spool.recipient(late).next_attempt_at = site.now() + 50
        site.spool.recipient(late).attempts = 1
        site.manager.start()
        self.assertEqual(len(site.local.attempts), 300)
        self.assertEqual(list(site.spool.messages), [late])
        site.advance(51)
        self.assertEqual(site.spool.messages, {})

    def test_accepted_before_start_and_after_stop(self) -> None:
        """Mail that is accepted while nothing runs stays on disk."""
        site = Site()
        site.accept("bob@example.org")
        self.assertEqual(site.local.attempts, [])
        site.manager.start()
        self.assertEqual(len(site.local.attempts), 1)
        self.successResultOf(Deferred.fromCoroutine(site.manager.stop()))
        queue_id = site.accept("bob@example.org")
        site.manager.wake()
        site.advance(10)
        self.assertEqual(len(site.local.attempts), 1)
        self.assertIn(queue_id, site.spool.messages)
        self.assertEqual(site.clock.getDelayedCalls(), [])

    def test_stop_waits_for_deliveries(self) -> None:
        """What is under way may end, and its result is written down; nothing new begins."""
        site = Site()
        site.direct.hangs = lambda _: True
        site.manager.start()
        for _ in range(10):
            site.accept("x@example.net")
        stopped = Deferred.fromCoroutine(site.manager.stop())
        site.advance(GRACE_SECONDS - 1)
        self.assertNoResult(stopped)
        for attempt in site.direct.attempts:
            attempt.answer(RELAYED)
        self.successResultOf(stopped)
        self.assertEqual(len(site.direct.attempts), site.limits["direct"].per_destination)
        self.assertEqual(len(site.spool.messages), 10 - site.limits["direct"].per_destination)
        self.assertEqual(site.clock.getDelayedCalls(), [])

    def test_stop_cuts_off_what_takes_too_long(self) -> None:
        """After the grace time deliveries are cancelled, and their recipients are as they were."""
        site = Site()
        site.direct.hangs = lambda _: True
        site.manager.start()
        queue_id = site.accept("x@example.net")
        before = site.spool.recipient(queue_id)
        stopped = Deferred.fromCoroutine(site.manager.stop())
        site.advance(GRACE_SECONDS)
        self.successResultOf(stopped)
        self.assertTrue(site.direct.attempts[0].cancelled)
        self.assertEqual(site.spool.recipient(queue_id), before)
        self.assertEqual(site.spool.events, [])

    def test_stop_does_not_wait_for_ever(self) -> None:
        """A delivery that does not heed its cancellation is left behind."""
        site = Site()
        site.manager.start()
        stubborn: Deferred[None] = Deferred()

        async def deaf(*_: object) -> list[Outcome]:
            try:
                await Deferred()
            except CancelledError:
                await stubborn
            return [RELAYED]

        site.direct.deliver = deaf  # type: ignore[method-assign, assignment]
        site.accept("x@example.net")
        stopped = Deferred.fromCoroutine(site.manager.stop(5))
        site.advance(5)
        self.assertNoResult(stopped)
        site.advance(CANCEL_SECONDS)
        self.successResultOf(stopped)
        stubborn.callback(None)

    def test_stop_while_the_disk_is_full(self) -> None:
        """A result that could not be written until the end of the grace time is lost: the mail goes out once more, not never."""
        site = Site()
        site.manager.start()
        site.spool.faults["settle"] = [OSError("disk full")] * 100
        queue_id = site.accept("bob@example.org")
        stopped = Deferred.fromCoroutine(site.manager.stop())
        site.advance(GRACE_SECONDS + 1, steps=50)
        self.successResultOf(stopped)
        self.assertIn(queue_id, site.spool.messages)
        self.flushLoggedErrors(OSError)
        site.spool.faults.clear()
        site.manager = site.make_manager()
        site.manager.start()
        self.assertEqual(site.spool.messages, {})
        self.assertEqual(len(site.local.attempts), 2)

    def test_full_disk(self) -> None:
        """An outcome for which there is no room is written later; the log says what to do, and is no fault with a traceback."""
        said: list[LogEvent] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        site = Site()
        site.manager.start()
        site.spool.faults["settle"] = [SpoolFullError("no room for the queue: database or disk is full")] * 2
        site.accept("bob@example.org")
        site.advance(60, steps=60)
        self.assertEqual((site.spool.messages, len(site.local.attempts)), ({}, 1))
        told = [formatEvent(event) for event in said if event["log_level"] is LogLevel.error]
        self.assertEqual(len(told), 2, told)
        self.assertIn("disk is full. Make room on that disk: it is tried again in", told[0])
        self.successResultOf(Deferred.fromCoroutine(site.manager.stop()))

    def test_stop_while_a_way_is_looked_for(self) -> None:
        """Mail that is being routed, or whose report is, when the server stops is as it was; the next run does it all."""
        site = Site()
        site.direct.default = DEFERRED
        site.manager.start()
        deferred = site.accept("x@example.net", sender="")
        site.direct.default = FAILED
        silence: list[Deferred[None]] = []

        async def silent(_: str) -> None:
            silence.append(Deferred())
            await silence[-1]

        self.patch(site.directory, "resolve", silent)
        failed = site.accept("x@example.net")
        site.advance(400)
        self.assertEqual(len(silence), 2)
        stopped = Deferred.fromCoroutine(site.manager.stop())
        site.advance(GRACE_SECONDS)
        self.successResultOf(stopped)
        self.assertEqual(set(site.spool.messages), {deferred, failed})
        self.assertEqual(site.spool.recipient(failed).attempts, 0)
        self.assertEqual(site.spool.recipient(deferred).attempts, 1)

    def test_stop_while_the_end_is_written(self) -> None:
        """A spool that does not answer does not hold up the stop for ever; what it was told may be durable or not."""
        for method in ("settle", "record"):
            site = Site()
            site.direct.default = FAILED
            site.manager.start()
            site.spool.gates[method] = Deferred()
            site.accept("x@example.net")
            stopped = Deferred.fromCoroutine(site.manager.stop())
            site.advance(GRACE_SECONDS)
            self.successResultOf(stopped)
            self.assertEqual(len(site.spool.reports), 1)

    def test_stop_during_a_look(self) -> None:
        """A look at the disk that is under way is given up; its answer starts nothing."""
        site = Site()
        site.message("bob@example.org")
        site.spool.gates["due"] = Deferred()
        site.manager.start()
        self.successResultOf(Deferred.fromCoroutine(site.manager.stop()))
        self.assertEqual(site.local.attempts, [])

    def test_expired_at_restart(self) -> None:
        """Mail that has become too old while the server was down is tried once more before it is given up."""
        site = Site(QueueSettings(expire=1000))
        queue_id = site.message("x@example.net", sender="").queue_id
        site.advance(5000)
        site.direct.default = DEFERRED
        site.manager.start()
        self.assertEqual(len(site.direct.attempts), 1)
        self.assertEqual(site.spool.kinds(queue_id), [Kind.EXPIRED])

    def test_describe(self) -> None:
        """The counters say what has been done."""
        site = Site()
        site.manager.start()
        site.direct.outcomes["example.net"] = FAILED
        site.accept("bob@example.org", "x@example.net")
        self.assertEqual(site.manager.describe()["counters"], {"delivered": 2, "failed": 1, "returned": 1})

    def test_describe_what_waits(self) -> None:
        """When the disk is looked at next is told as an instant, or not at all."""
        site = Site()
        site.manager.start()
        self.assertIsNone(site.manager.describe()["next_look_at"])
        site.direct.default = DEFERRED
        site.accept("x@example.net")
        self.assertRegex(str(site.manager.describe()["next_look_at"]), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
