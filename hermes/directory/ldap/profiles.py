"""
What differs between directories: which attributes hold what, and how an account is closed. One table, to be read as one.

An attribute that a directory's schema does not know does no harm: nobody has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import attrs

#: The values of an entry's attributes, by their names in lower case.
Values = Mapping[str, Sequence[str]]

#: Active Directory counts tenths of microseconds since 1601; this many seconds lie between then and 1970.
_SECONDS_1601 = 11_644_473_600

#: Both mean that an account never expires.
_NEVER = {0, 0x7FFF_FFFF_FFFF_FFFF}

#: ACCOUNTDISABLE in Active Directory's userAccountControl.
_ACCOUNT_DISABLE = 0x2


# GeneralizedTime = century year month day hour [ minute [ second / leap-second ] ] [ fraction ] g-time-zone (RFC 4517 3.3.13),
# of which directories write it with Z; the fraction does not matter here.
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)?)?(?:[.,]\d+)?Z\Z", re.ASCII)


def _never(values: Values, now: float) -> bool:
    return False


def _locked_by_administrator(values: Values, now: float) -> bool:
    """The password policy of OpenLDAP: this time means that only an administrator can open the account again."""
    return "000001010000Z" in values.get("pwdaccountlockedtime", ())


def _closed_in_active_directory(values: Values, now: float) -> bool:
    control, expires = _number(values, "useraccountcontrol"), _number(values, "accountexpires")
    expired = expires not in _NEVER and expires / 10_000_000 - _SECONDS_1601 <= now
    return bool(control & _ACCOUNT_DISABLE) or expired


def _closed_in_nds(values: Values, now: float) -> bool:
    disabled = any(value.upper() == "TRUE" for value in values.get("logindisabled", ()))
    return disabled or any(_seconds(value) <= now for value in values.get("loginexpirationtime", ()))


@attrs.frozen
class Profile:
    """
    One kind of directory. ``people`` and ``groups`` are filters.

    ``login`` is the attribute with the name of the account; ``also_login`` are others by which somebody may log in. The first of
    ``addresses`` holds the address to write from; a prefix belongs to its values. ``synonyms`` hold further addresses, and names
    without a domain, which mean every domain. ``closed`` says whether an account is disabled
    or has expired.
    """

    people: str
    groups: str
    login: str
    also_login: tuple[str, ...]
    addresses: tuple[tuple[str, str], ...]
    full_name: tuple[str, ...]
    members: tuple[str, ...]
    forward: str
    synonyms: tuple[str, ...] = ()
    closed_by: tuple[str, ...] = ()
    closed: Callable[[Values, float], bool] = _never
    #: Whether names are NetWare's, with dots and contexts.
    dotted: bool = False
    #: How a password is changed: by RFC 3062, or in the attribute unicodePwd.
    unicode_password: bool = False

    def attributes(self) -> list[str]:
        """Everything that is wanted of an entry."""
        addresses = (attribute for attribute, _ in self.addresses)
        wanted = (
            self.login,
            *self.also_login,
            *addresses,
            *self.full_name,
            *self.members,
            *self.closed_by,
            *self.synonyms,
            self.forward,
        )
        return list(dict.fromkeys(["objectClass", *filter(None, wanted)]))


PROFILES: Mapping[str, Profile] = {
    "openldap": Profile(
        people="(objectClass=inetOrgPerson)",
        groups="(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))",
        login="uid",
        also_login=(),
        addresses=(("mail", ""), ("mailLocalAddress", "")),
        full_name=("displayName", "cn"),
        members=("member", "uniqueMember"),
        forward="mailForwardingAddress",
        closed_by=("pwdAccountLockedTime",),
        closed=_locked_by_administrator,
    ),
    "ad": Profile(
        people="(&(objectClass=user)(!(objectClass=computer)))",
        groups="(objectClass=group)",
        login="sAMAccountName",
        also_login=("userPrincipalName",),
        addresses=(("mail", ""), ("proxyAddresses", "smtp:")),
        full_name=("displayName", "cn"),
        members=("member",),
        forward="",
        closed_by=("userAccountControl", "accountExpires"),
        closed=_closed_in_active_directory,
        unicode_password=True,
    ),
    "nds": Profile(
        # eDirectory's LDAP shows User as inetOrgPerson, Internet EMail Address as mail, and Group as groupOfNames.
        people="(objectClass=inetOrgPerson)",
        groups="(objectClass=groupOfNames)",
        login="cn",
        also_login=("uid",),
        addresses=(("mail", ""),),
        full_name=("fullName", "displayName"),
        members=("member", "uniqueMember"),
        forward="mailForwardingAddress",
        closed_by=("loginDisabled", "loginExpirationTime"),
        closed=_closed_in_nds,
        dotted=True,
    ),
}


def _number(values: Values, name: str) -> int:
    try:
        return int(next(iter(values.get(name, ())), "0"))
    except ValueError:
        return 0


def _seconds(text: str) -> float:
    """The seconds since 1970 of a generalized time in UTC (RFC 4517 3.3.13); what is none is long past, to be safe."""
    match = _TIME.match(text)
    try:
        if match is None:
            return 0.0
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
