"""
One session, written down: when it was, who said it, and what, with secrets blanked (:mod:`hermes.protocols.blanking`).

The engine tells what it has heard and the turns what is said, so what goes under TLS is written down like what comes before it.
Lines are collected and handed on in pieces; when the transcript is full it ends, and the session goes on without.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hermes.protocols.blanking import shown_command, shown_reply, shown_response
from hermes.protocols.receive_buffer import Line

#: A piece of this size is handed on at once: what one session may hold in memory.
PIECE_OCTETS = 8 * 1024

#: A smaller one is handed on after this time, so that who looks on sees what is said.
PIECE_SECONDS = 1.0

_FULL = "-- the transcript is full (transcripts.size); the session goes on"

# What could take over a terminal, or make a line look like two.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Transcript:
    """
    Listens to the engine (:class:`hermes.protocols.tap.Tap`) and the turns (:class:`hermes.net.turns.Listener`) of a session.

    ``write`` takes each piece; ``tls`` says protocol and cipher once TLS is on, else None.
    """

    def __init__(
        self,
        service: str,
        head: str,
        clock: IReactorTime,
        write: Callable[[bytes], None],
        tls: Callable[[], str | None],
        *,
        max_octets: int,
        bodies: bool,
    ) -> None:
        self._service = service
        self._clock = clock
        self._write = write
        self._tls: Callable[[], str | None] | None = tls
        self._left = max_octets
        self._bodies = bodies
        self._began = clock.seconds()
        self._lines: list[str] = []
        self._octets = 0
        self._timer: IDelayedCall | None = None
        self._over = False
        self._heard_octets = 0
        self._said_octets = 0
        self._rest = b""
        self._keep(head)

    # What the client says.

    def command(self, line: bytes | Line) -> None:
        """A line that was read as a command."""
        if not self._over:
            self._look_at_tls()
            self._body_sent()
            self._line(">", shown_command(self._service, line))

    def response(self, line: bytes | Line) -> None:
        """A line of a SASL exchange."""
        self._line(">", shown_response())

    def body(self, data: bytes) -> None:
        """Octets of a message."""
        self._heard_octets += len(data)
        if self._bodies and not self._over:
            self._body_lines(">", data)

    def body_over(self, octets: int) -> None:
        """The end of a message, or of a chunk of it."""
        self._heard_octets = 0
        self._end_body(">")
        self._line(">", f"[{octets} octets of a message]")

    # What is said to it.

    def sent(self, data: bytes) -> None:
        """Whole lines of ours."""
        self._body_sent()
        for line in data.removesuffix(b"\r\n").split(b"\r\n"):
            self._line("<", shown_reply(self._service, line))

    def sent_body(self, data: bytes) -> None:
        """Octets of a message of ours."""
        self._said_octets += len(data)
        if self._bodies and not self._over:
            self._body_lines("<", data)

    # What is neither.

    def note(self, text: str) -> None:
        """Something that was not said."""
        self._line("--", text)

    def close(self, reason: str) -> None:
        """The session is over."""
        self._body_sent()
        if self._heard_octets:
            self._end_body(">")
            self._line(">", f"[{self._heard_octets} octets of a message that did not end]")
        self.note(f"closed: {reason}")
        self._hand_on()
        self._over = True

    def _look_at_tls(self) -> None:
        used = self._tls() if self._tls is not None else None
        if used is not None:
            self._tls = None
            self.note(f"under TLS: {used}")

    def _body_sent(self) -> None:
        if self._said_octets:
            self._end_body("<")
            self._line("<", f"[{self._said_octets} octets of a message]")
            self._said_octets = 0

    def _body_lines(self, mark: str, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(mark, "| " + line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))
        if len(self._rest) > PIECE_OCTETS:
            # Without line ends: no more of it is kept than of anything else.
            self._end_body(mark)

    def _end_body(self, mark: str) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self._line(mark, "| " + rest.decode("utf-8", "backslashreplace"))

    def _line(self, mark: str, text: str) -> None:
        if not self._over:
            text = _UNFIT.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
            self._keep(f"{self._clock.seconds() - self._began:9.3f} {mark:<2} {text}\n")

    def _keep(self, text: str) -> None:
        size = len(text.encode("utf-8", "replace"))
        if size > self._left:
            self._lines.append(f"{_FULL}\n")
            self._over = True
            self._hand_on()
            return
        self._left -= size
        self._octets += size
        self._lines.append(text)
        if self._octets >= PIECE_OCTETS:
            self._hand_on()
        elif self._timer is None:
            self._timer = self._clock.callLater(PIECE_SECONDS, self._hand_on)

    def _hand_on(self) -> None:
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None
        if self._lines:
            piece = "".join(self._lines).encode("utf-8", "replace")
            self._lines.clear()
            self._octets = 0
            self._write(piece)
