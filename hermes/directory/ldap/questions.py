"""
What a directory is asked about accounts and groups, and what its entries mean here.

This is called in threads, with the line of the thread. What an entry says is believed only as far as it fits: a name that
cannot be an account's, or an address that is none, is passed over; and what was not asked for is not taken, however the
directory came to find it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

import attrs
from twisted.logger import Logger

from hermes.core.account import Account
from hermes.core.address import domain_key
from hermes.directory.accounts import Group, PasswordKeeper, Record, address_key, check_name, forms_of, local_part_key
from hermes.directory.ldap.entries import Entries, Terms, address_of
from hermes.directory.ldap.names import dn_parts, filter_value, form_pieces, is_askable, nds_dn, nds_parts
from hermes.directory.ldap.servers import Found, Line, TooMuchError
from hermes.interfaces import UnavailableError

#: Members of a group that are looked up, one question each; a list that is longer is a mailing list.
MAX_MEMBERS = 500


class Kind(Enum):
    """What a question is about."""

    NAME = "name"
    ADDRESS = "address"
    FORM = "form of a name"


@attrs.frozen
class Question:
    """One question; ``key`` is a name or a form of one in lower case, or the key of an address."""

    kind: Kind
    key: str


@attrs.frozen
class Answer:
    """
    An account, or a group, or neither; to a form of a name ``people``, of whom two are as good as many.

    ``problem`` says why there is no telling although the directory has answered.
    """

    record: Record | None = None
    group: Group | None = None
    people: tuple[Record, ...] = ()
    problem: str = ""
    #: Whether it was clear without asking, so that it says nothing about the servers.
    unasked: bool = attrs.field(default=False, eq=False)

    @property
    def found(self) -> bool:
        """True when there is one."""
        return self.record is not None or self.group is not None or bool(self.people)


NOTHING = Answer()

#: What no directory can know.
_UNKNOWABLE = Answer(unasked=True)


class Asking:
    """Asks the questions of one directory; ``keeper`` stands in the records."""

    _log = Logger()

    def __init__(self, terms: Terms, keeper: PasswordKeeper, now: Callable[[], float] = time.time) -> None:
        self._terms = terms
        self._keeper = keeper
        self._entries = Entries(terms, now)
        self._contexts = _contexts(terms)

    def answer(self, line: Line, question: Question) -> Answer:
        """The answer; UnavailableError when there is none now."""
        if not is_askable(question.key):
            return _UNKNOWABLE
        try:
            match question.kind:
                case Kind.NAME:
                    return self._named(line, question.key)
                case Kind.ADDRESS:
                    return self._addressed(line, question.key)
                case Kind.FORM:
                    return self._formed(line, question.key)
        except TooMuchError as error:
            return Answer(problem=str(error))
        except LookupError as error:
            raise UnavailableError(str(error)) from None

    def _named(self, line: Line, name: str) -> Answer:
        profile = self._terms.profile
        logins = [profile.login, *profile.also_login]
        if "@" in name and not any("principal" in each.lower() for each in logins):
            # Nobody is called so; it is an address.
            return _UNKNOWABLE
        if profile.dotted and ("." in name or "=" in name):
            found = self._dotted(line, name)
            if found:
                return self._person(line, found)
        asked = "".join(f"({each}={filter_value(name)})" for each in logins)
        people = [
            each
            for each in self._entries.search(line, f"(|{asked})")
            if any(local_part_key(value) == name for login in logins for value in each.values.get(login.lower(), ()))
            and self._entries.is_person(each)
        ]
        # Whoever has it as a further name takes it from nobody.
        people = [each for each in people if self._entries.login(each).lower() == name] or people
        if len(people) > 1 and self._terms.full_names:
            # They can be told apart, by their whole names, and whoever means one of them must write it.
            return NOTHING
        return self._person(line, people)

    def _addressed(self, line: Line, address: str) -> Answer:
        local_part, _, domain = address.rpartition("@")
        profile, entries = self._terms.profile, self._entries
        asked = "".join(f"({name}={prefix}{filter_value(address)})" for name, prefix in profile.addresses)
        named = [place for place in self._terms.places if place.domain and domain_key(place.domain) == domain]
        if named:
            asked += f"({profile.login}={filter_value(local_part)})(cn={filter_value(local_part)})"
        asked += "".join(f"({name}={filter_value(own)})" for name in profile.synonyms for own in (address, local_part))
        candidates = entries.search(line, f"(|{asked})", groups=self._terms.groups)
        # A synonym without a domain is for what nobody has as a whole address, as in Mercury's order.
        found = [
            each
            for each in candidates
            if any(address_key(own) == address for own in (*entries.addresses(each), *entries.synonyms(each)))
        ] or [each for each in candidates if any(local_part_key(own) == local_part for own in entries.synonyms(each))]
        people = [each for each in found if entries.is_person(each)]
        if people:
            return self._person(line, people)
        return self._group(line, found[0]) if found else NOTHING

    def _formed(self, line: Line, form: str) -> Answer:
        """Whose name may be written so: the surname must be that of the entry, so that its index leads to few others."""
        pieces = form_pieces(form)
        if pieces is None:
            return _UNKNOWABLE
        first, last = map(filter_value, pieces)
        begins = "".join(f"({name}={first}*)" for name in ("givenName", *self._terms.profile.full_name))
        found, complete = self._entries.search_people(line, f"(&(sn={last})(|{begins}))", ("givenName", "sn"))
        fitting = [each for each in found if form in self._forms(each)] if complete else []
        answers = [self._person(line, [each]) for each in fitting[:2]]
        people = tuple(each.record for each in answers if each.record is not None)
        return Answer(people=people, problem=next((each.problem for each in answers if each.problem), ""))

    def _forms(self, entry: Found) -> set[str]:
        """The forms of each name that is shown, and of what its parts make: many directories show the surname first."""
        shown = [value for name in self._terms.profile.full_name for value in entry.values.get(name.lower(), ())]
        first, surnames = next(iter(entry.values.get("givenname", ())), ""), entry.values.get("sn", ())
        return {form for name in (*shown, *(f"{first} {surname}" for surname in surnames)) for form in forms_of(name)}

    def _dotted(self, line: Line, name: str) -> list[Found]:
        """Who has a whole name of NDS, from the root or from one of our contexts."""
        try:
            parts = nds_parts(name.removeprefix("."))
        except ValueError:
            return []
        whole = nds_dn(parts)
        candidates = [whole]
        if not name.startswith("."):
            # As at a NetWare prompt: what does not begin with a dot is relative to a context; which is for whoever types to know.
            typed = [(kind or ("ou" if number else "cn"), value) for number, (kind, value) in enumerate(parts)]
            candidates += [f"{nds_dn(typed)},{context}" for context in self._contexts]
        return next(filter(None, (self._entries.read_person(line, dn) for dn in candidates)), [])

    def _person(self, line: Line, people: list[Found]) -> Answer:
        if not people:
            return NOTHING
        name = self._name(people[0]) if len(people) == 1 else ""
        if len(people) == 1 and not name:
            return NOTHING
        if name and not self._terms.full_names:
            asked = f"({self._terms.profile.login}={filter_value(name)})"
            called = [each for each in self._entries.search(line, asked) if self._entries.login(each).lower() == name]
            people = list({each.dn.lower(): each for each in (*people, *called)}.values())
        if len(people) > 1:
            # One mailbox for two people must not be, and to say that nobody is called so would return their mail.
            names = " and ".join(each.dn for each in people[:3])
            remedy = "give them different names and addresses, or write names = full"
            return Answer(problem=f"{names} cannot be told apart: {remedy}")
        return Answer(record=self._record(line, people[0], name))

    def _record(self, line: Line, entry: Found, name: str) -> Record:
        profile, values = self._terms.profile, entry.values
        forward = values.get(profile.forward.lower(), ()) if profile.forward else ()
        account = Account(
            name,
            tuple(self._entries.addresses(entry)),
            full_name=self._entries.full_name(entry),
            disabled=self._entries.is_closed(entry) or not self._has_mail(line, entry.dn),
            forward=tuple(filter(None, map(address_of, forward))),
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
        name = self._entries.login(entry).lower()
        if self._terms.full_names:
            values = [value for _, value in dn_parts(entry.dn)]
            name = ".".join(value.replace(".", "\\.") for value in values)
        try:
            return check_name(name)
        except ValueError as error:
            self._log.warn("{dn} has no mailbox here: {error}", dn=entry.dn, error=error)
            return ""

    def _group(self, line: Line, entry: Found) -> Answer:
        attributes = [name.lower() for name in self._terms.profile.members]
        members = [dn for name in attributes for dn in entry.values.get(name, ())]
        # Of more than 1500 members Active Directory gives a part, under a name with a range (MS-ADTS 3.1.1.3.1.3.3).
        partial = any(name.startswith(f"{attribute};range=") for attribute in attributes for name in entry.values)
        if partial or len(members) > MAX_MEMBERS:
            return Answer(problem=f"the group {entry.dn} has more than {MAX_MEMBERS} members")
        targets = dict.fromkeys(filter(None, (self._member(line, dn) for dn in members)))
        return Answer(group=Group(f"ldap:{self._terms.name} {entry.dn}", tuple(targets)))

    def _member(self, line: Line, dn: str) -> str:
        """The address by which a member of a group is reached, or the name of its account; empty when it has neither."""
        found = self._entries.read(line, dn)
        if found is None:
            # Taken out of the directory, and not yet out of the group.
            return ""
        address = next(self._entries.addresses(found), "")
        return address or (self._name(found) if self._entries.is_person(found) else "")


def _contexts(terms: Terms) -> list[str]:
    """The containers of our people, and behind them those that these are in, up to the tree's: no comma in a value is plain."""
    ours = [place.dn.split(",") for place in terms.places if place.dn]
    above = range(max(map(len, ours), default=0))
    return list(dict.fromkeys(",".join(each[up:]) for up in above for each in ours if each[up:]))
