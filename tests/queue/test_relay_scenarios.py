"""Whatever happens, in whatever order: nobody is tried twice at once, nobody after the end, and nobody is forgotten."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.sections.queue import QueueSettings
from hermes.core.event import Kind
from hermes.queue.destinations import Concurrency
from tests.support.queue_site import DEFERRED, FAILED, RELAYED, Site

DOMAINS = st.lists(st.sampled_from(["one.test", "two.test", "three.test", "four.test"]), min_size=1, max_size=4)
OUTCOMES = st.sampled_from([RELAYED, DEFERRED, FAILED])
FINAL = {Kind.RELAYED, Kind.FAILED, Kind.EXPIRED}


class Life(RuleBasedStateMachine):
    """A small site whose remote servers answer when, and what, the machine says."""

    def __init__(self) -> None:
        super().__init__()
        self.site = Site(QueueSettings(active=6, expire=400 * 86400), {"direct": Concurrency(5, 2)})
        self.site.direct.hangs = lambda _: True
        self.site.manager.start()
        self.ids: list[str] = []
        self.removed: set[str] = set()

    @rule(domains=DOMAINS, fresh=st.booleans())
    def mail_comes_in(self, domains: list[str], fresh: bool) -> None:
        """A message, which the manager hears of, or which it must find by itself."""
        message = self.site.message(*(f"u{number}@{domain}" for number, domain in enumerate(domains)), sender="")
        if fresh:
            self.site.manager.accepted(message)
        self.ids.append(message.queue_id)

    @rule(which=st.integers(min_value=0), outcome=OUTCOMES)
    def server_answers(self, which: int, outcome: object) -> None:
        """One of the attempts under way ends."""
        if running := self.site.direct.running:
            running[which % len(running)].answer(outcome)  # type: ignore[arg-type]

    @rule(seconds=st.sampled_from([0.2, 10, 400, 20_000]))
    def time_passes(self, seconds: float) -> None:
        """A little, or much."""
        self.site.advance(seconds, steps=4)

    @rule(order=st.sampled_from(["hold", "release", "retry", "remove", "return_now"]), which=st.integers(min_value=0))
    def administrator_orders(self, order: str, which: int) -> None:
        """Something about one of the messages."""
        if self.ids:
            queue_id = self.ids[which % len(self.ids)]
            # A stop cuts off orders that are being carried out.
            ordered = Deferred.fromCoroutine(getattr(self.site.manager, order)(queue_id))
            _ = ordered.addErrback(lambda failure: failure.trap(CancelledError))
            if order == "remove":
                self.removed.add(queue_id)

    @rule(which=st.sampled_from(["due", "settle", "content"]))
    def spool_stumbles(self, which: str) -> None:
        """The next call fails."""
        self.site.spool.faults.setdefault(which, []).append(OSError("stumbled"))

    @rule()
    def server_restarts(self) -> None:
        """It stops without grace and starts again."""
        stopped = Deferred.fromCoroutine(self.site.manager.stop(0.5))
        self.site.advance(10, steps=20)
        assert stopped.called
        self.site.manager = self.site.make_manager()
        self.site.manager.start()

    @invariant()
    def nobody_is_tried_twice_at_once(self) -> None:
        """No two attempts under way are for the same recipient."""
        under_way = [
            (each.message.queue_id, one.ordinal) for each in self.site.direct.running for one in each.recipients
        ]
        assert len(under_way) == len(set(under_way))

    @invariant()
    def bounds_hold(self) -> None:
        """The limits are kept."""
        assert self.site.active <= 6
        assert len(self.site.direct.running) <= 5
        assert all(number <= 2 for number in self.site.direct.most_at_once.values())

    def teardown(self) -> None:
        """In the end the servers take everything: nothing is left, and everybody had one end."""
        self.site.spool.faults.clear()
        for queue_id in self.ids:
            _ = Deferred.fromCoroutine(self.site.manager.release(queue_id))
        for _ in range(2000):
            if not self.site.spool.messages and not self.site.active:
                break
            for attempt in list(self.site.direct.running):
                attempt.answer(RELAYED)
            self.site.advance(20, steps=2)
        assert self.site.spool.messages == {}
        assert self.site.active == 0
        ends: dict[tuple[str, str], int] = {}
        for event in self.site.spool.events:
            if event.kind in FINAL:
                key = (event.queue_id, event.address)
                ends[key] = ends.get(key, 0) + 1
        assert all(count == 1 for key, count in ends.items() if key[0] not in self.removed)
        assert {queue_id for queue_id, _ in ends} | self.removed >= set(self.ids)


class ScenarioTests(SynchronousTestCase):
    """The machine, run as a test."""

    def test_any_order_of_things(self) -> None:
        """Mail, answers, orders, faults and restarts in any order leave nothing undone and nothing done twice."""
        run_state_machine_as_test(Life, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
        self.flushLoggedErrors(OSError)
