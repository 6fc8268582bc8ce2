"""A reload that is refused has changed nothing, and one that is taken is never half done."""

from __future__ import annotations

import errno
import gc
import socket
import threading
import weakref
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hermes.app import listening
from hermes.app.server import Server
from hermes.config.loader import load
from hermes.core.account import Unknown
from hermes.directory.ldap.source import LDAPSource
from hermes.directory.redirects import RedirectTable
from hermes.directory.sources import alias_files
from hermes.interfaces import UnavailableError
from hermes.spool.store import Spool
from tests.app.test_reload import ReloadTestCase
from tests.support.ports import free_port
from tests.support.server import answers, descriptors, greeting

_LDAP = "[ldap:acme]\nservers = ldap://127.0.0.1:{port}\nstarttls = no\nbase = o=acme\ntimeout = 1s\n"


class RefusedTests(ReloadTestCase):
    """Whatever a reload makes ready is nobody's before it is taken."""

    async def refused(self, more: str, words: str) -> None:
        """See that another configuration is refused with these words."""
        self.rewrite(more)
        with self.assertRaisesRegex(ValueError, words):
            await self.server.reload()

    async def test_nothing_is_replaced(self) -> None:
        """Resolver, lists of the DNS, books and directory services are those of before, whatever the new settings have."""
        book = "[phonebook]\nlisten = 127.0.0.1:{}\nbooks = {}\n"
        phonebook, nobody = free_port(), free_port()
        lists = "[dnsbl:one]\nzone = one.example\n"
        server = await self.running(lists + "[dns]\nnameservers = 127.0.0.1:1\n")
        (self.data / "people.csv").write_text("name,email\nAnn Smith,ann@example.com\n")
        await self.reload(
            self.listen + lists + "[dns]\nnameservers = 127.0.0.1:1\n" + book.format(phonebook, "people.csv")
        )
        stores = server._stores
        resolver, books = stores.resolvers.current, dict(server._books.files)
        record = stores.lists.of("one", "one.example")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            more = "[dns]\nnameservers = 127.0.0.1:2\n[dnsbl:two]\nzone = two.example\n"
            more += _LDAP.format(port=nobody) + f"[pop3]\nlisten = 127.0.0.1:{taken.getsockname()[1]}\n"
            for _ in range(2):
                await self.refused(self.listen + more, "cannot listen at")
        self.assertIs(stores.resolvers.current, resolver)
        self.assertIs(server._circle.resolver, resolver)
        self.assertEqual(server._books.files, books)
        self.assertEqual(set(books), {str(self.data / "people.csv")})
        self.assertIn("dnsbl_one", server.status())
        self.assertNotIn("dnsbl_two", server.status())
        self.assertIs(stores.lists.of("one", "one.example"), record)
        self.assertIsNone(stores.directory_book("acme"))
        await self.reload(self.listen + "[dns]\nnameservers = 127.0.0.1:2\n[dnsbl:two]\nzone = two.example\n")
        self.assertIsNot(stores.resolvers.current, resolver)
        self.assertIs(stores.resolvers.current, server._circle.resolver)
        self.assertNotIn("dnsbl_one", server.status())
        self.assertIn("dnsbl_two", server.status())
        self.assertEqual(server._books.files, {})

    async def test_nothing_is_left(self) -> None:
        """Nobody keeps what a refused reload has made, or what a reload has replaced: it is garbage."""
        all_of_it = (
            "[dnsbl:one]\nzone = one.example\n[greylist]\nenabled = yes\n[smarthost]\nhost = smtp.example.net\n"
            "[collector:box]\nhost = pop.example.net\nusername = a\npassword = b\naccount = anna\nenabled = no\n"
            "[schedule]\nenabled = yes\nclients = smarthost\nmonday = 08:00-18:00 open\n[dkim]\nsign = yes\n"
            f"[phonebook]\nlisten = 127.0.0.1:{free_port()}\naccounts = yes\n[finger]\nlisten = 127.0.0.1:{free_port()}\n"
        )
        server = await self.running()
        make, made = server._make_circle, []

        def noted(*given: Any) -> Any:
            circle = make(*given)
            made.append(weakref.ref(circle))
            return circle

        self.patch(server, "_make_circle", noted)
        threads = threading.active_count()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listen = f"{self.listen}lmtp = 127.0.0.1:{taken.getsockname()[1]}\n"
            for _ in range(2):
                await self.refused(listen + all_of_it, "cannot listen at")
        gc.collect()
        self.assertEqual([each() for each in made], [None, None])
        self.assertEqual(threading.active_count(), threads)
        await self.reload(self.listen + all_of_it)
        await self.reload(self.listen + all_of_it)
        gc.collect()
        self.assertEqual([each() for each in made], [None, None, None, server._circle])

    async def test_aliases(self) -> None:
        """Other files of aliases that cannot be used are refused with file and line; a thread has read them before they count."""
        readers: list[bool] = []
        read = alias_files._read

        def noted(files: alias_files.Files) -> RedirectTable:
            readers.append(threading.current_thread() is threading.main_thread())
            return read(files)

        server = await self.running()
        (self.data / "aliases").write_text("info == anna\n")
        directory = server._circle.directory
        self.assertIsInstance(await directory.resolve("sales@example.org"), Unknown)
        self.patch(alias_files, "_read", noted)
        file = self.data / "others"
        file.write_text("sales == anna\nmore ==\n")
        await self.refused(f"{self.listen}[directory]\naliases = others\n", f"{file}:2: ")
        self.assertNotIsInstance(await directory.resolve("info@example.org"), Unknown)
        file.write_text("sales == anna\n")
        await self.reload(f"{self.listen}[directory]\naliases = others\n")
        self.assertEqual(readers, [False, False])
        directory = server._circle.directory
        self.assertNotIsInstance(await directory.resolve("sales@example.org"), Unknown)
        self.assertIsInstance(await directory.resolve("info@example.org"), Unknown)
        # Those that are followed already are not read for a reload: an edit is in force by itself, or leaves what there was.
        await self.reload(f"{self.listen}[directory]\naliases = others\n")
        self.assertEqual(readers, [False, False])

    async def test_no_descriptor(self) -> None:
        """A place that is bound and cannot be accepted at: none of the new ones is open, and the old settings are in force."""
        self.directory()
        server = await self.running()
        place, more = free_port(), f"lmtp = unix:{self.directory()}/lmtp.sock\n"
        accept, seen = listening.accept, []

        def full(reactor: Any, opened: socket.socket, *rest: Any, **options: Any) -> Any:
            seen.append(opened)
            if len(seen) == 2:
                opened.close()
                raise OSError(errno.EMFILE, "Too many open files")
            return accept(reactor, opened, *rest, **options)

        circle, before = server._circle, descriptors()
        self.patch(listening, "accept", full)
        await self.refused(
            f"{self.listen}{more}[pop3]\nlisten = 127.0.0.1:{place}\n", "cannot listen at .*: Too many open files"
        )
        self.assertEqual(len(seen), 2)
        self.assertIs(server._circle, circle)
        self.assertEqual(server.status()["smtp_listens"], f"127.0.0.1:{self.port}")
        self.assertFalse(answers(f"{self.directory()}/lmtp.sock"))
        self.assertFalse(answers(("127.0.0.1", place)))
        self.assertLessEqual(descriptors(), before)
        # The next one finds nothing in its way.
        await self.reload(f"{self.listen}{more}[pop3]\nlisten = 127.0.0.1:{place}\n")
        self.assertTrue(answers(("127.0.0.1", place)))


class WholeTests(ReloadTestCase):
    """From the point of no return on all is done at once."""

    async def asked_directory(self, more: str = "") -> Server:
        """A server whose directory service has been asked, so that there are threads to be ended."""
        server = await self.running(_LDAP.format(port=free_port()) + more)
        with self.assertRaises(UnavailableError):
            await server._circle.directory.resolve("nobody@example.org")
        return server

    async def test_nobody_is_waited_for(self) -> None:
        """While a directory service that hangs is left, the doors follow the new settings already."""
        server = await self.asked_directory()
        leaving: Deferred[None] = Deferred()
        stop = LDAPSource.stop

        async def slowly(source: LDAPSource) -> None:
            await leaving
            await stop(source)

        self.patch(LDAPSource, "stop", slowly)
        other = free_port()
        self.rewrite(f"[smtp]\nlisten = 127.0.0.1:{self.port}, 127.0.0.1:{other}\n")
        self.name_in_use("mx.example.org")
        reloading = Deferred.fromCoroutine(server.reload())
        try:
            self.assertEqual((await deferToThread(greeting, self.place))[:19], "220 mx.example.org ")
            self.assertEqual((await deferToThread(greeting, ("127.0.0.1", other)))[:19], "220 mx.example.org ")
            with self.assertRaisesRegex(ValueError, "going on already"):
                await server.reload()
        finally:
            leaving.callback(None)
        self.assertEqual(await reloading, "The configuration is in force.")

    async def test_what_ends_fails(self) -> None:
        """A fault in what ends is logged and keeps nothing else from ending; the settings are in force."""
        server = await self.asked_directory()
        circle, left = server._circle, []
        end = circle.stop

        async def stop() -> None:
            left.append(circle)
            await end()

        async def fail(source: LDAPSource) -> None:
            await stop_source(source)
            raise RuntimeError("no end")

        stop_source = LDAPSource.stop
        self.patch(circle, "stop", stop)
        self.patch(LDAPSource, "stop", fail)
        await self.reload(self.listen)
        self.assertEqual(left, [circle])
        self.assertEqual([str(each.value) for each in self.flushLoggedErrors(RuntimeError)], ["no end"])
        self.assertTrue(server._reload.succeeded)

    async def test_adopted_meanwhile(self) -> None:
        """A shard that is adopted while a reload goes on goes by the settings that are in force then."""
        server = await self.running()
        opening: Deferred[None] = Deferred()
        open_spool = Spool.open

        async def slowly(spool: Spool) -> None:
            await opening
            await open_spool(spool)

        self.patch(Spool, "open", slowly)
        adopting = Deferred.fromCoroutine(server.adopt(1))
        await self.reload(self.listen)
        opening.callback(None)
        await adopting
        (adopted,) = server._queues.adopted
        self.assertIs(adopted.relay._dispatcher._router, server._circle.router)
        await self.reload(self.listen)
        self.assertIs(adopted.relay._dispatcher._router, server._circle.router)

    async def test_stops_meanwhile(self) -> None:
        """What was made ready before the stop is not taken after it: nothing is opened any more."""
        server = await self.running()
        place = free_port()
        self.rewrite(f"[smtp]\nlisten = 127.0.0.1:{place}\n")
        change = await server.prepare(load(self.path))
        stopped = server.service.stopService()
        with self.assertRaisesRegex(ValueError, "the server is stopping"):
            await server.change(change)
        await stopped
        self.assertFalse(answers(("127.0.0.1", place)))
