"""How a session begins, what limits it, and how it ends."""

from __future__ import annotations

import attrs
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.mail import smtp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.outcome import PASS, Verdict
from hermes.core.reply import Reply
from hermes.protocols.smtp.events import Flavor
from hermes.services.incoming import SpooledMessage
from hermes.services.smtp_connection import EXPIRED_SECONDS, LINGER_SECONDS, MAX_RECORDED_RECIPIENTS
from hermes.services.smtp_server import SMTPServerFactory
from tests.support.smtp_site import ALICE, NOON, Site, codes, plain

ENVELOPE = ("MAIL FROM:<writer@example.com>", "RCPT TO:<alice@example.org>")


def rules(site: Site) -> list[object]:
    """The rules that have refused something."""
    return [rule for rule, _ in site.journal.refusals()]


class BeginningTests(SynchronousTestCase):
    """The first moments."""

    def test_contract(self) -> None:
        """A session is Twisted's ESMTP, made by a factory, with the portal and the host name where programmers look."""
        site = Site()
        session = site.connect().session
        self.assertIsInstance(session, smtp.ESMTP)
        self.assertIs(session.portal, site.portal)
        self.assertEqual(session.host, b"mx.example.org")
        self.assertIs(session.factory, site.factory)

    def test_gate_refuses(self) -> None:
        """Whom the gate does not admit is told so, and the connection is closed; what it says is not read."""
        site = Site()
        site.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.per_address", "20 connections")
        client = site.connect(greet=None)
        self.assertEqual(client.heard(), ["421 4.7.0 Too many"])
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(client.say("EHLO x"), [])
        client.leave()
        self.assertEqual((site.gate.present, site.factory.sessions), ([], set()))
        (event,) = site.journal.events
        self.assertEqual((event.facts["rule"], event.facts["peer"]), ("limits.per_address", "192.0.2.7"))
        self.assertEqual(event.facts["reason"], "20 connections")
        self.assertEqual(site.clock.getDelayedCalls(), [])

    def test_gate_counts(self) -> None:
        """The gate and the factory know who is connected, and who is not any more."""
        site = Site()
        client, other = site.connect(), site.connect("2001:db8::7")
        self.assertEqual(site.gate.present, ["192.0.2.7", "2001:db8::7"])
        self.assertEqual(site.factory.sessions, {client.session, other.session})
        client.leave()
        self.assertEqual((site.gate.present, site.factory.sessions), (["2001:db8::7"], {other.session}))

    def test_mapped_address(self) -> None:
        """An IPv4 client of an IPv6 listener is an IPv4 client."""
        site = Site()
        site.connect("::ffff:192.0.2.7")
        self.assertEqual(site.gate.present, ["192.0.2.7"])

    def test_early_talker(self) -> None:
        """A client that talks without listening first loses nothing."""
        site = Site()
        client = site.connect(greet=None)
        replies = client.say("HELO x", *ENVELOPE, "DATA", "Subject: x", "", ".", "QUIT")
        self.assertEqual(codes(replies), ["220", "250", "250", "250", "354", "250", "221"])

    def test_implicit_tls(self) -> None:
        """TLS begins before anything is written, and STARTTLS is not offered."""
        site = Site(implicit_tls=True)
        client = site.connect(greet=None)
        self.assertEqual((len(client.wire.tls), client.wire.before_tls), (1, b""))
        self.assertEqual(codes(client.heard()), ["220"])
        replies = client.say("EHLO x")
        self.assertNotIn("250 STARTTLS", replies)
        self.assertIn("250 AUTH PLAIN LOGIN", replies)

    def test_implicit_tls_needs_certificate(self) -> None:
        """A listener that is to begin with TLS cannot be made without a certificate."""
        with self.assertRaises(ValueError):
            Site(implicit_tls=True, tls=False)

    def test_no_certificate(self) -> None:
        """Without a certificate STARTTLS is neither offered nor done."""
        client = Site(tls=False).connect(greet=None)
        replies = client.say("EHLO x", "STARTTLS")
        self.assertNotIn("250 STARTTLS", replies)
        self.assertEqual(codes(replies)[-1], "502")

    def test_certificate_out_of_order(self) -> None:
        """When the certificate cannot be had, TLS is not available for the moment (RFC 3207 4)."""
        site = Site()
        client = site.connect()
        client.session._context = attrs.evolve(client.session._context, server_tls=_Broken())
        self.assertEqual(codes(client.say("STARTTLS", "NOOP")), ["454", "250"])
        self.assertEqual(len(self.flushLoggedErrors(ssl.SSL.Error)), 1)
        self.assertEqual(client.wire.tls, [])


class _Broken:
    def context_factory(self) -> object:
        """Fail."""
        raise ssl.SSL.Error


class SettingsTests(SynchronousTestCase):
    """What the factory makes of its settings."""

    def login_words(self, site: Site, peer: str) -> list[str]:
        """What EHLO says of logging in."""
        return [line[4:] for line in site.connect(peer, greet=None).say("EHLO x") if line[4:].startswith("AUTH")]

    def test_login_in_clear(self) -> None:
        """A login without TLS is for loopback alone, and only when the settings say so."""
        for peer, setting, expected in (
            ("127.0.0.1", "never", []),
            ("127.0.0.1", "loopback", ["AUTH PLAIN LOGIN"]),
            ("::1", "loopback", ["AUTH PLAIN LOGIN"]),
            ("192.0.2.7", "loopback", []),
        ):
            self.assertEqual(self.login_words(Site(auth_without_tls=setting), peer), expected, (peer, setting))

    def test_no_login_by_lmtp(self) -> None:
        """LMTP knows no login."""
        site = Site(flavor=Flavor.LMTP, implicit_tls=True)
        self.assertEqual([line for line in site.connect(greet=None).say("LHLO x") if "AUTH" in line], [])

    def test_no_portal(self) -> None:
        """Without a portal nobody can log in, and nobody can send."""
        site = Site()
        factory = SMTPServerFactory(
            settings=site.settings.smtp,
            hostname="mx.example.org",
            listener="smtp",
            flavor=Flavor.SMTP,
            clock=site.clock,
            portal=None,
            gate=site.gate,
            journal=site.journal,
        )
        site.factory = factory
        self.assertEqual(codes(site.connect().say(*ENVELOPE)), ["530", "503"])


class LimitTests(SynchronousTestCase):
    """Below, at and above."""

    def test_errors(self) -> None:
        """The refused command that reaches the limit is answered 421, and the session is over."""
        site = Site(max_errors=3)
        client = site.connect()
        self.assertEqual(codes(client.say("XXXX", "NOOP", "MAIL FROM:<bad")), ["500", "250", "501"])
        self.assertFalse(client.wire.disconnecting)
        self.assertEqual(client.say("RCPT TO:<x@example.net>", "NOOP"), ["421 4.7.0 Too many errors: goodbye"])
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(client.say("NOOP"), [])

    def test_refused_recipients_are_errors(self) -> None:
        """Trying addresses is counted, for that is how addresses are harvested."""
        site = Site(max_errors=3)
        client = site.connect()
        client.say(ENVELOPE[0])
        replies = client.say(*[f"RCPT TO:<user{number}@example.org>" for number in range(5)])
        self.assertEqual(codes(replies), ["550", "550", "421"])
        self.assertEqual(len(site.journal.events), 3)

    def test_errors_are_forgiven(self) -> None:
        """A message that is accepted wipes the slate, so that a long session of a good client is not ended."""
        site = Site(max_errors=3)
        client = site.connect()
        for _ in range(3):
            replies = client.say(*ENVELOPE, "RCPT TO:<a@example.org>", "RCPT TO:<b@example.org>", "DATA", "", ".")
            self.assertEqual(codes(replies), ["250", "250", "550", "550", "354", "250"])

    def test_commands(self) -> None:
        """As many commands as allowed are answered; the next one ends the session."""
        site = Site(max_commands=3)
        client = site.connect(greet=None)
        self.assertEqual(codes(client.say("NOOP", "NOOP", "NOOP")), ["220", "250", "250", "250"])
        self.assertEqual(client.say("NOOP"), ["421 4.7.0 Too many commands: goodbye"])
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(rules(site), ["session.max_commands"])

    def test_messages(self) -> None:
        """The engine's limit of messages ends the session with its own 421."""
        client = Site(max_messages=1).connect()
        self.assertEqual(codes(client.say(*ENVELOPE, "RSET", ENVELOPE[0])), ["250", "250", "250", "421"])
        self.assertTrue(client.wire.disconnecting)

    def test_recipients(self) -> None:
        """The limit of recipients is 452; those before it stand (RFC 5321 4.5.3.1.10)."""
        site = Site(max_recipients=2)
        client = site.connect()
        replies = client.say(*ENVELOPE, "RCPT TO:<bob@example.org>", "RCPT TO:<al@example.org>", "DATA", "", ".")
        self.assertEqual(codes(replies), ["250", "250", "250", "452", "354", "250"])
        self.assertEqual(len(site.spool.committed[0].message.recipients), 2)


class TimeTests(SynchronousTestCase):
    """Patience and its end."""

    def test_silence(self) -> None:
        """Silence up to the limit is borne; then the client is told, and closed upon."""
        site = Site(timeout=300)
        client = site.connect()
        site.clock.advance(299)
        client.say("NOOP")
        site.clock.advance(299)
        self.assertEqual(client.heard(), [])
        site.clock.advance(1)
        self.assertEqual(client.heard(), ["421 4.4.2 Nothing was heard for too long: goodbye"])
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(rules(site), ["session.timeout"])

    def test_silence_in_a_message(self) -> None:
        """The same holds in the middle of a message, which is then forgotten, and that is in the trace."""
        site = Site(timeout=300)
        client = site.connect()
        client.say(*ENVELOPE, "DATA", "Subject: x")
        client.heard()
        site.clock.advance(300)
        self.assertEqual(codes(client.heard()), ["421"])
        self.assertEqual(site.spool.aborted, ["000000000001"])
        (event,) = site.journal.events
        self.assertEqual((event.facts["rule"], event.queue_id), ("session.timeout", "000000000001"))
        self.assertEqual(event.address, "alice@example.org")
        client.leave()
        self.assertEqual(len(site.journal.events), 1)

    def test_our_own_time(self) -> None:
        """While we take our time, the client is not blamed."""
        site = Site(timeout=300)
        client = site.connect()
        site.spool.commit_waits_for = Deferred()
        client.say(*ENVELOPE, "DATA", "", ".")
        client.heard()
        site.clock.advance(301)
        self.assertEqual(client.heard(), [])
        site.spool.commit_waits_for.callback(None)
        self.assertEqual(codes(client.heard()), ["250"])

    def test_session_time(self) -> None:
        """A session ends after its time, however busy it is, also in the middle of a message."""
        for commands in (("NOOP",), (*ENVELOPE, "DATA", "Subject: x")):
            site = Site(session_time=1000, timeout=300)
            client = site.connect()
            client.say(*commands)
            for _ in range(9):
                site.clock.advance(100)
                client.say("NOOP")
            site.clock.advance(99)
            client.heard()
            self.assertFalse(client.wire.disconnecting)
            site.clock.advance(1)
            self.assertEqual(client.heard(), ["421 4.7.0 The session has lasted too long: goodbye"])
            self.assertTrue(client.wire.disconnecting)
            self.assertEqual(rules(site), ["session.session_time"])

    def test_session_time_while_answering(self) -> None:
        """A session whose time is over while it waits for us gets its answer first."""
        site = Site(session_time=1000, timeout=3000)
        client = site.connect()
        client.say(*ENVELOPE, "DATA")
        site.spool.commit_waits_for = Deferred()
        client.say("", ".")
        site.clock.advance(1000)
        site.clock.advance(EXPIRED_SECONDS)
        self.assertEqual(client.heard(), [])
        site.spool.commit_waits_for.callback(None)
        self.assertEqual(codes(client.heard()), ["250", "421"])
        self.assertTrue(client.wire.disconnecting)

    def test_last_words_not_taken(self) -> None:
        """A client that does not take its last reply is cut off."""
        site = Site()
        client = site.connect()
        client.say("QUIT")
        site.clock.advance(LINGER_SECONDS - 1)
        self.assertFalse(client.wire.aborted)
        site.clock.advance(1)
        self.assertTrue(client.wire.aborted)

    def test_does_not_read(self) -> None:
        """A client that asks and does not read is not answered further, and then cut off."""
        site = Site(timeout=300)
        client = site.connect()
        client.session._turns.pauseProducing()  # type: ignore[union-attr]
        client.say("NOOP")
        client.say("NOOP")
        client.heard()
        self.assertTrue(client.wire.paused)
        site.clock.advance(300)
        self.assertTrue(client.wire.disconnecting)
        # Under TLS the client's own good-bye has to be read.
        self.assertFalse(client.wire.paused)
        site.clock.advance(LINGER_SECONDS)
        self.assertTrue(client.wire.aborted)


class EndTests(SynchronousTestCase):
    """Goodbye."""

    def test_quit(self) -> None:
        """QUIT is answered and the connection closed; nothing behind it is looked at, and no timer is left."""
        site = Site()
        client = site.connect()
        self.assertEqual(client.say("QUIT", "NOOP"), ["221 2.0.0 Goodbye"])
        self.assertTrue(client.wire.disconnecting)
        client.leave()
        self.assertEqual(site.clock.getDelayedCalls(), [])
        self.assertEqual(site.realm.present, 0)

    def test_quit_in_a_transaction(self) -> None:
        """QUIT drops the transaction (RFC 5321 4.1.1.10)."""
        site = Site()
        site.connect().say(*ENVELOPE, "QUIT")
        self.assertEqual(site.spool.committed, [])

    def test_shut_down_idle(self) -> None:
        """An idle session is told at once that the server stops, once."""
        client = Site().connect()
        client.say(*ENVELOPE)
        client.session.shut_down()
        client.session.shut_down()
        self.assertEqual(client.heard(), ["421 4.3.2 The server is shutting down: come again later"])
        self.assertTrue(client.wire.disconnecting)

    def test_shut_down_in_a_message(self) -> None:
        """A message on its way is taken to its end before the session is told."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE, "DATA", "Subject: x")
        client.session.shut_down()
        self.assertFalse(client.wire.disconnecting)
        self.assertEqual(codes(client.say("", ".", "NOOP")), ["250", "421"])
        self.assertEqual(len(site.spool.committed), 1)

    def test_shut_down_in_a_command(self) -> None:
        """A command that is being answered gets its answer first."""
        site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True)
        client = site.connect()
        site.checker.waits_for = Deferred()
        client.say(f"AUTH PLAIN {plain()}")
        client.session.shut_down()
        self.assertEqual(client.heard(), [])
        site.checker.waits_for.callback(None)
        self.assertEqual(codes(client.heard()), ["235", "421"])

    def test_lost_in_a_command(self) -> None:
        """A client that leaves while it is being answered takes its answer's work with it."""
        site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True)
        client = site.connect()
        site.checker.waits_for = Deferred()
        client.say(f"AUTH PLAIN {plain()}")
        client.leave()
        self.assertTrue(site.checker.waits_for.called, "the checker is still asked")
        self.assertEqual((site.gate.present, site.factory.sessions), ([], set()))
        self.assertEqual(site.clock.getDelayedCalls(), [])

    def test_broken_connection(self) -> None:
        """A connection that breaks is cleared away like one that is closed."""
        site = Site()
        client = site.connect()
        for reason in (ConnectionLost(), ssl.SSL.Error([("ssl", "", "handshake failure")])):
            client = site.connect()
            client.session.connectionLost(Failure(reason))
            self.assertNotIn(client.session, site.factory.sessions)
        self.assertEqual(len(site.gate.present), 1)
        self.assertEqual(site.gate.broken_tls, 1)

    def test_fault_of_the_engine(self) -> None:
        """A fault where none can be ends this session alone, and is logged."""
        site = Site()
        client = site.connect()

        def next_event() -> None:
            raise RuntimeError("engine")

        self.patch(client.session._engine, "next_event", next_event)
        self.assertEqual(codes(client.say("NOOP")), ["421"])
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class DescribeTests(SynchronousTestCase):
    """What an administrator sees."""

    def test_states(self) -> None:
        """A session tells where it stands."""
        site = Site()
        client = site.connect()
        expected: dict[str, object] = {
            "service": "smtp",
            "peer": "192.0.2.7",
            "via": None,
            "listener": "smtp",
            "hello": "client.example.com",
            "account": "",
            "tls": None,
            "state": "ready",
            "since": NOON,
            "commands": 1,
            "queue_id": "",
        }
        self.assertEqual(client.session.describe(), expected)
        client.say(*ENVELOPE)
        self.assertEqual(client.session.describe(), expected | {"state": "transaction", "commands": 3})
        client.say("DATA")
        message = {"state": "message", "commands": 4, "queue_id": "000000000001"}
        self.assertEqual(client.session.describe(), expected | message)
        client.say("", ".", "QUIT")
        self.assertEqual(client.session.describe(), expected | {"state": "closing", "commands": 6})

    def test_account(self) -> None:
        """Who has logged in is told."""
        client = Site(flavor=Flavor.SUBMISSION, implicit_tls=True).connect()
        client.say(f"AUTH PLAIN {plain('ALICE')}")
        self.assertEqual(client.session.describe()["account"], "alice")

    def test_turned_away(self) -> None:
        """A connection that the gate refused can be described too."""
        site = Site()
        site.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.rate")
        self.assertEqual(site.connect(greet=None).session.describe()["state"], "closing")


class RefusalTraceTests(SynchronousTestCase):
    """Everything that is refused is in the trace."""

    def test_facts(self) -> None:
        """A refusal tells which rule, which reply, to whom, and of which transaction."""
        site = Site()
        site.connect().say(ENVELOPE[0], "RCPT TO:<x@example.net>")
        (event,) = site.journal.events
        self.assertEqual(
            (event.address, event.reverse_path, event.queue_id), ("x@example.net", "writer@example.com", "")
        )
        self.assertEqual(
            dict(event.facts),
            {
                "rule": "relay.denied",
                "reason": "example.net is not ours, 192.0.2.7 is not trusted",
                "reply": "550 5.7.1 We do not relay: that address is not ours, and you have not logged in",
                "command": "RCPT",
                "peer": "192.0.2.7",
                "listener": "smtp",
                "hello": "client.example.com",
                "account": None,
                "tls": None,
            },
        )

    def test_by_the_engine(self) -> None:
        """What the engine refuses is in the trace too, with its verb; what is no command may be a password, and is not."""
        site = Site()
        site.connect().say("XXXX", "data now", "\xff", "x" * 3000)
        self.assertEqual(
            [(event.facts["rule"], event.facts["command"]) for event in site.journal.events],
            [
                ("protocol.unknown_command", None),
                ("protocol.sequence", "DATA"),
                ("protocol.unknown_command", None),
                ("protocol.line_too_long", None),
            ],
        )

    def test_sender(self) -> None:
        """A reverse-path that is refused is recorded as that, not as a recipient."""
        site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True)
        site.connect().say(f"AUTH PLAIN {plain('ALICE')}", "MAIL FROM:<bob@example.org>")
        event = site.journal.events[-1]
        self.assertEqual(
            (event.facts["rule"], event.address, event.reverse_path), ("sender.not_owner", "", "bob@example.org")
        )

    def test_each_recipient_of_lmtp(self) -> None:
        """A message that fails in LMTP is refused, and recorded, for each recipient."""
        site = Site(flavor=Flavor.LMTP)
        client = site.connect(greet="LHLO client.example.com")
        client.say(*ENVELOPE, "RCPT TO:<bob@example.org>", "DATA")
        site.spool.full = True
        self.assertEqual(codes(client.say("", ".")), ["452", "452"])
        self.assertEqual(
            site.journal.refusals(), [("spool.full", "alice@example.org"), ("spool.full", "bob@example.org")]
        )
        site.spool.full = False
        self.assertEqual(codes(client.say(*ENVELOPE, "DATA", "", ".")), ["250", "250", "354", "250"])

    def test_failed_message_of_lmtp(self) -> None:
        """A message that the engine finds fault with is refused for each recipient."""
        site = Site(flavor=Flavor.LMTP, max_size=10)
        client = site.connect(greet="LHLO client.example.com")
        client.say(*ENVELOPE, "RCPT TO:<bob@example.org>", "DATA")
        self.assertEqual(codes(client.say("x" * 20, ".", "NOOP")), ["552", "552", "250"])
        self.assertEqual(
            site.journal.refusals(), [("size.exceeded", "alice@example.org"), ("size.exceeded", "bob@example.org")]
        )

    def test_goodbye_among_the_replies_of_lmtp(self) -> None:
        """When 421 is what one recipient's message is answered with, the session ends behind the replies (RFC 5321 3.8)."""
        site = Site(flavor=Flavor.LMTP)
        client = site.connect(greet="LHLO client.example.com")
        client.say(*ENVELOPE, "RCPT TO:<bob@example.org>", "DATA")

        async def finish(self: SpooledMessage, wire_octets: int) -> list[Verdict]:
            return [PASS, Verdict(Reply.of(421, "4.3.2", "Going down"), "test.down")]

        self.patch(SpooledMessage, "finish", finish)
        self.assertEqual(codes(client.say("", ".", "NOOP")), ["250", "421"])
        self.assertTrue(client.wire.disconnecting)

    def test_message_for_many_that_is_refused(self) -> None:
        """Of very many recipients only so many are recorded, with the number of all: refusals must not fill the trace."""
        most = MAX_RECORDED_RECIPIENTS
        for count, told in ((most, None), (most + 1, most + 1)):
            site = Site()
            addresses = [f"alice+{number}@example.org" for number in range(count)]
            site.directory.mailboxes |= dict.fromkeys(addresses, ALICE)
            client = site.connect()
            client.say("MAIL FROM:<writer@example.com>", *(f"RCPT TO:<{address}>" for address in addresses))
            client.send(b"DATA\r\nx\ny\r\n.\r\n")
            self.assertEqual([event.address for event in site.journal.events], addresses[:most])
            numbers = {event.facts.get("recipients") for event in site.journal.events}
            self.assertEqual(numbers, {told})

    def test_message_that_is_refused_as_a_whole(self) -> None:
        """Whoever asks for one of its recipients finds a message that was refused after DATA, or by the size of a chunk."""
        for data in (b"DATA\r\nx\ny\r\n.\r\n", b"BDAT 99 LAST\r\n" + b"x" * 99):
            site = Site(max_size=50)
            client = site.connect()
            client.say(*ENVELOPE, "RCPT TO:<bob@example.org>")
            client.send(data)
            self.assertEqual(
                [(event.address, event.reverse_path) for event in site.journal.events],
                [("alice@example.org", "writer@example.com"), ("bob@example.org", "writer@example.com")],
            )
            self.assertEqual(client.session.describe()["state"], "ready")


class ForeignEnvelopeTests(SynchronousTestCase):
    """The transaction cannot get lost."""

    def test_lost_transaction(self) -> None:
        """After a fault that dropped our side of the transaction, the client is told to begin again."""
        site = Site()
        client = site.connect()
        client.say(*ENVELOPE)
        client.session._intake.drop()
        self.assertEqual(codes(client.say("RCPT TO:<bob@example.org>", "DATA")), ["451", "451"])
        self.assertEqual(rules(site), ["fault.transaction", "fault.transaction"])
