"""What can be asked of a running server, by the command line over the control socket and by hand in the manhole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from zope.interface import implementer

from hermes.app.blocks import Blocking, Blocks
from hermes.config.catalog import sections_of, value_of
from hermes.config.schema import Settings
from hermes.config.values import format_value
from hermes.core.event import Event
from hermes.core.event_text import as_text
from hermes.core.identifiers import is_queue_id
from hermes.core.message import QueuedMessage
from hermes.core.units import format_instant
from hermes.interfaces import IControl, IRelayManager, ISpool

#: A shell is no place for more; ``hermes queue list`` shows all.
MAX_ROWS = 200

_Arguments = Mapping[str, Any]

_SESSION_COLUMNS = (
    *("service", "peer", "via", "listener", "account", "tls", "state", "since", "commands"),
    *("hello", "queue_id"),
)


class Running(Blocking, Protocol):
    """What the commands need of the server."""

    settings: Settings
    now: Callable[[], float]

    @property
    def spool(self) -> ISpool:
        """The queue store."""

    @property
    def relay(self) -> IRelayManager:
        """The relay manager."""

    def sessions(self) -> list[dict[str, object]]:
        """Who is connected."""

    def status(self) -> dict[str, object]:
        """Counters."""

    async def reload(self) -> str:
        """Take the configuration anew; raise ValueError when it cannot be used."""

    async def oauth_changed(self, name: str) -> None:
        """Somebody has logged in for an OAuth client, or out."""

    def stop(self) -> None:
        """Stop in order."""


@implementer(IControl)
class Commands:
    """The commands by name, with ``more`` that are made elsewhere."""

    def __init__(
        self, server: Running, more: Mapping[str, Callable[[_Arguments], Awaitable[Any]]] | None = None
    ) -> None:
        self._server = server
        self._commands: dict[str, Callable[[_Arguments], Awaitable[Any]]] = {
            "status": self._status,
            "sessions": self._sessions,
            "queue": self._queue,
            "track": self._track,
            "config": self._config,
            "queue.retry": self._retry,
            "queue.hold": self._hold,
            "queue.release": self._release,
            "queue.remove": self._remove,
            "queue.return": self._return,
            "oauth.changed": self._oauth_changed,
            "reload": self._reload,
            "stop": self._stop,
            **Blocks(server).commands,
            **(more or {}),
        }

    async def call(self, command: str, arguments: _Arguments) -> Any:
        """Carry out a command."""
        if command not in self._commands:
            raise LookupError(f"{command!r} is not a command; there are {', '.join(sorted(self._commands))}")
        return await self._commands[command](arguments)

    async def _status(self, arguments: _Arguments) -> dict[str, object]:
        return self._server.status()

    async def _sessions(self, arguments: _Arguments) -> list[dict[str, object]]:
        return [_session(session) for session in self._server.sessions()]

    async def _queue(self, arguments: _Arguments) -> list[dict[str, object]]:
        messages = await self._server.spool.select(None, MAX_ROWS)
        return [row for message in messages for row in _rows(message, self._server.now())]

    async def _track(self, arguments: _Arguments) -> list[str]:
        events: list[Event] = await self._server.spool.track(str(arguments.get("query", "")), MAX_ROWS)
        return [as_text(event) for event in events]

    async def _config(self, arguments: _Arguments) -> dict[str, object]:
        settings = self._server.settings
        return {
            setting.name: "(set)" if setting.kind == "secret" and value else format_value(setting.kind, value)
            for section in sections_of(settings)
            for setting in section.settings.values()
            for value in [value_of(settings, setting)]
        }

    async def _retry(self, arguments: _Arguments) -> str:
        queue_id = _queue_id(arguments) if arguments.get("id") is not None else None
        count = await self._server.relay.retry(queue_id)
        if queue_id is not None and not count:
            raise LookupError(f"{queue_id} is not waiting in the queue")
        return f"{count} message{'' if count == 1 else 's'} will be tried now"

    async def _hold(self, arguments: _Arguments) -> str:
        queue_id = _queue_id(arguments)
        _found(queue_id, await self._server.relay.hold(queue_id))
        return f"{queue_id} is held until it is released"

    async def _release(self, arguments: _Arguments) -> str:
        queue_id = _queue_id(arguments)
        _found(queue_id, await self._server.relay.release(queue_id))
        return f"{queue_id} goes on now"

    async def _remove(self, arguments: _Arguments) -> str:
        queue_id = _queue_id(arguments)
        _found(queue_id, await self._server.relay.remove(queue_id))
        return f"{queue_id} has been removed; nobody was told"

    async def _return(self, arguments: _Arguments) -> str:
        queue_id = _queue_id(arguments)
        _found(queue_id, await self._server.relay.return_now(queue_id))
        return f"{queue_id} has been returned to its sender"

    async def _oauth_changed(self, arguments: _Arguments) -> str:
        name = str(arguments.get("name", ""))
        if name not in self._server.settings.oauth_clients:
            raise LookupError(f"the server knows no [oauth_client:{name}] yet: reload its configuration")
        await self._server.oauth_changed(name)
        return "what has waited for the token is tried now"

    async def _reload(self, arguments: _Arguments) -> str:
        return await self._server.reload()

    async def _stop(self, arguments: _Arguments) -> str:
        self._server.stop()
        return "stopping"


def _queue_id(arguments: _Arguments) -> str:
    queue_id = str(arguments.get("id", "")).upper()
    if not is_queue_id(queue_id):
        raise ValueError(f"{queue_id!r} is not a queue id: 'hermes queue list' shows them")
    return queue_id


def _found(queue_id: str, found: bool) -> None:
    if not found:
        raise LookupError(f"{queue_id} is not in the queue; 'hermes track {queue_id}' says what became of it")


def _session(described: Mapping[str, Any]) -> dict[str, object]:
    """One row of a table: whatever protocol is spoken, all rows have the same columns."""
    row = {column: described.get(column) for column in _SESSION_COLUMNS}
    return row if row["since"] is None else row | {"since": format_instant(row["since"])}


def _rows(message: QueuedMessage, now: float) -> list[dict[str, object]]:
    return [
        {
            "id": message.queue_id,
            "age": f"{(now - message.accepted_at) / 60:.0f}m",
            "from": f"<{message.envelope.reverse_path}>",
            "to": f"<{recipient.address}>",
            "state": recipient.state.value,
            "attempts": recipient.attempts,
            "next": f"{max(0.0, recipient.next_attempt_at - now) / 60:.0f}m",
            "last": recipient.last_reason,
        }
        for recipient in message.recipients
    ]
