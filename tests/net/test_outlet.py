"""Octets keep their order, whichever way they go."""

from __future__ import annotations

from twisted.internet.main import CONNECTION_LOST
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from hermes.net.outlet import Outlet


class Socket(StringTransport):
    """A plain stream whose kernel takes so many octets, and then no more."""

    TLS = False

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.sent = b""

    def writeSomeData(self, data: bytes) -> int:
        """Take what there is room for."""
        taken = data[: self.room]
        self.room -= len(taken)
        self.sent += taken
        return len(taken)


class OutletTests(SynchronousTestCase):
    """One way out."""

    def test_at_once(self) -> None:
        """What the kernel takes needs no buffer."""
        transport = Socket(100)
        Outlet(transport).write(b"250 ok\r\n")
        self.assertEqual((transport.sent, transport.value()), (b"250 ok\r\n", b""))

    def test_what_is_left(self) -> None:
        """The rest, and all that comes after it, waits in the transport, though there may be room again."""
        transport = Socket(3)
        outlet = Outlet(transport)
        outlet.write(b"abcde")
        transport.room = 100
        outlet.write(b"fgh")
        self.assertEqual((transport.sent, transport.value()), (b"abc", b"defgh"))

    def test_lost(self) -> None:
        """A connection that is lost is the transport's to tell."""
        transport = Socket(0)
        transport.writeSomeData = lambda data: CONNECTION_LOST  # type: ignore[method-assign, assignment, return-value]
        Outlet(transport).write(b"x")
        self.assertEqual(transport.value(), b"x")

    def test_tls(self) -> None:
        """Once TLS is on, everything goes through its layer."""
        transport = Socket(100)
        outlet = Outlet(transport)
        outlet.write(b"220 go\r\n")
        transport.TLS = True
        outlet.write(b"secret")
        self.assertEqual((transport.sent, transport.value()), (b"220 go\r\n", b"secret"))

    def test_layers(self) -> None:
        """A layer that passes on the attributes of the stream below it is never gone around."""

        class Layer(StringTransport):
            def __getattr__(self, name: str) -> object:
                return getattr(below, name)

        below, layer = Socket(100), Layer()
        Outlet(layer).write(b"secret")
        self.assertEqual((below.sent, layer.value()), (b"", b"secret"))

    def test_other_transports(self) -> None:
        """A transport without that door is written to as always."""
        transport = StringTransport()
        Outlet(transport).write(b"x")
        self.assertEqual(transport.value(), b"x")
