"""The phone book server: what is found, and what is not shown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import TestCase

from hermes.config.sections.phonebook import PhoneBookSettings
from hermes.core.outcome import Verdict
from hermes.core.phone_book import Book, Entry, Term, entry
from hermes.core.reply import Reply
from hermes.interfaces import TooBusyError, UnavailableError
from hermes.services.line_connection import LineServer
from hermes.services.phonebook_server import MAX_ERRORS, MAX_IDENTIFIED, PhoneBook, PhoneBookServerFactory
from hermes.services.turned_away import MAX_RECORDED, WINDOW_SECONDS
from tests.support.surroundings import LineWire, ListJournal, OpenGate

JOE = entry({"alias": ["joe"], "name": ["Joe Smith"], "email": ["joe@example.org"], "phone": ["555 1", "555 2"]})
ANN = entry({"alias": ["ann"], "name": ["Ann Smith"], "email": ["ann@example.org"], "postal": ["1 Secret Road"]})
NEAR, FAR = "127.0.0.1", "192.0.2.7"


class PhoneBookServerTests(TestCase):
    """One server with two books."""

    def setUp(self) -> None:
        """Everything around a session."""
        self.clock = Clock()
        self.gate = OpenGate()
        self.journal = ListJournal()
        self.books = [Book([JOE]), Book([ANN])]
        self.fault: Exception | None = None
        self.waiting: Deferred[None] | None = None

    def connect(self, peer: str = NEAR, **settings: Any) -> Any:
        """Connect; the session, with its wire."""

        async def find(number: int, terms: Sequence[Term], most: int) -> list[Entry] | None:
            if self.fault is not None:
                raise self.fault
            if self.waiting is not None:
                await self.waiting
            return self.books[number].find(terms, most)

        server = LineServer("phonebook", "here", self.clock, self.gate, self.journal, None, False, 60)
        finds = [partial(find, number) for number in range(len(self.books))]
        book = PhoneBook(PhoneBookSettings(**settings), finds, "example.org", "postmaster@example.org")
        self.factory = PhoneBookServerFactory(server, book)
        return self.again(peer)

    def again(self, peer: str) -> Any:
        """Connect to the same server."""
        session = self.factory.buildProtocol(None)
        session.makeConnection(LineWire(peer))
        return session

    def ask(self, session: Any, *lines: str) -> list[str]:
        """The lines of the answers."""
        session.dataReceived("".join(f"{line}\n" for line in lines).encode("utf-8"))
        text = session.transport.value().decode("utf-8")
        session.transport.clear()
        self.assertTrue(text == "" or text.endswith("\r\n"))
        return [str(line) for line in text.split("\r\n")[:-1]]

    def test_query(self) -> None:
        """The number of matches, then the usual fields of each entry, then 200."""
        self.assertEqual(
            self.ask(self.connect(), "query joe"),
            [
                "102:There was 1 match to your request.",
                "-200:1:alias: joe",
                "-200:1: name: Joe Smith",
                "-200:1:email: joe@example.org",
                "-200:1:phone: 555 1",
                "-200:1:     : 555 2",
                "200:Ok.",
            ],
        )

    def test_return(self) -> None:
        """Fields that are asked for, and which of them an entry does not have."""
        self.assertEqual(
            self.ask(self.connect(), "query smith return email phone"),
            [
                "102:There were 2 matches to your request.",
                "-200:1:email: joe@example.org",
                "-200:1:phone: 555 1",
                "-200:1:     : 555 2",
                "-200:2:email: ann@example.org",
                "-508:2:phone: Not present in entry.",
                "200:Ok.",
            ],
        )

    def test_alias_leads_somewhere_else(self) -> None:
        """Clients write to an alias at maildomain, so it is shown only of people who have that address."""
        outside = entry(
            {"alias": ["joe"], "name": ["Joe Baker"], "email": ["Joe@example.com", "joe@example.org.example"]}
        )
        self.books = [Book([outside]), Book([entry({"alias": ["Ann", "annie"], "email": ["ANN@Example.org"]})])]
        session = self.connect()
        self.assertEqual(
            self.ask(session, "query alias=joe")[1:],
            [
                "-200:1: name: Joe Baker",
                "-200:1:email: Joe@example.com",
                "-200:1:     : joe@example.org.example",
                "200:Ok.",
            ],
        )
        self.assertEqual(
            self.ask(session, "query alias=joe return alias")[1:], ["-508:1:alias: Not present in entry.", "200:Ok."]
        )
        self.assertEqual(self.ask(session, "query alias=ann return alias")[1:], ["-200:1:alias: Ann", "200:Ok."])

    def test_what_is_hidden(self) -> None:
        """A field that somebody may not see can be neither shown, asked for nor searched by."""
        far = self.connect(FAR)
        self.assertNotIn("555", "".join(self.ask(far, "query joe return all")))
        self.assertEqual(self.ask(far, "query joe return phone"), ["507:phone: there is no such field."])
        self.assertEqual(self.ask(far, "query joe phone=555"), ["507:phone: there is no such field."])
        self.assertNotIn("phone", "".join(self.ask(far, "fields")))
        self.assertNotIn("Secret", "".join(self.ask(self.connect(NEAR), "query ann return all")))

    def test_networks(self) -> None:
        """Named networks see what this machine sees."""
        near = self.connect(FAR, local_networks=(ip_network("192.0.2.0/24"),))
        self.assertIn("555", "".join(self.ask(near, "query joe")))

    def test_nothing_and_too_much(self) -> None:
        """Codes for no match and for too many, which shows none."""
        session = self.connect(max_matches=1)
        self.assertEqual(self.ask(session, "query nobody"), ["501:No matches to your query."])
        self.assertEqual(self.ask(session, "query smith"), ["502:Too many entries match: say more."])
        self.books = [Book([JOE, ANN]), Book([])]
        self.assertEqual(self.ask(session, "query smith"), ["502:Too many entries match: say more."])
        self.assertEqual(len(self.ask(self.connect(max_matches=2), "query smith")), 10)

    def test_identified_once(self) -> None:
        """However often a client says who it is, the log has it once, and the client is thanked each time."""
        session = self.connect(FAR)
        with capturedLogs() as told:
            self.assertEqual(self.ask(session, *["id somebody"] * 20), ["200:Thanks."] * 20)
        self.assertEqual([event["text"] for event in told], ["somebody"])

    def test_identified_by_many(self) -> None:
        """Of so many clients a minute the log has who they are; the others are thanked, too."""
        session = self.connect()
        with capturedLogs() as told:
            for _ in range(MAX_IDENTIFIED + 1):
                self.assertEqual(self.ask(session, "id somebody"), ["200:Thanks."])
                session = self.again(FAR)
            self.assertEqual(len(told), MAX_IDENTIFIED)
            self.clock.advance(60)
            self.ask(self.again(FAR), "id somebody")
        self.assertEqual(len(told), MAX_IDENTIFIED + 1)

    def test_dialogue_of_ph(self) -> None:
        """The UIUC client: who it is, what the site is, a query, the end, in lines that end in LF."""
        session = self.connect()
        self.assertEqual(self.ask(session, "id 0"), ["200:Thanks."])
        self.assertEqual(
            self.ask(session, "siteinfo"),
            [
                "-200:1:maildomain:example.org",
                "-200:2:mailfield:alias",
                "-200:3:administrator:postmaster@example.org",
                "200:Ok.",
            ],
        )
        self.assertEqual(self.ask(session, "query joe")[-1], "200:Ok.")
        self.assertEqual(self.ask(session, "quit"), ["200:Bye!"])
        self.assertTrue(session.transport.disconnecting)

    def test_fields(self) -> None:
        """Each field has two lines: what it is like, and what it is for."""
        lines = self.ask(self.connect(), "fields email")
        self.assertEqual(lines[0], "-200:3:email:max 254 Indexed Lookup Public Default")
        self.assertTrue(lines[1].startswith("-200:3:email:"))
        self.assertEqual(lines[2:], ["200:Ok."])
        self.assertEqual(self.ask(self.connect(), "fields color"), ["507:color: there is no such field."])

    def test_status_and_the_rest(self) -> None:
        """Status, help, options that clients set."""
        session = self.connect(notice="Example Inc.")
        self.assertEqual(
            self.ask(session, "status"),
            ["100:Hermes phone book: Example Inc.", "201:Database ready, read only."],
        )
        self.assertEqual(self.ask(session, "help")[-1], "200:Ok.")
        self.assertEqual(self.ask(session, "set echo=on"), ["200:Done."])
        self.assertEqual(self.ask(session, "set color=red"), ["513:color=red: there is no such option."])

    def test_rate(self) -> None:
        """So many queries a minute from one address, over all its sessions."""
        session = self.connect(FAR, rate=2)
        self.assertEqual([lines[:3] for lines in self.ask(session, *["query nobody"] * 3)], ["501", "501", "475"])
        self.assertEqual(self.ask(self.again(FAR), "query nobody")[0][:3], "475")
        self.assertEqual(self.ask(self.again("198.51.100.1"), "query nobody")[0][:3], "501")

    def test_errors(self) -> None:
        """So many lines that cannot be, and no more."""
        session = self.connect()
        self.assertEqual(len(self.ask(session, *["xyzzy"] * (MAX_ERRORS - 1))), MAX_ERRORS - 1)
        self.assertFalse(session.transport.disconnecting)
        self.ask(session, "xyzzy")
        self.assertTrue(session.transport.disconnecting)

    def test_flood_of_refusals(self) -> None:
        """So many refusals a minute are in the trace one by one, of all sessions together, and of the others the number is."""
        lines = MAX_ERRORS - 1
        session = self.connect()
        sent = 0
        while sent <= MAX_RECORDED:
            self.ask(session, *["xyzzy"] * lines)
            sent += lines
            session = self.again(NEAR)
        self.assertEqual(len(self.journal.events), MAX_RECORDED)
        self.clock.advance(WINDOW_SECONDS)
        session = self.again(NEAR)
        self.ask(session, "xyzzy", "xyzzy")
        numbers = [event.facts["unrecorded"] for event in self.journal.events]
        self.assertEqual(numbers, [None] * MAX_RECORDED + [sent - MAX_RECORDED, None])

    def test_turned_away(self) -> None:
        """Whom the gate does not let in hears why."""
        self.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many connections"), "limits.rate")
        self.assertEqual(self.connect().transport.value(), b"510:Too many connections\r\n")

    def test_fault(self) -> None:
        """A fault of ours is logged, and the session goes on."""
        session = self.connect()
        self.fault = RuntimeError("broken book")
        self.assertEqual(
            self.ask(session, "query joe", "id 0"), ["400:Something went wrong here: try again later.", "200:Thanks."]
        )
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_all_said(self) -> None:
        """A client that closes its side hears the answers to all that it has said, and then the server closes."""
        session = self.connect()
        self.waiting = Deferred()
        self.assertEqual(self.ask(session, "query joe", "id 0", "query ann"), [])
        session.readConnectionLost()
        self.assertFalse(session.transport.disconnecting)
        self.waiting.callback(None)
        self.assertEqual([line[:3] for line in self.ask(session)].count("200"), 3)
        self.assertTrue(session.transport.disconnecting)
        session.readConnectionLost()
        session.connectionLost()
        self.assertEqual(len(self.factory.sessions), 0)

    def test_nothing_said(self) -> None:
        """Who closes without a word has ended the session, or was never let in."""
        session = self.connect()
        session.readConnectionLost()
        self.assertTrue(session.transport.disconnecting)
        self.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many connections"), "limits.rate")
        session = self.again(NEAR)
        session.readConnectionLost()
        self.assertTrue(session.transport.disconnecting)

    def test_leaving(self) -> None:
        """A client that leaves while it is looked up for is no fault, and hears nothing more."""
        session = self.connect()
        self.waiting = Deferred()
        with capturedLogs() as told:
            self.assertEqual(self.ask(session, "query joe"), [])
            session.connectionLost()
        self.assertEqual((list(told), session.transport.value(), len(self.factory.sessions)), ([], b"", 0))
        self.assertTrue(self.waiting.called)

    def test_later(self) -> None:
        """While a book cannot be asked, nobody is said not to be in it; that is no error of the client's, and fills no log."""
        session = self.connect()
        for fault in (UnavailableError("the directory is down"), TooBusyError("too many")):
            self.fault = fault
            with capturedLogs() as told:
                answers = self.ask(session, *["query joe"] * MAX_ERRORS)
            self.assertEqual(answers, ["475:The book is not available now: try again later."] * MAX_ERRORS)
            self.assertEqual([event for event in told if event["log_level"] > LogLevel.debug], [])
        self.fault = None
        self.assertEqual(self.ask(session, "query joe")[-1], "200:Ok.")
        self.assertEqual(self.journal.events, [])
