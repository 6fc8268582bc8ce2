"""A day counted in the trace."""

from __future__ import annotations

from collections import Counter

from hermes.core.accountability import MAX_LINES, Tally
from hermes.core.envelope import Origin
from hermes.core.event import Event, Kind
from hermes.core.message import Postponed
from hermes.spool.reader import SpoolReader
from hermes.spool.shards import ShardsReader
from tests.support.real_spool import START, SpoolTestCase, envelope


class TallyTests(SpoolTestCase):
    """tally()."""

    def record(self, kind: Kind, at: float, address: str = "", **facts: str) -> None:
        """A fact."""
        self.done(self.spool.record([Event(at, kind, "", address, "s@example.org", facts=facts)]))

    def tally(self, since: float, until: float) -> Tally:
        """What the reader says."""
        with SpoolReader(self.directory) as reader:
            return reader.tally(since, until)

    def test_nothing(self) -> None:
        """An empty spool, and one that there never was."""
        self.assertEqual(self.tally(0, START), Tally())
        with ShardsReader([self.mktemp()]) as reader:
            self.assertEqual(reader.tally(0, START), Tally())

    def test_span(self) -> None:
        """What happened at the beginning counts, what happened at the end does not."""
        for number in range(100):
            self.record(Kind.DELIVERED, START + number)
        for since, until, count in (
            (0, 100, 100),
            (0, 50, 50),
            (50, 100, 50),
            (10, 11, 1),
            (99, 1000, 1),
            (100, 200, 0),
            (-9, 0, 0),
        ):
            self.assertEqual(self.tally(START + since, START + until).kinds["delivered"], count, (since, until))

    def test_contents(self) -> None:
        """Who sent, what was refused, who was lost and why, and what waits."""
        for account, protocol, facts in (
            ("anna", "ESMTPSA", {}),
            (None, "ESMTP", {}),
            (None, "local", {}),
        ):
            writer = self.spool.create()
            writer.write(b"x")
            told = {"account": account, "protocol": protocol, **facts}
            sent = envelope("a@x.test", "b@y.test")
            ways = {"a@x.test": "direct:x.test", "b@y.test": "direct:y.test"}
            self.done(writer.commit(sent, Origin(protocol, account=account), ways, "", 1, 0, told))
        first = self.done(self.spool.select(None))[0].queue_id
        self.done(self.spool.settle(first, [Postponed(0, 1, START + 60, "451 later")], []))
        self.record(Kind.REFUSED, START, rule="dnsbl.one")
        self.record(Kind.REFUSED, START)
        for number in range(MAX_LINES + 1):
            self.record(Kind.FAILED, START, f"u{number}@x.test", reason="550 no")
        tally = self.tally(START, START + 1)
        self.assertEqual((tally.accounts, tally.others, tally.own), (Counter(anna=1), 1, 1))
        self.assertEqual(tally.rules, Counter({"dnsbl.one": 1, "refused": 1}))
        self.assertEqual((len(tally.lost), tally.kinds["failed"]), (MAX_LINES, MAX_LINES + 1))
        self.assertEqual(
            (tally.lost[0].sender, tally.lost[0].recipient, tally.lost[0].reason),
            ("s@example.org", "u0@x.test", "550 no"),
        )
        self.assertEqual(
            [(each.destination, each.recipients, each.reason) for each in tally.waiting],
            [("direct:x.test", 1, "451 later")],
        )
        self.assertEqual((tally.waiting_messages, tally.waiting_recipients, tally.held), (3, 6, 0))
