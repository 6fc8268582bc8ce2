"""What the owner of a POP3 server decides for its engine, and the limits of the protocol."""

from __future__ import annotations

import attrs

from hermes.protocols.sasl_mechanisms import NewChallenge, no_challenge

#: RFC 2449 4: a command with its CRLF. Longer ones are refused, and none of their octets are kept.
MAX_COMMAND_OCTETS = 255

#: RFC 5034 4 leaves a line of a SASL exchange to the mechanism; RFC 4954 4 asks an SMTP server for as much.
MAX_SASL_OCTETS = 12288

#: RFC 1939 3 gives an argument 40 characters; no mailbox has a message of a number longer than this.
MAX_NUMBER_DIGITS = 10


@attrs.frozen
class ServerParameters:
    """
    How one listener's sessions behave.

    ``stls`` says that STLS may be offered (it is withdrawn once TLS is on); ``mechanisms`` are those that AUTH offers;
    ``login_in_clear`` allows USER, PASS, APOP and AUTH without TLS; ``challenge`` makes one for CRAM-MD5, where that is offered;
    ``timestamp`` is that of the greeting, for APOP (RFC 1939 7), empty where that is not offered. ``expire`` is the argument of
    EXPIRE before the login (RFC 2449 6.7), and ``login_delay`` that of LOGIN-DELAY in seconds, 0 for none.

    ``xtnd_xmit`` offers XTND XMIT, by which clients send mail: of at most ``max_size_octets``, 0 for no limit, and with
    ``normalize_newlines`` a CR or LF that stands alone in it becomes a line end, and is refused otherwise.
    """

    hostname: str
    stls: bool = False
    mechanisms: tuple[str, ...] = ("PLAIN",)
    login_in_clear: bool = False
    challenge: NewChallenge = no_challenge
    timestamp: str = ""
    expire: str = "NEVER"
    login_delay: int = 0
    xtnd_xmit: bool = False
    max_size_octets: int = 0
    normalize_newlines: bool = False
