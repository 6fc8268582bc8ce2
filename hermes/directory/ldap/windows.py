"""
Why a domain controller of Active Directory refuses a login or a new password, as the numbers in the text of its answer say.

The results of LDAP itself are the same for all of these (invalidCredentials, constraintViolation); the numbers are Windows's
own (MS-ERREF 2.2), in hexadecimal. A text without one of them is another directory's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 773, v1db1". That is for the log: to a
#: client it would tell that the name exists, and of most of them that the password is right.
_DATA = re.compile(r"\bdata ([0-9a-f]{3})\b", re.IGNORECASE)

_LOGINS: Mapping[str, str] = {
    "530": "it may not log in at this hour",
    "531": "it may not log in from this machine",
    "532": "its password has expired",
    "533": "it is disabled",
    "701": "it has expired",
    "773": "its password must be changed first",
    "775": "it is locked after too many wrong passwords",
}

#: ERROR_PASSWORD_RESTRICTION and ERROR_INVALID_PASSWORD, at the beginning of the text.
_PASSWORDS: Mapping[str, str] = {
    "0000052d": "The directory does not accept this password: too short, too simple, used before, or the last change is too "
    "recent",
    "00000056": "The directory says that the old password is no longer the right one",
}

#: What people are told of any other refusal.
_NOT_ACCEPTED = "The directory does not accept this password"


def refused_login(text: str) -> str:
    """Why an account may not log in, for the administrator; empty when the password is wrong, or nothing says."""
    match = _DATA.search(text)
    return _LOGINS.get(match[1].lower(), "") if match else ""


def refused_password(text: str) -> str:
    """Why a new password will not do, for the person who chose it."""
    return _PASSWORDS.get(text[:8].lower(), _NOT_ACCEPTED)
