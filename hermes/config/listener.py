"""
Where a server listens, as it is written in ``config.ini``.

``127.0.0.1:25``, ``[::1]:25``, ``*:25`` (every address, IPv4 and IPv6), ``unix:/run/hermes/lmtp.sock`` and
``systemd:smtp`` (a socket that systemd opened and named, ``FileDescriptorName=`` of systemd.socket). A listener is always an
address, never a host name: what a name means can change between two starts. Port 0 lets the system choose a free one.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Literal

import attrs

_MAX_PORT = 65535

#: sockaddr_un has room for 108 octets, the last of which is zero (unix(7)).
_MAX_SOCKET_PATH_OCTETS = 107

_REMEDY = "write ADDRESS:PORT like 127.0.0.1:25, [::1]:25 or *:25, or unix:PATH, or systemd:NAME"

# What FileDescriptorName= accepts is any ASCII without control characters and ":"; a comma would end our list.
_SYSTEMD_NAME = re.compile(r"[!-+\--9;-~]{1,255}\Z", re.ASCII)


@attrs.frozen
class Listener:
    """
    One place to listen at.

    ``tcp`` has ``host`` (an address without brackets, or ``*`` for all) and ``port``; ``unix`` has ``path``; ``systemd`` has
    ``name``. ``str()`` gives the normalized text.
    """

    kind: Literal["tcp", "unix", "systemd"]
    host: str = ""
    port: int = 0
    path: str = ""
    name: str = ""

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "systemd":
            return f"systemd:{self.name}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """True when only this machine can reach it: a loopback address or a UNIX socket."""
        return self.kind == "unix" or (self.kind == "tcp" and self.host != "*" and ip_address(self.host).is_loopback)

    def overlaps(self, other: Listener) -> bool:
        """True when the two cannot both be opened: the same place, or one port both at every address and at one."""
        if self.kind != "tcp" or other.kind != "tcp":
            return self == other
        # Port 0 is another port each time.
        return self.port == other.port != 0 and (
            self.host == other.host or self._covers(other.host) or other._covers(self.host)
        )

    def _covers(self, host: str) -> bool:
        """True when this host stands for every address of the kind that ``host`` is."""
        if self.host == "*":
            return True
        return ip_address(self.host).is_unspecified and (":" in self.host) == (":" in host)


def parse_listener(text: str) -> Listener:
    """Read one listener; raise ValueError with a remedy. A ``unix:`` path is taken as it stands."""
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() == "unix":
        return _unix(text, rest)
    if colon and scheme.lower() == "systemd":
        if not _SYSTEMD_NAME.match(rest):
            raise ValueError(f"{text!r} names no socket: write systemd:NAME with the FileDescriptorName= of the socket")
        return Listener("systemd", name=rest)
    host, colon, digits = text.rpartition(":")
    if not colon or not host:
        raise ValueError(f"{text!r} is not a place to listen at: {_REMEDY}")
    return Listener("tcp", host=_host(text, host), port=_port(text, digits))


def _unix(text: str, path: str) -> Listener:
    if not path or "\0" in path:
        raise ValueError(f"{text!r} names no path: write unix:PATH")
    if len(path.encode()) > _MAX_SOCKET_PATH_OCTETS:
        raise ValueError(f"{text!r} is too long: a path of a UNIX socket has at most {_MAX_SOCKET_PATH_OCTETS} octets")
    return Listener("unix", path=path)


def _host(text: str, host: str) -> str:
    if host == "*":
        return host
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(f"{text!r} has no IP address before the port: {_REMEDY}") from None
    if isinstance(address, IPv6Address) != bracketed:
        raise ValueError(f"{text!r}: brackets stand around an IPv6 address and only there: {_REMEDY}")
    return str(address)


def _port(text: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or int(digits[:6]) > _MAX_PORT or len(digits) > 5:
        raise ValueError(f"{text!r} has no port from 0 to {_MAX_PORT}: {_REMEDY}")
    return int(digits)
