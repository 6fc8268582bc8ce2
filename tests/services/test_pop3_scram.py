"""SCRAM in POP3 sessions (RFC 5034, RFC 5802): proved, not proved, unknown, and what is told of it."""

from __future__ import annotations

from base64 import b64decode, b64encode

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.protocols.scram_keys import ScramKeys
from hermes.services.pop3_connection import WRONG_PASSWORD_SECONDS
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.pop3 import Client, Site, Wire
from tests.support.scram import MemoryKeys, ScramClient

WRONG = b"-ERR [AUTH] wrong name or password\r\n"


def coded(octets: bytes) -> str:
    """Octets as they go over the wire."""
    return b64encode(octets).decode("ascii")


class ScramTests(SynchronousTestCase):
    """A server with one account and its keys, and clients on this machine, who may log in without TLS."""

    def setUp(self) -> None:
        """Ada has a mailbox."""
        self.keys = MemoryKeys(ada="secret")
        self.mailbox = MemoryMailbox(b"Subject: one\n\n")
        self.site = Site(MailboxRealm(ada=self.mailbox), scram=self.keys)
        self.client = self.site.connect()

    def begin(self, scram: ScramClient, client: Client | None = None) -> bytes:
        """What answers the first message."""
        return (client or self.client).say(f"AUTH SCRAM-SHA-256 {coded(scram.first())}")

    def exchange(self, scram: ScramClient) -> bytes:
        """What answers the final message."""
        challenge = self.begin(scram)
        self.assertTrue(challenge.startswith(b"+ "))
        return self.client.say(coded(scram.final(b64decode(challenge[2:]))))

    def rules(self) -> list[object]:
        """The rules of the refused logins."""
        return [facts["rule"] for facts in self.site.journal.facts("login")]

    def test_offer(self) -> None:
        """What is offered without TLS has no channel binding; the rest comes in order of preference."""
        self.assertIn(b"\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\n", self.client.say("CAPA"))
        self.assertEqual(self.client.say("AUTH"), b"+OK mechanisms follow\r\nSCRAM-SHA-256\r\nPLAIN\r\nLOGIN\r\n.\r\n")
        self.site.factory.implicit_tls = True
        client = self.site.connect()
        self.assertIn(b"\r\nSASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n", client.say("CAPA"))
        self.assertTrue(self.site.connect(Wire()).say("AUTH SCRAM-SHA-256 =").startswith(b"-ERR"))

    def test_not_in_the_clear(self) -> None:
        """From another machine nobody logs in without TLS, by SCRAM neither (RFC 8314 3)."""
        client = self.site.connect(Wire())
        self.assertNotIn(b"SASL", client.say("CAPA"))
        self.assertTrue(self.begin(ScramClient("ada", "secret"), client).startswith(b"-ERR [AUTH]"))

    def test_proved(self) -> None:
        """Who proves the password has the mailbox; nobody has seen the password."""
        scram = ScramClient("Ada", "secret")
        final = self.exchange(scram)
        self.assertTrue(scram.trusts(b64decode(final[2:])))
        self.assertEqual(self.client.say(""), b"+OK mailbox open\r\n")
        self.assertEqual(self.client.say("STAT"), b"+OK 1 16\r\n")
        (facts,) = self.site.journal.facts("login")
        self.assertEqual((facts["result"], facts["mechanism"]), ("accepted", "SCRAM-SHA-256"))
        self.assertEqual(self.site.checker.asked, [])

    def test_not_proved(self) -> None:
        """A wrong password and an unknown name are answered alike, after the same wait, and counted."""
        for scram in (ScramClient("ada", "guess"), ScramClient("nobody", "secret")):
            self.assertEqual(self.exchange(scram), b"")
            self.site.clock.advance(WRONG_PASSWORD_SECONDS)
            self.assertEqual(self.client.take(), WRONG)
        self.assertEqual(self.site.gate.failures, ["127.0.0.1"] * 2)
        self.assertEqual(self.rules(), ["login.wrong"] * 2)

    def test_keys_of_nobody(self) -> None:
        """Even a proof of made-up keys, which only a test can give, opens nothing."""
        self.assertTrue(self.exchange(ScramClient("nobody", "\x00")).startswith(b"+ "))
        self.assertEqual(self.client.say(""), b"")
        self.site.clock.advance(WRONG_PASSWORD_SECONDS)
        self.assertEqual(self.client.take(), WRONG)

    def test_acting_as_oneself_only(self) -> None:
        """An authorization identity other than one's own is refused like a wrong password, before keys are looked up."""
        self.assertEqual(self.begin(ScramClient("ada", "secret", authorization="bob")), b"")
        self.site.clock.advance(WRONG_PASSWORD_SECONDS)
        self.assertEqual(self.client.take(), WRONG)
        self.assertEqual((self.keys.asked, self.rules()), ([], ["login.authorization"]))

    def test_gate(self) -> None:
        """A peer that has guessed too often gets no challenge."""
        self.site.gate.login = Verdict(Reply.of(454, "4.7.0", "Too many"), "limits.login_failures")
        self.assertEqual(self.begin(ScramClient("ada", "secret")), b"-ERR [SYS/TEMP] Too many\r\n")
        self.assertEqual((self.keys.asked, self.rules()), ([], ["limits.login_failures"]))

    def test_no_such_binding(self) -> None:
        """A connection that has no such channel binding says so, and no failure is counted."""
        self.site.factory.implicit_tls = True
        client = self.site.connect()
        first = coded(ScramClient("ada", "secret", flag="p=tls-exporter").first())
        self.assertTrue(client.say(f"AUTH SCRAM-SHA-256-PLUS {first}").startswith(b"-ERR this connection"))
        self.assertEqual((self.site.gate.failures, self.rules()), ([], ["auth.channel_binding"]))

    def test_canceled_and_malformed(self) -> None:
        """An exchange can be called off at each step, and ends with what is no message of SCRAM; another may follow."""
        for line in ("*", coded(b"nonsense"), "!"):
            self.assertEqual(self.client.say("AUTH SCRAM-SHA-256"), b"+ \r\n")
            self.assertTrue(self.client.say(line).startswith(b"-ERR"))
            self.begin(ScramClient("ada", "secret"))
            self.assertTrue(self.client.say(line).startswith(b"-ERR"))
            self.exchange(ScramClient("ada", "secret"))
            self.assertTrue(self.client.say(line).startswith(b"-ERR"))
        self.exchange(ScramClient("ada", "secret"))
        self.assertEqual(self.client.say(""), b"+OK mailbox open\r\n")

    def test_no_keys_to_be_had(self) -> None:
        """A directory that fails is a fault of ours: temporary, logged and in the trace."""
        self.keys.fault = OSError("disk")
        self.assertTrue(self.begin(ScramClient("ada", "secret")).startswith(b"-ERR [SYS/TEMP]"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(self.rules(), ["login.fault"])
        self.assertEqual(self.client.say("CAPA")[:3], b"+OK")

    def test_left_while_keys_are_looked_up(self) -> None:
        """Who leaves meanwhile has cost nothing, and leaves nothing behind."""
        waiting: Deferred[tuple[ScramKeys, str]] = Deferred()
        self.patch(self.keys, "scram_keys", lambda name: waiting)
        self.begin(ScramClient("ada", "secret"))
        self.client.wire.drop()
        self.assertEqual((self.site.gate.failures, self.rules(), self.site.clock.getDelayedCalls()), ([], [], []))
