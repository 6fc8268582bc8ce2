"""The client's side of SASL."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.sasl_client import Login, begin, choose


class ChooseTests(SynchronousTestCase):
    """Which mechanisms are tried."""

    def test_order(self) -> None:
        """CRAM-MD5 comes first, then PLAIN, then LOGIN, whatever the server's order; unknown ones are left out."""
        self.assertEqual(choose(["LOGIN", "X", "PLAIN", "CRAM-MD5"], private=True), ["CRAM-MD5", "PLAIN", "LOGIN"])

    def test_in_the_clear(self) -> None:
        """Where others can listen, the password itself is never sent."""
        self.assertEqual(choose(["LOGIN", "PLAIN", "CRAM-MD5"], private=False), ["CRAM-MD5"])
        self.assertEqual(choose(["LOGIN", "PLAIN"], private=False), [])


class MechanismTests(SynchronousTestCase):
    """The octets of each mechanism."""

    def test_plain(self) -> None:
        """PLAIN sends everything at once, without an identity to act as, in UTF-8 (RFC 4616 2); a challenge is not expected."""
        exchange = begin("PLAIN", Login("t\u00efm", "tanstaaftanstaaf"))
        self.assertEqual(exchange.mechanism, "PLAIN")
        self.assertEqual(exchange.initial(), "\0t\u00efm\0tanstaaftanstaaf".encode())
        self.assertIsNone(exchange.respond(b""))

    def test_login(self) -> None:
        """LOGIN answers the first question with the name, the second with the password, and no third."""
        exchange = begin("LOGIN", Login("tim", "secret"))
        self.assertEqual(exchange.mechanism, "LOGIN")
        self.assertIsNone(exchange.initial())
        self.assertEqual(
            [exchange.respond(b"Username:"), exchange.respond(b"Password:"), exchange.respond(b"?")],
            [b"tim", b"secret", None],
        )

    def test_cram_md5(self) -> None:
        """The example of RFC 2195 2; a second challenge is not answered."""
        exchange = begin("CRAM-MD5", Login("tim", "tanstaaftanstaaf"))
        self.assertEqual(exchange.mechanism, "CRAM-MD5")
        self.assertIsNone(exchange.initial())
        challenge = b"<1896.697170952@postoffice.reston.mci.net>"
        self.assertEqual(exchange.respond(challenge), b"tim b913a602c7eda7a495b4e6e7334d3890")
        self.assertIsNone(exchange.respond(challenge))

    def test_password_is_not_shown(self) -> None:
        """A login in a log or a traceback does not show the password."""
        self.assertNotIn("secret", repr(Login("tim", "secret")))
