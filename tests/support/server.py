"""A whole server inside a test: real sockets on loopback, real stores in a directory of its own, on the real reactor."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from twisted.internet import reactor, unix
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from hermes.app.server import Server, StartError
from hermes.config.loader import load
from hermes.config.places import accounts_file
from hermes.core.account import Account
from hermes.core.event import Event, Kind
from hermes.directory.passwords import hash_password
from hermes.directory.sources.file import FileSource
from hermes.services.mail_log import MailLog
from tests.support.configuration import MINIMAL, write_config

USER, PASSWORD = "anna", "correct horse"

#: As cheap as can be: what is tested here is not how hard a password is to guess.
_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


class ServerTestCase(TestCase):
    """A test that runs a server; whatever it has started is stopped at the end."""

    timeout = 20
    path = ""
    _directory = ""

    def setUp(self) -> None:
        """Keep Twisted from comparing the path of a UNIX socket, which it has in octets, with text too."""
        self.patch(unix, "_inFilesystemNamespace", lambda path: path[:1] != b"\0")

    def write(self, more: str = "", *, accounts: bool = True) -> str:
        """Write a configuration, and the accounts; the path of the former."""
        path = write_config(self, MINIMAL + more)
        if accounts:
            settings = load(path)
            os.makedirs(settings.hermes.data)
            account = Account(USER, ("anna@example.org",))
            FileSource(accounts_file(settings)).add(account, hash_password(PASSWORD, _HASHER))
        self.path = path
        return path

    def directory(self) -> str:
        """A directory whose path is short, as UNIX sockets want; always the same one."""
        if not self._directory:
            self._directory = tempfile.mkdtemp(prefix="hermes-")
            self.addCleanup(shutil.rmtree, self._directory)
        return self._directory

    def rewrite(self, more: str) -> None:
        """Change the configuration."""
        Path(self.path).write_text(MINIMAL + more)

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(self.path).parent / "data"

    def make(self, more: str = "", *, accounts: bool = True) -> Server:
        """A server that has not been started."""
        self.failures: list[Failure] = []
        path = self.write(more, accounts=accounts)
        return Server(path, load(path), reactor, self.failures.append)

    async def start(self, more: str = "") -> Server:
        """A server that runs."""
        server = self.make(more)
        self.addCleanup(server.service.stopService)
        await self.begin(server)
        self.assertEqual([failure.getErrorMessage() for failure in self.failures], [])
        return server

    async def begin(self, server: Server) -> None:
        """Start, and wait until that has come to an end."""
        server.service.startService()
        assert server.service._starting is not None
        await server.service._starting

    def cannot_be_made(self, more: str) -> str:
        """Why a server cannot even be made; then nothing of it is left."""
        path = self.write(more)
        # What earlier tests have left for the garbage collector goes now, and not between the two counts.
        gc.collect()
        before = descriptors()
        error = self.assertRaises(StartError, Server, path, load(path), reactor, self.fail)
        self.assertEqual(descriptors(), before)
        self.assertFalse((self.data / "control.sock").exists())
        text = str(error)
        self.assertNotIn("\n", text)
        return text

    def events(self) -> Events:
        """What happens to messages from now on."""
        return Events(self)


class Events:
    """Collects events where the mail log would write them, and lets a test wait for them."""

    def __init__(self, case: ServerTestCase) -> None:
        self.seen: list[Event] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []
        case.patch(MailLog, "write", lambda log, event: self._saw(event))

    async def until(self, kind: Kind, count: int = 1) -> list[Event]:
        """The events of a kind, once there are so many."""

        def there() -> bool:
            return len([event for event in self.seen if event.kind is kind]) >= count

        if not there():
            done: Deferred[None] = Deferred()
            self._waiting.append((there, done))
            await done
        return [event for event in self.seen if event.kind is kind]

    def _saw(self, event: Event) -> None:
        self.seen.append(event)
        for each in list(self._waiting):
            there, done = each
            if there():
                self._waiting.remove(each)
                done.callback(None)


class Talk:
    """A client that says what it is told, line by line, in a thread."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.settimeout(10)
        self._socket.connect(address)
        self._lines = self._socket.makefile("rb")
        self.greeting = self.line()

    def line(self) -> str:
        """The next line; empty at the end."""
        return self._lines.readline().decode().rstrip("\r\n")

    def say(self, text: str) -> str:
        """Say a line, and return the first line of the answer."""
        self._socket.sendall(text.encode() + b"\r\n")
        return self.line()

    def close(self) -> None:
        """Go, without a word."""
        with contextlib.suppress(OSError):
            self._lines.close()
            self._socket.close()


def greeting(address: tuple[str, int] | str) -> str:
    """The first line that a server says."""
    talk = Talk(address)
    talk.close()
    return talk.greeting


def answers(address: Any) -> bool:
    """True when somebody listens there."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as client:
        return client.connect_ex(address) == 0
