"""REQUIRETLS (RFC 8689): as a server, as a client, and in a header."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.envelope import Recipient, TLSNeed
from hermes.core.header_facts import look
from hermes.core.outcome import Result
from hermes.core.reply import Reply
from hermes.protocols.smtp import commands
from hermes.protocols.smtp.capabilities import Capabilities, parse_capabilities
from hermes.protocols.smtp.client_events import Peer
from hermes.protocols.smtp.events import MailFrom, Refused
from hermes.protocols.smtp.transaction import Transaction
from tests.support.smtp_engine import parcel
from tests.support.smtp_owner import Owner

SECURE = Peer("mx", "192.0.2.1:25", "TLSv1.3 X", "dane")


class ServerTests(SynchronousTestCase):
    """What we offer and read."""

    def test_offered(self) -> None:
        """Only inside TLS (RFC 8689 2)."""
        owner = Owner(starttls=True)
        self.assertNotIn(b"REQUIRETLS", b" ".join(owner.lines(b"EHLO client.example.com")))
        owner.lines(b"STARTTLS")
        owner.engine.tls_started()
        self.assertIn(b"250 REQUIRETLS", owner.lines(b"EHLO client.example.com"))

    def test_read(self) -> None:
        """It is read inside TLS, has no value, and in the clear it is not known."""
        read = commands.parse("MAIL", "FROM:<a@example.org> SIZE=1 requiretls", tls=True)
        assert isinstance(read, MailFrom)
        self.assertIs(read.tls, TLSNeed.REQUIRED)
        for argument, tls, code in (
            ("FROM:<a@example.org> REQUIRETLS", False, 555),
            ("FROM:<a@example.org> REQUIRETLS=yes", True, 501),
        ):
            refused = commands.parse("MAIL", argument, tls=tls)
            assert isinstance(refused, Refused)
            self.assertEqual(refused.reply.code, code)


class HeaderTests(SynchronousTestCase):
    """``TLS-Required: No`` (RFC 8689 3)."""

    def test_field(self) -> None:
        """Once, with that one word, in any case and folded."""
        for header, optional in (
            (b"TLS-Required: No\n", True),
            (b"Subject: x\r\ntls-required:\r\n no\r\nTo: y\r\n", True),
            (b"TLS-Required:no", True),
            (b"TLS-Required: No\nTLS-Required: No\n", False),
            (b"TLS-Required: Yes\n", False),
            (b"TLS-Required: No way\n", False),
            (b"TLS-Required: No\n way\n", False),
            (b"TLS-Required:\n", False),
            (b"X: y\n", False),
        ):
            self.assertEqual(look(header).tls_optional, optional, header.decode())


class ClientTests(SynchronousTestCase):
    """What we say, and to whom we say nothing."""

    def transaction(
        self, capabilities: Capabilities, peer: Peer = SECURE, reverse_path: str = "a@example.org"
    ) -> Transaction:
        """A transaction for a message that requires TLS."""
        return Transaction(parcel("b@example.com", tls=TLSNeed.REQUIRED, reverse_path=reverse_path), capabilities, peer)

    def test_said(self) -> None:
        """To a server that offers it inside TLS."""
        offered = parse_capabilities(Reply(250, None, ("mx", "REQUIRETLS")))
        self.assertTrue(offered.require_tls)
        self.assertEqual(self.transaction(offered).mail_command, b"MAIL FROM:<a@example.org> REQUIRETLS\r\n")

    def test_not_said(self) -> None:
        """Not without the offer, in the clear, or to a server that is not known for certain: that is the end of it."""
        clear, unverified = Peer("mx", "192.0.2.1:25"), Peer("mx", "192.0.2.1:25", "TLSv1.3 X", "none")
        for offers, peer, status in (
            (False, SECURE, "5.7.30"),
            (True, clear, "5.7.10"),
            (True, unverified, "5.7.10"),
        ):
            one = self.transaction(Capabilities(require_tls=offers), peer)
            self.assertTrue(one.decided)
            (outcome,) = one.done().outcomes
            self.assertEqual((outcome.result, outcome.status), (Result.FAILED, status))

    def test_report(self) -> None:
        """A report goes all the same, with the word where it is understood (RFC 8689 5)."""
        self.assertFalse(self.transaction(Capabilities(), Peer("mx", "x"), "").decided)
        self.assertEqual(self.transaction(Capabilities(), reverse_path="").mail_command, b"MAIL FROM:<>\r\n")
        offered = self.transaction(Capabilities(require_tls=True), reverse_path="")
        self.assertEqual(offered.mail_command, b"MAIL FROM:<> REQUIRETLS\r\n")

    def test_others(self) -> None:
        """Other messages do not ask for it."""
        one = Transaction(parcel("b@example.com"), Capabilities(require_tls=True), SECURE)
        self.assertNotIn(b"REQUIRETLS", one.mail_command)
        self.assertEqual(Recipient("a").notify, None)
