"""A directory service as a phone book: what it is asked, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.phone_book import Entry, Term
from hermes.directory.ldap.book import MAX_CANDIDATES, MAX_WAITING, LDAPBook
from hermes.directory.ldap.entries import Place, Terms
from hermes.directory.ldap.profiles import PROFILES
from hermes.directory.ldap.servers import Access, Found, Line, Servers, TooMuchError
from hermes.directory.ldap.threads import Threads
from hermes.interfaces import TooBusyError, UnavailableError
from tests.support.worker import ImmediateWorker

#: The beginning of each filter in the profile openldap.
PEOPLE = "(&(objectClass=inetOrgPerson)"


def person(name: str, **values: tuple[str, ...]) -> Found:
    """An entry."""
    return Found(f"uid={name},o=acme", {"uid": (name,), **values})


class LDAPBookTests(SynchronousTestCase):
    """One directory, whose server says what the test says."""

    def setUp(self) -> None:
        """Joe and Ann."""
        self.worker = ImmediateWorker()
        self.asked: list[tuple[str, str, str, int]] = []
        self.fault: Exception | None = None
        self.complete = True
        self.here = [
            person("joe", cn=("Joe Smith",), mail=("joe@example.com",), telephonenumber=("555 1", "555 2")),
            person("ann", cn=("Ann Smith",), postaladdress=("1 Road$Town",), ou=("Sales",)),
            person("old", cn=("Old Smith",), pwdaccountlockedtime=("000001010000Z",)),
        ]
        self.patch(Line, "search_some", self.search)
        self.use()

    def use(self, profile: str = "openldap", **terms: Any) -> None:
        """Have a book with these terms."""
        given = Terms("acme", PROFILES[profile], terms.pop("places", (Place("o=acme"),)), **terms)
        servers = Servers(Access(("ldap://127.0.0.1",), False, "", "", "", 1))
        self.book = LDAPBook(given, Threads(servers, [self.worker], MAX_WAITING), lambda: 1_000_000_000.0)

    def search(
        self, base: str, scope: str, filter_: str, attributes: Sequence[str], most: int
    ) -> tuple[list[Found], bool]:
        """Answer as the server."""
        self.asked.append((base, scope, filter_, most))
        if self.fault is not None:
            raise self.fault
        return self.here, self.complete

    def find(self, *terms: str, most: int = 9) -> Deferred[list[Entry] | None]:
        """Look for terms like ``name=smith``."""
        given = [Term(*term.split("=", 1)) for term in terms]
        return Deferred.fromCoroutine(self.book.find(("example.org",), given, most))

    def found(self, *terms: str, most: int = 9) -> list[str] | None:
        """The aliases of those who are found."""
        entries = self.successResultOf(self.find(*terms, most=most))
        return None if entries is None else [entry["alias"][0] for entry in entries]

    def filter(self, *terms: str) -> str:
        """What the server is asked for these terms, without what all filters have."""
        self.asked.clear()
        self.successResultOf(self.find(*terms))
        ((_, _, text, _),) = self.asked
        self.assertTrue(text.startswith(PEOPLE + "(&"))
        return text.removeprefix(PEOPLE + "(&").removesuffix("))")

    def test_entries(self) -> None:
        """Fields as the attributes say; an address by the name for who lists none, and lines of a postal address."""
        self.assertEqual(
            self.successResultOf(self.find("name=smith")),
            [
                {"alias": ("joe",), "name": ("Joe Smith",), "email": ("joe@example.com",), "phone": ("555 1", "555 2")},
                {
                    "alias": ("ann",),
                    "name": ("Ann Smith",),
                    "email": ("ann@example.org",),
                    "department": ("Sales",),
                    "postal": ("1 Road, Town",),
                },
            ],
        )

    def test_exact(self) -> None:
        """What the directory gives is only a choice: terms mean here what they mean in every book."""
        self.assertEqual(self.found("name=smi"), [])
        self.assertEqual(self.found("name=smi*"), ["joe", "ann"])
        self.assertEqual(self.found("name=smith", "phone=555"), ["joe"])
        self.assertEqual(self.found("email=ann@example.org"), ["ann"])

    def test_closed(self) -> None:
        """An account that is closed is in no book."""
        self.assertEqual(self.found("alias=old"), [])

    def test_too_many(self) -> None:
        """More than are told, or than the server gives."""
        self.assertIsNone(self.found("name=smith", most=1))
        self.assertEqual(self.found("name=smith", most=2), ["joe", "ann"])
        self.complete = False
        self.assertIsNone(self.found("alias=joe"))

    def test_too_much(self) -> None:
        """What is too much for the server is too many, and does not mean that it is down."""
        self.fault = TooMuchError("the directory gives up a search")
        with capturedLogs() as told:
            self.assertIsNone(self.found("alias=*a*"))
        self.assertEqual(list(told), [])

    def test_filters(self) -> None:
        """Names and addresses as they are, words of other fields anywhere in them, and what has no index not at all."""
        for terms, expected in (
            (("alias=joe",), "(|(uid=joe))"),
            (("alias=j?e*",), "(|(uid=j*e*))"),
            (("name=smith",), "(|(displayName=*smith*)(cn=*smith*))"),
            (("name=*sm?th",), "(|(displayName=*sm*th*)(cn=*sm*th*))"),
            (("department=sales",), "(|(department=*sales*)(departmentNumber=*sales*)(ou=*sales*))"),
            (("email=a@b",), r"(|(mail=a\40b)(mailLocalAddress=a\40b))"),
            (("email=*@example.com",), r"(|(mail=*\40example\2ecom)(mailLocalAddress=*\40example\2ecom))"),
            (
                ("email=a@Example.ORG",),
                r"(|(mail=a\40Example\2eORG)(mailLocalAddress=a\40Example\2eORG)(uid=a))",
            ),
            (("email=*@example.org",), r"(|(mail=*\40example\2eorg)(mailLocalAddress=*\40example\2eorg))"),
            (("alias=joe", "phone=555"), "(|(uid=joe))"),
            (("alias=joe", "name=smith"), "(|(uid=joe))(|(displayName=*smith*)(cn=*smith*))"),
            (("alias=)(uid=x",), r"(|(uid=\29\28uid\3dx))"),
        ):
            self.assertEqual(self.filter(*terms), expected, terms)

    def test_where(self) -> None:
        """In each place, with the filter of the settings, and so many at most."""
        places = (Place("ou=a"), Place("ou=b", subtree=False))
        self.use(places=places, filter="(employeeType=staff)")
        self.assertEqual(self.found("alias=joe"), ["joe"])
        wanted = "(&(&(objectClass=inetOrgPerson)(employeeType=staff))(&(|(uid=joe))))"
        self.assertEqual(
            self.asked,
            [("ou=a", "SUBTREE", wanted, MAX_CANDIDATES), ("ou=b", "LEVEL", wanted, MAX_CANDIDATES)],
        )

    def test_prefix(self) -> None:
        """Addresses of Active Directory have their kind in front."""
        self.use("ad")
        self.asked.clear()
        self.successResultOf(self.find("email=joe*"))
        self.assertIn("(|(mail=joe*)(proxyAddresses=smtp:joe*))", self.asked[0][2])

    def test_down(self) -> None:
        """While no server answers, nobody is said not to be there; the log says so once, and when it is over."""
        with capturedLogs() as told:
            for fault in (UnavailableError("no directory server answers"), LookupError("there is no 'o=acme'")):
                self.fault = fault
                self.failureResultOf(self.find("name=smith"), UnavailableError)
            self.fault = None
            for _ in range(2):
                self.assertEqual(self.found("alias=joe"), ["joe"])
        self.assertEqual(
            [formatEvent(event) for event in told],
            [
                "[ldap:acme] the phone book: no directory server answers",
                "[ldap:acme] the phone book answers again",
            ],
        )

    def test_waiting_at_most(self) -> None:
        """So many questions wait for its one thread."""
        self.found("alias=joe")
        self.worker.paused = True
        waiting = [self.find("alias=joe") for _ in range(MAX_WAITING)]
        self.failureResultOf(self.find("alias=joe"), TooBusyError)
        self.worker.resume()
        for each in waiting:
            self.successResultOf(each)
