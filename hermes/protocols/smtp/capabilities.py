"""What a server says it can do: the reply to EHLO as a value (RFC 5321 4.1.1.1)."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from hermes.core.reply import Reply

#: RFC 5321 4.5.3.1.8: every server takes this many recipients in a transaction.
DEFAULT_RECIPIENTS = 100


@attrs.frozen
class Capabilities:
    """
    The extensions of a server.

    ``name`` is what the server calls itself. ``size_octets`` is None without SIZE, 0 for SIZE without a fixed limit
    (RFC 1870 4). ``max_recipients``, ``max_domains`` and ``max_messages`` come from LIMITS (RFC 9422); the last two are None
    when nothing was said.
    """

    name: str = ""
    starttls: bool = False
    pipelining: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    chunking: bool = False
    binary: bool = False
    require_tls: bool = False
    etrn: bool = False
    size_octets: int | None = None
    mechanisms: tuple[str, ...] = ()
    max_recipients: int = DEFAULT_RECIPIENTS
    max_domains: int | None = None
    max_messages: int | None = None


def parse_capabilities(reply: Reply) -> Capabilities:
    """
    Read the reply to EHLO; a line that makes no sense offers nothing.

    ``ehlo-ok-rsp = "250-" Domain [ SP ehlo-greet ] CRLF *( "250-" ehlo-line CRLF ) ...``
    """
    keywords: dict[str, list[str]] = {}
    for line in reply.lines[1:]:
        # "AUTH=LOGIN PLAIN" is how servers wrote AUTH before RFC 2554.
        words = line.replace("=", " ", 1).split() if line[:5].upper() == "AUTH=" else line.split()
        if words:
            keywords.setdefault(words[0].upper(), []).extend(words[1:])
    limits = _limits(keywords.get("LIMITS", ()))
    greeting = reply.lines[0].split()
    return Capabilities(
        name=greeting[0] if greeting else "",
        starttls="STARTTLS" in keywords,
        pipelining="PIPELINING" in keywords,
        eight_bit="8BITMIME" in keywords,
        smtputf8="SMTPUTF8" in keywords,
        dsn="DSN" in keywords,
        chunking="CHUNKING" in keywords,
        # RFC 3030 3: BINARYMIME can only be used with CHUNKING.
        binary="BINARYMIME" in keywords and "CHUNKING" in keywords,
        require_tls="REQUIRETLS" in keywords,
        etrn="ETRN" in keywords,
        size_octets=_size(keywords.get("SIZE")),
        mechanisms=tuple(dict.fromkeys(word.upper() for word in keywords.get("AUTH", ()))),
        max_recipients=limits.get("RCPTMAX", DEFAULT_RECIPIENTS),
        max_domains=limits.get("RCPTDOMAINMAX"),
        max_messages=limits.get("MAILMAX"),
    )


def _size(words: list[str] | None) -> int | None:
    """RFC 1870 4: ``size-value = 1*20DIGIT``; without one, or with 0, there is no fixed limit."""
    if words is None:
        return None
    return _number(words[0]) or 0 if words else 0


def _limits(words: list[str] | tuple[str, ...]) -> Mapping[str, int]:
    """RFC 9422 3: ``LIMITS`` with words like ``RCPTMAX=50``; what cannot be read is as if it were not there."""
    limits = {}
    for word in words:
        name, _, value = word.partition("=")
        if number := _number(value):
            limits[name.upper()] = number
    return limits


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None
