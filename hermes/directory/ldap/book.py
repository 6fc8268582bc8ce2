"""
A directory service as a phone book (RFC 2378), for people who are looked up by strangers.

It has a thread, a line and an opinion of the servers of its own: the mail waits for nothing that is asked here, and a server
that takes too long over a stranger's question is not down for it. What the directory finds is only a choice: whether an entry
matches is for :class:`~hermes.core.phone_book.Book` to say, as for every other book.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

from twisted.logger import Logger

from hermes.core.phone_book import FIELDS, Book, Entry, Term, entry
from hermes.directory.ldap.entries import Entries, Terms
from hermes.directory.ldap.names import filter_value
from hermes.directory.ldap.servers import Found, Line, TooMuchError
from hermes.directory.ldap.threads import Threads
from hermes.interfaces import UnavailableError

#: Entries that are looked at for one question: what slapd gives at most unless it is told otherwise. A question that leads to
#: more is answered "too many".
MAX_CANDIDATES = 500

#: Questions that may wait for the one thread: each takes some milliseconds, and a server that hangs costs one time-out.
MAX_WAITING = 32

# Attributes of inetOrgPerson, of Active Directory and of eDirectory. What a person is called at home is nobody's business.
_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "phone": ("telephoneNumber", "mobile"),
    "fax": ("facsimileTelephoneNumber",),
    "department": ("department", "departmentNumber", "ou"),
    "title": ("title",),
    "address": ("physicalDeliveryOfficeName", "street", "streetAddress"),
    "postal": ("postalAddress",),
    "other": ("description",),
}
_MORE = tuple(name for names in _ATTRIBUTES.values() for name in names)


class LDAPBook:
    """The people of one directory; ``now`` gives seconds since the epoch."""

    _log = Logger()

    def __init__(self, terms: Terms, threads: Threads, now: Callable[[], float] = time.time) -> None:
        self._terms = terms
        self._threads = threads
        self._entries = Entries(terms, now)
        self._down = False

    async def stop(self) -> None:
        """End the thread."""
        await self._threads.stop()

    async def find(self, domains: Sequence[str], terms: Sequence[Term], most: int) -> list[Entry] | None:
        """
        Those that match all terms, one of which at least is of an indexed field; None when there are more than ``most``.

        Whoever lists no address has the name at each of ``domains``. UnavailableError or TooBusyError when there is no telling.
        """
        try:
            found = await self._threads.do(lambda line: self._found(line, domains, terms, most))
        except UnavailableError as error:
            if not self._down:
                self._down = True
                self._log.error("[ldap:{name}] the phone book: {error}", name=self._terms.name, error=error)
            raise
        if self._down:
            self._down = False
            self._log.info("[ldap:{name}] the phone book answers again", name=self._terms.name)
        return found

    def _found(self, line: Line, domains: Sequence[str], terms: Sequence[Term], most: int) -> list[Entry] | None:
        # The other fields may have no rule by which the directory could compare parts of them.
        asked = "".join(self._asked(term, domains) for term in terms if FIELDS[term.field].indexed)
        try:
            people, complete = self._entries.search_people(line, f"(&{asked})", _MORE, MAX_CANDIDATES)
        except TooMuchError:
            return None
        except LookupError as error:
            raise UnavailableError(str(error)) from None
        if not complete:
            return None
        return Book(self._entry(each, domains) for each in people if not self._entries.is_closed(each)).find(
            terms, most
        )

    def _asked(self, term: Term, domains: Sequence[str]) -> str:
        """A filter for everybody whom the term could mean."""
        profile, text = self._terms.profile, term.text
        match term.field:
            case "alias":
                asked = f"({profile.login}={_whole(text)})"
            case "email":
                asked = "".join(f"({name}={prefix}{_whole(text)})" for name, prefix in profile.addresses)
                local_part, _, domain = text.partition("@")
                if domain.lower() in domains and local_part.strip("*?"):
                    # Whoever lists no address has this one by the name.
                    asked += f"({profile.login}={_whole(local_part)})"
            case field:
                names = profile.full_name if field == "name" else _ATTRIBUTES[field]
                # One word of several, which may be between other signs than spaces.
                asked = "".join(f"({name}=*{_whole(text.strip('*?'))}*)" for name in names)
        return f"(|{asked})"

    def _entry(self, found: Found, domains: Sequence[str]) -> Entry:
        logins = self._entries.logins(found)[:1]
        addresses = list(self._entries.addresses(found)) or [
            f"{name}@{domain}" for name in logins for domain in domains
        ]
        values: dict[str, Sequence[str]] = {
            "alias": logins,
            "name": [self._entries.full_name(found)],
            "email": addresses,
        }
        for field, names in _ATTRIBUTES.items():
            # A postal address has a dollar sign between its lines (RFC 4517 3.3.28).
            values[field] = [
                value.replace("$", ", ") if field == "postal" else value
                for name in names
                for value in found.values.get(name.lower(), ())
            ]
        return entry(values)


def _whole(text: str) -> str:
    """Values that are like the text; where it has wildcards there may be anything (RFC 4515 3)."""
    return "*".join(map(filter_value, re.split(r"[*?]+", text)))
