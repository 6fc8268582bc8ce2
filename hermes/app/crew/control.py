"""What can be asked of a server of several workers: the parent asks them, and makes one answer of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from hermes.app.commands import Commands
from hermes.app.crew.answers import blocks_of, merged, merged_status
from hermes.app.crew.crew import Crew
from hermes.app.crew.member import UnavailableError
from hermes.core.metric import Family, joined
from hermes.core.order import Done, Order

#: What the parent knows itself, or asks the workers for in a way of its own; everything else is asked of all of them.
_OWN = frozenset({"queue", "track", "config", "reload", "stop"})

#: What all workers do, each by its own clock, with one outcome: the answer of the first is that of all.
_SAME = frozenset({"block.add"})


class CrewCommands(Commands):
    """The commands of one server, carried out by all of its processes."""

    def __init__(self, server: Any, crew: Crew) -> None:
        # Blocks and the like are asked of the workers, who have them.
        super().__init__(server)
        self._parent = server
        self._crew = crew

    @override
    async def call(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """Carry out a command."""
        if command == "queue.order":
            # What one that is missing has would be left out, and nobody would know.
            self._crew.all_ready()
        elif command in _OWN or command.startswith("queue."):
            return await super().call(command, arguments)
        answers = await ask_all(self._crew, command, dict(arguments))
        if command == "status":
            described = [member.describe() for member in self._crew.members]
            connections = {number: answer["connections"] for number, answer in answers.items()}
            workers = [each | {"connections": connections.get(each["number"], 0)} for each in described]
            return merged_status(list(answers.values())) | self._server.status() | {"workers": workers}
        if command == "metrics":
            return _labelled(answers, self._parent.families())
        if command == "sessions":
            return [{"worker": number, **session} for number, rows in answers.items() for session in rows]
        if command == "block.list" and answers:
            return blocks_of(list(answers.values()))
        if command in _SAME:
            return next(iter(answers.values()), None)
        return merged(list(answers.values()))


async def ask_all(crew: Crew, command: str, arguments: dict[str, Any]) -> dict[int, Any]:
    """
    The answers of all workers that can be asked, by their numbers.

    Raises what one of them says when no other has an answer.
    """
    answers: dict[int, Any] = {}
    refusals: list[Exception] = []
    for member in crew.ready():
        try:
            answers[member.number] = await member.ask(command, arguments)
        except (LookupError, ValueError) as error:
            refusals.append(error)
    if not answers and refusals:
        raise refusals[0]
    return answers


def _labelled(answers: Mapping[int, list[dict[str, Any]]], own: list[Family]) -> list[dict[str, Any]]:
    """
    The figures of the parent, and those of all workers, each with its number.

    They are not added up: when one is replaced its figures begin anew, and whoever adds up sees that, if he sees them apart.
    """
    parts = [
        [Family.from_json(each).labelled("worker", str(number)) for each in families]
        for number, families in answers.items()
    ]
    return [each.as_json() for each in joined([own, *parts])]


class CrewOrders:
    """Orders about messages: whoever has the message carries them out."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    async def hold(self, queue_id: str) -> bool:
        """Stop a message."""
        return await self._by_somebody("queue.hold", queue_id)

    async def release(self, queue_id: str) -> bool:
        """Let it go on."""
        return await self._by_somebody("queue.release", queue_id)

    async def remove(self, queue_id: str) -> bool:
        """Forget it."""
        return await self._by_somebody("queue.remove", queue_id)

    async def return_now(self, queue_id: str) -> bool:
        """Give it up."""
        return await self._by_somebody("queue.return", queue_id)

    async def retry(self, queue_id: str | None) -> int:
        """Try it, or all, now."""
        if queue_id is not None:
            return int(await self._by_somebody("queue.retry", queue_id))
        answers = await ask_all(self._crew, "queue.retry", {})
        return sum(answers.values())

    async def carry_out(self, order: Order) -> Done:
        """Never asked for: the workers are handed such an order as it came in, see :class:`CrewCommands`."""
        raise LookupError(f"{order.action.value} is an order for the workers")

    async def _by_somebody(self, command: str, queue_id: str) -> bool:
        for member in self._crew.ready():
            try:
                await member.ask(command, {"id": queue_id})
            except LookupError:
                continue
            return True
        if missing := self._crew.missing():
            raise UnavailableError(f"worker {missing[0].number}, who may have {queue_id}, is {missing[0].state.value}")
        return False
