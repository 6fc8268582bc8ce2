"""
Events counted by what they are, for monitoring: each event that has become durable passes here, once.

An addition or two for each, so that the mail is not slower for it. What somebody may have chosen (addresses, names, ids) is not
looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hermes.core.event import Event, Kind
from hermes.core.metric import COUNTER, Counts, Family, by_label, counter

#: What happens to recipients of messages in the queue, and the label that says so.
_OUTCOMES = (
    Kind.DELIVERED,
    Kind.RELAYED,
    Kind.DEFERRED,
    Kind.FAILED,
    Kind.EXPIRED,
    Kind.DISCARDED,
    Kind.EXPANDED,
    Kind.FORWARDED,
    Kind.ANSWERED,
)

#: What is refused before a session has begun.
_CONNECT = "connect"

_COLLECTOR = "collector:"

_Facts = Mapping[str, str | int | float | bool | None]


class EventCounts:
    """Counts since the start of the process."""

    def __init__(self) -> None:
        # By the values and not by the kinds: to look up a member of an Enum takes three times as long.
        self._kinds = {kind.value: 0 for kind in Kind}
        self._received = Counts("protocol")
        self._received_octets = 0
        self._retrieved_octets = 0
        self._turned_away = Counts("service", "rule")
        self._refused = Counts("service", "rule")
        self._logins = Counts("service", "result")
        self._more: dict[str, Callable[[_Facts], None]] = {
            Kind.RECEIVED.value: self._count_received,
            Kind.REFUSED.value: self._count_refusal,
            Kind.LOGIN.value: self._count_login,
            Kind.RETRIEVED.value: self._count_retrieved,
        }

    def count(self, event: Event) -> None:
        """Count an event."""
        # What ``value`` gives, without the detour.
        kind = event.kind._value_
        self._kinds[kind] += 1
        more = self._more.get(kind)
        if more is not None:
            more(event.facts)

    def _count_received(self, facts: _Facts) -> None:
        self._received_octets += int(facts.get("size_octets") or 0)
        self._received.add((str(facts.get("protocol") or "none"),))

    def _count_retrieved(self, facts: _Facts) -> None:
        self._retrieved_octets += int(facts.get("octets") or 0)

    def _count_login(self, facts: _Facts) -> None:
        self._logins.add((str(facts.get("service", "")), str(facts.get("result", ""))))

    def _count_refusal(self, facts: _Facts) -> None:
        words = _service(facts), str(facts.get("rule") or "none")
        if facts.get("command") == _CONNECT:
            # Of a flood only some are recorded: the next record tells the number of the others.
            self._turned_away.add(words, 1 + int(facts.get("unrecorded") or 0))
        else:
            self._refused.add(words)

    def families(self) -> list[Family]:
        """What has been counted."""
        kinds = self._kinds
        return [
            self._received.family(
                "hermes_messages_received_total",
                "Messages accepted and on disk, reports and notices of our own among them.",
            ),
            counter(
                "hermes_messages_received_bytes_total",
                "Bytes of the messages accepted, on the wire.",
                self._received_octets,
            ),
            by_label(
                COUNTER,
                "hermes_recipients_total",
                "Ends of attempts, and other ends of recipients, by what became of them.",
                "result",
                {kind.value: kinds[kind.value] for kind in _OUTCOMES},
            ),
            by_label(
                COUNTER,
                "hermes_reports_total",
                "Reports about messages: sent to the sender, or not because he has had too many.",
                "result",
                {kind.value: kinds[kind.value] for kind in (Kind.RETURNED, Kind.UNREPORTED)},
            ),
            self._refused.family("hermes_refusals_total", "Commands and recipients refused, by the rule that refused."),
            self._turned_away.family(
                "hermes_connections_refused_total", "Connections refused, by the rule that refused."
            ),
            self._logins.family("hermes_logins_total", "Logins accepted and refused."),
            counter("hermes_messages_retrieved_total", "Messages fetched by readers.", kinds[Kind.RETRIEVED.value]),
            counter("hermes_messages_retrieved_bytes_total", "Bytes fetched by readers.", self._retrieved_octets),
            counter(
                "hermes_messages_deleted_total",
                "Messages deleted by readers or for their age.",
                kinds[Kind.DELETED.value],
            ),
        ]


def _service(facts: _Facts) -> str:
    """Who refused: the small servers and POP3 name themselves."""
    service = facts.get("service")
    if service:
        return str(service)
    return "collector" if str(facts.get("listener")).startswith(_COLLECTOR) else "smtp"
