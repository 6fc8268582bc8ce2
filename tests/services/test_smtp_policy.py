"""What the checks of policy do to an SMTP session."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hermes.core.event import Event, Kind
from hermes.core.outcome import PASS, Then, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.core.visit import Visit
from hermes.interfaces import ICheck, UnavailableError
from tests.support.smtp_site import Client, Site, plain

NO = Reply.of(554, "5.7.1", "Not from you")


@implementer(ICheck)
class Check:
    """Judges one stage by a function."""

    momentary = False

    def __init__(self, stage: Stage, judge: Callable[[Case], Verdict | Awaitable[Verdict]]) -> None:
        self.name = "test"
        self.stages = (stage,)
        self._judge = judge
        self.cases: list[Case] = []

    def judge(self, case: Case) -> Verdict | Awaitable[Verdict]:
        """Ask the function, and remember the case."""
        self.cases.append(case)
        return self._judge(case)


def refusing(stage: Stage, **more: Any) -> Check:
    """A check that refuses everything."""
    return Check(stage, lambda case: Verdict(NO, "test.no", **more))


def say(client: Client, line: str) -> str:
    """Send lines, and return what has come."""
    return "".join(f"{each}\r\n" for each in client.say(line))


def heard(client: Client) -> str:
    """What has come since the last look."""
    return "".join(f"{each}\r\n" for each in client.heard())


def gone(client: Client) -> bool:
    """True when the server has ended the connection."""
    return client.wire.disconnecting or client.wire.aborted


def refusals(site: Site) -> list[Event]:
    """The refusals that are in the trace."""
    return [event for event in site.journal.events if event.kind is Kind.REFUSED]


class StageTests(TestCase):
    """A refusal at each stage, and what the check was told."""

    def test_connect(self) -> None:
        """Who is refused at once hears why instead of the greeting, and may say QUIT (RFC 5321 3.1)."""
        site = Site(checks=[refusing(Stage.CONNECT)])
        client = site.connect(greet=None)
        self.assertEqual(heard(client), "554 5.7.1 Not from you\r\n")
        self.assertEqual(site.gate.present, [])

    def test_connect_without_a_word(self) -> None:
        """A check may end the connection before anything is said; the trace tells of it."""
        site = Site(checks=[refusing(Stage.CONNECT, then=Then.VANISH)])
        client = site.connect(greet=None)
        self.assertEqual(heard(client), "")
        self.assertTrue(gone(client))
        (event,) = refusals(site)
        self.assertEqual((event.facts["rule"], event.facts["reply"]), ("test.no", None))

    def test_hello(self) -> None:
        """A refused greeting is none: MAIL is out of sequence after it (RFC 5321 4.1.4)."""
        check = refusing(Stage.HELLO)
        client = Site(checks=[check]).connect(greet=None)
        heard(client)
        # RFC 2034 4: no enhanced code in the answer to a greeting.
        self.assertEqual(say(client, "EHLO [192.0.2.7]"), "554 Not from you\r\n")
        self.assertTrue(say(client, "MAIL FROM:<a@example.com>").startswith("503 "))
        (case,) = check.cases
        self.assertEqual((case.command, case.visit.hello), ("EHLO [192.0.2.7]", "[192.0.2.7]"))

    def test_sender(self) -> None:
        """A refused sender begins no transaction; the check sees the line and the transaction."""
        check = refusing(Stage.SENDER)
        client = Site(checks=[check]).connect()
        self.assertEqual(say(client, "mail FROM:<a@example.com> SIZE=10"), "554 5.7.1 Not from you\r\n")
        self.assertTrue(say(client, "RCPT TO:<alice@example.org>").startswith("503 "))
        (case,) = check.cases
        self.assertEqual(case.command, "mail FROM:<a@example.com> SIZE=10")
        assert case.transaction is not None
        self.assertEqual(case.transaction.reverse_path, "a@example.com")

    def test_recipient(self) -> None:
        """A recipient may be refused without harm to others; one that does not exist is not asked about."""
        check = Check(
            Stage.RECIPIENT,
            lambda case: Verdict(NO, "test.no") if case.recipient and "bob" in case.recipient.address else PASS,
        )
        site = Site(checks=[check])
        client = site.connect()
        say(client, "MAIL FROM:<a@example.com>")
        self.assertTrue(say(client, "RCPT TO:<nobody@example.org>").startswith("550 5.1.1 "))
        self.assertEqual(say(client, "RCPT TO:<bob@example.org>"), "554 5.7.1 Not from you\r\n")
        self.assertTrue(say(client, "RCPT TO:<alice@example.org>").startswith("250 "))
        self.assertEqual(len(check.cases), 2)

    def test_waiting(self) -> None:
        """The answer waits for a check that waits, and commands behind it wait too."""
        waiting: Deferred[Verdict] = Deferred()

        async def later() -> Verdict:
            return await waiting

        client = Site(checks=[Check(Stage.SENDER, lambda case: later())]).connect()
        self.assertEqual(say(client, "MAIL FROM:<a@example.com>\r\nNOOP"), "")
        waiting.callback(PASS)
        self.assertEqual(heard(client), "250 2.1.0 Sender ok\r\n250 2.0.0 Ok\r\n")

    def test_account(self) -> None:
        """From a login on the check knows the account."""
        check = Check(Stage.SENDER, lambda case: PASS)
        client = Site(checks=[check], auth_without_tls="loopback").connect("127.0.0.1")
        say(client, f"AUTH PLAIN {plain()}")
        say(client, "MAIL FROM:<alice@example.org>")
        account = check.cases[0].visit.account
        assert account is not None
        self.assertEqual(account.name, "alice")
        self.assertTrue(check.cases[0].visit.trusted)

    def test_visit(self) -> None:
        """What is known of the peer comes from the function that the server was given."""
        check = Check(Stage.HELLO, lambda case: PASS)
        Site(checks=[check], visit_of=lambda peer: Visit(peer, relays="smtp.relay_networks")).connect()
        visit = check.cases[0].visit
        self.assertEqual((visit.peer, visit.relays, visit.listener), ("192.0.2.7", "smtp.relay_networks", "smtp"))

    def test_fault(self) -> None:
        """A check that fails is our fault: the client is told to try again, and the failure is logged."""

        def broken(case: Case) -> Verdict:
            raise RuntimeError("broken check")

        client = Site(checks=[Check(Stage.SENDER, broken)]).connect()
        self.assertTrue(say(client, "MAIL FROM:<a@example.com>").startswith("451 4.3.0 "))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class AfterwardsTests(TestCase):
    """What becomes of a session after a refusal."""

    def test_only_quit(self) -> None:
        """Everything is refused in the same words until QUIT."""
        client = Site(checks=[refusing(Stage.SENDER, then=Then.ONLY_QUIT)]).connect()
        say(client, "MAIL FROM:<a@example.com>")
        for command in ("NOOP", "VRFY alice", "MAIL FROM:<b@example.com>", "DATA", "XYZZY"):
            self.assertEqual(say(client, command), "554 5.7.1 Not from you\r\n", command)
        self.assertTrue(say(client, "EHLO client.example.com").startswith("554 "))
        self.assertTrue(say(client, "QUIT").startswith("221 "))
        self.assertTrue(gone(client))

    def test_only_quit_for_so_long(self) -> None:
        """Who goes on all the same is a client with too many errors."""
        client = Site(checks=[refusing(Stage.SENDER, then=Then.ONLY_QUIT)], max_errors=4).connect()
        say(client, "MAIL FROM:<a@example.com>")
        self.assertTrue(say(client, "NOOP").startswith("554 "))
        self.assertTrue(say(client, "NOOP").startswith("554 "))
        self.assertTrue(say(client, "NOOP").startswith("421 "))
        self.assertTrue(gone(client))

    def test_close(self) -> None:
        """The refusal may be the last word."""
        client = Site(checks=[refusing(Stage.HELLO, then=Then.CLOSE)]).connect(greet=None)
        heard(client)
        self.assertEqual(say(client, "EHLO x.example\r\nNOOP"), "554 Not from you\r\n")
        self.assertTrue(gone(client))

    def test_vanish(self) -> None:
        """Or there is no word at all."""
        client = Site(checks=[refusing(Stage.SENDER, then=Then.VANISH)]).connect()
        self.assertEqual(say(client, "MAIL FROM:<a@example.com>\r\nNOOP"), "")
        self.assertTrue(gone(client))

    def test_delay(self) -> None:
        """A refusal may wait, and what comes behind it too."""
        site = Site(checks=[refusing(Stage.SENDER, delay_seconds=2.0)])
        client = site.connect()
        self.assertEqual(say(client, "MAIL FROM:<a@example.com>\r\nNOOP"), "")
        site.clock.advance(1.9)
        self.assertEqual(heard(client), "")
        site.clock.advance(0.2)
        self.assertEqual(heard(client), "554 5.7.1 Not from you\r\n250 2.0.0 Ok\r\n")

    def test_refused_stage(self) -> None:
        """After a refusal of any kind a check may say something else, which is what the trace has."""
        said: list[str] = []

        def third(case: Case) -> Verdict:
            said.append(case.verdict.rule)
            if case.visit.count("refused") < 3:
                return PASS
            return Verdict(Reply.of(421, "4.7.0", "Enough"), "test.enough", then=Then.CLOSE)

        site = Site(checks=[Check(Stage.REFUSED, third)])
        client = site.connect()
        say(client, "XYZZY")
        say(client, "MAIL FROM:<a@example.com>")
        self.assertTrue(say(client, "RCPT TO:<nobody@example.org>").startswith("550 "))
        self.assertEqual(say(client, "RCPT TO:<a@example.net>"), "421 4.7.0 Enough\r\n")
        self.assertTrue(gone(client))
        self.assertEqual(said, ["protocol.unknown_command", "relay.unknown_user", "relay.denied"])
        self.assertEqual(refusals(site)[-1].facts["rule"], "test.enough")

    def test_findings_and_place(self) -> None:
        """What was found out, and where the rule stands, is in the trace of a refusal."""

        def judge(case: Case) -> Verdict:
            case.visit.findings.note("rdns", "none")
            case.findings.note("spf", "fail")
            return Verdict(NO, "filter.3", place="transflt.mer:3")

        site = Site(checks=[Check(Stage.SENDER, judge)])
        say(site.connect(), "MAIL FROM:<a@example.com>")
        (event,) = refusals(site)
        self.assertEqual(event.facts["place"], "transflt.mer:3")
        self.assertEqual(event.facts["checks"], "rdns=none")


class UnavailableTests(TestCase):
    """A directory that cannot be asked now."""

    def test_recipient(self) -> None:
        """Recipients, and senders of those who have logged in, are put off with 451, and never said not to exist."""
        site = Site(implicit_tls=True)

        async def unavailable(address: str) -> Any:
            raise UnavailableError("no server answers")

        client = site.connect()
        client.say("MAIL FROM:<x@example.net>")
        site.directory.resolve = unavailable  # type: ignore[method-assign]
        self.assertEqual(client.say("RCPT TO:<alice@example.org>")[0][:9], "451 4.3.0")
        self.assertEqual(refusals(site)[0].facts["rule"], "directory.unavailable")
        client = site.connect()
        client.say(f"AUTH PLAIN {plain()}")
        self.assertEqual(client.say("MAIL FROM:<elsewhere@example.org>")[0][:9], "451 4.3.0")
