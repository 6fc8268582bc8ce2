"""Mail that people send through their POP3 session: by the rules of a submission by SMTP, and durable before the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.config.sections.rates import RatesSettings
from hermes.core.access_entry import AccessEntry
from hermes.core.account import Account
from hermes.core.header_facts import MAX_HEADER_OCTETS
from hermes.core.outcome import PASS, Then, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.core.visit import Visit
from hermes.interfaces import ICheck, SpoolFullError, UnavailableError
from hermes.policy.authorship import Authorship
from hermes.policy.filter_file import parse_line
from hermes.policy.filters import Filters
from hermes.policy.rates import RateLimits, Rates
from hermes.protocols.smtp.parameters import MAX_PATH_OCTETS
from hermes.services.pop3_submission import MAX_RECORDED_RECIPIENTS, Submissions
from tests.support.cuts import at_random, byte_by_byte, whole
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.pop3 import Client
from tests.support.pop3 import Site as POP3Site
from tests.support.smtp_site import Site as SMTPSite
from tests.support.smtp_site import body_of

MESSAGE = (
    b"From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nDate: x\r\nMessage-ID: <1@x.test>\r\n\r\nHello\r\n"
)


@implementer(ICheck)
class Refusal:
    """Refuses at one stage what the test says, and remembers what it was asked about."""

    name = "test"
    momentary = False

    def __init__(self, stage: Stage, verdict: Verdict) -> None:
        self.stages = (stage,)
        self.verdict = verdict
        self.cases: list[Case] = []

    def judge(self, case: Case) -> Verdict:
        """Refuse."""
        self.cases.append(case)
        return self.verdict


class SubmissionCase(SynchronousTestCase):
    """A server for alice, who may send."""

    def make(self, *checks: ICheck, entry: AccessEntry | None = None, **settings: Any) -> None:
        """Another site, with these checks and settings of the SMTP server."""
        self.smtp = SMTPSite(checks=checks, **settings)
        submissions = Submissions(
            lambda: self.smtp.premises, lambda peer: Visit(peer, entry=entry), self.smtp.settings.smtp
        )
        self.site = POP3Site(
            MailboxRealm(alice=MemoryMailbox(b"Subject: one\n\nx\n"), eve=MemoryMailbox()),
            clock=self.smtp.clock,
            journal=self.smtp.journal,
            submissions=submissions,
        )

    def setUp(self) -> None:
        """A plain one."""
        self.make()

    def send(self, message: bytes, client: Client | None = None) -> bytes:
        """Send a message, in a session of its own unless one is given; the answer at its end."""
        session = client or self.site.log_in("alice")
        begun = session.say("XTND XMIT")
        self.assertEqual(begun, b"+OK send the message, and end it with a dot on a line of its own\r\n")
        answer = session.send(message) + session.send(b".\r\n")
        if client is None:
            session.wire.drop()
        return answer

    def refusals(self) -> list[tuple[object, str]]:
        """Rule and address of each."""
        return self.smtp.journal.refusals()

    def assert_refused(self, message: bytes, answer: bytes, *refusals: tuple[str, str]) -> None:
        """The message is refused in these words, and nothing of it is kept."""
        self.assertEqual(self.send(message), answer + b"\r\n")
        self.assertEqual(self.smtp.spool.committed, [])
        self.assertEqual(self.refusals()[-len(refusals) :], list(refusals))


class AcceptedTests(SubmissionCase):
    """What becomes of a message."""

    def test_message(self) -> None:
        """It goes into the spool for whom its header names, with our own lines, and the trace says which way it came."""
        answer = self.send(MESSAGE)
        (committed,) = self.smtp.spool.committed
        self.assertEqual(answer, f"+OK accepted as {committed.message.queue_id}\r\n".encode())
        envelope = committed.message.envelope
        self.assertEqual(envelope.reverse_path, "alice@example.org")
        self.assertEqual([each.address for each in envelope.recipients], ["bob@example.org"])
        self.assertEqual(committed.destinations, {"bob@example.org": "local:bob"})
        self.assertEqual(body_of(committed.octets), MESSAGE.replace(b"\r\n", b"\n"))
        self.assertIn("\nReceived: from unknown ([127.0.0.1]) by mx.example.org with POP3\n\tid ", committed.text)
        facts = committed.facts
        told = {name: facts[name] for name in ("command", "account", "listener", "peer", "protocol", "size_octets")}
        expected = {"command": "XTND XMIT", "account": "alice", "listener": "pop3", "peer": "127.0.0.1"}
        self.assertEqual(told, {**expected, "protocol": "POP3", "size_octets": len(MESSAGE)})
        self.assertEqual(self.smtp.relay_manager.messages, [committed.message])

    def test_in_every_cut(self) -> None:
        """However it is cut, the same is kept."""
        kept = []
        for cut in (whole, byte_by_byte, at_random):
            client = self.site.log_in("alice")
            for piece in cut(b"XTND XMIT\r\n" + MESSAGE + b"..\r\n.\r\nSTAT\r\nQUIT\r\n"):
                client.send(piece)
            kept.append(body_of(self.smtp.spool.committed[-1].octets))
        self.assertEqual(kept, [MESSAGE.replace(b"\r\n", b"\n") + b".\n"] * 3)

    def test_session_goes_on(self) -> None:
        """Mail is read and sent in one session, as often as one likes."""
        client = self.site.log_in("alice")
        for _ in range(3):
            self.assertTrue(self.send(MESSAGE, client).startswith(b"+OK accepted as "))
            self.assertEqual(client.say("STAT"), b"+OK 1 19\r\n")
        self.assertEqual(len(self.smtp.spool.committed), 3)

    def test_bcc(self) -> None:
        """Who is named in Bcc gets it, and is named to nobody; each recipient is one, however often named."""
        header = b"From: alice@example.org\r\nTo: B <bob@example.org>, bob@example.org\r\nCc: far@example.net\r\n"
        self.send(header + b"Bcc: one@example.net,\r\n two@example.net\r\nSubject: x\r\n\r\nbcc: stays\r\n")
        (committed,) = self.smtp.spool.committed
        named = [each.address for each in committed.message.envelope.recipients]
        self.assertEqual(named, ["bob@example.org", "far@example.net", "one@example.net", "two@example.net"])
        self.assertNotIn("one@example.net", committed.text)
        self.assertTrue(committed.text.endswith("Subject: x\n\nbcc: stays\n"))
        self.assertEqual(committed.facts["size_octets"], len(header) + len(b"Subject: x\r\n\r\nbcc: stays\r\n"))

    def test_what_is_missing(self) -> None:
        """Date and Message-ID are added as to every submission (RFC 6409 8)."""
        self.send(b"From: alice@example.org\r\nTo: bob@example.org\r\n\r\nx\r\n")
        (committed,) = self.smtp.spool.committed
        self.assertIn("\nDate: ", committed.text)
        self.assertIn(f"\nMessage-ID: <{committed.message.queue_id}@mx.example.org>\n", committed.text)

    def test_header_alone(self) -> None:
        """A message without a body is one."""
        self.send(b"To: bob@example.org\r\nBcc: far@example.net\r\n")
        (committed,) = self.smtp.spool.committed
        self.assertTrue(committed.text.endswith("To: bob@example.org\n"))

    def test_sender(self) -> None:
        """The sender is who the header says, if the address is the account's; without one, its first address."""
        for field, expected in (
            (b"From: al@example.org\r\n", "al@example.org"),
            (b"From: sales@example.org\r\n", "sales@example.org"),
            (b"Sender: al@example.org\r\nFrom: other@example.net, x@example.net\r\n", "al@example.org"),
            (b"", "alice@example.org"),
            (b"From: nobody at all\r\n", "alice@example.org"),
        ):
            self.send(field + b"To: bob@example.org\r\n\r\n")
            self.assertEqual(self.smtp.spool.committed[-1].message.envelope.reverse_path, expected)

    def test_utf8(self) -> None:
        """Addresses outside ASCII ask for SMTPUTF8 on the further way."""
        self.send("From: alice@example.org\r\nTo: bj\u00f6rn@example.net\r\n\r\n\u00e9\r\n".encode())
        self.assertTrue(self.smtp.spool.committed[0].message.envelope.smtputf8)
        self.send(MESSAGE)
        self.assertFalse(self.smtp.spool.committed[1].message.envelope.smtputf8)

    def test_many_recipients(self) -> None:
        """As many recipients as a message may have are judged, other sessions running in between."""
        named = ", ".join(f"recipient{number}@example.net" for number in range(1000))
        client = self.site.log_in("alice")
        client.say("XTND XMIT")
        judged: list[int] = []
        self.site.clock.callLater(0, lambda: judged.append(len(self.smtp.directory.asked)))
        answer = client.send(b"To: " + named.replace(", ", ",\r\n ").encode() + b"\r\n\r\nx\r\n.\r\n")
        self.assertTrue(answer.startswith(b"+OK"))
        self.assertEqual(len(self.smtp.spool.committed[0].message.envelope.recipients), 1000)
        self.assertLess(judged[0], 100)

    def test_durable_first(self) -> None:
        """The answer waits for the commit; who leaves meanwhile has sent the message (RFC 1047)."""
        self.smtp.spool.commit_waits_for = Deferred()
        client = self.site.log_in("alice")
        self.assertEqual(self.send(MESSAGE, client), b"")
        client.wire.drop()
        self.smtp.spool.commit_waits_for.callback(None)
        self.assertEqual(len(self.smtp.spool.committed), 1)
        self.assertEqual(self.refusals(), [])

    def test_congestion(self) -> None:
        """While the disk is behind, no more is read."""
        client = self.site.log_in("alice")
        client.say("XTND XMIT")
        self.smtp.spool.congestion = Deferred()
        client.send(MESSAGE)
        client.send(b"more\r\n")
        self.assertEqual(client.wire.producerState, "paused")
        congestion, self.smtp.spool.congestion = self.smtp.spool.congestion, None
        congestion.callback(None)
        self.assertEqual(client.wire.producerState, "producing")
        self.assertTrue(client.send(b".\r\n").startswith(b"+OK"))

    def test_streams(self) -> None:
        """A large message is held nowhere."""
        self.smtp.spool.keeps_octets = False
        client = self.site.log_in("alice")
        client.say("XTND XMIT")
        client.send(MESSAGE)
        for _ in range(400):
            client.send((b"x" * 998 + b"\r\n") * 60)
            self.assertLess(len(client.session._engine._buffer), 5)
        self.assertGreater(self.smtp.spool.writers[0].size_octets, 20_000_000)
        self.assertTrue(client.send(b".\r\n").startswith(b"+OK"))


class RefusedTests(SubmissionCase):
    """Messages that are not taken: for all recipients or for none."""

    def test_recipients(self) -> None:
        """A message needs recipients, whose addresses can be read."""
        for header, answer, rule, address in (
            (
                b"Subject: x\r\n",
                b"-ERR The message names no recipient: it wants To, Cc or Bcc",
                "xtnd.no_recipient",
                "",
            ),
            (
                b"To: friends:;\r\n",
                b"-ERR The message names no recipient: it wants To, Cc or Bcc",
                "xtnd.no_recipient",
                "",
            ),
            (b"To: joe\r\n", b"-ERR joe: ", "protocol.syntax", "joe"),
            (b'To: "joe\r\n', b'-ERR "joe: ', "protocol.syntax", '"joe'),
            (b"To: bob@example.org, joe@x..y\r\n", b"-ERR joe@x..y: ", "protocol.syntax", "joe@x..y"),
            (b"To: bob@example.org> (\r\n", b"-ERR bob@example.org>(: ", "protocol.syntax", "bob@example.org>("),
            (b"To: bob@example.org (\r\n", b"-ERR bob@example.org(: ", "protocol.syntax", "bob@example.org("),
        ):
            answered = self.send(header + b"From: alice@example.org\r\n\r\nx\r\n")
            self.assertTrue(answered.startswith(answer), answered)
            self.assertEqual(self.refusals()[-1], (rule, address))
        self.assertEqual(self.smtp.spool.writers, [])

    def test_long_stray(self) -> None:
        """Of what is no address as much is said and recorded as an address may have: what is wrong with it is said, too."""
        cut = "x" * (MAX_PATH_OCTETS - 6) + " [...]"
        for length, shown in (
            (MAX_PATH_OCTETS - 1, "x" * (MAX_PATH_OCTETS - 1)),
            (MAX_PATH_OCTETS, "x" * MAX_PATH_OCTETS),
            (MAX_PATH_OCTETS + 1, cut),
            (60_000, cut),
        ):
            answer = self.send(b"From: alice@example.org\r\nTo: " + b"x" * length + b"\r\n\r\n").decode()
            self.assertTrue(answer.startswith(f"-ERR {shown}: The "), answer)
            self.assertEqual(self.refusals()[-1], ("protocol.syntax", shown))
            facts = self.smtp.journal.facts("refused")[-1]
            self.assertEqual((facts["reason"], facts["reply"]), (shown, answer.rstrip()))

    def test_unknown_recipient(self) -> None:
        """One recipient who does not exist keeps the message from all, and is named."""
        header = b"From: alice@example.org\r\nTo: bob@example.org, zoe@example.org, far@example.net\r\n\r\n"
        self.assert_refused(
            header, b"-ERR zoe@example.org: No such mailbox here", ("relay.unknown_user", "zoe@example.org")
        )
        self.assertEqual(len(self.refusals()), 1)
        facts = self.smtp.journal.facts("refused")[0]
        self.assertEqual(facts["reply"], "-ERR zoe@example.org: No such mailbox here")
        self.assertEqual((facts["command"], facts["account"], facts["service"]), ("XTND XMIT", "alice", "pop3"))

    def test_temporary(self) -> None:
        """What may go later is told so (RFC 3206 4)."""
        self.smtp.mailboxes.verdicts["bob"] = Verdict(Reply.of(452, "4.2.2", "The mailbox is full"), "mailbox.quota")
        self.assert_refused(
            MESSAGE, b"-ERR [SYS/TEMP] bob@example.org: The mailbox is full", ("mailbox.quota", "bob@example.org")
        )

    def test_quota_at_the_end(self) -> None:
        """A quota is judged by the size as it is."""
        self.smtp.mailboxes.rooms["bob"] = 1000
        self.assert_refused(
            MESSAGE + b"x" * 2000 + b"\r\n",
            b"-ERR [SYS/TEMP] The mailbox is full",
            ("mailbox.quota", "bob@example.org"),
        )

    def test_not_own_sender(self) -> None:
        """Nobody sends as somebody else (RFC 6409 6.1)."""
        self.assert_refused(
            b"From: bob@example.org\r\nTo: far@example.net\r\n\r\n",
            b"-ERR That address is not yours to send from",
            ("sender.not_owner", ""),
        )

    def test_several_from(self) -> None:
        """A message that could be read as from one or another is refused, as every submission is."""
        self.make(Authorship(SMTPSite().directory, own_only=False))
        self.assert_refused(
            b"From: alice@example.org\r\nFrom: bob@example.org\r\nTo: far@example.net\r\n\r\n",
            b"-ERR The message has several From fields: there must be one (RFC 5322 3.6)",
            ("from.several", "far@example.net"),
        )

    def test_header_size(self) -> None:
        """A header of the limit is taken; a larger one may name more recipients than could be read."""
        most = b"From: alice@example.org\r\nTo: bob@example.org\r\nX: "
        lines = most.count(b"\r\n") + 1
        for over, fits in ((0, True), (1, False), (100_000, False)):
            filling = b"x" * (MAX_HEADER_OCTETS - len(most) - 2 + lines + over)
            answer = self.send(most + filling + b"\r\n\r\nHello\r\n")
            self.assertEqual(answer.startswith(b"+OK"), fits, (over, answer))
        self.assertEqual(self.refusals(), [("xtnd.header_size", "")] * 2)

    def test_header_size_in_every_cut(self) -> None:
        """A header of the limit is taken wherever it is cut; what is one octet larger is not."""
        most = b"From: alice@example.org\r\nTo: bob@example.org\r\nX: "
        lines = most.count(b"\r\n") + 1
        for over, fits in ((0, True), (1, False)):
            message = most + b"x" * (MAX_HEADER_OCTETS - len(most) - 2 + lines + over) + b"\r\n"
            for behind in (b"", b"\r\nHello\r\n"):
                for at in range(len(message) - 3, len(message) + len(behind)):
                    client = self.site.log_in("alice")
                    client.say("XTND XMIT")
                    client.send((message + behind)[:at])
                    answer = client.send((message + behind)[at:] + b".\r\n")
                    self.assertEqual(answer.startswith(b"+OK accepted"), fits, (over, behind, at, answer))
                    client.wire.drop()

    def test_size(self) -> None:
        """What is larger than smtp.max_size is refused at its end, and nothing of it is kept."""
        self.make(max_size=1000)
        client = self.site.log_in("alice")
        client.say("XTND XMIT")
        client.send(MESSAGE)
        answer = client.send(b"x" * 1000 + b"\r\n.\r\n")
        self.assertEqual(answer, b"-ERR The message is too big: at most 1000 octets\r\n")
        self.assertEqual((self.smtp.spool.committed, len(self.smtp.spool.aborted)), ([], 1))
        self.assertEqual(self.refusals(), [("size.exceeded", "bob@example.org")])

    def test_size_and_recipient(self) -> None:
        """What is wrong with the message as a whole is no recipient's fault, even if one could not have had it either."""
        self.make(max_size=1000)
        client = self.site.log_in("alice")
        client.say("XTND XMIT")
        client.send(b"From: alice@example.org\r\nTo: zoe@example.org\r\n\r\nHello\r\n")
        answer = client.send(b"x" * 998 + b"\r\n.\r\n")
        self.assertEqual(answer, b"-ERR The message is too big: at most 1000 octets\r\n")
        self.assertEqual(self.refusals(), [("size.exceeded", "")])

    def test_max_recipients(self) -> None:
        """As many recipients as smtp.max_recipients says, and no more."""
        for most, fits in ((2, True), (3, True), (1, False)):
            self.make(max_recipients=most)
            answer = self.send(b"From: alice@example.org\r\nTo: a@example.net, b@example.net\r\n\r\n")
            self.assertEqual(answer.startswith(b"+OK"), fits, most)
        text = b"-ERR At most 1 recipients of a message: send it to the others separately\r\n"
        self.assertEqual(answer, text)
        self.assertEqual(self.refusals(), [("limit.recipients", "")])

    def test_max_messages(self) -> None:
        """As many messages in a session as smtp.max_messages says; then the command is refused, and reading goes on."""
        self.make(max_messages=2)
        client = self.site.log_in("alice")
        for _ in range(2):
            self.assertTrue(self.send(MESSAGE, client).startswith(b"+OK"))
        answer = b"-ERR [SYS/TEMP] At most 2 messages in a session: connect again for more\r\n"
        self.assertEqual(client.say("XTND XMIT", "STAT"), answer + b"+OK 1 19\r\n")
        self.assertEqual(self.refusals(), [("limit.messages", "")])

    def test_bare_newline(self) -> None:
        """A message in which another could be hidden is refused, or mended where that is configured."""
        message = MESSAGE + b"a\n.\nb\r\n"
        self.assert_refused(
            message,
            b"-ERR The message has a bare CR or LF in it: every line must end in CR LF, and nothing else may be one",
            ("message.bare_newline", ""),
        )
        self.make(bare_newlines="normalize")
        self.assertTrue(self.send(message).startswith(b"+OK"))

    def test_rates(self) -> None:
        """Messages count for the account as those that come by SMTP do."""
        settings = RatesSettings(account_messages=("1/hour",))
        self.make(RateLimits(settings, Rates(lambda: 0.0)))
        self.assertTrue(self.send(MESSAGE).startswith(b"+OK"))
        self.assertTrue(self.send(MESSAGE).startswith(b"-ERR [SYS/TEMP] Your account may send 1 messages a"))
        self.assertEqual(self.refusals(), [("rates.account_messages", "")])

    def test_filters(self) -> None:
        """Filters of senders and recipients see what SMTP would have said."""
        self.make(Filters([lambda: [parse_line('R, "RCPT TO:<bob@*", F, "550 not him"')]]))
        self.assertEqual(self.send(MESSAGE), b"-ERR bob@example.org: not him\r\n")
        self.make(Filters([lambda: [parse_line('M, "MAIL FROM:<alice@*", F, "550 not you"')]]))
        self.assertEqual(self.send(MESSAGE), b"-ERR not you\r\n")

    def test_many_recorded(self) -> None:
        """A refusal at the end has an event for the first of many recipients, and their number."""
        self.make(Refusal(Stage.MESSAGE, Verdict(Reply.of(550, "5.7.1", "No"), "test")))
        named = ", ".join(f"r{number}@example.net" for number in range(MAX_RECORDED_RECIPIENTS + 1))
        self.send(f"To: {named}\r\n\r\n".encode())
        self.assertEqual(len(self.refusals()), MAX_RECORDED_RECIPIENTS)
        self.assertEqual(self.smtp.journal.facts("refused")[0]["recipients"], MAX_RECORDED_RECIPIENTS + 1)


class AccountTests(SubmissionCase):
    """Who may send at all."""

    def test_no_account(self) -> None:
        """A login that is no account of the directory's, or is not one any more, cannot send."""
        client = self.site.log_in("eve")
        self.assertEqual(client.say("XTND XMIT"), b"-ERR This login has no account that could send mail\r\n")
        client = self.site.log_in("alice")

        async def disabled(name: str) -> Account:
            return Account("alice", ("alice@example.org",), disabled=True)

        self.patch(self.smtp.directory, "account", disabled)
        self.assertEqual(client.say("XTND XMIT"), b"-ERR This login has no account that could send mail\r\n")
        self.assertEqual(self.refusals(), [("xtnd.no_account", "")] * 2)

    def test_unavailable(self) -> None:
        """While the directory cannot be asked, the message is to come later."""

        async def unavailable(name: str) -> Any:
            raise UnavailableError("down")

        text = b"The directory cannot be asked now: try again later\r\n"
        client = self.site.log_in("alice")
        client.say("XTND XMIT")
        self.patch(self.smtp.directory, "resolve", unavailable)
        self.assertEqual(client.send(MESSAGE + b".\r\n"), b"-ERR [SYS/TEMP] bob@example.org: " + text)
        self.patch(self.smtp.directory, "account", unavailable)
        self.assertEqual(client.say("XTND XMIT"), b"-ERR [SYS/TEMP] " + text)
        self.assertEqual({rule for rule, _ in self.refusals()}, {"directory.unavailable"})

    def test_app_password(self) -> None:
        """A password for reading alone does not send; one that is for both does, and so does the account's own."""
        own = self.site.checker.requestAvatarId
        for services, may in ((("pop3",), False), (("smtp", "pop3"), True), ((), True)):

            def check(credentials: Any, services: tuple[str, ...] = services) -> Deferred[Any]:
                credentials.app_password, credentials.services = "phone" if services else "", services
                answer: Deferred[Any] = own(credentials)
                return answer

            self.patch(self.site.checker, "requestAvatarId", check)
            client = self.site.log_in("alice")
            answer = client.say("XTND XMIT")
            self.assertEqual(answer.startswith(b"+OK"), may, services)
            client.wire.drop()
            if not may:
                self.assertEqual(answer, b"-ERR This app password is for reading alone\r\n")
                self.assertEqual(self.smtp.journal.facts("refused")[0]["rule"], "xtnd.app_password")

    def test_refused_by_smtp(self) -> None:
        """Whom connection control keeps from the SMTP server does not send by this way round."""
        self.make(entry=AccessEntry("office", refused=True))
        answer = b"-ERR You may not connect to this server\r\n"
        self.assertEqual(self.site.log_in("alice").say("XTND XMIT"), answer)
        self.assertEqual(self.refusals(), [("access.office", "")])


class TroubleTests(SubmissionCase):
    """What goes wrong."""

    def test_lost(self) -> None:
        """A message that is cut short is not sent, and the trace has it."""
        for message in (b"", b"From: alice@exam", MESSAGE, MESSAGE + b"."):
            client = self.site.log_in("alice")
            client.say("XTND XMIT")
            client.send(message)
            client.wire.drop()
            self.assertEqual(self.refusals()[-1][0], "session.lost")
        self.assertEqual(self.smtp.spool.committed, [])
        self.assertEqual(len(self.smtp.spool.aborted), 2)

    def test_silence(self) -> None:
        """Who falls silent in the middle of a message is not waited for longer than anywhere else."""
        client = self.site.log_in("alice")
        client.say("XTND XMIT")
        client.send(MESSAGE)
        self.site.clock.advance(self.site.factory.settings.timeout + 1)
        self.assertTrue(client.wire.lost)
        self.assertEqual(self.smtp.spool.committed, [])

    def test_too_slow(self) -> None:
        """A message that goes on for ever, an octet at a time, is ended with smtp.session_time; one that is whole is not."""
        self.make(session_time=1000)
        client = self.site.log_in("alice")
        self.send(MESSAGE, client)
        client.say("XTND XMIT")
        client.send(MESSAGE)
        for _ in range(9):
            self.site.clock.advance(100)
            client.send(b"x")
        self.assertFalse(client.wire.lost)
        self.site.clock.advance(100)
        self.assertTrue(client.wire.lost)
        self.assertEqual(len(self.smtp.spool.committed), 1)

    def test_time_ends_with_the_message(self) -> None:
        """A message that is over is not timed any more, taken or not."""
        self.make(session_time=100, max_size=1000)
        client = self.site.log_in("alice")
        self.send(MESSAGE, client)
        self.send(b"x" * 1000 + b"\r\n", client)
        self.site.clock.advance(101)
        self.assertEqual(client.say("NOOP"), b"+OK\r\n")

    def test_spool_full(self) -> None:
        """A full disk is no reason to lose the connection."""
        self.smtp.spool.full = True
        self.assert_refused(
            MESSAGE,
            b"-ERR [SYS/TEMP] There is no room for mail here now: try again later",
            ("spool.full", "bob@example.org"),
        )

    def test_no_writer(self) -> None:
        """Nor is a spool that does not even begin."""

        def full() -> Any:
            raise SpoolFullError

        self.patch(self.smtp.spool, "create", full)
        self.assertTrue(self.send(MESSAGE).startswith(b"-ERR [SYS/TEMP] There is no room"))

    def test_fault(self) -> None:
        """A fault of ours is logged, and the client may try again."""
        self.smtp.spool.fault = OSError("broken")
        answer = b"-ERR [SYS/TEMP] Something went wrong here: try again later\r\n"
        self.assertEqual(self.send(MESSAGE), answer)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

        async def broken(address: str) -> Any:
            raise RuntimeError

        self.patch(self.smtp.directory, "resolve", broken)
        self.assertEqual(self.send(MESSAGE), answer)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_leaves_while_judged(self) -> None:
        """Who leaves while a recipient is looked up leaves nothing behind."""
        waiting: Deferred[Any] = Deferred()

        async def slow(address: str) -> Any:
            return await waiting

        self.patch(self.smtp.directory, "resolve", slow)
        client = self.site.log_in("alice")
        self.assertEqual(self.send(MESSAGE.replace(b"alice@", b"al@"), client), b"")
        client.wire.drop()
        self.assertEqual(self.smtp.spool.writers, [])
        self.assertEqual(self.refusals(), [("session.lost", "")])

    def test_shut_down(self) -> None:
        """A server that stops lets a message come whole, and closes behind it."""
        client = self.site.log_in("alice")
        client.say("XTND XMIT")
        client.session.shut_down()
        self.assertEqual(client.session.describe()["state"], "message")
        client.send(MESSAGE)
        self.assertFalse(client.wire.lost)
        self.assertTrue(client.send(b".\r\n").startswith(b"+OK accepted as "))
        self.assertTrue(client.wire.lost)

    def test_errors(self) -> None:
        """Refused messages count as refused commands do, and one that is taken begins anew."""
        client = self.site.log_in("alice")
        most = self.site.factory.settings.max_errors
        for _ in range(most - 1):
            self.send(b"x\r\n", client)
        self.send(MESSAGE, client)
        for _ in range(most - 1):
            self.send(b"x\r\n", client)
        self.assertEqual(self.send(b"x\r\n", client), b"-ERR too many errors, goodbye\r\n")
        self.assertTrue(client.wire.lost)


class ConsequenceTests(SubmissionCase):
    """What checks want done beside refusing."""

    def refuse(self, then: Then = Then.GO_ON, delay_seconds: float = 0.0) -> Client:
        """Send what a check refuses so."""
        verdict = Verdict(Reply.of(550, "5.7.1", "No"), "test", then=then, delay_seconds=delay_seconds)
        self.make(Refusal(Stage.SENDER, verdict))
        client = self.site.log_in("alice")
        client.say("XTND XMIT")
        client.wire.write(client.send(MESSAGE + b".\r\n"))
        return client

    def test_go_on(self) -> None:
        """Nothing but the refusal."""
        client = self.refuse()
        self.assertEqual(client.take(), b"-ERR No\r\n")
        self.assertFalse(client.wire.lost)

    def test_close(self) -> None:
        """The refusal is the last word."""
        for then in (Then.CLOSE, Then.ONLY_QUIT):
            client = self.refuse(then)
            self.assertEqual(client.take(), b"-ERR No\r\n")
            self.assertTrue(client.wire.lost)

    def test_vanish(self) -> None:
        """There is no word at all."""
        client = self.refuse(Then.VANISH)
        self.assertEqual(client.take(), b"")
        self.assertTrue(client.wire.aborted)

    def test_delay(self) -> None:
        """The refusal waits."""
        client = self.refuse(delay_seconds=5)
        self.assertEqual(client.take(), b"")
        self.site.clock.advance(5)
        self.assertEqual(client.take(), b"-ERR No\r\n")

    def test_refused_stage(self) -> None:
        """A check may have other words for a refusal; it is told who was refused, and how often that has happened."""
        check = Refusal(Stage.REFUSED, Verdict(Reply.of(550, "5.1.6", "Moved"), "recipient.no_longer_valid"))
        self.make(check)
        client = self.site.log_in("alice")
        client.say("BOGUS")
        self.assertEqual(self.send(MESSAGE.replace(b"bob@", b"zoe@"), client), b"-ERR Moved\r\n")
        (case,) = check.cases
        assert case.recipient is not None
        self.assertEqual((case.recipient.address, case.visit.errors), ("zoe@example.org", 2))
        self.assertEqual(self.refusals(), [("recipient.no_longer_valid", "zoe@example.org")])

    def test_place(self) -> None:
        """The trace has the place of a rule, and what checks have found."""

        def judge(case: Case) -> Verdict:
            case.findings.note("test", "seen")
            return Verdict(Reply.of(550, "5.7.1", "No"), "test", place="filters:3")

        check = Refusal(Stage.HEADER, PASS)
        self.patch(check, "judge", judge)
        self.make(check)
        self.send(MESSAGE)
        facts: Mapping[str, object] = self.smtp.journal.facts("refused")[0]
        self.assertEqual(facts["place"], "filters:3")
        self.assertIn("seen", str(facts["checks"]))
