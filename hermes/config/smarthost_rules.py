"""What the settings of the smart hosts must be, each alone and beside the others."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Iterator, Mapping

from hermes.config.finding import Finding
from hermes.config.host_names import domain_fault, is_address, is_loopback_host
from hermes.config.schema import Settings
from hermes.config.sections.smarthost import AUTH_NAMES, SmarthostSettings
from hermes.core import address_pattern

#: The name of the smart host of the section ``[smarthost]``.
DEFAULT_NAME = "default"

_SHA256_OCTETS = 32

_MAX_PORT = 65535

# Dot-string = Atom *("." Atom)   (RFC 5321 4.1.2): enough for an address that a provider has given
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}\Z")


def smarthosts_of(settings: Settings) -> Mapping[str, SmarthostSettings]:
    """All smart hosts that there are, by name."""
    single = {DEFAULT_NAME: settings.smarthost} if settings.smarthost.host else {}
    return {**single, **settings.smarthosts}


def is_for_all(settings: Settings, name: str, smarthost: SmarthostSettings) -> bool:
    """True for a named smart host that asks for nothing, and is not only a fall-back of another one."""
    return not smarthost.chooses and not any(name in other.fallback for other in smarthosts_of(settings).values())


def default_smarthost(settings: Settings) -> str:
    """The name of the smart host for all mail that no other takes; empty when there is none."""
    if settings.smarthost.host:
        return DEFAULT_NAME
    return next((name for name, each in settings.smarthosts.items() if is_for_all(settings, name, each)), "")


def pin_of(text: str) -> bytes | None:
    """The octets of a SHA-256 in hexadecimal digits (colons may stand between them) or base64; None for anything else."""
    digits = text.replace(":", "")
    try:
        octets = bytes.fromhex(digits) if len(digits) == 2 * _SHA256_OCTETS else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return octets if len(octets) == _SHA256_OCTETS else None


def smarthost_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about smart hosts that are broken."""
    yield from _alone("smarthost", settings.smarthost)
    for name, smarthost in settings.smarthosts.items():
        section = f"smarthost:{name}"
        if name == DEFAULT_NAME:
            yield Finding(((section, "host"),), "[smarthost] has that name already: choose another one")
        if not smarthost.host:
            yield Finding(((section, "host"),), "is missing: write the name of the server")
        yield from _alone(section, smarthost)
        for key in ("senders", "recipients"):
            for pattern in getattr(smarthost, key):
                if fault := address_pattern.fault_of(pattern):
                    yield Finding(((section, key),), fault)
    yield from _for_all(settings)
    yield from _fallbacks(settings)


def _alone(section: str, smarthost: SmarthostSettings) -> Iterator[Finding]:
    host = smarthost.host
    if host and not is_address(host) and (fault := domain_fault(host.rstrip("."))):
        yield Finding(((section, "host"),), fault)
    yield from _login(section, smarthost)
    yield from _senders(section, smarthost)
    yield from _pop(section, smarthost)
    for pin in smarthost.pin:
        if pin_of(pin) is None:
            text = f"{pin!r} is not a SHA-256: write 64 hexadecimal digits, or 44 characters of base64"
            yield Finding(((section, "pin"),), text)
    if smarthost.pin and smarthost.tls == "none":
        yield Finding(
            ((section, "pin"), (section, "tls")), "without TLS there is no certificate: write starttls or implicit"
        )


def _senders(section: str, smarthost: SmarthostSettings) -> Iterator[Finding]:
    for key in ("envelope_sender", "from_address"):
        address = getattr(smarthost, key)
        local_part, _, domain = address.rpartition("@")
        if address and (not _LOCAL_PART.match(local_part) or domain_fault(domain)):
            yield Finding(((section, key),), f"{address!r} is not a mail address: write NAME@example.org")


def _pop(section: str, smarthost: SmarthostSettings) -> Iterator[Finding]:
    host = smarthost.pop_host
    if not host:
        return
    pop_host = (section, "pop_host")
    if not is_address(host) and (fault := domain_fault(host.rstrip("."))):
        yield Finding((pop_host,), fault)
    if not smarthost.password:
        yield Finding((pop_host, (section, "password")), "POP before SMTP is a login: write username and password")
    if smarthost.pop_tls == "none" and not is_loopback_host(host):
        yield Finding(
            ((section, "pop_tls"), pop_host), "a password must not travel in the clear: write starttls or implicit"
        )
    if not 1 <= smarthost.pop_port <= _MAX_PORT:
        yield Finding(((section, "pop_port"),), f"{smarthost.pop_port} is not a port: ports go from 1 to {_MAX_PORT}")


def _login(section: str, smarthost: SmarthostSettings) -> Iterator[Finding]:
    username, password = (section, "username"), (section, "password")
    if smarthost.username and not smarthost.password and not smarthost.oauth:
        yield Finding((password, username), "a username needs a password: set both together; password may be file:PATH")
    if smarthost.password and not smarthost.username:
        yield Finding((username, password), "a password needs a username: set both together, or remove the password")
    if (
        smarthost.password
        and not smarthost.pop_host
        and smarthost.tls == "none"
        and not is_loopback_host(smarthost.host)
    ):
        text = "a password must not travel in the clear: write starttls or implicit, or remove username and password"
        yield Finding(((section, "tls"), password, (section, "host")), text)
    for name in smarthost.auth:
        if name.lower() not in AUTH_NAMES:
            close = difflib.get_close_matches(name.lower(), AUTH_NAMES, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(AUTH_NAMES)}"
            yield Finding(((section, "auth"),), f"{name!r} is not a way of logging in: {remedy}")


def _for_all(settings: Settings) -> Iterator[Finding]:
    """Two that ask for nothing: nobody could say which of them is meant."""
    first = DEFAULT_NAME if settings.smarthost.host else ""
    for name, smarthost in settings.smarthosts.items():
        if not is_for_all(settings, name, smarthost):
            continue
        if first:
            other = "[smarthost]" if first == DEFAULT_NAME else f"[smarthost:{first}]"
            text = f"{other} is for all mail already: write senders, recipients or accounts, or name this one as a fall-back"
            yield Finding(((f"smarthost:{name}", "senders"),), text)
        first = first or name


def _fallbacks(settings: Settings) -> Iterator[Finding]:
    known = smarthosts_of(settings)
    for name, smarthost in known.items():
        about = (("smarthost" if name == DEFAULT_NAME else f"smarthost:{name}", "fallback"),)
        for other in smarthost.fallback:
            if other == name:
                yield Finding(about, "a smart host cannot take its own place: name another one")
            elif other not in known:
                close = difflib.get_close_matches(other, known, n=1)
                remedy = f"did you mean {close[0]}?" if close else f"write [smarthost:{other}]"
                yield Finding(about, f"there is no smart host {other!r}: {remedy}")
