"""Events counted for monitoring."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Event, Kind
from hermes.core.event_counts import EventCounts


class EventCountsTests(SynchronousTestCase):
    """What is made of events."""

    def counted(self, *events: Event) -> dict[str, dict[tuple[str, ...], Any]]:
        """Names of families, and their values by the values of their labels."""
        counts = EventCounts()
        for event in events:
            counts.count(event)
        return {
            family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
            for family in counts.families()
        }

    def test_nothing(self) -> None:
        """Before anything has happened, what has a fixed set of labels is there with 0."""
        found = self.counted()
        self.assertEqual(found["hermes_messages_received_bytes_total"], {(): 0})
        self.assertEqual(found["hermes_recipients_total"][("delivered",)], 0)
        self.assertEqual(found["hermes_refusals_total"], {})

    def test_received(self) -> None:
        """Messages by protocol, and their octets."""
        found = self.counted(
            Event(1, Kind.RECEIVED, facts={"protocol": "ESMTPS", "size_octets": 100}),
            Event(2, Kind.RECEIVED, facts={"protocol": "ESMTPS", "size_octets": 20}),
            Event(3, Kind.RECEIVED, facts={"protocol": "local"}),
            Event(3, Kind.RECEIVED),
        )
        self.assertEqual(found["hermes_messages_received_total"], {("ESMTPS",): 2, ("local",): 1, ("none",): 1})
        self.assertEqual(found["hermes_messages_received_bytes_total"], {(): 120})

    def test_outcomes(self) -> None:
        """What became of recipients, and reports about it."""
        kinds = (
            Kind.DELIVERED,
            Kind.DELIVERED,
            Kind.RELAYED,
            Kind.DEFERRED,
            Kind.FAILED,
            Kind.RETURNED,
            Kind.UNREPORTED,
        )
        found = self.counted(*(Event(1, kind, "06G7X5Z4T2QK", "joe@example.org") for kind in kinds))
        wanted = {"delivered": 2, "relayed": 1, "deferred": 1, "failed": 1, "expired": 0}
        self.assertEqual({word: found["hermes_recipients_total"][(word,)] for word in wanted}, wanted)
        self.assertEqual(found["hermes_reports_total"], {("returned",): 1, ("unreported",): 1})

    def test_refusals(self) -> None:
        """By server and rule; who named no server is SMTP, or a collector. Nothing that a stranger has said is a label."""
        found = self.counted(
            Event(1, Kind.REFUSED, address="joe@example.org", facts={"rule": "relay.denied", "listener": "*:25"}),
            Event(1, Kind.REFUSED, facts={"rule": "relay.denied", "command": "RCPT", "peer": "192.0.2.1"}),
            Event(1, Kind.REFUSED, facts={"rule": "message.loop", "listener": "collector:box"}),
            Event(1, Kind.REFUSED, facts={"rule": None, "service": "finger"}),
        )
        self.assertEqual(
            found["hermes_refusals_total"],
            {("smtp", "relay.denied"): 2, ("collector", "message.loop"): 1, ("finger", "none"): 1},
        )
        self.assertEqual(found["hermes_connections_refused_total"], {})

    def test_connections(self) -> None:
        """Refused connections are counted by themselves, with those that were not recorded one by one."""
        facts = {"rule": "limits.rate", "command": "connect", "service": "pop3"}
        found = self.counted(
            Event(1, Kind.REFUSED, facts=facts), Event(2, Kind.REFUSED, facts={**facts, "unrecorded": 40})
        )
        self.assertEqual(found["hermes_connections_refused_total"], {("pop3", "limits.rate"): 42})
        self.assertEqual(found["hermes_refusals_total"], {})

    def test_logins_and_readers(self) -> None:
        """Logins by server and result; what readers fetch and delete."""
        found = self.counted(
            Event(1, Kind.LOGIN, address="anna", facts={"service": "pop3", "result": "accepted"}),
            Event(1, Kind.LOGIN, address="anna", facts={"service": "smtp", "result": "refused"}),
            Event(1, Kind.RETRIEVED, facts={"octets": 5}),
            Event(1, Kind.DELETED),
        )
        self.assertEqual(found["hermes_logins_total"], {("pop3", "accepted"): 1, ("smtp", "refused"): 1})
        self.assertEqual(found["hermes_messages_retrieved_total"], {(): 1})
        self.assertEqual(found["hermes_messages_retrieved_bytes_total"], {(): 5})
        self.assertEqual(found["hermes_messages_deleted_total"], {(): 1})

    def test_every_kind(self) -> None:
        """There is no event that could not be counted."""
        self.counted(*(Event(1, kind) for kind in Kind))
