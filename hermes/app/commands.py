"""What can be asked of a running server, by the command line over the control socket and by hand in the manhole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import attrs
from zope.interface import implementer

from hermes.app.blocks import Blocking, Blocks
from hermes.app.orders import order_of
from hermes.config.catalog import sections_of, value_of
from hermes.config.schema import Settings
from hermes.config.values import format_value
from hermes.core.event import Event
from hermes.core.event_text import as_text
from hermes.core.identifiers import is_queue_id
from hermes.core.message import QueuedMessage
from hermes.core.order import Action, Done, Order
from hermes.core.units import format_instant
from hermes.interfaces import IControl

#: A shell is no place for more; ``hermes queue list`` shows all.
MAX_ROWS = 200

#: Orders for one message at a time, each a command.
ONE_BY_ONE = (Action.HOLD, Action.RELEASE, Action.REMOVE, Action.RETURN)

_Arguments = Mapping[str, Any]

_SESSION_COLUMNS = (
    *("service", "peer", "via", "listener", "account", "tls", "state", "since", "commands"),
    *("hello", "queue_id"),
)


class LookUps(Protocol):
    """What is asked of the queue store, see :class:`hermes.interfaces.ISpool`."""

    async def select(self, queue_id: str | None, limit: int | None = None) -> list[QueuedMessage]:
        """One message or all."""

    async def track(self, query: str, limit: int) -> list[Event]:
        """What is known."""


class Orders(Protocol):
    """What is asked of the relay manager, see :class:`hermes.interfaces.IRelayManager`."""

    async def hold(self, queue_id: str) -> bool:
        """Stop a message."""

    async def release(self, queue_id: str) -> bool:
        """Let it go on."""

    async def retry(self, queue_id: str | None) -> int:
        """Try it, or all, now."""

    async def remove(self, queue_id: str) -> bool:
        """Forget it."""

    async def return_now(self, queue_id: str) -> bool:
        """Give it up."""

    async def carry_out(self, order: Order) -> Done:
        """Do something with all that a selection names."""


class Running(Blocking, Protocol):
    """What the commands need of the server."""

    settings: Settings
    now: Callable[[], float]

    @property
    def spool(self) -> LookUps:
        """The queue store."""

    @property
    def relay(self) -> Orders:
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
            **{f"queue.{action.value}": partial(self._one, action) for action in ONE_BY_ONE},
            "queue.order": self._order,
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

    async def _one(self, action: Action, arguments: _Arguments) -> str:
        relay, queue_id = self._server.relay, _queue_id(arguments)
        carry_out, text = {
            Action.HOLD: (relay.hold, "is held until it is released"),
            Action.RELEASE: (relay.release, "goes on now"),
            Action.REMOVE: (relay.remove, "has been removed; nobody was told"),
            Action.RETURN: (relay.return_now, "has been returned to its sender"),
        }[action]
        if not await carry_out(queue_id):
            raise LookupError(f"{queue_id} is not in the queue; 'hermes track {queue_id}' says what became of it")
        return f"{queue_id} {text}"

    async def _order(self, arguments: _Arguments) -> dict[str, int]:
        """Carry an order out on all that a selection names; how much that was."""
        order = order_of(arguments, self._server.settings)
        return attrs.asdict(await self._server.relay.carry_out(order))

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
