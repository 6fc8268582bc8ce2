"""What can be asked of a running server about transcripts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hermes.core.units import format_time
from hermes.services.transcripts import Transcripts

_Arguments = Mapping[str, Any]

#: By what sessions can be asked for.
KINDS = ("ip", "account", "service")


class TranscriptOrders:
    """The orders, and the commands by which they are known."""

    def __init__(self, transcripts: Transcripts) -> None:
        self._transcripts = transcripts

    def commands(self) -> dict[str, Callable[[_Arguments], Awaitable[Any]]]:
        """The orders by name."""
        return {"transcript.on": self._on, "transcript.off": self._off, "transcript.list": self._list}

    async def _on(self, arguments: _Arguments) -> str:
        kind, text = _meant(arguments)
        if not kind:
            raise ValueError("say whose sessions: by ip, account or service")
        seconds = arguments.get("seconds")
        if not isinstance(seconds, int):
            raise ValueError("seconds is missing: for how long?")
        self._transcripts.ask_for(kind, text, seconds)
        return f"Sessions of {kind} {text} that begin within {format_time(seconds)} are written down."

    async def _off(self, arguments: _Arguments) -> str:
        kind, text = _meant(arguments)
        count = self._transcripts.withdraw(kind, text)
        if kind and not count:
            raise LookupError(f"nobody has asked for {kind} {text}; hermes transcript list shows what is asked for")
        return (
            f"{count} order{'' if count == 1 else 's'} ended; sessions that are being written down go on to their end."
        )

    async def _list(self, arguments: _Arguments) -> list[dict[str, object]]:
        return [
            {"kind": each.kind, "which": each.text, "seconds_left": int(self._transcripts.left(each))}
            for each in self._transcripts.demands()
        ]


def _meant(arguments: _Arguments) -> tuple[str, str]:
    given = [(kind, str(arguments[kind])) for kind in KINDS if arguments.get(kind) is not None]
    if len(given) > 1:
        raise ValueError("say either ip, account or service, not several")
    return given[0] if given else ("", "")
