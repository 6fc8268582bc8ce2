"""
The commands a client sends, as octets.

Whatever an address or a name holds, no CR, LF or other control character gets on the wire by it: what cannot be written
safely raises :class:`UnsafeError`.
"""

from __future__ import annotations

import base64
import re

from hermes.core.address import split
from hermes.core.envelope import BodyType, Envelope, Recipient
from hermes.protocols.smtp.capabilities import Capabilities

#: RFC 5321 4.5.3.1.4 asks for 512; extensions add to it. A longer command is not sent: no server would take it.
MAX_COMMAND_OCTETS = 4096

#: RFC 4954 4 leaves AUTH the length of every command (RFC 5321 4.5.3.1.4: 512 octets); this is without the space and the line's
#: end. An OAuth token is longer, and goes as the answer to a challenge, which has no such limit.
MAX_AUTH_OCTETS = 512 - 3

# Dot-string = Atom *("." Atom); atext = ALPHA / DIGIT / "!#$%&'*+-/=?^_`{|}~"; RFC 6531 3.3 adds UTF8-non-ascii
_DOT_STRING = re.compile(
    r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\U0010ffff]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\U0010ffff]+)*\Z"
)

# Quoted-string = DQUOTE *QcontentSMTP DQUOTE; qtextSMTP = %d32-33 / %d35-91 / %d93-126; quoted-pairSMTP = %d92 %d32-126
_QUOTED_STRING = re.compile(r'"(?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*"\Z')

# A domain or an address literal as it may stand in a command: no white space, no brackets of paths, no controls.
_DOMAIN = re.compile(r"[^\x00-\x20\x7f-\x9f<>()\",;\\@]+\Z")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="   (RFC 3461 4)
_NOT_XCHAR = re.compile(rb"[^!-*,-<>-~]")

# QCHAR = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e   (RFC 6533 3)
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")

#: RFC 3461 4.1: the order in which the words are written.
_NOTIFY_WORDS = ("NEVER", "SUCCESS", "FAILURE", "DELAY")


class UnsafeError(ValueError):
    """The text cannot stand in a command."""


def auth(mechanism: str, initial: bytes | None) -> tuple[bytes, bytes | None]:
    """AUTH with its initial response; or without, and that response as it goes behind a challenge, when it is too long."""
    command = f"AUTH {mechanism}".encode("ascii")
    if initial is None:
        return command + b"\r\n", None
    # RFC 4954 4: an empty initial response is written as "=".
    encoded = base64.b64encode(initial) or b"="
    if len(command) + len(encoded) > MAX_AUTH_OCTETS:
        return command + b"\r\n", encoded
    return b"%b %b\r\n" % (command, encoded), None


def hello(verb: bytes, hostname: str) -> bytes:
    """EHLO or HELO with our name."""
    if not hostname.isascii() or not _DOMAIN.match(hostname):
        raise UnsafeError(f"{hostname!r} cannot be a host name in {verb.decode('ascii')}")
    return b"%b %b\r\n" % (verb, hostname.encode("ascii"))


def mail(
    envelope: Envelope,
    capabilities: Capabilities,
    *,
    size_octets: int,
    binary: bool = False,
    smtputf8: bool = False,
    require_tls: bool = False,
) -> bytes:
    """MAIL with every parameter that the server understands and the message needs."""
    parts = [b"MAIL FROM:" + path(envelope.reverse_path)]
    if capabilities.size_octets is not None and size_octets:
        # Without a message, where only a question is asked, there is no size.
        parts.append(b"SIZE=%d" % size_octets)
    if binary:
        parts.append(b"BODY=BINARYMIME")
    elif (envelope.body is not BodyType.SEVEN_BIT or smtputf8) and capabilities.eight_bit:
        # RFC 6152 3 wants a message converted for a server without 8BITMIME. Hermes sends it as it is, like every common
        # server: conversion breaks signatures, and servers that really lose the eighth bit are not met any more.
        parts.append(b"BODY=8BITMIME")
    if smtputf8:
        parts.append(b"SMTPUTF8")
    if require_tls:
        parts.append(b"REQUIRETLS")
    if capabilities.dsn:
        # RFC 3461 5.2.1 (a), (b): just as they were given to us.
        if envelope.ret is not None:
            parts.append(b"RET=" + _word(envelope.ret))
        if envelope.envid is not None:
            parts.append(b"ENVID=" + xtext(envelope.envid))
    return _command(parts)


def rcpt(recipient: Recipient, capabilities: Capabilities) -> bytes:
    """RCPT, with the DSN parameters when the server understands them."""
    parts = [b"RCPT TO:" + path(recipient.address)]
    if capabilities.dsn:
        if recipient.notify:
            # RFC 3461 5.2.1 (c), (d)
            parts.append(b"NOTIFY=" + b",".join(_word(word) for word in _NOTIFY_WORDS if word in recipient.notify))
        if recipient.original is not None:
            parts.append(b"ORCPT=" + _original(recipient.original))
    return _command(parts)


def path(address: str) -> bytes:
    """A path with its brackets; a local part that needs quotes and has none gets them (RFC 5321 4.1.2)."""
    if not address:
        return b"<>"
    local_part, domain = split(address)
    if _CONTROL.search(address) or (domain and not _DOMAIN.match(domain)) or not local_part:
        raise UnsafeError(f"{address!r} cannot stand in a command")
    if not _DOT_STRING.match(local_part) and not _QUOTED_STRING.match(local_part):
        local_part = '"' + local_part.replace("\\", "\\\\").replace('"', '\\"') + '"'
    written = f"<{local_part}@{domain}>" if domain else f"<{local_part}>"
    return _utf8(written)


def xtext(text: str) -> bytes:
    """RFC 3461 4: ``xtext = *( xchar / hexchar )``."""
    return _NOT_XCHAR.sub(lambda found: b"+%02X" % found[0][0], _utf8(text))


def etrn(node: str) -> bytes:
    """ETRN for a domain (RFC 1985 5)."""
    if not node.isascii() or not _DOMAIN.match(node):
        raise UnsafeError(f"{node!r} cannot stand in ETRN")
    return b"ETRN %b\r\n" % node.encode("ascii")


def _original(original: str) -> bytes:
    """``original-recipient-address = addr-type ";" xtext``; the type ``utf-8`` has a form of its own (RFC 6533 3)."""
    address_type, _, address = original.partition(";")
    if address_type.lower() == "utf-8":
        written = _NOT_QCHAR.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address).encode("ascii")
        return _word(address_type) + b";" + written
    return _word(address_type) + b";" + xtext(address)


def _word(text: str) -> bytes:
    if not text.isascii() or not _DOMAIN.match(text):
        raise UnsafeError(f"{text!r} cannot stand in a parameter")
    return text.encode("ascii")


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise UnsafeError(f"{text!r} is not valid Unicode") from None


def _command(parts: list[bytes]) -> bytes:
    command = b" ".join(parts) + b"\r\n"
    if len(command) > MAX_COMMAND_OCTETS:
        raise UnsafeError(f"the command would be longer than {MAX_COMMAND_OCTETS} octets")
    return command
