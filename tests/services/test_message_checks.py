"""What the checks of policy do to a message while it comes in."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from tests.services.test_smtp_policy import Check, gone, heard, refusals, refusing, say
from tests.support.smtp_site import Client, Site, body_of

MESSAGE = "Subject: hello\r\nFrom: a@example.com\r\n\r\nbody\r\n."


def deliver(site: Site, message: str = MESSAGE) -> str:
    """Send a message to two people; the answer to it."""
    client = begin(site)
    return say(client, message)


def begin(site: Site) -> Client:
    """Come as far as DATA."""
    client = site.connect()
    say(client, "MAIL FROM:<a@example.com>")
    say(client, "RCPT TO:<alice@example.org>\r\nRCPT TO:<bob@example.org>")
    assert say(client, "DATA").startswith("354 ")
    return client


class HeaderTests(TestCase):
    """The stage of the header."""

    def test_header(self) -> None:
        """The check reads the fields as they came."""
        check = Check(Stage.HEADER, lambda case: PASS)
        self.assertTrue(deliver(Site(checks=[check])).startswith("250 "))
        header = check.cases[0].header
        assert header is not None
        self.assertEqual((header.first("Subject"), header.names()), ("hello", ["subject", "from"]))
        self.assertTrue(header.whole)

    def test_refused(self) -> None:
        """A refusal is said when all of the message has come (RFC 5321 4.1.1.4); nothing is kept, and the session goes on."""
        site = Site(checks=[refusing(Stage.HEADER)])
        client = begin(site)
        self.assertEqual(say(client, "Subject: x\r\n\r\nbody"), "")
        self.assertEqual(say(client, "."), "554 5.7.1 Not from you\r\n")
        self.assertEqual(site.spool.committed, [])
        self.assertTrue(say(client, "NOOP").startswith("250 "))
        self.assertEqual([event.address for event in refusals(site)], ["alice@example.org", "bob@example.org"])

    def test_only_a_header(self) -> None:
        """A message without a body has a header all the same."""
        site = Site(checks=[refusing(Stage.HEADER)])
        self.assertTrue(deliver(site, "Subject: x\r\n.").startswith("554 "))

    def test_waiting(self) -> None:
        """While a check waits nothing more is read, and what has come is kept in its order."""
        waiting: Deferred[Verdict] = Deferred()

        async def later() -> Verdict:
            return await waiting

        site = Site(checks=[Check(Stage.HEADER, lambda case: later())])
        client = begin(site)
        say(client, "Subject: x\r\n\r\nfirst")
        say(client, "second\r\n.")
        self.assertTrue(client.wire.paused)
        self.assertEqual(heard(client), "")
        waiting.callback(PASS)
        self.assertTrue(heard(client).startswith("250 "))
        (committed,) = site.spool.committed
        self.assertEqual(body_of(committed.octets), b"Subject: x\n\nfirst\nsecond\n")

    def test_waiting_refuses(self) -> None:
        """A check that waited may refuse."""

        async def later() -> Verdict:
            return Verdict(Reply.of(550, "5.7.1", "No"), "test.no")

        site = Site(checks=[Check(Stage.HEADER, lambda case: later())])
        self.assertEqual(deliver(site), "550 5.7.1 No\r\n")
        self.assertEqual(site.spool.committed, [])

    def test_gone_while_waiting(self) -> None:
        """A client that leaves while a check waits leaves nothing behind."""
        waiting: Deferred[Verdict] = Deferred()

        async def later() -> Verdict:
            return await waiting

        site = Site(checks=[Check(Stage.HEADER, lambda case: later())])
        client = begin(site)
        say(client, "Subject: x\r\n\r\nfirst")
        client.leave()
        self.assertEqual(len(site.spool.aborted), 1)

    def test_fault(self) -> None:
        """A check that fails costs no mail: the client is told to try again."""

        async def broken() -> Verdict:
            raise RuntimeError("broken check")

        site = Site(checks=[Check(Stage.HEADER, lambda case: broken())])
        self.assertTrue(deliver(site).startswith("451 "))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(site.spool.committed, [])


class MeasureTests(TestCase):
    """What is done with a message that is accepted."""

    def test_tag(self) -> None:
        """Lines of checks stand in front of the message, below Return-Path and above Received, in one line each."""

        def tag(case: Case) -> Verdict:
            assert case.transaction is not None
            case.transaction.measures.headers.append(f"X-{case.stage.value}: a\r\nb")
            return PASS

        stages = (Stage.SENDER, Stage.HEADER, Stage.MESSAGE)
        site = Site(checks=[Check(stage, tag) for stage in stages])
        self.assertTrue(deliver(site).startswith("250 "))
        (committed,) = site.spool.committed
        lines = committed.text.split("\n")
        self.assertEqual(
            [line.partition(":")[0] for line in lines[:5]],
            ["Return-Path", "X-message", "X-sender", "X-header", "Received"],
        )
        self.assertEqual(lines[1], "X-message: a  b")
        self.assertTrue(committed.text.endswith("\nSubject: hello\nFrom: a@example.com\n\nbody\n"))
        # What is stored, with CRLF line ends and without our first line, is what the size says.
        content = committed.message.content
        sent = committed.octets[content.prefix_octets :].replace(b"\n", b"\r\n")
        self.assertEqual(content.wire_octets, len(sent))
        self.assertTrue(sent.startswith(b"X-message"))

    def test_message(self) -> None:
        """A check may read the whole message before it is accepted, and knows where the client's octets begin."""
        seen: list[bytes] = []

        async def read(case: Case) -> Verdict:
            assert case.message is not None
            assert case.header is not None
            content = await case.message.content()
            assert content.data is not None
            seen.append(content.data[content.prefix_octets :])
            return PASS if case.header.first("subject") == "hello" else Verdict(Reply.of(554, "5.6.0", "No"), "test")

        site = Site(checks=[Check(Stage.MESSAGE, read)])
        self.assertTrue(deliver(site).startswith("250 "))
        self.assertEqual(seen, [b"Subject: hello\nFrom: a@example.com\n\nbody\n"])
        self.assertTrue(deliver(site, "Subject: other\r\n\r\n.").startswith("554 "))
        self.assertEqual(len(site.spool.committed), 1)

    def test_closing(self) -> None:
        """A message may be the last of its session."""
        site = Site(checks=[Check(Stage.MESSAGE, refusing(Stage.MESSAGE).judge)])
        client = begin(site)
        self.assertTrue(say(client, MESSAGE).startswith("554 "))
        self.assertFalse(gone(client))

    def test_discard(self) -> None:
        """A message may be accepted for nobody: it goes through the queue, which tells what became of it."""

        def discard(case: Case) -> Verdict:
            assert case.transaction is not None
            case.transaction.measures.discard = "test.discard"
            return PASS

        site = Site(checks=[Check(Stage.SENDER, discard)])
        self.assertTrue(deliver(site).startswith("250 "))
        (committed,) = site.spool.committed
        self.assertEqual(set(committed.destinations.values()), {"discard:test.discard"})

    def test_redirect(self) -> None:
        """A message may go to one mailbox instead of its recipients; the trace says by which rule."""
        site = Site(checks=[redirecting("sales@example.org")])
        self.assertTrue(deliver(site).startswith("250 "))
        (committed,) = site.spool.committed
        self.assertEqual([each.address for each in committed.message.recipients], ["sales@example.org"])
        self.assertEqual(committed.destinations["sales@example.org"], "local:alice")
        self.assertEqual(committed.facts["redirected_by"], "test.redirect")

    def test_redirect_to_nowhere(self) -> None:
        """Where that mailbox cannot have it, the message stays with the client."""
        for target in ("nobody@example.org", "someone@example.net"):
            site = Site(checks=[redirecting(target)])
            self.assertTrue(deliver(site).startswith("451 4.3.5 "))
            self.assertEqual(site.spool.committed, [])

    def test_findings(self) -> None:
        """What was found out is told with the message."""

        def find(case: Case) -> Verdict:
            case.visit.findings.note("rdns", "none")
            case.findings.note("spf", "pass")
            return PASS

        site = Site(checks=[Check(Stage.SENDER, find)])
        deliver(site)
        self.assertEqual(site.spool.committed[0].facts["checks"], "rdns=none spf=pass")


def redirecting(target: str) -> Check:
    """A check that gives everything to somebody else."""

    def redirect(case: Case) -> Verdict:
        assert case.transaction is not None
        case.transaction.measures.redirect = target
        case.transaction.measures.redirect_rule = "test.redirect"
        return PASS

    return Check(Stage.RECIPIENT, redirect)
