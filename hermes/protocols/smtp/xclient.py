"""
XCLIENT: a front end says whose commands it passes on. The command is Postfix's, which documents it (``XCLIENT_README``).

A value is xtext, or one of two words for what the front end does not know.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from hermes.protocols.smtp.esmtp import decode_xtext
from hermes.protocols.smtp.events import XClient
from hermes.protocols.smtp.grammar import MalformedError, printable_hello
from hermes.protocols.smtp.parameters import MAX_DOMAIN_OCTETS

#: What EHLO announces. NAME, PORT and the destination are read and change nothing: nobody is judged by them here.
ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "DESTADDR", "DESTPORT")

# Not announced, and no error, because there are front ends that do not look. LOGIN is not believed: a login needs a password.
_SILENT = ("LOGIN", "REVERSE_NAME")

# xclient-command = "XCLIENT" 1*( SP attribute-name "=" attribute-value )
_ATTRIBUTE = re.compile(r"([A-Za-z_]++)=([!-~]*+)")

_UNKNOWN = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})

_IPV6 = "IPV6:"


def parse_xclient(argument: str) -> XClient:
    """Read the attributes; raise :class:`MalformedError`."""
    values: dict[str, str] = {}
    for word in argument.split():
        found = _ATTRIBUTE.fullmatch(word)
        if found is None:
            raise _malformed("Use XCLIENT with attributes like ADDR=192.0.2.1")
        name, value = found[1].upper(), decode_xtext(found[2])
        if name not in ATTRIBUTES and name not in _SILENT:
            raise _malformed(f"XCLIENT knows no attribute {name[:20]}")
        if value is None:
            raise _malformed(f"{name} wants xtext of printable characters")
        if name in values:
            raise _malformed(f"{name} is given twice")
        values[name] = "" if value.upper() in _UNKNOWN else value
    if not values:
        raise _malformed("Use XCLIENT with attributes like ADDR=192.0.2.1")
    return XClient(_address(values.get("ADDR")), _hello(values.get("HELO")), _protocol(values.get("PROTO")))


def _malformed(text: str) -> MalformedError:
    return MalformedError(501, "5.5.4", text)


def _address(value: str | None) -> str | None:
    if not value:
        return value
    prefixed = value[: len(_IPV6)].upper() == _IPV6
    try:
        address = ip_address(value[len(_IPV6) :] if prefixed else value)
    except ValueError:
        raise _malformed("ADDR wants an IPv4 address, or an IPv6 address behind IPV6:") from None
    if prefixed and address.version != 6:
        raise _malformed("ADDR wants an IPv6 address behind IPV6:")
    return str(address)


def _hello(value: str | None) -> str | None:
    if value is None:
        return None
    if " " in value or len(value) > MAX_DOMAIN_OCTETS:
        raise _malformed("HELO wants the name that the client gave")
    return printable_hello(value)


def _protocol(value: str | None) -> str | None:
    if value is None:
        return None
    if value.upper() not in ("SMTP", "ESMTP"):
        raise _malformed("PROTO is SMTP or ESMTP")
    return value.upper()
