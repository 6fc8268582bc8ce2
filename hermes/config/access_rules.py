"""What the entries of connection control must be, each alone and beside the others."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from hermes.config.finding import Finding
from hermes.config.schema import ACCESS_SERVERS, AccessSettings, Settings
from hermes.config.sections.transcripts import TRANSCRIBED
from hermes.core.address_range import AddressRange

#: With code and enhanced code it must fit into a reply line of 512 octets (RFC 5321 4.5.3.1.5).
MAX_TEXT_OCTETS = 400

# textstring = 1*(%d09 / %d32-126)   (RFC 5321 4.2); a tab would only harm.
_TEXT = re.compile(r"[\x20-\x7e]*\Z")


def access_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about ``[access:NAME]`` that are broken."""
    for name, entry in settings.access.items():
        yield from _alone(f"access:{name}", entry)
    yield from _contradictions(settings.access)


def servers_of(entry: AccessSettings) -> tuple[str, ...]:
    """The servers at which an entry holds."""
    return entry.servers or ACCESS_SERVERS


def _alone(section: str, entry: AccessSettings) -> Iterator[Finding]:
    addresses, action, servers = ((section, key) for key in ("addresses", "action", "servers"))
    if not entry.addresses:
        yield Finding((addresses,), "names nobody: write addresses or ranges, like 192.0.2.0/24")
    for server in entry.servers:
        if server not in ACCESS_SERVERS:
            close = difflib.get_close_matches(server, ACCESS_SERVERS, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"there are {' and '.join(ACCESS_SERVERS)}"
            yield Finding((servers,), f"{server!r} is not a server: {remedy}")
    for key in ("relay", "exempt", "unfiltered", "login_in_clear"):
        if entry.action == "refuse" and getattr(entry, key):
            yield Finding(((section, key), action), "who is refused has no rights: write no, or action = allow")
    if entry.action == "refuse" and entry.log:
        yield Finding(((section, "log"), action), "who is refused has no session that could be written down: write no")
    if entry.log and not set(TRANSCRIBED).intersection(servers_of(entry)):
        yield Finding(
            ((section, "log"), servers), f"transcripts are kept of {' and '.join(TRANSCRIBED)}: name one in servers"
        )
    if entry.text and entry.action != "refuse":
        yield Finding(((section, "text"), action), "is said to those who are refused: write action = refuse as well")
    if not _TEXT.match(entry.text) or len(entry.text) > MAX_TEXT_OCTETS:
        yield Finding(((section, "text"),), f"is said in a reply: write ASCII, {MAX_TEXT_OCTETS} characters at most")
    if entry.relay and "smtp" not in servers_of(entry):
        yield Finding(((section, "relay"), servers), "relaying is a matter of smtp: name it in servers")
    if entry.unfiltered and "smtp" not in servers_of(entry):
        yield Finding(((section, "unfiltered"), servers), "filters are a matter of smtp: name it in servers")
    if entry.login_in_clear and not {"smtp", "pop3"}.intersection(servers_of(entry)):
        about = ((section, "login_in_clear"), servers)
        yield Finding(about, "logins are a matter of smtp and pop3: name one in servers")
    for each in entry.addresses:
        if entry.login_in_clear and each.is_half_the_world:
            about = ((section, "login_in_clear"), addresses)
            yield Finding(about, f"{each} is everybody: name the networks where nobody can listen")
        if entry.relay and each.is_half_the_world:
            yield Finding(((section, "relay"), addresses), f"{each} is everybody: name the networks that are yours")


def _contradictions(access: Mapping[str, AccessSettings]) -> Iterator[Finding]:
    """The same range twice at one server, with different consequences: nobody could say which is meant."""
    first: dict[tuple[str, AddressRange], str] = {}
    told: set[tuple[str, str, AddressRange]] = set()
    for name, entry in access.items():
        for server in servers_of(entry):
            for each in entry.addresses:
                other = first.setdefault((server, each), name)
                if _consequences(access[other]) == _consequences(entry) or (name, other, each) in told:
                    continue
                told.add((name, other, each))
                about = ((f"access:{name}", "addresses"), (f"access:{other}", "addresses"))
                text = (
                    f"{each} stands in [access:{other}] too, which says otherwise for {server}: remove one of the two"
                )
                yield Finding(about, text)


def _consequences(entry: AccessSettings) -> tuple[object, ...]:
    return entry.action, entry.relay, entry.exempt, entry.unfiltered, entry.log, entry.login_in_clear, entry.text
