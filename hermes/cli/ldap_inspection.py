"""What ``hermes check`` looks at in directory services: each server, and whether the places are there."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from hermes.app.ldap import servers_of, terms_of
from hermes.cli.finding import Finding, fail, ok, warn
from hermes.config.schema import Settings
from hermes.directory.ldap.entries import Terms
from hermes.directory.ldap.servers import Line
from hermes.interfaces import UnavailableError


def inspect_ldap(settings: Settings) -> Iterator[Finding]:
    """Ask every server of every section."""
    for name, section in settings.ldap.items():
        about = f"ldap:{name}"
        try:
            terms = terms_of(name, section)
            lines = [(each, Line(servers_of(name, attrs.evolve(section, servers=(each,))))) for each in section.servers]
        except ValueError as error:
            yield fail(about, str(error))
            continue
        for server, line in lines:
            try:
                _ask(line, terms)
            except UnavailableError as error:
                yield warn(about, str(error)) if len(lines) > 1 else fail(about, str(error))
            except LookupError as error:
                yield fail(about, f"{server}: {error}")
            else:
                yield ok(about, f"{server} answers")
            finally:
                line.close()


def _ask(line: Line, terms: Terms) -> None:
    """Look for people in every place, and for the groups that are named."""
    for place in terms.places:
        line.search(place.dn, "SUBTREE" if place.subtree else "LEVEL", terms.profile.people, ["objectClass"])
    for group in filter(None, (terms.no_mail, terms.mail_users)):
        line.search(group, "BASE", "(objectClass=*)", ["objectClass"])
