"""Logging in to the POP3 server with a token (RFC 5034, RFC 7628)."""

from __future__ import annotations

import json
from base64 import b64decode

from twisted.trial.unittest import SynchronousTestCase

from hermes.interfaces import TokenDeniedError, UnavailableError
from hermes.protocols.sasl import TokenHint
from hermes.services.pop3_connection import WRONG_PASSWORD_SECONDS
from tests.support.mailbox import MailboxRealm, MemoryMailbox
from tests.support.oauth import TokenList, bearer, xoauth2
from tests.support.pop3 import Site, Wire


class BearerTests(SynchronousTestCase):
    """A server that takes tokens, and a client on this machine, which may log in without TLS."""

    def setUp(self) -> None:
        """Alice has a mailbox."""
        self.site = Site(MailboxRealm(alice=MemoryMailbox(b"Subject: one\n\n")), tokens=TokenHint(scope="mail"))
        self.tokens = TokenList()
        self.site.factory.portal.registerChecker(self.tokens)
        self.client = self.site.connect()

    def rules(self) -> list[object]:
        """The rules of the refused logins."""
        return [facts["rule"] for facts in self.site.journal.facts("login")]

    def test_offer(self) -> None:
        """The mechanisms are named by CAPA and by AUTH alone, and not where a login needs TLS first."""
        self.assertIn(b"\r\nSASL PLAIN LOGIN OAUTHBEARER XOAUTH2\r\n", self.client.say("CAPA"))
        client = self.site.connect(Wire())
        self.assertNotIn(b"SASL", client.say("CAPA"))
        self.assertTrue(client.say("AUTH XOAUTH2").startswith(b"-ERR [AUTH]"))

    def test_accepted(self) -> None:
        """A good token opens the mailbox, as initial response or after an empty challenge."""
        self.assertEqual(self.client.say(f"AUTH OAUTHBEARER {bearer()}"), b"+OK mailbox open\r\n")
        self.assertEqual(self.client.say("STAT"), b"+OK 1 16\r\n")
        (asked,) = self.tokens.asked
        self.assertEqual((asked.service, asked.port), ("pop3", 587))
        self.client.say("QUIT")
        client = self.site.connect()
        self.assertEqual(client.say("AUTH XOAUTH2"), b"+ \r\n")
        self.assertEqual(client.say(xoauth2()), b"+OK mailbox open\r\n")

    def test_refused(self) -> None:
        """A bad token: the error in JSON after the wait, the client's answer, and the failure; recorded once."""
        self.tokens.answer = TokenDeniedError("the token has expired")
        self.assertEqual(self.client.say(f"AUTH XOAUTH2 {xoauth2('stolen-token')}"), b"")
        self.site.clock.advance(WRONG_PASSWORD_SECONDS)
        challenge = self.client.take()
        self.assertEqual(json.loads(b64decode(challenge[2:])), {"status": "401", "schemes": "bearer", "scope": "mail"})
        self.assertEqual(self.client.say(""), b"-ERR [AUTH] the token is not accepted\r\n")
        self.assertEqual((self.site.gate.failures, self.rules()), (["127.0.0.1"], ["login.token"]))
        self.assertNotIn("stolen-token", repr(self.site.journal.events))
        self.tokens.answer = None
        self.assertEqual(self.client.say(f"AUTH XOAUTH2 {xoauth2()}"), b"+OK mailbox open\r\n")

    def test_not_now(self) -> None:
        """When nobody can tell whether the token is good, the client is told to come again."""
        self.tokens.answer = UnavailableError("no answer")
        self.assertTrue(self.client.say(f"AUTH XOAUTH2 {xoauth2()}").startswith(b"-ERR [SYS/TEMP]"))
        self.assertEqual((self.site.gate.failures, self.rules()), ([], ["login.unavailable"]))
