"""DKIM: which mail is signed for which domains, and what a signature covers; the sections ``[dkim]`` and ``[dkim:NAME]``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import attrs

from hermes.config.finding import Finding
from hermes.config.host_names import domain_fault
from hermes.config.setting import setting

# sub-domain = Let-dig [Ldh-str], and dots between   (RFC 6376 3.1)
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z", re.IGNORECASE)

# field-name = 1*ftext   (RFC 5322 2.2)
_FIELD_NAME = re.compile(r"[!-9;-~]{1,70}\Z")


@attrs.frozen
class DKIMSettings:
    """
    Signing the mail of our domains that leaves (DKIM), with the keys that ``hermes dkim create`` makes.

    What is signed: mail of people who have logged in, of those who may relay, and of this server itself, if its From: is at a
    domain with a key. What strangers sent, and is only sent on, is not.
    """

    sign: bool = setting("flag", True, "Whether mail is signed for every domain that has a key in use.")
    directory: str = setting(
        "path", "dkim", "Directory of the keys: one directory for each domain, one file for each key."
    )
    headers: tuple[str, ...] = setting(
        "words", (), "Header fields to sign, as far as they are there. Empty: what RFC 6376 recommends, and a few more."
    )
    oversign: tuple[str, ...] = setting(
        "words",
        (),
        "Header fields of which nobody may add another one. Empty: From, Reply-To, Subject, Date, To, Cc, MIME-Version and "
        "Content-Type. From is always one.",
    )


@attrs.frozen
class NamedDKIMSettings:
    """What is different for the signatures of some domains. One section for each group of domains, any number."""

    domains: tuple[str, ...] = setting("words", (), "The domains behind the @ in From:.")
    sign: bool = setting("flag", True, "Whether their mail is signed.")
    signing_domain: str = setting(
        "text", "", "The domain whose keys sign it: the same, or one above it. Empty: each domain has its own."
    )
    selectors: tuple[str, ...] = setting(
        "words", (), "The keys that sign, by their selectors, whether or not they are in use. Empty: those in use."
    )
    headers: tuple[str, ...] = setting("words", (), "Instead of those of [dkim].")
    oversign: tuple[str, ...] = setting("words", (), "Instead of those of [dkim].")


def is_selector(text: str) -> bool:
    """True for what may be a selector."""
    return len(text) <= 63 and _SELECTOR.match(text) is not None


def dkim_findings(single: DKIMSettings, named: Mapping[str, NamedDKIMSettings]) -> Iterator[Finding]:
    """All rules about DKIM that are broken."""
    first: dict[str, str] = {}
    sections: list[tuple[str, DKIMSettings | NamedDKIMSettings]] = [("dkim", single)]
    sections += [(f"dkim:{name}", each) for name, each in named.items()]
    for section, settings in sections:
        for key in ("headers", "oversign"):
            for field in getattr(settings, key):
                if not _FIELD_NAME.match(field):
                    yield Finding(((section, key),), f"{field!r} is not the name of a header field")
    for name, each in named.items():
        section = f"dkim:{name}"
        for domain in map(str.lower, each.domains):
            if fault := domain_fault(domain):
                yield Finding(((section, "domains"),), fault)
            elif first.setdefault(domain, section) != section:
                about = ((section, "domains"), (first[domain], "domains"))
                yield Finding(about, f"{domain} stands in [{first[domain]}] too: remove it from one of the two")
            elif each.signing_domain and not f".{domain}".endswith(f".{each.signing_domain.lower()}"):
                # DMARC compares the two (RFC 7489 3.1): any other signature would be for nothing.
                text = f"{each.signing_domain} is not above {domain}: write a domain that it is a part of"
                yield Finding(((section, "signing_domain"), (section, "domains")), text)
        for selector in each.selectors:
            if not is_selector(selector):
                yield Finding(((section, "selectors"),), f"{selector!r} is not a selector: letters, digits, - and dots")
