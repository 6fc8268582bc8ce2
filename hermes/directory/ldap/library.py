"""ldap3, imported quietly: it asks pyasn1 for names that pyasn1 calls old."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPException

__all__ = ["LDAPException", "ldap3"]
