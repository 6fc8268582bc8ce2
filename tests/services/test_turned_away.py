"""Connections that are refused flood neither the trace nor the process."""

from __future__ import annotations

from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.services.smtp_connection import BARRED_SECONDS, LINGER_SECONDS
from hermes.services.turned_away import MAX_LINGERING, MAX_RECORDED, WINDOW_SECONDS, TurnedAway
from tests.support.mailbox import MailboxRealm
from tests.support.pop3 import Site as POP3Site
from tests.support.pop3 import Wire
from tests.support.smtp_site import Site as SMTPSite
from tests.support.surroundings import TokenTLS


class TurnedAwayTests(SynchronousTestCase):
    """Counting."""

    def test_limit(self) -> None:
        """As many as the limit are recorded in a window; those above it are told with the first of the next."""
        turned_away = TurnedAway()
        answers = [turned_away.record(1000.0) for _ in range(MAX_RECORDED + 2)]
        self.assertEqual(answers, [0] * MAX_RECORDED + [None, None])
        self.assertEqual(turned_away.record(1000.0 + WINDOW_SECONDS - 1), None)
        self.assertEqual(turned_away.record(1000.0 + WINDOW_SECONDS), 3)
        self.assertEqual(turned_away.record(1000.0 + WINDOW_SECONDS), 0)

    def test_lingering(self) -> None:
        """So many may stay to hear their refusal; each that has gone makes room for another."""
        turned_away = TurnedAway()
        self.assertEqual(
            [turned_away.may_linger() for _ in range(MAX_LINGERING + 2)], [True] * MAX_LINGERING + [False] * 2
        )
        turned_away.gone()
        self.assertEqual([turned_away.may_linger() for _ in range(2)], [True, False])

    def test_lingering_under_tls(self) -> None:
        """Under TLS a refusal waits for the client's handshake: those above the limit are cut off at once."""
        smtp = SMTPSite(implicit_tls=True)
        smtp.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.rate")
        clients = [smtp.connect(greet=None) for _ in range(MAX_LINGERING + 1)]
        self.assertEqual([client.wire.aborted for client in clients], [False] * MAX_LINGERING + [True])
        self.assertEqual((clients[-2].heard(), clients[-1].heard()), (["421 4.7.0 Too many"], []))
        clients[0].leave()
        clients[-1].leave()
        self.assertFalse(smtp.connect(greet=None).wire.aborted)
        self.assertTrue(smtp.connect(greet=None).wire.aborted)

    def test_lingering_under_tls_at_pop3(self) -> None:
        """So it is with POP3."""
        pop3 = POP3Site(MailboxRealm())
        pop3.factory.tls, pop3.factory.implicit_tls = TokenTLS(), True
        pop3.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.rate")
        clients = [pop3.connect(Wire(lingering=True)) for _ in range(MAX_LINGERING + 1)]
        self.assertEqual([client.wire.aborted for client in clients], [False] * MAX_LINGERING + [True])
        self.assertEqual((clients[-2].greeting, clients[-1].greeting), (b"-ERR [SYS/TEMP] Too many\r\n", b""))
        clients[0].wire.drop()
        self.assertFalse(pop3.connect(Wire(lingering=True)).wire.aborted)
        self.assertTrue(pop3.connect(Wire(lingering=True)).wire.aborted)

    def test_broken_connections_are_not_told(self) -> None:
        """That a refused client breaks its connection off, or its handshake, is no news: it could make any number of them."""
        smtp = SMTPSite(implicit_tls=True)
        smtp.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.rate")
        client = smtp.connect(greet=None)
        with capturedLogs() as logs:
            client.session.connectionLost(Failure(RuntimeError("handshake")))
        self.assertEqual(logs, [])

    def test_sessions(self) -> None:
        """Every refused client hears its refusal, recorded or not."""
        site = SMTPSite()
        site.gate.admission = Verdict(Reply.of(421, "4.7.0", "Too many"), "limits.rate")
        for _ in range(MAX_RECORDED + 5):
            self.assertEqual(site.connect(greet=None).heard(), ["421 4.7.0 Too many"])
        self.assertEqual(len(site.journal.events), MAX_RECORDED)
        self.assertNotIn("unrecorded", site.journal.events[0].facts)
        site.clock.advance(WINDOW_SECONDS)
        site.connect(greet=None)
        self.assertEqual(site.journal.events[-1].facts["unrecorded"], 5)


class BarredTests(SynchronousTestCase):
    """Connections that are refused with 554, whose QUIT is waited for (RFC 5321 3.1)."""

    def setUp(self) -> None:
        """A server that refuses everybody."""
        self.site = SMTPSite()
        self.site.gate.admission = Verdict(Reply.of(554, "5.7.1", "Not you"), "access.foe", "[access:foe] refuses")

    def test_recorded(self) -> None:
        """The refusal names its rule; the session is nobody's, and what it says is not counted."""
        client = self.site.connect(greet=None)
        self.assertEqual(client.heard(), ["554 5.7.1 Not you"])
        (event,) = self.site.journal.events
        self.assertEqual((event.facts["rule"], event.facts["command"]), ("access.foe", "connect"))
        self.assertEqual((self.site.gate.present, self.site.factory.sessions), ([], set()))
        self.assertFalse(client.wire.disconnecting)
        self.assertEqual(client.session.describe()["state"], "closing")
        client.leave()
        self.assertEqual(self.site.clock.getDelayedCalls(), [])

    def test_not_for_long(self) -> None:
        """Who does not say QUIT within the time-out is closed, then cut; what comes then is not answered."""
        client = self.site.connect(greet=None)
        self.site.clock.advance(BARRED_SECONDS - 1)
        self.assertFalse(client.wire.disconnecting)
        client.heard()
        self.site.clock.advance(1)
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(client.say("QUIT"), [])
        self.site.clock.advance(LINGER_SECONDS)
        self.assertTrue(client.wire.aborted)
        client.leave()
        self.assertEqual(self.site.clock.getDelayedCalls(), [])

    def test_not_for_many(self) -> None:
        """Only so many are waited for at once; the others are closed, until one of the first has left."""
        clients = [self.site.connect(greet=None) for _ in range(MAX_LINGERING + 1)]
        self.assertEqual([client.wire.disconnecting for client in clients], [False] * MAX_LINGERING + [True])
        clients[-1].leave()
        self.assertTrue(self.site.connect(greet=None).wire.disconnecting)
        clients[0].leave()
        self.assertFalse(self.site.connect(greet=None).wire.disconnecting)

    def test_under_tls(self) -> None:
        """Under TLS it is the same, but those above the limit are cut: there is no saying anything before the handshake."""
        site = SMTPSite(implicit_tls=True)
        site.gate.admission = self.site.gate.admission
        clients = [site.connect(greet=None) for _ in range(MAX_LINGERING + 1)]
        self.assertEqual([client.wire.aborted for client in clients], [False] * MAX_LINGERING + [True])
        self.assertEqual(clients[-1].heard(), [])
        self.assertEqual(clients[0].say("QUIT"), ["554 5.7.1 Not you", "221 2.0.0 Goodbye"])
        self.assertTrue(clients[0].wire.disconnecting)
