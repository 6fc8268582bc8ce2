"""
What a connection of a front end begins with: the header of the PROXY protocol, which says whose connection it really is.

It is required and never guessed: a front end that were taken for a client whenever it sends none would lend its own rights, and
its own place in every count, to everybody behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hermes.core.outcome import Verdict
from hermes.core.reply import Reply
from hermes.interfaces import IGate
from hermes.protocols.proxy import Header, HeaderReader, MalformedHeaderError

#: A front end sends its header with the first octets, so the time is that of a lost segment which is sent again.
HEADER_SECONDS = 10

_NO_HEADER = Reply.of(421, "4.7.0", "A front end must begin with a PROXY header")
_TOO_LATE = Verdict(_NO_HEADER, "proxy.timeout", f"no header has come within {HEADER_SECONDS} s")


class Introduction:
    """
    Waits for the header of one connection, which meanwhile counts among all connections.

    ``introduced`` is called once with the header, or ``failed`` once with a verdict, and then it is over. :meth:`stop` ends it
    before.
    """

    def __init__(
        self,
        clock: IReactorTime,
        gate: IGate,
        introduced: Callable[[Header], None],
        failed: Callable[[Verdict], None],
    ) -> None:
        self._clock = clock
        self._gate = gate
        self._reader = HeaderReader()
        self._introduced = introduced
        self._failed = failed
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to wait, if there is room for one more connection."""
        verdict = self._gate.expect()
        if not verdict.accepted:
            self._failed(verdict)
            return
        self._timer = self._clock.callLater(HEADER_SECONDS, self._too_late)

    def received(self, data: bytes) -> None:
        """Take octets from the front end."""
        try:
            header = self._reader.receive(data)
        except MalformedHeaderError as error:
            self.stop()
            self._failed(Verdict(_NO_HEADER, "proxy.header", str(error)))
            return
        if header is not None:
            self.stop()
            self._introduced(header)

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None
            self._gate.expected()

    def _too_late(self) -> None:
        self.stop()
        self._failed(_TOO_LATE)
