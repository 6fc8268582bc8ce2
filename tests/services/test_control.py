"""The control socket: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.interfaces import IControl
from hermes.services.control import IDLE_SECONDS, MAX_LINE_OCTETS, ControlFactory


@implementer(IControl)
class Control:
    """Answers some commands."""

    def __init__(self) -> None:
        self.waiting: Deferred[None] = Deferred()
        self.done = False

    async def call(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """Answer, refuse, or fail."""
        if command == "echo":
            return dict(arguments)
        if command == "wait":
            await self.waiting
            self.done = True
            return None
        if command == "broken":
            raise RuntimeError("a fault of ours")
        if command == "full":
            raise OSError(28, "No space left on device", "data/pauses.json")
        if command == "strange":
            raise ValueError("that is not an id")
        raise LookupError(f"{command} is not a command")


class ControlTests(SynchronousTestCase):
    """One connection."""

    def setUp(self) -> None:
        """Connect."""
        self.clock = Clock()
        self.control = Control()
        self.transport = StringTransport()
        self.session = ControlFactory(self.control, self.clock).buildProtocol(None)
        self.session.makeConnection(self.transport)

    def ask(self, line: bytes) -> list[dict[str, Any]]:
        """Send octets, and return all answers."""
        self.transport.clear()
        self.session.dataReceived(line)
        return [json.loads(answer) for answer in self.transport.value().splitlines()]

    def test_result(self) -> None:
        """A command's result comes back."""
        self.assertEqual(
            self.ask(b'{"command": "echo", "arguments": {"id": 1}}\n'), [{"ok": True, "result": {"id": 1}}]
        )

    def test_several_and_cut(self) -> None:
        """Commands may come together, and in pieces."""
        self.assertEqual(
            self.ask(b'{"command": "echo"}\n{"command": "echo"}\n{"comm'), [{"ok": True, "result": {}}] * 2
        )
        self.assertEqual(self.ask(b'and": "echo"}\n'), [{"ok": True, "result": {}}])

    def test_refused(self) -> None:
        """An error's text is for the administrator."""
        self.assertEqual(self.ask(b'{"command": "x"}\n'), [{"ok": False, "error": "x is not a command"}])
        self.assertEqual(self.ask(b'{"command": "strange"}\n'), [{"ok": False, "error": "that is not an id"}])

    def test_file(self) -> None:
        """What the system says of a file is for the administrator, too, and no fault of ours."""
        self.assertEqual(
            self.ask(b'{"command": "full"}\n'),
            [{"ok": False, "error": "data/pauses.json: No space left on device"}],
        )

    def test_fault(self) -> None:
        """A fault of ours is logged with its traceback, and the answer does not hold one."""
        (answer,) = self.ask(b'{"command": "broken"}\n')
        self.assertEqual((answer["ok"], "log" in answer["error"]), (False, True))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_not_a_command(self) -> None:
        """Whatever is not a JSON object with a command is answered so, and the connection goes on."""
        deep = b"[" * (MAX_LINE_OCTETS - 1) + b"\n"
        for line in (
            deep,
            b"\n",
            b"hello\n",
            b"[]\n",
            b"3\n",
            b"{}\n",
            b"\xff\n",
            b'{"command": "x", "arguments": 3}\n',
        ):
            (answer,) = self.ask(line)
            self.assertFalse(answer["ok"], line)
        self.assertTrue(self.ask(b'{"command": "echo"}\n')[0]["ok"])

    def test_line_limit(self) -> None:
        """A line as long as the limit is read, one octet more is refused without being kept."""

        def line(octets: int) -> bytes:
            frame = b'{"command": "echo", "arguments": {"x": "%s"}}\n'
            return frame % (b"x" * (octets - len(frame) + 2))

        self.assertEqual(len(line(100)), 100)
        for octets, ok in ((MAX_LINE_OCTETS - 1, True), (MAX_LINE_OCTETS, True), (MAX_LINE_OCTETS + 1, False)):
            (answer,) = self.ask(line(octets))
            self.assertEqual(answer["ok"], ok, octets)

    def test_idle(self) -> None:
        """Nobody sits on the socket for ever."""
        self.clock.advance(IDLE_SECONDS)
        self.assertTrue(self.transport.disconnecting)

    def test_gone(self) -> None:
        """A connection that is lost leaves no timer behind."""
        self.session.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gone_in_the_middle_of_a_command(self) -> None:
        """Whoever gives an order and leaves does not stop it half-way, and that is no fault."""
        self.assertEqual(self.ask(b'{"command": "wait"}\n'), [])
        self.session.connectionLost()
        self.control.waiting.callback(None)
        self.assertTrue(self.control.done)
