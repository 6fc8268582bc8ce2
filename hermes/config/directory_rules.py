"""What ``[directory]`` and the sections ``[domain:NAME]`` must be, each alone and beside the others."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hermes.config.finding import Finding
from hermes.config.schema import Settings

_TARGET = re.compile(r"[^\s<>,\"|:]+\Z")

#: Where accounts can be kept here.
SOURCES = ("file", "sqlite")

#: A chain of aliases that is longer is a mistake, and every step is walked for every message.
MAX_DEPTH = 20


def directory_findings(settings: Settings) -> Iterator[Finding]:
    """All rules about them that are broken."""
    yield from _sources(settings.accounts.sources)
    if settings.directory.depth > MAX_DEPTH:
        yield Finding((("directory", "depth"),), f"{settings.directory.depth} is too many: write {MAX_DEPTH} or fewer")
    seen: dict[str, str] = {}
    for name, domain in settings.domain.items():
        section = f"domain:{name}"
        about = (section, "domains")
        if not domain.domains and (domain.mailbox or domain.catch_all or domain.aliases):
            yield Finding((about,), "names no domain: write one of [hermes] domains")
        for each in domain.domains:
            other = seen.setdefault(each.lower(), name)
            if each.lower() not in settings.hermes.domains:
                yield Finding((about, ("hermes", "domains")), f"{each} is not ours: add it to [hermes] domains as well")
            elif other != name:
                yield Finding((about, (f"domain:{other}", "domains")), f"{each} stands in [domain:{other}] already")
        if domain.mailbox and domain.catch_all:
            yield Finding(
                ((section, "catch_all"), (section, "mailbox")),
                "the domain has a mailbox for everything: remove one of the two",
            )
        for key in ("mailbox", "catch_all"):
            text = getattr(domain, key)
            if text and not _TARGET.match(text):
                yield Finding(((section, key),), f"{text!r} is neither the name of an account nor an address")


def _sources(sources: tuple[str, ...]) -> Iterator[Finding]:
    about = (("accounts", "sources"),)
    unknown = [each for each in sources if each not in SOURCES]
    if unknown:
        yield Finding(about, f"accounts cannot be kept in {unknown[0]!r}: write {' or '.join(SOURCES)}, or both")
    elif not sources:
        yield Finding(about, "accounts must be kept somewhere: write file")
    elif len(set(sources)) < len(sources):
        yield Finding(about, "one of them stands there twice")
