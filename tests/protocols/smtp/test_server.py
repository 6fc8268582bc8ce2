"""Tests of :mod:`hermes.protocols.smtp.server`: sessions, sequence, envelopes and limits."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import BodyType, Recipient
from hermes.core.reply import Reply
from hermes.protocols.smtp import events
from hermes.protocols.smtp.parameters import MAX_COMMAND_OCTETS, ServerParameters
from hermes.protocols.smtp.server import SMTPServer
from tests.support.smtp_owner import HOSTNAME, OK, Owner, in_message, ready, replayed

LMTP = events.Flavor.LMTP
SUBMISSION = events.Flavor.SUBMISSION


def codes(lines: list[bytes]) -> list[int]:
    """The codes of replies, from their last lines."""
    return [int(line[:3]) for line in lines if line[3:4] == b" "]


class GreetingTests(SynchronousTestCase):
    """The beginning of a session."""

    def test_greeting(self) -> None:
        """The greeting begins with our name (RFC 5321 4.2)."""
        self.assertEqual(Owner().engine.greeting("ESMTP Hermes"), b"220 mx.example.org ESMTP Hermes\r\n")

    def test_greeting_of_several_lines(self) -> None:
        """All but the last line have a hyphen behind the code, and our name stands in the first (RFC 5321 4.2, 4.2.1)."""
        self.assertEqual(
            Owner().engine.greeting("ESMTP Hermes\nWelcome\n\nNo spam"),
            b"220-mx.example.org ESMTP Hermes\r\n220-Welcome\r\n220-\r\n220 No spam\r\n",
        )

    def test_ehlo(self) -> None:
        """EHLO is answered with what is offered, one extension a line."""
        owner = Owner(max_size_octets=1000, max_messages=5, max_recipients=7)
        lines = owner.lines(b"EHLO client.example.com")
        self.assertEqual(owner.events, [events.Hello("EHLO", "client.example.com")])
        self.assertEqual(lines[0], b"250-mx.example.org greets you")
        self.assertEqual([line[:4] for line in lines], [b"250-"] * (len(lines) - 1) + [b"250 "])
        self.assertEqual(
            {line[4:].decode() for line in lines[1:]},
            {
                "PIPELINING",
                "SIZE 1000",
                "8BITMIME",
                "SMTPUTF8",
                "ENHANCEDSTATUSCODES",
                "CHUNKING",
                "BINARYMIME",
                "DSN",
                "HELP",
                "LIMITS MAILMAX=5 RCPTMAX=7",
            },
        )

    def test_limits_have_six_digits(self) -> None:
        """LIMITS cannot say more than 999999 (RFC 9422)."""
        lines = Owner(max_messages=10_000_000, max_recipients=1_000_000).lines(b"EHLO x")
        self.assertIn(b"LIMITS MAILMAX=999999 RCPTMAX=999999", [line[4:] for line in lines])

    def test_helo(self) -> None:
        """HELO is answered with one line."""
        owner = Owner()
        self.assertEqual(owner.lines(b"HELO client.example.com"), [b"250 mx.example.org greets you"])
        self.assertEqual(owner.engine.hello_name, "client.example.com")

    def test_refused_hello(self) -> None:
        """A refused greeting is none, and its answer has no enhanced code (RFC 2034 4)."""
        owner = Owner(refuse_hello=Reply.of(550, "5.7.1", "Not you"))
        self.assertEqual(owner.lines(b"EHLO x"), [b"550 Not you"])
        self.assertEqual(owner.engine.hello_name, "")
        self.assertEqual(codes(owner.lines(b"MAIL FROM:<>")), [503])

    def test_hello_again(self) -> None:
        """A second EHLO is accepted, and ends the transaction (RFC 5321 4.1.4)."""
        owner = ready()
        owner.lines(b"MAIL FROM:<>", b"EHLO other.example.com")
        self.assertFalse(owner.engine.in_transaction)
        self.assertEqual(owner.engine.hello_name, "other.example.com")
        self.assertEqual(codes(owner.lines(b"RCPT TO:<b@example.org>", b"MAIL FROM:<>")), [503, 250])

    def test_malformed_hello_changes_nothing(self) -> None:
        """A malformed EHLO leaves the transaction as it was (RFC 5321 4.1.4)."""
        owner = ready()
        self.assertEqual(codes(owner.lines(b"MAIL FROM:<>", b"EHLO", b"RCPT TO:<b@example.org>")), [250, 501, 250])

    def test_web_client(self) -> None:
        """A web client is sent away, and what it sends is not looked at."""
        owner = replayed(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<>\r\n", Owner)
        self.assertEqual(owner.output[:10], b"421 4.7.0 ")
        self.assertEqual(len(owner.events), 1)
        self.assertTrue(owner.engine.closing)

    def test_tls_handshake(self) -> None:
        """A client that begins with TLS where it is not spoken is told at once, instead of waiting for ever."""
        owner = replayed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Owner)
        self.assertEqual(owner.output[:10], b"421 4.7.0 ")
        self.assertTrue(owner.engine.closing)

    def test_protocol_keywords(self) -> None:
        """The words of RFC 3848 and RFC 6531 4.3."""
        clear = {"mechanisms_in_clear": ("PLAIN",)}
        owner = ready(**clear)
        self.assertEqual(owner.engine.protocol_keyword, "ESMTP")
        owner.lines(b"AUTH PLAIN AGEAc2VjcmV0")
        self.assertEqual(owner.engine.protocol_keyword, "ESMTPA")
        owner.lines(b"MAIL FROM:<> SMTPUTF8")
        self.assertEqual(owner.engine.protocol_keyword, "UTF8SMTPA")
        owner = Owner()
        owner.engine.tls_started()
        owner.lines(b"EHLO x")
        self.assertEqual(owner.engine.protocol_keyword, "ESMTPS")
        owner = Owner()
        owner.engine.tls_started()
        owner.lines(b"HELO x")
        self.assertEqual(owner.engine.protocol_keyword, "SMTP")
        owner = ready(flavor=LMTP)
        self.assertEqual(owner.engine.protocol_keyword, "LMTP")
        owner.lines(b"MAIL FROM:<> SMTPUTF8")
        self.assertEqual(owner.engine.protocol_keyword, "UTF8LMTP")

    def test_keyword_while_mail_is_judged(self) -> None:
        """The keyword is right already when the owner is asked about MAIL."""
        engine = SMTPServer(ServerParameters(HOSTNAME))
        engine.receive(b"EHLO x\r\n")
        engine.next_event()
        engine.accept_hello("")
        engine.receive(b"MAIL FROM:<> SMTPUTF8\r\n")
        engine.next_event()
        self.assertEqual(engine.protocol_keyword, "UTF8SMTP")
        engine.reply(Reply.of(550, "5.7.1", "No"))
        self.assertEqual(engine.protocol_keyword, "ESMTP")


class OwnerTests(SynchronousTestCase):
    """What the engine asks of its owner."""

    def setUp(self) -> None:
        """An engine that has heard NOOP."""
        self.engine = SMTPServer(ServerParameters(HOSTNAME))
        self.engine.receive(b"NOOP\r\nNOOP\r\n")
        self.engine.next_event()

    def test_answer_first(self) -> None:
        """The next event is not given out before the last one has been answered."""
        self.assertRaises(RuntimeError, self.engine.next_event)
        self.engine.reply(OK)
        self.assertEqual(self.engine.next_event(), events.Noop())

    def test_only_a_greeting_is_accepted(self) -> None:
        """accept_hello answers a greeting only."""
        self.assertRaises(RuntimeError, self.engine.accept_hello, "")

    def test_only_a_message_has_replies(self) -> None:
        """Several replies answer the end of a message only."""
        self.assertRaises(RuntimeError, self.engine.replies, [OK])

    def test_unasked_goodbye(self) -> None:
        """421 may be said at any time, and ends the session (RFC 5321 3.8)."""
        self.engine.reply(OK)
        self.assertEqual(self.engine.reply(Reply.of(421, "4.4.2", "Too slow")), b"421 4.4.2 Too slow\r\n")
        self.assertTrue(self.engine.closing)
        self.engine.receive(b"NOOP\r\n")
        self.assertIsNone(self.engine.next_event())

    def test_discard_input(self) -> None:
        """What has come in and was not read can be thrown away."""
        self.engine.reply(OK)
        self.engine.discard_input()
        self.assertIsNone(self.engine.next_event())

    def test_parameters_can_change(self) -> None:
        """New parameters hold from the next command on."""
        self.engine.reply(OK)
        self.engine.parameters = ServerParameters(HOSTNAME, flavor=LMTP)
        self.engine.receive(b"EHLO x\r\n")
        self.engine.next_event()
        self.engine.reply(OK)
        event = self.engine.next_event()
        assert isinstance(event, events.Refused)
        self.assertEqual(event.reply.code, 500)


class SequenceTests(SynchronousTestCase):
    """Commands out of order (RFC 5321 4.1.4)."""

    def test_at_any_time(self) -> None:
        """Some commands need no greeting and disturb no transaction."""
        for owner in (Owner(), ready()):
            lines = owner.lines(b"NOOP", b"HELP", b"VRFY x", b"EXPN x", b"RSET")
            self.assertEqual(codes(lines), [250, 214, 252, 252, 250])
        owner = ready()
        owner.lines(b"MAIL FROM:<>", b"NOOP", b"HELP", b"VRFY x", b"EXPN x", b"FOO")
        self.assertTrue(owner.engine.in_transaction)

    def test_before_hello(self) -> None:
        """Nothing that leads to a message or a login is possible before the greeting."""
        owner = Owner(starttls=True, mechanisms_in_clear=("PLAIN",))
        lines = owner.lines(b"MAIL FROM:<>", b"RCPT TO:<b@example.org>", b"DATA", b"STARTTLS", b"AUTH PLAIN =")
        self.assertEqual(codes(lines), [503] * 5)
        self.assertIn(b"EHLO", lines[0])

    def test_transaction(self) -> None:
        """MAIL, RCPT, DATA: each in its place and in no other."""
        owner = ready()
        self.assertEqual(codes(owner.lines(b"RCPT TO:<b@example.org>", b"DATA")), [503, 503])
        self.assertEqual(codes(owner.lines(b"MAIL FROM:<>", b"MAIL FROM:<>", b"DATA")), [250, 503, 554])
        self.assertEqual(codes(owner.lines(b"RCPT TO:<b@example.org>", b"MAIL FROM:<>", b"DATA")), [250, 503, 354])
        self.assertEqual(codes(owner.lines(b"x", b".", b"DATA", b"RCPT TO:<b@example.org>")), [250, 503, 503])

    def test_refused_mail_opens_nothing(self) -> None:
        """After a refused MAIL there is no transaction."""
        owner = ready()
        lines = owner.lines(b"MAIL FROM:<unknown@example.com>", b"RCPT TO:<b@example.org>", b"MAIL FROM:<>")
        self.assertEqual(codes(lines), [550, 503, 250])

    def test_no_valid_recipient(self) -> None:
        """DATA needs a recipient that was accepted (RFC 5321 4.1.1.4)."""
        owner = ready()
        lines = owner.lines(
            b"MAIL FROM:<>", b"RCPT TO:<unknown@example.org>", b"DATA", b"RCPT TO:<b@example.org>", b"DATA"
        )
        self.assertEqual(codes(lines), [250, 550, 554, 250, 354])

    def test_refused_data(self) -> None:
        """When DATA is refused the transaction stays, and what comes is a command."""
        owner = ready(refuse_message=Reply.of(451, "4.3.0", "Not now"))
        lines = owner.lines(b"MAIL FROM:<>", b"RCPT TO:<b@example.org>", b"DATA", b"NOOP")
        self.assertEqual(codes(lines), [250, 250, 451, 250])
        self.assertTrue(owner.engine.in_transaction)

    def test_reset(self) -> None:
        """RSET ends the transaction."""
        owner = ready()
        lines = owner.lines(b"MAIL FROM:<> SMTPUTF8", b"RCPT TO:<b@example.org>", b"RSET", b"DATA", b"MAIL FROM:<>")
        self.assertEqual(codes(lines), [250, 250, 250, 503, 250])
        self.assertFalse(owner.engine.smtputf8)

    def test_quit(self) -> None:
        """Nothing is read behind QUIT."""
        owner = replayed(b"QUIT\r\nNOOP\r\n")
        self.assertEqual(owner.output, b"221 2.0.0 Bye\r\n")
        self.assertTrue(owner.engine.closing)

    def test_owner_says_goodbye(self) -> None:
        """Nothing is read behind an answer of 421."""
        owner = replayed(b"MAIL FROM:<gone@example.com>\r\nNOOP\r\n")
        self.assertEqual(owner.output, b"421 4.3.2 Going down\r\n")
        self.assertTrue(owner.engine.closing)

    def test_pipeline(self) -> None:
        """Commands that come together are answered in their order (RFC 2920)."""
        owner = replayed(
            b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<unknown@example.org>\r\n"
            b"RCPT TO:<later@example.org>\r\nDATA\r\nx\r\n.\r\nRSET\r\nQUIT\r\n"
        )
        self.assertEqual(codes(owner.output.splitlines()), [250, 250, 550, 451, 354, 250, 250, 221])


class EnvelopeTests(SynchronousTestCase):
    """What MAIL and RCPT lead to."""

    def test_all_parameters(self) -> None:
        """Every parameter comes to the owner."""
        owner = replayed(
            b"MAIL FROM:<a@example.com> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x AUTH=<>\r\n"
            b"RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c@example.org\r\n"
        )
        self.assertEqual(
            owner.events,
            [
                events.MailFrom("a@example.com", 100, BodyType.EIGHT_BIT, True, "FULL", "x"),
                events.RecipientTo(Recipient("b@example.org", frozenset({"SUCCESS", "DELAY"}), "rfc822;c@example.org")),
            ],
        )

    def test_declared_size(self) -> None:
        """A declared size is compared with the limit at MAIL (RFC 1870 6.1)."""
        owner = ready(max_size_octets=1000)
        for size, code in ((999, 250), (1000, 250), (1001, 552)):
            lines = owner.lines(b"MAIL FROM:<> SIZE=%d" % size, b"RSET")
            self.assertEqual(codes(lines)[0], code)
        self.assertEqual(codes(ready(max_size_octets=0).lines(b"MAIL FROM:<> SIZE=99999999999")), [250])

    def test_recipient_outside_ascii(self) -> None:
        """RCPT outside ASCII wants SMTPUTF8 at MAIL: 553 5.6.7 (RFC 6531 3.5)."""
        line = "RCPT TO:<jürgen@example.org>".encode()
        owner = ready()
        self.assertEqual(owner.lines(b"MAIL FROM:<>", line)[1][:9], b"553 5.6.7")
        owner = ready()
        self.assertEqual(codes(owner.lines(b"MAIL FROM:<> SMTPUTF8", line)), [250, 250])
        self.assertEqual(owner.last, events.RecipientTo(Recipient("j\u00fcrgen@example.org")))
        self.assertEqual(codes(owner.lines(b"RSET", b"MAIL FROM:<>", line)), [250, 250, 553])

    def test_replies_outside_ascii(self) -> None:
        """Only who has said SMTPUTF8 gets UTF-8 (RFC 6531 3.7.4)."""
        for parameter, octets in ((b"", b"250 2.1.0 J?rgen\r\n"), (b" SMTPUTF8", "250 2.1.0 Jürgen\r\n".encode())):
            engine = SMTPServer(ServerParameters(HOSTNAME))
            engine.receive(b"EHLO x\r\nMAIL FROM:<>%b\r\n" % parameter)
            engine.next_event()
            engine.accept_hello("")
            engine.next_event()
            self.assertEqual(engine.reply(Reply.of(250, "2.1.0", "J\u00fcrgen")), octets)

    def test_recipients_limit(self) -> None:
        """One recipient above the limit is answered 452 4.5.3 (RFC 5321 4.5.3.1.10); refused ones do not count."""
        owner = ready(max_recipients=2)
        lines = owner.lines(
            b"MAIL FROM:<>",
            b"RCPT TO:<b@example.org>",
            b"RCPT TO:<unknown@example.org>",
            b"RCPT TO:<c@example.org>",
            b"RCPT TO:<d@example.org>",
            b"DATA",
        )
        self.assertEqual(codes(lines), [250, 250, 550, 250, 452, 354])
        self.assertIn(b"4.5.3", lines[4])

    def test_messages_limit(self) -> None:
        """Every MAIL counts (RFC 9422), and one above the limit ends the session: the client may connect again."""
        owner = ready(max_messages=2)
        lines = owner.lines(b"MAIL FROM:<unknown@example.com>", b"MAIL FROM:<>", b"RSET", b"MAIL FROM:<>", b"NOOP")
        self.assertEqual(codes(lines), [550, 250, 250, 421])
        self.assertTrue(owner.engine.closing)


class LineTests(SynchronousTestCase):
    """Lines that are no commands; the session goes on after each."""

    def refused(self, line: bytes, code: int, **parameters: object) -> None:
        """The octets are answered once with that code, and then NOOP with 250."""
        owner = replayed(line + b"NOOP\r\n", **parameters)
        self.assertEqual(codes(owner.output.splitlines()), [code, 250], line[:40])
        self.assertFalse(owner.engine.closing)

    def test_limit(self) -> None:
        """A command line has at most 2048 octets; a longer one is answered once."""
        for size in (MAX_COMMAND_OCTETS - 1, MAX_COMMAND_OCTETS):
            self.refused(b"NOOP ".ljust(size - 2, b"x") + b"\r\n", 250)
        self.refused(b"NOOP ".ljust(MAX_COMMAND_OCTETS - 1, b"x") + b"\r\n", 500)
        self.refused(b"x" * 9000 + b"\r\n", 500)

    def test_limit_where_logins_are_possible(self) -> None:
        """The limit of other commands is the same where AUTH may be longer."""
        parameters = {"mechanisms_in_clear": ("PLAIN",)}
        self.refused(b"NOOP ".ljust(MAX_COMMAND_OCTETS - 2, b"x") + b"\r\n", 250, **parameters)
        self.refused(b"NOOP ".ljust(MAX_COMMAND_OCTETS - 1, b"x") + b"\r\n", 500, **parameters)
        self.refused(b"x" * 13000 + b"\r\n", 500, **parameters)

    def test_memory(self) -> None:
        """A line without an end takes no more memory than the longest line."""
        owner = ready()
        for _ in range(200):
            owner.receive(b"x" * 1000)
            self.assertLess(len(owner.engine._buffer), MAX_COMMAND_OCTETS)
        self.assertEqual(codes(owner.lines(b"", b"NOOP")), [500, 250])

    def test_what_is_no_command(self) -> None:
        """Garbage is answered 500."""
        for line in (
            b"\x00\r\n",
            b"\xff\xfe\xfd\r\n",
            b"\r\n",
            b"NOOP\n",
            b"MAIL FROM:<a\x00@example.org>\r\n",
            b"GET /\r\n",
        ):
            self.refused(line, 500)

    def test_dots_behind_data(self) -> None:
        """The end of a message that nobody waits for is no command."""
        self.refused(b".\r\n", 500)


class LMTPTests(SynchronousTestCase):
    """LMTP (RFC 2033)."""

    def test_hello(self) -> None:
        """LHLO it is, and neither EHLO nor HELO; and the other way round."""
        lines = Owner(flavor=LMTP).lines(b"EHLO x", b"HELO x", b"LHLO x")
        self.assertEqual([line[:4] for line in lines[:2]], [b"500 ", b"500 "])
        self.assertEqual(lines[-1][:4], b"250 ")
        self.assertEqual(codes(Owner().lines(b"LHLO x")), [500])
        self.assertIn(b"LHLO", Owner(flavor=LMTP).lines(b"MAIL FROM:<>")[0])

    def test_reply_for_each_recipient(self) -> None:
        """The end of the message is answered for each accepted recipient, one given twice included (RFC 2033 4.2)."""
        owner = replayed(
            b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<unknown@example.org>\r\nRCPT TO:<b@example.org>\r\n"
            b"DATA\r\nx\r\n.\r\nNOOP\r\n",
            flavor=LMTP,
        )
        self.assertEqual(codes(owner.output.splitlines()), [250, 250, 550, 250, 354, 250, 250, 250])

    def test_failed_message(self) -> None:
        """So is a message that failed."""
        owner = ready(flavor=LMTP)
        lines = owner.lines(
            b"MAIL FROM:<>", b"RCPT TO:<b@example.org>", b"RCPT TO:<c@example.org>", b"DATA", b"x\ny", b"."
        )
        self.assertEqual(codes(lines), [250, 250, 250, 354, 550, 550])
        self.assertEqual(codes(owner.lines(b"NOOP")), [250])

    def test_no_valid_recipient(self) -> None:
        """DATA without a valid recipient is answered 503 (RFC 2033 4.2)."""
        owner = ready(flavor=LMTP)
        self.assertEqual(
            codes(owner.lines(b"MAIL FROM:<>", b"RCPT TO:<unknown@example.org>", b"DATA")), [250, 550, 503]
        )

    def test_chunks(self) -> None:
        """Only the last chunk is answered for each recipient (RFC 2033 4.3)."""
        begin = b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n"
        owner = replayed(begin + b"BDAT 1\r\naBDAT 1 LAST\r\nbNOOP\r\n", flavor=LMTP)
        self.assertEqual(codes(owner.output.splitlines()), [250, 250, 250, 250, 250, 250, 250])
        owner = replayed(begin + b"BDAT 1\r\n\nBDAT 1 LAST\r\nbNOOP\r\n", flavor=LMTP)
        self.assertEqual(codes(owner.output.splitlines()), [250, 250, 250, 550, 503, 250])
        owner = replayed(begin + b"BDAT 11 LAST\r\nxxxxxxxxxxxNOOP\r\n", flavor=LMTP, max_size_octets=10)
        self.assertEqual(codes(owner.output.splitlines()), [250, 250, 250, 552, 552, 250])

    def test_refused_last_chunk(self) -> None:
        """The owner's refusal of a message in one chunk goes out for each recipient."""
        begin = b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n"
        refusal = Reply.of(451, "4.3.0", "Not now")
        owner = replayed(begin + b"BDAT 1 LAST\r\naNOOP\r\n", flavor=LMTP, refuse_message=refusal)
        self.assertEqual(codes(owner.output.splitlines()), [250, 250, 250, 451, 451, 250])

    def test_number_of_replies(self) -> None:
        """There must be as many replies as accepted recipients."""
        engine = self.at_the_end()
        self.assertRaises(RuntimeError, engine.replies, [OK])
        self.assertRaises(RuntimeError, engine.replies, [OK] * 3)
        self.assertEqual(engine.replies([OK, OK]), b"250 2.0.0 Ok\r\n" * 2)

    def test_goodbye_among_replies(self) -> None:
        """A 421 among the replies ends the session."""
        engine = self.at_the_end()
        engine.replies([OK, Reply.of(421, "4.7.0", "Enough")])
        self.assertTrue(engine.closing)

    def at_the_end(self) -> SMTPServer:
        """An engine at the end of a message for two."""
        owner = ready(flavor=LMTP)
        owner.lines(b"MAIL FROM:<>", b"RCPT TO:<b@example.org>", b"RCPT TO:<c@example.org>", b"DATA")
        owner.engine.receive(b".\r\n")
        self.assertEqual(owner.engine.next_event(), events.MessageEnded(0))
        return owner.engine


class SubmissionTests(SynchronousTestCase):
    """Submission (RFC 6409)."""

    def test_login_first(self) -> None:
        """MAIL is answered 530 5.7.0 until there was a login (RFC 6409 4.3)."""
        owner = ready(flavor=SUBMISSION, mechanisms_in_clear=("PLAIN",))
        lines = owner.lines(b"MAIL FROM:<a@example.org>", b"MAIL nonsense", b"AUTH PLAIN AGEAc2VjcmV0", b"MAIL FROM:<>")
        self.assertEqual(codes(lines), [530, 530, 235, 250])
        self.assertEqual(lines[0], b"530 5.7.0 Log in first")

    def test_tls_first(self) -> None:
        """Where a login is possible under TLS only, that is said."""
        owner = ready(flavor=SUBMISSION, mechanisms=("PLAIN",), starttls=True)
        self.assertEqual(owner.lines(b"MAIL FROM:<>"), [b"530 5.7.0 Use STARTTLS first, then log in"])

    def test_others_need_none(self) -> None:
        """Other servers do not log in."""
        self.assertEqual(codes(ready(mechanisms_in_clear=("PLAIN",)).lines(b"MAIL FROM:<>")), [250])


class MessageOwnerTests(SynchronousTestCase):
    """The end of a message changes the state whatever the answer is."""

    def test_refused_message_ends_the_transaction(self) -> None:
        """A refused message is over like an accepted one (RFC 5321 4.1.1.4)."""
        owner = in_message()
        self.assertEqual(
            codes(owner.lines(b"a\rb", b".", b"RCPT TO:<b@example.org>", b"MAIL FROM:<>")), [550, 503, 250]
        )
