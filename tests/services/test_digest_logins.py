"""Logging in by a digest of a secret: CRAM-MD5 at both servers, APOP at the POP3 server (RFC 2195, RFC 1939 7)."""

from __future__ import annotations

import re
from base64 import b64decode

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.event import Event, Kind
from hermes.protocols.smtp.events import Flavor
from hermes.services.pop3_connection import WRONG_PASSWORD_SECONDS
from hermes.services.smtp_login import SECONDS_PER_FAILURE
from tests.support import pop3, smtp_site, surroundings
from tests.support.digests import SECRET, Secrets, apop, cram
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.smtp_site import codes

#: RFC 2195 2 and RFC 1939 7: a timestamp in the form of a msg-id.
CHALLENGE = re.compile(rb"<[A-Za-z0-9_-]{24}\.\d+@[a-z.]+>\Z")


class SMTPTests(SynchronousTestCase):
    """A submission session over TLS."""

    def setUp(self) -> None:
        """Somebody has a secret, as long as ``offered`` says so."""
        self.offered = True
        self.site = smtp_site.Site(flavor=Flavor.SUBMISSION, implicit_tls=True, digests=lambda: self.offered)
        self.secrets = Secrets()
        self.site.portal.registerChecker(self.secrets)

    def challenge(self, client: smtp_site.Client) -> bytes:
        """The challenge of a new exchange."""
        (line,) = client.say("AUTH CRAM-MD5")
        self.assertEqual(line[:4], "334 ")
        challenge = b64decode(line[4:])
        self.assertRegex(challenge, CHALLENGE)
        return challenge

    def logins(self) -> list[Event]:
        """What the trace says of logins."""
        return [event for event in self.site.journal.events if event.kind is Kind.LOGIN]

    def test_offer(self) -> None:
        """It is named last, and as long as somebody has a secret; never at an LMTP door, nor in the clear."""
        client = self.site.connect(greet=None)
        client.heard()
        self.assertIn("250 AUTH PLAIN LOGIN CRAM-MD5", client.say("EHLO client.example.com"))
        self.offered = False
        self.assertEqual(codes(self.site.connect().say("AUTH CRAM-MD5")), ["504"])
        clear = smtp_site.Site(flavor=Flavor.SUBMISSION, digests=lambda: True)
        self.assertEqual(codes(clear.connect().say("AUTH CRAM-MD5")), ["538"])
        clear = smtp_site.Site(flavor=Flavor.SUBMISSION, digests=lambda: True, auth_without_tls="loopback")
        self.assertEqual(codes(clear.connect("127.0.0.1").say("AUTH CRAM-MD5")), ["334"])
        lmtp = smtp_site.Site(flavor=Flavor.LMTP, digests=lambda: True).connect(greet="LHLO client.example.com")
        self.assertEqual(codes(lmtp.say("AUTH CRAM-MD5")), ["502"])

    def test_right(self) -> None:
        """Who knows the secret is in; the trace has the mechanism."""
        client = self.site.connect()
        self.assertEqual(client.say(cram(self.challenge(client))), ["235 2.7.0 Logged in"])
        (event,) = self.logins()
        self.assertEqual((event.address, event.facts["mechanism"]), ("alice", "CRAM-MD5"))
        self.assertEqual(codes(client.say("MAIL FROM:<alice@example.org>")), ["250"])

    def test_wrong(self) -> None:
        """A wrong secret and an unknown name are answered alike, after the same wait."""
        for name, secret in (("alice", "guess"), ("nobody", SECRET)):
            client = self.site.connect()
            self.assertEqual(client.say(cram(self.challenge(client), name, secret)), [])
            self.site.clock.advance(SECONDS_PER_FAILURE)
            self.assertEqual(client.heard(), ["535 5.7.8 Name or password is wrong"])
        self.assertEqual([event.facts["rule"] for event in self.logins()], ["login.wrong"] * 2)
        self.assertEqual(len(self.site.gate.failures), 2)

    def test_each_challenge_once(self) -> None:
        """An answer to an earlier challenge is worth nothing."""
        client = self.site.connect()
        old = self.challenge(client)
        self.assertEqual(codes(client.say("*")), ["501"])
        self.assertNotEqual(self.challenge(client), old)
        client.say(cram(old))
        self.site.clock.advance(SECONDS_PER_FAILURE)
        self.assertEqual(codes(client.heard()), ["535"])

    def test_malformed(self) -> None:
        """An initial response, or what is no answer, is refused without asking anybody."""
        client = self.site.connect()
        self.assertEqual(codes(client.say(f"AUTH CRAM-MD5 {cram(b'<x>')}")), ["501"])
        self.challenge(client)
        self.assertEqual(codes(client.say("bm9uc2Vuc2U=")), ["501"])
        self.assertEqual((self.secrets.asked, self.logins()), ([], []))


class POP3Tests(SynchronousTestCase):
    """Sessions from this machine, which may log in without TLS."""

    def setUp(self) -> None:
        """Alice has a mailbox, and a secret."""
        self.offered = True
        realm = MailboxRealm(alice=MemoryMailbox(b"Subject: one\n\n"))
        self.site = pop3.Site(realm, digests=lambda: self.offered)
        self.site.factory.portal.registerChecker(Secrets(b"alice"))

    def timestamp(self, client: pop3.Client) -> bytes:
        """What stands in the greeting."""
        timestamp = client.greeting.split()[-1]
        self.assertRegex(timestamp, CHALLENGE)
        return timestamp

    def test_greeting(self) -> None:
        """There is a timestamp in it when somebody has a secret, another one each time, also where STLS comes first."""
        stamps = {self.timestamp(self.site.connect()) for _ in range(3)}
        self.assertEqual(len(stamps), 3)
        self.timestamp(self.site.connect(pop3.Wire()))
        self.offered = False
        client = self.site.connect()
        self.assertNotIn(b"<", client.greeting)
        self.assertEqual(client.say(apop(b"")), b"-ERR APOP is not offered\r\n")

    def test_apop(self) -> None:
        """Who knows the secret has the mailbox."""
        client = self.site.connect()
        self.assertEqual(client.say(apop(self.timestamp(client))), b"+OK mailbox open\r\n")
        self.assertEqual(client.say("STAT"), b"+OK 1 16\r\n")
        (facts,) = self.site.journal.facts("login")
        self.assertEqual((facts["mechanism"], facts["result"]), ("APOP", "accepted"))

    def test_wrong(self) -> None:
        """A wrong secret, an unknown name and another session's timestamp are answered alike."""
        client, other = self.site.connect(), self.site.connect()
        for command in (
            apop(self.timestamp(client), secret="guess"),
            apop(self.timestamp(client), "nobody"),
            apop(self.timestamp(other)),
        ):
            self.assertEqual(client.say(command), b"")
            self.site.clock.advance(WRONG_PASSWORD_SECONDS)
            self.assertEqual(client.take(), b"-ERR [AUTH] wrong name or password\r\n")
        self.assertEqual(len(self.site.gate.failures), 3)

    def test_malformed(self) -> None:
        """What is no answer is refused, and in the clear nothing is heard."""
        client = self.site.connect()
        for command in ("APOP", "APOP alice", "APOP alice 00"):
            self.assertTrue(client.say(command).startswith(b"-ERR APOP wants"))
        client = self.site.connect(pop3.Wire())
        self.assertTrue(client.say(apop(b"<x>")).startswith(b"-ERR [AUTH] use TLS first"))

    def test_apop_after_stls(self) -> None:
        """The timestamp of the greeting is good after STLS: there is no other one (RFC 2595 4)."""
        self.site.factory.tls = surroundings.TokenTLS()
        client = self.site.connect(pop3.Wire())
        timestamp = self.timestamp(client)
        client.say("STLS")
        self.assertEqual(client.say(apop(timestamp)), b"+OK mailbox open\r\n")

    def test_cram(self) -> None:
        """CRAM-MD5 is named by CAPA, and works."""
        client = self.site.connect()
        self.assertIn(b"\r\nSASL PLAIN LOGIN CRAM-MD5\r\n", client.say("CAPA"))
        challenge = b64decode(client.say("AUTH CRAM-MD5")[2:])
        self.assertRegex(challenge, CHALLENGE)
        self.assertEqual(client.say(cram(challenge)), b"+OK mailbox open\r\n")
