"""Routing by table: the sections ``[route:NAME]``, and what they must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from hermes.config.finding import Finding
from hermes.config.host_names import domain_fault, is_address
from hermes.config.setting import setting
from hermes.core import address_pattern
from hermes.core.printable import one_line
from hermes.core.route import Route, RouteTable

#: What stands before the colon or the space of ``to``, and whether something must follow.
_AGENTS = {
    "smarthost": True,
    "direct": False,
    "lmtp": True,
    "pipe": True,
    "hold": False,
    "discard": False,
    "refuse": False,
}

_WAYS = "smarthost:NAME, direct, lmtp:HOST:PORT, lmtp:unix:PATH, pipe:COMMAND, hold, discard or refuse TEXT"

#: What senders are told when the route says nothing.
REFUSED = "Mail for that address is not accepted here"

#: A reply's line has 512 octets (RFC 5321 4.5.3.1.5); with the codes there is room for this.
MAX_TEXT = 400


@attrs.frozen
class RouteSettings:
    """
    Sending some mail another way. One section for each route, any number; the first in the file that fits decides.

    A route for a domain or an address comes before smart hosts and direct delivery, and before the mailboxes here; only mail for
    the postmaster of a domain of ours keeps its way. ``hermes explain --to ADDRESS`` says which route takes an address.
    """

    recipients: tuple[str, ...] = setting(
        "words",
        (),
        "To whom: joe@example.org, example.org, *.example.org, news-*@example.org, * for all. Empty: to all.",
    )
    senders: tuple[str, ...] = setting("words", (), "From whom, the same way; <> for reports. Empty: from all.")
    to: str = setting("text", "", f"The way: {_WAYS}.")
    open: bool = setting(
        "flag",
        False,
        "Whether everybody may send to these addresses, as to mailboxes here, although they are unknown or elsewhere. Otherwise "
        "only those may who may send to other domains.",
    )


def routes_of(routes: Mapping[str, RouteSettings]) -> RouteTable:
    """The table."""
    return RouteTable(
        Route(name, each.recipients, each.senders, *way_of(each.to), open_to_all=each.open)
        for name, each in routes.items()
    )


def way_of(text: str) -> tuple[str, str]:
    """The agent and its argument; raise ValueError, with a remedy, for what is no way."""
    if text.partition(" ")[0] == "refuse":
        said = text.partition(" ")[2].strip() or REFUSED
        if len(said) > MAX_TEXT or not said.isascii() or one_line(said, MAX_TEXT) != said:
            raise ValueError(f"the text of a refusal is one line of {MAX_TEXT} characters of ASCII at most")
        return "refuse", said
    agent, colon, argument = text.partition(":")
    if agent not in _AGENTS or _AGENTS[agent] is not bool(colon and argument.strip()):
        raise ValueError(f"{text!r} is not a way: write {_WAYS}")
    if agent == "lmtp":
        lmtp_place(argument)
    return agent, argument.strip()


def lmtp_place(text: str) -> tuple[str, int, str]:
    """Host, port and path of an LMTP server; raise ValueError, with a remedy, for what is no place."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError(f"{text!r} names no socket: write unix:/run/NAME")
        return "", 0, path
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not an LMTP server: write HOST:PORT, like 127.0.0.1:24, or unix:PATH")
    if int(port) == 25:
        # RFC 2033 5: it MUST NOT be used there, for a server that forwards would be confused by it.
        raise ValueError("LMTP is not spoken on port 25, which is SMTP's: 24 is usual")
    if not is_address(host) and (fault := domain_fault(host)):
        raise ValueError(fault)
    return host, int(port), ""


def route_findings(
    routes: Mapping[str, RouteSettings], smarthosts: Mapping[str, object], direct_enabled: bool
) -> Iterator[Finding]:
    """All rules about ``[route:NAME]`` that are broken."""
    for label, each in routes.items():
        section = f"route:{label}"
        for key in ("recipients", "senders"):
            for pattern in getattr(each, key):
                if fault := address_pattern.fault_of(pattern):
                    yield Finding(((section, key),), fault)
        if not each.recipients and not each.senders:
            text = "the route is for all mail: name recipients or senders, or write * to say so"
            yield Finding(((section, "recipients"), (section, "senders")), text)
        try:
            agent, argument = way_of(each.to)
        except ValueError as error:
            yield Finding(((section, "to"),), str(error))
            continue
        if agent == "smarthost" and argument not in smarthosts:
            known = ", ".join(smarthosts) or "none"
            yield Finding(((section, "to"),), f"there is no smart host {argument!r}: there are {known}")
        if agent == "direct" and not direct_enabled:
            text = "nothing is delivered directly: write enabled = yes in [direct]; smart hosts still come first"
            yield Finding(((section, "to"), ("direct", "enabled")), text)
        if each.open and (not each.recipients or "*" in each.recipients):
            text = "everybody could send to everybody through this server: name the recipients, or write open = no"
            yield Finding(((section, "open"), (section, "recipients")), text)
