"""The first tokens: how long is asked, what is given up, and what is said about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.oauth_client_rules import facts_of
from hermes.config.sections.oauth_client import OAuthClientSettings
from hermes.net.https import Answer
from hermes.protocols.oauth import DeviceCode, Tokens
from hermes.services.oauth_login import CodeLogin, LoginError, log_in_by_credentials, log_in_by_device, record_of

FACTS = facts_of(
    "office",
    OAuthClientSettings(
        client_id="app",
        client_secret="s",
        authorization_endpoint="https://login.example.net/auth",
        token_endpoint="https://login.example.net/token",
        device_endpoint="https://login.example.net/device",
    ),
)

GOOD = Answer(200, b'{"access_token":"a","token_type":"bearer","expires_in":60,"refresh_token":"r"}')


def said(status: int = 400, **words: Any) -> Answer:
    """An answer."""
    return Answer(status, json.dumps(words).encode())


def device(**more: Any) -> Answer:
    """A device code that is good for five minutes."""
    words = {"device_code": "d", "user_code": "U", "verification_uri": "https://example.net/", "expires_in": 300}
    return said(200, **{**words, **more})


class DeviceTests(SynchronousTestCase):
    """RFC 8628."""

    def log_in(self, *answers: Answer | str) -> Any:
        """Log in; the answers come one after the other, the last one for ever. Tokens, or why not."""
        left = list(answers)
        self.pauses: list[float] = []
        self.told: list[DeviceCode] = []

        async def post(address: str, form: Mapping[str, str], authority: str) -> Answer | str:
            self.assertEqual(address.endswith("/device"), not self.told)
            return left.pop(0) if len(left) > 1 else left[0]

        def pause(seconds: float) -> Deferred[None]:
            self.pauses.append(seconds)
            return succeed(None)

        done = Deferred.fromCoroutine(
            log_in_by_device(FACTS, post, tell=self.told.append, pause=pause, now=lambda: sum(self.pauses))
        )
        done.addErrback(lambda failure: failure.trap(LoginError) and str(failure.value))
        return self.successResultOf(done)

    def test_patience(self) -> None:
        """It is asked at the pace that the server names, more slowly when it says so (RFC 8628 3.5), until it has been done."""
        pending, slower = said(error="authorization_pending"), said(error="slow_down")
        tokens = self.log_in(device(interval=2), pending, slower, pending, slower, GOOD)
        self.assertEqual(tokens, Tokens("a", 60, "r"))
        self.assertEqual(self.pauses, [2, 2, 7, 7, 12])
        self.assertEqual([each.user_code for each in self.told], ["U"])

    def test_nobody_comes(self) -> None:
        """After the time of the code nothing is asked any more."""
        self.assertIn("nobody has typed the code in time", self.log_in(device(), said(error="authorization_pending")))
        self.assertTrue(295 <= sum(self.pauses) <= 300)

    def test_no(self) -> None:
        """A no, at the first question or later, ends it with the server's words."""
        no = said(error="invalid_client", error_description="who?")
        self.assertIn("gives no device code: invalid_client: who?", self.log_in(no))
        self.assertIn("access_denied", self.log_in(device(), said(error="access_denied")))
        self.assertIn("expired_token", self.log_in(device(), said(error="expired_token")))

    def test_trouble(self) -> None:
        """A network that hiccups is borne, more slowly each time; one that is down, and a server that talks nonsense, are not."""
        self.assertEqual(self.log_in(device(), "down", "down", GOOD), Tokens("a", 60, "r"))
        self.assertEqual(self.pauses, [5, 10, 20])
        self.assertEqual(self.log_in(device(expires_in=10**6), "down"), "down")
        self.assertEqual(len(self.pauses), 5)
        self.assertEqual(self.log_in("login.example.net cannot be found"), "login.example.net cannot be found")
        self.assertIn("cannot be used", self.log_in(Answer(200, b"<html>")))
        self.assertEqual(self.told, [])


class OtherTests(SynchronousTestCase):
    """The other ways."""

    def test_code(self) -> None:
        """State and verifier are two different texts that nobody can foresee, and the code is exchanged with the verifier."""
        texts = iter(["state" * 9, "verifier" * 6])
        attempt = CodeLogin(FACTS, lambda: next(texts))
        self.assertIn("state=" + "state" * 9, attempt.address)
        self.assertNotIn("verifier", attempt.address)
        code = attempt.code(f"{FACTS.redirect}/?code=c&state={'state' * 9}")
        forms: list[Mapping[str, str]] = []

        async def post(address: str, form: Mapping[str, str], authority: str) -> Answer | str:
            forms.append(form)
            return GOOD

        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(attempt.tokens(code, post))), Tokens("a", 60, "r"))
        self.assertEqual((forms[0]["code"], forms[0]["code_verifier"]), ("c", "verifier" * 6))
        self.assertRaises(LoginError, attempt.code, f"{FACTS.redirect}/?error=access_denied&state={'state' * 9}")

    def test_credentials(self) -> None:
        """The application's own login gives tokens, or the server's words, or those of the network."""
        for answer, words in ((said(error="invalid_client"), "invalid_client"), ("down", "down")):

            async def post(*question: object, answer: Any = answer) -> Any:
                return answer

            error = self.failureResultOf(Deferred.fromCoroutine(log_in_by_credentials(FACTS, post)), LoginError)
            self.assertIn(words, str(error.value))

    def test_record(self) -> None:
        """What is kept of a login: the tokens, when they were given, when they end, and a serial of its own."""
        one, two = (record_of(Tokens("a", 60, "r"), 1000.0) for _ in range(2))
        self.assertEqual(
            (one.access_token, one.refresh_token, one.obtained_at, one.expires_at), ("a", "r", 1000.0, 1060.0)
        )
        self.assertNotEqual(one.serial, two.serial)
