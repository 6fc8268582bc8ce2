"""The SMTP client's engine when things go wrong: refusals, lost connections, servers that are hostile or mad."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import Recipient
from hermes.core.outcome import Outcome, Result
from hermes.protocols.sasl_client import Channel, Login, begin
from hermes.protocols.smtp.client_events import ContentWanted, Ended, Stage, TransactionDone
from hermes.protocols.smtp.replies import MAX_LINES
from tests.support.cuts import Cut, whole
from tests.support.smtp_engine import GREETING, Conversation, every_cut, parcel


def results(done: TransactionDone) -> list[tuple[Result, str]]:
    """What became of each recipient."""
    return [(outcome.result, outcome.status) for outcome in done.outcomes]


class RefusalTests(SynchronousTestCase):
    """4xx and 5xx at every step."""

    def start(self, *extensions: str, cut: Cut = whole, recipients: int = 1) -> Conversation:
        """A conversation with a transaction begun."""
        talk = Conversation(cut)
        talk.open(*extensions)
        talk.engine.begin(parcel(*(f"r{number}@example.com" for number in range(recipients))))
        return talk

    @every_cut
    def test_mail(self, cut: Cut) -> None:
        """A refused MAIL is one for every recipient; only a temporary one is worth trying elsewhere (RFC 5321 5.1)."""
        for code, result, elsewhere in ((b"451 4.7.1", Result.DEFERRED, True), (b"550 5.7.1", Result.FAILED, False)):
            talk = self.start(cut=cut, recipients=2)
            (done,) = talk.server(code + b" no\r\n")
            self.assertEqual(results(done), [(result, code[4:].decode())] * 2)
            self.assertEqual(done.elsewhere, elsewhere)
            self.assertIn("mx.example.com refused MAIL", done.outcomes[0].reason)
            self.assertNotIn(b"RCPT", talk.sent())

    @every_cut
    def test_mail_pipelined(self, cut: Cut) -> None:
        """In a group the replies that follow a refused MAIL are read and mean nothing."""
        talk = self.start("PIPELINING", cut=cut, recipients=2)
        self.assertEqual(talk.server(b"451 4.7.1 no\r\n503 first MAIL\r\n250 ok\r\n"), [])
        (done,) = talk.server(b"503 no recipients\r\n")
        self.assertEqual(results(done), [(Result.DEFERRED, "4.7.1")] * 2)
        self.assertTrue(done.elsewhere)

    @every_cut
    def test_recipients(self, cut: Cut) -> None:
        """Each recipient has its own answer; the message's answer is for the accepted ones."""
        for extensions in ((), ("PIPELINING",)):
            talk = self.start(*extensions, cut=cut, recipients=4)
            for reply in (b"250 ok\r\n", b"550 5.1.1 no\r\n", b"250 ok\r\n", b"450 4.2.1 busy\r\n", b"553 bad\r\n"):
                self.assertEqual(talk.server(reply), [])
            self.assertEqual(talk.server(b"354 go\r\n"), [ContentWanted()])
            talk.send(b"x\n")
            (done,) = talk.server(b"250 2.0.0 ok\r\n")
            self.assertEqual(
                results(done),
                [
                    (Result.FAILED, "5.1.1"),
                    (Result.RELAYED, "2.0.0"),
                    (Result.DEFERRED, "4.2.1"),
                    (Result.FAILED, "5.0.0"),
                ],
            )
            self.assertFalse(done.elsewhere)
            self.assertFalse(talk.engine.ended)

    def test_nobody(self) -> None:
        """When nobody is accepted, one command at a time, DATA is not sent."""
        talk = self.start(recipients=2)
        talk.server(b"250 ok\r\n")
        talk.server(b"550 5.1.1 no\r\n")
        (done,) = talk.server(b"450 4.2.1 no\r\n")
        self.assertEqual(results(done), [(Result.FAILED, "5.1.1"), (Result.DEFERRED, "4.2.1")])
        self.assertNotIn(b"DATA", talk.sent())
        self.assertIs(talk.engine.stage, Stage.IDLE)

    @every_cut
    def test_nobody_pipelined(self, cut: Cut) -> None:
        """In a group DATA is usually refused then; a server that wants a message gets a lone dot (RFC 2920 3.1)."""
        for answer in (b"554 no valid recipients\r\n", b"250 thanks for nothing\r\n"):
            talk = self.start("PIPELINING", cut=cut)
            talk.sent()
            talk.server(b"250 ok\r\n550 5.1.1 no\r\n")
            self.assertEqual(talk.server(b"354 go\r\n"), [])
            self.assertEqual(talk.sent(), b".\r\n")
            (done,) = talk.server(answer)
            self.assertEqual(results(done), [(Result.FAILED, "5.1.1")])
            self.assertIs(talk.engine.stage, Stage.IDLE)
        talk = self.start("PIPELINING", cut=cut)
        talk.server(b"250 ok\r\n550 5.1.1 no\r\n")
        (done,) = talk.server(b"503 no recipients\r\n")
        self.assertEqual(results(done), [(Result.FAILED, "5.1.1")])

    @every_cut
    def test_data(self, cut: Cut) -> None:
        """A refusal of DATA concerns those that had been accepted."""
        for extensions in ((), ("PIPELINING",)):
            talk = self.start(*extensions, cut=cut, recipients=2)
            talk.server(b"250 ok\r\n")
            talk.server(b"550 5.1.1 no\r\n")
            talk.server(b"250 ok\r\n")
            (done,) = talk.server(b"451 4.3.0 later\r\n")
            self.assertEqual(results(done), [(Result.FAILED, "5.1.1"), (Result.DEFERRED, "4.3.0")])

    def test_final(self) -> None:
        """The answer to the message is for all that had been accepted."""
        for reply, result in ((b"451 4.3.0 later", Result.DEFERRED), (b"554 5.7.1 spam", Result.FAILED)):
            talk = self.start("PIPELINING", recipients=2)
            talk.server(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
            talk.send(b"x\n")
            (done,) = talk.server(reply + b"\r\n")
            self.assertEqual(results(done), [(result, reply[4:9].decode())] * 2)
            self.assertIn(reply.decode(), done.outcomes[0].reason)

    def test_552_is_452(self) -> None:
        """552 at RCPT is how old servers say that it is enough for now (RFC 5321 4.5.3.1.10)."""
        for reply, status in ((b"552 too many", "4.5.3"), (b"552 5.2.2 full", "4.2.2")):
            talk = self.start()
            talk.server(b"250 ok\r\n")
            (done,) = talk.server(reply + b"\r\n")
            self.assertEqual(results(done), [(Result.DEFERRED, status)])
            self.assertEqual(done.outcomes[0].reply.code, 552)

    def test_not_so_many(self) -> None:
        """Those that the server did not want in the same transaction may go in another, when this one succeeded."""
        replies = b"250 ok\r\n250 ok\r\n452 enough\r\n552 5.5.3 enough\r\n452 4.2.2 full\r\n354 go\r\n"
        for final, again in ((b"250 ok\r\n", (1, 2)), (b"451 no\r\n", ())):
            talk = self.start("PIPELINING", recipients=4)
            talk.server(replies)
            talk.send(b"x\n")
            (done,) = talk.server(final)
            self.assertEqual(done.again, again)

    def test_too_large(self) -> None:
        """A message larger than the server takes is not even offered; one of just that size is (RFC 1870 6.1)."""
        for octets, fits in ((999, True), (1000, True), (1001, False)):
            talk = Conversation()
            talk.open("SIZE 1000")
            talk.engine.begin(parcel("a@example.com", octets=octets))
            if fits:
                self.assertEqual(talk.look(), [])
            else:
                (done,) = talk.look()
                self.assertEqual(results(done), [(Result.FAILED, "5.3.4")])
                self.assertEqual(talk.sent(), b"")
                self.assertEqual(talk.engine.transactions, 0)

    def test_international(self) -> None:
        """What needs SMTPUTF8 does not go to a server without it (RFC 6531 3.2)."""
        for changes in ({"smtputf8": True}, {"reverse_path": "gr\u00fcn@example.org"}):
            talk = self.converse_with(**changes)
            (done,) = talk.look()
            self.assertEqual(results(done), [(Result.FAILED, "5.6.7")])
        talk = self.converse_with("SMTPUTF8", "8BITMIME", smtputf8=True)
        self.assertEqual(talk.look(), [])
        self.assertEqual(talk.sent(), b"MAIL FROM:<sender@example.org> BODY=8BITMIME SMTPUTF8\r\n")

    def converse_with(self, *extensions: str, **changes: object) -> Conversation:
        """A transaction whose envelope has these changes."""
        talk = Conversation()
        talk.open(*extensions)
        talk.engine.begin(parcel("a@example.com", **changes))
        return talk

    def test_unsafe_addresses(self) -> None:
        """An address that cannot stand in a command fails by itself; a sender's fails all."""
        talk = self.converse_with(reverse_path="a\r\nRSET@example.org")
        (done,) = talk.look()
        self.assertEqual(results(done), [(Result.FAILED, "5.1.7")])
        talk = Conversation()
        talk.open("PIPELINING")
        talk.engine.begin(parcel("a@exa mple.com", "b@example.com"))
        self.assertNotIn(b"mple.com>\r\nRCPT", talk.sent())
        talk.server(b"250 ok\r\n250 ok\r\n354 go\r\n")
        talk.send(b"x\n")
        (done,) = talk.server(b"250 ok\r\n")
        self.assertEqual(results(done), [(Result.FAILED, "5.1.3"), (Result.RELAYED, "2.0.0")])
        talk.engine.begin(parcel("a\n@example.com"))
        (done,) = talk.look()
        self.assertEqual(results(done), [(Result.FAILED, "5.1.3")])

    def test_nothing_is_declared_that_was_not_asked(self) -> None:
        """DSN parameters go only where they were given."""
        talk = Conversation()
        talk.open("DSN", "PIPELINING")
        sending = parcel("a@example.com")
        recipients = (Recipient("a@example.com", frozenset({"FAILURE"}), "rfc822;a@example.com"), *sending.recipients)
        talk.engine.begin(type(sending)(sending.envelope, recipients, 1))
        self.assertEqual(
            talk.sent(),
            b"MAIL FROM:<sender@example.org>\r\n"
            b"RCPT TO:<a@example.com> NOTIFY=FAILURE ORCPT=rfc822;a@example.com\r\n"
            b"RCPT TO:<a@example.com>\r\nDATA\r\n",
        )


#: How to come to each stage, and what a server would say there that makes no sense.
STAGES = {
    Stage.GREETING: (b"", b"354 go\r\n"),
    Stage.HELLO: (b"220 hi\r\n", b"354 go\r\n"),
    Stage.STARTTLS: (b"STARTTLS", b"354 go\r\n"),
    Stage.LOGIN: (b"AUTH", b"354 go\r\n"),
    Stage.IDLE: (b"IDLE", b"250 what?\r\n"),
    Stage.RESET: (b"SECOND", b"550 no\r\n"),
    Stage.MAIL: (b"MAIL", b"354 go\r\n"),
    Stage.RECIPIENT: (b"MAIL 250", b"354 go\r\n"),
    Stage.DATA: (b"MAIL 250 250", b"250 go\r\n"),
    Stage.CONTENT: (b"MAIL 250 250 354", b"250 ok\r\n"),
    Stage.FINAL: (b"MAIL 250 250 354 dot", b"354 more\r\n"),
}

#: Those inside a transaction.
TRANSACTION = (Stage.RESET, Stage.MAIL, Stage.RECIPIENT, Stage.DATA, Stage.CONTENT, Stage.FINAL)


class EndTests(SynchronousTestCase):
    """The session ends at every stage, in every way."""

    def at(self, stage: Stage) -> Conversation:
        """A conversation that has come to this stage."""
        talk = Conversation()
        way = STAGES[stage][0]
        if stage in (Stage.GREETING, Stage.HELLO):
            talk.server(way)
        else:
            talk.open("STARTTLS", "AUTH PLAIN")
            self.go(talk, way.split())
        talk.sent()
        self.assertIs(talk.engine.stage, stage)
        return talk

    def go(self, talk: Conversation, way: list[bytes]) -> None:
        """From EHLO on."""
        if way == [b"STARTTLS"]:
            talk.engine.start_tls()
        elif way == [b"AUTH"]:
            talk.engine.log_in(begin("PLAIN", Login("a", "b"), Channel()))
        elif way == [b"SECOND"]:
            self.go(talk, b"MAIL 250 250 354 dot 250".split())
            talk.engine.begin(parcel("a@example.com"))
        elif way[0] == b"MAIL":
            talk.engine.begin(parcel("a@example.com"))
            for step in way[1:]:
                if step == b"dot":
                    talk.send(b"x\n")
                else:
                    talk.server(step + b" ok\r\n")

    def outcome(self, talk: Conversation, stage: Stage) -> Outcome:
        """The one outcome of a session that has ended at this stage."""
        event = talk.events[-1]
        self.assertTrue(talk.engine.ended)
        if stage not in TRANSACTION:
            self.assertIsInstance(event, Ended)
            self.assertIs(event.stage, stage)
            return event.outcome
        self.assertIsInstance(event, TransactionDone)
        (outcome,) = event.outcomes
        self.assertEqual(event.elsewhere, "may have been delivered" not in outcome.reason)
        return outcome

    def test_lost(self) -> None:
        """A lost connection defers; after the final dot the reason says that it may have been delivered (RFC 1047)."""
        for stage in STAGES:
            talk = self.at(stage)
            talk.engine.connection_lost("reset by peer")
            talk.look()
            outcome = self.outcome(talk, stage)
            self.assertIs(outcome.result, Result.DEFERRED)
            self.assertEqual(outcome.status, "4.4.2")
            self.assertIn("reset by peer", outcome.reason)
            self.assertEqual("may have been delivered" in outcome.reason, stage is Stage.FINAL)
            talk.engine.connection_lost("again")
            talk.engine.timed_out(1)
            talk.engine.receive(b"250 ok\r\n")
            self.assertEqual(talk.look(), [])

    def test_timed_out(self) -> None:
        """So does silence; the reason says what was waited for."""
        for stage in STAGES:
            talk = self.at(stage)
            talk.engine.timed_out(300)
            talk.look()
            outcome = self.outcome(talk, stage)
            self.assertIs(outcome.result, Result.DEFERRED)
            self.assertIn("more than 300 seconds", outcome.reason)
            if stage is not Stage.IDLE:
                self.assertIn(stage.value, outcome.reason)
            self.assertEqual("may have been delivered" in outcome.reason, stage is Stage.FINAL)

    def test_421(self) -> None:
        """421 may answer anything, and defers with the server's words; a message refused so was not delivered."""
        for stage in STAGES:
            talk = self.at(stage)
            talk.server(b"421 4.3.2 shutting down\r\n")
            outcome = self.outcome(talk, stage)
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.3.2"))
            self.assertEqual(outcome.reply.code, 421)
            self.assertNotIn("may have been delivered", outcome.reason)

    def test_421_without_enhanced_code(self) -> None:
        """Without an enhanced code 421 is 4.3.2 (RFC 3463: system not accepting network messages)."""
        talk = self.at(Stage.MAIL)
        talk.server(b"421 bye\r\n")
        self.assertEqual(self.outcome(talk, Stage.MAIL).status, "4.3.2")

    def test_impossible_replies(self) -> None:
        """A reply that the command cannot have ends the session: nothing can be trusted after it."""
        for stage, (_, reply) in STAGES.items():
            talk = self.at(stage)
            talk.server(reply)
            outcome = self.outcome(talk, stage)
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.5.0"), stage)
            self.assertEqual("may have been delivered" in outcome.reason, stage is Stage.FINAL)

    def test_garbage(self) -> None:
        """What is not SMTP ends the session at every stage."""
        for stage in STAGES:
            talk = self.at(stage)
            talk.server(b"HTTP/1.1 400 Bad Request\r\n")
            outcome = self.outcome(talk, stage)
            self.assertEqual((outcome.result, outcome.status), (Result.DEFERRED, "4.5.0"))
            self.assertIn("does not speak SMTP", outcome.reason)

    def test_endless_hello(self) -> None:
        """An EHLO reply of ten thousand lines ends the session long before its end."""
        talk = self.at(Stage.HELLO)
        for _ in range(MAX_LINES):
            talk.server(b"250-x\r\n")
        self.assertFalse(talk.engine.ended)
        talk.server(b"250-x\r\n" * 10000)
        self.assertIn("lines", self.outcome(talk, Stage.HELLO).reason)

    def test_endless_replies(self) -> None:
        """Replies that nobody asked for end the session at the first one."""
        talk = self.at(Stage.IDLE)
        talk.server(b"250 ok\r\n" * 10000)
        self.assertEqual(len([event for event in talk.events if isinstance(event, Ended)]), 1)

    def test_long_winded(self) -> None:
        """Of a server's many words the beginning is kept, at each stage of the dialogue."""
        for code in (250, 450, 550):
            for stage in range(3):
                talk = Conversation()
                talk.open()
                talk.engine.begin(parcel("a@example.com"))
                said = [b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]
                for reply in said[:stage] if code != 250 else said:
                    talk.server(reply)
                if code == 250:
                    talk.send(b"x\n")
                talk.server(b"%d-%b\r\n" % (code, b"x" * 500) * 20 + b"%d the end\r\n" % code)
                (done,) = [event for event in talk.events if isinstance(event, TransactionDone)]
                (outcome,) = done.outcomes
                assert outcome.reply is not None
                self.assertEqual((len(outcome.reason), len(outcome.reply.text)), (2000, 2000))
                self.assertTrue(outcome.reason.endswith("xxx...") and outcome.reply.text.endswith("xxx..."))

    def test_leaving_while_idle(self) -> None:
        """A server may end an idle session with any 4xx."""
        talk = self.at(Stage.IDLE)
        talk.server(b"451 4.4.2 idle for too long\r\n")
        self.assertEqual(self.outcome(talk, Stage.IDLE).status, "4.4.2")

    def test_refused_while_sending(self) -> None:
        """A refusal before the message is whole is its answer, and ends the session: it cannot be broken off otherwise."""
        for reply, expected in (
            (b"552 5.3.4 too big\r\n", (Result.FAILED, "5.3.4")),
            (b"451 4.3.1 disk full\r\n", (Result.DEFERRED, "4.3.1")),
        ):
            talk = self.at(Stage.CONTENT)
            (done,) = talk.server(reply)
            self.assertEqual(results(done), [expected])
            self.assertTrue(talk.engine.ended)

    def test_recipients_of_a_broken_group(self) -> None:
        """What was said about a recipient before the connection was lost stays said."""
        talk = Conversation()
        talk.open("PIPELINING")
        talk.engine.begin(parcel("a@example.com", "b@example.com", "c@example.com"))
        talk.server(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n")
        talk.engine.connection_lost("reset by peer")
        (done,) = talk.look()
        self.assertEqual(
            results(done), [(Result.DEFERRED, "4.4.2"), (Result.FAILED, "5.1.1"), (Result.DEFERRED, "4.4.2")]
        )
        self.assertTrue(done.elsewhere)

    def test_greeting_only_once(self) -> None:
        """A second greeting is not an answer to EHLO that means anything else than one."""
        talk = Conversation()
        talk.server(GREETING)
        (ready,) = talk.server(b"220 mx.example.com again\r\n")
        self.assertEqual(ready.capabilities.name, "mx.example.com")

    def test_no_transaction(self) -> None:
        """A fault of ours is an exception, not a reply."""
        talk = self.at(Stage.IDLE)
        self.assertRaises(RuntimeError, talk.engine._finish)
