"""An SMTP server on 127.0.0.1 that does what a test tells it: the other side of every outgoing delivery."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from hermes.net.tls import ServerTLS

#: Replies that are none.
DROP = "DROP"  # close the connection
HANG = "HANG"  # say nothing


@attrs.define
class Delivered:
    """A message that came: the commands of its envelope, and its octets with dot-stuffing removed."""

    mail: str
    recipients: list[str]
    data: bytes


@attrs.define
class Script:
    """
    What the server says.

    ``replies`` maps a verb (``GREETING``, ``.`` for the end of a message, ``TLS EHLO`` for EHLO inside TLS) or a whole
    command line to the reply, which is text without the line end, DROP, HANG, or a list of those to be used one after the
    other, the last one for ever.
    """

    extensions: list[str] = attrs.field(factory=lambda: ["PIPELINING", "8BITMIME", "SIZE 10000000"])
    tls_extensions: list[str] | None = None
    replies: dict[str, str | list[str]] = attrs.field(factory=dict)
    certificate: tuple[str, str] | None = None
    implicit: bool = False
    break_tls: bool = False
    #: Says what is answered to a login by this mechanism and with this message; 334 stands for JSON that is acknowledged first.
    judge: Callable[[str, bytes], str] | None = None


class SMTPPeer(Factory):
    """The server: ``lines`` are all commands, ``messages`` what was delivered, ``connections`` how many there were."""

    noisy = False

    def __init__(self, script: Script | None = None, name: str = "peer.example.com") -> None:
        self.script = script or Script()
        self.name = name
        self.lines: list[str] = []
        self.messages: list[Delivered] = []
        self.connections = 0
        self.port = 0
        self.open: list[_Connection] = []
        self._gone: list[Deferred[None]] = []
        self._listening: Any = None
        self._arrivals: list[tuple[str, Deferred[None]]] = []

    def start(self, reactor: Any, port: int = 0, interface: str = "127.0.0.1") -> None:
        """Listen."""
        self._listening = reactor.listenTCP(port, self, interface=interface)
        self.port = self._listening.getHost().port

    async def stop(self) -> None:
        """Stop listening, cut what is open, and wait for its end."""
        await self._listening.stopListening()
        for connection in list(self.open):
            connection.cut()
        for gone in self._gone:
            await gone

    def buildProtocol(self, addr: Any) -> _Connection:
        """Somebody connects."""
        gone: Deferred[None] = Deferred()
        self._gone.append(gone)
        self.connections += 1
        return _Connection(self, gone)

    def seen(self, line: str) -> Deferred[None]:
        """Fires when a command that begins so has come; each command fires one."""
        arrival: Deferred[None] = Deferred()
        self._arrivals.append((line, arrival))
        return arrival

    def came(self, line: str) -> None:
        """A command has come."""
        self.lines.append(line)
        for wanted, arrival in list(self._arrivals):
            if line.startswith(wanted):
                self._arrivals.remove((wanted, arrival))
                arrival.callback(None)
                return

    def reply_to(self, *keys: str) -> str | None:
        """What the script has for the first of these that it knows."""
        for key in keys:
            reply = self.script.replies.get(key)
            if isinstance(reply, list):
                return reply.pop(0) if len(reply) > 1 else reply[0]
            if reply is not None:
                return reply
        return None

    @property
    def verbs(self) -> list[str]:
        """The verbs of all commands."""
        return [line.split(" ")[0].split(":")[0] for line in self.lines]


class _Connection(Protocol):
    transport: Any

    def __init__(self, peer: SMTPPeer, gone: Deferred[None]) -> None:
        self._peer = peer
        self._gone = gone
        self._buffer = b""
        self._data: bool = False
        self._binary = -1
        self._asking: list[bytes] = []
        self._login = ""
        self._verdict = ""
        self._mail = ""
        self._recipients: list[str] = []
        self._secure = False

    def cut(self) -> None:
        """End it at once."""
        self.transport.abortConnection()

    def say(self, text: str) -> None:
        """Say something that nobody asked for."""
        self.transport.write(text.encode() + b"\r\n")

    def connectionMade(self) -> None:
        """Greet, unless the script wants something else."""
        self._peer.open.append(self)
        if self._peer.script.implicit:
            self._start_tls()
        self._reply("GREETING", default=f"220 {self._peer.name} ESMTP")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        self._peer.open.remove(self)
        self._gone.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """Take commands, or the octets of a message."""
        self._buffer += data
        while self._buffer and self.transport.connected and not self.transport.disconnecting:
            if self._binary >= 0:
                if len(self._buffer) < self._binary:
                    return
                content, self._buffer = self._buffer[: self._binary], self._buffer[self._binary :]
                self._binary = -1
                self._delivered(content)
            elif self._data:
                if self._buffer.startswith(b".\r\n"):
                    content, end = b"", 3
                else:
                    found = self._buffer.find(b"\r\n.\r\n")
                    if found < 0:
                        return
                    content, end = self._buffer[: found + 2], found + 5
                self._data, self._buffer = False, self._buffer[end:]
                self._delivered((b"\r\n" + content).replace(b"\r\n..", b"\r\n.")[2:])
            else:
                line, separator, rest = self._buffer.partition(b"\r\n")
                if not separator:
                    return
                self._buffer = rest
                self._line(line.decode())

    def _delivered(self, content: bytes) -> None:
        reply = self._reply(".", default="250 2.0.0 queued")
        self._peer.came(".")
        if reply.startswith("250"):
            self._peer.messages.append(Delivered(self._mail, self._recipients, content))
        self._mail, self._recipients = "", []

    def _line(self, line: str) -> None:
        self._peer.came(line)
        if self._asking or self._login:
            self._answer(line)
            return
        verb = line.split(" ", maxsplit=1)[0].split(":", maxsplit=1)[0].upper()
        if verb in {"EHLO", "LHLO"}:
            extensions = self._peer.script.extensions
            if self._secure and self._peer.script.tls_extensions is not None:
                extensions = self._peer.script.tls_extensions
            lines = [f"{self._peer.name} hello", *extensions]
            default = "\r\n".join(f"250{' ' if one is lines[-1] else '-'}{one}" for one in lines)
            self._reply("TLS EHLO" if self._secure else "EHLO", "EHLO", default=default)
        elif verb == "AUTH":
            self._auth(line)
        else:
            defaults = {"DATA": "354 go ahead", "QUIT": "221 bye", "STARTTLS": "220 go ahead", "BDAT": ""}
            reply = self._reply(line, verb, default=defaults.get(verb, "250 ok"))
            self._after(verb, line, reply)

    def _after(self, verb: str, line: str, reply: str) -> None:
        if verb == "STARTTLS" and reply.startswith("220"):
            self._buffer = b""
            if self._peer.script.break_tls:
                self.transport.write(b"this is not TLS\r\n")
                self.transport.loseConnection()
            else:
                self._start_tls()
        elif verb == "MAIL":
            self._mail = line
        elif verb == "RCPT" and reply.startswith("2"):
            self._recipients.append(line)
        elif verb == "RSET":
            self._mail, self._recipients = "", []
        elif verb == "DATA" and reply.startswith("354"):
            self._data = True
        elif verb == "BDAT":
            self._binary = int(line.split(" ")[1])
        elif verb == "QUIT":
            self.transport.loseConnection()

    def _auth(self, line: str) -> None:
        words = line.split(" ")
        self._login = words[1]
        if self._peer.script.judge is not None:
            if len(words) > 2:
                self._judge(words[2])
            else:
                self.say("334 ")
            return
        if len(words) > 2:
            self._finish_login()
            return
        questions = {"LOGIN": [b"Username:", b"Password:"], "CRAM-MD5": [b"<1@peer.example.com>"]}
        self._asking = list(questions.get(self._login, []))
        if self._asking:
            self._ask()
        else:
            self._finish_login()

    def _ask(self) -> None:
        self.say("334 " + base64.b64encode(self._asking[0]).decode())

    def _judge(self, response: str) -> None:
        judge = self._peer.script.judge
        assert judge is not None
        if self._verdict:
            verdict, self._verdict, self._login = self._verdict, "", ""
            self.say(verdict)
            return
        verdict = judge(self._login, base64.b64decode(response, validate=True))
        if verdict.startswith("235"):
            self._login = ""
            self.say(verdict)
        else:
            # RFC 7628 3.2.2: the reason comes as a challenge, and the refusal after its acknowledgment.
            self._verdict = verdict
            self.say("334 " + base64.b64encode(b'{"status":"401","schemes":"bearer"}').decode())

    def _answer(self, line: str) -> None:
        if self._peer.script.judge is not None:
            self._judge(line)
            return
        self._asking.pop(0)
        if self._asking:
            self._ask()
        else:
            self._finish_login()

    def _finish_login(self) -> None:
        login, self._login = self._login, ""
        self._reply("AUTH " + login, "AUTH", default="235 2.7.0 welcome")

    def _start_tls(self) -> None:
        certificate = self._peer.script.certificate
        assert certificate is not None
        self.transport.startTLS(ServerTLS(*certificate).context_factory())
        self._secure = True

    def _reply(self, *keys: str, default: str) -> str:
        reply = self._peer.reply_to(*keys)
        reply = default if reply is None else reply
        if reply == DROP:
            self.transport.loseConnection()
        elif reply and reply != HANG:
            self.say(reply)
        return reply
