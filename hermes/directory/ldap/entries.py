"""The entries of people and groups in one directory: where they are, how they are found, and what addresses they have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import attrs

from hermes.directory.accounts import address_key, check_address
from hermes.directory.ldap.names import dn_parts, is_below
from hermes.directory.ldap.profiles import Profile
from hermes.directory.ldap.servers import MAX_ENTRIES, Found, Line

#: The classes of groups, whichever the directory.
_GROUPS = frozenset({"groupofnames", "groupofuniquenames", "group"})


@attrs.frozen
class Place:
    """Where people are: a container, or with ``subtree`` all below it, whose names are addresses at ``domain``, if any."""

    dn: str
    subtree: bool = True
    domain: str = ""


@attrs.frozen
class Terms:
    """
    What holds for one directory. ``name`` is that of its section; ``full_names`` has accounts called by their whole name;
    ``windows_domains`` are the names of the Windows domain, in lower case.
    """

    name: str
    profile: Profile
    places: tuple[Place, ...]
    filter: str = ""
    full_names: bool = False
    groups: bool = True
    no_mail: str = ""
    mail_users: str = ""
    deliver_also: bool = False
    windows_domains: frozenset[str] = frozenset()


class Entries:
    """Those of one directory; ``now`` gives seconds since the epoch. What has a line is called in the thread of that line."""

    def __init__(self, terms: Terms, now: Callable[[], float] = time.time) -> None:
        self._terms = terms
        self._now = now
        self._attributes = terms.profile.attributes()
        self._bases = [(place, dn_parts(place.dn)) for place in terms.places]
        people = terms.profile.people
        self._people = f"(&{people}{terms.filter})" if terms.filter else people

    def search(self, line: Line, asked: str, *, groups: bool = False) -> list[Found]:
        """The people in our places whom a filter means, and with ``groups`` the groups, each once."""
        wanted = f"(|{self._people}{self._terms.profile.groups})" if groups else self._people
        return self._search(line, f"(&{wanted}{asked})", self._attributes, MAX_ENTRIES)[0]

    def search_people(
        self, line: Line, asked: str, more: Sequence[str] = (), most: int = MAX_ENTRIES
    ) -> tuple[list[Found], bool]:
        """The people, so many at most, with ``more`` attributes than usual; and whether these are all."""
        return self._search(line, f"(&{self._people}{asked})", [*self._attributes, *more], most)

    def _search(self, line: Line, wanted: str, attributes: Sequence[str], most: int) -> tuple[list[Found], bool]:
        found: dict[str, Found] = {}
        complete = True
        for place in self._terms.places:
            scope = "SUBTREE" if place.subtree else "LEVEL"
            some, all_of_them = line.search_some(place.dn, scope, wanted, attributes, most)
            complete = complete and all_of_them
            for each in some:
                found.setdefault(each.dn.lower(), each)
        return list(found.values()), complete

    def read_person(self, line: Line, dn: str) -> list[Found]:
        """The entry of that name, if it is a person's and in one of our places."""
        if self.place_of(dn) is None:
            # Somewhere else in the tree, where nobody has a mailbox here.
            return []
        try:
            return line.search(dn, "BASE", self._people, self._attributes)
        except LookupError:
            return []

    def read(self, line: Line, dn: str) -> Found | None:
        """The entry of that name, whatever it is; None when it is not there (any more)."""
        try:
            return next(iter(line.search(dn, "BASE", "(objectClass=*)", self._attributes)), None)
        except LookupError:
            return None

    def place_of(self, dn: str) -> Place | None:
        """The place of ours where an entry is."""
        try:
            parts = dn_parts(dn)
        except ValueError:
            return None
        return next((place for place, base in self._bases if is_below(parts, base, subtree=place.subtree)), None)

    def is_person(self, entry: Found) -> bool:
        """Whether it is no group."""
        return not any(each.lower() in _GROUPS for each in entry.values.get("objectclass", ()))

    def is_closed(self, entry: Found) -> bool:
        """Whether the account is disabled or has expired."""
        return self._terms.profile.closed(entry.values, self._now())

    def login(self, entry: Found) -> str:
        """What somebody's account is called; empty when nothing says."""
        return next(iter(self._names(entry, self._terms.profile.login)), "")

    def logins(self, entry: Found) -> list[str]:
        """The names of an account, or of a group, that of the account first."""
        return self._names(entry, self._terms.profile.login) or self._names(entry, "cn")

    def _names(self, entry: Found, attribute: str) -> list[str]:
        """
        The values of an attribute, which have no order (RFC 4512 2.2), in one that does not depend on the server.

        The first is the one that the entry itself is called by, or else the first in the alphabet.
        """
        try:
            (_, own), *_ = dn_parts(entry.dn)
        except ValueError:
            own = ""
        return sorted(entry.values.get(attribute.lower(), ()), key=lambda value: (value.lower() != own, value.lower()))

    def full_name(self, entry: Found) -> str:
        """What somebody is called; empty when nothing says."""
        values = entry.values
        names = (values.get(each.lower()) for each in self._terms.profile.full_name)
        return next((each[0] for each in names if each), "")

    def addresses(self, entry: Found) -> Iterator[str]:
        """The addresses of a person or group: those that it lists, then its name at the domain of its place."""
        seen = set()
        listed = [
            value[len(prefix) :]
            for name, prefix in self._terms.profile.addresses
            for value in _with_prefix(entry.values.get(name.lower(), ()), prefix)
        ]
        place = self.place_of(entry.dn)
        if place is not None and place.domain:
            listed += [f"{value}@{place.domain}" for value in self.logins(entry)]
        for each in listed:
            if (address := address_of(each)) and address_key(address) not in seen:
                seen.add(address_key(address))
                yield address

    def synonyms(self, entry: Found) -> Iterator[str]:
        """What else it is written to by: addresses, and names without a domain."""
        for name in self._terms.profile.synonyms:
            for value in entry.values.get(name.lower(), ()):
                yield value.strip()


def _with_prefix(values: Sequence[str], prefix: str) -> list[str]:
    """Those that begin with it, first what Exchange writes in capitals: the address to write from, ``SMTP:joe@example.org``."""
    fitting = (value for value in values if value.lower().startswith(prefix))
    return sorted(fitting, key=lambda value: not value.startswith(prefix.upper()))


def address_of(text: str) -> str:
    """The address that a value is; empty when it is none."""
    try:
        return check_address(text.strip())
    except ValueError:
        return ""
