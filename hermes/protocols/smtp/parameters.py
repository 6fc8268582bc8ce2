"""What the owner of an SMTP server decides for its engine, and the limits of the protocol."""

from __future__ import annotations

import attrs

from hermes.protocols.sasl_mechanisms import NewChallenge, no_challenge
from hermes.protocols.smtp.events import Flavor

#: RFC 5321 4.5.3.1.4 says 512 for a command; extensions add to it (RFC 1870, 3461, 6531...), and AUTH wants 12288
#: (RFC 4954 4). Postfix and others take 2048 for commands.
MAX_COMMAND_OCTETS = 2048

#: RFC 4954 4: a line of a SASL exchange.
MAX_SASL_OCTETS = 12288

#: RFC 5321 4.5.3.1.3: a path with its brackets; 256.
MAX_PATH_OCTETS = 256

#: RFC 5321 4.5.3.1.1 and 4.5.3.1.2.
MAX_LOCAL_PART_OCTETS = 64
MAX_DOMAIN_OCTETS = 255


@attrs.frozen
class ServerParameters:
    """
    How one listener's sessions behave.

    ``starttls`` says that STARTTLS may be offered now (it is withdrawn once TLS is on); ``mechanisms`` are those that AUTH
    offers over TLS, ``mechanisms_in_clear`` those it offers without; ``normalize_newlines`` makes a bare CR or LF in a
    message a line end instead of refusing the message; ``xclient`` says that this client may say XCLIENT, and ``etrn`` ETRN;
    ``challenge`` makes one for CRAM-MD5, where that is offered.
    """

    hostname: str
    flavor: Flavor = Flavor.SMTP
    max_size_octets: int = 50 * 1024**2
    starttls: bool = False
    mechanisms: tuple[str, ...] = ()
    mechanisms_in_clear: tuple[str, ...] = ()
    normalize_newlines: bool = False
    max_recipients: int = 1000
    max_messages: int = 1000
    xclient: bool = False
    etrn: bool = False
    challenge: NewChallenge = no_challenge
