"""The queue and direct delivery together, on a clock, while far more destinations hang than there are connections."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from hermes.app.outgoing import INITIAL_DELIVERIES
from hermes.config.schema import DirectSettings
from hermes.config.sections.queue import QueueSettings
from hermes.core.dns_answer import Answer, MailExchanger, Status
from hermes.queue.destinations import Concurrency
from hermes.services.direct_delivery import DirectAgent
from tests.support.queue_site import Site
from tests.support.silent_network import NO_FINAL, NO_GREETING, NO_MAIL, NOTHING, WELL, SilentNetwork

#: Twice as many as all places that the settings give, and more messages than the active set holds.
HANGING = 1100

#: Everything is a fifth of that, to be quicker.
PART = 5


class Addresses:
    """A resolver: each host has five addresses of its own; ``names`` says whose they are."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.found: dict[str, tuple[str, ...]] = {}

    async def mail_exchangers(self, domain: str) -> Answer[MailExchanger]:
        """None has any: its address counts (RFC 5321 5.1)."""
        return Answer(Status.NO_DATA, reason="none")

    async def addresses(self, host: str) -> Answer[str]:
        """The next five, or those of before."""
        number = len(self.found)
        found = self.found.setdefault(host, tuple(f"198.{number // 250}.{number % 250}.{last}" for last in range(1, 6)))
        self.names.update(dict.fromkeys(found, host))
        return Answer(Status.FOUND, found)


class HangingTests(SynchronousTestCase):
    """With the settings as they come (50 connections, 500 that may keep us waiting, 1000 active messages), and parts of them."""

    def site(self, kind: str, part: int = 1) -> Site:
        """Destinations whose names begin with "hangs" do what the kind says."""
        made = Site(QueueSettings(active=1000 // part))
        direct = DirectSettings(
            enabled=True, dane=False, mta_sts=False, tls="none", connections=50 // part, waiting=500 // part
        )
        resolver = Addresses()
        self.kind = kind
        self.network = SilentNetwork(
            made.clock, lambda address: self.kind if resolver.names[address].startswith("hangs") else WELL
        )
        self.agent = DirectAgent(
            self.network,
            direct,
            "mail.example.org",
            made.reader,
            resolver,  # type: ignore[arg-type]
            dice=Random(1),
        )
        made.direct = self.agent  # type: ignore[assignment]
        made.limits = {
            "local": Concurrency(20, 10),
            "direct": Concurrency(
                direct.connections,
                direct.connections_per_destination,
                INITIAL_DELIVERIES,
                None,
                direct.waiting,
                strangers=True,
            ),
        }
        made.manager = made.make_manager()
        self.most = direct.connections + direct.waiting
        return made

    def left(self, made: Site, ids: list[str]) -> int:
        """How many of these messages are still in the queue."""
        return sum(each in made.spool.messages for each in ids)

    def run_kind(self, kind: str, part: int = 1) -> None:
        """Fresh mail to all, and in the end to some that work, known and unknown, and to a mailbox."""
        made = self.site(kind, part)
        count = HANGING // part
        made.manager.start()
        known = [made.accept(f"x@well{number}.test") for number in range(5)]
        made.advance(5, steps=50)
        self.assertEqual(self.left(made, known), 0)
        hanging = [made.accept(f"x@hangs{number}.test") for number in range(count)]
        unknown = [made.accept(f"x@late{number}.test") for number in range(20)]
        known = [made.accept(f"x@well{number}.test") for number in range(5)]
        self.assertNotIn(made.accept("bob@example.org"), made.spool.messages)
        made.advance(10, steps=50)
        self.assertEqual(self.left(made, known), 0, "those that have answered before have their turn at once")
        tried = {each.recipients[0].destination for each in made.spool.messages.values() if each.recipients[0].attempts}
        self.assertEqual(tried, set())
        made.advance(8, steps=40)
        tried = {each.recipients[0].destination for each in made.spool.messages.values() if each.recipients[0].attempts}
        self.assertGreater(len(tried), 0, "those that are silent are not waited for to the end")
        # All that hang are in front of them: 1100, of which 25 can be tried in a second.
        made.advance(52, steps=200)
        self.assertEqual(
            self.left(made, unknown), 0, "those of which nothing is known have theirs when all before had it"
        )
        self.assertEqual(self.left(made, hanging), count)
        tried = {each.recipients[0].destination for each in made.spool.messages.values() if each.recipients[0].attempts}
        self.assertGreater(len(tried), count // 2)
        self.assertLessEqual(self.network.most, self.most)
        # They are well again: everything is delivered, once.
        self.kind = WELL
        made.advance(3600, steps=1800)
        self.assertEqual(self.left(made, hanging), 0)
        self.assertEqual(len(self.network.taken), 5 + count + 20 + 5)

    def test_nothing_accepts(self) -> None:
        """Hosts whose addresses answer nothing."""
        self.run_kind(NOTHING, PART)

    def test_no_greeting(self) -> None:
        """Hosts that let connect, and say nothing."""
        self.run_kind(NO_GREETING)

    def test_no_mail(self) -> None:
        """Hosts that fall silent in the dialogue."""
        self.run_kind(NO_MAIL, PART)

    def test_no_final(self) -> None:
        """Hosts that take the message and do not say so: nobody is cut off, and a known destination has its turn all the same."""
        made = self.site(NO_FINAL, PART)
        made.manager.start()
        made.accept("x@well.test")
        made.advance(2, steps=10)
        for number in range(HANGING // PART):
            made.accept(f"x@hangs{number}.test")
        made.advance(60, steps=120)
        queue_id = made.accept("x@well.test")
        made.advance(2, steps=20)
        self.assertNotIn(queue_id, made.spool.messages)
        # A tenth of the connections is kept for it.
        self.assertEqual(self.network.taken.count("198.0.0.1"), 2)
        self.assertEqual(len(self.network.taken), 2 + self.most - 1)
