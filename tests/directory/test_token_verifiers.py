"""Where keys and answers about tokens come from, and for how long they hold (RFC 7662, RFC 7517)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.fetched import Fetched
from hermes.directory import token_verifiers
from hermes.directory.token_claims import ClaimRules
from hermes.directory.token_keys import KeySet
from hermes.directory.token_verifiers import (
    FETCH_SECONDS,
    KEYS_SECONDS,
    STALE_SECONDS,
    FetchedKeys,
    Introspection,
    SignedTokens,
)
from hermes.interfaces import TokenDeniedError, TooBusyError, UnavailableError
from tests.support.oauth import AUDIENCE, ISSUER, P256, MemoryFetcher, answer, jwk, jwks, signed

RULES = ClaimRules("email", ISSUER, (AUDIENCE,))
ALGORITHMS = ("ES256",)
KEYS = Fetched(200, jwks(jwk(P256, "ES256", kid="one")))
TOKEN = signed(P256, "ES256", {"kid": "one"})
ALICE = "alice@example.org"


class VerifierTestCase(SynchronousTestCase):
    """A clock and an authorization server in memory."""

    def setUp(self) -> None:
        """At noon."""
        self.now = 1_768_478_400.0

    def result(self, waiting: Awaitable[str]) -> str:
        """What it comes to."""
        return self.successResultOf(Deferred.fromCoroutine(waiting))  # type: ignore[arg-type]

    def denied(self, waiting: Awaitable[str]) -> TokenDeniedError:
        """Why it is denied."""
        failure = self.failureResultOf(Deferred.fromCoroutine(waiting), TokenDeniedError)  # type: ignore[arg-type]
        error = failure.value
        assert isinstance(error, TokenDeniedError)
        return error

    def unavailable(self, waiting: Awaitable[str]) -> str:
        """Why it cannot be told."""
        return str(self.failureResultOf(Deferred.fromCoroutine(waiting), UnavailableError).value)  # type: ignore[arg-type]


class SignedTests(VerifierTestCase):
    """Keys from a file."""

    def test_claims_count(self) -> None:
        """A good signature is not enough."""
        tokens = SignedTokens(KeySet(KEYS.octets, ALGORITHMS), RULES, lambda: self.now)
        self.assertEqual(self.result(tokens.name_of(TOKEN)), ALICE)
        self.denied(tokens.name_of(signed(P256, "ES256", exp=self.now - 3600)))
        self.denied(tokens.name_of(signed(P256, "ES256", exp=None)))
        self.denied(tokens.name_of(signed(P256, "ES256", aud="other")))


class FetchedKeysTests(VerifierTestCase):
    """Keys from an address."""

    def setUp(self) -> None:
        """With one answer."""
        super().setUp()
        self.fetcher = MemoryFetcher(KEYS)
        self.tokens = FetchedKeys(self.fetcher, f"{ISSUER}/jwks", ALGORITHMS, RULES, lambda: self.now)

    def test_fetched_once(self) -> None:
        """Keys are fetched when they are first needed, and then kept for an hour."""
        for seconds in (0, KEYS_SECONDS - 1):
            self.now += seconds
            self.assertEqual(self.result(self.tokens.name_of(TOKEN)), ALICE)
        self.assertEqual([url for url, _, _ in self.fetcher.asked], [f"{ISSUER}/jwks"])
        self.fetcher.answers.append(KEYS)
        self.now += 1
        self.result(self.tokens.name_of(TOKEN))
        self.assertEqual(len(self.fetcher.asked), 2)

    def test_new_key(self) -> None:
        """A key that is not known is looked for, once a minute at most, whatever tokens name."""
        key = ec.generate_private_key(ec.SECP256R1())
        token = signed(key, "ES256", {"kid": "two"})
        self.result(self.tokens.name_of(TOKEN))
        self.now += FETCH_SECONDS - 1
        self.denied(self.tokens.name_of(token))
        self.assertEqual(len(self.fetcher.asked), 1)
        self.now += 1
        self.fetcher.answers.append(Fetched(200, jwks(jwk(key, "ES256", kid="two"))))
        self.assertEqual(self.result(self.tokens.name_of(token)), ALICE)

    def test_trouble(self) -> None:
        """While no newer keys are to be had the old ones hold, for a day; then nobody can tell. It is tried once a minute."""
        self.result(self.tokens.name_of(TOKEN))
        for passed, trouble in (
            (KEYS_SECONDS, UnavailableError("no answer")),
            (KEYS_SECONDS + FETCH_SECONDS, Fetched(500, b"")),
            (STALE_SECONDS - 1, Fetched(200, b"<html>")),
        ):
            self.now = 1_768_478_400.0 + passed
            self.fetcher.answers.append(trouble)
            self.assertEqual(self.result(self.tokens.name_of(TOKEN)), ALICE)
            self.assertEqual(self.fetcher.answers, [])
        self.now += 1
        self.assertIn("cannot be had", self.unavailable(self.tokens.name_of(TOKEN)))

    def test_never_had(self) -> None:
        """Without any keys nobody can tell, and the reason is kept for those who come within the minute."""
        self.fetcher.answers[:] = [Fetched(404, b"")]
        for _ in range(2):
            self.assertIn("status 404", self.unavailable(self.tokens.name_of(TOKEN)))
        self.assertEqual(len(self.fetcher.asked), 1)

    def test_together(self) -> None:
        """Those who come while keys are being fetched wait for them; that the first one leaves does not matter."""
        self.fetcher.waits_for = Deferred()
        first = Deferred.fromCoroutine(self.tokens.name_of(TOKEN))
        second = Deferred.fromCoroutine(self.tokens.name_of(TOKEN))
        first.addErrback(lambda _: None)
        first.cancel()
        self.assertNoResult(second)
        self.fetcher.waits_for.callback(None)
        self.assertEqual(self.successResultOf(second), ALICE)
        self.assertEqual(len(self.fetcher.asked), 1)


class IntrospectionTests(VerifierTestCase):
    """RFC 7662."""

    def setUp(self) -> None:
        """Nothing has been asked yet."""
        super().setUp()
        self.fetcher = MemoryFetcher()
        login = ("client:1", "p word\u00e9")
        rules = ClaimRules("username")
        self.tokens = Introspection(self.fetcher, f"{ISSUER}/introspect", login, rules, lambda: self.now, 60)

    def says(self, *answers: Fetched | Exception) -> None:
        """What the authorization server answers next."""
        self.fetcher.answers.extend(answers)

    def test_question(self) -> None:
        """RFC 7662 2.1: a form, with a login; RFC 6749 2.3.1: name and password are encoded before they are joined."""
        self.says(answer(active=True, username="alice"))
        self.assertEqual(self.result(self.tokens.name_of("t+/=")), "alice")
        ((url, headers, body),) = self.fetcher.asked
        self.assertEqual(url, f"{ISSUER}/introspect")
        assert body is not None
        self.assertEqual(parse_qs(body.decode()), {"token": ["t+/="], "token_type_hint": ["access_token"]})
        self.assertEqual(headers["Content-Type"], "application/x-www-form-urlencoded")
        self.assertEqual(headers["Authorization"], f"Basic {b64encode(b'client%3A1:p+word%C3%A9').decode()}")

    def test_not_active(self) -> None:
        """RFC 7662 2.2: only ``true`` is active, and then the other claims count."""
        for claims in (
            {"active": False, "username": "alice"},
            {"username": "alice"},
            {"active": "true", "username": "alice"},
        ):
            self.says(answer(**claims))
            self.assertIn("not active", self.denied(self.tokens.name_of(str(claims))).reason)
        self.says(answer(active=True, username="alice", exp=self.now - 3600))
        self.assertIn("expired", self.denied(self.tokens.name_of("expired")).reason)

    def test_remembered(self) -> None:
        """An answer, good or bad, holds for the time that the settings give it, and not longer than the token."""
        self.says(answer(active=True, username="alice"), answer(active=False))
        for seconds in (0, 59):
            self.now += seconds
            self.assertEqual(self.result(self.tokens.name_of("good")), "alice")
            self.denied(self.tokens.name_of("bad"))
        self.assertEqual(len(self.fetcher.asked), 2)
        self.now += 1
        self.says(answer(active=False))
        self.denied(self.tokens.name_of("good"))
        self.says(answer(active=True, username="alice", exp=self.now - 50), answer(active=False))
        self.result(self.tokens.name_of("short"))
        self.now += 10
        self.denied(self.tokens.name_of("short"))

    def test_remembered_without_the_token(self) -> None:
        """What is kept holds no token."""
        self.says(answer(active=True, username="alice"))
        self.result(self.tokens.name_of("a-very-secret-token"))
        self.assertNotIn("a-very-secret-token", repr(vars(self.tokens)))

    def test_number_remembered(self) -> None:
        """The oldest answer is forgotten when there are too many."""
        self.patch(token_verifiers, "MAX_REMEMBERED", 2)
        for token in ("one", "two", "three"):
            self.says(answer(active=True, username=token))
            self.result(self.tokens.name_of(token))
        for token in ("two", "three"):
            self.assertEqual(self.result(self.tokens.name_of(token)), token)
        self.says(answer(active=False))
        self.denied(self.tokens.name_of("one"))

    def test_trouble(self) -> None:
        """An answer that is none says nothing about the token, and is not remembered."""
        for trouble in (
            Fetched(401, b""),
            Fetched(500, b""),
            Fetched(302, b""),
            Fetched(200, b"<html>"),
            Fetched(200, b"[]"),
        ):
            self.says(trouble)
            self.unavailable(self.tokens.name_of("t"))
        self.says(TooBusyError())
        self.failureResultOf(Deferred.fromCoroutine(self.tokens.name_of("t")), TooBusyError)
        self.says(answer(active=True, username="alice", exp=None))
        self.assertEqual(self.result(self.tokens.name_of("t")), "alice")
