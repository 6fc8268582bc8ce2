"""SCRAM in SMTP sessions (RFC 4954, RFC 5802): proved, not proved, unknown, and what is told of it."""

from __future__ import annotations

from base64 import b64decode, b64encode

from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Event, Kind
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.protocols.scram_keys import ScramKeys
from hermes.protocols.smtp.events import Flavor
from hermes.services.smtp_login import SECONDS_PER_FAILURE
from tests.support.scram import MemoryKeys, ScramClient
from tests.support.smtp_site import PASSWORD, Client, Site, codes

WRONG = ["535 5.7.8 Name or password is wrong"]


def coded(octets: bytes) -> str:
    """Octets as they go over the wire."""
    return b64encode(octets).decode("ascii")


class ScramTests(SynchronousTestCase):
    """A submission session over TLS, at a server that has keys."""

    def connect(self, **settings: int) -> Client:
        """A session that has been greeted."""
        self.keys = MemoryKeys(alice=PASSWORD, gone=PASSWORD)
        self.site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True, scram=self.keys, **settings)
        return self.site.connect()

    def logins(self) -> list[Event]:
        """What the trace says of logins."""
        return [event for event in self.site.journal.events if event.kind is Kind.LOGIN]

    def exchange(self, client: Client, scram: ScramClient) -> list[str]:
        """The replies to the final message."""
        (challenge,) = client.say(f"AUTH SCRAM-SHA-256 {coded(scram.first())}")
        self.assertEqual(challenge[:4], "334 ")
        return client.say(coded(scram.final(b64decode(challenge[4:]))))

    def test_offer(self) -> None:
        """The best mechanism is named first; without keys there is none of the kind, without TLS none with binding."""
        self.connect()
        client = self.site.connect(greet=None)
        client.heard()
        self.assertIn("250 AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN", client.say("EHLO client.example.com"))
        site = Site(flavor=Flavor.SUBMISSION, scram=self.keys, auth_without_tls="loopback")
        client = site.connect("127.0.0.1", greet=None)
        client.heard()
        self.assertIn("250 AUTH SCRAM-SHA-256 PLAIN LOGIN", client.say("EHLO client.example.com"))
        client = Site(flavor=Flavor.SUBMISSION, implicit_tls=True).connect()
        self.assertEqual(codes(client.say("AUTH SCRAM-SHA-256")), ["504"])

    def test_proved(self) -> None:
        """Who proves the password is in, and sends as that account; the portal never sees a password."""
        client, scram = self.connect(), ScramClient("Alice", PASSWORD)
        (final,) = self.exchange(client, scram)
        self.assertTrue(scram.trusts(b64decode(final[4:])))
        self.assertEqual(client.say(""), ["235 2.7.0 Logged in"])
        self.assertEqual(codes(client.say("MAIL FROM:<alice@example.org>")), ["250"])
        (event,) = self.logins()
        self.assertEqual((event.address, event.facts["result"]), ("alice", "accepted"))
        self.assertEqual(event.facts["mechanism"], "SCRAM-SHA-256")
        self.assertEqual((self.site.checker.tried, self.site.checker.proved), ([], ["alice"]))

    def test_no_initial_response(self) -> None:
        """The first message may come after an empty challenge."""
        client, scram = self.connect(), ScramClient("alice", PASSWORD)
        self.assertEqual(client.say("AUTH SCRAM-SHA-256"), ["334 "])
        (challenge,) = client.say(coded(scram.first()))
        (final,) = client.say(coded(scram.final(b64decode(challenge[4:]))))
        self.assertTrue(scram.trusts(b64decode(final[4:])))
        self.assertEqual(codes(client.say("")), ["235"])

    def test_not_proved(self) -> None:
        """A wrong password, an unknown name and no account of that name are answered alike, after the same wait."""
        for scram in (ScramClient("alice", "guess"), ScramClient("nobody", PASSWORD), ScramClient("nobody", "\x00")):
            client = self.connect()
            self.assertEqual(self.exchange(client, scram)[1:], [])
            self.site.clock.advance(SECONDS_PER_FAILURE)
            heard = client.heard()
            if not heard:
                # The keys of nobody have been proved, which only a test can: it is worth nothing.
                self.assertEqual(client.say(""), [])
                self.site.clock.advance(SECONDS_PER_FAILURE)
                heard = client.heard()
            self.assertEqual(heard, WRONG)
            self.assertEqual(self.site.gate.failures, ["192.0.2.7"])
            self.assertEqual([event.facts["rule"] for event in self.logins()], ["login.wrong"])
            self.assertEqual(self.site.checker.proved, [])

    def test_gone_meanwhile(self) -> None:
        """An account that the directory does not know any more when the proof comes is not entered."""
        client, scram = self.connect(), ScramClient("alice", PASSWORD)
        self.exchange(client, scram)
        self.site.checker.fault = UnauthorizedLogin("gone")
        self.assertEqual(client.say(""), [])
        self.site.clock.advance(SECONDS_PER_FAILURE)
        self.assertEqual(client.heard(), WRONG)

    def test_acting_as_oneself_only(self) -> None:
        """An authorization identity other than one's own is refused like a wrong password, before any keys are looked up."""
        client = self.connect()
        first = ScramClient("alice", PASSWORD, authorization="bob").first()
        self.assertEqual(client.say(f"AUTH SCRAM-SHA-256 {coded(first)}"), [])
        self.site.clock.advance(SECONDS_PER_FAILURE)
        self.assertEqual(client.heard(), WRONG)
        self.assertEqual((self.keys.asked, self.site.gate.failures), ([], ["192.0.2.7"]))
        self.assertEqual([event.facts["rule"] for event in self.logins()], ["login.authorization"])
        self.assertEqual(codes(self.exchange(self.connect(), ScramClient(authorization="Alice"))), ["334"])

    def test_gate(self) -> None:
        """A peer that has guessed too often gets no challenge, and what it had begun does not count."""
        client, closed = self.connect(), Verdict(Reply.of(454, "4.7.0", "Too many"), "limits.login_failures")
        self.exchange(client, ScramClient("alice", PASSWORD))
        self.site.gate.login = closed
        self.assertEqual(codes(client.say("")), ["454"])
        self.assertEqual(codes(client.say(f"AUTH SCRAM-SHA-256 {coded(ScramClient().first())}")), ["454"])
        self.assertEqual(self.keys.asked, ["alice"])
        self.assertEqual([event.facts["rule"] for event in self.logins()], ["limits.login_failures"] * 2)

    def test_no_such_binding(self) -> None:
        """A connection that has no such channel binding (here there is no TLS at all) says so, and no failure is counted."""
        client = self.connect()
        first = ScramClient(flag="p=tls-exporter").first()
        self.assertEqual(codes(client.say(f"AUTH SCRAM-SHA-256-PLUS {coded(first)}", "NOOP")), ["501", "250"])
        self.assertEqual(self.site.gate.failures, [])
        self.assertEqual([event.facts["rule"] for event in self.logins()], ["auth.channel_binding"])

    def test_canceled_and_malformed(self) -> None:
        """An exchange can be called off at each step, and ends with what is no message of SCRAM; another may follow."""
        for steps in (1, 2, 3):
            for line in ("*", coded(b"nonsense"), "!"):
                client, scram = self.connect(), ScramClient("alice", PASSWORD)
                if steps == 1:
                    client.say("AUTH SCRAM-SHA-256")
                elif steps == 2:
                    client.say(f"AUTH SCRAM-SHA-256 {coded(scram.first())}")
                else:
                    self.exchange(client, scram)
                self.assertEqual(codes(client.say(line, "NOOP")), ["501", "250"])
                self.exchange(client, scram)
                self.assertEqual(codes(client.say("")), ["235"])

    def test_no_keys_to_be_had(self) -> None:
        """A directory that fails is a fault of ours: temporary, logged and in the trace."""
        client = self.connect()
        self.keys.fault = OSError("disk")
        self.assertEqual(
            codes(client.say(f"AUTH SCRAM-SHA-256 {coded(ScramClient().first())}", "NOOP")), ["454", "250"]
        )
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual([event.facts["rule"] for event in self.logins()], ["login.fault"])

    def test_left_while_keys_are_looked_up(self) -> None:
        """Who leaves meanwhile has cost nothing, and leaves nothing behind."""
        client = self.connect()
        waiting: Deferred[tuple[ScramKeys, str]] = Deferred()
        self.patch(self.keys, "scram_keys", lambda name: waiting)
        client.say(f"AUTH SCRAM-SHA-256 {coded(ScramClient().first())}")
        client.leave()
        self.assertEqual((self.site.gate.failures, self.logins()), ([], []))
        self.assertEqual(self.site.clock.getDelayedCalls(), [])

    def test_no_nonce_twice(self) -> None:
        """Every exchange has another nonce of ours behind the client's."""
        client, nonces = self.connect(), set()
        for _ in range(5):
            (challenge,) = client.say(f"AUTH SCRAM-SHA-256 {coded(ScramClient(nonce='abc').first())}")
            nonce = b64decode(challenge[4:]).split(b",")[0]
            self.assertTrue(nonce.startswith(b"r=abc"))
            self.assertGreaterEqual(len(nonce), len(b"r=abc") + 24)
            nonces.add(nonce)
            client.say("*")
        self.assertEqual(len(nonces), 5)

    def test_no_secrets_in_the_trace(self) -> None:
        """No event holds keys, proofs or nonces."""
        client = self.connect()
        scram = ScramClient("alice", "guess")
        (challenge,) = client.say(f"AUTH SCRAM-SHA-256 {coded(scram.first())}")
        final = scram.final(b64decode(challenge[4:]))
        client.say(coded(final))
        for secret in (challenge, coded(final), final.rpartition(b",p=")[2].decode(), "rOprNGfwEbeRWgbNEkqO"):
            self.assertNotIn(secret, repr(self.site.journal.events))
