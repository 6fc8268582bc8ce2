"""
What a directory is asked about accounts and groups, and what its entries mean here.

This is called in threads, with the line of the thread. What an entry says is believed only as far as it fits: a name that
cannot be an account's, or an address that is none, is passed over; and what was not asked for is not taken, however the
directory came to find it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import Enum

import attrs
from twisted.logger import Logger

from hermes.core.account import Account
from hermes.directory.accounts import (
    Group,
    PasswordKeeper,
    Record,
    address_key,
    check_address,
    check_name,
    domain_key,
    local_part_key,
)
from hermes.directory.ldap.names import dn_parts, filter_value, is_askable, is_below, nds_dn, nds_parts
from hermes.directory.ldap.profiles import Profile
from hermes.directory.ldap.servers import Found, Line
from hermes.interfaces import UnavailableError

#: Members of a group that are looked up, one question each; a list that is longer is a mailing list.
MAX_MEMBERS = 500

#: The classes of groups, whichever the directory.
_GROUPS = frozenset({"groupofnames", "groupofuniquenames", "group"})

_EVERYTHING = "(objectClass=*)"


@attrs.frozen
class Place:
    """Where people are: a container, or with ``subtree`` all below it, whose names are addresses at ``domain``, if any."""

    dn: str
    subtree: bool = True
    domain: str = ""


@attrs.frozen
class Terms:
    """What holds for one directory. ``name`` is that of its section; ``full_names`` has accounts called by their whole name."""

    name: str
    profile: Profile
    places: tuple[Place, ...]
    filter: str = ""
    full_names: bool = False
    groups: bool = True
    no_mail: str = ""
    mail_users: str = ""
    deliver_also: bool = False


class Kind(Enum):
    """What a question is about."""

    NAME = "name"
    ADDRESS = "address"


@attrs.frozen
class Question:
    """One question; ``key`` is a name in lower case or the key of an address."""

    kind: Kind
    key: str


@attrs.frozen
class Answer:
    """An account, or a group, or neither."""

    record: Record | None = None
    group: Group | None = None

    @property
    def found(self) -> bool:
        """True when there is one."""
        return self.record is not None or self.group is not None


NOTHING = Answer()


class Asking:
    """Asks the questions of one directory; ``keeper`` stands in the records."""

    _log = Logger()

    def __init__(self, terms: Terms, keeper: PasswordKeeper, now: Callable[[], float] = time.time) -> None:
        self._terms = terms
        self._keeper = keeper
        self._now = now
        self._attributes = terms.profile.attributes()
        self._bases = [(place, dn_parts(place.dn)) for place in terms.places]

    def answer(self, line: Line, question: Question) -> Answer:
        """The answer; UnavailableError when there is none now."""
        if not is_askable(question.key):
            return NOTHING
        try:
            if question.kind is Kind.NAME:
                return self._named(line, question.key)
            return self._addressed(line, question.key)
        except LookupError as error:
            self._log.error("[ldap:{name}] {error}", name=self._terms.name, error=error)
            raise UnavailableError(str(error)) from None

    def _named(self, line: Line, name: str) -> Answer:
        profile = self._terms.profile
        logins = [profile.login, *profile.also_login]
        if "@" in name and not any("principal" in each.lower() for each in logins):
            # Nobody is called so; it is an address.
            return NOTHING
        if profile.dotted and ("." in name or "=" in name):
            found = self._dotted(line, name)
            if found:
                return self._person(line, found)
        asked = "".join(f"({each}={filter_value(name)})" for each in logins)
        people = [
            each
            for each in self._search(line, f"(|{asked})")
            if any(local_part_key(value) == name for login in logins for value in each.values.get(login.lower(), ()))
            and self._is_person(each)
        ]
        if len(people) > 1 and self._terms.full_names:
            # They can be told apart, by their whole names, and whoever means one of them must write it.
            return NOTHING
        return self._person(line, people)

    def _addressed(self, line: Line, address: str) -> Answer:
        local_part, _, domain = address.rpartition("@")
        profile = self._terms.profile
        asked = "".join(f"({name}={prefix}{filter_value(address)})" for name, prefix in profile.addresses)
        named = [place for place in self._terms.places if place.domain and domain_key(place.domain) == domain]
        if named:
            asked += f"({profile.login}={filter_value(local_part)})(cn={filter_value(local_part)})"
        entries = [
            each
            for each in self._search(line, f"(|{asked})", groups=self._terms.groups)
            if any(address_key(own) == address for own in self._addresses(each))
        ]
        people = [each for each in entries if self._is_person(each)]
        if people:
            return self._person(line, people)
        groups = [each for each in entries if not self._is_person(each)]
        return Answer(group=self._group(line, groups[0])) if groups else NOTHING

    def _search(self, line: Line, asked: str, *, groups: bool = False) -> list[Found]:
        """All that is in our places, each once."""
        profile = self._terms.profile
        people = f"(&{profile.people}{self._terms.filter})" if self._terms.filter else profile.people
        wanted = f"(&(|{people}{profile.groups}){asked})" if groups else f"(&{people}{asked})"
        found: dict[str, Found] = {}
        for place in self._terms.places:
            scope = "SUBTREE" if place.subtree else "LEVEL"
            for each in line.search(place.dn, scope, wanted, self._attributes):
                found.setdefault(each.dn.lower(), each)
        return list(found.values())

    def _dotted(self, line: Line, name: str) -> list[Found]:
        """Who has a whole name of NDS, from the root or from one of our contexts."""
        try:
            parts = nds_parts(name.removeprefix("."))
        except ValueError:
            return []
        whole = nds_dn(parts)
        candidates = [whole]
        if not name.startswith("."):
            # As at a NetWare prompt: what does not begin with a dot may be relative to a context.
            typed = [(kind or ("ou" if number else "cn"), value) for number, (kind, value) in enumerate(parts)]
            candidates += [f"{nds_dn(typed)},{place.dn}" for place in self._terms.places if place.dn]
        for dn in candidates:
            if self._place_of(dn) is None:
                # Somewhere else in the tree, where nobody has a mailbox here.
                continue
            try:
                found = line.search(dn, "BASE", self._people(), self._attributes)
            except LookupError:
                continue
            if found:
                return found
        return []

    def _people(self) -> str:
        people = self._terms.profile.people
        return f"(&{people}{self._terms.filter})" if self._terms.filter else people

    def _place_of(self, dn: str) -> Place | None:
        try:
            parts = dn_parts(dn)
        except ValueError:
            return None
        return next((place for place, base in self._bases if is_below(parts, base, subtree=place.subtree)), None)

    def _is_person(self, entry: Found) -> bool:
        return not any(each.lower() in _GROUPS for each in entry.values.get("objectclass", ()))

    def _person(self, line: Line, people: list[Found]) -> Answer:
        if not people:
            return NOTHING
        if len(people) > 1:
            # One mailbox for two people must not be, and to say that nobody is called so would return their mail.
            names = " and ".join(each.dn for each in people[:3])
            raise LookupError(
                f"{names} cannot be told apart: give them different names and addresses, or write names = full"
            )
        (entry,) = people
        name = self._name(entry)
        if not name:
            return NOTHING
        return Answer(record=self._record(line, entry, name))

    def _record(self, line: Line, entry: Found, name: str) -> Record:
        profile, values = self._terms.profile, entry.values
        forward = values.get(profile.forward.lower(), ()) if profile.forward else ()
        disabled = profile.closed(values, self._now()) or not self._has_mail(line, entry.dn)
        account = Account(
            name,
            tuple(self._addresses(entry)),
            full_name=next((values[each.lower()][0] for each in profile.full_name if values.get(each.lower())), ""),
            disabled=disabled,
            forward=tuple(filter(None, map(_address, forward))),
            deliver_also=self._terms.deliver_also,
        )
        return Record(account, place=f"ldap:{self._terms.name} {entry.dn}", keeper=self._keeper, key=entry.dn)

    def _has_mail(self, line: Line, dn: str) -> bool:
        """Whether the groups NOMAIL and MAILUSERS leave somebody mail."""
        terms = self._terms
        if terms.no_mail and self._is_member(line, terms.no_mail, dn):
            return False
        return not terms.mail_users or self._is_member(line, terms.mail_users, dn)

    def _is_member(self, line: Line, group: str, dn: str) -> bool:
        asked = "".join(f"({attribute}={filter_value(dn)})" for attribute in self._terms.profile.members)
        return bool(line.search(group, "BASE", f"(|{asked})", ["objectClass"]))

    def _name(self, entry: Found) -> str:
        """What the account is called; empty, and complained about, when no account can be called so."""
        name = next(iter(entry.values.get(self._terms.profile.login.lower(), ())), "").lower()
        if self._terms.full_names:
            values = [value for _, value in dn_parts(entry.dn)]
            name = ".".join(values)
            if any("." in value for value in values):
                name = ""
        try:
            return check_name(name)
        except ValueError as error:
            self._log.warn("{dn} has no mailbox here: {error}", dn=entry.dn, error=error)
            return ""

    def _addresses(self, entry: Found) -> Iterator[str]:
        """The addresses of a person or group: those that it lists, then its name at the domain of its place."""
        seen = set()
        listed = [
            value[len(prefix) :]
            for name, prefix in self._terms.profile.addresses
            for value in entry.values.get(name.lower(), ())
            if value.lower().startswith(prefix)
        ]
        place = self._place_of(entry.dn)
        if place is not None and place.domain:
            listed += [f"{value}@{place.domain}" for value in self._logins(entry)]
        for each in listed:
            if (address := _address(each)) and address_key(address) not in seen:
                seen.add(address_key(address))
                yield address

    def _logins(self, entry: Found) -> tuple[str, ...]:
        return tuple(entry.values.get(self._terms.profile.login.lower(), entry.values.get("cn", ())))

    def _group(self, line: Line, entry: Found) -> Group:
        members = [dn for name in self._terms.profile.members for dn in entry.values.get(name.lower(), ())]
        if len(members) > MAX_MEMBERS:
            raise LookupError(f"the group {entry.dn} has more than {MAX_MEMBERS} members")
        targets = dict.fromkeys(filter(None, (self._member(line, dn) for dn in members)))
        return Group(f"ldap:{self._terms.name} {entry.dn}", tuple(targets))

    def _member(self, line: Line, dn: str) -> str:
        """The address by which a member of a group is reached, or the name of its account; empty when it has neither."""
        try:
            found = line.search(dn, "BASE", _EVERYTHING, self._attributes)
        except LookupError:
            # Taken out of the directory, and not yet out of the group.
            return ""
        if not found:
            return ""
        address = next(self._addresses(found[0]), "")
        return address or (self._name(found[0]) if self._is_person(found[0]) else "")


def _address(text: str) -> str:
    try:
        return check_address(text.strip())
    except ValueError:
        return ""
