"""
A client of a SOCKS5 proxy (RFC 1928), with or without a login (RFC 1929): octets in and out, until there is a way.

Only addresses are asked for: which host a name is, has been settled before, by whoever has to know for certain.
"""

from __future__ import annotations

from ipaddress import ip_address

#: RFC 1928 6: what went wrong at the proxy.
_FAILURES = {
    1: "it has a fault of its own",
    2: "its rules do not allow it",
    3: "the network cannot be reached",
    4: "the host cannot be reached",
    5: "the connection was refused",
    6: "the time to live has expired",
    7: "it does not know how to connect",
    8: "it does not know this kind of address",
}

_NO_LOGIN, _PASSWORD, _NONE_FITS = 0, 2, 0xFF


class SocksClient:
    """
    One negotiation.

    After :meth:`receive`, :attr:`done` says that the connection is there (:attr:`rest` is what already came through it), and
    :attr:`problem` that there will be none.
    """

    def __init__(self, address: str, port: int, username: str = "", password: str = "") -> None:
        self._target = ip_address(address)
        self._port = port
        self._username = username.encode("utf-8")
        self._password = password.encode("utf-8")
        self._buffer = b""
        # RFC 1928 3: version, number of methods, methods.
        methods = bytes((_NO_LOGIN, _PASSWORD)) if username else bytes((_NO_LOGIN,))
        self._out = bytes((5, len(methods))) + methods
        self._step = self._method
        self.done = False
        self.problem = ""
        self.rest = b""

    def data_to_send(self) -> bytes:
        """What is to be sent now; it is forgotten here."""
        out, self._out = self._out, b""
        return out

    def receive(self, data: bytes) -> None:
        """Take octets from the proxy."""
        self._buffer += data
        while not self.done and not self.problem and self._step():
            pass

    def _take(self, count: int) -> bytes | None:
        if len(self._buffer) < count:
            return None
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _method(self) -> bool:
        answer = self._take(2)
        if answer is None:
            return False
        if answer[0] != 5:
            self.problem = "it does not speak SOCKS5"
        elif answer[1] == _NO_LOGIN:
            self._ask()
        elif answer[1] == _PASSWORD and self._username:
            # RFC 1929 2
            self._out = (
                bytes((1, len(self._username))) + self._username + bytes((len(self._password),)) + self._password
            )
            self._step = self._login
        else:
            self.problem = "it wants another kind of login" if self._username else "it wants a login"
        return True

    def _login(self) -> bool:
        answer = self._take(2)
        if answer is None:
            return False
        if answer[1] != 0:
            self.problem = "it refuses the login"
        else:
            self._ask()
        return True

    def _ask(self) -> None:
        """RFC 1928 4: connect to an address."""
        kind = 1 if self._target.version == 4 else 4
        self._out = bytes((5, 1, 0, kind)) + self._target.packed + self._port.to_bytes(2, "big")
        self._step = self._answer

    def _answer(self) -> bool:
        # RFC 1928 6: version, reply, reserved, and an address, of which nothing depends here.
        if len(self._buffer) < 5:
            return False
        version, reply, _, kind, length = self._buffer[:5]
        if version != 5:
            self.problem = "it does not speak SOCKS5"
            return True
        if reply:
            self.problem = _FAILURES.get(reply, f"it answers with error {reply}")
            return True
        octets = {1: 4, 3: 1 + length, 4: 16}.get(kind)
        if octets is None:
            self.problem = "its answer makes no sense"
            return True
        if self._take(4 + octets + 2) is None:
            return False
        self.done, self.rest, self._buffer = True, self._buffer, b""
        return True
