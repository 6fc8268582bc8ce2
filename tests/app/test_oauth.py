"""From the first login to delivered mail: the command line, the server, an authorization server and a submission server."""

from __future__ import annotations

import json
import os
import re
import smtplib
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

import hermes
from hermes.core.event import Kind
from hermes.services.token_store import TokenStore
from tests.support.oauth_server import USER, AuthorizationServer
from tests.support.ports import free_port
from tests.support.server import ServerTestCase
from tests.support.smtp_peer import Script, SMTPPeer


class _Command(ProcessProtocol):
    """The ``hermes`` command; ``typed`` answers a line that matches a pattern."""

    def __init__(self) -> None:
        self.output = ""
        self.done: Deferred[int] = Deferred()
        self._waiting: list[tuple[str, Deferred[str]]] = []

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """It says something."""
        self.output += data.decode()
        for pattern, waiting in list(self._waiting):
            if found := re.search(pattern, self.output):
                self._waiting.remove((pattern, waiting))
                waiting.callback(found[0])

    def until(self, pattern: str) -> Deferred[str]:
        """What matches, once it has been said."""
        waiting: Deferred[str] = Deferred()
        self._waiting.append((pattern, waiting))
        self.childDataReceived(1, b"")
        return waiting

    def type(self, line: str) -> None:
        """Somebody types."""
        self.transport.write(line.encode() + b"\n")

    def processEnded(self, reason: Failure) -> None:
        """It is over."""
        for _, waiting in self._waiting:
            waiting.errback(AssertionError(self.output))
        self.done.callback(0 if reason.check(ProcessDone) else reason.value.exitCode)


class OAuthCase(ServerTestCase):
    """An authorization server, and a submission server that takes its tokens."""

    timeout = 60

    async def setUp(self) -> None:
        """Both listen."""
        super().setUp()
        directory = Path(self.mktemp()).resolve()
        self.authorization = AuthorizationServer(directory)
        self.authorization.start(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.authorization.stop()))
        script = Script(
            extensions=["STARTTLS"],
            tls_extensions=["AUTH PLAIN LOGIN XOAUTH2", "PIPELINING"],
            certificate=(self.authorization.certificate, self.authorization._key),
            judge=self.authorization.judge,
        )
        self.peer = SMTPPeer(script)
        self.peer.start(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.peer.stop()))
        self.smtp_port = free_port()

    def tearDown(self) -> None:
        """Nothing was asked of the authorization server, or said to the submission server, that is not as it has to be."""
        self.assertEqual(self.authorization.faults, [])

    def config(self, grant: str = "device", more: str = "") -> str:
        """The sections beside those of every test."""
        return (
            f"[smtp]\nlisten = 127.0.0.1:{self.smtp_port}\nrelay_networks = 127.0.0.0/8\n"
            f"[smarthost:office]\nhost = localhost\nport = {self.peer.port}\noauth = office\nusername = {USER}\n"
            f"authority = {self.authorization.certificate}\n{more}{self.authorization.section(grant)}"
        )

    def hermes(self, *words: str) -> _Command:
        """Start the command."""
        command = _Command()
        environment = {**os.environ, "PYTHONPATH": str(Path(hermes.__file__).parents[1]), "LC_ALL": "C.UTF-8"}
        arguments = [sys.executable, "-m", "hermes.cli.main", *words[:2], "-c", self.path, *words[2:]]
        reactor.spawnProcess(command, sys.executable, arguments, environment)
        return command

    async def run_hermes(self, *words: str, status: int = 0) -> str:
        """Run it to its end."""
        command = self.hermes(*words)
        self.assertEqual(await command.done, status, command.output)
        return command.output

    async def status_of(self, status: int = 0) -> dict[str, Any]:
        """What ``hermes oauth status`` says of the client."""
        (row,) = json.loads(await self.run_hermes("oauth", "status", "--json", status=status))
        return row

    def send(self) -> Deferred[None]:
        """A printer sends: without TLS, without a login."""

        def talk() -> None:
            with smtplib.SMTP("127.0.0.1", self.smtp_port) as client:
                client.sendmail("scanner@example.net", ["boss@example.com"], b"Subject: scan\r\n\r\npage 1\r\n")

        return deferToThread(talk)


class LoginTests(OAuthCase):
    """The three ways of logging in, on a machine without a browser."""

    async def test_device(self) -> None:
        """A code is typed elsewhere; the running server gets the token at once and sends what has waited, with XOAUTH2."""
        await self.start(self.config("device"))
        events = self.events()
        await self.send()
        (event,) = await events.until(Kind.DEFERRED)
        self.assertIn("there is no OAuth token of office yet: run 'hermes oauth login office'", event.facts["reason"])
        self.assertEqual((self.peer.connections, event.facts["smarthost"]), (0, "office"))
        self.assertEqual((await self.status_of(status=1))["to_do"], "run: hermes oauth login office")
        output = await self.run_hermes("oauth", "login", "office")
        self.assertIn("Open https://example.net/device in any browser, and type this code: WDJB-MJHT", output)
        self.assertNotIn("access-", output)
        self.assertNotIn("has not been told", output)
        (event,) = await events.until(Kind.RELAYED)
        self.assertEqual(event.facts["smarthost"], "office")
        (arrived,) = self.peer.messages
        self.assertIn(b"page 1", arrived.data)
        self.assertIn("AUTH XOAUTH2", self.peer.lines)
        row = await self.status_of()
        self.assertEqual((row["account"], row["last_error"], row["login_needed"]), (USER, "", False))
        self.assertEqual(row["to_do"], "nothing: it is refreshed by itself")
        self.assertTrue(row["expires"] and row["last_refresh"])

    async def test_code(self) -> None:
        """An address is opened in a browser anywhere, and the one at which it ends is pasted; a wrong one is asked for again."""
        self.write(self.config("code"))
        command = self.hermes("oauth", "login", "office")
        address = (await command.until(r"https://localhost:\d+/authorize\S+(?=\s)")).strip()
        end = self.authorization.browse(address)
        await command.until("Paste it here")
        command.type("https://www.example.com/")
        await command.until("that is another address")
        command.type(end.replace("state=", "state=x"))
        await command.until("belongs to another login")
        command.type(end)
        self.assertEqual(await command.done, 0, command.output)
        self.assertIn("office is logged in", command.output)
        self.assertIn("The running server has not been told (The server is not running", command.output)
        self.assertFalse((await self.status_of())["login_needed"])

    async def test_denied(self) -> None:
        """Who says no at the provider's page, or comes with a wrong secret, gets the provider's words."""
        self.write(self.config("code"))
        command = self.hermes("oauth", "login", "office")
        address = (await command.until(r"https://localhost:\d+/authorize\S+(?=\s)")).strip()
        end = self.authorization.browse(address)
        await command.until("Paste it here")
        command.type(re.sub("code=[^&]*", "error=access_denied", end))
        self.assertEqual(await command.done, 1)
        self.assertIn("access_denied", command.output)
        self.rewrite(self.config("code").replace("s3cret", "wrong"))
        output = await self.run_hermes("oauth", "login", "--by", "client_credentials", "office", status=1)
        self.assertIn("invalid_client: who are you?", output)
        await self.run_hermes("oauth", "login", "nobody", status=1)
        await self.run_hermes("oauth", "logout", "--yes", "office", status=1)

    async def test_client_credentials(self) -> None:
        """The application itself needs nobody: the server asks for a token when mail wants one."""
        await self.start(self.config("client_credentials"))
        events = self.events()
        await self.send()
        await events.until(Kind.RELAYED)
        self.assertEqual(len(self.peer.messages), 1)
        await self.run_hermes("oauth", "login", "office")
        self.assertEqual((await self.status_of())["to_do"], "nothing: it is refreshed by itself")

    async def test_logout(self) -> None:
        """Only who says yes throws tokens away; afterwards mail waits, and nothing of it is lost."""
        await self.start(self.config("device"))
        await self.run_hermes("oauth", "login", "office")
        command = self.hermes("oauth", "logout", "office")
        await command.until("Throw the tokens of office away")
        command.type("n")
        self.assertEqual(await command.done, 1)
        self.assertFalse((await self.status_of())["login_needed"])
        await self.run_hermes("oauth", "logout", "--yes", "office")
        events = self.events()
        await self.send()
        await events.until(Kind.DEFERRED)
        self.assertEqual(self.peer.messages, [])


class SendingTests(OAuthCase):
    """A server with tokens."""

    async def logged_in(self, more: str = "") -> Any:
        """A server whose client has logged in."""
        server = await self.start(self.config("device", more))
        await self.run_hermes("oauth", "login", "office")
        return server

    async def test_refused_token(self) -> None:
        """A token that the submission server refuses is refreshed once, and the mail goes with the new one."""
        await self.logged_in()
        self.authorization.revoke()
        events = self.events()
        await self.send()
        await events.until(Kind.RELAYED)
        self.assertEqual(self.peer.verbs.count("AUTH"), 2)
        grants = [form["grant_type"] for form in self.authorization.requests if "grant_type" in form]
        self.assertEqual(grants.count("refresh_token"), 1)

    async def test_refused_for_good(self) -> None:
        """When the refresh fails too, mail waits with both reasons for people; the token is kept, and a new login mends it."""
        await self.logged_in()
        before = TokenStore(str(self.data / "oauth"), str(self.data / "oauth.key")).read("office")
        assert before is not None
        self.authorization.revoke()
        self.authorization.good_refresh_tokens.clear()
        events = self.events()
        await self.send()
        (event,) = await events.until(Kind.DEFERRED)
        self.assertIn("535 5.7.8 the token is not good (the token was refused with status 401)", event.facts["reason"])
        row = await self.status_of(status=1)
        self.assertIn("the mail server refused the token", row["last_error"])
        self.assertEqual(row["to_do"], "run: hermes oauth login office")
        after = TokenStore(str(self.data / "oauth"), str(self.data / "oauth.key")).read("office")
        assert after is not None
        self.assertEqual((after.access_token, after.refresh_token), (before.access_token, before.refresh_token))
        await self.run_hermes("oauth", "login", "office")
        await events.until(Kind.RELAYED)

    async def test_server_that_offers_no_token_login(self) -> None:
        """A submission server that hides XOAUTH2 gets neither the token nor anything else."""
        self.peer.script.tls_extensions = ["AUTH PLAIN LOGIN CRAM-MD5"]
        await self.logged_in()
        events = self.events()
        await self.send()
        (event,) = await events.until(Kind.DEFERRED)
        self.assertIn("(offered: PLAIN LOGIN CRAM-MD5)", event.facts["reason"])
        self.assertNotIn("AUTH", self.peer.verbs)

    async def test_never_in_the_clear(self) -> None:
        """A submission server that takes STARTTLS back gets nothing: no token, no envelope."""
        self.peer.script.extensions = ["AUTH XOAUTH2 PLAIN"]
        await self.logged_in()
        events = self.events()
        await self.send()
        await events.until(Kind.DEFERRED)
        self.assertEqual(set(self.peer.verbs), {"EHLO", "QUIT"})

    async def test_oauthbearer(self) -> None:
        """OAUTHBEARER comes first where it is offered, with host and port."""
        self.peer.script.tls_extensions = ["AUTH XOAUTH2 OAUTHBEARER"]
        await self.logged_in()
        events = self.events()
        await self.send()
        await events.until(Kind.RELAYED)
        self.assertIn("AUTH OAUTHBEARER", self.peer.lines)

    async def test_hostile_authorization_server(self) -> None:
        """A flood at the token endpoint delays mail, keeps the token, and needs nobody to log in."""
        await self.logged_in()
        self.authorization.revoke()
        self.authorization.instead = (200, b"x" * 1_000_000)
        events = self.events()
        await self.send()
        await events.until(Kind.DEFERRED)
        row = await self.status_of()
        self.assertEqual((row["login_needed"], bool(row["last_error"])), (False, True))

    async def test_reload(self) -> None:
        """A reload keeps the tokens and takes new clients."""
        server = await self.logged_in()
        self.rewrite(self.config("device", "connections = 1\n"))
        await server.reload()
        events = self.events()
        await self.send()
        await events.until(Kind.RELAYED)
