"""What the command line and the manhole ask of a running server."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hermes.app.commands import MAX_ROWS, Commands
from hermes.config.schema import AccessSettings, HermesSettings, Settings, SmarthostSettings
from hermes.core.envelope import Envelope, Origin
from hermes.core.event import Event, Kind
from hermes.core.identifiers import encode
from hermes.core.message import Content, QueuedMessage, QueuedRecipient, State
from hermes.interfaces import IControl

NOW = 1_800_000_000.0


def message(number: int, *recipients: str) -> QueuedMessage:
    """A message in the queue, half an hour old, to be tried again in five minutes."""
    queued = [
        QueuedRecipient(ordinal, address, None, None, "direct:example.net", 2, NOW + 300, State.QUEUED, "451 later")
        for ordinal, address in enumerate(recipients)
    ]
    origin = Origin("ESMTP", "192.0.2.1", "client.example.com", None, None)
    envelope = Envelope("anna@example.org", ())
    return QueuedMessage(encode(number), NOW - 1800, envelope, origin, "", Content(1, 1, 0), queued)


class Spool:
    """A queue of the test's making."""

    def __init__(self) -> None:
        self.messages: list[QueuedMessage] = []
        self.asked: list[tuple[str, int]] = []

    async def select(self, queue_id: str | None, limit: int | None = None) -> list[QueuedMessage]:
        """All, or so many."""
        assert queue_id is None
        return self.messages[:limit]

    async def track(self, query: str, limit: int) -> list[Event]:
        """One event."""
        self.asked.append((query, limit))
        return [Event(0.0, Kind.DELIVERED, encode(1), "bob@example.org")]


class Relay:
    """A relay manager that knows the ids 1 to 9."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, str | None]] = []

    async def _order(self, name: str, queue_id: str) -> bool:
        self.orders.append((name, queue_id))
        return queue_id in {encode(number) for number in range(1, 10)}

    async def hold(self, queue_id: str) -> bool:
        """Hold."""
        return await self._order("hold", queue_id)

    async def release(self, queue_id: str) -> bool:
        """Release."""
        return await self._order("release", queue_id)

    async def remove(self, queue_id: str) -> bool:
        """Remove."""
        return await self._order("remove", queue_id)

    async def return_now(self, queue_id: str) -> bool:
        """Return."""
        return await self._order("return", queue_id)

    async def retry(self, queue_id: str | None) -> int:
        """Retry one or all nine."""
        if queue_id is None:
            self.orders.append(("retry", None))
            return 9
        return int(await self._order("retry", queue_id))


class Running:
    """A server as far as the commands need one."""

    def __init__(self) -> None:
        self.settings = Settings(
            hermes=HermesSettings(hostname="mail.example.org"),
            smarthost=SmarthostSettings(username="office", password="not for you"),
        )
        self.now = lambda: NOW
        self.spool: Any = Spool()
        self.relay: Any = Relay()
        self.stopped = False

    def sessions(self) -> list[dict[str, object]]:
        """One by SMTP, one by POP3."""
        smtp = {"service": "smtp", "peer": "192.0.2.1", "hello": "client", "since": NOW, "queue_id": encode(1)}
        return [smtp, {"service": "pop3", "peer": "192.0.2.2", "tls": None}]

    def status(self) -> dict[str, object]:
        """Little."""
        return {"version": "1"}

    async def reload(self) -> str:
        """Refuse."""
        raise ValueError("the file is wrong")

    def stop(self) -> None:
        """Remember."""
        self.stopped = True


class CommandTests(SynchronousTestCase):
    """Each command by its name."""

    def setUp(self) -> None:
        """A server."""
        self.server = Running()
        self.commands = Commands(self.server)

    def call(self, command: str, **arguments: Any) -> Any:
        """The answer, which can be written as JSON."""
        answer = self.successResultOf(Deferred.fromCoroutine(self.commands.call(command, arguments)))
        json.dumps(answer)
        return answer

    def refused(self, kind: type[Exception], command: str, **arguments: Any) -> str:
        """What is said instead of an answer."""
        failure = self.failureResultOf(Deferred.fromCoroutine(self.commands.call(command, arguments)), kind)
        return str(failure.value.args[0])

    def test_interface(self) -> None:
        """They are what the control socket wants."""
        verifyObject(IControl, self.commands)

    def test_unknown(self) -> None:
        """What is no command is answered with those that are."""
        text = self.refused(LookupError, "queue.explode")
        self.assertIn("'queue.explode' is not a command; there are block.add,", text)

    def test_server(self) -> None:
        """The status is the server's; a reload that is refused says why; the stop is passed on."""
        self.assertEqual(self.call("status"), {"version": "1"})
        self.assertEqual(self.refused(ValueError, "reload"), "the file is wrong")
        self.assertFalse(self.server.stopped)
        self.assertEqual(self.call("stop"), "stopping")
        self.assertTrue(self.server.stopped)

    def test_sessions(self) -> None:
        """All sessions have the same columns, whatever they speak, and times that people and programs can read."""
        smtp, pop3 = self.call("sessions")
        self.assertEqual(list(smtp), list(pop3))
        self.assertEqual((smtp["hello"], smtp["queue_id"], pop3["hello"]), ("client", encode(1), None))
        self.assertEqual((smtp["since"], pop3["since"]), ("2027-01-15T08:00:00.000Z", None))

    def test_config(self) -> None:
        """What is in force is told, but for secrets."""
        answer = self.call("config")
        self.assertEqual(answer["hermes.hostname"], "mail.example.org")
        self.assertEqual(answer["smarthost.username"], "office")
        self.assertEqual((answer["queue.retry"], answer["smtp.max_size"]), ("5m, 10m, 20m, 40m, 1h, 2h, 4h", "50M"))
        self.assertEqual(answer["smarthost.password"], "(set)")
        self.assertNotIn("not for you", str(answer))
        self.server.settings = Settings(access={"foe": AccessSettings(action="refuse")})
        self.assertEqual(self.call("config")["smarthost.password"], "")
        self.assertEqual(self.call("config")["access:foe.action"], "refuse")

    def test_queue(self) -> None:
        """There is a row for each recipient that waits, with its age and what was said last."""
        self.server.spool.messages = [message(1, "bob@example.net", "eve@example.net")]
        first, second = self.call("queue")
        self.assertEqual(second["to"], "<eve@example.net>")
        self.assertEqual(
            first,
            {
                "id": encode(1),
                "age": "30m",
                "from": "<anna@example.org>",
                "to": "<bob@example.net>",
                "state": "queued",
                "attempts": 2,
                "next": "5m",
                "last": "451 later",
            },
        )

    def test_long_queue(self) -> None:
        """As many messages are shown as a shell has room for."""
        for count, shown in ((MAX_ROWS - 1, MAX_ROWS - 1), (MAX_ROWS, MAX_ROWS), (MAX_ROWS + 1, MAX_ROWS)):
            self.server.spool.messages = [message(number, "bob@example.net") for number in range(count)]
            self.assertEqual(len(self.call("queue")), shown)

    def test_track(self) -> None:
        """The trace comes as lines."""
        (line,) = self.call("track", query="bob@example.org")
        self.assertEqual(self.server.spool.asked, [("bob@example.org", MAX_ROWS)])
        self.assertEqual(line, f"1970-01-01T00:00:00.000Z delivered id={encode(1)} to=<bob@example.org>")

    def test_orders(self) -> None:
        """An order for a message is passed on, in any case of letters, and answered with what was done."""
        for name, text in (
            ("hold", "is held until it is released"),
            ("release", "goes on now"),
            ("remove", "has been removed; nobody was told"),
            ("return", "has been returned to its sender"),
        ):
            self.assertEqual(self.call(f"queue.{name}", id=encode(7).lower()), f"{encode(7)} {text}")
        self.assertEqual(
            self.server.relay.orders, [(name, encode(7)) for name in ("hold", "release", "remove", "return")]
        )

    def test_orders_for_nothing(self) -> None:
        """A message that is not there is an answer that says where to look."""
        for name in ("hold", "release", "remove", "return"):
            text = self.refused(LookupError, f"queue.{name}", id=encode(77))
            self.assertEqual(
                text, f"{encode(77)} is not in the queue; 'hermes track {encode(77)}' says what became of it"
            )

    def test_retry(self) -> None:
        """All messages, or one that waits, are tried now."""
        self.assertEqual(self.call("queue.retry"), "9 messages will be tried now")
        self.assertEqual(self.call("queue.retry", id=None), "9 messages will be tried now")
        self.assertEqual(self.call("queue.retry", id=encode(3)), "1 message will be tried now")
        text = self.refused(LookupError, "queue.retry", id=encode(77))
        self.assertEqual(text, f"{encode(77)} is not waiting in the queue")

    def test_no_id(self) -> None:
        """What cannot be a queue id is not even looked for."""
        for arguments in ({}, {"id": ""}, {"id": "06G7"}, {"id": 5}, {"id": encode(1) + "0"}):
            self.assertIn("is not a queue id", self.refused(ValueError, "queue.hold", **arguments))
        self.assertIn("is not a queue id", self.refused(ValueError, "queue.retry", id=""))
        self.assertEqual(self.server.relay.orders, [])
