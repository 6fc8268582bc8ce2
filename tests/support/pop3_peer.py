"""A foreign POP3 server that does what a test wants, on a free port: it answers well, or as a :class:`Mischief` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory, Protocol

#: What a test may do at a command instead of answering: it gets the session and the whole line.
Mischief = Callable[["Peer", str], None]


class Peer(Protocol):
    """One session."""

    transport: Any

    def __init__(self, box: Box) -> None:
        self.box = box
        self.deleted: set[int] = set()
        self._buffer = b""

    def connectionMade(self) -> None:
        """Greet."""
        self.box.sessions.append(self)
        self.say(self.box.greeting)

    def say(self, *lines: str | bytes) -> None:
        """Send lines."""
        end = self.box.line_end
        self.transport.write(b"".join((one if isinstance(one, bytes) else one.encode()) + end for one in lines))

    def dataReceived(self, data: bytes) -> None:
        """Answer each command."""
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            text = line.decode("latin-1")
            self.box.commands.append(text)
            verb = text.split(" ", maxsplit=1)[0]
            mischief = self.box.mischief.get(text) or self.box.mischief.get(verb)
            if mischief is not None:
                mischief(self, text)
            else:
                self.answer(verb, text.partition(" ")[2])

    def answer(self, verb: str, argument: str) -> None:
        """As RFC 1939 wants it."""
        box = self.box
        match verb:
            case "CAPA" if box.capabilities is not None:
                self.say("+OK", *box.capabilities, ".")
            case "PASS" if argument != box.password:
                self.say("-ERR [AUTH] wrong")
            case "USER" | "PASS" | "NOOP":
                self.say("+OK")
            case "LIST":
                self.say("+OK", *(f"{n} {box.size(n)}" for n in self.numbers()), ".")
            case "UIDL" if box.uids is not None:
                self.say("+OK", *(f"{n} {box.uids[n - 1]}" for n in self.numbers()), ".")
            case "RETR":
                self.say("+OK", *box.stuffed(int(argument)), ".")
            case "DELE":
                self.deleted.add(int(argument))
                self.say("+OK")
            case "QUIT":
                self.box.remove(self.deleted)
                self.say("+OK")
                self.transport.loseConnection()
            case _:
                self.say("-ERR what?")

    def numbers(self) -> range:
        """The numbers of all messages."""
        return range(1, len(self.box.messages) + 1)

    def cut(self) -> None:
        """Drop the connection."""
        self.transport.abortConnection()


class Box(Factory):
    """The server's mailbox; ``uids`` is None for a server without UIDL, ``capabilities`` for one without CAPA."""

    noisy = False

    def __init__(self, *messages: bytes) -> None:
        self.messages = list(messages)
        self.uids: list[str] | None = [f"uid{number}" for number in range(1, len(messages) + 1)]
        self.sizes: dict[int, int] = {}
        self.password = "secret"
        self.greeting = "+OK ready"
        self.capabilities: tuple[str, ...] | None = ("UIDL", "USER", "TOP", "PIPELINING")
        self.line_end = b"\r\n"
        self.mischief: dict[str, Mischief] = {}
        self.commands: list[str] = []
        self.sessions: list[Peer] = []

    def buildProtocol(self, addr: Any) -> Peer:
        """Somebody comes."""
        return Peer(self)

    def size(self, number: int) -> int:
        """What LIST says."""
        message = self.messages[number - 1]
        return self.sizes.get(number, len(message) + message.count(b"\n"))

    def stuffed(self, number: int) -> list[bytes]:
        """The lines of a message, dots doubled."""
        lines = self.messages[number - 1].split(b"\n")[:-1]
        return [b"." + line if line.startswith(b".") else line for line in lines]

    def remove(self, numbers: set[int]) -> None:
        """Carry deletions out."""
        for number in sorted(numbers, reverse=True):
            del self.messages[number - 1]
            if self.uids is not None:
                del self.uids[number - 1]

    def count(self, verb: str) -> int:
        """How often a command came."""
        return sum(command.split(" ", maxsplit=1)[0] == verb for command in self.commands)
