"""
The control socket: how the ``hermes`` command talks to a running server.

A UNIX stream socket in the data directory, mode 0600: whoever may open it may do what the server may. One JSON object a line,
``{"command": "queue.retry", "arguments": {"id": "..."}}``, is answered with ``{"ok": true, "result": ...}`` or
``{"ok": false, "error": "..."}``.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from hermes.interfaces import IControl
from hermes.net.shielded import shielded
from hermes.net.turns import Turns
from hermes.protocols.receive_buffer import Line, ReceiveBuffer

#: A command is a few words; a hundred ids fit well.
MAX_LINE_OCTETS = 16 * 1024

#: The command line asks and goes; nothing should sit on the socket.
IDLE_SECONDS = 60.0


class _Lines:
    """The engine: each line is an event; one that is too long is an empty one, which is no JSON."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()

    def receive(self, data: bytes) -> None:
        self._buffer.feed(data)

    def next_event(self) -> bytes | None:
        line = self._buffer.line(MAX_LINE_OCTETS)
        if line is Line.INCOMPLETE:
            return None
        return b"" if line is Line.TOO_LONG else line


class ControlSession(Protocol):
    """One connection of the command line."""

    _log = Logger()
    _turns: Turns
    #: Set by Twisted before connectionMade; every stream transport fits.
    transport: Any

    def __init__(self, control: IControl, clock: IReactorTime) -> None:
        self._control = control
        self._clock = clock

    @override
    def connectionMade(self) -> None:
        self._turns = Turns(
            self.transport,
            _Lines(),
            self._clock,
            respond=self._respond,
            failed=self._fault,
            timed_out=self._close,
            idle_seconds=IDLE_SECONDS,
        )
        self._turns.start()

    @override
    def dataReceived(self, data: bytes) -> None:
        self._turns.received(data)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._turns.stop()

    async def _respond(self, line: bytes) -> None:
        self._turns.write(json.dumps(await self._answer(line)).encode() + b"\n")

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            command, arguments = request["command"], request.get("arguments", {})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {"ok": False, "error": 'expected one line of JSON: {"command": "...", "arguments": {...}}'}
        try:
            # An order that has been given is carried out, even if whoever gave it does not wait for the answer.
            call = self._control.call(str(command), dict(arguments))
            return {"ok": True, "result": await shielded(call, f"carrying out {command}")}
        except CancelledError:
            raise
        except (LookupError, ValueError, TypeError) as error:
            return {"ok": False, "error": str(error.args[0] if error.args else error)}
        except OSError as error:
            if error.filename is None:
                return self._faulty(command)
            # A file of the site, and nothing of ours: who asked is who can mend it.
            return {"ok": False, "error": f"{error.filename}: {error.strerror}"}
        except Exception:
            return self._faulty(command)

    def _faulty(self, command: str) -> dict[str, Any]:
        self._log.failure("The command {command} failed", command=command)
        return {"ok": False, "error": "the server met a fault while doing this; its log says which"}

    def _fault(self, failure: Failure) -> None:
        self._log.failure("The control connection failed", failure)
        self._close()

    def _close(self) -> None:
        self.transport.loseConnection()


class ControlFactory(ServerFactory):
    """Makes the sessions of the control socket."""

    noisy = False

    def __init__(self, control: IControl, clock: IReactorTime) -> None:
        self._control = control
        self._clock = clock

    @override
    def buildProtocol(self, addr: Any) -> ControlSession:
        session = ControlSession(self._control, self._clock)
        session.factory = self
        return session
