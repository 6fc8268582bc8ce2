"""
The manhole: a Python shell into the running server, over SSH.

It can do anything that the server can, so it listens on loopback or a UNIX socket only, knows public keys only, and is off
unless configured. The names in it are those that are useful at two in the morning.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.conch.checkers import IAuthorizedKeysDB, SSHPublicKeyChecker, readAuthorizedKeyFile
from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.manhole import Manhole, ManholeInterpreter
from twisted.conch.manhole_ssh import ConchFactory, TerminalRealm, TerminalSession
from twisted.conch.ssh.keys import Key
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from hermes.interfaces import IControl


class Text(str):
    """Text that the shell shows as it is, without quotes and escapes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Help(Text):
    """Text that is shown when it is named and when it is called: people type ``help`` as well as ``help()``."""

    __slots__ = ()

    def __call__(self) -> Self:
        """The text."""
        return self


@implementer(IAuthorizedKeysDB)
class AuthorizedKeys:
    """A file as OpenSSH writes it, read anew at every login, valid for every user name."""

    _log = Logger()

    def __init__(self, path: str) -> None:
        self._path = path

    def getAuthorizedKeys(self, username: bytes) -> Iterator[Key]:  # noqa: N802 - Twisted calls it
        """Return the keys that may enter."""
        try:
            with open(self._path, "rb") as file:
                return iter(list(readAuthorizedKeyFile(file)))
        except OSError as error:
            self._log.warn("The manhole lets nobody in: {path}: {error}", path=self._path, error=error.strerror)
            return iter(())


class Answer(Deferred[Text]):
    """What one of our own names was asked and will know later; the shell shows it when it has come."""


class Interpreter(ManholeInterpreter):
    """Shows our answers as they are; of other Deferreds it says, like any manhole, which number they have."""

    @override
    def displayhook(self, obj: object) -> None:
        if not isinstance(obj, Answer) or obj.called:
            super().displayhook(obj)
            return
        self.locals["_"] = obj
        _ = obj.addCallbacks(self._show, self._show_failure)

    def _show(self, text: Text) -> Text:
        self.write(text, True)
        return text

    def _show_failure(self, failure: Failure) -> None:
        # It ends here: whoever asked has been told, and the server's log is not the place for it.
        self.write(failure.getErrorMessage(), True)


class Shell(Manhole):
    """The manhole with our interpreter."""

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        self.interpreter = Interpreter(self, self.namespace)


class ShellSession(TerminalSession):
    """A terminal whose input may end before its output: what was typed is still answered."""

    def eofReceived(self) -> None:  # noqa: N802 - Twisted calls it
        """Wait for the shell to end, or for the client to go."""


def make_factory(control: IControl, authorized_keys: str, host_key: str) -> ConchFactory:
    """Make the SSH server; the host key is written when it is missing."""
    names = namespace(control)

    def terminal() -> ServerProtocol:
        return ServerProtocol(Shell, dict(names))

    realm: Any = TerminalRealm()
    realm.sessionFactory = ShellSession
    realm.chainedProtocolFactory = terminal
    factory: Any = ConchFactory(Portal(realm, [SSHPublicKeyChecker(AuthorizedKeys(authorized_keys))]))
    key = _host_key(host_key)
    factory.publicKeys = {key.sshType(): key.public()}
    factory.privateKeys = {key.sshType(): key}
    factory.noisy = False
    made: ConchFactory = factory
    return made


def namespace(control: IControl) -> dict[str, Any]:
    """What the shell knows by name."""

    def ask(command: str, show: Callable[[Any], str], **arguments: Any) -> Text | Deferred[Text]:
        async def answer() -> Text:
            return Text(show(await control.call(command, arguments)))

        waiting = Deferred.fromCoroutine(answer())
        # What is known at once is shown as it is: the shell would say that it is a Deferred.
        at_once = getattr(waiting, "result", None)
        if isinstance(at_once, Text):
            return at_once
        later = Answer()
        _ = waiting.chainDeferred(later)
        return later

    def sessions() -> Text | Deferred[Text]:
        """Who is connected, and what they are doing."""
        return ask("sessions", _table)

    def queue() -> Text | Deferred[Text]:
        """What waits to be delivered, and why."""
        return ask("queue", _table)

    def track(query: str) -> Text | Deferred[Text]:
        """Where a message is: by queue id, address or Message-ID."""
        return ask("track", "\n".join, query=query)

    def blocks() -> Text | Deferred[Text]:
        """Who may not connect for a while, and why; and who has been guessing passwords."""
        return ask("block.list", lambda lists: "\n\n".join(f"{name}\n{_table(rows)}" for name, rows in lists.items()))

    def config(section: str = "") -> Text | Deferred[Text]:
        """What is in force, without secrets; of one section, if it is named."""
        return ask("config", lambda values: _pairs({key: values[key] for key in values if key.startswith(section)}))

    def status() -> Text | Deferred[Text]:
        """Counters of the whole server."""
        return ask("status", _pairs)

    named: dict[str, Callable[..., Any]] = {
        "sessions": sessions,
        "queue": queue,
        "track": track,
        "blocks": blocks,
        "config": config,
        "status": status,
    }

    lines = [f"{_usage(function):<16} {(function.__doc__ or '').strip()}" for function in named.values()]
    lines += [
        "help()           Show this list.",
        "control          the server itself: await control.call(command, arguments)",
    ]
    return {**named, "help": Help("\n".join(lines)), "control": control}


def _usage(function: Callable[..., Any]) -> str:
    return f"{function.__name__}({', '.join(inspect.signature(function).parameters)})"


def _table(rows: list[Mapping[str, Any]]) -> str:
    if not rows:
        return "(none)"
    columns = list(rows[0])
    lines = [columns] + [["" if row.get(column) is None else str(row[column]) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _pairs(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{key} = {value}" for key, value in values.items())


def _host_key(path: str) -> Key:
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
    key: Key = Key.fromFile(path)
    return key
