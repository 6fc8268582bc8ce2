"""Opening sessions at POP3 servers: which way of logging in is taken, and what is never sent."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from hermes.net import pop3_opening
from hermes.net.client_tls import opportunistic_context
from hermes.net.outgoing import Approach, Target, TLSMode
from hermes.net.peer import is_loopback
from hermes.net.pop3_opening import Problem, Stage, open_session
from hermes.protocols.sasl_login import Login
from tests.support.pop3_peer import Box, Peer


class OpeningTests(TestCase):
    """One server, one login."""

    timeout = 20

    async def opened(
        self,
        box: Box,
        *,
        loopback: bool = True,
        in_clear: bool = False,
        tls: TLSMode = TLSMode.NONE,
        **login: Any,
    ) -> Problem | None:
        """Open a session and leave; what went wrong."""
        port = reactor.listenTCP(0, box, interface="127.0.0.1")
        # A server elsewhere is one that this machine does not know to be here.
        self.patch(pop3_opening, "is_loopback", is_loopback if loopback else lambda address: False)
        values = {"username": "box", "password": "secret", **login}
        context = None if tls is TLSMode.NONE else opportunistic_context()
        approach = Approach("mail.example.org", tls, context, login=Login(**values))
        target = Target("pop.example.net", "127.0.0.1", port.getHost().port)
        try:
            session = await open_session(reactor, target, approach, 2.0, in_clear=in_clear)
            if isinstance(session, Problem):
                return session
            self.assertEqual(await session.quit(), "")
            return None
        finally:
            await port.stopListening()
            for each in box.sessions:
                each.transport.abortConnection()

    def box(self, *capabilities: str, **mischief: Any) -> Box:
        """A server that offers these."""
        box = Box()
        box.capabilities = capabilities
        box.mischief = mischief
        return box

    async def test_user_and_pass(self) -> None:
        """What every server knows, where nobody can listen, or where it has been allowed."""
        box = self.box("USER")
        self.assertIsNone(await self.opened(box))
        self.assertEqual(box.commands[:3], ["CAPA", "USER box", "PASS secret"])
        self.assertIsNone(await self.opened(self.box("USER"), loopback=False, in_clear=True, mechanisms=("USER",)))

    async def test_never_in_the_clear(self) -> None:
        """Where others can listen, no password is sent; APOP is, and proves it without telling."""
        box = self.box("USER", "SASL PLAIN LOGIN")
        problem = await self.opened(box, loopback=False)
        assert problem is not None
        self.assertIn("no login that is safe without TLS", problem.reason)
        self.assertEqual([command for command in box.commands if command != "CAPA"], [])
        box = self.box("USER", APOP=lambda peer, text: peer.say("+OK"))
        box.greeting = "+OK <1@pop.example.net>"
        self.assertIsNone(await self.opened(box, loopback=False))
        self.assertEqual(box.count("PASS"), 0)

    async def test_sasl(self) -> None:
        """The safest that is offered and allowed; a refusal is not followed by a weaker one."""
        said: list[str] = []

        def auth(peer: Peer, text: str) -> None:
            peer.box.mischief[base64.b64encode(b"\0box\0secret").decode()] = answered
            peer.say("+ ")

        def answered(peer: Peer, text: str) -> None:
            said.append(text)
            peer.say("+OK")

        box = self.box("USER", "SASL PLAIN LOGIN", AUTH=auth)
        self.assertIsNone(await self.opened(box))
        self.assertEqual(len(said), 1)
        box = self.box("SASL CRAM-MD5 PLAIN", "USER", AUTH=lambda peer, text: peer.say("-ERR [AUTH] no"))
        problem = await self.opened(box)
        assert problem is not None
        self.assertTrue(problem.refused)
        self.assertEqual([box.count("AUTH"), box.count("USER")], [1, 0])

    async def test_called_off(self) -> None:
        """What is called off while it connects is called off, as everywhere; it is no fault and no answer of the server."""
        target = Target("pop.example.net", "192.0.2.1", 110)
        approach = Approach("mail.example.org", TLSMode.NONE, None, login=Login("box", "secret"))
        opening = Deferred.fromCoroutine(open_session(MemoryReactorClock(), target, approach, 2.0))
        opening.cancel()
        self.failureResultOf(opening, CancelledError)

    async def test_token(self) -> None:
        """A token goes by its own mechanisms alone; where nothing is announced, by XOAUTH2."""
        for capabilities in (("SASL XOAUTH2",), None):
            box = self.box(AUTH=lambda peer, text: peer.say("-ERR [AUTH] no"))
            box.capabilities = capabilities
            problem = await self.opened(box, token="abc", password="")
            assert problem is not None
            self.assertTrue(problem.refused)
            self.assertIn("AUTH XOAUTH2", box.commands)
        box = self.box("SASL PLAIN", "USER")
        problem = await self.opened(box, token="abc", password="")
        assert problem is not None
        self.assertIn("no login", problem.reason)
        self.assertEqual(box.count("USER"), 0)

    async def test_refusals(self) -> None:
        """A wrong password is told from a server that is busy (RFC 3206, RFC 2449 8)."""
        for answer, refused in (
            ("-ERR wrong", True), ("-ERR [AUTH] wrong", True), ("-ERR [IN-USE] busy", False), ("-ERR [SYS/TEMP] x", False),
            ("-ERR [LOGIN-DELAY] x", False),
        ):  # fmt: skip
            for verb in ("USER", "PASS"):
                problem = await self.opened(
                    self.box("USER", **{verb: lambda peer, text, answer=answer: peer.say(answer)})
                )
                assert problem is not None
                self.assertEqual((problem.stage, problem.refused), (Stage.LOGIN, refused), answer)

    async def test_not_wanted(self) -> None:
        """A greeting that refuses, STLS that is not there, and handshakes that are none, are told as what they are."""
        box = self.box()
        box.greeting = "-ERR too many"
        problem = await self.opened(box)
        assert problem is not None
        self.assertEqual((problem.stage, problem.reason), (Stage.CONNECT, "it says: too many"))
        problem = await self.opened(self.box(), tls=TLSMode.STARTTLS)
        assert problem is not None
        self.assertEqual(problem.stage, Stage.TLS)
        self.assertIn("it does not start TLS, which is required", problem.reason)
        broken = {"STLS": lambda peer, text: (peer.say("+OK"), peer.transport.loseConnection())}
        for tls, mischief in ((TLSMode.STARTTLS, broken), (TLSMode.IMPLICIT, {})):
            box = self.box(**mischief)
            problem = await self.opened(box, tls=tls)
            assert problem is not None
            self.assertEqual(problem.stage, Stage.TLS)
            self.assertIn("TLS failed", problem.reason)
            self.assertEqual(box.count("PASS"), 0)
