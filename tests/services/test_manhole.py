"""The shell into the running server: who enters, and the names in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.conch.error import ValidPublicKey
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey, UsernamePassword
from twisted.cred.error import UnauthorizedLogin, UnhandledCredentials
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.interfaces import IControl
from hermes.services.manhole import make_factory, namespace


@implementer(IControl)
class Control:
    """A server with one session and an empty queue."""

    async def call(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """Answer."""
        answers: dict[str, Any] = {
            "sessions": [{"peer": "192.0.2.1", "state": "idle"}, {"peer": "2001:db8::1", "state": "data"}],
            "queue": [],
            "track": [f"looked for {arguments.get('query')}", "second line"],
            "config": {"smtp.listen": "*:25"},
            "status": {"connections": 2},
        }
        return answers[command]


class NamespaceTests(SynchronousTestCase):
    """What is useful at two in the morning."""

    def shown(self, name: str, *arguments: str) -> str:
        """What the shell prints."""
        return repr(self.successResultOf(namespace(Control())[name](*arguments)))

    def test_sessions(self) -> None:
        """A table with a head and aligned columns."""
        self.assertEqual(
            self.shown("sessions").splitlines(),
            ["peer         state", "192.0.2.1    idle ", "2001:db8::1  data "],
        )

    def test_nothing(self) -> None:
        """An empty table says so."""
        self.assertEqual(self.shown("queue"), "(none)")

    def test_track(self) -> None:
        """The question reaches the server, the answer is lines."""
        self.assertEqual(self.shown("track", "joe@example.org"), "looked for joe@example.org\nsecond line")

    def test_pairs(self) -> None:
        """Settings and counters are pairs."""
        self.assertEqual(self.shown("config"), "smtp.listen = *:25")
        self.assertEqual(self.shown("status"), "connections = 2")

    def test_help(self) -> None:
        """Every name is explained."""
        names = namespace(Control())
        text = repr(names["help"]())
        for name in names:
            self.assertIn(name, text)


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
