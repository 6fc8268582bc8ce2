"""The shell into the running server: who enters, and the names in it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.conch.error import ValidPublicKey
from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey, UsernamePassword
from twisted.cred.error import UnauthorizedLogin, UnhandledCredentials
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.interfaces import IControl
from hermes.services.manhole import Shell, make_factory, namespace


@implementer(IControl)
class Control:
    """A server with two sessions and an empty queue."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "sessions": [{"peer": "192.0.2.1", "state": "idle"}, {"peer": "2001:db8::1", "state": "data"}],
            "queue": [],
            "track": ["looked for {query}", "second line"],
            "config": {"smtp.listen": "*:25", "pop3.listen": "*:110"},
            "status": {"connections": 2},
        }

    async def call(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """Answer."""
        answer = self.answers[command]
        if isinstance(answer, Deferred):
            return await answer
        return [line.format(**arguments) for line in answer] if command == "track" else answer


class NamespaceTests(SynchronousTestCase):
    """What is useful at two in the morning."""

    def shown(self, name: str, *arguments: str) -> str:
        """What the shell prints."""
        return repr(namespace(Control())[name](*arguments))

    def test_sessions(self) -> None:
        """A table with a head and aligned columns."""
        self.assertEqual(
            self.shown("sessions").splitlines(),
            ["peer         state", "192.0.2.1    idle ", "2001:db8::1  data "],
        )

    def test_uneven(self) -> None:
        """A row that lacks a column, or has nothing to say in it, spoils no table."""
        control = Control()
        control.answers["sessions"] = [{"peer": "192.0.2.1", "tls": None}, {"peer": "::1"}]
        self.assertEqual(
            repr(namespace(control)["sessions"]()).splitlines(), ["peer       tls", "192.0.2.1     ", "::1           "]
        )

    def test_later(self) -> None:
        """What has to be read from the disk first comes as a Deferred, which the shell shows when it fires."""
        control = Control()
        control.answers["track"] = Deferred()
        shown = namespace(control)["track"]("joe@example.org")
        self.assertNoResult(shown)
        control.answers["track"].callback(["line"])
        self.assertEqual(repr(self.successResultOf(shown)), "line")

    def test_refusal(self) -> None:
        """What the server cannot answer is a failure with its words."""
        control = Control()
        control.answers["queue"] = Deferred()
        control.answers["queue"].errback(LookupError("no store"))
        self.failureResultOf(namespace(control)["queue"](), LookupError)

    def test_nothing(self) -> None:
        """An empty table says so."""
        self.assertEqual(self.shown("queue"), "(none)")

    def test_track(self) -> None:
        """The question reaches the server, the answer is lines."""
        self.assertEqual(self.shown("track", "joe@example.org"), "looked for joe@example.org\nsecond line")

    def test_pairs(self) -> None:
        """Settings and counters are pairs."""
        self.assertEqual(self.shown("config"), "smtp.listen = *:25\npop3.listen = *:110")
        self.assertEqual(self.shown("config", "smtp"), "smtp.listen = *:25")
        self.assertEqual(self.shown("status"), "connections = 2")

    def test_help(self) -> None:
        """Every name is explained."""
        names = namespace(Control())
        text = repr(names["help"]())
        for name in names:
            self.assertIn(name, text)
        self.assertEqual(repr(names["help"]), text)


class ShellTests(SynchronousTestCase):
    """What stands on the screen."""

    def setUp(self) -> None:
        """A shell whose answers the test gives."""
        self.control = Control()
        self.answer: Deferred[Any] = Deferred()
        self.control.answers["track"] = self.answer
        self.control.answers["later"] = Deferred()
        self.screen = StringTransport()
        self.terminal = ServerProtocol(Shell, {**namespace(self.control), "later": self.control.answers["later"]})
        self.terminal.makeConnection(self.screen)

    def type(self, text: str) -> None:
        """Type a line, and forget what was on the screen before its answer."""
        self.terminal.dataReceived(text.encode())
        self.screen.clear()
        self.terminal.dataReceived(b"\r")

    def shown(self) -> list[str]:
        """The lines that have come since, without what moves the cursor; the last one is the prompt."""
        return re.sub(r"\x1b(\[[0-9;]*[A-Za-z]|E)", "", self.screen.value().decode()).split("\r\n")

    def test_answer(self) -> None:
        """An answer that takes its time stands there as it is, when it has come, and a new prompt below it."""
        self.type("track('joe@example.org')")
        self.assertEqual(self.shown(), ["", ">>> "])
        self.screen.clear()
        self.answer.callback(["first", "second"])
        self.assertEqual(self.shown(), ["first", "second", ">>> "])

    def test_failure(self) -> None:
        """So does what the server says when it cannot answer; nothing is left for the log."""
        self.type("track('joe@example.org')")
        self.screen.clear()
        self.answer.errback(LookupError("no such message"))
        self.assertEqual(self.shown(), ["no such message", ">>> "])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_at_once(self) -> None:
        """What is known stands there at once."""
        self.type("status()")
        self.assertEqual(self.shown(), ["", "connections = 2", ">>> "])

    def test_other_deferreds(self) -> None:
        """Somebody's own Deferreds have numbers, as in any manhole."""
        self.type("later")
        self.assertEqual(self.shown(), ["", "<Deferred #0>", ">>> "])

    def test_asked_before(self) -> None:
        """An answer that was kept is what it is: a Deferred with its result."""
        self.type("kept = track('joe@example.org')")
        self.answer.callback(["found"])
        self.type("kept")
        self.assertIn("current result: found", self.shown()[1])


class EntranceTests(SynchronousTestCase):
    """Public keys only."""

    def setUp(self) -> None:
        """A key that may enter."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.keys = self.directory / "authorized_keys"
        self.host_key = self.directory / "manhole" / "host_key"

    def new_key(self) -> Key:
        """Another key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Key(Ed25519PrivateKey.generate())

    def enter(self, key: Key) -> Any:
        """Log in with a signature by that key."""
        factory = make_factory(Control(), str(self.keys), str(self.host_key))
        signed = b"what the client signs"
        credentials = SSHPrivateKey(b"anybody", key.sshType(), key.public().blob(), signed, key.sign(signed))
        return factory.portal.login(credentials, None, IConchUser)

    def test_listed_key(self) -> None:
        """A key that is listed enters."""
        key = self.new_key()
        self.keys.write_bytes(b"# comment\n" + key.public().toString("openssh") + b"\n")
        interface, _, _ = self.successResultOf(self.enter(key))
        self.assertIs(interface, IConchUser)

    def test_other_key(self) -> None:
        """Another does not."""
        self.keys.write_bytes(self.new_key().public().toString("openssh"))
        self.failureResultOf(self.enter(self.new_key()), UnauthorizedLogin)

    def test_no_file(self) -> None:
        """Without the file nobody enters."""
        self.failureResultOf(self.enter(self.new_key()), UnauthorizedLogin)

    def test_removed_key(self) -> None:
        """A key that was taken out of the file does not enter any more; nothing is restarted."""
        key = self.new_key()
        self.keys.write_bytes(key.public().toString("openssh"))
        self.successResultOf(self.enter(key))
        self.keys.write_bytes(b"")
        self.failureResultOf(self.enter(key), UnauthorizedLogin)

    def test_a_key_without_signature(self) -> None:
        """To know a public key is not enough."""
        key = self.new_key()
        self.keys.write_bytes(key.public().toString("openssh"))
        factory = make_factory(Control(), str(self.keys), str(self.host_key))
        credentials = SSHPrivateKey(b"anybody", key.sshType(), key.public().blob(), None, None)
        self.failureResultOf(factory.portal.login(credentials, None, IConchUser), ValidPublicKey)

    def test_passwords(self) -> None:
        """There are none."""
        factory = make_factory(Control(), str(self.keys), str(self.host_key))
        self.failureResultOf(factory.portal.login(UsernamePassword(b"a", b"b"), None, IConchUser), UnhandledCredentials)

    def test_host_key(self) -> None:
        """The shell's own key is made once, for the owner alone."""
        first = make_factory(Control(), str(self.keys), str(self.host_key)).publicKeys
        again = make_factory(Control(), str(self.keys), str(self.host_key)).publicKeys
        self.assertEqual(first, again)
        self.assertEqual(stat.S_IMODE(os.stat(self.host_key).st_mode), 0o600)
