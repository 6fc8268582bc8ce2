"""Being the backup of other servers: the sections ``[backup:NAME]``, and what they must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from hermes.config.finding import Finding
from hermes.config.host_names import domain_fault, is_address
from hermes.config.setting import setting


@attrs.frozen
class BackupSettings:
    """
    Being a backup (a secondary MX) for domains whose mail belongs to another server. One section for each server, any number.

    Mail for them is taken from everybody, and passed on to the servers that come before this one in the domain's MX records, or
    to host. A recipient that their server does not know is refused here too.
    """

    domains: tuple[str, ...] = setting("words", (), "The domains.")
    host: str = setting(
        "text", "", "The server to which their mail goes, or its address. Empty: what the MX records say."
    )
    port: int = setting("number", 25, "Its port.")
    verify: bool = setting(
        "flag", True, "Whether their server is asked about each recipient before mail for it is taken."
    )
    when_down: str = setting(
        "choice",
        "accept",
        "What is done with a recipient when their server cannot be asked: take the mail, which is what a backup is for, or "
        "have the client try again later.",
        choices=("accept", "defer"),
    )


def backup_findings(backups: Mapping[str, BackupSettings], own: tuple[str, ...], hostname: str) -> Iterator[Finding]:
    """All rules about ``[backup:NAME]`` that are broken; ``own`` are the domains whose mailboxes are here."""
    first: dict[str, str] = {}
    for label, each in backups.items():
        section = f"backup:{label}"
        about = ((section, "domains"),)
        if not each.domains:
            yield Finding(about, "names no domain: write one like example.net")
        for domain in (domain.lower() for domain in each.domains):
            if fault := domain_fault(domain):
                yield Finding(about, fault)
            elif domain in own:
                yield Finding((*about, ("hermes", "domains")), f"{domain} is our own: remove it from one of the two")
            elif attrs.evolve(backups[first.setdefault(domain, label)], domains=()) != attrs.evolve(each, domains=()):
                other = f"backup:{first[domain]}"
                text = f"{domain} stands in [{other}] too, which says otherwise: remove one of the two"
                yield Finding((*about, (other, "domains")), text)
        if each.host and not is_address(each.host) and (fault := domain_fault(each.host)):
            yield Finding(((section, "host"),), fault)
        if each.host.lower() == hostname:
            yield Finding(((section, "host"), ("hermes", "hostname")), f"{each.host} is this server itself")
