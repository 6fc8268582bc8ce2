"""The gate as one server sees it: connection control before the limits."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hermes.config.schema import LimitsSettings
from hermes.core.access_entry import AccessEntry
from hermes.interfaces import IAccess, IGate
from hermes.net.gate import Gate
from hermes.net.server_gate import ServerGate

FRIEND, FOE, GUEST, STRANGER = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"


@implementer(IAccess)
class Said:
    """Something has been said about three peers, at smtp."""

    def entry(self, peer: str, server: str) -> AccessEntry | None:
        """The entry."""
        if server != "smtp":
            return None
        return {
            FRIEND: AccessEntry("friend", exempt=True),
            FOE: AccessEntry("foe", refused=True, text="Not you"),
            GUEST: AccessEntry("guest", relay=True),
        }.get(peer)


class ServerGateTests(SynchronousTestCase):
    """Who is admitted."""

    def setUp(self) -> None:
        """One gate that has room for one connection of each address, and two servers."""
        limits = LimitsSettings(per_address=1, login_failures=1, exempt_loopback=False)
        self.gate = Gate(limits, Clock().seconds)
        self.smtp, self.pop3 = (ServerGate(self.gate, Said(), server) for server in ("smtp", "pop3"))

    def test_interface(self) -> None:
        """It is what services are given."""
        self.assertTrue(verifyObject(IGate, self.smtp))

    def test_schedule(self) -> None:
        """While the schedule keeps a server closed nobody is let in but this machine, and who is told so may come again."""

        class Night:
            def is_open(self, server: str) -> bool:
                return server != "smtp"

        smtp, pop3 = (ServerGate(self.gate, Said(), server, Night()) for server in ("smtp", "pop3"))  # type: ignore[arg-type]
        verdict = smtp.admit(STRANGER)
        self.assertEqual((verdict.rule, verdict.reply.code if verdict.reply else 0), ("schedule.closed", 421))
        self.assertEqual(self.gate.connections, 0)
        self.assertTrue(smtp.admit("127.0.0.1").accepted)
        self.assertTrue(pop3.admit(STRANGER).accepted)

    def test_refused(self) -> None:
        """Who is refused is told so in the words of the entry, takes no place, and may come where the entry does not hold."""
        verdict = self.smtp.admit(FOE)
        self.assertEqual((str(verdict.reply), verdict.rule), ("554 5.7.1 Not you", "access.foe"))
        self.assertIn("[access:foe]", verdict.reason)
        self.assertEqual(self.gate.connections, 0)
        self.assertTrue(self.pop3.admit(FOE).accepted)

    def test_allowed_is_limited(self) -> None:
        """An entry that allows changes nothing about the limits, and neither does a right to relay."""
        for peer in (GUEST, STRANGER):
            self.assertEqual([self.smtp.admit(peer).rule for _ in range(2)], ["default", "limits.per_address"], peer)

    def test_expected(self) -> None:
        """A connection whose client is not known yet counts in the gate that all servers share."""
        self.assertTrue(self.smtp.expect().accepted)
        self.assertEqual(self.gate.connections, 1)
        self.smtp.expected()
        self.assertEqual(self.gate.connections, 0)

    def test_exempt(self) -> None:
        """Who is exempt is counted and never held up, at the servers where the entry holds."""
        for _ in range(3):
            self.assertTrue(self.smtp.admit(FRIEND).accepted)
        self.assertEqual(self.gate.connections, 3)
        self.assertEqual(self.pop3.admit(FRIEND).rule, "limits.per_address")
        for _ in range(3):
            self.smtp.left(FRIEND)
        self.assertEqual(self.gate.connections, 0)
        self.assertTrue(self.pop3.admit(FRIEND).accepted)

    def test_passwords(self) -> None:
        """Wrong passwords of those who are exempt are not counted; failures at one server count at the others."""
        self.smtp.login_failed(FRIEND)
        self.assertTrue(self.smtp.login_verdict(FRIEND).accepted)
        self.assertTrue(self.pop3.login_verdict(FRIEND).accepted)
        self.pop3.login_failed(FRIEND)
        self.assertTrue(self.smtp.login_verdict(FRIEND).accepted)
        self.assertEqual(self.pop3.login_verdict(FRIEND).rule, "limits.login_failures")
        self.smtp.login_failed(GUEST)
        self.assertEqual(self.smtp.login_verdict(GUEST).rule, "limits.login_failures")
