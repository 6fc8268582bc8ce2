"""What is remembered of a directory, and what holds while it is down."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account
from hermes.core.phone_book import Term
from hermes.directory.accounts import Record
from hermes.directory.ldap.book import LDAPBook
from hermes.directory.ldap.entries import Place, Terms
from hermes.directory.ldap.profiles import PROFILES, Values
from hermes.directory.ldap.questions import NOTHING, Answer, Asking, Kind, Question
from hermes.directory.ldap.servers import AVOID_SECONDS, Access, Line, Said, Servers
from hermes.directory.ldap.source import MAX_REMEMBERED, MAX_WAITING, LDAPSource
from hermes.directory.ldap.threads import Threads
from hermes.interfaces import TooBusyError, UnavailableError
from tests.support.worker import ImmediateWorker

JOE = Answer(Record(Account("joe", ("joe@example.org",)), key="cn=joe,o=acme"))
TWINS = Answer(problem="two cannot be told apart")
REMEMBER, GRACE = 60.0, 600.0


class LDAPSourceTests(SynchronousTestCase):
    """A source whose servers say what the test says."""

    def setUp(self) -> None:
        """One server, which knows Joe."""
        self.clock = Clock()
        self.worker = ImmediateWorker()
        access = Access(("ldap://127.0.0.1",), False, "", "", "", 1)
        terms = Terms("acme", PROFILES["openldap"], (Place("o=acme"),))
        self.book_worker = ImmediateWorker()
        self.source = LDAPSource(
            terms,
            Threads(Servers(access), [self.worker], MAX_WAITING),
            LDAPBook(terms, Threads(Servers(access), [self.book_worker], 1)),
            self.clock.seconds,
            self.clock.seconds,
            remember_seconds=REMEMBER,
            grace_seconds=GRACE,
        )
        self.asked: list[str] = []
        self.here, self.nobody = True, False
        self.patch(Asking, "answer", self.answer)

    def answer(self, line: object, question: Question) -> Answer:
        """What the server says."""
        self.asked.append(question.key)
        if not self.here:
            raise UnavailableError("no directory server answers")
        if question.key == "twin":
            return TWINS
        return JOE if question.key == "joe" and not self.nobody else NOTHING

    def ask(self, name: str) -> Deferred[Answer]:
        """Ask for a name."""
        return Deferred.fromCoroutine(self.source.answer(Question(Kind.NAME, name)))

    def test_remembered(self) -> None:
        """An answer holds for so long, and not longer; also that there is nobody."""
        for name, answer in (("joe", JOE), ("nobody", NOTHING)):
            self.asked.clear()
            self.assertEqual(self.successResultOf(self.ask(name)), answer)
            self.clock.advance(REMEMBER - 1)
            self.assertEqual(self.successResultOf(self.ask(name)), answer)
            self.assertEqual(self.asked, [name])
            self.clock.advance(1)
            self.successResultOf(self.ask(name))
            self.assertEqual(self.asked, [name, name])

    def test_grace(self) -> None:
        """While the directory is down, whoever was found stays found for the grace; nobody is ever said not to exist."""
        self.successResultOf(self.ask("joe"))
        self.successResultOf(self.ask("nobody"))
        self.here = False
        self.clock.advance(REMEMBER)
        self.assertEqual(self.successResultOf(self.ask("joe")), JOE)
        self.failureResultOf(self.ask("nobody"), UnavailableError)
        self.failureResultOf(self.ask("new"), UnavailableError)
        self.clock.advance(GRACE - 1)
        self.assertEqual(self.successResultOf(self.ask("joe")), JOE)
        self.clock.advance(1)
        self.failureResultOf(self.ask("joe"), UnavailableError)
        self.here = True
        self.assertEqual(self.successResultOf(self.ask("joe")), JOE)
        self.assertEqual(self.successResultOf(self.ask("nobody")), NOTHING)

    def test_problem(self) -> None:
        """What is wrong in the directory is told once for as long as answers hold, and does not mean that it is down."""
        with capturedLogs() as told:
            for _ in range(3):
                failure = self.failureResultOf(self.ask("twin"), UnavailableError)
                self.assertEqual(failure.getErrorMessage(), TWINS.problem)
                self.assertEqual(self.successResultOf(self.ask("joe")), JOE)
                self.clock.advance(1)
            self.assertEqual([formatEvent(event) for event in told], [f"[ldap:acme] {TWINS.problem}"])
            self.clock.advance(REMEMBER)
            self.failureResultOf(self.ask("twin"), UnavailableError)
        self.assertEqual(len(told), 2)
        self.assertEqual(self.asked, ["twin", "joe", "twin"])

    def test_end_while_it_hangs(self) -> None:
        """Who waits when the threads are to end is answered, unless the directory says nothing: it is not asked again then."""
        for here, asked in ((True, ["joe", "a", "b"]), (False, ["joe"])):
            self.setUp()
            self.here, self.worker.paused = here, True
            waiting = [self.ask(name) for name in ("joe", "a", "b")]
            stopped = Deferred.fromCoroutine(self.source.stop())
            self.worker.resume()
            self.successResultOf(stopped)
            self.assertEqual(self.asked, asked)
            for each in waiting:
                if here:
                    self.successResultOf(each)
                else:
                    self.failureResultOf(each, UnavailableError)

    def test_asked_once(self) -> None:
        """Those who ask the same at the same time wait for one answer, or for the same trouble."""
        for here in (True, False):
            self.here = here
            self.asked.clear()
            self.clock.advance(REMEMBER + GRACE)
            self.worker.paused = True
            several = [self.ask("joe") for _ in range(3)]
            self.worker.resume()
            for each in several:
                if here:
                    self.assertEqual(self.successResultOf(each), JOE)
                else:
                    self.failureResultOf(each, UnavailableError)
            self.assertEqual(self.asked, ["joe"])

    def test_who_leaves(self) -> None:
        """When whoever asked first has gone, one of the others asks, and the rest wait for that; nothing is said to be down."""
        self.worker.paused = True
        first, *others = [self.ask("joe") for _ in range(4)]
        with capturedLogs() as told:
            for leaver in (first, others[0]):
                leaver.addErrback(lambda _: None)
                leaver.cancel()
            self.assertEqual(self.asked, [])
            self.worker.resume()
        for each in others[1:]:
            self.assertEqual(self.successResultOf(each), JOE)
        self.assertEqual(self.asked, ["joe"])
        self.assertEqual(told, [])

    def test_all_leave(self) -> None:
        """When all have gone nothing is asked; the next one asks anew."""
        self.worker.paused = True
        for each in [self.ask("joe") for _ in range(3)]:
            each.addErrback(lambda _: None)
            each.cancel()
        self.worker.resume()
        self.assertEqual(self.asked, [])
        self.assertEqual(self.successResultOf(self.ask("joe")), JOE)

    def test_remembered_at_most(self) -> None:
        """The oldest answers make room."""
        for number in range(MAX_REMEMBERED + 1):
            self.successResultOf(self.ask(f"a{number}"))
        self.asked.clear()
        self.successResultOf(self.ask("a1"))
        self.assertEqual(self.asked, [])
        self.successResultOf(self.ask("a0"))
        self.assertEqual(self.asked, ["a0"])

    def test_who_is_asked_for_in_vain(self) -> None:
        """However many names that nobody has a stranger invents, whoever was found stays known while the directory is down."""
        self.successResultOf(self.ask("joe"))
        for number in range(MAX_REMEMBERED + 1):
            self.successResultOf(self.ask(f"a{number}"))
        self.here = False
        self.clock.advance(REMEMBER)
        self.assertEqual(self.successResultOf(self.ask("joe")), JOE)

    def test_found_and_gone(self) -> None:
        """Whoever was found, and then was not there any more, is not found in the grace either; nor the other way round."""
        self.successResultOf(self.ask("joe"))
        self.nobody = True
        self.clock.advance(REMEMBER)
        self.assertEqual(self.successResultOf(self.ask("joe")), NOTHING)
        self.assertEqual(self.successResultOf(self.ask("joe")), NOTHING)
        self.here = False
        self.clock.advance(REMEMBER)
        self.failureResultOf(self.ask("joe"), UnavailableError)
        self.here, self.nobody = True, False
        self.assertEqual(self.successResultOf(self.ask("joe")), JOE)
        self.assertEqual(self.successResultOf(self.ask("joe")), JOE)

    def test_waiting_at_most(self) -> None:
        """So many questions wait; who comes then is told to come back."""
        assert JOE.record is not None
        self.successResultOf(self.ask("nobody"))
        self.worker.paused = True
        waiting = [self.ask(f"a{number}") for number in range(MAX_WAITING)]
        self.failureResultOf(self.ask("b"), UnavailableError)
        self.failureResultOf(Deferred.fromCoroutine(self.source.proves(JOE.record, "x")), TooBusyError)
        self.worker.resume()
        for each in waiting:
            self.successResultOf(each)

    def test_pretended(self) -> None:
        """A password that was meant for somebody elsewhere is not shown to the directory, however long the pretence takes."""
        shown: list[tuple[str, bytes]] = []

        def proves(line: Line, dn: str, password: bytes) -> Said:
            shown.append((dn, password))
            return Said(done=False)

        self.patch(Line, "proves", proves)
        self.successResultOf(Deferred.fromCoroutine(self.source.pretend("correct horse")))
        ((dn, password),) = shown
        self.assertNotIn(b"horse", password)
        self.assertTrue(dn and password)

    def test_stop(self) -> None:
        """A source that was never asked has no threads to stop; another stops them."""
        self.successResultOf(Deferred.fromCoroutine(self.source.stop()))
        self.assertFalse(self.worker.stopped or self.book_worker.stopped)

    def test_stop_of_what_was_begun(self) -> None:
        """Threads that were begun are ended; who asks after that, by what was known before a reload, shall come again."""
        self.patch(Line, "search_some", lambda *_: ([], True))
        self.successResultOf(self.ask("joe"))
        self.successResultOf(Deferred.fromCoroutine(self.source.book.find((), [Term("name", "joe")], 1)))
        self.successResultOf(Deferred.fromCoroutine(self.source.stop()))
        self.assertTrue(self.worker.stopped and self.book_worker.stopped)
        self.failureResultOf(self.ask("ann"), UnavailableError)
        self.assertEqual(self.successResultOf(self.ask("joe")), JOE)


class ServersTests(SynchronousTestCase):
    """Which servers are tried."""

    def test_avoided(self) -> None:
        """A server that has failed is passed over for a while; when all have failed nothing is tried for so long."""
        clock = Clock()
        one, two = "ldap://one.example", "ldap://two.example"
        servers = Servers(Access((one, two), True, "", "", "", 1), clock.seconds)
        clock.advance(100)
        self.assertEqual(servers.usable(), [one, two])
        servers.failed(one, f"{one}: gone")
        self.assertEqual(servers.usable(), [two])
        clock.advance(1)
        servers.failed(two, f"{two}: gone")
        self.assertRaises(UnavailableError, servers.usable)
        clock.advance(AVOID_SECONDS - 1)
        self.assertEqual(servers.usable(), [one])
        clock.advance(1)
        self.assertEqual(servers.usable(), [one, two])

    def test_told_once(self) -> None:
        """That a server fails while another answers is said once, and that it answers again."""
        one = "ldap://one.example"
        servers = Servers(Access((one,), True, "", "", "", 1), Clock().seconds)
        with capturedLogs() as told:
            servers.answered(one)
            for _ in range(2):
                servers.failed(one, f"{one}: connection refused")
            for _ in range(2):
                servers.answered(one)
            servers.failed(one, f"{one}: time-out")
        self.assertEqual(
            [formatEvent(event) for event in told],
            [
                f"A directory server is passed over: {one}: connection refused",
                f"The directory server {one} answers again",
                f"A directory server is passed over: {one}: time-out",
            ],
        )


class ProfileTests(SynchronousTestCase):
    """When an account is closed."""

    def assert_closed(self, profile: str, cases: list[tuple[Values, bool]], now: float = 1_000_000_000.0) -> None:
        """What the attributes say, in September 2001."""
        closed: Callable[[Values, float], bool] = PROFILES[profile].closed
        for values, expected in cases:
            self.assertEqual(closed(values, now), expected, values)

    def test_openldap(self) -> None:
        """Locked by an administrator, not by too many wrong passwords."""
        locked = "pwdaccountlockedtime"
        self.assert_closed(
            "openldap", [({}, False), ({locked: ("000001010000Z",)}, True), ({locked: ("20010101000000Z",)}, False)]
        )

    def test_active_directory(self) -> None:
        """ACCOUNTDISABLE, and a time in tenths of microseconds since 1601; 0 and the largest number are never."""
        # Microsoft's documentation: 116444736000000000 is 1970.
        now = 116_444_736_000_000_000 + 1_000_000_000 * 10_000_000
        self.assert_closed(
            "ad",
            [
                ({}, False),
                ({"useraccountcontrol": ("512",)}, False),
                ({"useraccountcontrol": ("514",)}, True),
                ({"useraccountcontrol": ("nonsense",)}, False),
                ({"accountexpires": ("0",)}, False),
                ({"accountexpires": ("9223372036854775807",)}, False),
                ({"accountexpires": (str(now),)}, True),
                ({"accountexpires": (str(now + 1_000_000_000),)}, False),
            ],
        )

    def test_nds(self) -> None:
        """Login disabled, and the time at which it expires (RFC 4517 3.3.13)."""
        expires = "loginexpirationtime"
        self.assert_closed(
            "nds",
            [
                ({}, False),
                ({"logindisabled": ("FALSE",)}, False),
                ({"logindisabled": ("TRUE",)}, True),
                ({expires: ("20010909014640Z",)}, True),
                ({expires: ("20010909014641Z",)}, False),
                ({expires: ("20010909014641.5Z",)}, False),
                ({expires: ("2001091000Z",)}, False),
                ({expires: ("no time",)}, True),
            ],
        )
