"""Directory services that come and go while the server runs."""

from __future__ import annotations

from hermes.core.account import Local, Unknown
from hermes.directory.ldap.source import LDAPSource
from hermes.interfaces import UnavailableError
from tests.support.ports import free_port
from tests.support.server import ServerTestCase

#: Nobody listens there, and everything that would have to be asked is put off.
_SECTION = "[ldap:acme]\nservers = ldap://127.0.0.1:{port}\nstarttls = no\nbase = o=acme\ntimeout = 1s\nremember = {remember}\n"


class ReloadTests(ServerTestCase):
    """A server with the account anna in its file."""

    async def test_come_and_go(self) -> None:
        """A section is asked from the reload on, kept while it stays as it is, and stopped when it has gone or changed."""
        server = await self.start()
        stopped: list[LDAPSource] = []
        stop = LDAPSource.stop

        async def noted(source: LDAPSource) -> None:
            stopped.append(source)
            await stop(source)

        self.patch(LDAPSource, "stop", noted)

        async def unknown() -> object:
            try:
                return await server._circle.directory.resolve("nobody@example.org")
            except UnavailableError:
                return None

        self.assertIsInstance(await unknown(), Unknown)
        port = free_port()
        self.rewrite(_SECTION.format(port=port, remember="60s"))
        await server.reload()
        self.assertIsNone(await unknown())
        self.assertIsInstance(await server._circle.directory.resolve("anna@example.org"), Local)
        await server.reload()
        self.assertEqual(len(stopped), 0)
        self.rewrite(_SECTION.format(port=port, remember="30s"))
        await server.reload()
        self.assertEqual(len(stopped), 1)
        self.assertIsNone(await unknown())
        self.rewrite("")
        await server.reload()
        self.assertEqual(len(stopped), 2)
        self.assertIsInstance(await unknown(), Unknown)

    async def test_cannot_be_used(self) -> None:
        """A section that cannot be used changes nothing."""
        server = await self.start()
        self.rewrite(_SECTION.format(port=free_port(), remember="60s") + "authority = nothing.pem\n")
        try:
            await server.reload()
        except ValueError as error:
            self.assertIn("[ldap:acme] authority", str(error))
        else:
            self.fail("it was taken")
        self.assertIsInstance(await server._circle.directory.resolve("nobody@example.org"), Unknown)

    def test_start(self) -> None:
        """Nor does a server start with one."""
        text = self.cannot_be_made(_SECTION.format(port=1, remember="60s") + "authority = nothing.pem\n")
        self.assertIn("[ldap:acme] authority", text)
