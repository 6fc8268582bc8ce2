"""A token at a mail server that does not mean well."""

from __future__ import annotations

import base64
from pathlib import Path

from twisted.internet import reactor

from hermes.app.at_once import AtOnce
from hermes.config.sections.smarthost import SmarthostSettings
from hermes.core.outcome import Outcome, Result
from hermes.services.oauth_tokens import OAuthTokens
from hermes.services.smarthost import SmarthostAgent
from hermes.services.token_store import Record, TokenStore
from tests.services.test_smarthost import HOST, SmarthostCase
from tests.support.outgoing import Reader, message
from tests.support.smtp_peer import DROP, Script, SMTPPeer

TOKEN = "t0ken-of-the-office"


class HostileServerTests(SmarthostCase):
    """At each step of AUTH."""

    def sending(self, peer: SMTPPeer, **settings: str) -> SmarthostAgent:
        """An agent with a good token, and an authorization server that is down."""

        async def post(*question: object) -> str:
            return "login.example.net cannot be found"

        data = Path(self.mktemp())
        data.mkdir()
        self.store = TokenStore(str(data / "oauth"), str(data / "key"))
        self.store.write("office", Record("one", TOKEN, "refresh", 1.0, 10_000.0))
        tokens = OAuthTokens(reactor, self.store, AtOnce(), lambda: 100.0, post)
        options = {"host": HOST, "port": peer.port, "tls": "none", "oauth": "office", "username": "joe", **settings}
        agent = SmarthostAgent(
            reactor, SmarthostSettings(**options), "client.example.org", Reader(), self.names, tokens=tokens
        )
        self.agents.append(agent)
        return agent

    async def outcome(self, agent: SmarthostAgent) -> Outcome:
        """Deliver a message."""
        sending, recipients = message("a@example.com")
        (outcome,) = await agent.deliver("default", sending, recipients)
        return outcome

    async def test_answers(self) -> None:
        """Whatever is answered, the mail waits, the token stays where it is, and it is in no reason."""
        echo = base64.b64encode(f"user=joe\x01auth=Bearer {TOKEN}\x01\x01".encode()).decode()
        for reply in (
            DROP, "334 !!!", "334 ", f"334 {echo}", "334 " + "A" * 400, "354 go ahead", "999 what?", "what?", "421 bye",
            "250-ok\r\n250-ok", "535 5.7.8 no", "454 4.7.0 later", "504 5.5.4 what?", "\0\x1b[2J", "x" * 20_000,
        ):  # fmt: skip
            replies: dict[str, str | list[str]] = {"AUTH XOAUTH2": reply}
            peer = self.peer(Script(extensions=["AUTH XOAUTH2 PLAIN LOGIN"], replies=replies))
            agent = self.sending(peer)
            if reply.startswith("250-"):
                # It says that more comes, and never says it: what ends that is the time limit of the client's session.
                sent = peer.seen("AUTH")
                sent.addCallback(lambda _, peer=peer: reactor.callLater(0, peer.open[0].cut))
            outcome = await self.outcome(agent)
            self.assertIs(outcome.result, Result.DEFERRED, reply)
            self.assertNotIn(TOKEN, outcome.reason + str(outcome.reply))
            self.assertNotIn("MAIL", peer.verbs)
            self.assertFalse({"AUTH PLAIN", "AUTH LOGIN"} & {line[:10] for line in peer.lines})
            record = self.store.read("office")
            assert record is not None
            self.assertEqual((record.access_token, record.refresh_token), (TOKEN, "refresh"))

    async def test_not_provoked(self) -> None:
        """A refused token is not shown to the server again and again: after one try, for some minutes not at all."""
        peer = self.peer(Script(extensions=["AUTH XOAUTH2"], replies={"AUTH": "535 5.7.8 no"}))
        agent = self.sending(peer)
        for _ in range(3):
            outcome = await self.outcome(agent)
            self.assertIn("535 5.7.8 no", outcome.reason)
        self.assertEqual(peer.verbs.count("AUTH"), 1)
        self.store.write("office", Record("two", "another", "refresh", 1.0, 10_000.0))
        await self.outcome(agent)
        self.assertEqual(peer.verbs.count("AUTH"), 2)

    async def test_only_named_mechanisms(self) -> None:
        """`auth` holds for tokens too."""
        peer = self.peer(Script(extensions=["AUTH XOAUTH2 OAUTHBEARER"]))
        await self.outcome(self.sending(peer, auth=("xoauth2",)))
        self.assertTrue(any(line.startswith("AUTH XOAUTH2 ") for line in peer.lines))
