"""What is around a session of any server: a gate, a journal, TLS that only pretends, and a wire for the small servers."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from hermes.core.event import Event, Kind
from hermes.core.outcome import PASS, Verdict
from hermes.interfaces import IGate, IJournal, IServerTLS


@implementer(IGate)
class OpenGate:
    """A gate that counts, and refuses what the test tells it to by ``admission``, ``expectation`` and ``login``."""

    def __init__(self) -> None:
        self.admission: Verdict = PASS
        self.expectation: Verdict = PASS
        self.login: Verdict = PASS
        self.present: list[str] = []
        self.nameless = 0
        self.failures: list[str] = []
        self.offenses: list[tuple[str, str]] = []
        self.broken_tls = 0

    @property
    def inside(self) -> int:
        """How many are present."""
        return len(self.present)

    def admit(self, peer: str) -> Verdict:
        """Judge a connection."""
        if self.admission.accepted:
            self.present.append(peer)
        return self.admission

    def left(self, peer: str) -> None:
        """A connection is gone."""
        self.present.remove(peer)

    def expect(self) -> Verdict:
        """Count one that has no name yet."""
        if self.expectation.accepted:
            self.nameless += 1
        return self.expectation

    def expected(self) -> None:
        """It has one now, or is gone."""
        self.nameless -= 1

    def login_failed(self, peer: str, name: str = "") -> float:
        """Remember a wrong password."""
        self.failures.append(peer)
        return 0.0

    def login_succeeded(self, peer: str, *names: str) -> None:
        """Nothing follows from it."""

    def login_verdict(self, peer: str, name: str = "") -> Verdict:
        """Judge a login."""
        return self.login

    def tls_failed(self) -> None:
        """Count it."""
        self.broken_tls += 1

    def offended(self, peer: str, cause: str, reason: str) -> None:
        """Remember a cause."""
        self.offenses.append((peer, cause))


@implementer(IJournal)
class ListJournal:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        """Keep one."""
        self.events.append(event)

    def facts(self, kind: str) -> list[Mapping[str, object]]:
        """The facts of all events of a kind."""
        return [event.facts for event in self.events if event.kind.value == kind]

    def refusals(self) -> list[tuple[object, str]]:
        """Rule and address of each refusal."""
        return [(event.facts["rule"], event.address) for event in self.events if event.kind is Kind.REFUSED]


@implementer(IServerTLS)
class TokenTLS:
    """Has a token where others have a context: the wires of the tests only pretend."""

    def context_factory(self) -> str:
        """The token."""
        return "context"


class LineWire(StringTransport):
    """A connection to one of the small servers; ``tls`` lists the contexts with which TLS was begun."""

    def __init__(self, peer: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", peer, 40000))
        self.tls: list[object] = []
        self.aborted = False

    def startTLS(self, context_factory: object) -> None:
        """Remember that TLS began."""
        self.tls.append(context_factory)

    def abortConnection(self) -> None:
        """Remember it."""
        self.aborted = True
