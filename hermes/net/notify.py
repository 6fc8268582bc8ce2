"""
Telling systemd how we are (sd_notify(3)): ready, reloading, stopping, and still alive.

Without ``NOTIFY_SOCKET`` in the environment every call does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends the words of sd_notify to the socket that the environment names."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog = _watchdog_seconds(environment)

    @property
    def watchdog_seconds(self) -> float | None:
        """How often systemd wants to hear from us, halved as sd_watchdog_enabled(3) advises; None: not at all."""
        return self._watchdog if self._address else None

    def ready(self) -> None:
        """Everything is listening (again)."""
        self._send("READY=1")

    def reloading(self, monotonic_seconds: float) -> None:
        """A reload has begun; :meth:`ready` follows. ``Type=notify-reload`` wants the time."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic_seconds * 1_000_000)}")

    def stopping(self) -> None:
        """The stop has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The reactor still turns."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A service manager that does not listen must not stop a mail server.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.setblocking(False)
            out.sendto(message.encode(), self._address)


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Read ``WATCHDOG_USEC``, unless ``WATCHDOG_PID`` says that it is meant for another process."""
    interval = environment.get("WATCHDOG_USEC", "")
    process = environment.get("WATCHDOG_PID", "")
    if not interval.isdigit() or int(interval) == 0 or (process and process != str(os.getpid())):
        return None
    return int(interval) / 2_000_000
