"""Logging in to the SMTP server with a token (RFC 7628): accepted, refused, not to be judged now, and what is told of it."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.core.account import Account
from hermes.core.event import Event, Kind
from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.interfaces import ICheck, TokenDeniedError, TooBusyError, UnavailableError
from hermes.protocols.sasl import TokenHint
from hermes.protocols.smtp.events import Flavor
from hermes.services.smtp_login import SECONDS_PER_FAILURE
from tests.support.oauth import TokenList, bearer, xoauth2
from tests.support.smtp_site import Client, Site, codes

HINT = TokenHint(scope="mail", configuration="https://login.example.org/.well-known/openid-configuration")


@implementer(ICheck)
class Watching:
    """Remembers whose senders it has seen."""

    name = "watching"
    stages = (Stage.SENDER,)
    momentary = False

    def __init__(self) -> None:
        self.accounts: list[Account | None] = []

    def judge(self, case: Case) -> Verdict:
        """Let it pass."""
        self.accounts.append(case.visit.account)
        return PASS


class BearerTests(SynchronousTestCase):
    """A submission session over TLS, at a server that takes tokens."""

    def connect(self, **settings: Any) -> Client:
        """A session that has been greeted."""
        self.site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True, tokens=HINT, **settings)
        self.tokens = TokenList()
        self.site.portal.registerChecker(self.tokens)
        return self.site.connect()

    def logins(self) -> list[Event]:
        """What the trace says of logins."""
        return [event for event in self.site.journal.events if event.kind is Kind.LOGIN]

    def refused(self, client: Client, command: str) -> dict[str, str]:
        """What the challenge says, after the wait that a wrong login costs."""
        self.assertEqual(client.say(command), [])
        self.site.clock.advance(SECONDS_PER_FAILURE)
        (challenge,) = client.heard()
        self.assertEqual(challenge[:4], "334 ")
        told: dict[str, str] = json.loads(b64decode(challenge[4:]))
        return told

    def test_offer(self) -> None:
        """The mechanisms are named where tokens are taken, and only over TLS (RFC 7628 3)."""
        self.connect()
        client = self.site.connect(greet=None)
        client.heard()
        self.assertIn("250 AUTH PLAIN LOGIN OAUTHBEARER XOAUTH2", client.say("EHLO client.example.com"))
        client = Site(flavor=Flavor.SUBMISSION, tokens=HINT).connect()
        self.assertEqual(codes(client.say(f"AUTH OAUTHBEARER {bearer()}")), ["538"])
        client = Site(flavor=Flavor.SUBMISSION, implicit_tls=True).connect()
        self.assertEqual(codes(client.say(f"AUTH OAUTHBEARER {bearer()}")), ["504"])

    def test_accepted(self) -> None:
        """A good token logs in, by either mechanism; the checker is told all that the client has said."""
        for command in (f"AUTH OAUTHBEARER {bearer(name='alice')}", f"AUTH XOAUTH2 {xoauth2()}"):
            client = self.connect()
            self.assertEqual(client.say(command), ["235 2.7.0 Logged in"])
            self.assertEqual(codes(client.say("MAIL FROM:<alice@example.org>")), ["250"])
            (event,) = self.logins()
            self.assertEqual((event.address, event.facts["result"]), ("alice", "accepted"))
            self.assertEqual(event.facts["mechanism"], command.split()[1])
            (asked,) = self.tokens.asked
            self.assertEqual((asked.token, asked.name, asked.service), ("good", "alice", "smtp"))
        client = self.connect()
        client.say(f"AUTH OAUTHBEARER {bearer()}")
        (asked,) = self.tokens.asked
        self.assertEqual((asked.name, asked.host, asked.port), ("", "mail.example.org", 587))

    def test_known_to_the_checks(self) -> None:
        """From the login on the checks know the account, as they do after one by a password: its limits hold."""
        check = Watching()
        client = self.connect(checks=[check])
        client.say(f"AUTH XOAUTH2 {xoauth2()}", "MAIL FROM:<alice@example.org>")
        self.assertEqual([account.name if account else "" for account in check.accounts], ["alice"])

    def test_refused(self) -> None:
        """A bad token: the error in JSON, the client's answer, 535; counted and recorded once, and without the token."""
        client = self.connect()
        told = self.refused(client, f"AUTH OAUTHBEARER {bearer('stolen-token', 'alice')}")
        configuration = "https://login.example.org/.well-known/openid-configuration"
        self.assertEqual(told, {"status": "invalid_token", "scope": "mail", "openid-configuration": configuration})
        self.assertEqual(client.say("AQ=="), ["535 5.7.8 The token is not accepted"])
        self.assertEqual(self.site.gate.failures, ["192.0.2.7"])
        (event,) = self.logins()
        self.assertEqual((event.address, event.facts["rule"]), ("alice", "login.token"))
        self.assertEqual(event.facts["reason"], "no such token")
        self.assertEqual(self.site.journal.refusals(), [("login.token", "")])
        self.assertNotIn("stolen-token", repr(self.site.journal.events) + repr(self.tokens.asked))
        self.assertEqual(client.say(f"AUTH XOAUTH2 {xoauth2()}"), ["235 2.7.0 Logged in"])

    def test_refused_by_xoauth2(self) -> None:
        """The same in the other format, with an empty answer; a checker may say what is wrong, or nothing."""
        client = self.connect()
        self.tokens.answer = TokenDeniedError("too little", "insufficient_scope")
        self.assertEqual(self.refused(client, f"AUTH XOAUTH2 {xoauth2()}")["status"], "403")
        self.assertEqual(codes(client.say("")), ["535"])
        client = self.connect()
        self.tokens.answer = UnauthorizedLogin("no")
        self.assertEqual(self.refused(client, f"AUTH XOAUTH2 {xoauth2()}")["status"], "401")
        self.assertEqual(codes(client.say("*")), ["501"])

    def test_not_now(self) -> None:
        """When nobody can tell whether the token is good: 454 at once, nothing is counted, the trace says why."""
        for answer, rule in (
            (UnavailableError("no answer within 10 seconds"), "login.unavailable"),
            (TooBusyError(), "login.busy"),
            (OSError("disk"), "login.fault"),
        ):
            client = self.connect()
            self.tokens.answer = answer
            self.assertEqual(codes(client.say(f"AUTH OAUTHBEARER {bearer()}")), ["454"])
            self.assertEqual([event.facts["rule"] for event in self.logins()], [rule])
            self.assertEqual(self.site.gate.failures, [])
            self.tokens.answer = None
            self.assertEqual(codes(client.say(f"AUTH OAUTHBEARER {bearer()}")), ["235"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_gate(self) -> None:
        """A peer that has guessed too often is not heard."""
        client = self.connect()
        self.site.gate.login = Verdict(Reply.of(454, "4.7.0", "Too many"), "limits.login_failures")
        self.assertEqual(codes(client.say(f"AUTH OAUTHBEARER {bearer()}")), ["454"])
        self.assertEqual(self.tokens.asked, [])

    def test_left_during_the_check(self) -> None:
        """Who leaves meanwhile is counted, and nothing is left behind."""
        client = self.connect()
        self.tokens.answer = Deferred()
        client.say(f"AUTH OAUTHBEARER {bearer()}")
        client.leave()
        self.assertEqual([event.facts["rule"] for event in self.logins()], ["login.left"])
        self.assertEqual(self.site.clock.getDelayedCalls(), [])

    def test_refusals_are_errors(self) -> None:
        """Refused tokens are counted like all refusals."""
        client = self.connect(max_errors=1)
        self.refused(client, f"AUTH OAUTHBEARER {bearer('bad')}")
        self.assertEqual(codes(client.say("AQ==")), ["421"])
