"""What the sections ``[dnsbl:NAME]`` must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hermes.config.finding import Finding
from hermes.config.schema import Settings
from hermes.config.sections.dnsbl import DNSBLSettings
from hermes.core.dns_list import parse_counting

#: Lists that are asked: each costs every stranger's message a question, and RFC 5321 4.5.3.2 its client's patience.
MAX_LISTS = 30

#: With code and enhanced code it must fit into a reply line of 512 octets (RFC 5321 4.5.3.1.5).
MAX_TEXT_OCTETS = 400

#: RFC 5322 2.1.1: a line has 998 octets at most.
MAX_HEADER_OCTETS = 900

# textstring = 1*(%d09 / %d32-126)   (RFC 5321 4.2); a tab would only harm.
_TEXT = re.compile(r"[\x20-\x7e]*\Z")

# field-name = 1*ftext; ftext = %d33-57 / %d59-126   (RFC 5322 3.6.8)
_HEADER = re.compile(r"[\x21-\x39\x3b-\x7e]{1,70}: [\x20-\x7e]*[\x21-\x7e]\Z")


def dnsbl_findings(settings: Settings, domain_fault: Callable[[str], str]) -> Iterator[Finding]:
    """All rules about ``[dnsbl:NAME]`` that are broken; ``domain_fault`` says why a text is not a domain."""
    for number, (name, one) in enumerate(settings.dnsbl.items(), 1):
        section = f"dnsbl:{name}"
        yield from _alone(section, one, domain_fault)
        if number == MAX_LISTS + 1:
            yield Finding(((section, "zone"),), f"is one list too many: {MAX_LISTS} are the most")


def _alone(section: str, one: DNSBLSettings, domain_fault: Callable[[str], str]) -> Iterator[Finding]:
    def finding(key: str, text: str, *also: str) -> Finding:
        return Finding(tuple((section, each) for each in (key, *also)), text)

    if not one.zone:
        yield finding("zone", "names no list: write its domain, like zen.spamhaus.org")
    elif fault := domain_fault(one.zone.rstrip(".")):
        yield finding("zone", fault)
    try:
        parse_counting(one.answers)
    except ValueError as error:
        yield finding("answers", f"{error}; or write any or normal")
    if not is_text(one.text):
        yield finding("text", f"is said in a reply: write ASCII, {MAX_TEXT_OCTETS} characters at most")
    if one.header and not is_header(one.header):
        yield finding("header", f"{one.header[:80]!r} is not a header: write NAME: TEXT, like X-Blocked: yes")
    if one.kind == "whitelist":
        return
    if one.action == "redirect" and not _is_mailbox(one.redirect_to, domain_fault):
        yield finding("redirect_to", "redirect needs somebody who gets the mail: write an address here", "action")
    if one.redirect_to and one.action != "redirect":
        yield finding("redirect_to", "is for action = redirect alone: write that as well, or remove it", "action")


def is_text(text: str) -> bool:
    """True for what can be said in a reply."""
    return bool(_TEXT.match(text)) and len(text) <= MAX_TEXT_OCTETS


def is_header(text: str) -> bool:
    """True for a whole line of a header."""
    return bool(_HEADER.match(text)) and len(text) <= MAX_HEADER_OCTETS


def _is_mailbox(text: str, domain_fault: Callable[[str], str]) -> bool:
    local_part, at, domain = text.rpartition("@")
    return bool(local_part and at) and not re.search(r"[\s<>,]", text) and not domain_fault(domain)
