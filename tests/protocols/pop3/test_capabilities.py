"""What CAPA announces, and when (RFC 2449 5)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pop3_engine import Conversation, in_every_cut

ALWAYS = {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8 USER", "LANG", "EXPIRE NEVER"}
LOGIN = {"USER", "SASL PLAIN LOGIN"}


class CapabilityTests(SynchronousTestCase):
    """The list before and after the login, with and without TLS."""

    def capabilities(self, conversation: Conversation) -> set[str]:
        """The announced lines."""
        first, *lines, dot, rest = conversation.says("CAPA").decode().split("\r\n")
        self.assertTrue(first.startswith("+OK"))
        self.assertEqual((dot, rest), (".", ""))
        self.assertEqual(len(lines), len(set(lines)))
        return set(lines)

    def test_under_tls(self) -> None:
        """Under TLS one may log in, and STLS is not offered any more."""
        for conversation in in_every_cut(tls=True, stls=True):
            self.assertEqual(self.capabilities(conversation), ALWAYS | LOGIN)

    def test_in_the_clear(self) -> None:
        """Without TLS neither USER nor SASL is announced (RFC 2595 2.3), only the way to it."""
        self.assertEqual(self.capabilities(Conversation(tls=False, stls=True)), ALWAYS | {"STLS"})

    def test_in_the_clear_without_a_certificate(self) -> None:
        """Where there is no TLS, STLS is not announced."""
        self.assertEqual(self.capabilities(Conversation(tls=False)), ALWAYS)

    def test_login_in_the_clear_allowed(self) -> None:
        """Where a login in the clear is allowed, it is announced beside STLS."""
        conversation = Conversation(tls=False, stls=True, login_in_clear=True)
        self.assertEqual(self.capabilities(conversation), ALWAYS | LOGIN | {"STLS"})

    def test_after_stls(self) -> None:
        """After STLS the login is announced."""
        conversation = Conversation(tls=False, stls=True)
        conversation.says("STLS")
        conversation.engine.tls_started()
        self.assertEqual(self.capabilities(conversation), ALWAYS | LOGIN)

    def test_after_the_login(self) -> None:
        """After the login all stays but STLS (RFC 2449 5, RFC 2595 8); the implementation is named, without a version."""
        expected = ALWAYS | LOGIN | {"IMPLEMENTATION Hermes"}
        self.assertEqual(self.capabilities(Conversation().logged_in()), expected)
        in_clear = Conversation(tls=False, stls=True, login_in_clear=True).logged_in()
        self.assertEqual(self.capabilities(in_clear), expected)

    def test_argument(self) -> None:
        """CAPA has no argument."""
        self.assertTrue(Conversation().says("CAPA all").startswith(b"-ERR"))

    def test_expiry(self) -> None:
        """EXPIRE is what the owner says, and another after the login where the account has its own (RFC 2449 6.7)."""
        conversation = Conversation(expire="30 USER")
        self.assertIn("EXPIRE 30 USER", self.capabilities(conversation))
        conversation.logged_in()
        conversation.engine.expire = "60"
        self.assertIn("EXPIRE 60", self.capabilities(conversation))

    def test_login_delay(self) -> None:
        """LOGIN-DELAY is announced before and after the login where there is one (RFC 2449 6.5)."""
        conversation = Conversation(login_delay=900)
        self.assertIn("LOGIN-DELAY 900", self.capabilities(conversation))
        self.assertIn("LOGIN-DELAY 900", self.capabilities(conversation.logged_in()))
