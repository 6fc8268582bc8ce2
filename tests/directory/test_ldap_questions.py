"""What a directory is asked about accounts, and what is believed of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from hermes.core.account import Account, Local, Resolution, Unknown
from hermes.directory.accounts import PasswordKeeper, Record, table_of
from hermes.directory.directory import Directory
from hermes.directory.ldap.book import LDAPBook
from hermes.directory.ldap.entries import Entries, Place, Terms
from hermes.directory.ldap.profiles import PROFILES
from hermes.directory.ldap.questions import MAX_MEMBERS, Asking, Kind, Question
from hermes.directory.ldap.servers import Access, Found, Line, Servers, TooMuchError
from hermes.directory.ldap.source import LDAPSource
from hermes.directory.ldap.threads import Threads
from hermes.directory.lookup import Rules
from hermes.directory.sources.several import SeveralSources
from hermes.interfaces import UnavailableError
from tests.support.accounts import MemorySource, passwords_with
from tests.support.worker import ImmediateWorker


def person(name: str, **values: str) -> Found:
    """An entry."""
    return Found(f"uid={name},o=acme", {"uid": (name,), **{key: (value,) for key, value in values.items()}})


class QuestionTests(SynchronousTestCase):
    """Accounts in a file, then those of a directory whose server gives all that it has, whatever it is asked."""

    def setUp(self) -> None:
        """Nobody yet."""
        self.file = MemorySource()
        self.here: list[Found] = []
        self.complete = True
        self.asked: list[str] = []
        self.patch(Line, "search_some", self.search)
        profile = attrs.evolve(PROFILES["openldap"], synonyms=("initials",))
        terms = Terms("acme", profile, (Place("o=acme"),))
        servers = Servers(Access(("ldap://127.0.0.1",), False, "", "", "", 1))
        book = LDAPBook(terms, Threads(servers, [ImmediateWorker()], 1))
        source = LDAPSource(
            terms,
            Threads(servers, [ImmediateWorker()], 1),
            book,
            lambda: 0.0,
            lambda: 0.0,
            remember_seconds=0,
            grace_seconds=0,
        )
        domains = ["example.org", "example.net"]
        rules = Rules((), name_forms=True)
        self.directory = Directory(SeveralSources([self.file, source]), domains, "", passwords_with(), rules=rules)

    def search(
        self, base: str, scope: str, filter_: str, attributes: Sequence[str], most: int
    ) -> tuple[list[Found], bool]:
        """Answer as the server."""
        self.asked.append(filter_)
        return self.here, self.complete

    def resolving(self, address: str) -> Deferred[Resolution]:
        """Ask whose an address is."""
        return Deferred.fromCoroutine(self.directory.resolve(address))

    def owner(self, address: str) -> str:
        """The account that has an address, or nothing."""
        found = self.successResultOf(self.resolving(address))
        return found.account.name if isinstance(found, Local) else ""

    def test_synonyms(self) -> None:
        """A synonym with a domain is for that domain, one without for all; what somebody lists comes before the latter."""
        self.here = [
            person("joe", mail="joe@example.org", initials=" Boss "),
            person("ann", mail="ann@example.org", initials="chief@example.org"),
            person("bob", mail="boss@example.org"),
        ]
        self.assertEqual(self.owner("chief@example.org"), "ann")
        self.assertEqual(self.owner("chief@example.net"), "")
        self.assertEqual((self.owner("boss@example.org"), self.owner("boss@example.net")), ("bob", "joe"))
        self.assertIn(r"(initials=boss\40example\2enet)(initials=boss)", "".join(self.asked))

    def test_synonyms_are_told_of(self) -> None:
        """A synonym is a step on the way, with the entry where it stands; an address of the account's own is none."""
        self.here = [
            person("joe", mail="Joe@example.org", initials="boss"),
            Found("uid=ann,o=acme", {"uid": ("ann", "anna")}),
        ]
        for address, lines in (
            ("boss+x@example.net", ["boss+x@example.net -> joe  (synonym, ldap:acme uid=joe,o=acme [joe])"]),
            ("anna@example.net", ["anna@example.net -> ann  (synonym, ldap:acme uid=ann,o=acme [ann])"]),
            ("JOE+x@example.org", []),
            ("ann@example.net", []),
        ):
            whole = self.successResultOf(Deferred.fromCoroutine(self.directory.expand(address)))
            self.assertEqual(whole.lines()[:-1], lines)

    def test_synonyms_of_two(self) -> None:
        """A synonym of two people is put off, and none of its mail is lost."""
        self.here = [person("joe", initials="boss"), person("ann", initials="boss")]
        failure = self.failureResultOf(self.resolving("boss@example.org"), UnavailableError)
        self.assertIn("cannot be told apart", failure.getErrorMessage())

    def test_synonym_of_oneself(self) -> None:
        """Whoever lists no address keeps the one that the name implies, also when it is a synonym as well."""
        self.here = [person("joe", initials="joe"), person("ann", initials="joe@example.net")]
        found = self.successResultOf(self.resolving("joe@example.org"))
        assert isinstance(found, Local)
        self.assertEqual((found.account.name, found.account.addresses), ("joe", ("joe@example.org",)))

    def test_given_up(self) -> None:
        """A search that is too much for the server is put off, and told of."""

        def give_up(*_: object) -> tuple[list[Found], bool]:
            raise TooMuchError("an index may be missing")

        self.patch(Line, "search_some", give_up)
        failure = self.failureResultOf(self.resolving("ann.archer@example.org"), UnavailableError)
        self.assertEqual(failure.getErrorMessage(), "an index may be missing")

    def test_forms(self) -> None:
        """By the name that is shown, or by the given name and the surname, of one person alone."""
        self.here = [
            person("ann", displayname="Archer, Ann", givenname="Ann", sn="Archer", mail="ann@example.org"),
            person("max", cn="Max van Archer", sn="Archer"),
        ]
        self.assertEqual(self.owner("Ann.Archer@example.org"), "ann")
        self.assertEqual(self.owner("a_archer@example.org"), "ann")
        self.assertEqual(self.owner("ann.archer@example.net"), "")
        self.assertEqual(self.owner("max_archer@example.net"), "max")
        self.assertEqual(self.owner("ar.archer@example.org"), "")
        begins = "(|(givenName=ann*)(displayName=ann*)(cn=ann*))"
        self.assertIn(f"(&(objectClass=inetOrgPerson)(&(sn=archer){begins}))", self.asked)

    def test_forms_of_several(self) -> None:
        """A form that fits two people, one of them perhaps in the file or among those that were not told, is nobody's."""
        self.here = [person("ann", cn="Ann Archer"), person("al", cn="Al Archer"), person("amy", cn="Amy Archer")]
        for form, owner in (("a.archer", ""), ("ann.archer", "ann")):
            self.assertEqual(self.owner(f"{form}@example.org"), owner)
        self.file.table = table_of([Record(Account("andy", (), full_name="Ann Archer"))])
        self.assertEqual(self.owner("ann.archer@example.org"), "")
        self.assertEqual(self.owner("al.archer@example.org"), "al")
        self.complete = False
        self.assertEqual(self.owner("al.archer@example.org"), "")

    def test_what_is_no_form(self) -> None:
        """What cannot be a form of a name is not looked for as one."""
        for local_part in ("ann", "ann.b.archer", ".archer", "ann.", "_archer", "ann_"):
            self.asked.clear()
            address = f"{local_part}@example.org"
            self.assertEqual(self.successResultOf(self.resolving(address)), Unknown(address))
            self.assertEqual([text for text in self.asked if "sn=" in text], [], local_part)

    def test_form_of_no_account(self) -> None:
        """Somebody whose name cannot be an account's has no mailbox, by whatever way."""
        self.here = [person("../ann", cn="Ann Archer")]
        self.assertEqual(self.owner("ann.archer@example.org"), "")

    def test_several_names(self) -> None:
        """
        Values have no order (RFC 4512 2.2), and one person has one mailbox: it is called as the entry is, or by the first name in
        the alphabet.
        """
        for dn, name in (
            ("uid=joe,o=acme", "joe"),
            ("UID=Joe, o=acme", "joe"),
            ("cn=Joe Doe,o=acme", "jdoe"),
            ("cn=a+uid=joe,o=acme", "jdoe"),
        ):
            for values in (("Joe", "jdoe"), ("jdoe", "Joe")):
                self.here = [Found(dn, {"uid": values, "mail": ("joe@example.org",)})]
                self.assertEqual(self.owner("joe@example.org"), name, dn)

    def test_one_mailbox_for_one(self) -> None:
        """Two people whose accounts would be called the same have no mailbox, however they are asked for: it would be one."""
        self.here = [
            Found(
                "uid=joe,ou=a,o=acme",
                {"uid": ("joe",), "mail": ("joe.a@example.org",), "cn": ("Joe Archer",), "sn": ("Archer",)},
            ),
            Found("uid=joe,ou=b,o=acme", {"uid": ("joe",), "mail": ("joe.b@example.org",)}),
        ]
        for address in ("joe.a@example.org", "joe.b@example.org", "joe@example.org", "joe.archer@example.org"):
            failure = self.failureResultOf(self.resolving(address), UnavailableError)
            self.assertIn("cannot be told apart", failure.getErrorMessage())
        self.here[1] = Found("uid=../x,o=acme", {"uid": ("../x",), "mail": ("joe.a@example.org",)})
        self.failureResultOf(self.resolving("joe.a@example.org"), UnavailableError)
        # A further name is none that a mailbox is called by.
        self.here[1] = Found("uid=jdoe,ou=b,o=acme", {"uid": ("joe", "jdoe"), "mail": ("joe.b@example.org",)})
        self.assertEqual((self.owner("joe.a@example.org"), self.owner("joe.b@example.org")), ("joe", "jdoe"))
        account = self.successResultOf(Deferred.fromCoroutine(self.directory.account("joe")))
        assert account is not None
        self.assertEqual(account.addresses, ("joe.a@example.org",))

    def test_several_full_names(self) -> None:
        """Whichever of several full names comes first, the forms are those of all."""
        for names in (("Ann Archer", "Ann Smith"), ("Ann Smith", "Ann Archer")):
            self.here = [Found("uid=ann,o=acme", {"uid": ("ann",), "cn": names})]
            self.assertEqual((self.owner("ann.archer@example.org"), self.owner("a_smith@example.org")), ("ann", "ann"))

    def test_part_of_a_group(self) -> None:
        """Of a large group Active Directory gives a part of the members, under another name: that is none without members."""
        values: dict[str, Any] = {"mail": ("all@example.org",), "objectclass": ("group",), "member": ()}
        self.here = [Found("cn=all,o=acme", {**values, "member;range=0-1499": ("uid=joe,o=acme",)})]
        failure = self.failureResultOf(self.resolving("all@example.org"), UnavailableError)
        self.assertIn(f"more than {MAX_MEMBERS} members", failure.getErrorMessage())

    def test_large_group(self) -> None:
        """A group has so many members; one that has more is put off."""

        def group(count: int) -> list[Found]:
            members = tuple(f"uid=a{number},o=acme" for number in range(count))
            values: dict[str, Any] = {"mail": ("all@example.org",), "objectclass": ("groupOfNames",), "member": members}
            return [Found("cn=all,o=acme", values)]

        self.here = group(MAX_MEMBERS)
        self.successResultOf(self.resolving("all@example.org"))
        self.here = group(MAX_MEMBERS + 1)
        failure = self.failureResultOf(self.resolving("all@example.org"), UnavailableError)
        self.assertIn(f"more than {MAX_MEMBERS} members", failure.getErrorMessage())


class ContextTests(SynchronousTestCase):
    """Names that NetWare writes."""

    def test_in_which_order(self) -> None:
        """A name without a dot before it is looked for in each context, then in what these are in; nowhere twice."""
        read: list[str] = []

        def read_person(entries: Entries, line: Line, dn: str) -> list[Found]:
            read.append(dn)
            return []

        self.patch(Entries, "read_person", read_person)
        self.patch(Entries, "search", lambda *_: [])
        places = (Place("ou=a,ou=sales,o=acme"), Place("ou=eng,o=acme"), Place(""))
        asking = Asking(Terms("acme", PROFILES["nds"], places), cast(PasswordKeeper, None))
        line = cast(Line, None)
        asking.answer(line, Question(Kind.NAME, "joe.x"))
        self.assertEqual(
            read,
            [
                "cn=joe,o=x",
                "cn=joe,ou=x,ou=a,ou=sales,o=acme",
                "cn=joe,ou=x,ou=eng,o=acme",
                "cn=joe,ou=x,ou=sales,o=acme",
                "cn=joe,ou=x,o=acme",
            ],
        )
        read.clear()
        asking.answer(line, Question(Kind.NAME, ".joe.x"))
        self.assertEqual(read, ["cn=joe,o=x"])

    def test_a_dot_in_a_name(self) -> None:
        """With names = full a dot within a part leaves no mailbox, and the log shows the name."""
        self.patch(Line, "search_some", lambda *_: ([Found("cn=a.b,o=acme", {"cn": ("a.b",)})], True))
        terms = Terms("acme", PROFILES["nds"], (Place("o=acme"),), full_names=True)
        with capturedLogs() as events:
            answer = Asking(terms, cast(PasswordKeeper, None)).answer(
                cast(Line, Line.__new__(Line)), Question(Kind.NAME, "a.b")
            )
        self.assertFalse(answer.found)
        self.assertIn("cn=a.b,o=acme has no mailbox here: 'a\\\\.b.acme'", formatEvent(events[-1]))
