"""The finger server: who is told of, and what is never told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols import finger
from twisted.trial.unittest import TestCase

from hermes.config.sections.finger import FingerSettings
from hermes.core.account import Account
from hermes.core.event import Event, Kind
from hermes.core.jobs import perform_each
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.interfaces import TooBusyError, UnavailableError
from hermes.services.finger_server import (
    DENIED_FORWARDING,
    DENIED_LIST,
    MAX_MATCHES,
    MAX_PROFILE_OCTETS,
    NOT_HERE,
    REMEMBER_SECONDS,
    TOO_OFTEN,
    UNREADABLE,
    FingerServerFactory,
    LastLogins,
    Profiles,
)
from hermes.services.line_connection import LineServer
from hermes.services.lookups import Lookups
from hermes.services.query_rate import MAX_ADDRESSES, QueryRate
from tests.support.surroundings import LineWire, ListJournal, OpenGate
from tests.support.worker import ImmediateWorker


class MemoryDirectory:
    """Accounts by name."""

    def __init__(self, *accounts: Account) -> None:
        self.accounts = {account.name: account for account in accounts}
        self.fault: Exception | None = None

    async def account(self, name: str) -> Account | None:
        """The account of that name."""
        if self.fault is not None:
            raise self.fault
        return self.accounts.get(name)


class Trace:
    """Events of the past."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.asked: list[str] = []

    async def track(self, query: str, limit: int) -> list[Event]:
        """All of an account."""
        self.asked.append(query)
        return [event for event in self.events if event.address == query]


class FingerServerTests(TestCase):
    """One server; joe and ann have profiles, bob has none, and gone is disabled."""

    def setUp(self) -> None:
        """Everything around a session."""
        self.clock = Clock()
        self.gate = OpenGate()
        self.journal = ListJournal()
        self.trace = Trace()
        self.profiles = Path(self.mktemp())
        self.profiles.mkdir()
        self.directory = MemoryDirectory(
            Account("joe", ("joe@example.org", "sales@example.org"), "Joe Smith"),
            Account("ann", ("ann@example.org",), "Ann Smith"),
            Account("bob", ("bob@example.org",), "Bob Smith"),
            Account("gone", ("gone@example.org",), "Gone Smith", disabled=True),
        )
        for name, text in (("joe", "Gone fishing.\n"), ("ann", ""), ("gone", "secret"), ("nobody", "no account")):
            (self.profiles / f"{name}.txt").write_text(text)

    def factory(self, **settings: Any) -> FingerServerFactory:
        """A listener."""
        server = LineServer("finger", "here", self.clock, self.gate, self.journal, None, False, 30)
        worker = ImmediateWorker()
        worker.start(perform_each)
        settings = {"profiles": str(self.profiles), **settings}
        profiles = Profiles(self.directory, LastLogins(self.trace), Lookups(worker), FingerSettings(**settings))  # type: ignore[arg-type]
        return FingerServerFactory(server, profiles)

    def ask(
        self, line: str, peer: str = "127.0.0.1", factory: FingerServerFactory | None = None, **settings: Any
    ) -> str:
        """The whole answer to a query."""
        wire = LineWire(peer)
        session = (factory or self.factory(**settings)).buildProtocol(None)
        session.makeConnection(wire)
        self.assertEqual(wire.value(), b"")
        session.dataReceived(line.encode("ascii") + b"\r\n")
        self.assertTrue(wire.disconnecting)
        text = wire.value().decode("ascii")
        self.assertTrue(text.endswith("\r\n"))
        return text.replace("\r\n", "\n").rstrip("\n")

    def test_leaving(self) -> None:
        """A client that leaves while it is looked up for is no fault: it is not counted any more, and the log says nothing."""
        factory = self.factory()
        asked: Deferred[Account | None] = Deferred()
        self.patch(self.directory, "account", lambda name: asked)
        session = factory.buildProtocol(None)
        session.makeConnection(LineWire("127.0.0.1"))
        session.dataReceived(b"joe\r\n")
        with capturedLogs() as told:
            session.connectionLost()
        self.assertEqual((list(told), session.transport.value(), len(factory.sessions)), ([], b"", 0))
        self.assertTrue(asked.called)

    def test_contract(self) -> None:
        """The protocol is Twisted's finger by class."""
        self.assertIsInstance(self.factory().buildProtocol(None), finger.Finger)

    def test_told(self) -> None:
        """Name, full name and profile of somebody who has one."""
        self.assertEqual(self.ask("joe"), "Login: joe   Name: Joe Smith\n\nProfile information:\nGone fishing.")
        self.assertEqual(self.ask("ann"), "Login: ann   Name: Ann Smith\n\n[No profile information]")

    def test_by_other_names(self) -> None:
        """In any case, and by a part of the name; several who match are all told of."""
        self.assertIn("Login: joe", self.ask("JOE"))
        answer = self.ask("smith")
        self.assertIn("Login: ann", answer)
        self.assertIn("Login: joe", answer)
        self.assertNotIn("bob", answer)

    def test_verbose(self) -> None:
        """Asked for more, it tells the addresses."""
        self.assertIn("Mail: joe@example.org, sales@example.org", self.ask("/W joe"))
        self.assertNotIn("Mail:", self.ask("joe"))

    def test_nobody_else(self) -> None:
        """Who has no profile, is disabled or does not exist is answered alike, and so is a path."""
        for name in ("bob", "gone", "nobody", "xyz", "../accounts", "..", "joe.txt", "/etc/passwd"):
            self.assertEqual(self.ask(name), NOT_HERE, name)

    def test_list(self) -> None:
        """Everybody is listed only where that is configured (RFC 1288 3.2.2), and then those with a profile."""
        self.assertEqual(self.ask(""), DENIED_LIST)
        self.assertEqual(self.ask("", list=True), "Login: ann   Name: Ann Smith\nLogin: joe   Name: Joe Smith")

    def test_forwarding(self) -> None:
        """Nothing is asked of another host (RFC 1288 3.2.1)."""
        self.assertEqual(self.ask("joe@example.com"), DENIED_FORWARDING)
        # An address of ours is a host behind a name, too (RFC 1288 2.3, Q2).
        self.assertEqual(self.ask("joe@example.org"), DENIED_FORWARDING)
        self.assertEqual(self.ask("@example.com"), DENIED_FORWARDING)

    def test_last_login(self) -> None:
        """The last login that went well is told where that is allowed."""
        self.assertNotIn("Last login", self.ask("joe"))
        self.assertIn("Last login: not known", self.ask("joe", last_login=True))
        for at, result in ((10.0, "accepted"), (86400.0, "accepted"), (90000.0, "refused")):
            self.trace.events.append(Event(at, Kind.LOGIN, address="joe", facts={"result": result}))
        self.assertIn("Last login: 1970-01-02T00:00:00", self.ask("joe", last_login=True))

    def test_last_login_asked_often(self) -> None:
        """However often strangers ask, where mail is recorded it is looked up once a minute for each."""
        factory = self.factory(last_login=True, rate=1000)
        for asked in (["joe", "ann"], ["joe", "ann"] * 2):
            for moment in (0.0, 0.0, REMEMBER_SECONDS - 1):
                self.clock.advance(moment)
                self.assertIn("Last login: not known", self.ask("smith", factory=factory))
            self.assertEqual(sorted(self.trace.asked), sorted(asked))
            self.clock.advance(1)

    def test_printable(self) -> None:
        """RFC 1288 3.3: what goes out is printable ASCII, whatever is in a profile."""
        (self.profiles / "joe.txt").write_bytes(b"\x1b[2Jh\xc3\xa9llo\r\nmore\ttext\x00")
        answer = self.ask("joe")
        self.assertTrue(answer.endswith("?[2Jh?llo\nmore\ttext?"))

    def test_long_profile(self) -> None:
        """A profile is told of up to a limit."""
        (self.profiles / "joe.txt").write_text("x" * (MAX_PROFILE_OCTETS + 1))
        self.assertEqual(self.ask("joe").count("x"), MAX_PROFILE_OCTETS)

    def test_links(self) -> None:
        """A profile that is a link to something else is none."""
        os.unlink(self.profiles / "joe.txt")
        secret = Path(self.mktemp())
        secret.write_text("secret")
        os.symlink(secret.absolute(), self.profiles / "joe.txt")
        self.assertNotIn("secret", self.ask("joe"))

    def test_no_directory(self) -> None:
        """Without profiles nobody is told of."""
        self.assertEqual(self.ask("joe", profiles=self.mktemp()), NOT_HERE)

    def test_many(self) -> None:
        """So many are told of in one answer, and no more."""
        for number in range(MAX_MATCHES + 1):
            name = f"user{number}"
            self.directory.accounts[name] = Account(name, (), "Same Name")
            (self.profiles / f"{name}.txt").write_text("")
        self.assertEqual(self.ask("same").count("Login:"), MAX_MATCHES)

    def test_rate(self) -> None:
        """So many queries a minute from one address; others, and this machine, are not held up."""
        factory = self.factory(rate=2)
        for expected in (True, True, False):
            self.assertEqual(self.ask("joe", "192.0.2.7", factory) != TOO_OFTEN, expected)
        self.assertIn("Login", self.ask("joe", "192.0.2.8", factory))
        for _ in range(3):
            self.assertIn("Login", self.ask("joe", "127.0.0.1", factory))
        self.clock.advance(60)
        self.assertIn("Login", self.ask("joe", "192.0.2.7", factory))

    def test_unreadable(self) -> None:
        """A line that is no query is said to be none; refusals are in the trace."""
        self.assertEqual(self.ask("x" * 600), UNREADABLE)
        self.assertEqual(self.journal.facts("refused")[0]["rule"], "protocol.syntax")

    def test_turned_away(self) -> None:
        """Whom the gate does not let in hears why."""
        self.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many connections"), "limits.rate")
        wire = LineWire("192.0.2.7")
        self.factory().buildProtocol(None).makeConnection(wire)
        self.assertEqual(wire.value(), b"Too many connections\r\n")

    def test_fault(self) -> None:
        """A fault of ours is logged, and says nothing of itself."""
        self.directory.fault = RuntimeError("broken directory")
        self.assertEqual(self.ask("joe"), "Something went wrong here: try again later")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_later(self) -> None:
        """When there is no telling now, who asks shall come again; that is no fault, and fills no log."""
        for error in (UnavailableError("the directory is down"), TooBusyError("too many")):
            self.directory.fault = error
            with capturedLogs() as told:
                self.assertEqual(self.ask("joe"), "That cannot be looked up now: try again later")
            self.assertEqual([event for event in told if event["log_level"] > LogLevel.debug], [])


class QueryRateTests(TestCase):
    """Counting queries."""

    def test_bounded(self) -> None:
        """When too many addresses ask in one minute, new ones wait for the next, and those that are known do not."""
        rate = QueryRate(2)
        for number in range(MAX_ADDRESSES):
            self.assertTrue(rate.allows(str(number), 0))
        self.assertFalse(rate.allows("new", 1))
        self.assertTrue(rate.allows("0", 1))
        self.assertTrue(rate.allows("new", 60))
