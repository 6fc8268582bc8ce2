"""Directories kept by a slapd that nobody here wrote: three kinds of them, passwords, fail-over, and a whole server with two."""

from __future__ import annotations

import poplib
import smtplib
import socket
import ssl
import time
from email.message import EmailMessage
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.app.at_once import AtOnce
from hermes.app.ldap import ldap_source
from hermes.config.sections.ldap import LDAPSettings
from hermes.core.account import Local, Redirected, Resolution, Unknown
from hermes.core.phone_book import Term
from hermes.directory.directory import Directory
from hermes.directory.ldap.names import dn_value
from hermes.directory.ldap.source import LDAPSource
from hermes.directory.lookup import Rules
from hermes.directory.password_change import PasswordChange, PasswordRule
from hermes.interfaces import UnavailableError
from tests.integration.site import Site, free_ports, wait_until
from tests.support.accounts import passwords_with
from tests.support.slapd import ADMIN, ADMIN_PASSWORD, Slapd, lacks_slapd

PASSWORD = "correct horse 7 battery"

#: Everything that RFC 4514 and RFC 4515 set apart, in one name.
ODD = "o'd(d)*,+;<>=#\\\" x"


def person(dn: str, *more: str, password: str = PASSWORD) -> str:
    """An entry of somebody."""
    lines = [f"dn: {dn}", "objectClass: inetOrgPerson", "objectClass: networkUser", "objectClass: user", "sn: x"]
    return "\n".join([*lines, f"userPassword: {password}", *more]) + "\n\n"


LDIF = """dn: o=acme
objectClass: organization

dn: ou=sales,o=acme
objectClass: organizationalUnit

dn: ou=eng,o=acme
objectClass: organizationalUnit

dn: ou=west,ou=sales,o=acme
objectClass: organizationalUnit

dn: ou=away,o=acme
objectClass: organizationalUnit

""" + "".join([
    person("cn=Joe,ou=sales,o=acme", "uid: joe", "mail: joe@example.org", "mail: Info@Example.org", "displayName: Joe Doe",
           "sAMAccountName: Joe", "userPrincipalName: joe@example.net", "proxyAddresses: SMTP:joe@example.org",
           "proxyAddresses: smtp:j.doe@example.org", "proxyAddresses: X400:c=us", "userAccountControl: 512", "sn: Doe",
           "description: boss", "description: the.boss@example.org", "telephoneNumber: +1 555 0100"),
    person("cn=ann,ou=eng,o=acme", "uid: ann", "mail: ann@example.org", "mailForwardingAddress: joe@example.org",
           "sAMAccountName: ann", "userAccountControl: 514", "loginDisabled: FALSE"),
    person("cn=bob,ou=sales,o=acme", "uid: bob", "loginDisabled: TRUE"),
    person("cn=old,ou=sales,o=acme", "uid: old", "loginExpirationTime: 20010101000000Z"),
    person("cn=sam,ou=west,ou=sales,o=acme", "uid: sam"),
    person("cn=twin,ou=sales,o=acme", "uid: twin"),
    person("cn=twin,ou=eng,o=acme", "uid: twin"),
    person("cn=eve,ou=away,o=acme", "uid: eve", "mail: eve@example.org"),
    person("cn=Ünsal,ou=eng,o=acme", "uid: unsal", "mail: unsal@example.org"),
    person(f"cn={dn_value(ODD)},ou=eng,o=acme", "uid: odd", "mail: odd@example.org"),
    person("cn=Max Archer,ou=eng,o=acme", "uid: max", "sn: Archer", "mail: max@example.org", "mail: chief@example.org",
           "ou: Engineering", "postalAddress: 1 Road$Town"),
    person("cn=mia,ou=eng,o=acme", "uid: mia", "sn: Archer", "givenName: Mia", "displayName: Archer, Mia",
           "mail: mia@example.org", "description: chief"),
    person("cn=bad,ou=eng,o=acme", "uid: ../bad", "mail: bad@example.org"),
    "dn: cn=team,ou=sales,o=acme\nobjectClass: groupOfNames\nobjectClass: mailGroup\nmail: team@example.org\n"
    "description: crew\n"
    "member: cn=Joe,ou=sales,o=acme\nmember: cn=sam,ou=west,ou=sales,o=acme\nmember: cn=gone,o=acme\n\n",
    "dn: cn=NOMAIL,o=acme\nobjectClass: groupOfNames\nmember: cn=sam,ou=west,ou=sales,o=acme\n"
    f"member: cn={dn_value(ODD)},ou=eng,o=acme\n\n",
    "dn: cn=MAILUSERS,o=acme\nobjectClass: groupOfNames\nmember: cn=Joe,ou=sales,o=acme\n\n",
])  # fmt: skip


class _LDAPTestCase(SynchronousTestCase):
    """A slapd for each test; nothing waits for a reactor, because questions are asked at once."""

    skip = lacks_slapd()
    source: LDAPSource
    domains: tuple[str, ...] = ("example.org",)

    def setUp(self) -> None:
        """Start it."""
        self.slapd = Slapd(LDIF)
        self.addCleanup(self.slapd.close)

    def use(self, **settings: Any) -> Directory:
        """A directory over these settings."""
        given = {"servers": (self.slapd.url,), "authority": self.slapd.authority, "remember": 0, **settings}
        source = self.source = ldap_source(
            "acme", LDAPSettings(**given), lambda _, __: [AtOnce()], time.monotonic, time.time
        )
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(source.stop())))
        self.directory = Directory(self.source, self.domains, "", passwords_with(), rules=Rules((), name_forms=True))
        return self.directory

    def resolve(self, address: str) -> Resolution:
        """What an address is."""
        return self.successResultOf(Deferred.fromCoroutine(self.directory.resolve(address)))

    def owner(self, address: str) -> str:
        """The account that has an address, or nothing."""
        found = self.resolve(address)
        return found.account.name if isinstance(found, Local) else ""

    def login(self, name: str, password: str = PASSWORD) -> str:
        """Who logs in, or nobody."""
        account = self.successResultOf(Deferred.fromCoroutine(self.directory.verify(name, password)))
        return account.name if account is not None else ""

    def ends(self, address: str) -> list[str]:
        """Where an address leads."""
        whole = self.successResultOf(Deferred.fromCoroutine(self.directory.expand(address)))
        return [target.value or target.address for target in whole.targets]

    def assert_unavailable(self, waiting: Any) -> str:
        """It cannot be told now; why."""
        return str(self.failureResultOf(Deferred.fromCoroutine(waiting), UnavailableError).value)


class OpenLDAPTests(_LDAPTestCase):
    """inetOrgPerson, with StartTLS and a search by nobody."""

    def setUp(self) -> None:
        """The profile as it comes."""
        super().setUp()
        self.use(base="o=acme")

    def test_addresses(self) -> None:
        """Who lists an address has it; the first is the one to write from."""
        found = self.resolve("INFO@example.org")
        assert isinstance(found, Local)
        self.assertEqual(found.account.name, "joe")
        self.assertEqual(found.account.addresses, ("joe@example.org", "Info@Example.org"))
        self.assertEqual(found.account.full_name, "Joe Doe")
        self.assertEqual(self.owner("joe+news@example.org"), "joe")
        self.assertEqual(self.owner("UNSAL@example.org"), "unsal")
        self.assertEqual(self.owner("odd@example.org"), "odd")

    def test_by_name(self) -> None:
        """Who lists no address has the name at our domains."""
        self.assertEqual(self.owner("sam@example.org"), "sam")
        self.assertEqual(self.owner("joe@example.org"), "joe")

    def test_nobody(self) -> None:
        """What is in no entry does not exist, whatever characters are in it."""
        for local_part in (
            "nobody",
            "*",
            "j*",
            "joe)(mail=*",
            "*)(uid=*))(|(uid=*",
            "\\2a",
            "joe\0",
            "joe\\00",
            "#",
            "x" * 400,
        ):
            address = f"{local_part}@example.org"
            self.assertEqual(self.resolve(address), Unknown(address))
            self.assertEqual(self.login(local_part), "")
            self.assertEqual(self.login(address), "")

    def test_name_that_is_no_account(self) -> None:
        """A name that could lead out of the directory of mailboxes is nobody's."""
        self.assertEqual(self.resolve("bad@example.org"), Unknown("bad@example.org"))

    def test_login(self) -> None:
        """By name, in any case, or address; a password that is wrong or empty opens nothing."""
        for name in ("joe", "JOE", "info@example.org"):
            self.assertEqual(self.login(name), "joe")
        self.assertEqual(self.login("odd"), "odd")
        self.assertEqual(self.login("joe", "wrong"), "")
        self.assertEqual(self.login("joe", ""), "")
        self.assertEqual(self.login(" joe"), "")

    def test_group(self) -> None:
        """A group leads to its members, those that are gone left out."""
        self.assertEqual(self.resolve("team@example.org"), Redirected("team@example.org"))
        self.assertEqual(self.ends("team@example.org"), ["joe", "sam"])
        self.use(base="o=acme", groups=False)
        self.assertEqual(self.resolve("team@example.org"), Unknown("team@example.org"))

    def test_synonyms(self) -> None:
        """Further addresses, and names that hold at every domain where nobody has the whole address; of groups, too."""
        self.domains = ("example.org", "example.net")
        self.use(base="o=acme", synonym_attributes=("description",))
        for address in ("boss@example.org", "BOSS+x@example.net", "the.boss@example.org"):
            self.assertEqual(self.owner(address), "joe", address)
        self.assertEqual(self.owner("the.boss@example.net"), "")
        self.assertEqual((self.owner("chief@example.org"), self.owner("chief@example.net")), ("max", "mia"))
        self.assertEqual(self.ends("crew@example.net"), ["joe", "sam"])
        found = self.resolve("boss@example.org")
        assert isinstance(found, Local)
        # It is written to by a synonym, and writes by the addresses that it lists.
        self.assertEqual(found.account.addresses, ("joe@example.org", "Info@Example.org"))
        self.use(base="o=acme")
        self.assertEqual(self.owner("boss@example.org"), "")

    def test_forms_of_names(self) -> None:
        """First.Last and I.Last, of the name that is shown or of its parts; what could be two people is nobody's."""
        for address, owner in (
            ("joe.doe@example.org", "joe"),
            ("J_Doe+news@example.org", "joe"),
            ("max.archer@example.org", "max"),
            ("Mia_Archer@example.org", "mia"),
            ("m.archer@example.org", ""),
            ("ma.archer@example.org", ""),
            ("doe.joe@example.org", ""),
            ("j*.d*@example.org", ""),
            ("*.doe@example.org", ""),
        ):
            self.assertEqual(self.owner(address), owner, address)
        self.domains = ("example.org", "example.net")
        self.use(base="o=acme")
        self.assertEqual(self.owner("joe.doe@example.net"), "")

    def test_forward(self) -> None:
        """Mail goes on to the address of the attribute, and into the mailbox where that is wanted."""
        self.assertEqual(self.ends("ann@example.org"), ["joe"])
        self.use(base="o=acme", deliver_also=True)
        self.assertEqual(self.ends("ann@example.org"), ["ann", "joe"])

    def test_two_of_one_name(self) -> None:
        """Two people who cannot be told apart get no mail, and none of it is returned."""
        self.assertIn("cannot be told apart", self.assert_unavailable(self.directory.resolve("twin@example.org")))
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_groups_of_mail(self) -> None:
        """NOMAIL takes mail away from its members; with MAILUSERS only these have some."""
        self.use(base="o=acme", no_mail="cn=NOMAIL,o=acme")
        self.assertEqual(self.resolve("odd@example.org"), Unknown("odd@example.org", disabled=True))
        self.assertEqual((self.login("odd"), self.login("joe")), ("", "joe"))
        self.use(base="o=acme", mail_users="cn=MAILUSERS,o=acme")
        self.assertEqual(
            (self.owner("joe@example.org"), self.owner("sam@example.org"), self.login("sam")), ("joe", "", "")
        )
        self.use(base="o=acme", no_mail="cn=nothing,o=acme")
        self.assert_unavailable(self.directory.resolve("joe@example.org"))

    def test_filter_and_base(self) -> None:
        """Who does not match, or is somewhere else, has no mail here; a base that is not there is trouble, not emptiness."""
        self.use(base="o=acme", filter="(displayName=*)")
        self.assertEqual((self.owner("joe@example.org"), self.owner("sam@example.org")), ("joe", ""))
        self.use(base="ou=eng,o=acme")
        self.assertEqual((self.owner("joe@example.org"), self.owner("odd@example.org")), ("", "odd"))
        self.use(base="ou=typo,o=acme")
        self.assert_unavailable(self.directory.resolve("joe@example.org"))

    def test_password_change(self) -> None:
        """Somebody's own password, by RFC 3062; a wrong old one changes nothing."""
        self.use(base="o=acme", bind_dn=ADMIN, bind_password=ADMIN_PASSWORD)
        changing = PasswordChange(self.source, passwords_with(), PasswordRule(8, 4))

        def change(old: str, new: str) -> str:
            account = self.successResultOf(Deferred.fromCoroutine(self.directory.account("unsal")))
            assert account is not None
            return self.successResultOf(Deferred.fromCoroutine(changing.change(account, old, new)))

        self.assertEqual(change(PASSWORD, "another pässword"), "")
        self.assertEqual((self.login("unsal"), self.login("unsal", "another pässword")), ("", "unsal"))
        self.assertNotEqual(change(PASSWORD, "a third password"), "")
        self.assertEqual(change("another pässword", PASSWORD), "")


class ActiveDirectoryTests(_LDAPTestCase):
    """The attributes of Active Directory, with TLS from the first octet and a service account."""

    def setUp(self) -> None:
        """The profile as it comes."""
        super().setUp()
        settings = {"servers": (self.slapd.tls_url,), "bind_dn": ADMIN, "bind_password": ADMIN_PASSWORD}
        self.use(profile="ad", base="o=acme", **settings)

    def test_addresses(self) -> None:
        """Mail and the SMTP addresses of proxyAddresses, each once."""
        found = self.resolve("J.Doe@example.org")
        assert isinstance(found, Local)
        self.assertEqual(found.account.addresses, ("joe@example.org", "Info@Example.org", "j.doe@example.org"))

    def test_login(self) -> None:
        """By sAMAccountName, userPrincipalName or address."""
        for name in ("joe", "joe@example.net", "j.doe@example.org"):
            self.assertEqual(self.login(name), "joe", name)

    def test_disabled(self) -> None:
        """ACCOUNTDISABLE closes an account for mail and for logins, though the bind would succeed."""
        self.assertEqual(self.resolve("ann@example.org"), Unknown("ann@example.org", disabled=True))
        self.assertEqual(self.login("ann"), "")


class NDSTests(_LDAPTestCase):
    """A tree of NetWare."""

    domains = ("sales.example.org", "eng.example.org", "example.org")

    def setUp(self) -> None:
        """Sales with all below it, and the container of the engineers, each with a domain."""
        super().setUp()
        self.contexts = ("/sales.acme: sales.example.org", "OU=eng.O=acme: eng.example.org")
        self.use(profile="nds", contexts=self.contexts, names="full")

    def test_contexts(self) -> None:
        """The names in a context are addresses at its domain, and at no other."""
        self.assertEqual(self.owner("joe@sales.example.org"), "joe.sales.acme")
        self.assertEqual(self.owner("sam@sales.example.org"), "sam.west.sales.acme")
        self.assertEqual(self.owner("ann@eng.example.org"), "ann.eng.acme")
        for address in ("joe@eng.example.org", "ann@sales.example.org", "eve@example.org", "eve@sales.example.org"):
            self.assertEqual(self.resolve(address), Unknown(address))

    def test_internet_address(self) -> None:
        """The Internet EMail Address is a synonym."""
        self.assertEqual(self.owner("joe@example.org"), "joe.sales.acme")

    def test_names(self) -> None:
        """Dotted, typed or not, from the root or from a context, or without any context when there is one of that name."""
        for name in (
            "joe", "Joe", ".joe.sales.acme", "joe.sales.acme", "CN=joe.OU=sales.O=acme", ".cn=Joe.sales.acme", "uid=joe.x",
        ):  # fmt: skip
            self.assertEqual(self.login(name), "" if name == "uid=joe.x" else "joe.sales.acme", name)
        self.assertEqual(self.login("sam.west"), "sam.west.sales.acme")
        # Relative to the container that a context of ours is in.
        for name in ("joe.sales", "CN=joe.OU=sales"):
            self.assertEqual(self.login(name), "joe.sales.acme", name)
        self.assertEqual(self.login("sam.west.sales"), "sam.west.sales.acme")
        self.assertEqual((self.login("twin.sales"), self.login("twin.eng")), ("twin.sales.acme", "twin.eng.acme"))
        self.assertEqual(self.login("twin"), "")
        self.assertEqual(self.login(".twin.eng.acme"), "twin.eng.acme")
        for outside in (
            ".eve.away.acme",
            "eve.away",
            "joe.eng",
            ".joe.sales",
            "eve",
            "cn=admin.o=acme",
            ".acme",
            "joe.",
            "joe..acme",
            "*.sales.acme",
            "\\",
        ):
            self.assertEqual(self.login(outside), "", outside)

    def test_twins(self) -> None:
        """Two of one name in two contexts have two mailboxes and two addresses."""
        self.assertEqual(self.owner("twin@sales.example.org"), "twin.sales.acme")
        self.assertEqual(self.owner("twin@eng.example.org"), "twin.eng.acme")

    def test_closed(self) -> None:
        """Login disabled, and a login that has expired."""
        for name in ("bob", "old"):
            address = f"{name}@sales.example.org"
            self.assertEqual(self.resolve(address), Unknown(address, disabled=True))
            self.assertEqual(self.login(name), "")

    def test_group(self) -> None:
        """A group is an address at its context's domain too."""
        self.assertEqual(self.ends("team@sales.example.org"), ["joe.sales.acme", "sam.west.sales.acme"])

    def test_short_names_of_the_whole_tree(self) -> None:
        """With short names an account is called as it is in the directory."""
        self.use(profile="nds", contexts=("/acme",))
        self.assertEqual((self.owner("joe@example.org"), self.login("eve")), ("joe", "eve"))


class BookTests(_LDAPTestCase):
    """The same directory as a phone book."""

    def find(self, *terms: str, most: int = 9) -> list[Any] | None:
        """Look for terms like ``name=smith``."""
        given = [Term(*term.split("=", 1)) for term in terms]
        return self.successResultOf(Deferred.fromCoroutine(self.source.book.find(("example.org",), given, most)))

    def names(self, *terms: str) -> list[str]:
        """The aliases of those who are found."""
        return sorted(each["alias"][0] for each in self.find(*terms) or ())

    def test_openldap(self) -> None:
        """By every field that is searched, with wildcards; words are whole ones, and what is no word of anything is nobody."""
        self.use(base="o=acme")
        (entry,) = self.find("alias=MAX") or ()
        self.assertEqual(
            entry,
            {
                "alias": ("max",),
                "name": ("Max Archer",),
                "email": ("max@example.org", "chief@example.org"),
                "department": ("Engineering",),
                "postal": ("1 Road, Town",),
            },
        )
        for terms, found in (
            (("name=archer",), ["max", "mia"]),
            (("name=arch",), []),
            (("name=a*r", "alias=m?a"), ["mia"]),
            (("department=engineering",), ["max"]),
            (("email=chief@example.org",), ["max"]),
            (("email=*@example.org", "name=doe"), ["joe"]),
            (("email=sam@example.org",), ["sam"]),
            (("name=doe", "phone=0100"), ["joe"]),
            (("name=doe", "phone=0101"), []),
            (("name=ÜNSAL",), ["unsal"]),
            (("name=)(uid=*",), []),
            (("name=\\2a",), []),
        ):
            self.assertEqual(self.names(*terms), found, terms)
        self.assertIsNone(self.find("alias=*a*", most=1))

    def test_the_others(self) -> None:
        """Names and addresses as the profile says; whoever is closed is in no book."""
        self.use(profile="ad", base="o=acme")
        self.assertEqual(self.names("email=j.doe@example.org"), ["Joe"])
        self.assertEqual(self.names("alias=ann"), [])
        self.use(profile="nds", contexts=("/sales.acme: sales.example.org",))
        self.assertEqual(self.names("name=doe"), ["Joe"])
        self.assertEqual(self.names("alias=bob"), [])

    def test_down(self) -> None:
        """Whoever asks shall come again, and the mail is not told that the server is down."""
        self.use(base="o=acme")
        self.assertEqual(self.names("name=doe"), ["joe"])
        self.slapd.stop()
        self.assert_unavailable(self.source.book.find(("example.org",), [Term("name", "doe")], 9))
        self.slapd.start()
        self.assertEqual(self.owner("joe@example.org"), "joe")


class ServersTests(_LDAPTestCase):
    """TLS, and servers that are not there."""

    def test_certificates(self) -> None:
        """Without the right authority, or for another name, nothing is sent; nor in the clear when TLS is wanted."""
        other_name = (f"ldap://127.0.0.1:{self.slapd.port}",)
        other_name_tls = (f"ldaps://127.0.0.1:{self.slapd.tls_port}",)
        in_the_clear = (f"ldaps://localhost:{self.slapd.port}",)
        wrong: list[dict[str, Any]] = [
            {"authority": ""},
            {"servers": other_name},
            {"servers": other_name_tls},
            {"servers": (self.slapd.tls_url,), "authority": ""},
            {"servers": in_the_clear, "timeout": 1},
        ]
        for settings in wrong:
            self.use(base="o=acme", **settings)
            problem = self.assert_unavailable(self.directory.resolve("joe@example.org"))
            # Words, and not what the library made of them.
            self.assertNotRegex(problem, r"""\(["']|["'],\)""")
            self.assert_unavailable(self.directory.verify("joe", PASSWORD))

    def test_wrong_service_account(self) -> None:
        """A service account that is refused is trouble of ours: nobody is said not to exist."""
        self.use(base="o=acme", bind_dn=ADMIN, bind_password="wrong")
        self.assertIn("bind_dn", self.assert_unavailable(self.directory.resolve("joe@example.org")))

    def test_fail_over(self) -> None:
        """The next server answers when the first is gone, also in the midst of it; when all are, they are asked again later."""
        second = Slapd(LDIF, self.slapd)
        self.addCleanup(second.close)
        self.use(base="o=acme", servers=(second.url, self.slapd.url))
        self.assertEqual((self.owner("joe@example.org"), self.login("joe")), ("joe", "joe"))
        second.stop()
        self.assertEqual(
            (self.owner("joe@example.org"), self.login("joe"), self.login("joe", "wrong")), ("joe", "joe", "")
        )
        self.slapd.stop()
        self.assert_unavailable(self.directory.verify("joe", PASSWORD))
        self.assert_unavailable(self.directory.resolve("sam@example.org"))


class WholeServerTests(SynchronousTestCase):
    """Hermes as its users see it, with accounts in two directory servers that hold the same."""

    skip = lacks_slapd()

    def setUp(self) -> None:
        """Start all three."""
        first = Slapd(LDIF)
        self.servers = [first, Slapd(LDIF, first)]
        for server in self.servers:
            self.addCleanup(server.close)
        urls = ", ".join(each.url for each in self.servers)
        times = "remember = 1s\ngrace = 1s\ntimeout = 2s\n"
        self.phonebook = free_ports(1)[0]
        book = f"[phonebook]\nlisten = 127.0.0.1:{self.phonebook}\ndirectories = acme\nbooks = people.csv\n"
        section = f"{book}[ldap:acme]\nservers = {urls}\nauthority = {first.authority}\nbase = o=acme\n{times}"
        self.site = Site(f"\n{section}")
        self.addCleanup(self.site.close)
        (self.site.config.parent / "data" / "people.csv").write_text("name,email\nJo Smith,jo@example.com\n")
        self.site.start()
        self.context = ssl.create_default_context(cafile=str(self.site.certificate))
        self.context.check_hostname = False

    def rcpt(self, address: str) -> int:
        """What a stranger hears of a recipient."""
        with smtplib.SMTP("127.0.0.1", self.site.ports["smtp"]) as client:
            client.ehlo()
            client.mail("x@example.net")
            return client.rcpt(address)[0]

    def messages(self, name: str, password: str = PASSWORD) -> int:
        """Log in, and count what is there."""
        client = poplib.POP3_SSL("127.0.0.1", self.site.ports["pop3s"], context=self.context)
        try:
            client.user(name)
            client.pass_(password)
            return client.stat()[0]
        finally:
            client.quit()

    def test_app_password(self) -> None:
        """Who is in a directory has app passwords, by each of the names; nobody else has, nor while it cannot be asked."""

        def app_password(command: str, *words: str, check: bool = True) -> str:
            ran = self.site.hermes("user", "app-password", command, "-c", str(self.site.config), *words, check=check)
            return (ran.stdout + ran.stderr).decode()

        made = app_password("add", "sam", "phone", "--scope", "pop3").partition("password: ")[2].split("\n")[0]
        self.assertEqual((self.messages("sam", made), self.messages("sam@example.org", made)), (0, 0))
        self.assertEqual(self.messages("sam"), 0)
        self.assertIn("no account 'nobody'", app_password("add", "nobody", "phone", check=False))
        app_password("remove", "sam", "phone")
        self.assertRaises(poplib.error_proto, self.messages, "sam", made)
        for server in self.servers:
            server.stop()
        self.assertIn("the directory cannot be asked", app_password("add", "ann", "phone", check=False))

    def looked_up(self, query: str) -> list[str]:
        """What a stranger hears of a query."""
        with socket.create_connection(("127.0.0.1", self.phonebook), timeout=30) as client:
            client.sendall(f"query {query} return email\r\nquit\r\n".encode())
            with client.makefile("rb") as answer:
                return [line.decode().strip() for line in answer][:-1]

    def test_phone_book(self) -> None:
        """People of the directory and of a file are found together; while no server answers, nobody is said not to exist."""
        emails = ["-200:1:email: joe@example.org", "-200:1:     : Info@Example.org"]
        self.assertEqual(self.looked_up("doe")[1:-1], emails)
        self.assertEqual(self.looked_up("smith")[1:-1], ["-200:1:email: jo@example.com"])
        self.assertEqual(self.looked_up("nobody"), ["501:No matches to your query."])
        self.servers[0].stop()
        self.assertEqual(self.looked_up("doe")[1:-1], emails)
        self.servers[1].stop()
        self.assertEqual(self.looked_up("smith"), ["475:The book is not available now: try again later."])

    def test_mail(self) -> None:
        """Submitted with a login, delivered to a mailbox that did not exist, and read; then one server is gone, then both."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "sam@example.org", "odd@example.org", "hello"
        message.set_content("hello\n")
        with smtplib.SMTP_SSL("127.0.0.1", self.site.ports["submissions"], context=self.context) as client:
            client.login("sam", PASSWORD)
            client.send_message(message)
        self.assertEqual(self.rcpt("nobody@example.org"), 550)
        told = self.site.hermes("check", "-c", str(self.site.config), check=False).stdout.decode()
        self.assertEqual([f"{each.url} answers" in told for each in self.servers], [True, True])
        told = self.site.hermes("explain", "-c", str(self.site.config), "--to", "odd@example.org").stdout.decode()
        self.assertIn("local:odd", told)
        wait_until("the message", lambda: self.messages("odd@example.org"))
        self.servers[0].stop()
        self.assertEqual(self.messages("odd@example.org"), 1)
        self.assertEqual((self.rcpt("ann@example.org"), self.rcpt("nobody@example.org")), (250, 550))
        self.servers[1].stop()
        self.assertEqual(self.rcpt("twin@example.org"), 451)
        self.assertEqual(self.rcpt("stranger@example.org"), 451)
        told = self.site.hermes("check", "-c", str(self.site.config), check=False).stdout.decode()
        self.assertEqual(told.count("no directory server answers"), 2)
        explained = self.site.hermes("explain", "-c", str(self.site.config), "--to", "odd@example.org", check=False)
        self.assertIn(b"the directory cannot be asked", explained.stderr)
        # The account in the file is there whatever the directory does.
        self.assertEqual(self.rcpt("joe@example.org"), 250)
        refused = self.assertRaises(poplib.error_proto, self.messages, "sam")
        self.assertIn(b"SYS/TEMP", refused.args[0])
        with smtplib.SMTP_SSL("127.0.0.1", self.site.ports["submissions"], context=self.context) as client:
            error = self.assertRaises(smtplib.SMTPAuthenticationError, client.login, "sam", PASSWORD)
            self.assertEqual(error.smtp_code, 454)
