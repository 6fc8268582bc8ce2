"""The envelope of a message: who sent it, to whom, and what was asked for on the way (RFC 5321 2.3.1, RFC 3461)."""

from __future__ import annotations

import enum

import attrs


class BodyType(enum.Enum):
    """What the octets of a message may be (RFC 6152, RFC 3030)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class TLSNeed(enum.Enum):
    """What a message asks of the way to the next server (RFC 8689); the values are those in the spool."""

    USUAL = ""  #: what the policies say
    REQUIRED = (
        "required"  #: MAIL had REQUIRETLS: only over TLS, to servers that are known for certain and promise the same
    )
    OPTIONAL = "optional"  #: the header has ``TLS-Required: No``: rather in the clear than not at all


@attrs.frozen
class Recipient:
    """
    One recipient of an envelope.

    ``notify`` is None when the client did not say, else ``{"NEVER"}`` or some of SUCCESS, FAILURE, DELAY (RFC 3461 4.1);
    ``original`` is ORCPT as ``type;address``, decoded (RFC 3461 4.2).
    """

    address: str
    notify: frozenset[str] | None = None
    original: str | None = None


@attrs.frozen
class Envelope:
    """
    The envelope as it was given.

    ``reverse_path`` is ``""`` for the null sender. ``ret`` is FULL, HDRS or None and ``envid`` the envelope id, decoded
    (RFC 3461 4.3, 4.4). ``smtputf8`` says that addresses or headers may hold UTF-8 (RFC 6531); ``tls`` what the
    message asks of the way.
    """

    reverse_path: str
    recipients: tuple[Recipient, ...]
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    tls: TLSNeed = TLSNeed.USUAL


@attrs.frozen
class Origin:
    """
    How a message came in, as far as ``Received:`` and the trace tell it.

    ``protocol`` is the keyword of RFC 3848 and 6531 (``ESMTPSA``, ``LMTP``), ``local`` for what Hermes itself wrote, or
    ``forward`` for what it sends on; ``peer`` the address in text form without port, or empty; ``tls`` like
    ``TLSv1.3 TLS_AES_256_GCM_SHA384`` or None; ``account`` the account that authenticated, or None.
    """

    protocol: str
    peer: str = ""
    hello: str = ""
    tls: str | None = None
    account: str | None = None
