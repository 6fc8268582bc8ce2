"""From the settings to what the directory reads and goes by, beside the accounts."""

from __future__ import annotations

import hashlib
import hmac

from hermes.config.places import directory_files
from hermes.config.schema import Settings
from hermes.core.address import domain_key
from hermes.core.srs import SRS
from hermes.directory.lookup import DomainRules, Rules
from hermes.directory.sources.alias_files import Files


def files_of(settings: Settings) -> Files:
    """The files of aliases, synonyms and groups."""
    directory = settings.directory
    return Files(
        directory_files(settings, directory.aliases),
        directory_files(settings, directory.synonyms),
        directory_files(settings, directory.groups),
        tuple(
            (domain, directory_files(settings, section.aliases))
            for section in settings.domain.values()
            for domain in section.domains
        ),
        settings.hermes.domains,
        directory.programs,
    )


def rules_of(settings: Settings) -> Rules:
    """The rules of the directory."""
    of_domains = {
        domain_key(domain): DomainRules(section.mailbox, section.catch_all, f"{settings.file} [domain:{name}]")
        for name, section in settings.domain.items()
        for domain in section.domains
    }
    directory = settings.directory
    return Rules((), depth=directory.depth, name_forms=directory.name_forms, of_domains=of_domains)


def srs_of(settings: Settings, secret: bytes) -> SRS | None:
    """What senders are rewritten with; None when that is off, or cannot be: without a domain no report would come back."""
    if not settings.directory.srs or not settings.hermes.domains or not secret:
        return None
    # A key of its own: nobody shall learn from one use of the secret what serves another.
    key = hmac.new(secret, b"sender rewriting", hashlib.sha256).digest()
    return SRS(key, settings.hermes.domains[0])
