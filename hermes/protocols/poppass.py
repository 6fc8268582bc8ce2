"""
The poppassd protocol, without a network: how a mail program changes a password (port 106; Mercury W).

There is no RFC. The reference daemon's dialogue is ``user``, ``pass``, ``newpass``, ``quit``, each answered by a line with a
code of three digits. Clients that are in use send LF alone, write verbs in any case, and some accept nothing but 200 at every
step that went well.
"""

from __future__ import annotations

import attrs

from hermes.protocols.receive_buffer import Line, ReceiveBuffer

#: Octets of a command line with its end. A password has at most 1024 octets here; nothing that is longer is honest.
MAX_LINE_OCTETS = 1100


@attrs.frozen
class User:
    """``USER name``."""

    name: str


@attrs.frozen
class OldPassword:
    """``PASS password``, for the name that was given."""

    name: str
    password: str = attrs.field(repr=False)


@attrs.frozen
class NewPassword:
    """``NEWPASS password``, of somebody who has logged in."""

    password: str = attrs.field(repr=False)


@attrs.frozen
class StartTLS:
    """``STLS``."""


@attrs.frozen
class Quit:
    """``QUIT``."""


@attrs.frozen
class Help:
    """``HELP``; ``stls`` says whether STLS would begin TLS now."""

    stls: bool


@attrs.frozen
class Refused:
    """A line that cannot be: ``reply`` is the answer, ``rule`` names why."""

    rule: str
    reply: bytes


Event = User | OldPassword | NewPassword | StartTLS | Quit | Help | Refused

GREETING = "200 {} password server ready"
USER_OK = b"200 Your password please\r\n"
PASSWORD_OK = b"200 Your new password please\r\n"
CHANGED = b"200 Password changed, thank you\r\n"
GO_AHEAD = b"200 Go ahead with TLS\r\n"
GOODBYE = b"200 Goodbye\r\n"
HELP = b"200 Say USER, PASS, NEWPASS and QUIT, one after the other\r\n"
HELP_WITH_TLS = b"200 Say USER, PASS, NEWPASS and QUIT, one after the other; STLS begins TLS\r\n"

_TOO_LONG = Refused("protocol.line_too_long", b"500 The line is too long\r\n")
_UNKNOWN = Refused("protocol.unknown_command", b"500 Unknown command; say HELP\r\n")
_NO_USER = Refused("protocol.sequence", b"500 Say USER first\r\n")
_NOT_LOGGED_IN = Refused("protocol.sequence", b"500 Log in first, with USER and PASS\r\n")
_NO_ARGUMENT = Refused("protocol.syntax", b"500 Something is missing behind the command\r\n")
_NOT_TEXT = Refused("protocol.syntax", b"500 The line is not UTF-8 text\r\n")
_NO_TLS = Refused("tls.unavailable", b"500 STLS is not offered here\r\n")
_TLS_ALREADY = Refused("protocol.sequence", b"500 TLS is on already\r\n")
_TLS_FIRST = Refused("tls.required", b"500 Passwords are not taken in the clear: say STLS first\r\n")


class PasswordServer:
    """
    One session: octets in, events out.

    ``stls`` says whether TLS can be begun, ``clear`` whether passwords may come without it, ``tls`` whether it is on. The
    owner says with :meth:`logged_in` that the password was right.
    """

    def __init__(self, *, stls: bool, clear: bool, tls: bool) -> None:
        self.tls = tls
        self._stls = stls
        self._clear = clear
        self._buffer = ReceiveBuffer()
        self._name = ""
        self._proved = False

    def receive(self, data: bytes) -> None:
        """Take octets from the client."""
        self._buffer.feed(data)

    def next_event(self) -> Event | None:
        """The next line's meaning; None when more octets are needed."""
        line = self._buffer.line(MAX_LINE_OCTETS)
        if line is Line.INCOMPLETE:
            return None
        if line is Line.TOO_LONG:
            return _TOO_LONG
        verb, _, argument = line.rstrip(b"\r\n").partition(b" ")
        return self._event(verb.upper(), argument)

    def _event(self, verb: bytes, argument: bytes) -> Event:
        match verb:
            case b"USER" | b"PASS" | b"NEWPASS":
                return self._secret(verb, argument)
            case b"STLS":
                if self.tls:
                    return _TLS_ALREADY
                return StartTLS() if self._stls else _NO_TLS
            case b"QUIT":
                return Quit()
            case b"HELP":
                return Help(self._stls and not self.tls)
            case _:
                return _UNKNOWN

    def _secret(self, verb: bytes, argument: bytes) -> Event:
        if not (self.tls or self._clear):
            return _TLS_FIRST
        if not argument:
            return _NO_ARGUMENT
        try:
            # Spaces belong to the password, in front and behind.
            text = argument.decode("utf-8")
        except UnicodeDecodeError:
            return _NOT_TEXT
        if verb == b"USER":
            self._name, self._proved = text.strip(), False
            return User(self._name)
        if verb == b"PASS":
            if not self._name:
                return _NO_USER
            name, self._name = self._name, ""
            return OldPassword(name, text)
        if not self._proved:
            return _NOT_LOGGED_IN
        return NewPassword(text)

    def logged_in(self) -> None:
        """The old password was right: a new one may come."""
        self._proved = True

    def tls_started(self) -> None:
        """TLS is on: nothing that came before it counts."""
        self.tls = True
        self._buffer.clear()
        self._name, self._proved = "", False
