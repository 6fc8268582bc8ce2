"""Tokens are refreshed in time, and never given up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.at_once import AtOnce
from hermes.config.oauth_client_rules import ClientFacts, facts_of
from hermes.config.sections.oauth_client import OAuthClientSettings
from hermes.net.https import Answer
from hermes.services.oauth_tokens import AHEAD_SECONDS, LOOK_SECONDS, PAUSES_SECONDS, NoToken, OAuthTokens
from hermes.services.token_store import Record, TokenStore

ENDPOINT = "https://login.example.net/token"

INVALID = Answer(400, b'{"error":"invalid_grant","error_description":"revoked"}')


def answer(token: str = "new", **more: Any) -> Answer:
    """A good answer."""
    return Answer(200, json.dumps({"access_token": token, "token_type": "bearer", "expires_in": 3600, **more}).encode())


class TokensCase(SynchronousTestCase):
    """Tokens of a client called office; what the authorization server says is in ``answers``."""

    def setUp(self) -> None:
        """A clock, a store, and a login an hour before its end."""
        self.clock = Clock()
        self.clock.advance(1_000_000)
        data = Path(self.mktemp())
        data.mkdir()
        self.store = TokenStore(str(data / "oauth"), str(data / "oauth.key"))
        self.forms: list[dict[str, str]] = []
        self.answers: list[Any] = []
        self.tokens = OAuthTokens(self.clock, self.store, AtOnce(), self.clock.seconds, self.post)
        self.tokens.clients = {"office": self.facts("code")}
        self.patch(OAuthTokens, "_log", _Silent())

    def facts(self, grant: str) -> ClientFacts:
        """The client."""
        settings = OAuthClientSettings(
            client_id="app",
            client_secret="s",
            grant=grant,
            scopes=("mail",),
            token_endpoint=ENDPOINT,
        )
        return facts_of("office", settings)

    async def post(self, address: str, form: Mapping[str, str], authority: str) -> Any:
        """The authorization server."""
        self.assertEqual(address, ENDPOINT)
        self.forms.append(dict(form))
        said = self.answers.pop(0) if self.answers else answer()
        return await said if isinstance(said, Deferred) else said

    def log_in(self, seconds: float = 3600, **more: Any) -> Record:
        """A login, as the command line makes it."""
        now = self.clock.seconds()
        record = Record(**{"serial": "one", "access_token": "old", "refresh_token": "r1", "obtained_at": now, **more})
        record = attrs.evolve(record, expires_at=now + seconds)
        self.store.write("office", record)
        return record

    def get(self) -> Any:
        """The token, now."""
        return self.successResultOf(Deferred.fromCoroutine(self.tokens.token("office")))

    def refused(self, token: str) -> Any:
        """What a mail server's refusal leads to."""
        return self.successResultOf(Deferred.fromCoroutine(self.tokens.refused("office", token, "535 no")))

    @property
    def record(self) -> Record:
        """What is on disk."""
        record = self.store.read("office")
        assert record is not None
        return record


class _Silent:
    """A logger for what is expected."""

    def failuresHandled(self, *args: Any, **facts: Any) -> _Silent:
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *args: object) -> None:
        pass

    def info(self, *args: Any, **facts: Any) -> None:
        pass

    warn = error = info


class TokenTests(TokensCase):
    """Whoever wants to log in gets a token, or a reason."""

    def test_good(self) -> None:
        """A token that is good is given without asking anybody."""
        self.log_in()
        self.assertEqual(self.get(), "old")
        self.assertEqual(self.forms, [])

    def test_none_yet(self) -> None:
        """Without a login the reason names the command, and as soon as somebody has logged in the token is there."""
        said = self.get()
        self.assertIsInstance(said, NoToken)
        self.assertIn("run 'hermes oauth login office'", said.reason)
        self.log_in()
        self.assertEqual(self.get(), "old")

    def test_expired(self) -> None:
        """An expired token is refreshed by the RFC's form (RFC 6749 6), and what is new is kept."""
        self.log_in(-10)
        self.answers = [answer(refresh_token="r2")]
        self.assertEqual(self.get(), "new")
        self.assertEqual(
            self.forms,
            [{"grant_type": "refresh_token", "refresh_token": "r1", "client_id": "app", "client_secret": "s"}],
        )
        self.assertEqual((self.record.access_token, self.record.refresh_token), ("new", "r2"))
        self.assertEqual(self.record.expires_at, self.clock.seconds() + 3600)

    def test_refresh_token_stays(self) -> None:
        """An answer without a refresh token leaves the old one good (RFC 6749 6)."""
        self.log_in(-10)
        self.get()
        self.assertEqual((self.record.access_token, self.record.refresh_token), ("new", "r1"))

    def test_one_at_a_time(self) -> None:
        """Many who want a token at once wait for one refresh."""
        self.log_in(-10)
        said: Deferred[Answer] = Deferred()
        self.answers = [said]
        waiting = [Deferred.fromCoroutine(self.tokens.token("office")) for _ in range(5)]
        said.callback(answer())
        self.assertEqual([self.successResultOf(each) for each in waiting], ["new"] * 5)
        self.assertEqual(len(self.forms), 1)

    def test_without_refresh_token(self) -> None:
        """A token that cannot be refreshed is used to its end; then somebody has to log in."""
        self.log_in(refresh_token="")
        self.assertEqual(self.get(), "old")
        self.clock.advance(3600)
        self.assertIn("hermes oauth login office", self.get().reason)
        self.assertEqual(self.forms, [])

    def test_application(self) -> None:
        """The application itself needs no login: a token is had when it is wanted, kept, and had again when it has expired."""
        self.tokens.clients = {"office": self.facts("client_credentials")}
        self.answers = [answer("a"), answer("b")]
        self.assertEqual(self.get(), "a")
        self.assertEqual(self.record.access_token, "a")
        self.assertEqual(self.get(), "a")
        self.clock.advance(3600)
        self.assertEqual(self.get(), "b")
        wanted = {"grant_type": "client_credentials", "scope": "mail", "client_id": "app", "client_secret": "s"}
        self.assertEqual(self.forms, [wanted, wanted])


class FigureTests(TokensCase):
    """What is told of the tokens."""

    def figures(self) -> tuple[dict[str, float], dict[str, float]]:
        """When they expire, and whether they can be used, by client."""
        expires, usable = (
            {sample.labels["client"]: sample.value for sample in family.samples} for family in self.tokens.families()
        )
        return expires, usable

    def test_token(self) -> None:
        """A token is told of when it has been looked at, and of one that there is not, that it cannot be used."""
        self.assertEqual(self.figures(), ({}, {}))
        record = self.log_in(3600, refresh_token="")
        self.get()
        self.assertEqual(self.figures(), ({"office": record.expires_at}, {"office": 1}))
        self.clock.advance(3600)
        self.assertEqual(self.figures(), ({"office": record.expires_at}, {"office": 0}))
        self.tokens.clients = {}
        self.assertEqual(self.figures(), ({}, {}))

    def test_no_login_yet(self) -> None:
        """Without a login there is nothing that could expire, and nothing that could be used."""
        self.get()
        self.assertEqual(self.figures(), ({}, {"office": 0}))


class FailureTests(TokensCase):
    """Nothing makes a token go away."""

    def test_tokens_stay(self) -> None:
        """Whatever a refresh meets, both tokens stay, the error is kept for people, and the reason says what to do."""
        for said, words in (
            ("the network is down", "tried again by itself"),
            (Answer(500, b"oops"), "HTTP status 500"),
            (Answer(200, b"<html>"), "no JSON object"),
            (Answer(200, b"{}"), "no token"),
            (Answer(200, b'{"access_token":"x","token_type":"mac"}'), "not of the type bearer"),
            (Answer(200, b'{"access_token":"x y","token_type":"bearer"}'), "its access_token is not one"),
            (Answer(503, b'{"error":"temporarily_unavailable"}'), "temporarily_unavailable"),
            (INVALID, "run 'hermes oauth login office'"),
            (Answer(401, b'{"error":"invalid_client"}'), "run 'hermes oauth login office'"),
        ):
            self.setUp()
            self.log_in(-10)
            self.answers = [said]
            self.assertIn(words, self.get().reason)
            self.assertEqual((self.record.access_token, self.record.refresh_token), ("old", "r1"))
            self.assertEqual(self.record.error_at, self.clock.seconds())
            self.assertTrue(self.record.error)
            self.clock.advance(3600)
            self.assertEqual(self.get(), "new")
            self.assertEqual((self.record.error, self.record.login_needed), ("", False))

    def test_pauses(self) -> None:
        """After a failure nobody is asked for a while, longer each time; whoever wants a token hears why."""
        self.log_in(-10)
        self.answers = ["down"] * 20
        for number, pause in enumerate([*PAUSES_SECONDS, PAUSES_SECONDS[-1]], 1):
            self.assertIn("down", self.get().reason)
            self.clock.advance(pause - 1)
            self.get()
            self.assertEqual(len(self.forms), number)
            self.clock.advance(1)

    def test_login_ends_the_pause(self) -> None:
        """A new login is used at once, whatever went wrong before."""
        self.log_in(-10)
        self.answers = [INVALID]
        self.get()
        self.log_in(serial="two", access_token="fresh")
        self.assertEqual(self.get(), "fresh")

    def test_login_during_a_refresh(self) -> None:
        """A refresh that ends after a newer login does not undo it."""
        self.log_in(-10)
        said: Deferred[Answer] = Deferred()
        self.answers = [said]
        waiting = Deferred.fromCoroutine(self.tokens.token("office"))
        self.log_in(serial="two", access_token="fresh", refresh_token="r9")
        said.callback(answer())
        self.assertEqual(self.successResultOf(waiting), "fresh")
        self.assertEqual((self.record.access_token, self.record.refresh_token), ("fresh", "r9"))

    def test_logout_during_a_refresh(self) -> None:
        """A refresh that ends after a logout brings nothing back."""
        self.log_in(-10)
        said: Deferred[Answer] = Deferred()
        self.answers = [said]
        waiting = Deferred.fromCoroutine(self.tokens.token("office"))
        self.store.remove("office")
        said.callback(answer())
        self.assertIsInstance(self.successResultOf(waiting), NoToken)
        self.assertIsNone(self.store.read("office"))

    def test_disk(self) -> None:
        """A file that cannot be read is told; a token that cannot be written is used all the same."""
        self.log_in()
        self.patch(self.store, "read", lambda name: (_ for _ in ()).throw(OSError(13, "Permission denied")))
        self.assertIn("Permission denied", self.get().reason)
        self.setUp()
        self.log_in(-10)
        self.patch(self.store, "update", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left")))
        self.assertEqual(self.get(), "new")

    def test_written_later(self) -> None:
        """A token that could not be written is when there is room: the one before it may be good for nothing after a restart."""
        for login_meanwhile in (False, True):
            self.setUp()
            self.answers = [answer("new", refresh_token="r2")]
            self.log_in(-10)
            full = self.patch(self.store, "update", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left")))
            self.tokens.start()
            self.assertEqual(self.get(), "new")
            self.assertEqual(self.record.refresh_token, "r1")
            self.clock.advance(LOOK_SECONDS)
            full.restore()
            if login_meanwhile:
                self.log_in(serial="two", refresh_token="r3")
            self.clock.advance(LOOK_SECONDS)
            self.assertEqual(self.record.refresh_token, "r3" if login_meanwhile else "r2")
            self.assertEqual(self.get(), "old" if login_meanwhile else "new")
            self.assertEqual(len(self.forms), 1)
            self.successResultOf(Deferred.fromCoroutine(self.tokens.stop()))


class RefusedTests(TokensCase):
    """A mail server that does not take a token."""

    def test_one_refresh(self) -> None:
        """The first refusal of a token leads to one refresh; who was refused with the old one gets the new one too."""
        self.log_in()
        self.assertEqual(self.get(), "old")
        self.assertEqual(self.refused("old"), "new")
        self.assertEqual(self.refused("old"), "new")
        self.assertEqual(len(self.forms), 1)

    def test_refused_again(self) -> None:
        """A new token that is refused as well is not refreshed for ever: each token once, and both stay known for people."""
        self.log_in()
        self.answers = [answer("a"), "down"]
        self.assertEqual(self.refused("old"), "a")
        self.assertIsNone(self.refused("a"))
        self.assertIsNone(self.refused("a"))
        self.assertEqual(len(self.forms), 2)
        self.assertIn("the mail server refused the token: 535 no", self.record.error)
        self.assertEqual((self.record.access_token, self.record.refresh_token), ("a", "r1"))


class BackgroundTests(TokensCase):
    """Nobody has to ask."""

    def test_ten_minutes_ahead(self) -> None:
        """A token is refreshed ten minutes before its end, and not before."""
        self.log_in()
        self.tokens.start()
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.tokens.stop())))
        self.clock.pump([15.0] * int((3600 - AHEAD_SECONDS - 30) / 15))
        self.assertEqual(self.forms, [])
        self.clock.pump([15.0] * 3)
        self.assertEqual((len(self.forms), self.record.access_token), (1, "new"))
        self.clock.pump([15.0] * 100)
        self.assertEqual(len(self.forms), 1)

    def test_short_lives(self) -> None:
        """A token that lives for ten minutes is refreshed after five."""
        self.log_in(600)
        self.tokens.start()
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.tokens.stop())))
        self.clock.pump([15.0] * 19)
        self.assertEqual(self.forms, [])
        self.clock.pump([15.0] * 2)
        self.assertEqual(len(self.forms), 1)

    def test_stop(self) -> None:
        """After the stop nothing is asked for; one that was never started can be stopped."""
        self.successResultOf(Deferred.fromCoroutine(self.tokens.stop()))
        self.tokens.start()
        self.successResultOf(Deferred.fromCoroutine(self.tokens.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
