"""The client's side of SASL."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.protocols.sasl_client import MECHANISMS, Channel, Login, begin, choose
from hermes.protocols.sasl_login import Exchange

JOE = Login("joe", "secret")
TOKEN = Login("joe", token="t0ken")
OPEN = Channel()
TLS = Channel(private=True, binding="tls-exporter", bound=b"b" * 32)


class ChooseTests(SynchronousTestCase):
    """Which mechanisms are tried."""

    def test_order(self) -> None:
        """The safest comes first, whatever the server's order; unknown ones, and those for a token, are left out."""
        offered = ["LOGIN", "X", "PLAIN", "CRAM-MD5", "XOAUTH2", "SCRAM-SHA-256", "OAUTHBEARER", "SCRAM-SHA-256-PLUS"]
        best = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"]
        self.assertEqual(choose(offered, JOE, TLS), best)
        self.assertEqual(choose(["LOGIN", "X", "PLAIN", "CRAM-MD5"], JOE, TLS), ["CRAM-MD5", "PLAIN", "LOGIN"])

    def test_without_channel_binding(self) -> None:
        """-PLUS is for connections that have a binding."""
        self.assertEqual(choose(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], JOE, Channel()), ["SCRAM-SHA-256"])

    def test_in_the_clear(self) -> None:
        """Where others can listen, neither the password nor a token is ever sent (RFC 7628 5)."""
        self.assertEqual(
            choose(["LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-256"], JOE, OPEN), ["SCRAM-SHA-256", "CRAM-MD5"]
        )
        self.assertEqual(choose(["LOGIN", "PLAIN"], JOE, OPEN), [])
        self.assertEqual(choose(["XOAUTH2", "OAUTHBEARER"], TOKEN, OPEN), [])

    def test_token(self) -> None:
        """With a token only what carries one is used, and the password never takes its place."""
        self.assertEqual(choose(MECHANISMS, TOKEN, TLS), ["OAUTHBEARER", "XOAUTH2"])
        self.assertEqual(choose(["PLAIN", "XOAUTH2"], Login("joe", "secret", "t0ken"), TLS), ["XOAUTH2"])
        self.assertEqual(choose(["PLAIN", "LOGIN"], Login("joe", "secret", "t0ken"), TLS), [])

    def test_restricted(self) -> None:
        """A list of mechanisms rules out all others: so CRAM-MD5 is switched off."""
        login = Login("joe", "secret", mechanisms=("PLAIN", "SCRAM-SHA-256"))
        self.assertEqual(choose(MECHANISMS, login, TLS), ["SCRAM-SHA-256", "PLAIN"])
        self.assertEqual(choose(["CRAM-MD5"], login, TLS), [])
        self.assertEqual(choose(MECHANISMS, Login("joe", token="t", mechanisms=("XOAUTH2",)), TLS), ["XOAUTH2"])

    def test_one_for_each(self) -> None:
        """Whatever can be chosen can be begun, and has its name."""
        for name in MECHANISMS:
            exchange: Exchange = begin(name, JOE, TLS, MECHANISMS)
            self.assertEqual((exchange.mechanism, exchange.remark), (name, ""))


class MechanismTests(SynchronousTestCase):
    """The octets of each mechanism."""

    def test_plain(self) -> None:
        """PLAIN sends everything at once, without an identity to act as, in UTF-8 (RFC 4616 2); a challenge is not expected."""
        exchange = begin("PLAIN", Login("t\u00efm", "tanstaaftanstaaf"), Channel())
        self.assertEqual(exchange.mechanism, "PLAIN")
        self.assertEqual(exchange.initial(), "\0t\u00efm\0tanstaaftanstaaf".encode())
        self.assertIsNone(exchange.respond(b""))

    def test_login(self) -> None:
        """LOGIN answers the first question with the name, the second with the password, and no third."""
        exchange = begin("LOGIN", Login("tim", "secret"), Channel())
        self.assertEqual(exchange.mechanism, "LOGIN")
        self.assertIsNone(exchange.initial())
        self.assertEqual(
            [exchange.respond(b"Username:"), exchange.respond(b"Password:"), exchange.respond(b"?")],
            [b"tim", b"secret", None],
        )

    def test_cram_md5(self) -> None:
        """The example of RFC 2195 2; a second challenge is not answered."""
        exchange = begin("CRAM-MD5", Login("tim", "tanstaaftanstaaf"), Channel())
        self.assertEqual(exchange.mechanism, "CRAM-MD5")
        self.assertIsNone(exchange.initial())
        challenge = b"<1896.697170952@postoffice.reston.mci.net>"
        self.assertEqual(exchange.respond(challenge), b"tim b913a602c7eda7a495b4e6e7334d3890")
        self.assertIsNone(exchange.respond(challenge))

    def test_password_is_not_shown(self) -> None:
        """A login in a log or a traceback does not show the password."""
        login = Login("tim", "secret", "t0ken")
        self.assertNotIn("secret", repr(login))
        self.assertNotIn("t0ken", repr(login))
        self.assertNotIn("secret", repr(Channel(bound=b"secret", nonce="secret")))
