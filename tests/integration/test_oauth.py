"""Logging in with tokens: curl, msmtp and mpop at a server whose authorization server is on loopback."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import USER, Site, need, run, wait_until
from tests.support.oauth import ISSUER, RSA, AuthorizationServer, jwk, jwks, signed

MESSAGE = "From: <joe@example.org>\nSubject: hello\n\nhello\n"
EMAIL = "joe@example.org"


class OAuthTestCase(SynchronousTestCase):
    """A site, and the authorization server that it believes."""

    def start(self, section: str) -> None:
        """Start both; ``section`` may name the address, the authority and the secret."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.server = AuthorizationServer(Path(directory.name))
        self.addCleanup(self.server.close)
        secret = Path(directory.name) / "client.secret"
        secret.write_text("of the client\n")
        known = {"url": self.server.url, "authority": self.server.certificate, "secret": secret}
        self.site = Site(f"\n[oauth]\n{section}".format(**known))
        self.addCleanup(self.site.close)
        self.site.start()

    def curl(self, scheme: str, port: str, mechanism: str, token: str, *more: str) -> tuple[int, str]:
        """Send (smtp) or list (pop3) with curl; its exit status and what it has heard."""
        where = self.site.ports[port]
        done = run(
            "curl", "-sSv", "--ssl-reqd", f"{scheme}://mail.example.org:{where}/", "--resolve",
            f"mail.example.org:{where}:127.0.0.1", "--cacert", self.site.certificate, "--user", USER,
            "--oauth2-bearer", token, "--login-options", f"AUTH={mechanism}", *more,
            check=False, stdin=MESSAGE.replace("\n", "\r\n"),
        )  # fmt: skip
        return done.returncode, done.stderr.decode(errors="replace")

    def curl_sends(self, mechanism: str, token: str) -> tuple[int, str]:
        """Send a message."""
        return self.curl(
            "smtp", "submission", mechanism, token, "--mail-from", EMAIL, "--mail-rcpt", EMAIL, "--upload-file", "-"
        )

    def nowhere(self, *tokens: str) -> None:
        """No token is in any log, in the trace, or in what the server keeps."""
        places = [self.site.root / "server.log", *(path for path in self.site.data.rglob("*") if path.is_file())]
        octets = b"".join(path.read_bytes() for path in places)
        for token in tokens:
            self.assertNotIn(token.encode(), octets)


class JWTTests(OAuthTestCase):
    """Tokens that are signed, with keys that are fetched."""

    skip = need("curl", "msmtp", "mpop")

    def setUp(self) -> None:
        """Start it."""
        self.start(
            f"check = jwt\nissuer = {ISSUER}\naudience = hermes\nscopes = mail\n"
            "keys_url = {url}/jwks\nauthority = {authority}\ndiscovery = https://login.example.org/about\n"
        )
        self.server.pages["/jwks"] = (200, jwks(jwk(RSA, "RS256", kid="one")))
        self.good = signed(RSA, "RS256", {"kid": "one"}, email=EMAIL, scope="mail")
        self.bad = signed(RSA, "RS256", {"kid": "one"}, email=EMAIL, scope="mail", exp=1_700_000_000)

    def test_curl(self) -> None:
        """Curl sends and reads with both mechanisms; an expired token is refused with 535 after the exchange of errors."""
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            self.assertEqual(self.curl_sends(mechanism, self.good)[0], 0)
            status, heard = self.curl_sends(mechanism, self.bad)
            self.assertNotEqual(status, 0)
            self.assertIn("< 334 eyJ", heard)
            self.assertIn("< 535 5.7.8 ", heard)
            self.site.wait_for_messages(1)
            self.assertEqual(self.curl("pop3", "pop3", mechanism, self.good)[0], 0)
            status, heard = self.curl("pop3", "pop3", mechanism, self.bad)
            self.assertNotEqual(status, 0)
            self.assertIn("< -ERR [AUTH] the token is not accepted", heard)
        wait_until("the logins in the log", lambda: len(self.site.logins()) == 8)
        self.assertEqual(
            {rule for result, rule in self.site.logins("result", "rule") if result == "refused"}, {"login.token"}
        )
        self.assertEqual(len(self.server.seen), 1)
        self.nowhere(self.good, self.bad)

    def test_msmtp_and_mpop(self) -> None:
        """So do msmtp and mpop."""
        for mechanism in ("oauthbearer", "xoauth2"):
            for token, works in ((self.good, True), (self.bad, False)):
                sent = run(
                    "msmtp",
                    *self.site.gnu_sasl_words("submission", mechanism, token),
                    f"--from={EMAIL}",
                    EMAIL,
                    stdin=MESSAGE,
                    check=False,
                )
                self.assertEqual(sent.returncode == 0, works, sent.stderr)
        self.site.wait_for_messages(2)
        target = self.site.root / "fetched"
        for part in ("new", "cur", "tmp"):
            (target / part).mkdir(parents=True)
        where = [f"--delivery=maildir,{target}", f"--uidls-file={self.site.root}/uidls"]
        run("mpop", *self.site.gnu_sasl_words("pop3", "xoauth2", self.good), "--keep=off", *where)
        self.assertEqual(len(list((target / "new").iterdir())), 2)


class IntrospectionTests(OAuthTestCase):
    """Tokens that mean nothing by themselves."""

    skip = need("curl")

    def test_curl(self) -> None:
        """A token is asked about, once; one that is not active is refused; without an answer the client comes again."""
        self.start(
            "check = introspection\nclaim = username\nintrospection_url = {url}/introspect\n"
            "client_id = hermes\nclient_secret = file:{secret}\nauthority = {authority}\n"
        )
        self.server.tokens["opaque-good"] = {"active": True, "username": USER}
        for _ in range(2):
            self.assertEqual(self.curl_sends("OAUTHBEARER", "opaque-good")[0], 0)
        self.assertEqual(len(self.server.seen), 1)
        self.assertIn("< 535 5.7.8 ", self.curl_sends("OAUTHBEARER", "opaque-bad")[1])
        self.server.close()
        self.assertIn("< 454 4.7.0 ", self.curl_sends("XOAUTH2", "opaque-new")[1])
        self.nowhere("opaque-good", "opaque-bad", "opaque-new", "of the client")
