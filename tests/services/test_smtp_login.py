"""Logging in: right, wrong, too often, too many at once, and what is told of it (RFC 4954)."""

from __future__ import annotations

import base64

from twisted.cred.checkers import AllowAnonymousAccess
from twisted.cred.error import LoginDenied
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.access_entry import AccessEntry
from hermes.core.event import Event, Kind
from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.core.visit import Visit
from hermes.protocols.smtp.events import Flavor
from hermes.services.login_trace import MAX_NAME_CHARACTERS
from hermes.services.smtp_login import MAX_FAILURE_SECONDS, SECONDS_PER_FAILURE
from tests.support.smtp_site import PASSWORD, Client, Site, codes, plain

WRONG = ["535 5.7.8 Name or password is wrong"]


class LoginTests(SynchronousTestCase):
    """A submission session."""

    def connect(self, **settings: int) -> Client:
        """A session over TLS that has been greeted."""
        self.site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True, **settings)
        return self.site.connect()

    def logins(self) -> list[Event]:
        """What the trace says of logins."""
        return [event for event in self.site.journal.events if event.kind is Kind.LOGIN]

    def test_plain_and_login(self) -> None:
        """Both mechanisms lead to the account, whatever the case of its name."""
        name, password = (base64.b64encode(text.encode()).decode() for text in ("Alice", PASSWORD))
        for lines in ((f"AUTH PLAIN {plain('ALICE')}",), ("AUTH PLAIN", plain()), ("AUTH LOGIN", name, password)):
            client = self.connect()
            self.assertEqual(codes(client.say(*lines))[-1], "235", lines)
            self.assertEqual(codes(client.say("MAIL FROM:<alice@example.org>")), ["250"])
            (event,) = self.logins()
            self.assertEqual(event.address, "alice")
            self.assertEqual(event.facts["result"], "accepted")
            self.assertEqual((event.facts["peer"], event.facts["service"]), ("192.0.2.7", "smtp"))

    def test_in_the_clear(self) -> None:
        """Without TLS only a peer whose entry of connection control allows it may log in."""
        entries = {"192.0.2.7": AccessEntry("old", login_in_clear=True), "192.0.2.8": AccessEntry("other")}
        site = Site(flavor=Flavor.SUBMISSION, visit_of=lambda peer: Visit(peer, entry=entries.get(peer)))
        for peer, code in (("192.0.2.7", "235"), ("192.0.2.8", "538"), ("192.0.2.9", "538")):
            self.assertEqual(codes(site.connect(peer).say(f"AUTH PLAIN {plain()}")), [code], peer)

    def test_wrong_password_costs_time(self) -> None:
        """The answer to a wrong password waits, longer each time up to a limit, and nothing is read meanwhile."""
        client = self.connect()
        for failures in range(1, 8):
            seconds = min(failures * SECONDS_PER_FAILURE, MAX_FAILURE_SECONDS)
            self.assertEqual(client.say(f"AUTH PLAIN {plain(password='wrong')}"), [])
            self.assertEqual(client.say("NOOP"), [])
            self.assertTrue(client.wire.paused)
            self.site.clock.advance(seconds - 0.5)
            self.assertEqual(client.heard(), [])
            self.site.clock.advance(0.5)
            self.assertEqual(client.heard(), [*WRONG, "250 2.0.0 Ok"])
            self.assertEqual(self.site.gate.failures, ["192.0.2.7"] * failures)

    def test_same_answer(self) -> None:
        """A wrong password, an unknown name and acting for others are answered alike (RFC 4616 2)."""
        for response in (
            plain(password="wrong"),
            plain("nobody"),
            plain("alice", authorization="bob"),
            plain("nobody", authorization="alice"),
        ):
            client = self.connect()
            self.assertEqual(client.say(f"AUTH PLAIN {response}"), [])
            self.site.clock.advance(SECONDS_PER_FAILURE)
            self.assertEqual(client.heard(), WRONG)
            self.assertEqual([event.facts["result"] for event in self.logins()], ["refused"])

    def test_acting_as_oneself(self) -> None:
        """Naming oneself as the one to act for is allowed."""
        self.assertEqual(codes(self.connect().say(f"AUTH PLAIN {plain('alice', authorization='Alice')}")), ["235"])

    def test_others_password_is_not_tried(self) -> None:
        """Who asks to act for somebody else does not even have the password tried."""
        self.connect().say(f"AUTH PLAIN {plain('alice', authorization='bob')}")
        self.assertEqual(self.site.checker.tried, [])

    def test_no_password_in_the_trace(self) -> None:
        """No event of a login holds the password, and a name is cut to a length."""
        client = self.connect()
        client.say(f"AUTH PLAIN {plain()}")
        client = self.site.connect()
        client.say(f"AUTH PLAIN {plain('x' * 200, PASSWORD)}")
        self.assertNotIn(PASSWORD, repr(self.site.journal.events))
        self.assertEqual([len(event.address) for event in self.logins()], [len("alice"), MAX_NAME_CHARACTERS])

    def test_credentials_are_octets(self) -> None:
        """Checkers get what Twisted's classes give them: octets, in UTF-8."""
        client = self.connect()
        client.say(f"AUTH PLAIN {plain('jürgen', 'paß')}")
        self.assertEqual(self.site.checker.tried, [("jürgen".encode(), "paß".encode())])

    def test_gate(self) -> None:
        """A peer that has guessed too often may not try now, and no password is looked at."""
        client = self.connect()
        self.site.gate.login = Verdict(Reply.of(454, "4.7.0", "Too many wrong passwords"), "limits.login_failures")
        self.assertEqual(client.say(f"AUTH PLAIN {plain()}"), ["454 4.7.0 Too many wrong passwords"])
        self.assertEqual((self.site.checker.tried, self.site.gate.failures), ([], []))
        self.assertEqual([event.facts["rule"] for event in self.logins()], ["limits.login_failures"])

    def test_too_busy(self) -> None:
        """Too many at once is temporary, and no failure of the peer's."""
        client = self.connect()
        self.site.checker.busy = True
        self.assertEqual(codes(client.say(f"AUTH PLAIN {plain()}")), ["454"])
        self.assertEqual(self.site.gate.failures, [])
        self.site.checker.busy = False
        self.assertEqual(codes(client.say(f"AUTH PLAIN {plain()}")), ["235"])

    def test_fault(self) -> None:
        """A checker that fails is a fault of ours: temporary, and logged."""
        client = self.connect()
        self.site.checker.fault = OSError("ldap")
        self.assertEqual(
            client.say(f"AUTH PLAIN {plain()}"), ["454 4.7.0 Logging in does not work now: try again later"]
        )
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(self.site.gate.failures, [])

    def test_denied(self) -> None:
        """A realm that does not want the account is answered like a wrong password."""
        client = self.connect()
        self.site.checker.fault = LoginDenied("closed")
        client.say(f"AUTH PLAIN {plain()}")
        self.site.clock.advance(SECONDS_PER_FAILURE)
        self.assertEqual(client.heard(), WRONG)

    def test_left_while_waiting(self) -> None:
        """A client that leaves while it waits for its refusal leaves nothing behind."""
        client = self.connect()
        client.say(f"AUTH PLAIN {plain(password='wrong')}")
        client.leave()
        self.assertEqual(self.site.clock.getDelayedCalls(), [])
        self.assertEqual([event.facts["rule"] for event in self.logins()], ["login.wrong"])

    def test_left_during_the_check(self) -> None:
        """Who leaves while its password is looked at has cost the work: the gate counts it, and the trace has it."""
        client = self.connect()
        self.site.checker.waits_for = Deferred()
        client.say(f"AUTH PLAIN {plain()}")
        client.leave()
        self.assertEqual(self.site.gate.failures, ["192.0.2.7"])
        (event,) = self.logins()
        self.assertEqual((event.address, event.facts["result"]), ("alice", "refused"))
        self.assertEqual(event.facts["rule"], "login.left")

    def test_wrong_logins_are_errors(self) -> None:
        """Wrong logins are counted like all refusals."""
        client = self.connect(max_errors=2)
        client.say(f"AUTH PLAIN {plain(password='a')}", f"AUTH PLAIN {plain(password='b')}")
        self.site.clock.pump([SECONDS_PER_FAILURE] * 3)
        self.assertEqual(codes(client.heard()), ["535", "421"])
        self.assertTrue(client.wire.disconnecting)

    def test_next_message_after_logging_in(self) -> None:
        """On port 25 a client that logs in between two messages sends the second one as itself, and may relay."""
        site = Site(implicit_tls=True)
        client = site.connect()
        first = client.say("MAIL FROM:<x@example.com>", "RCPT TO:<y@example.net>", "RSET")
        second = client.say(f"AUTH PLAIN {plain()}", "MAIL FROM:<x@example.com>", "MAIL FROM:<alice@example.org>")
        self.assertEqual(codes(first + second), ["250", "550", "250", "235", "553", "250"])
        self.assertEqual(codes(client.say("RCPT TO:<y@example.net>")), ["250"])
        self.assertEqual(site.realm.present, 1)
        client.leave()
        self.assertEqual(site.realm.present, 0)


class SenderTests(SynchronousTestCase):
    """RFC 6409 6.1: one sends as oneself."""

    def test_own_addresses(self) -> None:
        """Every address that reaches the account's mailbox may be used, and the null sender; nothing else."""
        for sender, expected in (
            ("alice@example.org", "250"),
            ("ALICE@Example.ORG", "250"),
            ("al@example.org", "250"),
            ("sales@example.org", "250"),
            ("", "250"),
            ("bob@example.org", "553"),
            ("nobody@example.org", "553"),
            ("alice@example.com", "553"),
        ):
            site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True)
            client = site.connect()
            client.say(f"AUTH PLAIN {plain()}")
            self.assertEqual(codes(client.say(f"MAIL FROM:<{sender}>")), [expected], sender)

    def test_refusal_opens_nothing(self) -> None:
        """After a refused sender there is no transaction."""
        site = Site(flavor=Flavor.SUBMISSION, implicit_tls=True)
        client = site.connect()
        client.say(f"AUTH PLAIN {plain()}")
        self.assertEqual(codes(client.say("MAIL FROM:<bob@example.org>", "RCPT TO:<x@example.net>")), ["553", "503"])
        self.assertEqual(site.journal.refusals()[0][0], "sender.not_owner")


class AnonymousTests(SynchronousTestCase):
    """Those who have not logged in."""

    def test_no_anonymous_avatar(self) -> None:
        """Where the portal knows no anonymous users, MAIL wants a login."""
        site = Site()
        site.factory = Site(portal=Portal(site.realm, [site.checker])).factory
        client = site.connect()
        self.assertEqual(codes(client.say("MAIL FROM:<x@example.com>", "NOOP")), ["530", "250"])

    def test_asked_once(self) -> None:
        """The anonymous avatar is asked for with the first MAIL, not before, and kept."""
        site = Site()
        client = site.connect()
        self.assertEqual(site.realm.present, 0)
        client.say("MAIL FROM:<x@example.com>", "RSET", "MAIL FROM:<x@example.com>")
        self.assertEqual(site.realm.present, 1)

    def test_fault(self) -> None:
        """A realm that fails is a temporary fault."""
        site = Site()
        client = site.connect()

        def broken(*arguments: object) -> Deferred[object]:
            raise OSError("realm")

        self.patch(site.realm, "requestAvatar", broken)
        self.assertEqual(codes(client.say("MAIL FROM:<x@example.com>", "NOOP")), ["451", "250"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_logout_fault(self) -> None:
        """A realm that fails at the goodbye harms nobody."""
        site = Site()
        client = site.connect()

        def broken() -> None:
            raise OSError("logout")

        self.patch(site.realm, "_left", broken)
        client.say("MAIL FROM:<x@example.com>")
        client.leave()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(site.gate.present, [])

    def test_checkers_of_twisted(self) -> None:
        """The checkers that come with Twisted serve."""
        site = Site()
        self.assertIn(AllowAnonymousAccess, [type(checker) for checker in site.portal.checkers.values()])
