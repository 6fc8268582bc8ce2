"""Asking the running server: the command line's end of the control socket, see :mod:`hermes.services.control`."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

from hermes.cli.output import Refused
from hermes.config.places import control_socket
from hermes.config.schema import Settings

#: Longer than any command takes on a server that works.
TIMEOUT_SECONDS = 60.0

#: The answer about a full house of sessions is some megabytes; more than this is no answer.
MAX_ANSWER_OCTETS = 64 * 1024**2


class NotRunning(Refused):
    """No server answers at the control socket."""


def ask(
    settings: Settings,
    command: str,
    arguments: Mapping[str, object] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Any:
    """Have the server carry out a command and return its result; raise :class:`Refused` when it is down or refuses."""
    path = control_socket(settings)
    question = json.dumps({"command": command, "arguments": dict(arguments or {})}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_seconds)
        _connect(connection, path, settings.file)
        try:
            connection.sendall(question)
            line = _line(connection)
        except TimeoutError:
            raise Refused(f"The server did not answer within {timeout_seconds:.0f} s; its log may say why.") from None
        except OSError as error:
            raise Refused(f"The server broke off the conversation: {error.strerror or error}") from None
    try:
        answer = json.loads(line)
        if answer["ok"]:
            return answer["result"]
        text = str(answer["error"])
    except (ValueError, KeyError, TypeError):
        raise Refused(f"What answered at {path} is not a Hermes server.") from None
    raise Refused(text)


def _connect(connection: socket.socket, path: str, file: str) -> None:
    try:
        connection.connect(path)
    except PermissionError:
        raise Refused(f"You may not use {path}: run this as the user that the server runs as.") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(f"The server is not running; start it with: hermes run -c {file}") from None
    except OSError as error:
        raise Refused(f"The server cannot be reached at {path}: {error.strerror or error}") from None


def _line(connection: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n") and len(received) < MAX_ANSWER_OCTETS:
        chunk = connection.recv(256 * 1024)
        if not chunk:
            break
        received += chunk
    return bytes(received)
