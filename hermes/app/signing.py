"""From the settings to what signs mail: which domains, with which keys, and for whom."""

from __future__ import annotations

from collections.abc import Callable, Collection

from hermes.app.stores import Stores
from hermes.config.schema import Settings
from hermes.interfaces import IDirectory, IRelayPolicy
from hermes.policy.dkim_keys import Keyring
from hermes.policy.dkim_signer import DKIMSigner, Profile, Profiles
from hermes.protocols.dkim_signature import DEFAULT_HEADERS, DEFAULT_OVERSIGN, Coverage


def signer_of(
    settings: Settings,
    stores: Stores,
    directory: Callable[[], IDirectory],
    policy: Callable[[], IRelayPolicy],
    now: Callable[[], float],
) -> DKIMSigner | None:
    """What signs; None when nothing is to be signed. Directory and policy are there when mail is."""
    if not settings.dkim.sign:
        return None

    async def addresses_of(name: str) -> Collection[str]:
        account = await directory().account(name)
        return () if account is None else account.addresses

    return DKIMSigner(
        profiles_of(settings),
        Keyring(settings.dkim.directory, now),
        stores.dkim_worker,
        stores.spool,
        may_relay=lambda peer: bool(policy().relay_right(peer)),
        addresses_of=addresses_of,
        now=now,
        memory=stores.signatures,
    )


def profiles_of(settings: Settings) -> Profiles:
    """How mail of each domain is signed: by its own keys, unless a section says otherwise."""
    default = _coverage(settings.dkim.headers, settings.dkim.oversign)
    others: dict[str, Profile | None] = {}
    hostname = settings.hermes.hostname
    parent = next((domain for domain in settings.hermes.domains if hostname.endswith(f".{domain}")), "")
    if parent and hostname not in settings.hermes.domains:
        # Reports to senders come from the host, which has no key of its own.
        others[hostname] = Profile(parent, default)
    for section in settings.dkim_domains.values():
        headers, oversign = section.headers or settings.dkim.headers, section.oversign or settings.dkim.oversign
        coverage = _coverage(headers, oversign)
        for domain in map(str.lower, section.domains):
            profile = Profile(section.signing_domain.lower() or domain, coverage, section.selectors)
            others[domain] = profile if section.sign else None

    def find(domain: str) -> Profile | None:
        return others[domain] if domain in others else Profile(domain, default)

    return find


def _coverage(headers: Collection[str], oversign: Collection[str]) -> Coverage:
    # RFC 6376 5.4: From is signed whatever else is, and with two of them nobody could tell which one.
    return Coverage(
        tuple(dict.fromkeys(("from", *map(str.lower, headers or DEFAULT_HEADERS)))),
        tuple(dict.fromkeys(("from", *map(str.lower, oversign or DEFAULT_OVERSIGN)))),
    )
